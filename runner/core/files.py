"""File access that is safe on both sides: a reader never sees half a file, also after a power loss; reading never blocks and never runs
out of memory, whatever is at the path."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

from runner.core.errors import nearest

NO_FILE_THERE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO}
"""Error numbers that mean that there is no file at a path; any other means that a file may exist and cannot be read. ENXIO: a FIFO,
a socket or a device is there (see `open_regular`)."""

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Error numbers that mean that a file cannot grow for lack of space, which the user may free."""

Durable = bool | Literal["content"]
MAX_JSON_BYTES = 1 << 26
"""Largest size of a JSON file of ours: plan.json of 10,000 runs has 5 MB."""

MAX_JSON_DEPTH = 128

MAX_LINE_BYTES = 1 << 22
"""Largest size of a line of metrics.jsonl, journal.jsonl or control.jsonl: a record of 1,000 classes has 0.1 MB."""

_MOST_COMPARED = 5_000
"""Names of a folder, at most, that a missing one is compared with."""
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
    """Replace `path` by `value` as JSON in one step. Numbers must be finite (see `runner.store.records.encode_number`)."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    atomic_write_text(path, text + "\n", durable=durable)


def open_regular(path: Path | str, mode: Literal["rb", "ab", "wb", "r+b", "a+b"] = "rb", *, buffering: int = -1) -> IO[bytes]:
    """Open a regular file as the built-in `open` does, but never block: opening a FIFO waits for its other end.

    Raises:
        OSError: it cannot be opened; with errno ENXIO if it is a FIFO, a socket or a device.
    """
    return open(path, mode, buffering=buffering, opener=open_descriptor)


def open_descriptor(path: Path | str, flags: int) -> int:
    """Return the descriptor of a regular file, opened without blocking. Raises OSError, see `open_regular`."""
    with suppress(FileNotFoundError):  # it may be about to be created
        _require_regular(path, os.stat(path).st_mode)  # before it is opened: that alone may change what a device does
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    try:
        _require_regular(path, os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(path: Path | str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kinds = ((stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))
        kind = next(name for is_kind, name in kinds if is_kind(mode))
        raise OSError(errno.ENXIO, f"{kind}, expected a regular file", str(path))


def move_aside(path: Path) -> None:
    """Rename a damaged file or folder to a hidden name beside it, so that its path is free and nothing is lost. Raises OSError."""
    os.rename(path, path.with_name(f".{path.name[:200]}.damaged-{time.time_ns()}"))


def read_bytes(path: Path | str, limit: int | None = None) -> bytes:
    """Return the content of a regular file, without blocking.

    Args:
        limit: largest size that is read into memory.

    Raises:
        OSError: it cannot be read; with errno EOVERFLOW if it is larger than `limit`.
    """
    with open_regular(path, buffering=0) as file:
        if limit is not None and os.fstat(file.fileno()).st_size > limit:
            raise OSError(errno.EOVERFLOW, f"larger than {limit >> 20} MiB", str(path))
        return file.read()


def read_text(path: Path | str, encoding: str = "utf-8", limit: int | None = MAX_JSON_BYTES) -> str:
    """Return the text of a regular file, without blocking, with ``\\n`` as line end.

    Raises:
        OSError, UnicodeDecodeError: it cannot be read.
    """
    return read_bytes(path, limit).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: Path, limit: int = MAX_JSON_BYTES) -> Any:
    """Return the JSON value in `path`, or None if the file is missing, incomplete or contains what `parse_json` refuses."""
    try:
        return parse_json(read_bytes(path, limit))
    except ValueError:
        return None
    except OSError as error:
        if error.errno in NO_FILE_THERE or error.errno == errno.EOVERFLOW:
            return None
        raise


def parse_json(text: bytes | str) -> Any:
    """Return the value of a JSON text in UTF-8.

    It also refuses nesting deeper than `MAX_JSON_DEPTH`, numbers that are not finite or too large to calculate with, and
    lone surrogates, which can be neither printed nor written.

    Raises:
        ValueError: whatever is wrong with the text.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    try:
        value = (_CAREFUL if _LONG_NUMBER.search(text) else _DECODER).decode(text)
    except RecursionError:
        raise ValueError("too deeply nested") from None
    if text.count("[") + text.count("{") > MAX_JSON_DEPTH:
        _check_depth(value)
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()  # raises UnicodeEncodeError
    return value


