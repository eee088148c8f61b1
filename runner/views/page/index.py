"""Cache of what runs said, so that a server that is started again answers at once: SQLite in the user's cache folder.

It can be deleted at any time. A file that is damaged, or of another version, is deleted and made anew; where there can be none, there is
none. Several servers may use one.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from runner.results.collect import RunResult
from runner.store.records import decode_number, encode_number
from runner.store.run_dir import PrimaryMetric
from runner.training.learning import FlatTerm
from runner.views.page.scan import Fingerprint

SCHEMA = 1
"""Version of the table and of the facts in it: another one is not read."""
_BUSY_S = 1.0
_FIELDS = tuple(field.name for field in fields(RunResult) if field.name != "path")
_TABLE = "CREATE TABLE IF NOT EXISTS facts (run TEXT PRIMARY KEY, files TEXT, sum INTEGER, facts BLOB) WITHOUT ROWID"


def cache_folder() -> Path:
    """Return the folder of all caches: ``$XDG_CACHE_HOME/runner/page``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path(os.path.expanduser("~")) / ".cache") / "runner" / "page"


def cache_path(roots: Iterable[Path]) -> Path:
    """Return the file of the cache for some folders: ``HASH.db`` in `cache_folder`."""
    names = "\0".join(sorted(os.path.realpath(root) for root in roots))
    return cache_folder() / f"{hashlib.sha256(os.fsencode(names)).hexdigest()[:32]}.db"


class FactsIndex:
    """Results of runs that have ended, by their directory and the marks of their files. No method raises for the state of the disk.

    Args:
        path: the file; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = self._open()

    def load(self) -> dict[str, tuple[Fingerprint, RunResult]]:
        """Return everything that is known, by the absolute path of the run's directory."""
        if self._database is None:
            return {}
        import msgspec  # noqa: PLC0415 - of the extra `page`

        try:
            rows = self._database.execute("SELECT run, files, sum, facts FROM facts").fetchall()
            return {run: _decoded(msgspec.json.decode, run, files, total, facts) for run, files, total, facts in rows}
        except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError, OverflowError, zlib.error):
            self._renew()
            return {}

    def store(self, found: Mapping[str, tuple[Fingerprint, RunResult]], gone: Sequence[str] = ()) -> None:
        """Remember what some runs said, and forget those that are gone."""
        if self._database is None or not (found or gone):
            return
        rows = []
        for run, (files, result) in found.items():
            facts = zlib.compress(_encoded(result), 1)
            marks = json.dumps(files)
            rows.append((run, marks, _sum(run, marks, facts), facts))
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)", rows)
                self._database.executemany("DELETE FROM facts WHERE run = ?", [(run,) for run in gone])
        except sqlite3.OperationalError:
            pass  # another server is writing, or the disk is full: the next start reads these runs again
        except sqlite3.DatabaseError:
            self._renew()

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def _renew(self) -> None:
        """Delete the file and make it anew."""
        self.close()
        self._delete()
        self._database = self._open()

    def _delete(self) -> None:
        for end in ("", "-wal", "-shm"):
            with suppress(OSError):
                os.unlink(f"{self._path}{end}")

    def _open(self) -> sqlite3.Connection | None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.path.islink(self._path):
                self._delete()
            self._create()
        except OSError:
            return None
        for attempt in (1, 2):
            try:
                return self._connect()
            except sqlite3.OperationalError:
                return None
            except sqlite3.DatabaseError:  # damaged, or of another version
                self._delete()
                if attempt == 1:
                    with suppress(OSError):
                        self._create()
        return None

    def _create(self) -> None:
        """Make the file if there is none, for this user alone: SQLite gives its other files the same mode. Raises OSError."""
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
        os.chmod(self._path, 0o600)

    def _connect(self) -> sqlite3.Connection:
        """Open the file. Raises sqlite3.DatabaseError: it cannot be used."""
        database = sqlite3.connect(self._path, timeout=_BUSY_S, check_same_thread=False)
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            tables = database.execute("SELECT sql FROM sqlite_master").fetchall()
            if (version, len(tables)) not in ((SCHEMA, 1), (0, 0)):
                raise sqlite3.DatabaseError("of another version")
            if [state for (state,) in database.execute("PRAGMA quick_check")] != ["ok"]:
                raise sqlite3.DatabaseError("damaged")
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            with database:
                database.execute(_TABLE)
                database.execute(f"PRAGMA user_version = {SCHEMA}")
        except BaseException:
            database.close()
            raise
        return database


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
