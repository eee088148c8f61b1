"""Table of trials."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from runner.store.run_dir import RunDir, Status
from runner.sweep.session_results import compare_runs, read_report
from runner.views.page.data import SnapshotData
from runner.views.page.part import ask
from tests.support.finished import make_run
from tests.support.many_runs import make_sweep


def table(*roots: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask(SnapshotData(roots, read_report), "trials", {}).body)
    return found


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep of two trials with a failed run, one out of memory, a copy and a run without the metric."""
    sweep = tmp_path / "s"
    for seed, ap in enumerate((0.40, 0.42, 0.41)):
        make_run(sweep, 0, seed, ap=ap)
        make_run(sweep, 1, seed, label="batch_size=16", ap=ap + 0.05, overrides={"TrainReader.batch_size": 16}, batch_size=16)
    overrides = {"TrainReader.batch_size": 16}
    make_run(sweep, 1, 3, label="batch_size=16", state="failed", reason="it broke", overrides=overrides, batch_size=16)
    lost = make_run(sweep, 1, 4, label="batch_size=16", state="failed", overrides=overrides, batch_size=16)
    lost.write_status(Status("failed", "out of memory", 1, cause="out_of_memory"))
    make_run(sweep, 1, 5, label="batch_size=16", ap=None, overrides=overrides, batch_size=16, metrics={"bbox/AP50": 0.9})
    copy = make_run(sweep, 0, 7, ap=0.99, name="0000-copy")
    identity = json.loads(copy.identity_file.read_text(encoding="utf-8"))
    copy.identity_file.write_text(json.dumps({**identity, "id": "0000-baseline-s0", "seed": 0}), encoding="utf-8")
    return sweep


def test_the_numbers_are_those_of_the_comparison(sweep: Path) -> None:
    found, comparison = table(sweep), compare_runs([sweep])
    assert len(found["trials"]) == len(comparison.trials) == 2
    for row, trial in zip(found["trials"], comparison.trials, strict=True):
        assert row["label"] == trial.label
        assert row["metrics"].keys() >= trial.metrics.keys()
        for tag, numbers in row["metrics"].items():
            summary = trial.metrics.get(tag)
            assert numbers["n"] == (summary.n if summary else 0), tag
            assert numbers["std"] == (summary.std if summary else None), tag
            assert numbers["mean"] == (summary.mean if summary and summary.n else None), tag
        assert row["time_s"] == trial.time_s.mean
        assert row["memory_gib"] == trial.memory_gib.mean
        assert row["parameters"] == dict(trial.parameters)
    assert found["keys"] == dict(comparison.short)
    assert (found["metric"], found["goal"]) == (comparison.metric, comparison.goal)


def test_states_are_standings_and_copies_are_not_counted(sweep: Path) -> None:
    base, other = table(sweep)["trials"]
    assert base["states"] == {"done": 3}
    assert base["metrics"]["bbox/AP"] == {"n": 3, "mean": pytest.approx(0.41), "std": pytest.approx(0.01)}
    assert len(base["runs"]) == 4
    assert other["states"] == {"done": 4, "failed": 1, "infeasible": 1}
    assert other["metrics"]["bbox/AP"]["n"] == 3


def test_copies_of_which_none_has_the_name_of_the_run_count_nowhere(tmp_path: Path) -> None:
    """The comparison refuses them: it is not clear which of them counts."""
    make_run(tmp_path / "s", 0, 1)
    for name in ("0000-one", "0000-other"):
        copy = make_run(tmp_path / "s", 0, 0, ap=0.9, name=name)
        identity = json.loads(copy.identity_file.read_text(encoding="utf-8"))
        copy.identity_file.write_text(json.dumps({**identity, "id": "0000-baseline-s0"}), encoding="utf-8")
    (row,) = table(tmp_path / "s")["trials"]
    assert row["metrics"]["bbox/AP"] == {"n": 1, "mean": 0.4, "std": None}


def test_a_run_shows_its_last_checkpoint_not_its_best(tmp_path: Path) -> None:
    make_run(tmp_path / "s", 0, 0, ap=0.3, evaluations=[(100, 0.5), (200, 0.4)])
    (run,) = table(tmp_path / "s")["runs"]
    assert run["values"]["bbox/AP"] == 0.3


def test_a_running_run_shows_its_newest_evaluation(tmp_path: Path) -> None:
    make_run(tmp_path / "s", 0, 0, ap=None, state="running", evaluations=[(100, 0.1), (200, 0.2)])
    found = table(tmp_path / "s")
    assert found["runs"][0]["values"]["bbox/AP"] == 0.2
    assert found["trials"][0]["metrics"]["bbox/AP"] == {"n": 0, "mean": None, "std": None}


def test_numbers_that_are_not_finite_are_null(tmp_path: Path) -> None:
    make_run(tmp_path / "s", 0, 0, ap=None, state="running", evaluations=[(100, math.nan)])
    assert table(tmp_path / "s")["runs"][0]["values"]["bbox/AP"] is None


def test_the_plan_decides_which_metric_does(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, 2, 2, records=24)
    plan = json.loads((sweep / "plan.json").read_text(encoding="utf-8"))
    plan["spec"]["metric"] = [{"name": "resource/memory_gib", "goal": "minimize"}, {"name": "bbox/AP", "goal": "maximize"}]
    (sweep / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    found = table(sweep)
    assert (found["metric"], found["goal"]) == ("resource/memory_gib", "minimize")
    assert found["trials"][0]["metrics"]["resource/memory_gib"]["mean"] == 1.25
    comparison = compare_runs([sweep])
    assert comparison.metric == found["metric"]
    assert comparison.trials[0].metrics["bbox/AP"].mean == found["trials"][0]["metrics"]["bbox/AP"]["mean"]


def test_a_planned_trial_without_runs_is_a_row(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, 2, 1, records=24)
    RunDir(sweep / "runs" / "0001-lr=0.001-s0").path.rename(tmp_path / "elsewhere")
    row = table(sweep)["trials"][1]
    assert (row["label"], row["runs"], row["states"]) == ("lr=0.001", [], {"waiting": 1})
    assert row["parameters"]["parameters.lr"] == 0.001
    assert row["metrics"]["bbox/AP"] == {"n": 0, "mean": None, "std": None}


def test_no_path_is_in_the_table(tmp_path: Path) -> None:
    sweep = tmp_path / "s"
    make_run(sweep, 0, 0, state="failed", reason=f"it broke; log: {sweep}/runs/0000-baseline-s0/worker.log")
    torn = make_run(sweep, 0, 1)
    torn.evaluation.write_bytes(b"{")
    found = table(sweep)
    assert str(tmp_path) not in json.dumps(found)
    assert "eval.json is damaged" in found["runs"][1]["problem"]
    assert "worker.log" in found["runs"][0]["reason"]
