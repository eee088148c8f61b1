"""The file under both viewers' logs: messages one after the other, rebuilt in one step, then appended to. And the tracker that does so.

The viewers' own writers are not used: they keep a thread and a queue (forked data workers would inherit both),
VisualDL's prints a full disk instead of raising it, and neither can continue a file. Each append here is one write to
an unbuffered file, so a viewer sees it at once and a kill leaves at most one torn message at the end.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from runner.core.files import open_regular
from runner.store.records import Record
from runner.trackers.base import TrackedImage, TrackedRun

_CHUNK = 1 << 20


class LogFile:
    """The log of one owner in one folder: ``<stem>.<generation>.<owner>.log``.

    A viewer that watches the folder holds in memory what it has read. So a rebuilt log continues the existing file
    where that is a prefix of it (an attempt that ended in good order, or a torn last message), and otherwise is a new
    file with the next generation, which sorts behind the old one: VisualDL reads only the last file of a folder,
    TensorBoard drops the steps that a later file goes back over. The old one is removed afterwards.

    Args:
        folder: made if it is missing.
        stem: the start of the name by which a viewer knows its logs.
        owner: mark in the name; files with another mark are never touched.
        keep_name: empty an old log instead of deleting it. VisualDL answers no request any more, for any run, when a
            file it has read before is gone.
    """

    def __init__(self, folder: Path, stem: str, owner: str, *, keep_name: bool = False) -> None:
        self._folder = folder
        self._stem = stem
        self._name = re.compile(rf"{re.escape(stem)}\.(\d{{10}})\.{re.escape(owner)}\.log")
        self._temporary = folder / f".rebuild-{owner}.tmp"  # carries no stem: no viewer may read it
        self._owner = owner
        self._keep_name = keep_name
        self._file: IO[bytes] | None = None

    def rebuild(self, messages: Iterable[bytes]) -> Path:
        """Make the log consist of `messages` and open it for `append`. Returns its path."""
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        old = sorted(path for path in self._folder.iterdir() if self._name.fullmatch(path.name))
        try:
            with open(self._temporary, "wb") as file:
                file.writelines(messages)
            if old and _is_prefix(old[-1], self._temporary):
                path = old.pop()
                _append_rest(path, self._temporary)
            else:
                path = self._folder / f"{self._stem}.{self._generation(old) + 1:010d}.{self._owner}.log"
                os.replace(self._temporary, path)
        finally:
            self._temporary.unlink(missing_ok=True)
        for superseded in old:
            if self._keep_name:
                os.truncate(superseded, 0)
            else:
                superseded.unlink(missing_ok=True)
        self._file = open_regular(path, "ab", buffering=0)
        return path

    def append(self, data: bytes) -> None:
        """Append whole messages in one write.

        Raises:
            OSError: the disk is full or gone. The log is cut back to its last whole message: a viewer may choke on
                half of one.
        """
        if self._file is None:
            raise ValueError("the log is not open")
        before = os.fstat(self._file.fileno()).st_size
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes could be written", self._file.name)
        except OSError:
            os.ftruncate(self._file.fileno(), before)
            raise

    def close(self) -> None:
        """Close the file; nothing is pending."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _generation(self, paths: list[Path]) -> int:
        matches = [self._name.fullmatch(path.name) for path in paths]
        return max((int(match[1]) for match in matches if match), default=0)


class LogTracker:
    """The part of a tracker that encodes a run's records and images into a `LogFile`."""

    def __init__(self) -> None:
        self._log: LogFile | None = None

    def write(self, record: Record) -> None:
        """See `Tracker.write`."""
        self._append(self._record(record))

    def image(self, tag: str, step: int, png: Path) -> None:
        """See `Tracker.image`."""
        self._append(self._sample(TrackedImage(tag, step, png)))

    def close(self) -> None:
        """See `Tracker.close`."""
        if self._log is not None:
            self._log.close()

    def _record(self, record: Record) -> bytes:
        """Encode a record."""
        raise NotImplementedError

    def _sample(self, sample: TrackedImage) -> bytes:
        """Encode an image."""
        raise NotImplementedError

    def _events(self, history: TrackedRun) -> Iterator[bytes]:
        """Encode what a run has recorded so far."""
        for event in history.events():
            yield self._record(event) if isinstance(event, Record) else self._sample(event)

    def _append(self, data: bytes) -> None:
        if self._log is None:
            raise ValueError("the tracker is not open")
        self._log.append(data)


def find_log(folder: Path, stem: str) -> Path | None:
    """Return the newest log in `folder` whose name starts with `stem`, from any run; None if there is none."""
    try:
        return max((path for path in folder.iterdir() if path.name.startswith(f"{stem}.")), default=None)
    except OSError:
        return None


def _is_prefix(path: Path, whole: Path) -> bool:
    with open_regular(path) as old, open(whole, "rb") as new:
        while chunk := old.read(_CHUNK):
            if new.read(len(chunk)) != chunk:
                return False
    return True


def _append_rest(path: Path, whole: Path) -> None:
    with open_regular(path, "ab") as old, open(whole, "rb") as new:
        new.seek(old.tell())
        shutil.copyfileobj(new, old, _CHUNK)
