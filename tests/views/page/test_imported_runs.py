"""Imported runs on the page: in the table with a badge, in the charts beside the others, in no comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.browser import NARROW, WIDE, Pages
from support.finished import make_run
from support.logs import write_tensorboard

from runner.foreign.import_runs import import_runs
from runner.sweep.session_results import read_report
from runner.views.page.data import SnapshotData
from runner.views.page.live import LiveData
from runner.views.page.part import ask
from runner.views.page.parts.curves import read_tags

LOG = "events.out.tfevents.1700000000.secrethost.1.0"
HOSTILE = "<img src=x onerror=window.pwn=1>"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Two imported runs."""
    for number, name in enumerate(("scalar3558_batchsize*2", HOSTILE)):
        values = [("train/loss", step, step, 1 / (step + 1)) for step in range(0, 100, 5)]
        values += [("bbox/AP", epoch, 30.0 * epoch, 0.1 * epoch + number / 100) for epoch in range(3)]
        write_tensorboard(tmp_path / "logs" / name / LOG, values)
    import_runs([tmp_path / "logs"], tmp_path / "old")
    return tmp_path / "old"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A sweep of two trials."""
    for seed, ap in enumerate((0.40, 0.42, 0.41)):
        make_run(tmp_path / "new", 0, seed, ap=ap)
        make_run(tmp_path / "new", 1, seed, label="batch_size=16", ap=ap + 0.05, overrides={"TrainReader.batch_size": 16}, batch_size=16)
    return tmp_path / "new"


def answer(data: SnapshotData | LiveData, part: str, **query: str) -> Any:
    return json.loads(ask(data, part, query).body)


def test_they_are_last_and_none_is_the_baseline(old: Path, new: Path) -> None:
    data = SnapshotData([old, new], read_report)
    rows = answer(data, "trials")["trials"]
    assert [(row["label"], row["baseline"], row["imported"], row["number"]) for row in rows] == [
        ("baseline", True, False, 0),
        ("batch_size=16", False, False, 1),
        (HOSTILE, False, True, -1),
        ("scalar3558_batchsize*2", False, True, -1),
    ]
    assert rows[3]["metrics"]["bbox/AP"] == {"n": 1, "mean": pytest.approx(0.2), "std": None}
    assert rows[3]["states"] == {"done": 1}


def test_the_comparison_is_that_of_our_runs_alone(old: Path, new: Path) -> None:
    data = SnapshotData([old, new], read_report)
    report = answer(data, "report")["report"]
    assert [trial["label"] for trial in report["trials"]] == ["baseline", "batch_size=16"]
    assert [note["arguments"]["runs"] for note in report["notes"] if note["id"] == "imported"] == [2]
    explored = answer(data, "search")
    assert [trial["id"] for trial in explored["trials"]] == [trial.id for trial in data.trials().values() if not trial.imported]


def test_runs_of_one_name_from_two_imports_are_two_trials(tmp_path: Path, old: Path) -> None:
    import_runs([tmp_path / "logs"], tmp_path / "again")
    trials = SnapshotData([old, tmp_path / "again"], read_report).trials()
    names = (HOSTILE, "scalar3558_batchsize*2")
    assert sorted(trial.label for trial in trials.values()) == sorted(f"{into} · {name}" for into in (old.name, "again") for name in names)
    assert not any(trial.is_baseline for trial in trials.values())


def test_alone_they_are_shown_without_a_report(old: Path) -> None:
    data = SnapshotData([old], read_report)
    assert answer(data, "report")["problem"].startswith("imported runs only")
    assert len(answer(data, "trials")["trials"]) == 2
    assert answer(data, "search")["trials"] == []


def test_curves_are_beside_the_others_where_their_place_is_known(old: Path, new: Path) -> None:
    data = SnapshotData([old, new], read_report)
    axes = {row.tag: row.axes for row in read_tags(data)}
    assert "epoch" in axes["train/loss"] and "step" in axes["train/loss"]
    assert {row.axes for row in read_tags(SnapshotData([old], read_report))} == {("step", "time", "wall")}
    imported = {run.id for run in data.runs().values() if run.result.imported}
    for axis, shown in (("step", True), ("time", True), ("wall", True), ("relative", False), ("epoch", False), ("images", False)):
        header = ask(data, "curves", {"tag": "train/loss", "x": axis}).body
        text = json.loads(header[8 : 8 + int.from_bytes(header[4:8], "little")])
        found = {series["id"] for series in text["series"]}
        assert (imported <= found) == shown and found - imported, axis


def test_what_a_restart_superseded_is_shown_on_demand(tmp_path: Path) -> None:
    write_tensorboard(tmp_path / "logs" / "events.out.tfevents.1", [("loss", step, step, 1.0) for step in range(10)])
    write_tensorboard(tmp_path / "logs" / "events.out.tfevents.2", [("loss", step, 100 + step, 2.0) for step in range(5, 12)])
    import_runs([tmp_path / "logs"], tmp_path / "old")
    body = ask(SnapshotData([tmp_path / "old"], read_report), "curves", {"tag": "loss", "ghosts": "1"}).body
    series = json.loads(body[8 : 8 + int.from_bytes(body[4:8], "little")])["series"]
    (run,), (ghost,) = ([each for each in series if each["kind"] == kind] for kind in ("run", "ghost"))
    assert (run["first"], run["last"]) == ([0, 1.0], [11, 2.0])
    assert (ghost["first"][0], ghost["last"]) == (5, [9, 1.0])
    assert [(mark["kind"], mark["x"]) for mark in run["marks"]] == [("resumed", 4)]


def test_a_run_says_where_it_comes_from_by_name(old: Path, new: Path, tmp_path: Path) -> None:
    data = SnapshotData([old, new], read_report)
    id = next(run.id for run in data.runs().values() if run.result.label == "scalar3558_batchsize*2")
    view = answer(data, "run", id=id)
    assert view["imported"] == "logs/scalar3558_batchsize*2 (TensorBoard)"
    assert (view["state"], view["problem"], view["config"], view["config_problem"], view["commands"]) == ("done", "", [], "", [])
    assert view["baseline"] is None
    facts = {fact["name"]: fact["value"] for fact in view["environment"]}
    assert facts["from"] == "logs/scalar3558_batchsize*2" and facts["logs"] == "1"
    (attempt,) = view["attempts"]
    assert (attempt["first_step"], attempt["last_step"], attempt["end"]) == (0, 95, "done")
    text = json.dumps(view)
    assert str(tmp_path) not in text and "secrethost" not in text
    own = answer(data, "run", id=next(run.id for run in data.runs().values() if not run.result.imported))
    assert own["imported"] == ""


def test_live_data_remembers_them(old: Path, new: Path) -> None:
    for _ in range(2):  # the second time from the cache
        data = LiveData([old, new], read_report)
        try:
            rows = answer(data, "trials")["trials"]
        finally:
            data.close()
        assert [row["imported"] for row in rows] == [False, False, True, True]


def test_the_table_marks_them_and_offers_none_as_baseline(old: Path, new: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    for size in (NARROW, WIDE):
        page = pages.show(old, new, fragment="#trials", viewport=size)
        row = page.locator(".windowed tr[data-id]").filter(has_text="scalar3558").first
        expect(row.locator(".tag")).to_have_text("imported")
        expect(page.locator(".windowed .tag")).to_have_count(2)
        inside = "row => row.querySelector('.tag').getBoundingClientRect().right <= row.cells[1].getBoundingClientRect().right"
        assert row.evaluate(inside)  # in one go: a live table may draw its rows anew
    page.goto(page.url.replace("#trials", "#curves"))
    options = page.get_by_label("Baseline", exact=True).locator("option").all_inner_texts()
    assert options == ["0 baseline", "1 batch_size=16"]
    assert page.evaluate("window.pwn") is None


def test_without_the_deciding_metric_no_run_is_said_to_be_missing(tmp_path: Path, new: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    write_tensorboard(tmp_path / "logs" / "curves only" / LOG, [("loss", 1, 1, 1.0)])
    import_runs([tmp_path / "logs"], tmp_path / "old")
    page = pages.show(tmp_path / "old", new, fragment="#trials", viewport=WIDE)
    row = page.locator(".windowed tr[data-id]").filter(has_text="curves only")
    expect(row).to_contain_text("imported")
    expect(row).not_to_contain_text("0 of 1")


def test_its_tab_has_no_config_and_no_commands(old: Path, pages: Pages) -> None:
    from playwright.sync_api import expect

    data = SnapshotData([old], read_report)
    id = next(run.id for run in data.runs().values() if run.result.label == "scalar3558_batchsize*2")
    page = pages.show(data=data, fragment=f"#run?id={id}")
    expect(page.get_by_text("Imported from logs/scalar3558_batchsize*2 (TensorBoard): curves only.")).to_be_visible()
    for name, shown in (("Attempts", True), ("Environment", True), ("Config", False), ("Commands", False), ("Log", False)):
        expect(page.get_by_role("heading", name=name, exact=True)).to_have_count(int(shown))
