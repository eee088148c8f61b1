"""A new run from the weights of another."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.store.checkpoints import CheckpointFolder
from runner.store.run_dir import RunDir
from runner.sweep.runs import prepare_run_dir
from runner.sweep.session_train import plan_from, plan_training, run_one
from runner.views.terminal import progress_console

Cli = Callable[..., Any]


@pytest.fixture
def source(trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    run: Path = trained.run
    return run


def test_it_has_the_runs_config_its_weights_and_a_schedule_of_its_own(source: Path) -> None:
    run = plan_from(source, overrides=["max_iters=2", "save_dir=here"], named_for=["max_iters=2"])
    former = RunDir(source).identity()
    last = CheckpointFolder(RunDir(source).checkpoints).last()
    assert run.resolved is not None and former is not None and last is not None
    assert run.resolved.config.pretrain_weights == str(RunDir(source).checkpoints.absolute() / last.file)
    assert run.resolved.config.max_iters == 2 and run.run_dir.name == "0001-max_iters=2-s0"
    assert run.run_dir.path.parent == Path("here") / Path(former.facts["config_file"]).stem
    assert run.identity.facts["from"] == {"run": former.id, "key": former.key, "directory": str(source.absolute()), "step": last.step}
    assert run.identity.key != former.key, "other first weights are another run"


def test_the_screen_says_how_many_tensors_were_loaded(source: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = plan_from(source, overrides=["max_iters=1", "snapshot_iter=1", "LearningRate.schedulers.1.steps=0", "trackers=[]"])
    outcome = run_one(run, progress_console())
    assert outcome is not None and outcome.status.state == "done"
    assert f"pretrain_weights {run.resolved.config.pretrain_weights}: " in (said := capfd.readouterr().err)  # type: ignore[union-attr]
    assert "tensors loaded" in said and outcome.status.note.endswith("tensors loaded")


def test_a_run_of_another_runs_config_has_its_names(source: Path) -> None:
    first = plan_from(source, overrides=["max_iters=2", "log_iter=3", "save_dir=here"], named_for=["max_iters=2", "log_iter=3"])
    prepare_run_dir(first)
    again = plan_training(first.run_dir.config)
    assert again.run_dir.path == first.run_dir.path.with_name("0002-max_iters=2-s0") and again.identity.key == first.identity.key
    assert again.identity.facts["config_file"] == first.identity.facts["config_file"] != str(first.run_dir.config)
    prepare_run_dir(again)
    changed = plan_training(again.run_dir.config, ["max_iters=1", "LearningRate.base_lr=0.1", "seed=3"])
    assert changed.run_dir.path == first.run_dir.path.with_name("0003-max_iters=1,base_lr=0.1-s3")
    assert dict(changed.identity.overrides) == {"log_iter": 3, "max_iters": 1, "LearningRate.base_lr": 0.1, "seed": 3}
    Path("mine.yml").write_text(first.run_dir.config.read_text())
    assert plan_training(Path("mine.yml")).run_dir.path == Path("here/mine/0001-baseline-s0"), "a copy is a config of its own"


def test_what_is_no_run_and_what_has_no_weights_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a run directory"):
        plan_from(tmp_path)
    run = plan_from(source, overrides=["save_dir=here"])
    prepare_run_dir(run)
    with pytest.raises(InputError, match="has no checkpoint"):
        plan_from(run.run_dir.path)
    with pytest.raises(InputError, match="--from .* sets it; remove one of them"):
        plan_from(source, overrides=["pretrain_weights=null"])


def test_a_run_that_is_resumed_or_has_no_config_cannot_also_start_from_another(cli: Cli, source: Path) -> None:
    assert "-r and --from exclude each other" in cli("train", "-r", source, "--from", source).refused()
    shutil.copytree(source, "copy")
    assert "runner train --from copy -o" in cli("train", "-r", "copy", "-o", "max_iters=77").refused()
