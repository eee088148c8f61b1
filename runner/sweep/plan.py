"""From a config or a sweep file to runs that can start: every one resolved, named and given its key before the first begins."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from runner import __version__, evaluation
from runner.backends.base import BACKENDS, BatchSizeChoice, LoadsModels
from runner.config.bind import former_names
from runner.config.dump import affecting_keys, result_affecting
from runner.config.load import OVERRULED_BY, load_config
from runner.config.node import Node, flatten
from runner.config.overrides import apply_overrides
from runner.config.varied import varied, varied_text
from runner.core.checkout import code_state
from runner.core.errors import InputError, Problem, RunnerError, nearest
from runner.core.expression import Expression
from runner.core.lock import hold_folder
from runner.core.values import ABSENT, MAX_STEM_BYTES, format_value, is_name, same_value, shell_path, value_key
from runner.environments.interpreters import versions
from runner.resolve import Resolved, resolve
from runner.resolve.measured import BATCH_SIZE
from runner.search.base import Baseline, Trial, run_name
from runner.search.points import BASELINE_LABEL, baseline_values
from runner.search.spec import Metric, SweepSpec
from runner.store.legacy import RESOURCE_TAGS
from runner.store.run_dir import DATA_PLACES, Identity, PrimaryMetric, RunDir
from runner.sweep.moved import data_of, lost_data, moved_data
from runner.sweep.origin import all_changes, original_file
from runner.sweep.trial_source import TrialSource
from runner.weights.locate import weights_fingerprint
from runner.weights.names import KEY as PRETRAIN_WEIGHTS
from runner.weights.names import without_pin


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run that can start.

    Args:
        run_dir: where it is, or will be, kept.
        trial, seed: what it is in its sweep.
        resolved: its resolved config; None if it is only inspected, or was already written to disk.
        identity: what run.json says, or will say.
    """

    run_dir: RunDir
    trial: Trial
    seed: int
    resolved: Resolved | None
    identity: Identity


def plan_single(resolved: Resolved, run_dir: RunDir, overrides: Sequence[str] = ()) -> PlannedRun:
    """Return the run of `runner train`: a trial by itself."""
    seed = resolved.config.seed
    changes = all_changes(resolved.path, overrides)
    trial = Trial(0, changes, run_dir.name)
    identity = Identity(
        run_dir.name,
        None,
        0,
        seed,
        changes,
        run_key(resolved),
        facts(resolved),
        trial_keys=trial_keys(resolved),
        metric=_primary_metric(resolved),
    )
    return PlannedRun(run_dir, trial, seed, resolved, identity)


def plan_again(run_dir: RunDir, config: Path | None = None, overrides: Sequence[str] = ()) -> PlannedRun:
    """Return the run in an existing directory, from its own config.yml.

    Args:
        config, overrides: given in addition by the user; they must resolve to the same run.

    Raises:
        InputError: its files are damaged, or `config` and `overrides` resolve to another run (the message lists the keys that differ).
    """
    identity = run_dir.identity()
    if identity is None:
        raise InputError(Problem("run.json is missing or damaged", where=str(run_dir.path)))
    tree = load_config(run_dir.config)
    lost = lost_data(tree)
    given = None
    if config is not None:
        given = resolve(config, overrides, batch_size=_own_batch_size(tree))
    elif overrides:
        changed = apply_overrides(tree, overrides)
        given = resolve(run_dir.config, overrides, values=moved_data(changed, run_dir) if lost_data(changed) else {}, settled=True)
    places = {} if not lost else moved_data(tree, run_dir) if given is None else data_of(given)
    resolved = resolve(run_dir.config, values=places, values_from=str(run_dir.config), settled=True)
    if given is not None and run_key(given) != run_key(resolved):
        differing = ", ".join(differing_keys(resolved, given)) or "its data"
        text = f"cannot resume: the config given differs from this run's in {differing}; a resumed run keeps its config. To train"
        text += f" further with other settings, start a new run from its weights: runner train --from {shell_path(run_dir.path)} -o …"
        raise InputError(Problem(text, where=str(run_dir.path)))
    _check_data(resolved, identity, run_dir, lost)
    if places:
        note = f"its data has moved, unchanged, to {resolved.config.train_dataset.dataset_dir}"
        resolved = replace(resolved, notes=(*resolved.notes, note))
    trial = Trial(identity.trial, identity.overrides, run_dir.name)
    return PlannedRun(run_dir, trial, identity.seed, resolved, identity)


