"""A cache of the page as an SQLite file in the user's cache folder, which can be deleted at any time.

One that is damaged, or of another version, is deleted and made anew; where there can be none, there is none. Several servers may use one.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from runner.core.files import user_cache

_BUSY_S = 1.0


def cache_folder() -> Path:
    """Return the folder of all caches: ``$XDG_CACHE_HOME/runner/page``."""
    return user_cache() / "page"


def cache_path(roots: Iterable[Path]) -> Path:
    """Return the file of the cache for some folders: ``HASH.db`` in `cache_folder`."""
    names = "\0".join(sorted(os.path.realpath(root) for root in roots))
    return cache_folder() / f"{hashlib.sha256(os.fsencode(names)).hexdigest()[:32]}.db"


class CacheFile:
    """An SQLite file with one table. No method raises for the state of the disk.

    Args:
        path: the file; its folder is made.
        schema: version of the table and of what is in it: another one is not read.
        table: the statement that creates the table.
        page_bytes: size of the file's pages.
        whole: check every page when it is opened, which takes a second per GB.
    """

    def __init__(self, path: Path, schema: int, table: str, *, page_bytes: int = 4096, whole: bool = True) -> None:
        self.path = path
        self._schema = schema
        self._table = table
        self._page_bytes = page_bytes
        self._whole = whole
        self._database = self._open()

    @property
    def is_open(self) -> bool:
        """False where there can be no file, or it was closed."""
        return self._database is not None

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows that a statement selects; none where the file cannot be read, which is then made anew."""
        if self._database is None:
            return []
        try:
            return self._database.execute(statement, values).fetchall()
        except (sqlite3.OperationalError, UnicodeEncodeError):  # busy; or a name that is no text, which is never written
            return []
        except sqlite3.DatabaseError:
            self.renew()
            return []

    def write(self, *statements: tuple[str, Iterable[Sequence[Any]]]) -> None:
        """Execute statements, each for some rows of values, all of them or none."""
        if self._database is None:
            return
        try:
            with self._database:
                for statement, rows in statements:
                    self._database.executemany(statement, rows)
        except sqlite3.OperationalError:
            pass  # another server is writing, or the disk is full: what is missing is read from its source again
        except sqlite3.DatabaseError:
            self.renew()

    def size(self) -> int:
        """Return the bytes in use: what was deleted is used again, but the file does not shrink."""
        tables = "pragma_page_count, pragma_freelist_count, pragma_page_size"
        return sum(size for (size,) in self.read(f"SELECT (page_count - freelist_count) * page_size FROM {tables}"))

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def renew(self) -> None:
        """Delete the file and make it anew."""
        self.close()
        self._delete()
        self._database = self._open()

    def _delete(self) -> None:
        for end in ("", "-wal", "-shm"):
            with suppress(OSError):
                os.unlink(f"{self.path}{end}")

    def _open(self) -> sqlite3.Connection | None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.path.islink(self.path):
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
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
        os.chmod(self.path, 0o600)

    def _connect(self) -> sqlite3.Connection:
        """Open the file. Raises sqlite3.DatabaseError: it cannot be used."""
        database = sqlite3.connect(self.path, timeout=_BUSY_S, check_same_thread=False)
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            tables = database.execute("SELECT sql FROM sqlite_master WHERE type = 'table'").fetchall()
            if (version, len(tables)) not in ((self._schema, 1), (0, 0)):
                raise sqlite3.DatabaseError("of another version")
            if self._whole and [state for (state,) in database.execute("PRAGMA quick_check")] != ["ok"]:
                raise sqlite3.DatabaseError("damaged")
            database.execute(f"PRAGMA page_size={self._page_bytes}")
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            with database:
                database.execute(self._table)
                database.execute(f"PRAGMA user_version = {self._schema}")
        except BaseException:
            database.close()
            raise
        return database
