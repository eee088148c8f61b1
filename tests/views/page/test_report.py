"""Report and overview."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from runner.cli.main import main
from runner.core.errors import InputError
from runner.sweep.fake_sweep import FakeSweep
from runner.sweep.session_results import read_report
from runner.views.page.data import PageView, SnapshotData
from runner.views.page.part import ask
from tests.support.finished import make_run
from tests.support.many_runs import make_sweep


def part(name: str, *roots: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask(SnapshotData(roots, read_report), name, {}).body)
    return found


def private_view(data: PageView) -> PageView:
    """The same data on a page for this machine only."""
    return PageView(**{**{each.name: getattr(data, each.name) for each in fields(PageView)}, "is_private": True})


def with_paths(value: Any, paths: dict[str, str]) -> Any:
    """Replace ids by paths."""
    if isinstance(value, dict):
        return {key: with_paths(item, paths) for key, item in value.items()}
    if isinstance(value, list):
        return [with_paths(item, paths) for item in value]
    return paths.get(value, value) if isinstance(value, str) else value


def test_every_figure_is_that_of_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fake = FakeSweep(tmp_path)
    fake.write(config={"step_s": 0.0})
    ended = fake.finish()
    assert ended.code == 0, ended.err
    monkeypatch.chdir(tmp_path)
    sweep = Path("runs/sweep")
    assert main(["compare", str(sweep), "--format", "json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    data = SnapshotData([sweep], read_report)
    found = json.loads(ask(data, "report", {}).body)
    assert found["subject"] == "comparison"
    assert found["provisional"] == {}
    assert len(expected["trials"]) == 3
    assert with_paths(found["report"], {run.id: str(run.result.path) for run in data.runs().values()}) == expected
    rows = json.loads(ask(data, "trials", {}).body)["trials"]
    for row, trial in zip(rows, expected["trials"], strict=True):
        numbers = {tag: {key: summary[key] for key in ("n", "mean", "std")} for tag, summary in trial["metrics"].items()}
        assert {tag: found for tag, found in row["metrics"].items() if found["n"]} == numbers


def test_a_trial_is_provisional_while_planned_seeds_are_missing(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, 3, 3, records=24)
    shutil.rmtree(sweep / "runs" / "0001-lr=0.001-s2")
    shutil.rmtree(sweep / "runs" / "0002-lr=0.002-s1")
    make_run(sweep, 2, 1, label="lr=0.002", state="failed", overrides={"parameters.lr": 0.002})
    assert part("report", sweep)["provisional"] == {"t1": {"done": 2, "planned": 3}}
    overview = part("overview", sweep)
    assert overview["provisional"] == {"t1": {"done": 2, "planned": 3}}
    assert overview["runs"] == {"done": 7, "waiting": 1, "failed": 1}
    assert overview["planned"] == {"t0": 3, "t1": 3, "t2": 3}
    assert (overview["title"], overview["trials"]) == ("sweep", 3)


def test_a_copy_is_not_waited_for(tmp_path: Path) -> None:
    make_run(tmp_path / "s", 0, 0)
    copy = make_run(tmp_path / "s", 0, 1, state="running", ap=None, name="0000-copy")
    identity = json.loads(copy.identity_file.read_text(encoding="utf-8"))
    copy.identity_file.write_text(json.dumps({**identity, "id": "0000-baseline-s0"}), encoding="utf-8")
    overview = part("overview", tmp_path / "s")
    assert (overview["runs"], overview["provisional"], overview["planned"]) == ({"done": 1}, {}, {"t0": 1})


def test_another_metric_and_another_baseline_make_another_report(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    for trial, rate in enumerate((0.002, 0.004, 0.001)):
        for seed in range(2):
            make_run(sweep, trial, seed, label=f"lr={rate}", ap=0.4 + trial / 20 + seed / 50, base_lr=rate)
    calls: list[tuple[object, ...]] = []

    def read(paths: Sequence[Path], metric: str | None = None, *, against: int | None = None) -> Any:
        calls.append((metric, against))
        return read_report(paths, metric, against=against)

    data = SnapshotData([sweep], read)
    query = {"metric": "bbox/AP50", "against": "t2"}
    found = json.loads(ask(data, "report", query).body)["report"]
    assert (found["metric"], found["against"], found["trials"][0]["label"]) == ("bbox/AP50", 2, "lr=0.001")
    assert json.loads(ask(data, "report", query).body)["report"] == found
    assert calls == [(None, None), ("bbox/AP50", 2)]
    assert json.loads(ask(data, "report", {}).body)["report"]["against"] is None


def test_a_report_that_cannot_be_made_is_refused_without_a_path(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, 2, 2, records=24)
    data = SnapshotData([sweep], read_report)
    with pytest.raises(InputError, match="no trial 't9'"):
        ask(data, "report", {"against": "t9"})
    with pytest.raises(InputError) as refused:
        ask(data, "report", {"metric": "bbox/AP5"})
    assert "bbox/AP5" in str(refused.value)
    assert str(tmp_path) not in str(refused.value)
    (sweep / "runs" / "0001-lr=0.001-s0" / "run.json").write_text("{", encoding="utf-8")
    data = SnapshotData([sweep], read_report)
    unidentified = next(trial.id for trial in data.trials().values() if trial.number < 0)
    with pytest.raises(InputError, match="belongs to no sweep"):
        ask(data, "report", {"against": unidentified})


def test_without_a_report_the_reason_is_said(tmp_path: Path) -> None:
    make_run(tmp_path / "s", 0, 0)

    def refuse(_: object) -> Any:
        raise InputError(f"{tmp_path}/s: it cannot be")

    found = json.loads(ask(SnapshotData([tmp_path / "s"], refuse), "report", {}).body)
    assert found == {"subject": None, "problem": "…/s: it cannot be", "provisional": {}, "report": None}


def test_commands_work_on_a_page_for_this_machine_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(2):
        make_run(tmp_path / "our runs", 0, seed, ap=0.4 + seed / 50)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    sweep = tmp_path / "our runs"
    data = SnapshotData([sweep], read_report)
    answers = [json.loads(ask(each, "report", {}).body)["report"] for each in (data, private_view(data))]
    frozen, private = (note["text"] for each in answers for note in each["answer"] if note["id"] == "command")
    assert frozen == "runner train -c '…/config.yml' -o seed=2"
    assert private == f"runner train -c '{sweep}/runs/0000-baseline-s0/config.yml' -o seed=2"
    assert {**answers[0], "answer": []} == {**answers[1], "answer": []}


def test_no_path_is_in_the_report(tmp_path: Path) -> None:
    sweep = make_sweep(tmp_path, 2, 2, records=24)
    (sweep / "runs" / "0001-lr=0.001-s1" / "override.json").write_bytes(b"{")
    found = part("report", sweep)
    assert found["report"]["warnings"]
    assert str(tmp_path) not in json.dumps(found)
