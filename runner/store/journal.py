"""A sweep's journal: what its drivers did, one JSON object per line, appended as it happens.

It is an index: the run directories are authoritative, and losing or truncating the journal costs time but no result.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, TypeVar, overload

from runner.core.errors import InputError, Problem
from runner.core.files import open_lines, parse_json, read_lines
from runner.core.values import shell_path
from runner.store import legacy
from runner.store.events import CommandReceived, Event, event_from_json, event_to_json, kind_of

E = TypeVar("E", bound=Event)


class Journal:
    """A file that events are appended to. A full disk loses events, nothing else.

    Raises:
        InputError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file: IO[bytes] = open_lines(path)
        except OSError as error:
            advice = f"`runner verify {shell_path(path.parent)} --repair` moves aside anything that is not a file"
            raise InputError(Problem(f"cannot be written: {error.strerror}; {advice}", where=str(path))) from error

    def append(self, event: Event) -> None:
        """Append an event and its time in a single write. Numbers in it must be finite."""
        value = event_to_json(replace(event, time=round(time.time(), 3)))
        line = json.dumps(value, ensure_ascii=False, allow_nan=False)
        try:
            self._file.write(line.encode() + b"\n")
        except OSError:
            pass  # `runner verify --repair` adds it again from the run directories

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@overload
def read_journal(path: Path) -> Iterator[Event]: ...


@overload
def read_journal(path: Path, *kinds: type[E]) -> Iterator[E]: ...


def read_journal(path: Path, *kinds: type[Event]) -> Iterator[Event]:
    """Yield the events in `path`, in order; only those of `kinds` if there are any. A missing file has none.

    Torn or foreign lines are skipped, as are events with a missing field or a value of the wrong type.

    Raises:
        OSError: it cannot be read.
    """
    names = [kind_of(kind) for kind in kinds]
    marks = [json.dumps(name).encode() for name in [*names, *legacy.former_events(names)]]
    for line in read_lines(path):
        if not line.startswith(b"{") or (kinds and all(mark not in line for mark in marks)):  # parsing it would cost ten times as much
            continue
        try:
            value = parse_json(line)
        except ValueError:
            continue
        event = event_from_json(legacy.upgrade_event(value)) if isinstance(value, dict) else None
        if event is not None and (not kinds or isinstance(event, kinds)):
            yield event


def stopped_on_request(events: Iterable[Event]) -> set[str]:
    """Return the numbers of the trials, as text, and the names of the runs that requests have stopped for good."""
    return {event.target for event in events if isinstance(event, CommandReceived) and event.action == "stop" and event.target}
