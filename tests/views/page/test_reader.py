"""The page's reader of metrics.jsonl: whatever happened to the file, it finds what `read_records` finds."""

from __future__ import annotations

import json
import math
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.files import MAX_LINE_BYTES
from runner.store.records import Record, RecordWriter, read_records, stream_all_records
from runner.views.page.reader import Columns, read_columns

TAGS = st.sampled_from(["train/loss", "train/lr", "bbox/AP", "resource/memory_gb", 'a"b', "板"])
RECORDS = st.builds(
    Record,
    attempt=st.integers(0, 3),
    step=st.integers(0, 6),
    epoch=st.floats(0, 9),
    time=st.floats(0, 1e10),
    values=st.dictionaries(TAGS, st.floats(), max_size=3),
    resumed=st.booleans(),
    kind=st.sampled_from(["train", "evaluation"]),
)
ODD_LINES = st.sampled_from(
    [
        b"", b"{}", b"[1]", b"nul", b"\xff", b'{"attempt": 1, "st', b'{"attempt": 1}{"attempt": 2}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "values": {"train/loss": 1}, "more": 2}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "values": {"train/loss": 1}} {"attempt": 1}',
        b'\xef\xbb\xbf{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "values": {"train/loss": 1}}',
        b'{"attempt": 1, "step": 1.0, "epoch": 0, "time": 5, "values": {"train/loss": 1}}',
        b'{"attempt": 1, "step": true, "epoch": 0, "time": 5, "values": {"train/loss": 1}}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 1e12, "values": {"train/loss": 1}}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "values": {"train/loss": NaN}}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "values": {"train/loss": true}}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "values": {"train/loss": "nan"}}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "values": {"train/loss": 1e999}}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "values": {"train/loss": 18446744073709551616}}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "values": {"train/loss": 1e30}}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "values": {"\\ud800": 1}}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "values": {"\\u0041": 1}}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "kind": "test", "values": {"train/loss": 1}}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "kind": null, "values": {"bbox/AP": 1}}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "resumed": null, "values": {"train/loss": 1}}',
        b'{"attempt": 1, "step": 1, "step": 2, "epoch": 0, "time": 5, "values": {"train/loss": 1, "train/loss": 2}}',
        b'{"attempt": 1, "step": 1, "epoch": 0, "time": 5, "values":',
        b'{"train/loss": 1}}',
    ]
)  # fmt: skip


@st.composite
def without_kind(draw: st.DrawFn) -> bytes:
    """A record as version 0.1 wrote it."""
    data = json.loads(draw(RECORDS).to_line())
    data.pop("kind", None)
    return json.dumps(data).encode()


LINES = st.lists(RECORDS.map(lambda record: record.to_line().encode()) | without_kind() | ODD_LINES, max_size=8)
ENDS = st.sampled_from([b"\n", b"\r\n"])


def by_tag(records: list[Record]) -> dict[str, list[tuple[float, ...]]]:
    found: dict[str, list[tuple[float, ...]]] = {}
    for one in records:
        for tag, value in one.values.items():
            found.setdefault(tag, []).append((one.step, one.epoch, one.time, one.attempt, value))
    return found


def columns_by_tag(columns: Columns, *, superseded: bool = False) -> dict[str, list[tuple[float, ...]]]:
    found = {}
    for tag in {tag for _, tags in columns.blocks for tag in tags}:
        if (points := columns.points(tag, superseded=superseded)) is not None:
            arrays = (points.step, points.epoch, points.time, points.attempt, points.values)
            found[tag] = list(zip(*(array.tolist() for array in arrays), strict=True))
    return found


def check_equal(path: Path, columns: Columns) -> None:
    """Fail unless the columns hold what `stream_all_records` finds."""
    every = list(stream_all_records(path))
    expected = [record for record, counts in every if counts]
    np.testing.assert_equal(columns_by_tag(columns), by_tag(expected))
    cut = [record for record, counts in every if not counts and not record.resumed]
    np.testing.assert_equal(columns_by_tag(columns, superseded=True), by_tag(cut))
    kinds: dict[str, str] = {}
    for one in expected:
        kinds.update({tag: one.kind for tag in one.values if one.is_evaluation or tag not in kinds})
    assert columns.tags() == kinds
    marks = [(record.attempt, record.step, record.epoch, record.time) for record, _ in every if record.resumed]
    assert [(mark.attempt, mark.step, mark.epoch, mark.time) for mark in columns.marks] == marks


