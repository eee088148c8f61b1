"""Which runs are marked as having hardly learned, by the two rules, and from a file of any length."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from runner.store.records import Record, RecordWriter
from runner.training.learning import flat_terms, in_words, judge


def curve(terms: Mapping[str, Callable[[float], float]], *, steps: int = 200, every: int = 10, upto: int | None = None) -> list[Record]:
    """Records of a training; each term is a function of the share of the training that is done."""
    last = steps if upto is None else upto
    return [
        Record(1, step, step / 50, float(step), {f"train/{name}": value(step / steps) for name, value in terms.items()})
        for step in range(every, last + 1, every)
    ]


def healthy(done: float) -> float:
    return 0.35 + 0.45 * (1 - done) ** 4


def stuck(done: float) -> float:
    """One side is stuck at zero."""
    return 0.61 + 0.19 * (1 - done) ** 4


def flat(_: float) -> float:
    return 0.81


def names(records: list[Record], steps: int = 200) -> list[str]:
    return [term.name for term in judge(records, steps)]


@pytest.mark.parametrize(("box", "marked"), [(healthy, False), (stuck, True), (flat, True)])
@pytest.mark.parametrize("every", [1, 5, 20, 40])
def test_the_box_loss(box: Callable[[float], float], marked: bool, every: int) -> None:
    records = curve({"loss_box": box, "loss_cls": healthy, "loss": healthy}, every=every)
    assert names(records) == (["loss_box"] if marked else [])


def test_a_fine_tuning_that_starts_low_is_healthy() -> None:
    assert not names(curve({"loss_box": lambda done: 0.4 - 0.04 * done, "loss": lambda done: 1 - 0.05 * done}))


def test_any_term_that_does_not_move_at_all() -> None:
    still = {"loss_objectness": lambda done: 0.7 + 0.002 * done, "loss": healthy}
    assert names(curve(still)) == ["loss_objectness"]
    assert names(curve({"loss": lambda done: 0.7 + (0.1 if 0.3 < done < 0.7 else 0.0)})) == []  # it went, and came back
    assert names(curve({"loss": lambda done: 0.0})) == []  # a term that is switched off


def test_half_a_run_is_judged_by_its_box_loss_alone() -> None:
    terms = {"loss_box": stuck, "loss_centerness": flat}
    assert names(curve(terms, upto=90)) == []
    assert names(curve(terms, upto=100)) == ["loss_box"]
    assert names(curve(terms)) == ["loss_box", "loss_centerness"]


def test_too_little_to_judge_by() -> None:
    assert names(curve({"loss": flat}, every=100)) == [] and names([]) == [] and names(curve({"loss": flat}), steps=0) == []
    assert names(curve({"loss": lambda done: float("nan")})) == []


def test_it_is_said_in_words() -> None:
    found = judge(curve({"loss_box": stuck}), 200)
    assert in_words(found) == "hardly learned: loss_box 0.765 → 0.61" and in_words(()) == ""


def write(path: Path, records: list[Record]) -> Path:
    writer = RecordWriter(path)
    for record in records:
        writer.write(record)
    writer.close()
    return path


def test_a_long_file_is_read_at_both_ends(tmp_path: Path) -> None:
    records = curve({"loss_box": stuck, "loss": healthy}, steps=40_000)
    path = write(tmp_path / "metrics.jsonl", records)
    assert path.stat().st_size > 1 << 18
    (found,) = flat_terms(path, 40_000)
    assert found.name == "loss_box" and found.last == pytest.approx(0.61, abs=0.001)


def test_superseded_and_torn_records_do_not_count(tmp_path: Path) -> None:
    first = curve({"loss_box": stuck}, upto=150)
    again = [Record(2, 50, 1.0, 0.0, resumed=True), *[record for record in curve({"loss_box": healthy}) if record.step > 50]]
    path = write(tmp_path / "metrics.jsonl", [*first, *again])
    with open(path, "ab") as file:
        file.write(b'{"attempt": 2, "step": ')
    assert flat_terms(path, 200) == ()


def test_what_is_no_file_of_records(tmp_path: Path) -> None:
    assert flat_terms(tmp_path / "none", 10) == () and flat_terms(tmp_path, 10) == ()
    os.mkfifo(tmp_path / "fifo")
    assert flat_terms(tmp_path / "fifo", 10) == ()
    (tmp_path / "text").write_bytes(b"\xff\x00 no records\n" * 100_000)
    assert flat_terms(tmp_path / "text", 10) == ()
