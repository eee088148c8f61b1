"""A search is read by its own plan."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from support.finished import make_run

from runner.core.errors import InputError
from runner.core.files import atomic_write_json
from runner.search.spec import Metric, SweepSpec
from runner.sweep.session_results import read_search

AP = Metric(name="bbox/AP")


def test_a_sweep_directory_is_read_by_its_plan(tmp_path: Path) -> None:
    sweep = tmp_path / "sw"
    make_run(sweep, 0, ap=0.4)
    make_run(sweep, 1, ap=0.5, overrides={"LearningRate.base_lr": 0.1}, label="base_lr=0.1")
    make_run(sweep, 1, 1, ap=0.45, overrides={"LearningRate.base_lr": 0.1}, label="base_lr=0.1")
    spec = SweepSpec(config="x.yml", design="optuna", metric=(Metric(name="bbox/AP50"), AP), constraints=("bbox/AP >= 0.45",))
    atomic_write_json(sweep / "plan.json", {"spec": asdict(spec)})
    results = read_search(sweep).results
    assert [metric.name for metric in results.metrics] == ["bbox/AP50", "bbox/AP"]
    assert results.ranked == (1,) and results.trial(1).fresh["bbox/AP"].values == (0.45,)
    assert [metric.name for metric in read_search(sweep, "bbox/AP").results.metrics] == ["bbox/AP", "bbox/AP50"]
    assert read_search(sweep, goal="minimize").results.metrics[0].goal == "minimize"
    with pytest.raises(InputError, match="does not exist"):
        read_search(tmp_path / "nowhere")


def test_compare_shows_a_search(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from runner.cli.main import main

    monkeypatch.setenv("COLUMNS", "120")
    sweep = tmp_path / "sw"
    for number in range(12):
        make_run(sweep, number, ap=0.3 + number / 100, overrides={"LearningRate.base_lr": number / 100} if number else {})
    make_run(sweep, 12, state="pruned", step=100, evaluations=[(100, 0.1)], overrides={"LearningRate.base_lr": 0.5})
    atomic_write_json(sweep / "plan.json", {"spec": asdict(SweepSpec(config="x.yml", design="optuna"))})
    for view, words in {
        "best": "1 of 13 trials pruned",
        "importances": "PED-ANOVA",
        "slice": "median",
        "parallel": "pruned",
    }.items():
        assert main(["compare", str(sweep), "--view", view]) == 0
        assert words in capsys.readouterr().out
    assert main(["compare", str(sweep), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["ranked"][0] == 11
