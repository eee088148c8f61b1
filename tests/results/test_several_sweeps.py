"""Runs of several sweeps: one rule for the baseline, and names that tell sweeps and trials apart."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from support.finished import make_run

from runner.results.several_sweeps import SweepPlace, sweep_names
from runner.sweep.session_results import read_report
from runner.views.page.data import SnapshotData
from runner.views.page.part import ask
from runner.views.renderers.base import render_report


def make_two(folder: Path, rates: tuple[float, float] = (0.004, 0.008)) -> list[Path]:
    """Two sweeps named ``lr`` in folders of their own, the second given in the alphabet first."""
    for name, rate, batch in (("b", rates[0], 8), ("a", rates[1], 16)):
        for seed, ap in enumerate((0.40, 0.41)):
            make_run(folder / name / "lr", 0, seed, ap=ap, batch_size=batch)
            overrides = {"LearningRate.base_lr": rate}
            make_run(
                folder / name / "lr", 1, seed, label=f"lr={rate}", ap=ap + 0.1, base_lr=rate, batch_size=batch, overrides=overrides
            )  # fmt: skip
    return [folder / "b" / "lr", folder / "a" / "lr"]


@pytest.mark.parametrize("rates", [(0.004, 0.008), (0.004, 0.004)])
def test_sweeps_of_one_name_have_the_end_of_their_paths(tmp_path: Path, rates: tuple[float, float]) -> None:
    paths = make_two(tmp_path, rates)
    found = read_report(paths)
    names = ["0 b/lr · baseline", f"1 b/lr · lr={rates[0]}", "0 a/lr · baseline", f"1 a/lr · lr={rates[1]}"]
    assert [trial.name for trial in found.trials] == names
    shown = render_report(found, "csv")
    assert isinstance(shown, str)
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert len({(row["label"], row["seed"]) for row in rows}) == len(rows) == 8
    assert "the baseline (b/lr)" in found.answer[0].text
    assert [trial.name for trial in read_report(paths[:1]).trials] == ["0 baseline", f"1 lr={rates[0]}"]


def test_the_page_has_the_baseline_and_the_names_of_the_comparison(tmp_path: Path) -> None:
    """The baseline is that of the sweep given first, not that of the first name."""
    paths = make_two(tmp_path)
    for given in (paths, paths[::-1]):
        report = read_report(given)
        trials = SnapshotData(given, read_report).trials().values()
        assert [f"{trial.number} {trial.label}" for trial in trials] == [trial.name for trial in report.trials]
        assert [trial.is_baseline for trial in trials] == [trial.is_baseline for trial in report.trials] == [True, False, False, False]
        assert report.trials[0].runs[0].path.is_relative_to(given[0])


def test_runs_by_themselves_are_no_baseline_where_a_sweep_has_one(tmp_path: Path) -> None:
    single = make_run(tmp_path / "single", 0, 0, name="single run", base_lr=0.9)
    single.identity_file.write_text(single.identity_file.read_text().replace('"sweep": "single"', '"sweep": null'))
    paths = [tmp_path / "single", *make_two(tmp_path)]
    trials = list(SnapshotData(paths, read_report).trials().values())
    assert [trials[0].label, read_report(paths).trials[0].label] == ["b/lr · baseline"] * 2
    assert [trial.is_baseline for trial in trials] == [True, False, False, False, False]


def test_runs_of_one_label_by_themselves_are_told_apart(tmp_path: Path) -> None:
    for folder, rate in (("one", 0.1), ("other", 0.2)):
        run = make_run(tmp_path / folder, 0, 0, name="run", base_lr=rate)
        run.identity_file.write_text(run.identity_file.read_text().replace(f'"sweep": "{folder}"', '"sweep": null'))
    labels = [trial.label for trial in read_report([tmp_path]).trials]
    assert labels == ["one/runs · run", "other/runs · run"]


def test_names_are_recorded_ones_where_they_suffice(tmp_path: Path) -> None:
    places = [SweepPlace(tmp_path / path / "runs", name) for path, name in (("x/a", "a"), ("y/a", "a"), ("z/b", "b"), ("x/copy", "a"))]
    assert list(sweep_names(places).values()) == ["x/a", "y/a", "b", "copy"]
    assert list(sweep_names(places[1:3]).values()) == ["a", "b"]


def test_trials_can_be_grouped_by_what_differs_and_by_sweep(tmp_path: Path) -> None:
    data = SnapshotData(make_two(tmp_path), read_report)
    table = json.loads(ask(data, "trials", {}).body)
    assert table["keys"] == {"LearningRate.base_lr": "base_lr"}
    assert table["more"] == {"TrainReader.batch_size": "batch_size", "sweep": "sweep"}
    values = [(row["parameters"]["TrainReader.batch_size"], row["parameters"]["sweep"]) for row in table["trials"]]
    assert values == [(8, "b/lr"), (8, "b/lr"), (16, "a/lr"), (16, "a/lr")]
    body = ask(data, "curves", {"tag": "train/loss", "g": "sweep"}).body
    header = json.loads(body[8 : 8 + int.from_bytes(body[4:8], "little")])
    groups = [(each["value"], each["members"]) for each in header["series"] if each["kind"] == "group"]
    assert sorted(groups) == [("a/lr", 4), ("b/lr", 4)]
