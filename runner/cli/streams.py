"""The command's own output, without which a driver continues: on a full disk, with a reader that has gone, after a closed terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


class Expendable:
    """A text stream that, after its first failed write, drops output instead of raising."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop, `text`."""
        try:
            self._stream.write(text)
        except OSError:
            self._drop()
        return len(text)

    def flush(self) -> None:
        """Flush the stream, or drop its content."""
        try:
            self._stream.flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        """Point the descriptor to the null device, for what is still buffered and what other code writes."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def expendable_output(*, stdout: bool) -> Iterator[None]:
    """Let the command continue where its messages cannot be written.

    Args:
        stdout: also where its standard output cannot be written: it only repeats what the run directories contain.
    """
    _open_missing()
    before = sys.stdout, sys.stderr
    if sys.stderr is not None:
        sys.stderr = cast(TextIO, Expendable(sys.stderr))
    if stdout and sys.stdout is not None:
        sys.stdout = cast(TextIO, Expendable(sys.stdout))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _open_missing() -> None:
    """Open closed standard descriptors on the null device: otherwise the next file, perhaps a lock, gets the number and the output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
