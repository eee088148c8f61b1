"""The folder of a run's checkpoints: its index, the newest intact one, and which are kept. Handles bytes only, no
framework; the suffix is the backend's (`.pt`, `.pdparams`).

    step-00000120.pt   one file per checkpoint, written beside its place and renamed
    last.pt, best.pt   other names (hard links) of two of them, for people and for `weights=`
    index.json         which files count, oldest first, with their SHA-256; replaced after the file it refers to is
    safe on the disk

So a kill at any moment leaves an index whose files are complete: a new file that the index does not name yet does not
    count and is removed by the next save.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, TypeVar

from runner.core.errors import InputError
from runner.core.files import Durable, atomic_open, atomic_write_json, open_descriptor, read_json
from runner.core.typed import Count, Moment, Name, build
from runner.store.run_dir import Goal

_OTHER_BYTES = "its contents differ from what was written (missing, truncated, or changed on the disk)"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One checkpoint in the index.

    Args:
        file: its name in the folder.
        step, epoch: progress when it was written.
        sha256: of its bytes; empty if the index was lost and the file was found by its name.
        metric: the primary metric of its evaluation; None if it was not evaluated.
        best: whether no other checkpoint of the run scored better.
        finished: whether training was over and the final evaluation recorded.
    """

    file: Name
    step: Count
    epoch: Moment
    sha256: str
    metric: float | None = None
    best: bool = False
    finished: bool = False


@dataclass(frozen=True, slots=True)
class _CheckpointIndex:
    """Contents of index.json."""

    checkpoints: tuple[Entry, ...]
    version: int = 1


def read_index(path: Path) -> list[Entry] | None:
    """Return the checkpoints that index.json lists, oldest first; None if it is missing or invalid. Each name is that of a file in the
    folder: an index cannot point outside it."""
    index = build(_CheckpointIndex, read_json(path))
    return None if index is None else list(index.checkpoints)


def write_index(path: Path, entries: Sequence[Entry], *, durable: Durable = True) -> None:
    """Replace index.json."""
    atomic_write_json(path, asdict(_CheckpointIndex(tuple(entries))), durable=durable, indent=1)


