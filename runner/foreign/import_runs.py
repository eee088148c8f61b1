"""Import of logs as run directories: all of a call, or none of it."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from runner.core.errors import InputError, Problem, nearest
from runner.core.lock import hold_folder, holder, take
from runner.core.values import counted, listed
from runner.foreign.folders import LogFolder, find_log_folders, make_format
from runner.foreign.framing import read_log
from runner.foreign.history import LogHistory, make_history
from runner.foreign.scalars import LogValues
from runner.store.records import RecordWriter, encode_number
from runner.store.run_dir import FORMER_METRIC, IMPORTED, Identity, PrimaryMetric, RunDir, Status

_METRICS: Final = (FORMER_METRIC.name, "bbox-mAP", "mAP")
"""Tags that decide, the first that a run has: as here, in PaddleDetection, in its version 0.x."""
_MOST_NAMED: Final = 12
_STAGE: Final = ".import-"
"""Beginning of the name of a folder in which runs are made; `_LOCK`: file in it."""
_LOCK: Final = ".lock"


@dataclass(frozen=True, slots=True)
class ImportedRun:
    """A run that was imported, or had been before.

    Args:
        path: its directory.
        folder: where it comes from.
        history: what it recorded.
        identity: its run.json.
        lost: what could not be read or kept, in sentences.
        is_new: False if the directory existed with the same content.
    """

    path: Path
    folder: LogFolder
    history: LogHistory
    identity: Identity
    lost: tuple[str, ...]
    is_new: bool


@dataclass(frozen=True, slots=True)
class Import:
    """Result of an import.

    Args:
        runs: those that are there now.
        empty: folders without any scalar.
        failed: folders that were not imported: no log can be read, or the run's place is taken.
    """

    runs: tuple[ImportedRun, ...]
    empty: tuple[Problem, ...]
    failed: tuple[Problem, ...]


def import_runs(given: Sequence[Path], into: Path, rename: Mapping[str, str] | None = None) -> Import:
    """Make run directories of the logs in and below some folders. The logs are only read.

    Args:
        given: folders.
        into: folder of the run directories; made if it is missing.
        rename: tag in the logs to tag in the runs.

    Raises:
        InputError: a folder without logs, two runs that would have one name, a tag to rename that no log has, or nothing that can be
            imported. Then nothing is.
    """
    _check_place(into)
    folders = find_log_folders(given)
    tags: set[str] = set()
    runs: list[ImportedRun] = []
    empty: list[Problem] = []
    failed: list[Problem] = []
    with _staging(into) as stage:
        for folder in folders:
            try:
                run = _stage(folder, into, stage, rename or {}, tags)
            except InputError as error:
                failed += error.problems
                continue
            if run is None:
                empty.append(Problem("no scalars in its logs: nothing to import", where=str(folder.path)))
            else:
                runs.append(run)
        if unknown := [tag for tag in rename or {} if tag not in tags]:
            raise InputError([Problem(f"no log has the tag {tag!r}; {_known(tag, tags)}", where="--rename") for tag in unknown])
        if not runs:
            raise InputError([*failed, *empty])
        for run in runs:
            if run.is_new:
                _put(stage / run.path.name, run)
    return Import(tuple(runs), tuple(empty), tuple(failed))


def _known(tag: str, tags: set[str]) -> str:
    return nearest(tag, sorted(tags)) or f"known: {listed(sorted(tags), _MOST_NAMED)}"


def _check_place(into: Path) -> None:
    """Raise InputError where runs cannot be put into a folder."""
    if os.path.lexists(into) and not os.path.isdir(into):
        raise InputError(Problem("is not a folder; give another --into", where=str(into)))
    absolute = into.absolute()
    for folder in (absolute, *absolute.parents):
        for name, what in (("run.json", "run"), ("plan.json", "sweep")):
            if os.path.lexists(folder / name):
                raise InputError(Problem(f"is a {what}: imported runs need a folder of their own; give another --into", where=str(folder)))


@contextmanager
def _staging(into: Path) -> Iterator[Path]:
    """Make a folder beside the runs in which they are made. Afterwards it is removed, and so is `into` if it stays empty.

    Those that imports left which were killed are removed too: each is locked as long as its process lives.
    """
    try:
        into.mkdir(parents=True, exist_ok=True)
        with hold_folder(into):  # so that none is found before it is locked
            for left in into.glob(f"{_STAGE}*"):
                if holder(left / _LOCK) is None:
                    shutil.rmtree(left, ignore_errors=True)
            stage = Path(tempfile.mkdtemp(prefix=_STAGE, dir=into))
            lock = take(stage / _LOCK)
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror}", where=str(into))) from error
    try:
        yield stage
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror}; nothing was imported", where=str(into))) from error
    finally:
        lock.release()
        shutil.rmtree(stage, ignore_errors=True)
        if not os.listdir(into):
            into.rmdir()


def _put(staged: Path, run: ImportedRun) -> None:
    """Move a run directory to its place, its identity written just before: that makes it a run. Raises InputError: the place is taken."""
    RunDir(staged).write_identity(run.identity)
    try:
        os.rename(staged, run.path)
    except OSError as error:
        raise InputError(Problem(f"cannot be made: {error.strerror}", where=str(run.path))) from error


def _stage(folder: LogFolder, into: Path, stage: Path, rename: Mapping[str, str], tags: set[str]) -> ImportedRun | None:
    """Write what a folder's logs recorded into the staging folder, and add their tags to `tags`. Return None where there is no scalar.

    Raises:
        InputError: no log can be read, or another directory has the run's name.
    """
    logs, formats, lost = _read(folder)
    tags.update(tag for log in logs for tag in log.tags)
    history = make_history([_renamed(log, rename, folder) for log in logs])
    if not history.values:
        return None
    if history.restarts:
        lost.append(f"{counted(history.restarts, 'restart')} at an earlier step: {counted(history.superseded, 'value')} superseded")
    digest = _write(RunDir(stage / folder.name), history)
    origin: dict[str, Any] = {"from": folder.origin, "format": ", ".join(formats), "logs": len(folder.logs)}
    settings = {name: encode_number(value) if isinstance(value, float) else value for log in logs for name, value in log.settings.items()}
    renamed = {old: new for old, new in rename.items() if any(old in log.tags for log in logs)}
    origin |= {name: value for name, value in (("settings", settings), ("renamed", renamed), ("lost", lost)) if value}
    target = RunDir(into / folder.name)
    run = ImportedRun(target.path, folder, history, _identity(folder, history, origin, digest), tuple(lost), is_new=True)
    if not os.path.lexists(target.path):
        return run
    found = target.identity()
    if found is None or found.key != run.identity.key:
        raise InputError(Problem(_taken(found, renamed), where=str(target.path)))
    return replace(run, is_new=False)


def _identity(folder: LogFolder, history: LogHistory, origin: Mapping[str, Any], digest: str) -> Identity:
    return Identity(
        id=folder.name,
        sweep=None,
        trial=0,
        seed=0,
        overrides={},
        key=f"imported-{digest[:20]}",
        facts={"created": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(history.first_s)), IMPORTED: dict(origin)},
        label=folder.label,
        trial_keys=(),
        metric=PrimaryMetric(next((tag for tag in _METRICS if tag in history.tags), FORMER_METRIC.name)),
    )


def _taken(found: Identity | None, renamed: Mapping[str, str]) -> str:
    """Say why a run's place is taken. `renamed`: tags that were renamed now, to their new names."""
    imported = None if found is None else found.facts.get(IMPORTED)
    if not isinstance(imported, Mapping) or not imported:
        return "exists already; it is not overwritten: give another --into"
    before = imported.get("renamed") or {}
    if before == renamed:
        return "was imported before, from logs with other content; delete it, or give another --into"
    pairs = [f"{old}={new}" for old, new in before.items()] if isinstance(before, Mapping) else []
    return (
        f"was imported before, {f'with --rename {shlex.join(pairs)}' if pairs else 'without --rename'}; delete it, or give another --into"
    )


