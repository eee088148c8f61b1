"""A backend whose metrics are not those of boxes, from training to the comparison: nothing goes by the names of its tags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.finished import make_run

import runner
from runner.cli.main import main
from runner.core.errors import InputError
from runner.results.collect import collect
from runner.results.compare import compare
from runner.store.checkpoints import CheckpointFolder
from runner.store.run_dir import PrimaryMetric, RunDir

CONFIG: dict[str, Any] = {
    "backend": "fake",
    "max_iters": 8,
    "snapshot_iter": 2,
    "eval_at_snapshot": True,
    "keep_checkpoints": 9,
    "parameters": {"lr": 0.1},
    "metrics": {"seg/mIoU": "0.3 + parameters.lr + 0.01 * noise - 0.01 * (step - 4) ** 2", "seg/error": "step", "seg/IoU/road": "0.5"},
}
RATES: dict[str, Any] = {"config": "fake.yml", "vary": {"parameters.lr": [0.3]}, "seeds": [0, 1, 2], "resources": {"concurrency": 2}}


def dump(value: dict[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False)  # the first metric decides


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fake.yml").write_text(dump(CONFIG))
    (tmp_path / "rates.yml").write_text(dump(RATES))
    return tmp_path


def best_steps(run: Path) -> list[int]:
    return [entry.step for entry in CheckpointFolder(run / "checkpoints", suffix=".json").entries() if entry.best]


def test_a_run_is_best_where_its_primary_metric_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "up.yml").write_text(dump({**CONFIG, "metrics": {"seg/mIoU": "1 - (step - 4) ** 2"}}))
    (folder / "down.yml").write_text(dump({**CONFIG, "metrics": {"seg/error": "1 + (step - 6) ** 2"}, "goal": "minimize"}))
    up, down = (runner.train(name).path for name in ("up.yml", "down.yml"))
    assert "done, seg/mIoU -15.000" in capsys.readouterr().err
    runs = collect([up, down])
    assert [run.metric for run in runs] == [PrimaryMetric("seg/mIoU"), PrimaryMetric("seg/error", "minimize")]
    assert (best_steps(up), best_steps(down)) == ([4], [6])
    assert [step for step, _ in runs[0].evaluations] == [2, 4, 6, 8] and runs[0].metrics == {"seg/mIoU": -15.0}
    for command, words in {
        ("ls", "runs"): ["seg/mIoU -15.000", "seg/error 5.000"],
        ("ls", str(up)): ["seg/mIoU"],
        ("status", str(up), "--json"): ['"metric": "seg/mIoU"'],
        ("compare", str(up)): ["seg/mIoU"],
    }.items():
        assert main(command) == 0
        shown = capsys.readouterr().out
        assert all(word in shown for word in words), shown


def test_a_sweep_without_a_metric_is_decided_by_the_backends(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = runner.open_sweep("rates.yml")
    assert sweep.run(progress=False).done == 6
    plan = json.loads((folder / "runs/rates/plan.json").read_text())
    assert plan["spec"]["metric"] == {"name": "seg/mIoU", "goal": "maximize"}
    for run in (folder / "runs/rates/runs").iterdir():
        assert RunDir(run).primary_metric() == PrimaryMetric("seg/mIoU", "maximize", ("seg/error", "seg/IoU/road"))
    found = sweep.compare()
    assert (found.metric, found.goal, found.metrics) == ("seg/mIoU", "maximize", ("seg/mIoU", "seg/error", "seg/IoU/road"))
    assert [trial.verdict for trial in found.trials] == [None, "better"] and [trial.best.n for trial in found.trials] == [3, 3]
    (folder / "runs/rates/plan.json").unlink()
    alone = runner.compare("runs/rates")
    assert (alone.metric, alone.metrics) == (found.metric, found.metrics)
    status = sweep.status()
    assert status.metric == "seg/mIoU" and status.best is not None and status.best.trial == "0001-lr=0.3"
    assert main(["compare", "runs/rates", "--metric", "seg/error", "--goal", "minimize", "--format", "csv"]) == 0
    assert "seg/error" in capsys.readouterr().out


def test_a_search_prunes_by_it(folder: Path) -> None:
    search = {
        **{"config": "fake.yml", "design": "optuna", "space": {"parameters.lr": [0.0, 0.1, 0.2]}, "seeds": [0], "confirm_seeds": 0},
        **{"sampler": {"name": "RandomSampler", "seed": 1}, "pruner": {"name": "ThresholdPruner", "lower": 0.25}},
        **{"budget": {"runs": 6}, "resources": {"concurrency": 1}},
    }
    (folder / "search.yml").write_text(dump(search))
    (folder / "fake.yml").write_text(dump({**CONFIG, "step_s": 0.05, "metrics": {"seg/mIoU": "0.2 + parameters.lr"}}))
    sweep = runner.open_sweep("search.yml")
    sweep.run(progress=False)
    states = {run.overrides.get("parameters.lr", 0.1): run.state for run in collect([folder / "runs/search"])}
    assert states[0.0] == "pruned" and states[0.1] == states[0.2] == "done"


def test_an_unknown_metric_is_refused_with_the_backends_own(folder: Path) -> None:
    with pytest.raises(InputError, match="seg/mIoU"):
        runner.open_sweep("rates.yml", set={"metric": {"name": "seg/mIou"}})
    with pytest.raises(InputError, match="name"):
        runner.open_sweep("rates.yml", set={"metric": {"goal": "minimize"}})


def test_runs_that_state_no_metric_are_decided_by_the_former_one(tmp_path: Path) -> None:
    run = make_run(tmp_path / "sw", 0, 0)
    stated = json.loads(run.identity_file.read_text())
    del stated["metric"]
    run.identity_file.write_text(json.dumps(stated))
    assert run.primary_metric() == PrimaryMetric("bbox/AP", "maximize", ("bbox/AP50", "bbox/AP75"))
    assert compare(collect([tmp_path])).metrics == ("bbox/AP", "bbox/AP50")
