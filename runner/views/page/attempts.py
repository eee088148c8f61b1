"""History of a run's attempts, from its records and the journal of its sweep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from runner.core.files import parse_json, split_lines
from runner.results.collect import RunResult
from runner.store import legacy
from runner.store.events import Event, RunEnded, RunReopened, RunRetried, RunSaved, RunStarted, event_from_json
from runner.store.records import Record
from runner.views.page.run_files import open_inside

_MOST_BYTES: Final = 1 << 28
"""Bytes of a file of records, or of a journal, that are looked through."""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt of a run.

    Args:
        number: 1 for the first.
        started, ended: seconds since 1970; None: not recorded.
        first_step, last_step: where it began and the last step it recorded; None: it recorded nothing.
        end: the state in which it ended (``done``, ``failed``, …), ``retried``, ``saved``; empty while it runs; ``lost`` if nothing says.
        reason: why it ended; empty if unknown.
    """

    number: int
    started: float | None = None
    ended: float | None = None
    first_step: int | None = None
    last_step: int | None = None
    end: str = "lost"
    reason: str = ""


def read_attempts(root: Path, run: tuple[str, ...], journal: tuple[str, ...] | None, result: RunResult) -> list[AttemptRow]:
    """Return the attempts of a run, the first one first. Never raises for what is in its files.

    Args:
        root: a folder; `run`, `journal`: parts of the paths of the run's directory and its sweep's journal below it.
        result: state of the run.
    """
    rows = {row.number: row for row in _recorded(_lines(root, (*run, "metrics.jsonl")))}
    current = 0
    for event in _events(_lines(root, journal) if journal else [], result.path.name):
        if isinstance(event, RunStarted):
            current = event.attempt
            row = rows.get(current, AttemptRow(current))
            rows[current] = replace(row, started=event.time or row.started)
        elif current in rows:
            rows[current] = _ended(rows[current], event)
    last = max([result.attempts, *rows])
    if last:
        rows[last] = _with_state(rows.get(last, AttemptRow(last)), result)
        if result.imported:  # its tags may count other steps, so that its last record need not have the last one
            rows[last] = replace(rows[last], last_step=result.step)
    return [rows[number] for number in sorted(rows) if number]


def _ended(row: AttemptRow, event: Event) -> AttemptRow:
    match event:
        case RunEnded(state=state, reason=reason):
            return replace(row, end=state, reason=reason or "", ended=event.time or row.ended)
        case RunRetried(reason=reason):
            return replace(row, end="retried", reason=reason or "", ended=event.time or row.ended)
        case RunSaved():
            return replace(row, end="saved", ended=event.time or row.ended)
    return row


def _with_state(row: AttemptRow, result: RunResult) -> AttemptRow:
    """Return the last attempt with the state of the run, unless the journal knows that the run waits for another attempt."""
    if result.state == "running":
        return replace(row, end="", ended=None, reason="")
    if result.state == "pending" or row.end in ("retried", "saved"):
        return row
    return replace(row, end=result.state, reason=result.reason or row.reason, ended=row.ended or result.heartbeat or None)


def _recorded(lines: Iterable[bytes]) -> Iterator[AttemptRow]:
    """Yield an attempt for each mark of a beginning. Only the marks and the lines before them are parsed."""
    row: AttemptRow | None = None
    before = b""
    for line in lines:
        if b'"resumed"' in line and (mark := Record.from_line(line)) is not None and mark.resumed:
            if row is not None:
                yield _until(row, before)
            row = AttemptRow(mark.attempt, started=mark.time, first_step=mark.step, last_step=mark.step)
        before = line
    if row is not None:
        yield _until(row, before)


def _until(row: AttemptRow, line: bytes) -> AttemptRow:
    record = Record.from_line(line)
    if record is None or record.attempt != row.number:
        return row
    return replace(row, last_step=record.step, ended=record.time)


def _events(lines: Iterable[bytes], run: str) -> Iterator[Event]:
    """Yield the events of a run that begin or end an attempt."""
    name = run.encode("utf-8", "surrogateescape")
    for line in lines:
        if name in line or b"\\u" in line:
            try:
                value = parse_json(line)
            except ValueError:
                continue
            event = event_from_json(legacy.upgrade_event(value)) if isinstance(value, dict) else None
            if isinstance(event, RunStarted | RunEnded | RunRetried | RunSaved | RunReopened) and event.run == run:
                yield event


def _lines(root: Path, parts: tuple[str, ...]) -> Iterator[bytes]:
    try:
        with open_inside(root, parts) as file:
            read = 0
            for line in split_lines(file):
                yield line
                read += len(line) + 1
                if read > _MOST_BYTES:
                    return
    except OSError:
        return
