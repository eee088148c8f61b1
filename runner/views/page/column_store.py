"""Columns of many metrics.jsonl, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from pathlib import Path

from runner.results.collect import RecordsSummary
from runner.store.records import Kind
from runner.views.page.column_cache import ColumnCache
from runner.views.page.reader import Columns, read_columns
from runner.views.page.scan import Mark, file_mark
from runner.views.page.summary import summarize

MOST_BYTES = 40_000_000
_MOST_WAITING_BYTES = 8_000_000
_QUIET_S = 60.0
"""Seconds since the last change after which a file counts as finished. Only columns of finished files are cached on the disk."""


class ColumnStore:
    """Columns of files, the least recently used forgotten first. Safe to use from several threads.

    Args:
        most_bytes: memory for them. The newest one is kept even if it is larger.
        cache: on the disk; None: none.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, cache: ColumnCache | None = None) -> None:
        self._most_bytes = most_bytes
        self._cache = cache
        self._bytes = 0
        self._columns: OrderedDict[tuple[Path, str | None], tuple[Mark | None, Columns]] = OrderedDict()
        self._tags: dict[Path, tuple[Mark, dict[str, Kind]]] = {}
        self._alike: dict[tuple[tuple[str, Kind], ...], dict[str, Kind]] = {}
        self._waiting: dict[Path, tuple[Mark, Columns]] = {}
        self._lock = threading.Lock()

    def tags(self, path: Path) -> dict[str, Kind]:
        """Return `Columns.tags` of a file, which are remembered longer than its columns. Raises OSError: it cannot be read."""
        if (mark := file_mark(path)) is None:
            return self.read(path).tags()  # none, or it raises
        known = self._tags.get(path)
        if known is None or known[0] != mark:
            if self._cache is None or (tags := self._cache.tags(path, mark)) is None:
                tags = self.read(path).tags()
            known = self._tags[path] = (mark, self._alike.setdefault(tuple(tags.items()), tags))
        return known[1]

    def read(self, path: Path, tag: str | None = None) -> Columns:
        """Return what `read_columns` does, reading only what is new; with a tag, other tags may be missing.

        Raises:
            OSError: it cannot be read.
        """
        mark = file_mark(path)
        with self._lock:
            _, last = self._columns.get((path, None), (None, None))
            part = self._columns.get((path, tag)) if last is None else None
        if part is not None and part[0] == mark:
            return self._keep((path, tag), *part)
        if last is None and tag is not None and mark is not None and self._cache is not None:
            if (columns := self._cache.read(path, mark, tag)) is not None:
                return self._keep((path, tag), mark, columns)
        return self._keep((path, None), mark, self._read_anew(path, mark, last))

    def _read_anew(self, path: Path, mark: Mark | None, last: Columns | None) -> Columns:
        """Read the file, and remember it for the cache on the disk if it is quiet."""
        columns = read_columns(path, last)  # two threads may do this at once: the states are immutable
        if columns is not last and mark is not None and self._cache is not None and time.time() - mark[2] / 1e9 > _QUIET_S:
            with self._lock:
                self._waiting[path] = (mark, columns)
                full = sum(each.nbytes for _, each in self._waiting.values()) > _MOST_WAITING_BYTES
            if full:
                self.flush()
        return columns

    def _keep(self, key: tuple[Path, str | None], mark: Mark | None, columns: Columns) -> Columns:
        with self._lock:
            if (old := self._columns.pop(key, None)) is not None:
                self._bytes -= old[1].nbytes
            self._columns[key] = (mark, columns)
            self._bytes += columns.nbytes
            while self._bytes > self._most_bytes and len(self._columns) > 1:
                self._bytes -= self._columns.popitem(last=False)[1][1].nbytes
        return columns

    def flush(self) -> None:
        """Write what waits for it into the cache on the disk."""
        if self._cache is not None and self._waiting:
            with self._lock:
                waiting, self._waiting = self._waiting, {}
            self._cache.store(waiting)

    def close(self) -> None:
        """Flush, and close the cache on the disk. Idempotent."""
        self.flush()
        if self._cache is not None:
            self._cache.close()

    def summary(self, path: Path, steps: int | None) -> RecordsSummary:
        """Summarise a file (see `runner.results.collect.ReadSummary`)."""
        try:
            if steps is not None:  # it runs: what follows is added to what was read
                return summarize(self.read(path), path, steps)
            with self._lock:
                _, last = self._columns.get((path, None), (None, None))
            return summarize(self._read_anew(path, file_mark(path), last), path, steps)
        except OSError:
            return RecordsSummary()  # the run's other files say so