def _own_batch_size(tree: Node) -> BatchSizeChoice | None:
    """Return what ``auto`` meant for the run whose config this is."""
    node = tree.get(BATCH_SIZE)
    return BatchSizeChoice(node.value, "as before") if node is not None and isinstance(node.value, int) else None


def _check_data(resolved: Resolved, identity: Identity, run_dir: RunDir, lost: Mapping[str, Path]) -> None:
    """Refuse to continue a run on different data. Raises InputError."""
    recorded = identity.facts.get("data")
    sets = {"train": ("TrainDataset", resolved.config.train_dataset), "eval": ("EvalDataset", resolved.config.eval_dataset)}
    problems = []
    for which, (section, data) in sets.items():
        before = recorded.get(which) if isinstance(recorded, Mapping) else None
        if before and dataset_fingerprint(data) != before:
            gone = f"{lost[section]} is missing, and " if section in lost else ""
            now = Path(data.dataset_dir, data.anno_path)
            text = f"{gone}{now} or its images are not what this run began with; put that data back, or train a new run"
            problems.append(Problem(text, where=str(run_dir.config), key=section))
    if problems:
        raise InputError(problems)


def differing_keys(one: Resolved, other: Resolved) -> list[str]:
    """Return the keys whose values make two configs different runs; empty if only data or versions differ."""
    mine, theirs = (dict(flatten(result_affecting(each.config))) for each in (one, other))
    return [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]


def claim_run_dir(resolved: Resolved, overrides: Sequence[str]) -> RunDir:
    """Make a new directory, ``SAVE_DIR/CONFIG/0001-batch_size=8-s0``, named for what `overrides` vary; concurrent processes get different
    numbers. The config of a run gives the names that this run has (see `runner.sweep.origin`).

    Raises:
        InputError: it cannot be made.
    """
    folder = Path(resolved.config.save_dir) / folder_name(original_file(resolved.path), "--run-dir")
    changes = all_changes(resolved.path, overrides)
    label = varied_text(varied(changes, dict(flatten(resolved.plain)), trial_keys(resolved))) or BASELINE_LABEL
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold_folder(folder):
            taken = [int(found.group()) for path in folder.glob("[0-9]*-*") if (found := re.match(r"\d+", path.name))]
            for number in itertools.count(max(taken, default=0) + 1):
                path = folder / run_name(Trial(number, changes, label), resolved.config.seed)
                with suppress(FileExistsError):  # where folders have no locks
                    path.mkdir()
                    return RunDir(path)
    except OSError as error:
        raise InputError(Problem(f"the run directory cannot be written: {error.strerror}", where=str(folder))) from error
    raise AssertionError("numbers do not end")


class ConfigChanged(RunnerError):
    """A file that a sweep was planned from has changed while it runs."""


def folder_name(file: Path, option: str) -> str:
    """Return the folder name for the runs of a config or sweep file: the file's name without its suffix.

    Args:
        option: the command-line option that sets another folder.

    Raises:
        InputError: that is not a folder name: ``...yml`` would mean the parent folder.
    """
    if not is_name(file.stem):
        text = (
            f"the runs of {file.name!r} would lie in the folder {file.stem!r}, which is not a valid name; rename the file, or give {option}"
        )
        raise InputError(Problem(text, where=str(file)))
    return file.stem


