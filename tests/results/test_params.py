"""Keys that identify a trial: the backend decides them when a run is planned, and run.json states them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.finished import make_run

from runner.core.files import atomic_write_text
from runner.resolve import resolve
from runner.results.collect import collect
from runner.results.compare import compare
from runner.results.params import CONTENT, differing_keys, parameters, standing_for, without_followers
from runner.store.run_dir import RunDir
from runner.sweep.plan import plan_single

ROOT = Path(__file__).resolve().parents[2]


def plan_fake(path: Path, *overrides: str, old: bool = False) -> None:
    """Make the directory of a run that has not started; `old`: as version 0.1 made it."""
    resolved = resolve(ROOT / "configs" / "fake.yml", overrides)
    run = plan_single(resolved, RunDir(path), overrides)
    path.mkdir(parents=True)
    atomic_write_text(run.run_dir.config, resolved.yaml)
    run.run_dir.write_identity(replace(run.identity, trial_keys=None) if old else run.identity)


@pytest.mark.parametrize("old", [False, True])
def test_a_neutral_key_of_the_fake_backend_makes_no_trial(tmp_path: Path, old: bool) -> None:
    for name, *overrides in (("a", "seed=0"), ("b", "seed=1", "step_s=0.5", "log_iter=3"), ("c", "seed=2", "parameters.lr=0.5")):
        plan_fake(tmp_path / name, *overrides, old=old and name != "a")
    found = compare(collect([tmp_path]))
    assert [[run.path.name for run in trial.runs] for trial in found.trials] == [["a", "b"], ["c"]]
    assert found.parameters == ("parameters.lr",)


def test_run_json_decides(tmp_path: Path) -> None:
    make_run(tmp_path / "sw", 0, 0)
    (run,) = collect([tmp_path / "sw"])
    keys = {"TrainReader.batch_size", "TrainReader.sample_transforms.1.Resize.target_size", "LearningRate.base_lr"}
    stated = replace(run, trial_keys=["TrainReader.batch_size", "TrainReader.sample_transforms.1", "LearningRate.base_lr", "no.such.key"])
    assert keys <= parameters(stated).keys() <= {*keys, "TrainReader.sample_transforms.1.Resize.keep_ratio"}
    assert parameters(replace(run, trial_keys=())) == {}
    slower = replace(stated, seed=1, config={**run.config, "LearningRate.schedulers.0.name": "another"})
    assert len(compare([stated, slower]).trials) == 1


def test_content_stands_for_the_place_of_the_data(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"data": {"train": "", "eval": "abc"}}
    make_run(tmp_path / "sw", 0, 0, facts=facts)
    (run,) = collect([tmp_path / "sw"])
    found = parameters(run)
    assert found[f"EvalDataset{CONTENT}"] == "abc" and "EvalDataset.anno_path" not in found
    assert found["TrainDataset.anno_path"] == "train.json" and f"TrainDataset{CONTENT}" not in found


def test_a_run_without_a_key_that_was_added_later_is_the_same_trial(tmp_path: Path) -> None:
    for seed in range(3):
        make_run(tmp_path / "sw", 0, seed, ap=0.4 + seed / 10)
    old, new, other = collect([tmp_path / "sw"])
    assert "initial_distance" not in old.config
    new = replace(new, config={**new.config, "initial_distance": 0.0})
    other = replace(other, config={**other.config, "initial_distance": 1.0}, trial_keys=[*other.trial_keys, "initial_distance"])
    found = compare([old, new, other])
    assert [len(trial.runs) for trial in found.trials] == [2, 1] and found.parameters == ("initial_distance",)
    assert [trial.parameters["initial_distance"] for trial in found.trials] == [0.0, 1.0]


def test_between_backends_a_key_of_one_is_no_difference() -> None:
    torch = {"backend": "torch", "TrainReader.drop_last": True, "max_iters": 8}
    paddle = {"backend": "paddle", "max_iters": 9, "export.nms": True}
    assert differing_keys([torch, paddle], ["backend"]) == ["backend", "max_iters"]
    assert differing_keys([torch, {**torch, "x": 1}], []) == ["x"]


def test_one_key_stands_for_those_that_follow_from_it(tmp_path: Path) -> None:
    make_run(tmp_path / "sw", 0, 0)
    (run,) = collect([tmp_path / "sw"])
    size, stride = "EvalReader.sample_transforms.1.Resize.target_size", "FCOSHead.fpn_stride"
    run = replace(run, config={size: [128, 128], stride: [8], "FPN.out_channel": 64})
    assert standing_for(["image_size", "levels", "seed"], run) == {"image_size": [128, 128], "levels": [8]}
    assert standing_for(["seed"], run) == {}
    assert without_followers([size, stride, "FPN.out_channel"], ["image_size"]) == [stride, "FPN.out_channel"]
    assert without_followers([size, stride, "FPN.out_channel"], ["levels"]) == [size, "FPN.out_channel"]
