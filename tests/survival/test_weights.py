"""Killed and gone on, the weights are those of an undisturbed sweep, bit for bit (torch on a CPU, one thread)."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from runner.sweep.fake_sweep import FakeSweep, steps_twice
from runner.sweep.verify import verify


@pytest.mark.slow
def test_the_weights_of_killed_runs(stage: FakeSweep, tiny_file: Callable[..., Path]) -> None:
    torch = pytest.importorskip("torch")
    whole = FakeSweep(stage.folder.parent / "whole")
    for each in (whole, stage):
        tiny_file(each.folder / "config.yml", max_iters=12, snapshot_iter=2, eval_at_snapshot=False)
        sweep = {"config": "config.yml", "vary": {"LearningRate.base_lr": [0.02]}, "seeds": [0], "resources": {"concurrency": 1}}
        (each.folder / "sweep.yml").write_text(yaml.safe_dump(sweep))
    assert whole.finish().code == 0
    driver = stage.start()
    stage.worker("0000-baseline-s0", step=5).send_signal(signal.SIGKILL)
    stage.worker("0000-baseline-s0", step=9, attempt=2)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    ended = stage.finish()
    assert ended.code == 0, ended.err
    assert [str(finding) for finding in verify(stage.sweep) if finding.wrong] == []
    names = whole.sweep.run_names()
    assert names == stage.sweep.run_names() == ["0000-baseline-s0", "0001-base_lr=0.02-s0"]
    assert stage.run(names[0]).status().attempt == 3 and steps_twice(stage.run(names[0])) == []
    for name in names:
        mine, theirs = stage.run(name), whole.run(name)
        assert json.loads(mine.predictions.read_bytes()) == json.loads(theirs.predictions.read_bytes())
        losses = [
            {record.step: record.values["train/loss"] for record in run.records() if "train/loss" in record.values}
            for run in (mine, theirs)
        ]
        assert losses[0] == losses[1] and len(losses[0]) == 12
        weights = [torch.load(run.checkpoints / "last.pt", weights_only=False)["model"] for run in (mine, theirs)]
        assert weights[0].keys() == weights[1].keys() and len(weights[0]) > 10
        assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
