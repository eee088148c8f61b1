"""State files of an older version open: a sweep from before there was a journal."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runner.results.collect import collect
from runner.sweep.fake_sweep import FakeSweep
from runner.sweep.history import read_history
from runner.sweep.verify import verify

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def old(tmp_path: Path) -> FakeSweep:
    stage = FakeSweep(tmp_path / "old")
    stage.folder.mkdir()
    for name in ("config.yml", "sweep.yml"):
        shutil.copy(GOLDEN / name, stage.folder / name)
    shutil.copytree(GOLDEN / "sweep", stage.sweep.path)
    return stage


def test_it_opens(old: FakeSweep) -> None:
    history = read_history(old.sweep)
    assert [(past.trial.number, dict(past.trial.overrides), sorted(past.runs)) for past in history.trials] == [
        (0, {}, [0, 1]),
        (1, {"parameters.lr": 0.01}, [0, 1]),
    ]
    assert sorted(run.state for run in history.runs) == ["done", "done", "done", "failed"]
    assert [result.state for result in collect([old.sweep.path])] == ["done", "done", "done", "failed"]
    assert [metric.name for metric in old.sweep.metrics()] == ["bbox/AP"]
    assert [(finding.where, finding.wrong) for finding in verify(old.sweep)] == [("journal.jsonl", False)]
    verify(old.sweep, repair=True)
    assert verify(old.sweep) == [] and [run.state for run in read_history(old.sweep).runs] == [run.state for run in history.runs]


def test_nothing_of_it_is_run_again(old: FakeSweep) -> None:
    before = {path: path.read_bytes() for path in sorted((old.sweep.path / "runs").rglob("*")) if path.is_file()}
    ended = old.finish()
    assert "3 of 4 runs done" in ended.out, ended.err
    assert {path: path.read_bytes() for path in sorted((old.sweep.path / "runs").rglob("*")) if path.is_file()} == before
    for command in ("compare", "status", "ls"):
        shown = old.finish(old.command(command, old.sweep.path))
        assert shown.code == 0 and "Traceback" not in shown.err, (command, shown.err)
    assert "4 runs: nothing is wrong" in old.finish(old.command("verify", old.sweep.path)).out
    old.close()