@settings(max_examples=300)
@given(lines=LINES, end=ENDS, cut=st.integers(0, 2000), appended=st.lists(st.integers(0, 400), max_size=6))
def test_any_file_at_once_and_as_it_grows(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], end: bytes, cut: int, appended: list[int]
) -> None:
    path = tmp_path_factory.mktemp("grows") / "metrics.jsonl"
    content = b"".join(line + end for line in lines)
    content = content[: max(0, len(content) - cut % 60)]
    path.write_bytes(content)
    check_equal(path, read_columns(path))
    path.unlink()
    columns, written = None, 0
    for size in [*appended, len(content)]:
        with path.open("ab") as file:
            file.write(content[written : written + size])
        written += size
        columns = read_columns(path, columns)
        check_equal(path, columns)


def write(path: Path, *records: Record) -> None:
    writer = RecordWriter(path)
    for one in records:
        writer.write(one)
    writer.close()


def record(step: int, attempt: int = 1, *, resumed: bool = False, **values: float) -> Record:
    return Record(attempt, step, step / 10, 1000.0 + step, values, resumed)


def test_the_file_torn_at_every_byte_and_resumed_twice(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, *(record(step, loss=1 / step, lr=math.nan) for step in range(1, 4)))
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        first = read_columns(path)
        write(path, record(2, 2, resumed=True), record(3, 2, loss=7.0), record(1, 3, resumed=True), record(2, 3, loss=math.inf))
        check_equal(path, read_columns(path, first))
        check_equal(path, read_columns(path))


def test_only_new_bytes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, *(record(step, loss=1.0) for step in range(50)))
    columns = read_columns(path)
    seen: list[bytes] = []
    from runner.views.page import reader

    decode = reader._decode
    monkeypatch.setattr(reader, "_decode", lambda lines: seen.append(lines) or decode(lines))
    assert read_columns(path, columns) is columns and not seen
    write(path, record(50, loss=2.0))
    grown = read_columns(path, columns)
    assert len(seen) == 1 and seen[0].count(b"\n") == 1 and len(grown.step) == 51
    assert len(columns.step) == 50  # the former state is as it was


@pytest.mark.parametrize("change", ["shrunk", "replaced", "replaced by a longer one", "other start", "removed"])
def test_a_file_that_did_not_only_grow_is_read_anew(tmp_path: Path, change: str) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, *(record(step, loss=1.0) for step in range(9)))
    columns = read_columns(path)
    if change == "shrunk":
        os.truncate(path, path.stat().st_size // 2)
    elif change == "removed":
        path.unlink()
    elif change == "other start":
        path.write_bytes(path.read_bytes().replace(b'"attempt": 1', b'"attempt": 3'))
    else:
        other = tmp_path / "other"
        write(other, *(record(step, loss=2.0) for step in range(20 if "longer" in change else 4)))
        os.replace(other, path)
    check_equal(path, read_columns(path, columns))


def test_lines_that_are_too_long_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    line = record(1, loss=1.0).to_line().encode()
    for excess in (-1, 0, 1, 3_000_000):
        content = line + b"\n" + line.ljust(MAX_LINE_BYTES + excess) + b"\n" + line
        path.write_bytes(content)
        first = read_columns(path)
        check_equal(path, first)
        with path.open("ab") as file:
            file.write(b"\n" + line.ljust(MAX_LINE_BYTES + excess))
        check_equal(path, read_columns(path, first))


def test_files_of_many_blocks(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    numbers = random.Random(1)
    write(path, *(record(step, loss=numbers.random(), lr=1e-3, grad_norm=numbers.random()) for step in range(20_000)))
    assert path.stat().st_size > 2 << 20
    check_equal(path, read_columns(path))


def test_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    for name in ("missing", "folder", "empty"):
        assert len(read_columns(tmp_path / name).step) == 0 and read_records(tmp_path / name) == []
