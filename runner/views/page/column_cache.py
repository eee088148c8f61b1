"""Cache of columns on the disk: curves are there at once after a restart, and those of many runs do not have to stay in memory.

One file for all folders. Of a run it has a row with what describes it, a row with the arrays of all its records, and a row per tag with
that tag's values, exact and with a checksum: what a chart needs is read without the rest.
"""

from __future__ import annotations

import json
import os
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from runner.store.records import Kind
from runner.views.page.cache_file import CacheFile, cache_folder
from runner.views.page.reader import AttemptMark, Block, Columns
from runner.views.page.scan import Mark

SCHEMA = 1
"""Version of the table and of what is in it."""
MOST_BYTES = 5 << 30
"""Size of the file beyond which the oldest runs are dropped from it."""
_DROPPED = 10
"""One of how many runs is dropped at once."""
_PAGE_BYTES = 32_768
_TABLE = "CREATE TABLE IF NOT EXISTS columns (run TEXT, part TEXT, stored REAL, sum INTEGER, data BLOB, PRIMARY KEY (run, part))"
_HEAD, _ROWS, _TAG = "head", "rows", "tag "
"""Names of parts; that of a tag follows `_TAG`."""
_INDEX: Final = (("step", "<f8"), ("epoch", "<f8"), ("time", "<f8"), ("attempt", "<i8"), ("counts", "|b1"))
"""Arrays of all records of a run, with their types."""


class ColumnCache:
    """Columns of metrics.jsonl files by path. No method raises for the state of the disk. Safe to use from several threads.

    Args:
        path: the file; its folder is made. None: the one in the user's cache folder.
        most_bytes: size beyond which the oldest are dropped.
    """

    def __init__(self, path: Path | None = None, most_bytes: int = MOST_BYTES) -> None:
        self._file = CacheFile(path or cache_folder() / "columns.db", SCHEMA, _TABLE, page_bytes=_PAGE_BYTES, whole=False)
        self._most_bytes = most_bytes
        self._lock = threading.Lock()

    def tags(self, path: Path, mark: Mark) -> dict[str, Kind] | None:
        """Return `Columns.tags` of a file; None if it is not known, or was another then."""
        parts = self._read(path, mark)
        return None if parts is None else parts[0]["counted"]

    def read(self, path: Path, mark: Mark, tag: str) -> Columns | None:
        """Return the columns of a file, of its tags only one; None if they are not known, or it was another then."""
        parts = self._read(path, mark, _ROWS, f"{_TAG}{tag}")
        return None if parts is None else _columns(*parts, tag)

    def store(self, found: Mapping[Path, tuple[Mark, Columns]]) -> None:
        """Remember the columns of some files, and drop the oldest if there are too many."""
        if not found:
            return
        now, rows = time.time(), []
        for path, one in found.items():
            with suppress(UnicodeEncodeError):  # a name of a file or tag that is no text, which SQLite does not take
                rows += [(key, name, now, _sum(key, name, data), data) for key, name, data in _parts(path, *one)]
        with self._lock:
            self._file.write(
                ("DELETE FROM columns WHERE run = ?", [(run,) for run in {row[0] for row in rows}]),
                ("INSERT OR REPLACE INTO columns VALUES (?, ?, ?, ?, ?)", rows),
            )
            if self._file.size() > self._most_bytes:
                heads = f"FROM columns WHERE part = '{_HEAD}'"
                oldest = f"SELECT run {heads} ORDER BY stored LIMIT (SELECT 1 + count(*) / ? {heads})"
                self._file.write((f"DELETE FROM columns WHERE run IN ({oldest})", [(_DROPPED,)]))

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            self._file.close()

    def _read(self, path: Path, mark: Mark, *names: str) -> tuple[dict[str, Any], dict[str, bytes]] | None:
        """Return the description of a file and parts of it; None if they are not known. A file with a part that is damaged is made anew."""
        key, wanted = _key(path), (_HEAD, *names)
        marks = ", ".join("?" * len(wanted))
        with self._lock:
            rows = self._file.read(f"SELECT part, sum, data FROM columns WHERE run = ? AND part IN ({marks})", (key, *wanted))
            try:
                if any(_sum(key, name, data) != total for name, total, data in rows):
                    raise ValueError("damaged")
                parts = {name: data for name, _, data in rows}
                head = json.loads(parts.pop(_HEAD, b"null"))
            except (ValueError, TypeError, AttributeError):
                self._file.renew()
                return None
        return (head, parts) if head is not None and tuple(head["mark"]) == mark else None


def _key(path: Path) -> str:
    return os.path.abspath(path)


def _sum(run: str, name: str, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(f"{run}\0{name}".encode()))


def _parts(path: Path, mark: Mark, columns: Columns) -> Iterator[tuple[str, str, bytes]]:
    """Yield (key, name, data) of each part."""
    key = _key(path)
    blocks = list(columns.blocks.items())
    head = {
        "mark": mark,
        "records": len(columns.step),
        "marks": [astuple(each) for each in columns.marks],
        "counted": columns.tags(),
        "blocks": [(kind, tags, len(block.rows)) for (kind, tags), block in blocks],
    }
    yield key, _HEAD, json.dumps(head).encode()
    index = [getattr(columns, name).astype(kind).tobytes() for name, kind in _INDEX]
    yield key, _ROWS, b"".join([*index, *(block.rows.astype("<i4").tobytes() for _, block in blocks)])
    values: dict[str, list[bytes]] = {}
    for (_, tags), block in blocks:
        for tag, row in zip(tags, block.values, strict=True):
            values.setdefault(tag, []).append(row.astype("<f8").tobytes())
    for tag, found in values.items():
        yield key, f"{_TAG}{tag}", b"".join(found)


def _columns(head: Mapping[str, Any], parts: Mapping[str, bytes], tag: str) -> Columns:
    """Return the inverse of `_parts`, with one tag."""
    rows, at, records = parts[_ROWS], 0, head["records"]
    arrays: dict[str, Any] = {}
    for name, kind in _INDEX:
        arrays[name] = np.frombuffer(rows, kind, records, at)
        at += arrays[name].nbytes
    values, there = np.frombuffer(parts.get(f"{_TAG}{tag}", b""), "<f8"), 0
    found: dict[Kind, list[tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]]] = {}
    for kind, tags, count in head["blocks"]:
        if tag in tags:
            found.setdefault(kind, []).append((np.frombuffer(rows, "<i4", count, at), values[there : there + count]))
            there += count
        at += 4 * count
    blocks: dict[tuple[Kind, tuple[str, ...]], Block] = {(kind, (tag,)): _joined(each) for kind, each in found.items()}
    return Columns(**arrays, blocks=blocks, marks=tuple(AttemptMark(*mark) for mark in head["marks"]))


def _joined(blocks: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]]) -> Block:
    """Return one block of records that have a tag in common, in their order."""
    rows, values = (np.concatenate(arrays) if len(arrays) > 1 else arrays[0] for arrays in zip(*blocks, strict=True))
    order = np.argsort(rows, kind="stable") if len(blocks) > 1 else slice(None)
    return Block(rows[order], values[order][None])
