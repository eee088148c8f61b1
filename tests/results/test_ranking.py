"""Runs by their metric."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.finished import make_run

from runner.core.errors import InputError
from runner.results.collect import collect
from runner.results.ranking import best_runs


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for trial, ap in enumerate((0.3, 0.5, 0.4)):
        make_run(tmp_path / "sw", trial, 0, label=f"t{trial}", ap=ap, metrics={"bbox/AP75": 1 - ap})
    make_run(tmp_path / "sw", 3, 0, label="t3", state="running", evaluations=[(100, 0.45)])
    make_run(tmp_path / "sw", 4, 0, label="t4", state="pending")
    return tmp_path / "sw"


def test_the_best_come_first_also_of_runs_that_are_not_done(sweep: Path) -> None:
    runs = collect([sweep])
    assert [run.trial for run in best_runs(runs, 3)] == [1, 3, 2]
    assert [run.trial for run in best_runs(runs, 10, "bbox/AP75")] == [0, 2, 1]
    assert [run.trial for run in best_runs(runs, 1, "bbox/AP", "minimize")] == [0]


def test_without_a_value_there_is_no_best(tmp_path: Path) -> None:
    make_run(tmp_path / "sw", 0, 0, state="pending")
    with pytest.raises(InputError, match="no run has a value of bbox/AP yet"):
        best_runs(collect([tmp_path]), 1)