def refuse_parent(folder: Path, option: str) -> None:
    """Refuse a new directory that is the current folder or one above it. Raises InputError."""
    here = Path(os.path.realpath(Path.cwd()))
    if Path(os.path.realpath(folder)) in (here, *here.parents) and not (folder / "plan.json").is_file():
        text = "is the current folder or one above it; expected a directory of its own, such as runs/NAME"
        raise InputError(Problem(text, where=str(folder), key=option))


def refuse_long(folder: Path, option: str) -> None:
    """Refuse a new directory whose name is too long for those that are made from it. Raises InputError."""
    if len(folder.name.encode("utf-8", "surrogatepass")) > MAX_STEM_BYTES and not (folder / "plan.json").is_file():
        text = f"the name is too long; expected at most {MAX_STEM_BYTES} bytes in UTF-8, as other names are made from it: give {option}"
        raise InputError(Problem(text, where=str(folder)))


def refuse_file(folder: Path, option: str) -> None:
    """Refuse a directory that cannot be made because a file is in its place, or in that of a folder above it. Raises InputError."""
    there = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), None)
    if there is not None and not there.is_dir():
        raise InputError(Problem("is not a directory; expected a directory, or a name that is free", where=str(there), key=option))


class SweepPlan:
    """The runs of a sweep's trials. A trial is resolved, and so fully checked, when its runs are requested.

    Args:
        make_dataset, to_run, batch_size: see `runner.resolve.resolve`.

    Raises:
        InputError: the baseline cannot be resolved, or the metric is none that an evaluation has.
    """

    def __init__(
        self,
        spec: SweepSpec,
        sweep_file: Path,
        folder: Path,
        overrides: Sequence[str] = (),
        *,
        make_dataset: Callable[[str], None] | None = None,
        to_run: bool = True,
        batch_size: BatchSizeChoice | None = None,
    ) -> None:
        self.folder = folder
        self._source = TrialSource.of(spec, sweep_file, overrides, make_dataset=make_dataset, to_run=to_run, batch_size=batch_size)
        self.first = self._source.resolve({"seed": spec.seeds[0]})
        """The baseline with the first seed."""
        self.spec = spec if spec.metric is not None else replace(spec, metric=_default_metric(self.first))
        """The sweep, its metric decided."""
        _check_metrics(self.spec, self.first, sweep_file)
        self.baseline_values: Mapping[str, Any] = dict(flatten(_as_written(self.first)))
        """Dotted key to the baseline's resolved value."""
        self._baseline = _values(self.first)
        self._given = load_config(self._source.config).plain()
        self.names: dict[str, tuple[str, str]] = {}
        """Key to the id of the run that has it and the name of its directory; other runs are named for their trial and seed."""

    def baseline(self, key: str) -> Any:
        """Return the baseline's resolved value of a dotted key; `ABSENT` if it has none."""
        return self._baseline(key)

    def digest(self) -> str:
        """Hash of all that the plan of a fixed design comes from: while it stays, so does the plan."""
        everything = [asdict(self.spec), self._source.overrides, self._given, run_key(self.first)]
        return hashlib.sha256(json.dumps(everything, sort_keys=True, default=str).encode()).hexdigest()[:20]

    def check_unchanged(self) -> None:
        """Check that the config's files have not changed since this plan was made.

        Raises:
            ConfigChanged: they have.
        """
        try:
            given = load_config(self._source.config).plain()
        except InputError as error:
            raise ConfigChanged(f"the config can no longer be read ({error}); restore it and run the same command again") from error
        if given != self._given:
            raise ConfigChanged(
                f"the config {self._source.config} changed while the sweep ran; restore it and run the same command again, or start "
                "another sweep: runner sweep --dir DIR"
            )

    def seeds(self, trial: Trial) -> tuple[int, ...]:
        """Return the seeds that `trial` is to be run with."""
        return self.spec.seeds if trial.seeds is None else trial.seeds

    def runs(self, trial: Trial) -> list[PlannedRun]:
        """Return the runs of `trial`, one per seed.

        Raises:
            InputError: with everything that is wrong in it.
        """
        return self._plan(trial, to_start=True)

    def _plan(self, trial: Trial, *, to_start: bool) -> list[PlannedRun]:
        """Plan the runs of a trial; without `to_start` they lack facts and trial keys, which take as long to compute as everything else."""
        seeds = self.seeds(trial)
        try:
            resolved = self._source.resolve({**trial.overrides, "seed": seeds[0]})
        except InputError as error:
            raise InputError(
                [replace(problem, where=_with_trial(problem, trial, self._source.file)) for problem in error.problems]
            ) from None
        if resolved.unmeasured and not self.first.unmeasured:
            text = "is auto in a trial; the batch size is measured once per sweep: set auto in the config and numbers in trials"
            raise InputError(Problem(text, where=f"{self._source.file} (trial {trial.label})", key=resolved.unmeasured[0]))
        self._refuse_lost(trial, resolved)
        overrides, proposal = dict(trial.overrides), dict(trial.proposal)
        shared = Identity("", self.folder.name, trial.number, 0, overrides, "", label=trial.label, proposal=proposal)
        if to_start:
            keys, metric = trial_keys(resolved), _primary_metric(resolved)
            shared = replace(shared, facts=facts(resolved), trial_keys=keys, metric=metric, varied=self.spec.varied_keys())
        return [self._run(trial, seed, replace(resolved, config=replace(resolved.config, seed=seed)), shared) for seed in seeds]

    def all_runs(self, trials: Sequence[Trial]) -> list[PlannedRun]:
        """Return the runs of all `trials`, without their configs, facts and trial keys.

        Raises:
            InputError: with everything that is wrong in any of them.
        """
        problems: list[Problem] = []
        runs: list[PlannedRun] = []
        for trial in trials:
            try:
                runs += [replace(run, resolved=None) for run in self._plan(trial, to_start=False)]
            except InputError as error:
                problems += error.problems
        problems += _same_runs(runs, self._source.file)
        if problems:
            raise InputError(dict.fromkeys(problems))
        return runs

    def _run(self, trial: Trial, seed: int, resolved: Resolved, shared: Identity) -> PlannedRun:
        """Plan the run of one seed; `shared` is what it has in common with the trial's other runs."""
        key = run_key(resolved)
        name = run_name(trial, seed)
        name, directory = self.names.get(key, (name, name))
        run_dir = RunDir(self.folder / "runs" / directory)
        return PlannedRun(run_dir, trial, seed, resolved, replace(shared, id=name, seed=seed, key=key))

    def _refuse_lost(self, trial: Trial, resolved: Resolved) -> None:
        """Refuse a trial whose resolved config lacks a value it is named after: a value without effect does not make a separate trial.

        A value that is not found as given may be spelled differently or have been translated (a path): then the config differs without it.
        """
        plain = resolved.plain
        held = _values(resolved)
        problems = []
        for key, value in trial.overrides.items():
            by = overruled_by(key, held)
            if by or (not _contains(held(key), value) and self._is_same_without(key, trial, plain, resolved.config.seed)):
                stays = f"{by} ({format_value(held(by))}) takes precedence" if by else f"the resolved config has {_shown(held(key))}"
                text = f"{format_value(value)} has no effect in this trial: {stays}; remove it"
                problems.append(Problem(text, where=f"{self._source.file} (trial {trial.label})", key=key))
        if problems:
            raise InputError(problems)

    def _is_same_without(self, key: str, trial: Trial, plain: Mapping[str, Any], seed: int) -> bool:
        others = {name: value for name, value in trial.overrides.items() if name != key}
        try:
            return self._source.resolve({**others, "seed": seed}).plain == plain
        except InputError:
            return False  # it is needed


