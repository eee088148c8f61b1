"""Interface of a tracker, the registry of trackers, and the set of trackers of a run.

A tracker is a projection of records (docs/decisions/007-trackers-are-rebuilt.md): it may fail, be switched off or be thrown away, and
nothing is lost, since `TrackerSet` shows it the whole surviving history of the run whenever an attempt starts.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol

from runner.core.errors import InputError, RunnerError
from runner.core.files import open_regular
from runner.core.registry import Registry
from runner.store.records import Record, last_values
from runner.store.run_dir import RunDir
from runner.trackers.hparams import hyper_parameters
from runner.trackers.viewer import Viewer

Scalar = bool | int | float | str

OWN = "run"
"""Owner mark of files in a folder that belongs to one run alone."""

_PNG_HEADER_BYTES = 24
"""Signature, and the chunk with width and height."""
_LOG = logging.getLogger("runner.trackers")


@dataclass(frozen=True, slots=True)
class TrackedImage:
    """An image made at one step: a picture with its true and predicted boxes drawn in.

    Args:
        tag: ``samples/0``: the same picture has the same tag at every step.
        step: optimiser steps finished when it was made.
        png: the file.
    """

    tag: str
    step: int
    png: Path


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """History of a run so far, without anything that a resume superseded.

    Args:
        name: the run's name, for people.
        records: in the order of their steps.
        samples: in the order of their steps; each file was whole when this was made.
    """

    name: str
    records: Sequence[Record] = ()
    samples: Sequence[TrackedImage] = ()

    def events(self) -> Iterator[Record | TrackedImage]:
        """Yield records and samples by step; at equal steps the records come first, as the worker writes them."""
        waiting = list(self.samples)
        for record in self.records:
            while waiting and waiting[0].step < record.step:
                yield waiting.pop(0)
            yield record
        yield from waiting


@dataclass(frozen=True, slots=True)
class Target:
    """Place of one run's log.

    Args:
        folder: for a tracker that writes files. It may not exist yet; it may hold files of others.
        owner: mark that a name has to carry for a file to be the tracker's own; no other file is touched.
        run: for a tracker that writes to a server: text that names this run and no other, the same in each of its attempts.
        sweep: name of the run's sweep; empty: a run by itself.
        server: address of the server that a viewer was started as (see `Viewer.reads_files`); empty: the tracker's own setting counts,
            such as an environment variable.
    """

    folder: Path
    owner: str
    run: str = ""
    sweep: str = ""
    server: str = ""


class Tracker(Protocol):
    """A viewer's log of one run, in files or at a server. Its class is made without arguments and imports nothing heavy before `open`.

    All calls come from one thread of one process. A method may raise anything: the caller warns, calls `close` and continues without this
    tracker. None may wait for long: a server that does not answer within seconds is an error. What is written must be visible to a viewer
    within seconds. Values may be NaN or infinite.
    """

    packages: ClassVar[tuple[str, ...]]
    """Distributions that it needs, where a run trains and where its viewer is started."""

    requirement: ClassVar[str]
    """Argument of ``pip install`` that installs them, for messages; ``.[NAME]`` is an extra of runner."""

    automatic: ClassVar[bool]
    """``trackers: auto`` takes it where its packages are installed. False for one that also needs a server."""

    viewer: ClassVar[Viewer | None]
    """The program that shows its logs, for ``runner dashboard --with``; None: it has none that can be started here."""

    switch_key: ClassVar[str | None]
    """Key of a config that puts it into `trackers` (true) or takes it out (false); None: there is none."""

    folder_key: ClassVar[str | None]
    """Key of a config that names the parent folder of its files, in place of the run directory; None: there is none."""

    def open(self, target: Target, history: TrackedRun) -> None:
        """Make what the viewer shows of this run equal to `history`, and be ready to continue from there.

        Idempotent, and safe against a kill at any moment: afterwards the old log, the new one, or both (where a viewer
        then shows the new one alone) are there, and the next `open` puts it right.
        """

    def write(self, record: Record) -> None:
        """Show the record's values at its step and its time."""

    def image(self, tag: str, step: int, png: Path) -> None:
        """Show a picture. The file is read before this returns and stays the caller's."""

    def hparams(self, params: Mapping[str, Scalar], metrics: Mapping[str, float]) -> None:
        """Show hyper-parameters and final metrics. May come first without metrics, then with them at the end."""

    def close(self) -> None:
        """Finish. Called once more or without `open`, it does nothing."""


TRACKERS: Registry[type[Tracker]] = Registry(
    "tracker",
    {
        "tensorboard": "runner.trackers.tensorboard:TensorBoardTracker",
        "visualdl": "runner.trackers.visualdl:VisualDLTracker",
    },
    Tracker,
)


