"""Checks one run directory of a sweep, for `runner.sweep.verify`."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from array import array
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from runner.config.load import load_config
from runner.core.errors import InputError, NotInstalled, PluginError
from runner.core.files import atomic_open, atomic_write_text, move_aside, numbered_lines, open_regular, parse_json, read_bytes
from runner.core.values import shell_path
from runner.monitor.progress import is_worked_on
from runner.resolve import resolve
from runner.store import legacy
from runner.store.checkpoints import CheckpointFolder, read_index, write_index
from runner.store.events import RecordsLost, RunEnded, RunStarted, TrialQueued
from runner.store.journal import Journal
from runner.store.media import is_media_line
from runner.store.records import Record, decode_number, stream_all_records, stream_records
from runner.store.run_dir import FINISHED, Identity, Override, RunDir, Status
from runner.sweep.findings import Findings
from runner.sweep.plan import dataset_fingerprint, numerics_versions, run_key
from runner.sweep.runs import config_text, reopen
from runner.sweep.sweep_dir import SweepDir

_SHOWN_LINES = 5
_SHOWN_DOUBLED = 3
_IDENTIFYING = ("trial", "seed", "key")


@dataclass(slots=True)
class Past:
    """Record of a run in plan and journal.

    Args:
        planned: its entry in plan.json; started: the newest event of its start or end; ended: of its end, if that is the newest; trial: the
            event of its trial; lost: what of its records an earlier repair found lost.
    """

    planned: Mapping[str, Any] | None = None
    started: RunStarted | RunEnded | None = None
    ended: RunEnded | None = None
    trial: TrialQueued | None = None
    lost: set[str] = field(default_factory=set)

    def known(self) -> dict[str, Any]:
        """Return the fields of the run's identity, as far as plan and journal have them; the plan outranks the journal."""
        known: dict[str, Any] = {}
        if self.trial is not None:
            known |= {name: getattr(self.trial, name) for name in ("trial", "overrides", "label", "proposal")}
        if self.started is not None:
            known |= {name: getattr(self.started, name) for name in _IDENTIFYING}
        return known | dict(self.planned or {})


def verify_run(run: RunDir, past: Past, sweep: SweepDir, findings: Findings, *, driven: bool) -> Identity | None:
    """Verify everything in a run's directory and return the run's identity; None if it cannot be determined.

    Args:
        driven: a driver is working on the sweep, so an incomplete file may be complete in a moment.
    """
    for path in run.files():
        set_aside_no_file(path, findings)
    identity = _check_identity(run, past, sweep, findings)
    if identity is None:
        return None
    _check_config(run, identity, sweep, findings)
    status = _check_status(run, past, findings, driven)
    last = _check_records(run, status, findings, driven, _Losses(identity.id, past, sweep, findings))
    _check_checkpoints(run, status, findings)
    _check_results(run, status, last, sweep, findings)
    return identity


def verify_result(run: RunDir, sweep: SweepDir, findings: Findings) -> None:
    """Check the records and the result of a run that is done, wherever it lies.

    Args:
        sweep: the sweep, which names the deciding metric.
    """
    status = run.status()
    _check_results(run, status, _check_records(run, status, findings, False, _Losses(run.name, Past(), sweep, findings)), sweep, findings)


def check_lines(path: Path, findings: Findings, driven: bool, is_line: Callable[[bytes], bool]) -> None:
    """Check each line of a file of JSON lines by `is_line`."""
    if not path.is_file():
        return
    torn: list[int] = []
    count, last = 0, True
    for line in _every_line(path):
        count, last = count + 1, line is not None and (not line or is_line(line))
        if not last and len(torn) < _SHOWN_LINES + 2:
            torn.append(count)
    ends = _ends_with_newline(path)

    def rewrite() -> None:
        with atomic_open(path) as file:
            file.writelines(line + b"\n" for line in _every_line(path) if line and is_line(line))

    if not ends and not driven:
        findings.wrong(path, f"its last line, {count}, is torn", "readers skip it", rewrite)
    torn = [number for number in torn if ends or number != count]
    if torn:  # the next writer ends the torn line of a killed one, so it is no longer the last line
        which = ", ".join(map(str, torn[:_SHOWN_LINES])) + (", …" if len(torn) > _SHOWN_LINES else "")
        findings.wrong(path, f"lines are torn or damaged: {which}", "readers skip them", rewrite)


def _every_line(path: Path) -> Iterator[bytes | None]:
    with open_regular(path) as file:
        yield from numbered_lines(file)


def _ends_with_newline(path: Path) -> bool:
    with open_regular(path) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        return file.read(1) in (b"", b"\n")


def is_record(line: bytes) -> bool:
    """Return whether a line of metrics.jsonl is a record."""
    return Record.from_line(line) is not None


