"""Records of a log file one by one, whatever is in the file: torn at its end, damaged in its middle, a FIFO, or no log at all."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar, Final, Protocol

from runner.core.errors import InputError, Problem
from runner.core.files import open_descriptor
from runner.foreign.scalars import LogValues, TooMuch

MOST_FILE_BYTES: Final = 1 << 32
MOST_RECORD_BYTES: Final = 1 << 26
"""Size of a record above which it is skipped: no scalar is so large."""
_GZIP: Final = b"\x1f\x8b"


class Torn(Exception):
    """End of a file within a record: its writer was killed, or still writes."""


class Damaged(Exception):
    """Bytes that are no record, and that hide where the next one begins."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Size in bytes of a record's parts. `head` has been read."""

    head: int
    body: int
    foot: int


class LogFormat(Protocol):
    """A format of log files. One object reads one file."""

    name: ClassVar[str]
    """Its program, for people."""

    def next_frame(self, file: IO[bytes], left: int) -> Frame:
        """Read the head of the record at the current position.

        Args:
            left: bytes up to the end of the file.

        Raises:
            Torn: the file ends within the record.
            Damaged: this is no record.
        """

    def add(self, message: bytes, foot: bytes, values: LogValues) -> None:
        """Add what a record holds to `values`.

        Raises:
            ValueError: it is damaged, and the next one is where its length says.
            Damaged: it is damaged, and where the next one is cannot be known.
        """


def read_log(path: Path, form: LogFormat) -> LogValues:
    """Read a log; what is damaged in it is counted in `LogValues.lost`.

    Raises:
        InputError: it cannot be read, or is not a log of this format.
    """
    try:
        with open(path, "rb", opener=_open_no_link) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MOST_FILE_BYTES:
                raise InputError(Problem(f"is larger than {MOST_FILE_BYTES >> 30} GiB; such a log is not read", where=str(path)))
            return _read(file, size, form)
    except OSError as error:
        reason = "is a symbolic link; links are not followed" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
        raise InputError(Problem(reason, where=str(path))) from error
    except TooMuch as error:
        raise InputError(Problem(f"has {error}; such a log is not read", where=str(path))) from error
    except _NoLog as error:
        raise InputError(Problem(f"is not a {form.name} log: {error}", where=str(path))) from error


class _NoLog(Exception):
    """A file whose first record is none."""


def _read(file: IO[bytes], size: int, form: LogFormat) -> LogValues:
    values, at = LogValues(), 0
    while at < size:
        try:
            frame = form.next_frame(file, size - at)
            end = at + frame.head + frame.body + frame.foot
            if frame.body > MOST_RECORD_BYTES:
                values.lost["record", f"larger than {MOST_RECORD_BYTES >> 20} MiB"] += 1
            else:
                form.add(read_exactly(file, frame.body), read_exactly(file, frame.foot), values)
        except ValueError:
            values.lost["damaged record", ""] += 1
        except Torn:
            if at == 0:
                raise _NoLog(_first(file, "it ends within its first record")) from None
            values.lost["byte", "of an unfinished record at the end of the log"] += size - at
            break
        except Damaged as error:
            if at == 0:
                raise _NoLog(_first(file, str(error))) from error
            values.lost["byte", f"from byte {at:,} of the log on, where {error}"] += size - at
            break
        at = end
        file.seek(at)
    return values


def _first(file: IO[bytes], reason: str) -> str:
    """Return why a file is no log, from its first bytes."""
    file.seek(0)
    return "it is compressed; unpack it first" if file.read(len(_GZIP)) == _GZIP else reason


def read_exactly(file: IO[bytes], count: int) -> bytes:
    """Return the next bytes. Raises Torn: there are fewer."""
    found = file.read(count)
    if len(found) < count:
        raise Torn
    return found


def _open_no_link(path: str, flags: int) -> int:
    return open_descriptor(path, flags | getattr(os, "O_NOFOLLOW", 0))
