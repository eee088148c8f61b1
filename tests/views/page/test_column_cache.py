"""The cache of columns on the disk: what it returns is what was stored, whatever happened to the file."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from runner.store.records import Record
from runner.views.page import column_cache
from runner.views.page.column_cache import ColumnCache
from runner.views.page.column_store import ColumnStore
from runner.views.page.reader import Columns, read_columns
from runner.views.page.scan import file_mark
from tests.views.page.test_reader import write

TAGS = ("train/loss", "train/lr", "bbox/AP", "板")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Records of three kinds, resumed once, last written two minutes ago."""
    path = tmp_path / "run" / "metrics.jsonl"
    path.parent.mkdir()
    train = [Record(1, step, step / 10, 100.0 + step, {"train/loss": 1 / (1 + step), "train/lr": 0.1}) for step in range(20)]
    mark = Record(2, 15, 1.5, 200.0, resumed=True)
    alone = [Record(2, step, step / 10, 200.0 + step, {"train/loss": float("nan"), "板": 2.0}) for step in range(16, 20)]
    evaluation = Record(2, 19, 1.9, 300.0, {"bbox/AP": 0.5}, kind="evaluation")
    write(path, *train, mark, *alone, evaluation)
    os.utime(path, (time.time() - 120,) * 2)
    return path


def cached(file: Path, folder: Path) -> ColumnCache:
    """A cache that has the file."""
    cache = ColumnCache(folder / "columns.db")
    mark = file_mark(file)
    assert mark is not None
    cache.store({file: (mark, read_columns(file))})
    return cache


def read(cache: ColumnCache, file: Path, tag: str = "train/loss") -> Columns | None:
    mark = file_mark(file)
    assert mark is not None
    return cache.read(file, mark, tag)


def check_equal(found: Columns, expected: Columns, tag: str) -> None:
    assert found.marks_that_count() == expected.marks_that_count()
    for superseded in (False, True):
        one, other = found.points(tag, superseded=superseded), expected.points(tag, superseded=superseded)
        assert (one is None) == (other is None)
        for name in ("step", "epoch", "time", "attempt", "values") if one is not None else ():
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    times = np.array([150.0, 216.5])
    attempts = np.array([1, 2])
    np.testing.assert_array_equal(found.seconds_of_training(times, attempts), expected.seconds_of_training(times, attempts))


@pytest.mark.parametrize("tag", [*TAGS, "none"])
def test_it_returns_what_was_stored(file: Path, tmp_path: Path, tag: str) -> None:
    cache = cached(file, tmp_path)
    found, mark = read(cache, file, tag), file_mark(file)
    assert found is not None and mark is not None and cache.tags(file, mark) == read_columns(file).tags()
    check_equal(found, read_columns(file), tag)
    cache.close()
    again = ColumnCache(tmp_path / "columns.db")
    found = read(again, file, tag)
    assert found is not None
    check_equal(found, read_columns(file), tag)
    assert os.stat(tmp_path / "columns.db").st_mode & 0o777 == 0o600
    again.close()


def test_a_file_that_has_changed_is_not_known(file: Path, tmp_path: Path) -> None:
    cache = cached(file, tmp_path)
    write(file, Record(2, 20, 2.0, 400.0, {"train/loss": 0.1}))
    assert read(cache, file) is None
    cache.close()


@pytest.mark.parametrize("name", ["head", "rows", "tag train/loss"])
def test_a_damaged_part_makes_the_file_anew(file: Path, tmp_path: Path, name: str) -> None:
    cache = cached(file, tmp_path)
    with sqlite3.connect(tmp_path / "columns.db") as database:
        assert database.execute("UPDATE columns SET data = x'00' || substr(data, 2) WHERE part = ?", (name,)).rowcount == 1
    database.close()
    assert read(cache, file) is None
    cache.store({file: (file_mark(file) or (0, 0, 0), read_columns(file))})
    assert read(cache, file) is not None
    cache.close()


def test_a_file_cut_anywhere_is_read_or_made_anew(file: Path, tmp_path: Path) -> None:
    cached(file, tmp_path).close()
    whole = (tmp_path / "columns.db").read_bytes()
    expected, known = read_columns(file), 0
    for cut in range(0, len(whole), 8192):
        (tmp_path / "columns.db").write_bytes(whole[:cut])
        cache = ColumnCache(tmp_path / "columns.db")
        if (found := read(cache, file)) is not None:
            check_equal(found, expected, "train/loss")
            known += 1
        cache.store({file: (file_mark(file) or (0, 0, 0), expected)})
        assert read(cache, file) is not None
        cache.close()
    assert known < len(whole) / 8192


def test_the_oldest_are_dropped(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ColumnCache(tmp_path / "columns.db", most_bytes=1_000_000)
    write(file, *(Record(2, 20 + step, 2.0, 400.0, {"train/loss": 0.1}) for step in range(1000)))
    columns, mark = read_columns(file), file_mark(file) or (0, 0, 0)
    ages = iter(range(1000))
    monkeypatch.setattr(column_cache.time, "time", lambda: float(next(ages)))
    paths = [tmp_path / f"{number}" for number in range(60)]
    for path in paths:
        cache.store({path: (mark, columns)})
    known = [cache.read(path, mark, "train/loss") is not None for path in paths]
    assert known[-1] and not known[0] and known == sorted(known)
    assert (tmp_path / "columns.db").stat().st_size < 1_500_000
    cache.close()


def test_the_store_reads_a_quiet_file_once(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ColumnStore(cache=ColumnCache(tmp_path / "columns.db"))
    store.read(file)
    store.close()
    monkeypatch.setattr("runner.views.page.column_store.read_columns", None)  # not called any more
    again = ColumnStore(cache=ColumnCache(tmp_path / "columns.db"))
    check_equal(again.read(file, "bbox/AP"), read_columns(file), "bbox/AP")
    assert again.read(file, "bbox/AP") is again.read(file, "bbox/AP") and set(again.tags(file)) == set(TAGS)
    again.close()


def test_a_file_that_is_being_written_is_not_stored(file: Path, tmp_path: Path) -> None:
    os.utime(file)
    store = ColumnStore(cache=ColumnCache(tmp_path / "columns.db"))
    store.read(file, "train/loss")
    store.close()
    cache = ColumnCache(tmp_path / "columns.db")
    assert read(cache, file) is None
    cache.close()