def renumber(trials: Sequence[Trial], numbers: dict[int, Mapping[str, Any]]) -> list[Trial]:
    """Keep the numbers of trials that the sweep had before; numbers of removed trials are never reused.

    Args:
        numbers: number to overrides of those it had.
    """
    result: list[Trial] = []
    had = {value_key(overrides): number for number, overrides in reversed(numbers.items())}
    taken, fresh = set(numbers), max(numbers, default=-1) + 1
    for trial in trials:
        old = had.get(value_key(trial.overrides))
        if old is not None:
            result.append(replace(trial, number=old))
        else:
            number = fresh if trial.number in taken else trial.number
            result.append(replace(trial, number=number))
            taken.add(number)
            fresh = max(fresh, number + 1)
    return result


def run_key(resolved: Resolved) -> str:
    """Hash of everything that can change the run's result: equal keys are the same run.

    Of the config the keys that can change a number, the data's content, the initial weights' content, and the versions of what computes:
    packages, and the numerics version that a backend and the evaluation count up when a change of theirs changes numbers. Seed and
    threads are keys of the config. Code, packages and host are recorded (see `facts`) and not hashed.
    """
    config = resolved.config
    data = {
        "config": result_affecting(config),
        "train": dataset_fingerprint(config.train_dataset),
        "eval": dataset_fingerprint(config.eval_dataset),
        "weights": weights_fingerprint(config.pretrain_weights),
        "versions": numerics_versions(resolved),
        "numerics": [resolved.backend.numerics_version, evaluation.NUMERICS_VERSION],
    }
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:20]


