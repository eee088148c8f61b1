"""Columns of many files in bounded memory."""

from __future__ import annotations

from pathlib import Path

from runner.views.page.column_store import ColumnStore
from runner.views.page.reader import read_columns
from tests.views.page.test_reader import record, write


def test_the_store_forgets_what_was_used_least_recently(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jsonl" for number in range(3)]
    for path in paths:
        write(path, *(record(step, loss=1.0) for step in range(500)))
    one = read_columns(paths[0]).nbytes
    store = ColumnStore(2 * one)
    kept = [store.read(path) for path in paths]
    assert store.read(paths[2]) is kept[2] and store.read(paths[1]) is kept[1] and store.read(paths[0]) is not kept[0]
    assert store.read(paths[1]) is kept[1] and store.read(paths[2]) is not kept[2]
    assert store.tags(paths[0]) == {"loss": "train"}
    kept = [store.read(path) for path in paths]
    assert store.tags(paths[0]) == {"loss": "train"} and store.read(paths[1]) is kept[1]  # remembered without the columns
    write(paths[0], record(501, lr=1.0))
    assert store.tags(paths[0]) == {"loss": "train", "lr": "train"} and store.tags(tmp_path / "missing") == {}
    paths[0].write_bytes(paths[1].read_bytes())
    assert ColumnStore(1).read(paths[0]).nbytes == one
