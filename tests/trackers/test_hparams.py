"""Hyper-parameters of a run: one column per key, and the same columns for every run of a sweep."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.run_dirs import make_run_dir

from runner.store.run_dir import RunDir
from runner.trackers.hparams import hyper_parameters

CONFIG = """\
backend: torch
architecture: FCOS
epoch: null
max_iters: 400
image_size: null
TrainReader: {batch_size: 8, sample_transforms: [{Resize: {target_size: [64, 64], keep_ratio: false}}]}
EvalReader: {sample_transforms: [{Resize: {target_size: [64, 64], keep_ratio: false}}]}
LearningRate: {base_lr: 0.01, schedulers: [!CosineDecay {max_iters: 400}]}
"""
COMMON = {
    "backend": "torch",
    "architecture": "FCOS",
    "max_iters": 400,
    "TrainReader.batch_size": 8,
    "LearningRate.base_lr": 0.01,
    "seed": 3,
}


def make(path: Path, overrides: dict[str, Any], varied: tuple[str, ...], config: str = CONFIG) -> RunDir:
    run = make_run_dir(path, seed=3, overrides=overrides)
    identity = run.identity()
    assert identity is not None
    run.identity_file.unlink()
    run.write_identity(replace(identity, varied=varied))
    run.config.write_text(config, encoding="utf-8")
    return run


def test_the_baseline_has_a_value_for_every_key_that_the_sweep_varies(tmp_path: Path) -> None:
    varied = ("TrainReader.batch_size", "LearningRate.schedulers.0.max_iters", "image_size", "LearningRate.schedulers")
    baseline = make(tmp_path / "0", {}, varied)
    schedulers = [{"name": "CosineDecay", "max_iters": 400}]
    expected = {**COMMON, "LearningRate.schedulers.0.max_iters": 400, "image_size": 64, "LearningRate.schedulers": schedulers}
    assert hyper_parameters(baseline) == expected
    other = make(tmp_path / "1", {"TrainReader.batch_size": 16}, varied, CONFIG.replace("batch_size: 8", "batch_size: 16"))
    assert hyper_parameters(other) == {**expected, "TrainReader.batch_size": 16}


def test_a_key_that_the_config_does_not_have_is_shown_where_it_was_given(tmp_path: Path) -> None:
    assert hyper_parameters(make(tmp_path / "0", {"old.name": 1, "seed": 9}, ("old.name",))) == {**COMMON, "old.name": 1}
    assert hyper_parameters(make(tmp_path / "1", {}, ("old.name", "A.7"))) == COMMON


def test_keys_of_other_runs_can_be_added(tmp_path: Path) -> None:
    run = make(tmp_path / "0", {}, ())
    assert hyper_parameters(run, ["LearningRate.schedulers.0.max_iters", "nowhere"]) == {
        **COMMON,
        "LearningRate.schedulers.0.max_iters": 400,
    }


@pytest.mark.parametrize("config", ["A: !!python/object/apply:os.system ['false']\n", "- 1\n", "[", ""])
def test_a_damaged_config_leaves_what_run_json_has(tmp_path: Path, config: str) -> None:
    assert hyper_parameters(make(tmp_path / "0", {"max_iters": 5}, ("image_size",), config)) == {"max_iters": 5, "seed": 3}
    (tmp_path / "0" / "run.json").write_text(json.dumps({}), encoding="utf-8")
    assert hyper_parameters(RunDir(tmp_path / "0")) == {}
