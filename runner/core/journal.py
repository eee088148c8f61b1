"""A sweep's journal: what its drivers did, one JSON object a line, appended as it happens.

It is an index and a diary: what counts stands in the run directories, and a journal that is lost or cut off costs time and no result.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from runner.core.files import NO_FILE_THERE, open_lines


class Journal:
    """Appends events. A disk that is full loses events and nothing else."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = open_lines(path)

    def write(self, event: str, **values: Any) -> None:
        """Append ``{"event": event, …, "time": seconds since 1970}`` in a single write. Numbers in `values` must be finite."""
        line = json.dumps({"event": event, **values, "time": round(time.time(), 3)}, ensure_ascii=False, allow_nan=False)
        try:
            self._file.write(line.encode() + b"\n")
        except OSError:
            pass  # it can be built anew from the run directories

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(path: Path, *kinds: str) -> Iterator[dict[str, Any]]:
    """The events in `path`, in order, only those of `kinds` if there are any; lines that are torn or foreign are left out, a missing file
    has none."""
    try:
        text = path.read_bytes()
    except OSError as error:
        if error.errno in NO_FILE_THERE:
            return
        raise
    marks = [json.dumps(kind).encode() for kind in kinds]
    for line in text.split(b"\n"):
        if not line.startswith(b"{") or (kinds and all(mark not in line for mark in marks)):  # to read it would cost ten times as much
            continue
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event.get("event"), str) and (not kinds or event["event"] in kinds):
            yield event