def is_object(line: bytes) -> bool:
    """Return whether a line is a JSON object."""
    try:
        return isinstance(parse_json(line), dict)
    except ValueError:
        return False


def set_aside_no_file(path: Path, findings: Findings) -> None:
    """Report a path that should be a file and is something else; a repair moves it aside.

    A folder, a FIFO, a socket, a device, or a symbolic link that leads nowhere.
    """
    if os.path.lexists(path) and not path.is_file():
        findings.wrong(path, "is a folder" if path.is_dir() else "is no regular file", repair=lambda: move_aside(path))


def _check_identity(run: RunDir, past: Past, sweep: SweepDir, findings: Findings) -> Identity | None:
    identity, path = run.identity(), run.identity_file
    if identity is None and not path.exists() and all(_is_beginning(each) for each in run.path.iterdir()):
        findings.note(run.path, "its driver was killed while creating this directory", "`runner sweep` continues it")
        return None
    if identity is None:
        told = past.known()
        what = "is incomplete or damaged" if path.exists() else "is missing"
        if not {*_IDENTIFYING} <= told.keys():
            findings.wrong(path, f"{what}, and this run is in neither the plan nor the journal", "move the directory away")
            return None
        overrides, label, proposal = told.get("overrides") or {}, told.get("label") or "", told.get("proposal") or {}
        made = Identity(run.name, sweep.path.absolute().name, told["trial"], told["seed"], overrides, told["key"], {}, label, proposal)
        made = _with_facts_of_its_trial(made, sweep)
        findings.wrong(path, what, repair=lambda: run.write_identity(made))
        return made
    journal = None if past.started is None else {name: getattr(past.started, name) for name in _IDENTIFYING}
    for source, known in (("plan.json", past.planned), ("the journal", journal)):
        for name in _IDENTIFYING:
            mine, theirs = getattr(identity, name), (known or {}).get(name)
            if known is not None and mine != theirs:
                findings.wrong(
                    path,
                    f"has {name} {mine!r}, and {source} has {theirs!r} for this run",
                    "move the directory away: the run is then repeated",
                )
    return identity


def _with_facts_of_its_trial(identity: Identity, sweep: SweepDir) -> Identity:
    """Return `identity` completed by the fields that only run.json has and a trial's runs share: trial keys and data."""
    others = [other for run in sweep.run_dirs() if (other := run.identity()) is not None]
    same = next((other for other in others if other.trial == identity.trial), None)
    if others:
        identity = replace(identity, metric=others[0].metric, varied=others[0].varied)
    if same is not None:
        known = {"data": same.facts["data"]} if "data" in same.facts else {}
        identity = replace(identity, facts=known, trial_keys=same.trial_keys, metric=same.metric)
    return identity


def _is_beginning(path: Path) -> bool:
    return path.name == "config.yml" or path.name.startswith(".")


def _check_config(run: RunDir, identity: Identity, sweep: SweepDir, findings: Findings) -> None:
    """Check that config.yml gives the run key, as far as data and packages are still the original ones."""

    def damaged(what: str) -> None:
        """Report the file, and offer a repair only where another run's config yields it."""
        try:
            text = _config_of(run, identity, sweep)
        except OSError as error:
            findings.wrong(run.config, what, f"it cannot be repaired: {error}")
        else:
            findings.wrong(run.config, what, repair=lambda: atomic_write_text(run.config, text))

    if not run.config.is_file():
        damaged("is missing")
        return
    try:
        if load_config(run.config).get("backend") is None:
            raise InputError("it names no backend")
        resolved = resolve(run.config, to_run=False, settled=True)
    except PluginError as error:
        findings.note(run.config, f"was not checked: {error}")
        return
    except InputError as error:
        first = error.problems[0]
        if isinstance(first, NotInstalled):
            findings.note(run.config, f"was not checked: {first.message}", "install the distribution that provides it")
        else:
            damaged(f"is not a valid config: {first.message}")
        return
    facts: Mapping[str, Any] = identity.facts
    packages, data = (found if isinstance(found := facts.get(name), Mapping) else {} for name in ("packages", "data"))
    gpus = found if isinstance(found := facts.get("gpus"), list) else []
    versions = numerics_versions(resolved)
    gpu = versions.pop("gpu", None)
    same = all(packages.get(name, version) == version for name, version in versions.items()) and gpu in (
        None,
        *gpus[:1],
    )
    now = {"train": dataset_fingerprint(resolved.config.train_dataset), "eval": dataset_fingerprint(resolved.config.eval_dataset)}
    if same and (not data or data == now) and run_key(resolved) != identity.key:
        damaged("differs from the config that this run was made with: it was truncated or changed")