def trial_keys(resolved: Resolved) -> list[str]:
    """Return the dotted keys that identify the run's trial (see `runner.store.run_dir.Identity`).

    They are the ones that `run_key` has, without the seed. A data set is identified by its content if that is known, otherwise by its path.
    """
    config = resolved.config
    keys = [key for key in affecting_keys(config, resolved.plain) if key != "seed"]
    for section, data in (("TrainDataset", config.train_dataset), ("EvalDataset", config.eval_dataset)):
        if data is not None and not dataset_fingerprint(data):
            keys += [f"{section}.{name}" for name in DATA_PLACES]
    return keys


def dataset_fingerprint(dataset: Any) -> str:
    """Hash of a data set's annotations and its images' names and sizes; empty where it does not exist yet, and for None."""
    if dataset is None:
        return ""
    folder = Path(dataset.dataset_dir)
    annotations, images = folder / dataset.anno_path, folder / dataset.image_dir
    return _fingerprint(annotations, images, annotations.stat().st_mtime_ns) if annotations.is_file() else ""


def numerics_versions(resolved: Resolved) -> dict[str, str]:
    """Versions of the packages whose arithmetic the result comes from, and the GPU's name if it is used."""
    found = _package_versions(resolved)
    if resolved.config.use_gpu and resolved.probe is not None:
        found["gpu"] = ", ".join(resolved.probe.gpus[:1])
    return found


def facts(resolved: Resolved) -> dict[str, Any]:
    """Return the recorded facts about a run's origin, for people: none of them affects the run key."""
    probe = resolved.probe
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "config_file": str(original_file(resolved.path)),
        "command": sys.argv,
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "packages": {"detection-runner": __version__, **_package_versions(resolved)},
        "data": {"train": dataset_fingerprint(resolved.config.train_dataset), "eval": dataset_fingerprint(resolved.config.eval_dataset)},
        "gpus": list(probe.gpus) if probe else [],
        "driver": probe.driver if probe else "",
        "code": _code_state(Path(__file__).parent),
        "config_code": _code_state(Path(os.path.realpath(resolved.path)).parent),
    }


@functools.lru_cache(maxsize=64)
def _fingerprint(annotations: Path, images: Path, _changed_ns: int) -> str:
    from runner.data.coco import fingerprint  # noqa: PLC0415 - it brings NumPy, which a sweep without data does not need

    return fingerprint(annotations, images)


def _package_versions(resolved: Resolved) -> dict[str, str]:
    if resolved.python is None:
        return {}
    backend = resolved.backend
    own = BACKENDS.distribution(backend.name)
    chosen = backend.model_packages(resolved.config) if isinstance(backend, LoadsModels) else ()
    return dict(versions(resolved.python, (*backend.packages, *filter(None, [own]), *chosen)))


