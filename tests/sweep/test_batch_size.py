"""`TrainReader.batch_size: auto`: measured by a task of the launcher, once per sweep, and recorded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.backends.base import BatchSizeChoice
from runner.config.load import load_config
from runner.core.errors import InputError
from runner.launch.base import TaskResources
from runner.resolve import resolve
from runner.sweep.batch_size import measure_batch_size
from runner.sweep.plan import plan_again
from runner.sweep.runs import prepare_run_dir
from runner.sweep.session_plan import PlannedSweep, SweepRequest, plan_sweep
from runner.sweep.session_train import plan_training
from runner.sweep.sweep_dir import write_plan

WriteConfig = Callable[..., Path]
AUTO = "TrainReader.batch_size=auto"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, TaskResources]]:
    """What was measured; the answer is 4."""
    asked: list[tuple[str, TaskResources]] = []

    def measure(resolved: Any, launcher: str, resources: TaskResources, *, near: Path) -> BatchSizeChoice:
        asked.append((launcher, resources))
        return BatchSizeChoice(4, "the fastest")

    for module in ("session_plan", "session_train"):
        monkeypatch.setattr(f"runner.sweep.{module}.measure_batch_size", measure)
    return asked


def test_it_is_a_task_of_the_launcher(write_config: WriteConfig, capfd: pytest.CaptureFixture[str]) -> None:
    resolved = resolve(write_config(), [AUTO])
    choice = measure_batch_size(resolved, "inline", TaskResources(1), near=Path("runs"))
    assert choice.value >= 1 and "images per second on this CPU" in choice.why
    assert list(Path("runs").iterdir()) == [] and "auto is measured now" in capfd.readouterr().err


def test_what_keeps_it_from_being_measured_is_said(write_config: WriteConfig, coco: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(coco, tmp_path / "a set"))
    resolved = resolve(write_config(data=data), [AUTO])
    for image in (data / "images").iterdir():
        image.write_bytes(b"no image")
    with pytest.raises(InputError, match="TrainReader.batch_size: auto cannot be measured: .*image.*; set a number"):
        measure_batch_size(resolved, "inline", TaskResources(1), near=Path("runs"))


def write_sweep(config: Path, **keys: Any) -> Path:
    path = config.with_name("batches.yml")
    path.write_text(yaml.safe_dump({"config": config.name, "seeds": [0], "vary": {"max_iters": [3]}, **keys}))
    return path


def sizes(sweep: PlannedSweep) -> list[int]:
    runs = [run for trial in sweep.trials for run in sweep.plan.runs(trial)]
    return [run.resolved.config.train_reader.batch_size for run in runs if run.resolved is not None]


def test_a_sweep_measures_once_and_keeps_the_value(write_config: WriteConfig, measurements: list[Any]) -> None:
    vary = {"max_iters": [3], "TrainReader.batch_size": [1]}
    request = SweepRequest(write_sweep(write_config(), vary=vary, resources={"cpus": 1}), (AUTO,), folder=Path("runs/s"))
    sweep = plan_sweep(request)
    assert sorted(sizes(sweep)) == [1, 4, 4] and measurements == [("local", TaskResources(1, 0.0, None))]
    entries = sweep.entries()
    write_plan(sweep.folder, sweep.file, sweep.spec, entries, digest=sweep.plan.digest(), command=[], measured=sweep.measured)
    recorded = json.loads(Path("runs/s/plan.json").read_text())["measured"]
    assert recorded == {"TrainReader.batch_size": {"value": 4, "why": "the fastest"}}
    again = plan_sweep(request)
    assert len(measurements) == 1 and again.entries() == entries and again.measured == sweep.measured


def test_a_plan_that_is_only_shown_is_not_measured(write_config: WriteConfig, measurements: list[Any]) -> None:
    sweep = plan_sweep(SweepRequest(write_sweep(write_config()), (AUTO,), folder=Path("runs/s")), to_run=False)
    assert measurements == [] and sweep.plan.baseline_values["TrainReader.batch_size"] == "auto"


def test_a_trial_cannot_ask_for_it(write_config: WriteConfig, measurements: list[Any]) -> None:
    sweep = plan_sweep(SweepRequest(write_sweep(write_config(), vary={"TrainReader.batch_size": ["auto"]}), folder=Path("runs/s")))
    with pytest.raises(InputError, match="is auto in a trial; the batch size is measured once per sweep"):
        sweep.entries()


def test_a_single_run_records_it_and_is_continued_with_it(write_config: WriteConfig, measurements: list[Any]) -> None:
    path = write_config()
    run = plan_training(path, [AUTO, "save_dir=runs"])
    assert run.resolved is not None and run.resolved.config.train_reader.batch_size == 4
    assert run.identity.facts["measured"] == {"TrainReader.batch_size": {"value": 4, "why": "the fastest"}}
    prepare_run_dir(run)
    assert load_config(run.run_dir.config).plain()["TrainReader"]["batch_size"] == 4
    assert plan_again(run.run_dir, path, [AUTO, "save_dir=runs"]).identity.key == run.identity.key
    assert len(measurements) == 1


def test_a_rate_that_follows_is_not_confounded(write_config: WriteConfig) -> None:
    rate = ["LearningRate.base_lr=auto", "LearningRate.reference={batch_size: 2, base_lr: 0.01}"]
    path = write_sweep(write_config(), vary={"TrainReader.batch_size": [4]})
    fixed = plan_sweep(SweepRequest(path, folder=Path("runs/a"))).warnings
    follows = plan_sweep(SweepRequest(path, tuple(rate), folder=Path("runs/b")))
    assert any("a rate that no longer suits it" in warning for warning in fixed)
    assert not any("a rate that no longer suits it" in warning for warning in follows.warnings)
    rates = [run.resolved.config.learning_rate.base_lr for trial in follows.trials for run in follows.plan.runs(trial) if run.resolved]
    assert rates[1] == 2 * rates[0]
