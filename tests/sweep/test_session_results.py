"""A search is read by its own plan."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from support.finished import make_run

from runner.core.errors import InputError
from runner.core.files import atomic_write_json
from runner.results.comparison import Comparison
from runner.results.notes import missing_design
from runner.search.spec import Metric, SweepSpec
from runner.sweep.session_results import compare_runs, read_report, read_search

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
    with pytest.raises(InputError, match="no such directory"):
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


def test_a_sweep_with_the_memory_used_among_its_metrics(tmp_path: Path) -> None:
    memory = Metric(name="resource/memory_gib", goal="minimize")
    for design in ("grid", "optuna"):
        for index, metrics in enumerate([(memory, AP), (AP, memory)]):
            sweep = tmp_path / f"{design}{index}"
            make_run(sweep, 0, ap=0.4)
            make_run(sweep, 1, ap=0.5, overrides={"LearningRate.base_lr": 0.1}, base_lr=0.1)
            spec = SweepSpec(config="x.yml", design=design, metric=metrics)
            atomic_write_json(sweep / "plan.json", {"spec": asdict(spec)})
            report = read_report([sweep])
            if isinstance(report, Comparison):
                assert (report.metric, report.goal) == (metrics[0].name, metrics[0].goal) and memory.name in report.metrics
                assert report.trials[1].metrics[memory.name].mean == pytest.approx(1.3)
            else:
                assert report.results.metrics == metrics and report.results.trial(1).value(memory.name) == pytest.approx(1.3)
                assert len(report.results.ranked) == 2


def test_a_chosen_metric_has_its_own_better_direction(tmp_path: Path) -> None:
    sweep = tmp_path / "sw"
    make_run(sweep, 0, metrics={"loss": 1.0})
    make_run(sweep, 1, ap=0.5, metrics={"loss": 2.0}, overrides={"LearningRate.base_lr": 0.1}, base_lr=0.1)
    spec = SweepSpec(config="x.yml", metric=(AP, Metric(name="loss", goal="minimize")))
    atomic_write_json(sweep / "plan.json", {"spec": asdict(spec)})
    chosen = {metric: compare_runs([sweep], metric).goal for metric in (None, "bbox/AP50", "loss", "resource/memory_gib")}
    assert chosen == {None: "maximize", "bbox/AP50": "maximize", "loss": "minimize", "resource/memory_gib": "minimize"}
    assert read_search(sweep, "loss").results.metrics[0].goal == "minimize"
    assert compare_runs([sweep], "loss", "maximize").goal == "maximize"


def test_a_design_that_is_not_installed_is_named(tmp_path: Path) -> None:
    sweep = tmp_path / "sw"
    make_run(sweep, 0, ap=0.4)
    atomic_write_json(sweep / "plan.json", {"spec": asdict(SweepSpec(config="x.yml", design="bayes"))})
    report = read_report([sweep])
    (said,) = [str(note) for note in report.notes if note.id == "design-missing"]
    assert "the design 'bayes' is not installed here" in said and "ranking" in said and "importances" in said
    assert "cannot be loaded" in str(missing_design("bayes", installed=True))
    atomic_write_json(sweep / "plan.json", {"spec": asdict(SweepSpec(config="x.yml"))})
    assert "design-missing" not in [note.id for note in read_report([sweep]).notes]
