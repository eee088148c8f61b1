"""A sweep's journal: what its drivers did, one JSON object a line, appended as it happens.

It is an index and a diary: what counts stands in the run directories, and a journal that is lost or cut off costs time and no result.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from runner.core.errors import Cause, InputError, Problem
from runner.core.files import open_lines, parse_json, read_lines
from runner.core.typed import Count, Moment, Name, fits
from runner.core.values import shell_path
from runner.store.run_dir import State

_TYPES: dict[str, Any] = {
    "time": Moment,
    "run": Name,
    "trial": Count,
    "seed": Count,
    "seeds": list[Count] | None,
    "attempt": Count,
    "key": str,
    "label": str,
    "overrides": Mapping[str, Any],
    "proposal": Mapping[str, Any],
    "state": State,
    "cause": Cause | None,
    "reason": str | None,
    "values": Mapping[str, float] | None,
    "time_s": Moment,
    "spent_s": Moment,
    "gpu_s": Moment,
}
"""Types of the fields that events have, in whichever of them."""

_REQUIRED = {
    "trial": {"trial", "seeds", "overrides", "label", "proposal"},
    "start": {"run"},
    "end": {"run", "state"},
    "again": {"run"},
    "lost": {"run", "reason"},
    "prune": {"trial", "reason"},
    "refused": {"trial", "reason"},
}
"""Fields without which an event of a kind says nothing."""


class Journal:
    """Appends events. A disk that is full loses events and nothing else.

    Raises:
        InputError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file: IO[bytes] = open_lines(path)
        except OSError as error:
            advice = f"`runner verify {shell_path(path.parent)} --repair` moves aside what is no file"
            raise InputError(Problem(f"cannot be written: {error.strerror}; {advice}", where=str(path))) from error

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
    """Yield the events in `path`, in order, only those of `kinds` if there are any. A missing file has none.

    Left out are lines that are torn or foreign, and events that lack a field of their kind or have a value of another type in one.

    Raises:
        OSError: it cannot be read.
    """
    marks = [json.dumps(kind).encode() for kind in kinds]
    for line in read_lines(path):
        if not line.startswith(b"{") or (kinds and all(mark not in line for mark in marks)):  # to read it would cost ten times as much
            continue
        try:
            event = parse_json(line)
        except ValueError:
            continue
        if is_event(event) and (not kinds or event["event"] in kinds):
            yield event


def is_event(value: Any) -> bool:
    """Return whether a JSON value is an event whose fields have the types that readers expect."""
    if not isinstance(value, dict) or not fits(value.get("event"), str) or not _REQUIRED.get(value["event"], frozenset()) <= value.keys():
        return False
    return all(fits(value[name], hint) for name, hint in _TYPES.items() if name in value)
