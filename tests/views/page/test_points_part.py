"""Tests of the part `points`: every value of a tag, to the last digit."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from support.finished import make_run

from runner.core.errors import InputError
from runner.store.records import read_records
from runner.sweep.session_results import read_report
from runner.views.page.data import SnapshotData
from runner.views.page.part import ask


def table(data: SnapshotData, tag: str) -> list[dict[str, str]]:
    answer = ask(data, "points", {"tag": tag})
    assert answer.media == "text/csv"
    return list(csv.DictReader(io.StringIO(answer.body.decode())))


def test_every_value_of_every_run_is_there_to_the_last_digit(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "sweep", trial, seed, ap=0.4, label=f"lr={trial}") for trial in (0, 1) for seed in (0, 1)]
    rows = table(SnapshotData([tmp_path / "sweep"], read_report), "train/loss")
    expected = [
        (run.name, record.step, record.time, record.values["train/loss"])
        for run in runs
        for record in read_records(run.metrics)
        if "train/loss" in record.values
    ]
    assert [(row["run"], int(row["step"]), float(row["time"]), float(row["value"])) for row in rows] == expected
    assert len(rows) == 4 * 15
    assert {row["label"] for row in rows} == {"lr=0", "lr=1"}


def test_a_label_that_looks_like_a_formula_stays_a_text(tmp_path: Path) -> None:
    make_run(tmp_path / "sweep", 0, 0, label="=1+1")
    rows = table(SnapshotData([tmp_path / "sweep"], read_report), "train/loss")
    assert {row["label"] for row in rows} == {"'=1+1"}


def test_an_unknown_tag_has_no_rows_and_no_tag_is_a_mistake(tmp_path: Path) -> None:
    make_run(tmp_path / "sweep", 0, 0)
    data = SnapshotData([tmp_path / "sweep"], read_report)
    assert table(data, "nothing") == []
    with pytest.raises(InputError, match="points: no tag given"):
        ask(data, "points", {})
