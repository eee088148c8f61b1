"""Reader of the lines that are appended to a file while it is monitored."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from runner.core.files import MAX_LINE_BYTES, open_regular


class Tail:
    """Reader of the lines appended to a file from now on, or from a position in it; an incomplete line is returned once it is complete.

    Args:
        offset: byte to begin at; default: the current end of the file.
        limit: largest size of a line; longer ones are skipped.
    """

    def __init__(self, path: Path | str, offset: int | None = None, *, limit: int = MAX_LINE_BYTES) -> None:
        self._path = path
        self._limit = limit
        self._in_long_line = False
        self.offset = _size(path) if offset is None else offset
        """Position up to which the file was read."""

    def read(self) -> Iterator[bytes]:
        """Yield the new lines, without their ends. Never raises and never blocks; a file that cannot be read has none."""
        try:
            with open_regular(self._path) as file:
                file.seek(self.offset)
                while piece := file.readline(self._limit + 1):
                    ended = piece.endswith(b"\n")
                    if not ended and len(piece) <= self._limit:
                        return
                    self.offset += len(piece)
                    line = b"" if self._in_long_line else piece.rstrip(b"\r\n")
                    self._in_long_line = not ended
                    if ended and line:
                        yield line
        except OSError:
            return


def _size(path: Path | str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
