"""Cache of what runs said, so that a server that is started again answers at once."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from runner.results.collect import RunResult
from runner.store.records import decode_number, encode_number
from runner.store.run_dir import PrimaryMetric
from runner.training.learning import FlatTerm
from runner.views.page.cache_file import CacheFile
from runner.views.page.scan import Fingerprint

SCHEMA = 1
"""Version of the table and of the facts in it."""
_FIELDS = tuple(field.name for field in fields(RunResult) if field.name != "path")
_TABLE = "CREATE TABLE IF NOT EXISTS facts (run TEXT PRIMARY KEY, files TEXT, sum INTEGER, facts BLOB) WITHOUT ROWID"


class FactsIndex:
    """Results of runs that have ended, by their directory and the marks of their files. No method raises for the state of the disk.

    Args:
        path: the file (see `CacheFile`).
    """

    def __init__(self, path: Path) -> None:
        self._file = CacheFile(path, SCHEMA, _TABLE)

    def load(self) -> dict[str, tuple[Fingerprint, RunResult]]:
        """Return everything that is known, by the absolute path of the run's directory."""
        if not self._file.is_open:
            return {}
        import msgspec  # noqa: PLC0415 - of the extra `page`

        try:
            rows = self._file.read("SELECT run, files, sum, facts FROM facts")
            return {run: _decoded(msgspec.json.decode, run, files, total, facts) for run, files, total, facts in rows}
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, zlib.error):
            self._file.renew()
            return {}

    def store(self, found: Mapping[str, tuple[Fingerprint, RunResult]], gone: Sequence[str] = ()) -> None:
        """Remember what some runs said, and forget those that are gone."""
        if not self._file.is_open or not (found or gone):
            return
        rows = []
        for run, (files, result) in found.items():
            facts = zlib.compress(_encoded(result), 1)
            marks = json.dumps(files)
            rows.append((run, marks, _sum(run, marks, facts), facts))
        self._file.write(
            ("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)", rows), ("DELETE FROM facts WHERE run = ?", [(run,) for run in gone])
        )

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()


def _sum(run: str, marks: str, facts: bytes) -> int:
    return zlib.crc32(facts, zlib.crc32(f"{run}\0{marks}".encode("utf-8", "surrogateescape")))


def _encoded(result: RunResult) -> bytes:
    """Return a result as JSON, without its path."""
    import msgspec  # noqa: PLC0415 - of the extra `page`

    data = {name: getattr(result, name) for name in _FIELDS}
    data["evaluations"] = [[step, {tag: encode_number(value) for tag, value in values.items()}] for step, values in result.evaluations]
    return msgspec.json.encode(data)


def _decoded(decode: Callable[[str | bytes], Any], run: str, marks: str, total: int, facts: bytes) -> tuple[Fingerprint, RunResult]:
    """Return the inverse of `_encoded`, with the marks. Raises ValueError and others where it is damaged."""
    if _sum(run, marks, facts) != total:
        raise ValueError("damaged")
    data: dict[str, Any] = decode(zlib.decompress(facts))
    for evaluation in data["evaluations"]:
        for tag, value in evaluation[1].items():
            if type(value) is not float:
                evaluation[1][tag] = decode_number(value)
    data["evaluations"] = list(map(tuple, data["evaluations"]))
    data["undefined"] = tuple(data["undefined"])
    data["metric"] = PrimaryMetric(data["metric"]["name"], data["metric"]["goal"], tuple(data["metric"]["also"]))
    data["flat"] = tuple(FlatTerm(**term) for term in data["flat"])
    files = tuple(None if mark is None else (mark[0], mark[1], mark[2]) for mark in decode(marks))
    return files, RunResult(path=Path(run), **data)