def _config_of(run: RunDir, identity: Identity, sweep: SweepDir) -> str:
    """Return the run's config, rebuilt from another run's and the differing overrides and checked by the run key.

    Raises:
        OSError: no other run's config yields it.
    """
    for other in sweep.run_dirs():
        theirs = other.identity()
        if other.name != run.name and theirs is not None and theirs.overrides in ({}, identity.overrides):
            try:
                resolved = resolve(other.config, values={**identity.overrides, "seed": identity.seed}, to_run=False)
            except (InputError, PluginError):
                continue
            if run_key(resolved) == identity.key:
                return config_text(resolved)
    raise OSError("no other run has the same base config; `runner sweep` rewrites it unless the run has ended")


def _check_status(run: RunDir, past: Past, findings: Findings, driven: bool) -> Status:
    """Check the run's state against the journal, and return it."""
    raw, override = run.written_status(), run.override()
    override_file = legacy.override_file(run.override_file)
    if override_file.is_file() and override is None:
        ended = past.ended

        def judge() -> None:
            if ended is not None and ended.state in ("failed", "pruned"):
                attempt = max(raw.attempt if raw is not None else 0, _last_attempt(run))
                run.write_override(Override(ended.state, ended.reason or "", attempt, time.time(), ended.cause, final=True))
            else:
                override_file.unlink()

        findings.wrong(override_file, "is incomplete or damaged", "status.json applies instead", judge)
    status = run.status()
    said = past.ended.state if past.ended is not None else None
    if run.status_file.is_file() and raw is None:
        findings.wrong(run.status_file, "is incomplete or damaged", repair=lambda: _write_status(run, past))
    elif said in FINISHED and status.state != said and not driven:
        what = f"says {status.state}" if run.status_file.is_file() else "is missing"
        findings.wrong(
            run.status_file, f"{what}, but the journal says that the run ended as {said}", repair=lambda: _write_status(run, past)
        )
    elif status.state == "running" and not driven and not is_worked_on(run, status):
        findings.note(run.path, f"was cut off at step {status.step}", "`runner sweep` continues it")
    if override is not None and raw is not None and override.final and raw.state == "done" and override.state in ("pruned", "failed"):
        findings.note(
            run.path, f"is done, but its trial had been pruned or the run replaced before: {override.reason}", "its result does not count"
        )
    return run.status()


def _write_status(run: RunDir, past: Past) -> None:
    """Reconstruct the status from the journal's last event and the records."""
    ended, last = past.ended, _last_record(run)
    step, epoch = (last.step, last.epoch) if last is not None else (0, 0.0)
    if ended is None or ended.state not in FINISHED:
        run.status_file.unlink(missing_ok=True)
        if (attempt := _last_attempt(run)) and run.override() is None:  # the next attempt keeps a number of its own
            run.write_override(Override("interrupted", "status.json was damaged", attempt, time.time()))
        return
    values = {tag: value for tag, value in (ended.values or {}).items() if tag.startswith("resource/")}
    attempt = _last_attempt(run)
    status = Status(ended.state, ended.reason, attempt, step, 0, epoch, ended.time, 0, values, "ended", ended.cause)
    run.write_status(replace(status, steps=step if status.state == "done" else 0), durable=True)


def _last_attempt(run: RunDir) -> int:
    """Return the number of the last attempt that recorded something."""
    return max((record.attempt for record, _ in stream_all_records(run.metrics)), default=0)


def _last_record(run: RunDir) -> Record | None:
    """Return the last record that counts."""
    return next(iter(deque(stream_records(run.metrics), maxlen=1)), None)


@dataclass(frozen=True, slots=True)
class _Losses:
    """Records of a run that are lost for good. A repair notes the loss in the sweep's journal; from then on it is only a note."""

    run: str
    past: Past
    sweep: SweepDir
    findings: Findings

    def tell(self, path: Path, what: str, advice: str = "") -> None:
        if self.findings.repair and what not in self.past.lost:
            journal = Journal(self.sweep.journal)
            journal.append(RecordsLost(self.run, what))
            journal.close()
        elif what not in self.past.lost:
            self.findings.wrong(path, what, "; ".join(filter(None, [advice, "--repair notes the loss in the journal"])))
            return
        self.findings.note(path, what, "; ".join(filter(None, [advice, "this loss is noted in the journal"])))


