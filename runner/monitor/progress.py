"""Progress of a run, read from its files while it is active."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import replace
from pathlib import Path

import psutil

from runner.core.files import open_regular
from runner.core.lock import holder, last_holder
from runner.core.process import process_mark, ran_here
from runner.core.tail import Tail
from runner.store.records import Record
from runner.store.run_dir import RunDir, Status

CUT_OFF = "it was cut off: the process that worked on it is gone"
"""Reason of a run whose process could not record its end."""
_OVER = ("done", "pruned")

STANDINGS = ("done", "running", "waiting", "failed", "infeasible", "pruned", "interrupted")
"""Categories in which runs are counted, in the order of display. Infeasible: it failed because it does not fit into memory."""

_TAIL_BYTES = 1 << 16
_LAST_BYTES = 1 << 13
_CLOCK_TOLERANCE_S = 1.0
_SILENT_S = 45.0
"""Silence after which a process of another machine, whose lock is not visible here, counts as gone."""


def standing(status: Status, *, at_work: bool | None = None) -> str:
    """Return which of `STANDINGS` a run counts as.

    Args:
        at_work: a process is working on it; None: as its status says. A run whose status says running, with no process, was killed.
    """
    if at_work:
        return "running"
    if status.state == "running" and at_work is False:
        return "interrupted"
    if status.state == "failed" and status.cause == "out_of_memory":
        return "infeasible"
    return "waiting" if status.state == "pending" else status.state


def is_worked_on(run_dir: RunDir, status: Status) -> bool:
    """Return whether a process works on the run: it holds the run's lock, or runs on another machine, where that lock is not seen through a
    network file system, and shows life. Without a lock file (an older version's run), the process that `status` names counts."""
    if holder(run_dir.lock) is not None:
        return True
    if status.state != "running":
        return False
    last = last_holder(run_dir.lock)
    if not _is_from_here(status) or (not status.host and last is not None and not last.is_here):
        return has_recent_heartbeat(status)
    return not os.path.lexists(run_dir.lock) and is_alive(status)


def shows_life(status: Status) -> bool:
    """Return whether the process that wrote `status` seems to be at work, by its heartbeat where it runs on another machine."""
    return is_alive(status) if _is_from_here(status) else has_recent_heartbeat(status)


def has_recent_heartbeat(status: Status) -> bool:
    """Return whether `status` was written so lately that its process counts as active though it cannot be inspected."""
    return abs(time.time() - status.heartbeat) < _SILENT_S


def _is_from_here(status: Status) -> bool:
    return not status.host or ran_here(status.host, status.process)


def run_status(run_dir: RunDir) -> Status:
    """Return a run's status, corrected by its lock: a run whose status says running is interrupted where no process works on it; a failed
    one with a new attempt is running."""
    status = run_dir.status()
    if status.state in _OVER:
        return status
    if is_worked_on(run_dir, status):
        return status if status.state == "running" else replace(status, state="running", reason=None, cause=None)
    return replace(status, state="interrupted", reason=CUT_OFF) if status.state == "running" else status


def is_alive(status: Status) -> bool:
    """Return whether the process of this machine that wrote `status` is still there: its number alone may be another's by now."""
    if status.process:
        return process_mark(status.pid) == status.process
    try:  # one that was given the number later is younger than the last heartbeat
        process = psutil.Process(status.pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= status.heartbeat + _CLOCK_TOLERANCE_S
    except (psutil.Error, ValueError):
        return False


def final_value(path: Path | str, tag: str) -> float | None:
    """Return the last number of `tag` in a finished run's metrics.jsonl; None if it is not among the last records. Never raises."""
    try:
        with open_regular(path) as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _LAST_BYTES))
            lines = file.read().split(b"\n")
    except OSError:
        return None
    name = tag.encode()
    found = (Record.from_line(line) for line in reversed(lines) if name in line)
    return next((record.values[tag] for record in found if record is not None and tag in record.values), None)


class Evaluations:
    """One metric of a run, and its pace, from its metrics.jsonl: first the end of the file is read, then what is appended."""

    def __init__(self, path: Path, tag: str) -> None:
        self._path, self._tag = path, tag
        self._tail: Tail | None = None
        self._found: list[tuple[int, float]] = []
        self._last: tuple[float, int] | None = None
        self._paces: list[float] = []

    def newest(self) -> float | None:
        """Return the metric's newest value that counts; None before the first. Never raises."""
        self._update()
        return self._found[-1][1] if self._found else None

    def seconds_per_step(self) -> float | None:
        """Return the pace by the times in the newest records: the median of many differences, robust to a clock that was set."""
        self._update()
        return statistics.median(self._paces) if self._paces else None

    def _update(self) -> None:
        try:
            size = os.stat(self._path).st_size
            if self._tail is None or size != self._tail.offset:
                self._read(size)
        except OSError:
            pass  # not there yet, or not readable: nothing is known of it

    def _read(self, size: int) -> None:
        if self._tail is not None and size < self._tail.offset:  # another file in its place
            self._tail, self._found, self._last, self._paces = None, [], None, []
        if self._tail is None:
            self._tail = Tail(self._path, max(0, size - _TAIL_BYTES))
        for record in filter(None, map(Record.from_line, self._tail.read())):
            self._add(record)

    def _add(self, record: Record) -> None:
        if record.resumed:
            self._found = [(step, value) for step, value in self._found if step <= record.step]
            self._last, self._paces = None, []
        elif self._last is not None and record.step > self._last[1]:
            self._paces = [*self._paces[-50:], (record.time - self._last[0]) / (record.step - self._last[1])]
        if self._tag in record.values:
            self._found.append((record.step, record.values[self._tag]))
        self._last = record.time, record.step
