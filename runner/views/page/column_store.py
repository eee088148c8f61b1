"""Columns of many metrics.jsonl, in bounded memory."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path

from runner.results.collect import RecordsSummary
from runner.store.records import Kind
from runner.views.page.reader import Columns, read_columns
from runner.views.page.summary import summarize

MOST_BYTES = 48_000_000


class ColumnStore:
    """Columns of files, the least recently used forgotten first. Safe to use from several threads.

    Args:
        most_bytes: memory for them. The newest one is kept even if it is larger.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._columns: OrderedDict[Path, Columns] = OrderedDict()
        self._tags: dict[Path, tuple[int, int, dict[str, Kind]]] = {}
        self._lock = threading.Lock()

    def tags(self, path: Path) -> dict[str, Kind]:
        """Return `Columns.tags` of a file, which are remembered longer than its columns. Raises OSError: it cannot be read."""
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return {}
        known = self._tags.get(path)
        if known is None or known[:2] != (status.st_ino, status.st_size):
            columns = self.read(path)
            known = self._tags[path] = (columns.file[0], columns.file[2], columns.tags())
        return known[2]

    def read(self, path: Path) -> Columns:
        """Return what `read_columns` does, reading only what is new. Raises OSError: it cannot be read."""
        with self._lock:
            last = self._columns.get(path)
        columns = read_columns(path, last)  # two threads may do this at once: the states are immutable
        with self._lock:
            if (old := self._columns.pop(path, None)) is not None:
                self._bytes -= old.nbytes
            self._columns[path] = columns
            self._bytes += columns.nbytes
            while self._bytes > self._most_bytes and len(self._columns) > 1:
                self._bytes -= self._columns.popitem(last=False)[1].nbytes
        return columns

    def summary(self, path: Path, steps: int | None) -> RecordsSummary:
        """Summarise a file (see `runner.results.collect.ReadSummary`)."""
        try:
            return summarize(self.read(path), path, steps)
        except OSError:
            return RecordsSummary()  # the run's other files say so
