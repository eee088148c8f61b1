"""Writing files so that a reader, or a machine that loses power, never meets half of one."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

NO_FILE_THERE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
"""Numbers of the errors that mean that a path leads to no file; any other keeps a file that may be there from being read."""

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Numbers of the errors that mean that a file cannot grow for lack of room, which somebody may make."""

Durable = bool | Literal["content"]
_PROBE_BYTES = 1 << 20


@contextmanager
def atomic_open(path: Path, *, durable: Durable = True) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` for binary writing; on success it takes the place of `path`, on error it is removed.

    Args:
        path: the file to replace; its folder must exist.
        durable: fsync the file and its folder, so that the new content survives a power loss. Heartbeats go without. "content": the file
            alone, so that after a power loss it is the new one or the old one, whole: for one that is followed by a durable one in the
            same folder.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if durable is True:
        sync_folder(path.parent)


def atomic_write_text(path: Path, text: str, *, durable: Durable = True) -> None:
    """Replace `path` by `text` (UTF-8) in one step."""
    with atomic_open(path, durable=durable) as file:
        file.write(text.encode("utf-8"))


def atomic_write_json(path: Path, value: Any, *, durable: Durable = True, indent: int | None = None) -> None:
    """Replace `path` by `value` as JSON in one step. Numbers must be finite (see `runner.core.records.encode_number`)."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    atomic_write_text(path, text + "\n", durable=durable)


def read_json(path: Path) -> Any:
    """The JSON value in `path`, or None where the file is missing or is not whole."""
    try:
        return json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    except OSError as error:
        if error.errno in NO_FILE_THERE:
            return None
        raise


def open_lines(path: Path) -> IO[bytes]:
    """Open a file of lines for appending, unbuffered. A torn last line, of a writer that was killed, is closed off first."""
    file = open(path, "ab", buffering=0)  # noqa: SIM115 - the caller's
    if file.tell() > 0 and not _ends_with_newline(path):
        file.write(b"\n")
    return file


def sync_folder(folder: Path) -> None:
    """Make the folder's entries survive a power loss (a no-op where folders cannot be opened)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems refuse; the rename itself is still atomic
    finally:
        os.close(descriptor)


def _ends_with_newline(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def says_disk_full(error: BaseException) -> bool:
    """Whether `error`, or one it came from, is that of a disk, a quota or a file that may not grow any more."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        if isinstance(one, OSError) and one.errno in NO_ROOM:
            return True
        seen.add(id(one))
        todo += [one.__cause__, one.__context__]
    return False


def disk_is_full(folder: Path) -> bool:
    """Whether 1 MiB cannot be written in `folder` for lack of room. Where nothing can be written at all, for another reason, it is not."""
    probe = folder / f".room-{os.getpid()}.tmp"
    try:
        with open(probe, "wb") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())  # where room is given only now
    except OSError as error:
        return error.errno in NO_ROOM
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return False


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
