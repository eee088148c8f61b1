"""`runner compare` by the plan of a sweep: its metrics, warnings, racing, and Optuna's own views."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.finished import make_run

from runner.cli.main import main
from runner.core.files import atomic_write_json

BATCH: dict[str, Any] = {"label": "batch_size=16", "batch_size": 16, "overrides": {"TrainReader.batch_size": 16}}
AP = {"name": "bbox/AP", "goal": "maximize"}


def planned(sweep: Path, warnings: tuple[str, ...] = (), **spec: Any) -> Path:
    for seed, value in enumerate((0.40, 0.41, 0.42)):
        make_run(sweep, 0, seed, ap=value, metrics={"time/step": 1.0})
        make_run(sweep, 1, seed, ap=value + 0.025, metrics={"time/step": 2.0}, **BATCH)
    plan = {"spec": {"design": "one_at_a_time", "metric": AP, "seeds": [0, 1, 2], **spec}, "warnings": list(warnings)}
    atomic_write_json(sweep / "plan.json", plan)
    return sweep


def compared(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main(["compare", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_warnings_of_the_plan_come_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = planned(tmp_path / "sw", ("a and b change together",))
    assert compared(capsys, sweep).startswith("WARNING: a and b change together")
    assert json.loads(compared(capsys, sweep, "--json"))["warnings"] == ["a and b change together"]


def test_a_raced_sweep_is_judged_by_its_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, raced = planned(tmp_path / "plain", racing=None), planned(tmp_path / "raced", racing={"max_seeds": 8})
    one, other = (json.loads(compared(capsys, sweep, "--json")) for sweep in (plain, raced))
    assert (one["looks"], other["looks"]) == ([], [3, 5, 8])
    assert other["trials"][1]["effects"]["bbox/AP"]["low"] < one["trials"][1]["effects"]["bbox/AP"]["low"]
    assert (one["trials"][1]["verdict"], other["trials"][1]["verdict"]) == ("better", "cannot tell")


def test_every_metric_of_a_sweep_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = planned(tmp_path / "sw", metric=[AP, {"name": "time/step", "goal": "minimize"}])
    lines = compared(capsys, sweep, "--md").splitlines()
    assert "| bbox/AP | time/step |" in lines[0] and "better" in lines[3]
    text = " ".join(compared(capsys, sweep, "--metric", "time/step", "--goal", "minimize").split())
    assert "+1.000" in text


def test_an_optuna_sweep_has_views_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = planned(tmp_path / "sw", design="optuna", constraints=[])
    text = compared(capsys, sweep)
    assert "2 trials: 2 done" in text and "verdict" not in text
    assert "verdict" in compared(capsys, sweep, "--md")
    assert compared(capsys, sweep, "--view", "parallel") != text
    assert "trials" in json.loads(compared(capsys, sweep, "--json"))


def test_images_are_only_looked_at_where_there_are_predictions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = planned(tmp_path / "sw")
    assert "bootstrap" not in compared(capsys, sweep)
    assert "no bootstrap over images: there is no" in " ".join(compared(capsys, sweep, "--images").split())