class TrackerSet:
    """The trackers of one attempt. None of them can end the run: one that fails is named in one warning and dropped.

    Make it after the mark of a resumed attempt has been written, so that the history no longer holds what is
    superseded.

    Args:
        names: names of trackers; a name given twice counts once.
        run_dir: the run. A tracker writes into `RunDir.tracker(name)`, which this run owns, …
        folders: … or, where its name is here (``--vdl_log_dir``), into a folder of the run's own below this one.
            See `shared_folder` for what happens when several runs are given the same one.

    Raises:
        InputError: a name that no tracker has.
    """

    def __init__(self, names: Iterable[str], run_dir: RunDir, folders: Mapping[str, Path] | None = None) -> None:
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            if name not in TRACKERS:
                TRACKERS.get(name)  # raises: a mistake of the user; one that is there and cannot be loaded only warns
        self._trackers: dict[str, Tracker] = {}
        history = history_of(run_dir) if wanted else TrackedRun(run_dir.name)
        for name in wanted:
            self._guarded(name, partial(self._open, name, run_dir, (folders or {}).get(name), history))

    @property
    def active(self) -> list[str]:
        """Names of the trackers that still write."""
        return list(self._trackers)

    def write(self, record: Record) -> None:
        """Forward one record."""
        self._each(lambda tracker: tracker.write(record))

    def image(self, tag: str, step: int, png: Path) -> None:
        """Forward one picture; call it after the record of the same step."""
        self._each(lambda tracker: tracker.image(tag, step, png))

    def hparams(self, params: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Forward hyper-parameters and final metrics. A value that is no scalar (a list, null) is shown as JSON."""
        plain = {key: as_scalar(value) for key, value in params.items()}
        self._each(lambda tracker: tracker.hparams(plain, metrics))

    def close(self) -> None:
        """Finish all files."""
        self._each(lambda tracker: tracker.close())
        self._trackers.clear()

    def __enter__(self) -> TrackerSet:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _open(self, name: str, run_dir: RunDir, parent: Path | None, history: TrackedRun) -> None:
        folder, owner = (run_dir.tracker(name), OWN) if parent is None else shared_folder(parent, run_dir)
        tracker = TRACKERS.get(name)()
        self._trackers[name] = tracker
        tracker.open(target_of(run_dir, folder, owner), history)

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            self._guarded(name, partial(call, tracker))

    def _guarded(self, name: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever a tracker raises, training continues
            text = str(error) if isinstance(error, RunnerError) else f"{type(error).__name__}: {error}"
            _LOG.warning("tracker %s failed and writes no more in this attempt; records are not affected: %s", name, text)
            broken = self._trackers.pop(name, None)
            if broken is not None:
                try:
                    broken.close()
                except Exception:  # noqa: BLE001 - it has failed already and was named
                    _LOG.debug("tracker %s could not be closed", name, exc_info=True)


def rebuild_log(name: str, run_dir: RunDir, folder: Path, params: Mapping[str, Any] | None = None, *, server: str = "") -> None:
    """Write a run's log for the viewer `name` into `folder` from its records alone (the run had no such tracker).

    Args:
        params: values to show as hyper-parameters; by default those of `runner.trackers.hparams`.
        server: see `Target`.

    Raises:
        InputError: there is no such tracker, or it cannot be used.
        ImportError: the viewer's package is not installed.
        OSError: `folder` cannot be written.
    """
    history = history_of(run_dir)
    tracker = TRACKERS.get(name)()
    try:
        tracker.open(replace(target_of(run_dir, folder, OWN), server=server), history)
        metrics = final_metrics(history.records)
        given = params if params is not None else hyper_parameters(run_dir)
        tracker.hparams({key: as_scalar(value) for key, value in given.items()}, metrics)
    finally:
        tracker.close()


def target_of(run_dir: RunDir, folder: Path, owner: str) -> Target:
    """Return the place of a run's log: `folder`, or a server, which identifies runs by the paths of their directories."""
    identity = run_dir.identity()
    return Target(folder, owner, f"{run_dir.name} {_path_mark(run_dir)}", identity.sweep or "" if identity is not None else "")


def log_folders(config: Any) -> dict[str, Path]:
    """Return the folders that a bound config names for its trackers' files, by tracker."""
    found: dict[str, Path] = {}
    for name in config.trackers:
        try:
            key = TRACKERS.get(name).folder_key
        except InputError:  # `TrackerSet` names it
            continue
        if key is not None and (folder := getattr(config, key, None)):
            found[name] = Path(folder)
    return found


def final_metrics(records: Iterable[Record]) -> dict[str, float]:
    """Return the last value of every metric of the whole evaluation (``bbox/AP50``, not a class's ``bbox/AP/short``)."""
    last = last_values(record for record in records if record.is_evaluation)
    return {tag: value for tag, value in last.items() if tag.count("/") <= 1}


def history_of(run_dir: RunDir) -> TrackedRun:
    """Return the run's surviving records and images."""
    records = run_dir.records()
    last_step = records[-1].step if records else -1
    images = [medium for medium in run_dir.media() if medium.kind == "image" and medium.step <= last_step]
    samples = [TrackedImage(medium.tag, medium.step, path) for medium in images if _is_png(path := run_dir.path / medium.file)]
    return TrackedRun(run_dir.name, records, samples)


def _is_png(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return len(start := file.read(_PNG_HEADER_BYTES)) == _PNG_HEADER_BYTES and start.startswith(b"\x89PNG\r\n\x1a\n")
    except OSError:
        return False


def shared_folder(parent: Path, run_dir: RunDir) -> tuple[Path, str]:
    """Return a run's own folder below `parent`, which several runs may have been given, and the owner mark of its files there.

    The folder is called like the run, so that a viewer opened on `parent` (or above it) shows the run's name. A second
    run of that name (another sweep's) gets its mark added to the name: VisualDL reads one log a folder and would hide
    the other. The mark is a hash of the run directory's path, so a resumed run finds its folder again.
    """
    mark = _path_mark(run_dir)
    folder = parent / run_dir.path.resolve().name
    if any(folder.glob(f"*.{mark}.*")):
        return folder, mark
    parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()  # of two runs that start at once, one gets the plain name
    except FileExistsError:
        return folder.with_name(f"{folder.name[:200]}-{mark}"), mark
    return folder, mark


def _path_mark(run_dir: RunDir) -> str:
    """Return a short hash of the run directory's path: a resumed run has the same."""
    return hashlib.sha256(str(run_dir.path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def as_scalar(value: Any) -> Scalar:
    """Return `value` if viewers can show it as it is; else its JSON, or its text where it has none."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (bool, int, float, str)):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        return str(value)
