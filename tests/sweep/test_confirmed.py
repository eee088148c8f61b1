"""A trial that is handed out again with new seeds, and drivers that come later: neither takes the one for the other."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from runner.store.events import RunEnded
from runner.store.journal import Journal, read_journal
from runner.store.run_dir import RunDir
from runner.sweep.runs import reopen
from runner.sweep.session_plan import SweepRequest, plan_sweep
from runner.sweep.session_run import SweepResult, run_sweep
from runner.sweep.sweep_dir import SweepDir
from runner.views.terminal import progress_console

CONFIG = "{backend: fake, max_iters: 4, parameters: {lr: 0.02}, metrics: {bbox/AP: 0.3 + parameters.lr + 0.01 * noise}}"
SWEEP = "{config: fake.yml, design: optuna, space: {parameters.lr: {low: 0.01, high: 0.2}}, budget: {runs: 3}, confirm_seeds: 2}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "fake.yml").write_text(CONFIG)
    path = tmp_path / "s.yml"
    path.write_text(SWEEP)
    return path


def run(file: Path, *changes: str) -> SweepResult:
    request = SweepRequest(file, settings=changes, folder=file.parent / "s", launcher="inline")
    return run_sweep(plan_sweep(request), progress_console(quiet=True))


def values(file: Path) -> dict[int, float]:
    """Trial number to its value in study.db."""
    database = sqlite3.connect(file.parent / "s" / "study.db")
    rows = database.execute("SELECT number, value FROM trials JOIN trial_values ON trial_values.trial_id = trials.trial_id").fetchall()
    database.close()
    return dict(rows)


def of_seeds(file: Path, number: int, seeds: tuple[int, ...]) -> float:
    runs = [run_dir for run_dir in SweepDir(file.parent / "s").run_dirs() if run_dir.path.name.startswith(f"{number:04d}-")]
    found = {run_dir.identity().seed: run_dir.results()["metrics"]["bbox/AP"] for run_dir in runs}  # type: ignore[index, union-attr]
    return sum(found[seed] for seed in seeds) / len(seeds)


def test_fresh_seeds_choose_nothing_for_a_later_driver(file: Path) -> None:
    assert run(file).done == 7
    before = values(file)
    run(file, "budget.runs=4")
    after = values(file)
    assert {number: after[number] for number in before} == before and len(after) == 4
    run(file, "budget.runs=8", "seeds=[0, 1]")  # 1 was a fresh seed of the winner
    assert values(file) == {number: pytest.approx(of_seeds(file, number, (0, 1))) for number in range(4)}


def test_a_trial_that_was_handed_out_twice_is_told_twice(file: Path) -> None:
    run(file)
    sweep = SweepDir(file.parent / "s")
    journal = Journal(sweep.journal)
    journal.append(reopen(RunDir(sweep.runs / "0000-baseline-s0")))
    journal.close()
    shutil.rmtree(sweep.runs / "0000-baseline-s2")  # and a run of its confirmation was never made
    before = len(list(read_journal(sweep.journal)))
    result = run(file)
    assert (result.done, result.runs) == (7, 7)
    ended = [event.run for event in list(read_journal(sweep.journal))[before:] if isinstance(event, RunEnded)]
    assert sorted(ended) == ["0000-baseline-s0", "0000-baseline-s2"]
