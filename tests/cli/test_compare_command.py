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
    assert json.loads(compared(capsys, sweep, "--format", "json"))["warnings"] == [
        {"id": "given", "arguments": {"text": "a and b change together"}, "text": "a and b change together"}
    ]


def test_a_raced_sweep_is_judged_by_its_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, raced = planned(tmp_path / "plain", racing=None), planned(tmp_path / "raced", racing={"max_seeds": 8})
    one, other = (json.loads(compared(capsys, sweep, "--format", "json")) for sweep in (plain, raced))
    assert (one["looks"], other["looks"]) == ([], [3, 5, 8])
    assert other["trials"][1]["effects"]["bbox/AP"]["low"] < one["trials"][1]["effects"]["bbox/AP"]["low"]
    assert (one["trials"][1]["verdict"], other["trials"][1]["verdict"]) == ("better", "cannot tell")


def test_every_metric_of_a_sweep_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = planned(tmp_path / "sw", metric=[AP, {"name": "time/step", "goal": "minimize"}])
    lines = compared(capsys, sweep, "--format", "md").splitlines()
    assert "| bbox/AP | time/step |" in lines[0] and "better" in lines[3]
    text = " ".join(compared(capsys, sweep, "--metric", "time/step", "--goal", "minimize").split())
    assert "+1.000" in text


def test_an_optuna_sweep_has_views_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = planned(tmp_path / "sw", design="optuna", constraints=[])
    text = compared(capsys, sweep)
    assert "2 trials: 2 done" in text and "Δ bbox/AP" not in text
    assert compared(capsys, sweep, "--format", "md").startswith("| rank | trial | bbox/AP |")
    assert len(compared(capsys, sweep, "--format", "csv").splitlines()) == 7
    assert compared(capsys, sweep, "--view", "parallel") != text
    assert "trials" in json.loads(compared(capsys, sweep, "--format", "json"))


def test_images_are_only_looked_at_where_there_are_predictions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = planned(tmp_path / "sw")
    assert "bootstrap" not in compared(capsys, sweep)
    assert "1 batch_size=16: no bootstrap over images: /" in " ".join(compared(capsys, sweep, "--images").split())


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    try:
        status = main(["compare", *map(str, arguments)])
    except SystemExit as error:  # argparse
        status = int(error.code or 0)
    assert status == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    return " ".join(captured.err.split())


@pytest.mark.parametrize("format", ["table", "md", "csv", "json"])
def test_a_report_goes_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str) -> None:
    sweep, file = planned(tmp_path / "sw"), tmp_path / "report"
    assert compared(capsys, sweep, "--format", format, "-o", file) == ""
    written = file.read_text(encoding="utf-8")
    assert "batch_size" in written and "\x1b" not in written
    if format != "table":
        assert written == compared(capsys, sweep, "--format", format)
    assert "exists already" in refused(capsys, sweep, "--format", format, "-o", file) and file.read_text(encoding="utf-8") == written
    file.write_text("mine")
    assert compared(capsys, sweep, "--format", format, "-o", file, "--force") == "" and file.read_text(encoding="utf-8") == written


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "folder does not exist" in refused(capsys, tmp_path / "nowhere", "-o", tmp_path / "missing" / "x.md")
    assert "is not a regular file" in refused(capsys, tmp_path / "nowhere", "-o", tmp_path, "--force")


@pytest.mark.parametrize("option", ["--csv", "--json", "--md"])
def test_an_option_of_before_is_answered_with_the_new_one(tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert f"{option} was replaced by --format {option[2:]}" in refused(capsys, tmp_path, option)


def test_unknown_formats_and_views_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep, search = planned(tmp_path / "sw"), planned(tmp_path / "search", design="optuna", constraints=[])
    assert "did you mean 'json'" in refused(capsys, sweep, "--format", "jsno")
    assert "Unknown view 'pareto'; a comparison has no views: omit --view" in refused(capsys, sweep, "--view", "pareto")
    assert "Unknown view 'pareta'; did you mean 'pareto'" in refused(capsys, search, "--view", "pareta")


def test_warnings_of_the_plan_and_of_the_configs_are_in_a_search_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = planned(tmp_path / "sw", ("a and b change together",), design="optuna", constraints=[])
    assert compared(capsys, sweep).startswith("WARNING: a and b change together")
    assert compared(capsys, sweep, "--format", "md").startswith("> **Warning:** a and b change together")
