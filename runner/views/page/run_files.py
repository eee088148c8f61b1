"""Files of a run directory as the page reads them: never through a symbolic link, never a FIFO or a device, never more than a limit."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_LINE_LENGTH: Final = 4_000
_TAIL_BYTES: Final = 1 << 20
_MOST_FILES: Final = 200
_MOST_COUNTED: Final = 20_000
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~]?)")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class LogTail:
    """The last lines of a log.

    Args:
        lines: oldest first, without control characters.
        size: bytes of the whole file.
        cut: there are earlier lines.
        problem: why there are none; empty if there are, or if there is no log yet.
    """

    lines: list[str]
    size: int = 0
    cut: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of a run, or a folder with all that is below it.

    Args:
        name: path in the run directory; a folder's ends in ``/``.
        size: bytes.
        files: number of files; 1 for a file.
        link: it is a symbolic link, which is not followed.
    """

    name: str
    size: int
    files: int = 1
    link: bool = False


def open_inside(root: Path, parts: Iterable[str]) -> IO[bytes]:
    """Open a regular file below `root` for reading; no part of its path below `root` may be a symbolic link.

    Raises:
        OSError: it cannot be opened, or is not a regular file.
    """
    *folders, name = parts
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in folders:
            below = os.open(_checked(part), _FLAGS | os.O_DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        _require_regular(os.stat(_checked(name), dir_fd=descriptor, follow_symlinks=False).st_mode)  # opening alone may change a device
        opened = os.open(name, _FLAGS, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    try:
        _require_regular(os.fstat(opened).st_mode)
        return os.fdopen(opened, "rb")
    except OSError:
        os.close(opened)
        raise


def read_inside(root: Path, parts: Iterable[str], limit: int) -> bytes:
    """Return the content of a file below `root` (see `open_inside`). Raises OSError, also where it is larger than `limit` bytes."""
    with open_inside(root, parts) as file:
        if os.fstat(file.fileno()).st_size > limit or len(data := file.read(limit + 1)) > limit:
            raise OSError(f"larger than {limit >> 20} MiB")
        return data


def read_tail(root: Path, parts: Iterable[str], most: int) -> LogTail:
    """Return the last `most` lines of a log below `root`, of its last MiB. Never raises for what is there."""
    try:
        with open_inside(root, parts) as file:
            size = os.fstat(file.fileno()).st_size
            start = max(0, size - _TAIL_BYTES)
            file.seek(start)
            text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return LogTail([])
    except OSError as error:
        return LogTail([], problem=error.strerror or str(error))
    lines = text.removesuffix("\n").split("\n")
    if start and len(lines) > 1:
        del lines[0]  # it begins somewhere inside a line
    cut = start > 0 or len(lines) > most
    return LogTail([clean_line(line) for line in lines[-most:]] if text else [], size, cut)


def clean_line(line: str) -> str:
    """Return a line as a terminal leaves it, without colours, other control characters and what is beyond 4,000 characters: of a line that
    was written over (progress bars), the last state."""
    line = _ANSI.sub("", line.rstrip("\r")).rpartition("\r")[2]
    line = _CONTROL.sub("", line)
    return line if len(line) <= _LINE_LENGTH else f"{line[:_LINE_LENGTH]}…"


def list_files(run: Path) -> list[ListedFile]:
    """List the files of a run by name: those in it and in `checkpoints`, and each other folder with the sum of its files. Links are not
    followed; at most 200 entries."""
    found: list[ListedFile] = []
    with suppress(OSError):
        for entry in _entries(run):
            if entry.is_dir(follow_symlinks=False) and entry.name == "checkpoints":
                found += [_listed(below, f"checkpoints/{below.name}") for below in _entries(Path(entry.path))]
            else:
                found.append(_listed(entry, entry.name))
    return sorted(found, key=lambda file: file.name)[:_MOST_FILES]


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return


def _listed(entry: os.DirEntry[str], name: str) -> ListedFile:
    link = entry.is_symlink()
    if link or not entry.is_dir(follow_symlinks=False):
        return ListedFile(name, 0 if link else _size(entry), link=link)
    sizes = list(_sizes_below(Path(entry.path)))
    return ListedFile(f"{name}/", sum(sizes), len(sizes))


def _sizes_below(folder: Path) -> Iterator[int]:
    waiting, counted = [folder], 0
    while waiting and counted < _MOST_COUNTED:
        for entry in _entries(waiting.pop()):
            counted += 1
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif not entry.is_symlink():
                yield _size(entry)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def _checked(part: str) -> str:
    if part in ("", ".", "..") or "/" in part or "\0" in part:
        raise FileNotFoundError(f"not a name: {part!r}")
    return part


def _require_regular(mode: int) -> None:
    if stat.S_ISLNK(mode):
        raise OSError("is a symbolic link, which is not followed")
    if not stat.S_ISREG(mode):
        raise OSError("is not a regular file")
