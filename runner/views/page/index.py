"""Cache of what runs said, so that a server that is started again answers at once."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec

from runner.results.collect import RunResult
from runner.store.records import decode_number, encode_number
from runner.store.run_dir import PrimaryMetric
from runner.training.learning import FlatTerm
from runner.views.page.cache_file import CacheFile
from runner.views.page.scan import Fingerprint

SCHEMA = 4
"""Version of the table and of the facts in it."""
_TABLE = "CREATE TABLE IF NOT EXISTS facts (run TEXT PRIMARY KEY, files TEXT, sum INTEGER, own BLOB, alike BLOB, evaluations BLOB)"
_OWN = tuple(field.name for field in fields(RunResult) if field.name not in ("path", "facts", "trial_keys", "metric", "evaluations"))


class FactsIndex:
    """Results of runs that have ended, by their directory and the marks of their files. No method raises for the state of the disk.

    Args:
        path: the file (see `CacheFile`).
    """

    def __init__(self, path: Path) -> None:
        self._file = CacheFile(path, SCHEMA, _TABLE)
        self._alike: dict[bytes, dict[str, Any]] = {}

    def load(self) -> dict[str, tuple[Fingerprint, RunResult]]:
        """Return everything that is known, by the absolute path of the run's directory."""
        if not self._file.is_open:
            return {}
        rows = self._file.read("SELECT run, files, sum, own, alike, evaluations FROM facts")
        try:
            return {run: (_marks(run, files, total, parts), self._result(Path(run), *parts)) for run, files, total, *parts in rows}
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, zlib.error):
            self._file.renew()
            return {}

    def store(self, found: Mapping[str, tuple[Fingerprint, RunResult]], gone: Sequence[str] = ()) -> dict[str, RunResult]:
        """Remember what some runs said, and forget those that are gone. Return equal results that take less memory."""
        if not (found or gone):
            return {}
        rows, results = [], {}
        for run, (files, result) in found.items():
            if not _is_text(run):  # SQLite does not take it
                continue
            try:
                marks, parts = json.dumps(files), _encoded(result)
            except (ValueError, TypeError):
                continue  # a config with what JSON has not, such as .nan or a date: the run is read again the next time
            rows.append((run, marks, _sum(run, marks, *parts), *parts))
            results[run] = self._result(result.path, *parts)
        self._file.write(
            ("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?)", rows),
            ("DELETE FROM facts WHERE run = ?", [(run,) for run in gone if _is_text(run)]),
        )
        return results

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def _result(self, path: Path, own: bytes, alike: bytes, evaluations: bytes) -> RunResult:
        """Return the inverse of `_encoded`. Raises ValueError and others where it is damaged."""
        if (shared := self._alike.get(alike)) is None:
            shared = msgspec.json.decode(zlib.decompress(alike))
            metric = shared["metric"]
            shared["metric"] = PrimaryMetric(metric["name"], metric["goal"], tuple(metric["also"]))
            self._alike[alike] = shared
        data: dict[str, Any] = msgspec.json.decode(own)
        facts = {**data.pop("facts"), **shared["facts"]}
        data["undefined"] = tuple(data["undefined"])
        data["flat"] = tuple(FlatTerm(**term) for term in data["flat"])
        kept = StoredEvaluations(evaluations)
        return RunResult(path, facts=facts, trial_keys=shared["trial_keys"], metric=shared["metric"], evaluations=kept, **data)


class StoredEvaluations(Sequence[tuple[int, Mapping[str, float]]]):
    """Evaluations of a run as compressed JSON, decoded whenever they are asked for: thousands of runs then take a tenth of the memory."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def _all(self) -> list[tuple[int, dict[str, float]]]:
        found = msgspec.json.decode(zlib.decompress(self.data))
        return [
            (step, {tag: value if type(value) is float else decode_number(value) for tag, value in each.items()}) for step, each in found
        ]

    def __len__(self) -> int:
        return len(self._all())

    def __getitem__(self, index: Any) -> Any:
        return self._all()[index]

    def __iter__(self) -> Iterator[tuple[int, Mapping[str, float]]]:
        return iter(self._all())

    def __reversed__(self) -> Iterator[tuple[int, Mapping[str, float]]]:
        return reversed(self._all())

    def __eq__(self, other: object) -> bool:
        return self.data == other.data if isinstance(other, StoredEvaluations) else self._all() == other

    __hash__ = None  # type: ignore[assignment]


def _marks(run: str, marks: str, total: int, parts: Sequence[bytes]) -> Fingerprint:
    """Return the fingerprint in a row. Raises ValueError: the row is damaged."""
    if _sum(run, marks, *parts) != total:
        raise ValueError("damaged")
    return tuple(None if mark is None else (mark[0], mark[1], mark[2]) for mark in msgspec.json.decode(marks))


def _is_text(name: str) -> bool:
    """Return whether a name can be written as UTF-8: that of a file may be any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sum(run: str, marks: str, *parts: bytes) -> int:
    total = zlib.crc32(os.fsencode(f"{run}\0{marks}"))
    for part in parts:
        total = zlib.crc32(part, total)
    return total


def _encoded(result: RunResult) -> tuple[bytes, bytes, bytes]:
    """Return a result without its path in three parts: what is its own; what many runs have alike; evaluations. The last two compressed."""
    shared = {key: value for key, value in result.facts.items() if isinstance(value, Mapping | list | tuple)}
    own = {name: getattr(result, name) for name in _OWN}
    own["facts"] = {key: value for key, value in result.facts.items() if key not in shared}
    own["config"] = dict(result.config)
    json.dumps(own["config"], allow_nan=False)
    alike = {"trial_keys": result.trial_keys, "metric": result.metric, "facts": shared}
    return msgspec.json.encode(own), zlib.compress(msgspec.json.encode(alike), 1), _encoded_evaluations(result.evaluations)


def _encoded_evaluations(evaluations: Sequence[tuple[int, Mapping[str, float]]]) -> bytes:
    if isinstance(evaluations, StoredEvaluations):
        return evaluations.data
    plain = [(step, {tag: encode_number(value) for tag, value in values.items()}) for step, values in evaluations]
    return zlib.compress(msgspec.json.encode(plain), 1)