class CheckpointFolder:
    """The checkpoints of a run: saves, lists and prunes them. Creating this object touches no file.

    Args:
        path: the folder; its parent must exist when something is saved.
        keep: older checkpoints kept beside the newest and the best.
        suffix: of the files.
        goal: the better direction of the metric that checkpoints are compared by.
    """

    def __init__(self, path: Path, keep: int = 1, suffix: str = ".pt", goal: Goal = "maximize") -> None:
        self.path = path
        self._goal = goal
        self.suffix = suffix
        self._keep = keep

    def entries(self) -> list[Entry]:
        """Return the checkpoints that count, oldest first; from the files' names if the index cannot be read."""
        listed = read_index(self.path / "index.json")
        if listed is not None:
            return listed
        found = sorted(self.path.glob(f"step-*{self.suffix}"))
        return [Entry(file.name, _step_in(file.name), 0.0, "") for file in found]

    def last(self) -> Entry | None:
        """Return the newest checkpoint, or None."""
        entries = self.entries()
        return entries[-1] if entries else None

    def best(self) -> Entry | None:
        """Return the best checkpoint, or None if none was evaluated."""
        return next((entry for entry in reversed(self.entries()) if entry.best), None)

    def prepare(self) -> None:
        """Create the folder and test writing to it: a run that cannot save should not start. Raises InputError."""
        with disk_problems_named(self.path):
            self.path.mkdir(exist_ok=True)
            probe = self.path / f".probe-{os.getpid()}"
            probe.write_bytes(b"\0" * 4096)
            probe.unlink()

    def save(self, write: Callable[[Any], None], step: int, epoch: float, *, metric: float | None = None) -> Entry:
        """Add a checkpoint whose bytes `write` writes to the `HashingWriter` it is called with; on the disk when this
        returns. Entries at `step` or later are superseded and removed.

        Raises:
            InputError: the folder cannot be written or the disk is full; the previous checkpoints are kept.
        """
        with disk_problems_named(self.path):
            self.path.mkdir(exist_ok=True)
            name = f"step-{step:08d}{self.suffix}"
            with atomic_open(self.path / name, durable="content") as file:  # the index, after it, syncs the folder
                hashing = HashingWriter(file)
                write(hashing)
                hashing.check()
            entry = Entry(name, step, epoch, hashing.hexdigest())
            older = [old for old in self.entries() if old.step < step]
            entry = _scored(entry, metric, older, self._goal)
            self._replace_index([*_without_best(older, entry), entry])
        return entry

    def finish(self, entry: Entry, metric: float | None) -> Entry:
        """Mark the newest checkpoint as the end of training, with the score of its final evaluation."""
        older = [old for old in self.entries() if old.step < entry.step]
        entry = _scored(replace(entry, finished=True), metric, older, self._goal)
        with disk_problems_named(self.path):
            self._replace_index([*_without_best(older, entry), entry], durable="content")  # status.json says that the run is done
        return entry

    def is_whole(self, entry: Entry) -> bool:
        """Return whether the file exists and has the recorded checksum; without a checksum, whether it exists."""
        file = self.path / entry.file
        if not file.is_file():
            return False
        return not entry.sha256 or file_sha256(file) == entry.sha256

    def _replace_index(self, entries: list[Entry], *, durable: Durable = True) -> None:
        """Write the index, then the names for people, then remove superseded files; in this order, so that a
        kill in between is harmless.
        """
        newest = entries[-1 - self._keep :]
        entries = [entry for entry in entries if entry.best or entry in newest]
        write_index(self.path / "index.json", entries, durable=durable)
        _link(self.path / entries[-1].file, self.path / f"last{self.suffix}")
        best = next((entry for entry in entries if entry.best), None)
        if best is not None:
            _link(self.path / best.file, self.path / f"best{self.suffix}")
        names = {entry.file for entry in entries}
        for file in [*self.path.glob(f"step-*{self.suffix}"), *self.path.glob(".*.tmp"), *self.path.glob(".link-*")]:
            if file.name not in names:
                file.unlink(missing_ok=True)