def _check_records(run: RunDir, status: Status, findings: Findings, driven: bool, losses: _Losses) -> Record | None:
    """Check that every record counts once; return the last evaluation."""
    check_lines(run.metrics, findings, driven, is_record)
    check_lines(run.media_index, findings, driven, is_media_line)
    doubled: list[str] = []
    seen: dict[str, int] = {}
    last = evaluation = None
    in_order = True
    for record in stream_records(run.metrics):
        doubled += [
            f"{tag} at step {record.step}" for tag in record.values if seen.get(tag) == record.step and len(doubled) < _SHOWN_DOUBLED
        ]
        seen |= dict.fromkeys(record.values, record.step)
        in_order = in_order and (last is None or last.step <= record.step)
        last = record
        if record.is_evaluation:
            evaluation = record
    if doubled:
        text = f"has values twice: {', '.join(doubled[:_SHOWN_DOUBLED])}"
        findings.wrong(run.metrics, text, "please report this: an attempt did not record the step it resumed from")
    if not in_order:
        findings.wrong(run.metrics, "its steps do not increase", "please report this: an attempt did not record the step it resumed from")
    if status.state == "done" and (last is None or last.step < status.step):
        at = f"at step {last.step}" if last is not None else "before the first record"
        losses.tell(
            run.metrics, f"ends {at}, and the run ended at step {status.step}: what is missing is lost", "its result is in eval.json"
        )
    for after, on in _lost(run) if in_order else ():
        losses.tell(run.metrics, f"what was recorded after step {after} and before step {on}, where an attempt went on, is lost")
    return evaluation


def _lost(run: RunDir) -> list[tuple[int, int]]:
    """Find gaps at which an attempt continued later than the records before it end: (last recorded step, step it continued from).

    The steps of each attempt increase.
    """
    steps = (step for step, _ in groupby(record.step for record in stream_records(run.metrics)))
    width = _median(Counter(after - before for before, after in pairwise(steps)))
    kept, found = array("q", [0]), []
    for record, _ in stream_all_records(run.metrics):
        if record.resumed:
            del kept[max(1, bisect_right(kept, record.step)) :]
            if record.step - kept[-1] > width:
                found.append((kept[-1], record.step))
        elif record.step != kept[-1]:
            kept.append(record.step)
    return found


def _median(counts: Counter[int]) -> float:
    """Return the median of numbers given with their counts; infinity if there are none."""
    half, below = counts.total() / 2, 0
    for number in sorted(counts):
        below += counts[number]
        if below >= half > 0:
            return number
    return math.inf


def _check_checkpoints(run: RunDir, status: Status, findings: Findings) -> None:
    """Check that the checkpoints in the index have the written bytes."""
    index = run.checkpoints / "index.json"
    if not index.is_file():
        return
    folder = CheckpointFolder(run.checkpoints)
    entries = read_index(index)
    if entries is None:
        findings.wrong(index, "is incomplete or damaged", "checkpoints are found by their names", index.unlink)
        return
    damaged = [entry for entry in entries if not folder.is_whole(entry)]
    left = [entry for entry in entries if entry not in damaged]

    def drop() -> None:
        if not left:
            shutil.rmtree(run.checkpoints)
            return
        write_index(index, left)
        for entry in damaged:
            (run.checkpoints / entry.file).unlink(missing_ok=True)

    if damaged:
        over = status.state in FINISHED
        advice = "" if over else (f"the run continues from step {left[-1].step}" if left else "none is left: the run starts over")
        names = ", ".join(entry.file for entry in damaged)
        findings.wrong(
            run.checkpoints, f"{names}: damaged (contents differ from the recorded SHA-256)", advice, None if over and not left else drop
        )


def _check_results(run: RunDir, status: Status, last: Record | None, sweep: SweepDir, findings: Findings) -> None:
    """Check that a finished run has its result, and the deciding metric."""
    if status.state != "done":
        return
    results = run.results()

    def evaluate_again() -> None:
        journal = Journal(sweep.journal)
        journal.append(reopen(run))
        journal.close()

    metrics = (results or {}).get("metrics")
    if not isinstance(metrics, dict):
        what = "is incomplete or damaged" if run.evaluation.is_file() else "is missing"
        findings.wrong(run.evaluation, what, "--repair lets `runner sweep` evaluate its last checkpoint again", evaluate_again)
        return
    if last is not None and last.step == (results or {}).get("step"):
        other = [tag for tag, value in last.values.items() if tag in metrics and repr(decode_number(metrics[tag])) != repr(value)]
        if other:
            text = f"differs from metrics.jsonl in {', '.join(other[:3])}"
            findings.wrong(run.evaluation, text, "--repair lets `runner sweep` evaluate its last checkpoint again", evaluate_again)
    absent = [metric.name for metric in sweep.metrics() if not isinstance(metrics.get(metric.name), int | float)]
    absent = [name for name in absent if not name.startswith("resource/")]
    if absent:
        findings.note(run.evaluation, f"has no number for {', '.join(absent)}", "the run does not count in `runner compare`")
    if run.predictions.is_file():
        try:
            json.loads(read_bytes(run.predictions))
        except (ValueError, RecursionError):
            findings.wrong(
                run.predictions,
                "is incomplete or damaged",
                f"predict anew: runner eval {shell_path(run.path)} --checkpoint last",
                lambda: move_aside(run.predictions),
            )