_code_state = functools.lru_cache(maxsize=8)(code_state)


def _contains(held: Any, value: Any) -> bool:
    """Return whether a resolved value is `value`; of a mapping every key that it gives (the defaults of others are written out)."""
    if isinstance(value, Mapping) and isinstance(held, Mapping):
        return all(_contains(held.get(key), item) for key, item in value.items())
    if isinstance(value, list | tuple) and isinstance(held, list | tuple):
        return len(value) == len(held) and all(map(_contains, held, value))
    return same_value(held, value)


def overruled_by(key: str, held: Baseline) -> str:
    """Return the key of a schedule that goes before `key` in a resolved config; empty if there is none (see `OVERRULED_BY`)."""
    folder, _, name = key.rpartition(".")
    other = f"{folder}.{OVERRULED_BY.get(name, '')}"
    first = name not in OVERRULED_BY or not folder.startswith("LearningRate.") or held(f"{folder}.epochs_first") is False
    return "" if first or held(other) in (None, ABSENT) else other


def _shown(value: Any) -> str:
    return "no such key" if value is ABSENT else format_value(value)


def _values(resolved: Resolved) -> Baseline:
    """Return the values of a resolved config by their keys, and by former names that a sweep of an older version may use."""
    plain, former = _as_written(resolved), former_names(type(resolved.config))
    return baseline_values(plain | {old: plain[new] for old, new in former.items()})


def _as_written(resolved: Resolved) -> dict[str, Any]:
    """Return a resolved config without the digest of initial weights: a sweep file has their name alone."""
    plain = resolved.plain
    weights = plain.get(PRETRAIN_WEIGHTS)
    return {**plain, PRETRAIN_WEIGHTS: without_pin(weights)} if isinstance(weights, str) else plain


def _same_runs(runs: Sequence[PlannedRun], sweep_file: Path) -> list[Problem]:
    """Refuse two trials that resolve to the same run: their names promise a difference that does not exist."""
    first: dict[str, PlannedRun] = {}
    found: dict[tuple[int, int], Problem] = {}
    for run in runs:
        other = first.setdefault(run.identity.key, run)
        if other.trial.number != run.trial.number:
            text = (
                f"{other.run_dir.name} and {run.run_dir.name} are the same run: the values they are named after do not affect the result; "
                "remove one of the two trials"
            )
            found.setdefault((other.trial.number, run.trial.number), Problem(text, where=str(sweep_file)))
    return list(found.values())


def _primary_metric(resolved: Resolved) -> PrimaryMetric:
    return resolved.backend.metrics(resolved.config).primary


def _default_metric(baseline: Resolved) -> Metric:
    primary = _primary_metric(baseline)
    return Metric(name=primary.name, goal=primary.goal)


def _check_metrics(spec: SweepSpec, baseline: Resolved, sweep_file: Path) -> None:
    """Refuse a metric that no evaluation will have, before training rather than after it. Classes are not known here."""
    metrics = baseline.backend.metrics(baseline.config)
    known = [*metrics.tags, *RESOURCE_TAGS.values()]
    used = [("metric.name", metric.name) for metric in spec.metrics]
    used += [(f"constraints.{index}", name) for index, text in enumerate(spec.constraints) for name in sorted(Expression.parse(text).names)]
    problems = []
    for key, name in used:
        if name not in known and not metrics.has(name):
            hint = nearest(name, [*known, *(f"{prefix}<class>" for prefix in metrics.prefixes)])
            if name in RESOURCE_TAGS:
                hint = f"it is now called {RESOURCE_TAGS[name]!r}, in GiB (2**30 bytes)"
            problems.append(Problem(f"no evaluation has {name!r}; {hint or 'see docs/run-directory.md'}", where=str(sweep_file), key=key))
    if problems:
        raise InputError(problems)


def _with_trial(problem: Problem, trial: Trial, sweep_file: Path) -> str:
    return f"{problem.where} (trial {trial.label})" if problem.where in ("", str(sweep_file)) else problem.where