class HashingWriter:
    """A binary file that hashes what passes through it.

    A disk error is kept until `check`: torch's archive writer aborts the process if a write raises inside it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, hashlib.sha256()
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of `data` (bytes-like)."""
        view = memoryview(data)
        if self._error is None:
            try:
                self._file.write(view)
                self._hash.update(view)
            except OSError as error:
                self._error = error
        return view.nbytes

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is complete."""

    def check(self) -> None:
        """Raise the error of an earlier write, if any."""
        if self._error is not None:
            raise self._error

    def hexdigest(self) -> str:
        """SHA-256 of everything written."""
        return self._hash.hexdigest()


def locate(path: Path, *, keep: int = 1, suffix: str = ".pt") -> tuple[CheckpointFolder, list[Entry]]:
    """Return the folder and the checkpoints that `path` refers to: the one it names first, then older ones to fall back to.

    Args:
        path: a run directory, its `checkpoints`, or a file. `last` and `best` are looked up in the index.

    Raises:
        InputError: there is no checkpoint.
    """
    folder_path = path if path.is_dir() else path.parent
    if (folder_path / "checkpoints").is_dir() and path.is_dir():
        folder_path = folder_path / "checkpoints"
    folder = CheckpointFolder(folder_path, keep, suffix)
    entries = folder.entries()
    if path.is_dir() or path.name == f"last{suffix}":
        meant = entries[-1] if entries else None
    elif path.name == f"best{suffix}":
        meant = folder.best()
    else:
        meant = next((entry for entry in entries if entry.file == path.name), None)
    if meant is not None:
        return folder, [entry for entry in reversed(entries) if entry.step <= meant.step]
    if not path.is_file():
        others = f"; there are {', '.join(entry.file for entry in entries)}" if entries else ""
        raise InputError(f"there is no checkpoint {'in' if path.is_dir() else 'at'} {path}{others}")
    return folder, [Entry(path.name, 0, 0.0, "")]


def read_verified(file: Path, read: Callable[[Path], T], *, suffix: str = ".pt") -> T:
    """Read `file` with `read`, after checking its contents against the hash in the index beside it, if any.

    Raises:
        InputError: raised by `read`, or the contents differ from what was written.
    """
    folder, candidates = locate(file, suffix=suffix)
    meant = candidates[0]
    if _has_other_bytes(file, meant):
        whole = folder.path / meant.file
        advice = f"; {whole} is intact, give that one" if file.name != meant.file and folder.is_whole(meant) else ""
        raise InputError(f"the checkpoint {file} is damaged: {_OTHER_BYTES}{advice}")
    return read(file)


def read_newest(
    path: Path, read: Callable[[Path], T], say: Callable[[str], None], *, suffix: str = ".pt"
) -> tuple[CheckpointFolder, Entry, T]:
    """Read the file that `path` refers to (see `locate`) with `read`, or the newest valid one before it; a fallback is reported.

    Raises:
        InputError: none is intact.
    """
    folder, candidates = locate(path, suffix=suffix)
    newest = candidates[0]
    if not _is_same_file(path, folder.path / newest.file) and _has_other_bytes(path, newest):
        say(f"checkpoint {path} cannot be used: {_OTHER_BYTES}")
        say(f"trying the one it was a copy of, {folder.path / newest.file} (step {newest.step})")
    for entry in candidates:
        try:
            if not folder.is_whole(entry):
                raise InputError(_OTHER_BYTES)
            state = read(folder.path / entry.file)
        except InputError as error:
            say(f"checkpoint {folder.path / entry.file} cannot be used: {error}")
            continue
        if entry is not candidates[0]:
            say(f"resuming from the checkpoint before it, {folder.path / entry.file} (step {entry.step})")
        return folder, entry, state
    tried = ", ".join(entry.file for entry in candidates)
    raise InputError(
        f"no checkpoint of {path} is intact (tried {tried}); start a new run, or start from other weights with pretrain_weights"
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with open(path, "rb", opener=open_descriptor) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def disk_problems_named(folder: Path) -> Iterator[None]:
    """Convert a disk error to an InputError that names `folder` and says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "the disk is full: free some space, then resume"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            advice = "it cannot be written: choose another run directory or change its permissions"
        else:
            advice = f"{error.strerror or error}"
        raise InputError(f"cannot save a checkpoint in {folder}: {advice}. Earlier checkpoints are intact") from error


def _has_other_bytes(file: Path, entry: Entry) -> bool:
    """Return whether `file`, a name for `entry`, exists with different contents. last.pt and best.pt are links to the file that the
    index names, but copies of it where a run was copied (cp -r, rsync), so each is checked separately.
    """
    try:
        return bool(entry.sha256) and file.is_file() and file_sha256(file) != entry.sha256
    except OSError as error:
        raise InputError(f"the checkpoint {file} cannot be read: {error.strerror or error}") from error


def _is_same_file(left: Path, right: Path) -> bool:
    return left.exists() and right.exists() and left.samefile(right)


def _scored(entry: Entry, metric: float | None, older: list[Entry], goal: Goal) -> Entry:
    """Return `entry` with its score; it is the best one so far if no older one scored better (as in PaddleDetection, a tie goes to the
    newer).
    """
    if metric is None or not math.isfinite(metric):
        return entry
    scores = [old.metric for old in older if old.best and old.metric is not None]
    best = all(metric >= score if goal == "maximize" else metric <= score for score in scores)
    return replace(entry, metric=metric, best=best)


def _without_best(older: list[Entry], entry: Entry) -> list[Entry]:
    return [replace(old, best=False) for old in older] if entry.best else older


def _link(file: Path, name: Path) -> None:
    """Make `name` another name of `file`, in one step; a copy where the file system has no hard links."""
    temporary = name.with_name(f".link-{name.name}-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        os.link(file, temporary)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        shutil.copyfile(file, temporary)
    os.replace(temporary, name)
    temporary.unlink(missing_ok=True)  # a rename onto a link of the same file does nothing and leaves the old name


def _step_in(name: str) -> int:
    with suppress(ValueError):
        return int(name.removeprefix("step-").partition(".")[0])
    return 0
