"""The run directory: the one class that knows the names of a run's files and how each is read.

Every reader works at any moment of a run's life, also after a kill: a missing file is an empty answer, never an error.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from runner.core.errors import Cause, InputError, Problem
from runner.core.files import atomic_write_json, open_lines, read_json, similar_name
from runner.core.typed import Count, Moment, Name, build, fits
from runner.core.values import listed, natural, shell_path
from runner.store import legacy
from runner.store.media import Medium, read_media
from runner.store.records import Record, read_records

_MOST_NAMED = 3
"""Runs that a message names."""
_LISTED = "; `runner ls` lists the runs"

Goal = Literal["maximize", "minimize"]
State = Literal["pending", "running", "done", "failed", "pruned", "interrupted"]
DATA_PLACES = ("dataset_dir", "image_dir", "anno_path")
"""Keys of a data set's section that hold its paths."""
IMPORTED = "imported"
"""Fact of a run that was made of another program's logs (`runner import`): where it comes from. Such a run has no config."""
FINISHED: frozenset[str] = frozenset({"done", "failed", "pruned"})


@dataclass(frozen=True, slots=True)
class PrimaryMetric:
    """Metric that decides which of two runs is better, where the user names none.

    Args:
        name: its tag in metrics.jsonl.
        goal: the better direction.
        also: tags that are shown beside it.
    """

    name: str
    goal: Goal = "maximize"
    also: tuple[str, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """Its tag and those shown beside it."""
        return (self.name, *self.also)


FORMER_METRIC = PrimaryMetric(*legacy.PRIMARY_METRIC)
"""Primary metric of every run of version 0.1."""


@dataclass(frozen=True, slots=True)
class Identity:
    """run.json: identity of the run. Written once, by the driver, before the first attempt starts.

    Args:
        id: name of the directory, unique in its sweep: ``0003-batch_size=8-s1``.
        sweep: name of the sweep, or None for a run by itself.
        trial: number of the trial (0 is the baseline).
        seed: the run's seed.
        overrides: dotted key to value, against the sweep's config; what makes this trial differ.
        key: hash of everything that can change the result (see `runner.sweep.plan.run_key`); equal keys are the same run.
        facts: recorded, not hashed: code commit, packages, host, devices, config file as given.
        label: the trial for people: ``batch_size=8``; empty where it was not recorded.
        proposal: how an adaptive search proposed the trial, in its own terms (Optuna's parameters, distributions, system attributes), so
            that its database can be rebuilt from the run directories; empty for a fixed design.
        trial_keys: dotted keys of config.yml that identify the trial, each with all keys below it: those that can change a result, except
            the seed. A data set's paths are included if its content was not known. None: an older version made the run.
        metric: as its backend declared it when the run was planned.
        varied: dotted keys that some trial of its sweep varies, derived ones included; empty for a run by itself, and in older files.
    """

    id: Name
    sweep: str | None
    trial: Count
    seed: Count
    overrides: Mapping[str, Any]
    key: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    proposal: Mapping[str, Any] = field(default_factory=dict)
    trial_keys: Sequence[str] | None = None
    metric: PrimaryMetric = FORMER_METRIC
    varied: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Status:
    """status.json: state of the run. Written by the attempt alone.

    Args:
        state: one of `State`.
        reason: why it ended; None while it runs or if it is done.
        attempt: number of the attempt that wrote this.
        step, steps: optimiser steps done, and in all (0: not known yet).
        epoch: epochs done, as a fraction.
        heartbeat: seconds since 1970 when this was written.
        pid: process id of the attempt.
        values: the newest numbers, by tag, for monitors (``train/loss``, ``train/lr``, ``train/images_per_s``, …);
            non-finite ones as strings.
        phase: current activity: ``starting``, ``training``, ``evaluating``, ``saving``, ``ended``.
        cause: failure cause, if the driver handles it specially (see `runner.core.errors.Cause`).
        process: identifies the process behind `pid`, see `runner.core.process.process_mark`; empty if unknown.
        note: what the attempt found before it began to train, for people (the weights that it loaded); empty if nothing.
        host: the machine that it runs on; empty in files of older versions, which knew one machine.
        early_stop: why training ended before its planned length (`early_stop` of the config); empty if it did not.
        planned_steps: that length in optimiser steps, `steps` being those that were made; 0 if it did not.
        warning: a problem the attempt noticed in its training, for people (`runner.training.learning`); empty if nothing.
    """

    state: State = "pending"
    reason: str | None = None
    attempt: Count = 0
    step: Count = 0
    steps: Count = 0
    epoch: Moment = 0.0
    heartbeat: Moment = 0.0
    pid: Count = 0
    values: Mapping[str, float | str] = field(default_factory=dict)
    phase: str = "starting"
    cause: Cause | None = None
    process: str = ""
    warning: str = ""
    note: str = ""
    host: str = ""
    early_stop: str = ""
    planned_steps: Count = 0


@dataclass(frozen=True, slots=True)
class Override:
    """override.json: conclusion of the driver about the last attempt, if that could not report its end itself.

    Args:
        state: the state the run counts as from now on.
        reason: for people: "worker was killed by SIGKILL after step 120; log: …/worker.log".
        attempt: the attempt it refers to; a later attempt's status outranks it.
        time: seconds since 1970.
        cause: see `Status.cause`.
        retries: how often the run has been started again because it failed, this time not counted.
        final: later reports of the attempt are ignored: the run was pruned, or its result was taken from another sweep.
    """

    state: State
    reason: str
    attempt: Count
    time: Moment
    cause: Cause | None = None
    retries: Count = 0
    final: bool = False


@dataclass(frozen=True, slots=True)
class _ClassRow:
    """Numbers of a class in eval.json that are shown."""

    name: str
    ap: float | None = None
    ap50: float | None = None
    ar100: float | None = None
    boxes: Count = 0


_RESULTS: dict[str, Any] = {
    "step": Count,
    "images": Count,
    "classes": list[str],
    "metrics": Mapping[str, float | Literal["NaN", "Infinity", "-Infinity"] | None],
    "per_class": list[_ClassRow],
}
"""Types of the parts of eval.json that are read elsewhere."""


class RunDir:
    """Paths and readers of one run directory. Creating this object touches no file, and creating thousands takes no time."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"RunDir({str(self.path)!r})"

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yml"

    @property
    def identity_file(self) -> Path:
        """Identity of the run."""
        return self.path / "run.json"

    @property
    def status_file(self) -> Path:
        """State of the run."""
        return self.path / "status.json"

    @property
    def override_file(self) -> Path:
        """Conclusion of the driver."""
        return self.path / "override.json"

    @property
    def control(self) -> Path:
        """Requests of the driver."""
        return self.path / "control.jsonl"

    @property
    def metrics(self) -> Path:
        """The records."""
        return self.path / "metrics.jsonl"

    @property
    def predictions(self) -> Path:
        """COCO results of the last checkpoint."""
        return self.path / "predictions.json"

    @property
    def evaluation(self) -> Path:
        """Evaluation of the predictions."""
        return self.path / "eval.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def media_index(self) -> Path:
        """Index of the images, histograms, embeddings, graphs and texts."""
        return self.path / "media.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the process that works on the run (see `runner.core.lock`)."""
        return self.path / "run.lock"

    @property
    def log(self) -> Path:
        """Output of the worker."""
        return self.path / "worker.log"

    @property
    def name(self) -> str:
        """The directory's own name."""
        return self.path.name

    def files(self) -> tuple[Path, ...]:
        """Return the paths of a run's regular files, whether they exist or not."""
        described = (self.config, self.identity_file, self.status_file, self.override_file, self.control, self.lock)
        return (*described, self.metrics, self.media_index, self.predictions, self.evaluation, self.log, self.checkpoints / "index.json")

    def exists(self) -> bool:
        """Return whether a driver has made this a run directory (run.json is its first essential file)."""
        return os.path.isfile(self.identity_file)  # unlike Path.is_file, also False for a name too long

    def tracker(self, name: str) -> Path:
        """Folder of a tracker's files: ``tensorboard`` or ``visualdl``."""
        return self.path / name

    def identity(self) -> Identity | None:
        """run.json, or None if it is missing or incomplete."""
        return build(Identity, read_json(self.identity_file))

    def primary_metric(self) -> PrimaryMetric:
        """Return the metric that decides, as run.json states it."""
        identity = self.identity()
        return FORMER_METRIC if identity is None else identity.metric

    def status(self) -> Status:
        """Return the run's state: status.json, replaced by an override of the same or a later attempt. Never raises.

        The attempt is then the override's: an attempt killed before it wrote anything counts too, so that the next one
        gets a new number.
        """
        status = self.written_status() or Status()
        override = self.override()
        if override is None or override.attempt < status.attempt or (status.state in FINISHED and not override.final):
            return status
        return replace(status, state=override.state, reason=override.reason or None, attempt=override.attempt, cause=override.cause)

    def written_status(self) -> Status | None:
        """status.json as the attempt wrote it, or None."""
        found = build(Status, read_json(self.status_file))
        return found and replace(found, values=legacy.upgrade_values(dict(found.values)))

    def override(self) -> Override | None:
        """override.json, or None."""
        return build(Override, read_json(legacy.override_file(self.override_file)))

    def records(self) -> list[Record]:
        """Return the records that count (see `runner.store.records.read_records`)."""
        return read_records(self.metrics)

    def media(self) -> list[Medium]:
        """Return the files of `media_index` that count, by step (see `runner.store.media.read_media`)."""
        return read_media(self.path)

    def results(self) -> dict[str, Any] | None:
        """eval.json: what was computed from the last checkpoint's predictions, or None before the run's end."""
        value = read_json(self.evaluation)
        return value if isinstance(value, dict) and all(fits(value[key], hint) for key, hint in _RESULTS.items() if key in value) else None

    def damaged(self, whole: Collection[Path] = ()) -> list[Path]:
        """Return the run's JSON files that exist but cannot be used; those in `whole` are known to be usable, and not read again."""
        override = legacy.override_file(self.override_file)
        readers: dict[Path, Callable[[], object]] = {
            self.identity_file: self.identity,
            self.status_file: self.written_status,
            override: self.override,
            self.evaluation: self.results,
        }
        return [file for file, read in readers.items() if file not in whole and os.path.lexists(file) and read() is None]

    def write_status(self, status: Status, *, durable: bool = False) -> None:
        """Replace status.json (the attempt only)."""
        atomic_write_json(self.status_file, asdict(status), durable=durable)

    def write_identity(self, identity: Identity, *, durable: bool = True) -> None:
        """Write run.json (the driver only, once)."""
        atomic_write_json(self.identity_file, asdict(identity), durable=durable, indent=2)

    def write_override(self, override: Override) -> None:
        """Replace override.json (the driver only)."""
        atomic_write_json(self.override_file, asdict(override), indent=2)

    def request(self, action: Literal["stop", "pause", "prune"], reason: str) -> None:
        """Ask the running attempt for something (the driver only): append to control.jsonl."""
        line = json.dumps({"action": action, "reason": reason, "time": time.time()}, ensure_ascii=False)
        with open_lines(self.control) as file:
            file.write(line.encode() + b"\n")


def trained_run(path: Path) -> RunDir:
    """Return the directory of a run that was trained here.

    Raises:
        InputError: it is no run directory, or its run was imported, so that it has neither a config nor weights.
    """
    run_dir = RunDir(path)
    if not run_dir.exists():
        raise InputError(not_a_run(path))
    identity = run_dir.identity()
    if identity is not None and identity.facts.get(IMPORTED):
        text = f"is an imported run: it has curves alone, no config and no weights; to see them: runner dashboard {shell_path(path)}"
        raise InputError(Problem(text, where=str(path)))
    return run_dir


def not_a_run(path: Path) -> Problem:
    """Say why `path` is no run directory, and what to give instead."""
    if path.is_file():
        is_config = path.suffix in (".yml", ".yaml")
        text = f"is a file, not a run directory{f'; a config is given by -c {shell_path(path)}' if is_config else ''}"
    elif (path / "plan.json").is_file():
        names = [run.path.name for run in find_runs([path])]
        text = f"is a sweep, not a run directory; its runs are in {path / 'runs'}: {listed(names, _MOST_NAMED)}"
    elif path.is_dir():
        text = "is not a run directory (it has no run.json)" + _LISTED
    else:
        text = f"is not a run directory: it does not exist{similar_name(path) or _LISTED}"
    return Problem(text, where=str(path))


def not_a_directory(path: Path) -> Problem:
    """Say that `path` is no directory, where that of a sweep or a run is expected, and which one may be meant."""
    if path.exists():
        runs = Path("runs", path.stem)
        hint = f"; did you mean {shell_path(runs)}?" if path.suffix in (".yml", ".yaml") and runs.is_dir() else ""
        return Problem(f"is a file; give the directory of a sweep or a run, such as runs/NAME{hint}", where=str(path))
    text = similar_name(path) or f"{_LISTED}; a sweep makes its directory when it starts: start the sweep first"
    return Problem(f"no such directory{text}", where=str(path))


def check_directories(paths: Iterable[Path]) -> None:
    """Raise InputError where a path is no directory, naming each."""
    if wrong := [path for path in paths if not path.is_dir()]:
        raise InputError([not_a_directory(path) for path in wrong])


def no_runs(paths: Iterable[Path]) -> InputError:
    """Return the error that there is no run at or below any of `paths`."""
    return InputError(f"no run in {', '.join(map(str, paths))}: a run directory has a run.json")


def find_runs(paths: list[Path]) -> Iterator[RunDir]:
    """Yield the run directories at or below each of `paths`, in the order of their names (s2 before s10); a directory is yielded once."""
    seen: set[Path] = set()
    for path in paths:
        own = path / "run.json"
        for identity in [own] if own.is_file() else sorted(path.rglob("run.json"), key=lambda found: natural(str(found))):
            folder = identity.parent
            if folder.resolve() not in seen:
                seen.add(folder.resolve())
                yield RunDir(folder)