def _refuse_number(text: str) -> Any:
    raise ValueError(f"{text:.40} is not a finite number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_number(text)


def _moderate(text: str) -> int:
    number = int(text)
    return number if abs(number) < 2**64 else _refuse_number(text)


_DECODER = json.JSONDecoder(parse_constant=_refuse_number)
_CAREFUL = json.JSONDecoder(parse_constant=_refuse_number, parse_float=_finite, parse_int=_moderate)  # takes twice as long
_LONG_NUMBER = re.compile(r"\d{19}|\d[eE]\+?\d{3}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"nested more than {MAX_JSON_DEPTH} levels deep")


def read_lines(path: Path | str, *, limit: int = MAX_LINE_BYTES) -> Iterator[bytes]:
    """Yield the lines of a regular file without their ends, in little memory, skipping empty ones and those longer than `limit`.

    A missing file has no lines.

    Raises:
        OSError: it cannot be read.
    """
    if (file := open_if_there(path)) is not None:
        with file:
            yield from split_lines(file, limit=limit)


def open_if_there(path: Path | str) -> IO[bytes] | None:
    """Open a regular file for reading, as `open_regular` does; None if there is no file. Raises OSError: it cannot be read."""
    try:
        return open_regular(path)
    except OSError as error:
        if error.errno in NO_FILE_THERE:
            return None
        raise


def split_lines(file: IO[bytes], *, limit: int = MAX_LINE_BYTES) -> Iterator[bytes]:
    """Yield the lines from the current position of `file`, as `read_lines` does."""
    return filter(None, numbered_lines(file, limit=limit))


def numbered_lines(file: IO[bytes], *, limit: int = MAX_LINE_BYTES) -> Iterator[bytes | None]:
    """Yield every line from the current position of `file` without its end, and None for those longer than `limit`."""
    in_long_line = False
    while piece := file.readline(limit + 1):
        ended = piece.endswith(b"\n")
        if not in_long_line:
            yield piece.rstrip(b"\r\n") if ended or len(piece) <= limit else None
        in_long_line = not ended


def open_lines(path: Path) -> IO[bytes]:
    """Open a file of lines for appending, unbuffered. A torn last line, left by a killed writer, is ended first."""
    file = open_regular(path, "ab", buffering=0)
    if file.tell() > 0 and not _ends_with_newline(path):
        file.write(b"\n")
    return file


def sync_folder(folder: Path) -> None:
    """Make the folder's entries survive a power loss; does nothing where folders cannot be opened."""
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
    with open_regular(path) as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def says_disk_full(error: BaseException) -> bool:
    """Return whether `error`, or one of its causes, says that a disk or quota is full or that a file may not grow."""
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
    """Return whether 1 MiB cannot be written in `folder` for lack of space. Any other reason for a failed write does not count."""
    probe = folder / f".room-{os.getpid()}.tmp"
    try:
        with open(probe, "wb") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())  # some file systems allocate space only now
    except OSError as error:
        return error.errno in NO_ROOM
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return False


def blocked_by(folder: Path) -> Path | None:
    """Return the nearest existing part of the path of `folder` if it is no folder that can be written, so that no file can be made in
    `folder`; else None."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    return None if nearest.is_dir() and os.access(nearest, os.W_OK) else nearest


def user_cache() -> Path:
    """Return the folder of this program's caches: ``$XDG_CACHE_HOME/runner``, by default ``~/.cache/runner``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path(os.path.expanduser("~")) / ".cache") / "runner"


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def similar_name(path: Path) -> str:
    """Return a hint at names like that of a missing file or folder, in the same folder: ``; did you mean 'val.json'?``, else nothing."""
    try:
        names = os.listdir(path.parent)
    except OSError:
        return ""
    hint = nearest(path.name, names) if len(names) <= _MOST_COMPARED else ""
    return f"; {hint}" if hint.endswith("?") else ""
