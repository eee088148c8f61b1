"""kill -9 at fifty random moments: every reader reads, no step stands twice, and what comes out at the end is what would have come out."""

from __future__ import annotations

import json
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.launch.base import exit_of
from runner.monitor.sweep_monitor import SweepMonitor
from runner.results.collect import collect
from runner.store.checkpoints import CheckpointFolder
from runner.store.run_dir import RunDir
from runner.sweep.runs import conclude
from runner.trackers.base import TrackerSet
from runner.views.runs_table import render_runs

SEED = 20261121
TRACKERS = ["tensorboard", "visualdl"]


def read_everything(run: RunDir, scratch: Path) -> int:
    """What every reader makes of the directory as it stands; the run's last step in its records."""
    status = run.status()
    assert status.state in ("pending", "running", "done", "interrupted")
    assert run.identity() is not None
    records = run.records()
    counts = Counter((tag, record.step) for record in records for tag in record.values)
    assert [key for key, count in counts.items() if count > 1] == []
    steps = [record.step for record in records]
    assert steps == sorted(steps)
    results = run.results()
    assert results is None or results["metrics"]
    if run.evaluation.exists():
        json.loads(run.evaluation.read_bytes())
    if run.predictions.exists():
        json.loads(run.predictions.read_bytes())
    folder = CheckpointFolder(run.checkpoints)
    assert all(folder.is_whole(entry) for entry in folder.entries())
    (result,) = collect([run.path])
    render_runs([result])
    SweepMonitor([run]).look()
    copy = RunDir(shutil.copytree(run.path, scratch, symlinks=True, ignore=shutil.ignore_patterns("checkpoints")))
    trackers = TrackerSet(TRACKERS, copy)  # rebuilds both logs from the records
    trackers.close()
    assert all(any(copy.tracker(name).iterdir()) for name in TRACKERS)
    shutil.rmtree(scratch)
    return steps[-1] if steps else 0


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=[pytest.mark.exhaustive, pytest.mark.slow])])
def test_killed_again_and_again(
    work: Any, new_run: Callable[..., RunDir], tmp_path: Path, capsys: pytest.CaptureFixture[str], kills: int
) -> None:
    numbers = random.Random(SEED)
    changes = {"max_iters": 40, "snapshot_iter": 4, "eval_at_snapshot": True, "trackers": TRACKERS, "log_iter": 1}
    undisturbed = new_run("undisturbed", **changes)
    assert work(undisturbed) == 0
    whole_s: float = work.seconds
    expected = json.loads(undisturbed.predictions.read_bytes())

    killed, finished, run = 0, 0, new_run("run 0", **changes)
    while killed < kills:
        before = run.status().attempt
        code = work(run, number=signal.SIGKILL, after_s=numbers.uniform(0.0, 0.6 * whole_s))
        step = read_everything(run, tmp_path / "scratch")
        if code == 0:
            assert step == 40 and json.loads(run.predictions.read_bytes()) == expected
            finished += 1
            shutil.rmtree(run.path)
            run = new_run(f"run {finished}", **changes)
            continue
        assert code == -signal.SIGKILL, run.log.read_text()
        killed += 1
        assert conclude(run, exit_of("x", code), before).state in ("interrupted", "done")
        assert run.status().attempt == before + 1
        assert read_everything(run, tmp_path / "scratch") == step
    if run.status().state != "done":
        assert work(run) == 0, run.log.read_text()
    read_everything(run, tmp_path / "scratch")
    finished += 1
    assert json.loads(run.predictions.read_bytes()) == expected
    mine, theirs = (
        {record.step: record.values["train/loss"] for record in one.records() if "train/loss" in record.values}
        for one in (run, undisturbed)
    )
    assert mine == theirs and list(mine) == list(range(1, 41))
    with capsys.disabled():
        print(f"\n{killed} kills, {finished} runs finished, an undisturbed one took {whole_s:.1f} s")
