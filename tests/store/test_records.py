"""metrics.jsonl: what a reader gets after whatever happened to the writer."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.store.records import (
    Record,
    RecordWriter,
    decode_number,
    encode_number,
    evaluations_in,
    last_values,
    read_records,
    without_superseded,
)


def record(step: int, attempt: int = 1, *, resumed: bool = False, **values: float) -> Record:
    return Record(attempt, step, step / 10, 1000.0 + step, values, resumed)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_every_number_survives_as_strict_json(value: float) -> None:
    text = json.dumps(encode_number(value), allow_nan=False)
    found = decode_number(json.loads(text))
    assert found == value or (math.isnan(found) and math.isnan(value))


@pytest.mark.parametrize("value", ["nan", "inf", "1", "", None, [1]])
def test_other_things_are_no_numbers(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        decode_number(value)


def test_written_records_come_back(tmp_path: Path) -> None:
    path = tmp_path / "m 'ü'.jsonl"
    writer = RecordWriter(path)
    given_records = [record(1, loss=0.5), record(2, loss=math.nan), Record(1, 2, 0.2, 1002.0, {"bbox/AP/é 板": 0.25, "x": math.inf})]
    for one in given_records:
        writer.write(one)
    writer.close()
    found = read_records(path)
    assert [one.to_line() for one in found] == [one.to_line() for one in given_records]


def test_a_record_says_whether_it_is_an_evaluation(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    writer = RecordWriter(path)
    writer.write(Record(1, 0, 0.0, 1000.0, resumed=True))
    writer.write(Record(1, 1, 0.1, 1001.0, {"train/loss": 0.5}))
    writer.write(Record(1, 1, 0.1, 1002.0, {"seg/mIoU": 0.5}, kind="evaluation"))
    writer.close()
    assert [json.loads(line).get("kind") for line in path.read_text().splitlines()] == [None, "train", "evaluation"]
    assert [one.is_evaluation for one in read_records(path)] == [False, True]
    assert [one.values for one in evaluations_in(path.read_bytes().splitlines())] == [{"seg/mIoU": 0.5}]


def test_a_record_of_another_kind_is_none() -> None:
    line = Record(1, 1, 0.1, 1001.0, {"x": 0.5}).to_line()
    assert Record.from_line(line) is not None
    for kind in ('"test"', "1", "[]", "{}"):
        assert Record.from_line(line.replace('"train"', kind)) is None


def test_nothing_there(tmp_path: Path) -> None:
    assert read_records(tmp_path / "no") == []
    (tmp_path / "file").touch()
    assert read_records(tmp_path / "file") == [] and read_records(tmp_path / "file" / "below") == []


def test_the_file_cut_at_every_byte_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    writer = RecordWriter(path)
    for step in range(1, 5):
        writer.write(record(step, loss=step / 3, **{"bbox/AP/ü": 0.1}))
    writer.close()
    data = path.read_bytes()
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        steps = [one.step for one in read_records(path)]
        assert steps in ([], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4]) and len(steps) >= data[:cut].count(b"\n")
        again = RecordWriter(path)  # the next attempt
        again.write(record(9, 2))
        again.close()
        assert [one.step for one in read_records(path)] == [*steps, 9]


def test_rubbish_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    rubbish = [
        b"",
        b"\0\0\0",
        b"{}",
        b"[1]",
        b"null",
        b'{"step": 1}',
        b"\xff\xfe",
        b'{"attempt": 1, "step": "x", "epoch": 1, "time": 1, "values": {}}',
        b'{"attempt": 1, "step": 1, "epoch": 1, "time": 1, "values": {"a": "b"}}',
        b'{"attempt": 1, "step": 1, "epoch": 1, "time": 1, "values": []}',
        b'{"attempt": 1, "step": 1e999, "epoch": 1, "time": 1, "values": {}}',
        b'{"attempt": 1, "step": -1, "epoch": 1, "time": 1, "values": {}}',
        b'{"attempt": 1, "step": 1.5, "epoch": 1, "time": 1, "values": {}}',
        b'{"attempt": true, "step": 1, "epoch": 1, "time": 1, "values": {}}',
        b'{"attempt": 1, "step": 1, "epoch": 1, "time": 1e200, "values": {}}',
        b'{"attempt": 1, "step": 1, "epoch": 1, "time": 1, "values": {"a": true}}',
        b'{"attempt": 1, "step": 1, "epoch": 1, "time": 1, "values": {"a": %s}}' % (b"9" * 400),
        b'{"attempt": 1, "step": %s, "epoch": 1, "time": 1, "values": {}}' % (b"9" * 5000),
        b"[" * 100_000,
    ]
    path.write_bytes(b"\n".join([record(1).to_line().encode(), *rubbish, record(2).to_line().encode(), b""]))
    assert [one.step for one in read_records(path)] == [1, 2]


def test_a_resume_supersedes_what_came_after_it() -> None:
    steps = [
        record(1),
        record(2),
        record(3),
        record(2, 2, resumed=True),
        record(3, 2),
        record(4, 2),
        record(3, 3, resumed=True),
        record(4, 3),
    ]
    assert [(one.attempt, one.step) for one in without_superseded(steps)] == [(1, 1), (1, 2), (2, 3), (3, 4)]
    assert without_superseded([record(1), record(0, 2, resumed=True)]) == []


def test_no_step_stands_twice_however_often_it_was_resumed() -> None:
    numbers = random.Random(0)
    written: list[Record] = []
    saved = 0
    for attempt in range(1, 60):
        written.append(record(saved, attempt, resumed=True))
        start = saved
        for step in range(start + 1, start + numbers.randrange(1, 9)):
            written.append(record(step, attempt))
            saved = step if step % 3 == 0 else saved
    steps = [one.step for one in without_superseded(written)]
    assert steps == sorted(set(steps)) == list(range(1, len(steps) + 1))


def test_streamed_records_are_those_that_a_list_would_keep(tmp_path: Path) -> None:
    numbers = random.Random(1)
    for _ in range(50):
        written = [record(numbers.randrange(9), attempt, resumed=numbers.random() < 0.3) for attempt in range(numbers.randrange(30))]
        path = tmp_path / "m.jsonl"
        path.write_text("".join(one.to_line() + "\n" for one in written))
        assert read_records(path) == without_superseded(written)


def test_last_values() -> None:
    assert last_values([record(1, a=1, b=1), record(2, a=2)]) == {"a": 2, "b": 1}