def _read(folder: LogFolder) -> tuple[list[LogValues], tuple[str, ...], list[str]]:
    """Return (values of each log that can be read, names of the formats, what was lost). Raises InputError: none can be read."""
    logs: list[LogValues] = []
    formats: list[str] = []
    lost: list[str] = []
    problems: list[Problem] = []
    for number, path in enumerate(folder.logs, 1):
        which = f"log {number} of {len(folder.logs)}: " if len(folder.logs) > 1 else ""  # its name contains that of a machine
        form = make_format(path.name)
        try:
            values = read_log(path, form)
        except InputError as error:
            problems += error.problems
            lost += [f"{which}{problem.message}" for problem in error.problems]
            continue
        logs.append(values)
        formats.append(form.name)
        lost += [f"{which}{' '.join(filter(None, (counted(n, thing), more)))}: not imported" for (thing, more), n in values.lost.items()]
    if not logs:
        raise InputError(problems)
    return logs, tuple(dict.fromkeys(formats)), lost


def _renamed(log: LogValues, rename: Mapping[str, str], folder: LogFolder) -> LogValues:
    names = [rename.get(tag, tag) for tag in log.tags]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(Problem(f"two tags of {folder.path} would be named {twice!r}", where="--rename"))
    return replace(log, tags=dict(zip(names, log.tags.values(), strict=True)))


def _write(run_dir: RunDir, history: LogHistory) -> str:
    """Write the records and the state of a run; return a hash of the records."""
    run_dir.path.mkdir()
    with closing(RecordWriter(run_dir.metrics)) as writer:
        for record in history.records():
            writer.write(record)
    last = history.last_step
    run_dir.write_status(
        Status("done", attempt=history.restarts + 1, step=last, steps=last, heartbeat=history.last_s, phase="ended"), durable=True
    )
    with open(run_dir.metrics, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
