"""The page's summary of a run's records: it equals the one that `collect` makes record by record."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.results import collect
from runner.results.collect import RecordsSummary, read_summary
from runner.store.records import Record, RecordWriter
from runner.views.page import summary
from runner.views.page.reader import read_columns
from runner.views.page.summary import summarize
from tests.views.page.test_reader import LINES

STEPS = st.none() | st.integers(0, 12)


def same(one: object, other: object) -> bool:
    """Equal, also where both are not a number."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(value, other[key]) for key, value in one.items())
    return one == other


def check_equal(path: Path, steps: int | None) -> RecordsSummary:
    expected, found = read_summary(path, steps), summarize(read_columns(path), path, steps)
    different = [field.name for field in fields(found) if not same(getattr(found, field.name), getattr(expected, field.name))]
    assert different == [], [(getattr(found, name), getattr(expected, name)) for name in different]
    return found


@settings(max_examples=300)
@given(lines=LINES, steps=STEPS)
def test_any_file(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], steps: int | None) -> None:
    path = tmp_path_factory.mktemp("run") / "metrics.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    check_equal(path, steps)


def write(path: Path, *records: Record) -> None:
    writer = RecordWriter(path)
    for record in records:
        writer.write(record)
    writer.close()


def training(count: int) -> list[Record]:
    """Records of two attempts, the second from the middle, with a loss that does not move."""
    done = [
        Record(
            1 + (index > count / 2), index, index / 10, 100.0 + 1.7 * index,
            {"train/loss": 0.7, "train/loss_box": 0.9 / (1 + index), "train/images_per_s": 30.0 + index % 7, "resource/memory_gib": 1.0},
        )
        for index in range(count)
    ]  # fmt: skip
    mark = Record(2, count // 2 - 1, 0.0, 100.0 + 2 * count, resumed=True)
    evaluation = Record(2, count, count / 10, 100.0 + 3 * count, {"bbox/AP": math.nan, "bbox/AP50": 0.5}, kind="evaluation")
    return [Record(1, 0, 0.0, 99.0, resumed=True), *done[: count // 2 + 1], mark, *done[count // 2 + 1 :], evaluation]


def test_a_short_and_a_long_file(tmp_path: Path) -> None:
    for count in (40, 4000):
        path = tmp_path / f"{count}.jsonl"
        write(path, *training(count))
        found = check_equal(path, None)
        assert [term.name for term in found.flat] == ["loss"] and found.time_s and found.evaluations[0][1]["bbox/AP50"] == 0.5
    assert path.stat().st_size > collect.HEAD_BYTES  # beyond that, loss terms are judged by the file's ends


def test_limits_on_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, *training(200), *(Record(2, 200 + step, 0.0, 1e3, {"bbox/AP": 0.1 * step}, kind="evaluation") for step in range(9)))
    for module in (collect, summary):
        monkeypatch.setattr(module, "MOST_PACES", 50)
        monkeypatch.setattr(module, "MOST_VALUES", 5)
    found = check_equal(path, None)
    assert "only the last" in found.problem and found.images_per_s
