"""The part `evaluation`: its numbers are those of eval.json and of the comparison, and what cannot be read is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.detectors import make_detector, make_truth
from support.finished import make_run

from runner.core.errors import InputError
from runner.results.comparison import Comparison
from runner.sweep.session_results import read_report
from runner.views.page.data import SnapshotData
from runner.views.page.part import ask, find_part

BOXES = {f"{index}.png": [(index % 2, (10.0 + index, 10.0, 20.0, 20.0)), (1, (50.0, 40.0, 16.0, 16.0))] for index in range(8)}


def detections(quality: int, seed: int) -> dict[str, list[Any]]:
    """A detector that finds the first boxes of the first `quality` images, more or less well placed."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Any]] = {}
    for index, (name, boxes) in enumerate(BOXES.items()):
        if index < quality:
            found[name] = [
                (label, tuple(float(side + rng.normal(0, 1)) for side in box), float(rng.uniform(0.3, 0.9))) for label, box in boxes
            ]
        found.setdefault(name, []).append((0, (70.0, 5.0, 9.0, 9.0), float(rng.uniform(0.1, 0.5))))
    return found


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A baseline and two trials, three seeds each; the last one finds most."""
    data = make_truth(tmp_path / "boards", BOXES)
    for trial, quality in enumerate((3, 4, 7)):
        for seed in range(3):
            make_detector(
                tmp_path / "sweep", data, detections(quality, 10 * trial + seed), trial, seed, label=f"t{trial}" if trial else "baseline"
            )
    return tmp_path / "sweep"


def answer(data: SnapshotData, part: str = "evaluation", **query: str) -> Any:
    return json.loads(ask(data, part, query).body)


def page(folder: Path) -> SnapshotData:
    return SnapshotData([folder], read_report)


def evaluations(folder: Path, trial: int) -> list[Any]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob(f"runs/000{trial}-*/eval.json"))]


def test_the_baseline_and_the_best_other_trial_are_compared(sweep: Path) -> None:
    view = answer(page(sweep))
    assert view["trials"] == ["t0", "t1", "t2"]
    assert (view["a"]["trial"], view["b"]["trial"]) == ("t0", "t2")
    assert (view["a"]["seeds"], view["same_data"], view["raced"]) == ([0, 1, 2], True, False)
    other = answer(page(sweep), a="t2", b="t1")
    assert (other["a"]["trial"], other["b"]["trial"]) == ("t2", "t1")


def test_the_numbers_by_class_are_those_of_the_evaluations(sweep: Path) -> None:
    view = answer(page(sweep))
    files = [evaluations(sweep, trial) for trial in (0, 2)]
    assert [row["name"] for row in view["classes"]] == ["hole", "short"]
    for index, row in enumerate(view["classes"]):
        for side, found in zip("ab", files, strict=True):
            values = [each["per_class"][index]["ap"] for each in found]
            assert row[side]["values"] == values
            assert row[side]["mean"] == pytest.approx(np.mean(values))
            assert row[side]["std"] == pytest.approx(np.std(values, ddof=1))
        assert row["effect"]["delta"] == pytest.approx(row["b"]["mean"] - row["a"]["mean"])
        assert row["effect"]["low"] < row["effect"]["delta"] < row["effect"]["high"]
        assert row["boxes"] == sum(label == index for boxes in BOXES.values() for label, _ in boxes)
    assert view["joint"] == 2


def test_the_difference_of_all_classes_is_that_of_the_comparison(sweep: Path) -> None:
    report = read_report([sweep])
    assert isinstance(report, Comparison)
    for trial in (1, 2):
        total = answer(page(sweep), a="t0", b=f"t{trial}")["total"]
        effect = report.trials[trial].effects["bbox/AP"]
        assert (total["effect"]["low"], total["effect"]["high"]) == (effect.low, effect.high)
        assert total["means"] == {"better": "better", "worse": "worse"}.get(report.trials[trial].verdict or "", "open")


def test_curves_errors_and_confusion_are_means_over_the_seeds(sweep: Path) -> None:
    view = answer(page(sweep))
    found = evaluations(sweep, 2)
    curves = np.array([each["pr_curves"]["short"]["precision"] for each in found])
    row = next(each for each in view["curves"] if each["name"] == "short")
    assert row["b"]["mean"] == pytest.approx(curves.mean(axis=0), abs=1e-4)
    assert row["b"]["low"] == pytest.approx(curves.min(axis=0), abs=1e-4)
    assert row["b"]["high"] == pytest.approx(curves.max(axis=0), abs=1e-4)
    recall = np.linspace(0, 1, 101)
    f1 = 2 * curves.mean(axis=0) * recall / np.maximum(curves.mean(axis=0) + recall, 1e-9)
    assert row["b"]["best"]["f1"] == pytest.approx(f1.max(), abs=1e-4)
    assert row["b"]["best"]["recall"] == pytest.approx(recall[f1.argmax()])
    missed = next(each for each in view["errors"] if each["name"] == "miss")
    assert missed["b"]["mean"] == pytest.approx(np.mean([each["tide"]["delta_ap"]["miss"] for each in found]))
    assert missed["counts"][1] == pytest.approx(np.mean([each["tide"]["counts"]["miss"] for each in found]))
    assert np.array(view["confusion"]["b"]) == pytest.approx(np.mean([each["confusion"]["matrix"] for each in found], axis=0))
    assert view["confusion"]["names"] == ["hole", "short", "background"]
    assert [each["name"] for each in view["sizes"]] == ["bbox/APs"]


def test_fewer_errors_are_better(sweep: Path) -> None:
    for trial, values in ((0, (0.30, 0.31, 0.29)), (2, (0.10, 0.11, 0.09))):
        for file, value in zip(sorted(sweep.glob(f"runs/000{trial}-*/eval.json")), values, strict=True):
            content = json.loads(file.read_text())
            content["tide"]["delta_ap"]["cls"] = value
            file.write_text(json.dumps(content))
    row = next(row for row in answer(page(sweep))["errors"] if row["name"] == "cls")
    assert (row["effect"]["delta"], row["means"]) == (pytest.approx(-0.2), "better")


def test_calibration_is_that_of_the_predictions(sweep: Path) -> None:
    view = answer(page(sweep), view="calibration")
    predictions = [json.loads(path.read_text()) for path in sorted(sweep.glob("runs/0000-*/predictions.json"))]
    counts = np.mean([np.histogram([each["score"] for each in run], 10, (0, 1))[0] for run in predictions], axis=0)
    assert [each["count"] for each in view["a"]] == pytest.approx(counts.tolist())
    bins = [each for each in view["a"] if each["right"] is not None]
    assert bins and all(0 <= each["least"] <= each["right"] <= each["most"] <= 1 for each in bins)
    assert {each["right"] for each in bins if each["low"] >= 0.5} == {1.0}  # false alarms have lower scores


def test_the_map_has_every_trial(sweep: Path) -> None:
    view = answer(page(sweep), view="heat")
    assert (view["a"], view["names"], view["left_out"]) == ("t0", ["hole", "short"], 0)
    assert [row["trial"] for row in view["trials"]] == ["t2", "t1"]
    pair = answer(page(sweep))
    assert view["trials"][0]["cells"][1]["delta"] == pytest.approx(pair["classes"][0]["effect"]["delta"])
    low = view["trials"][0]["cells"][1]["low"]
    assert low < pair["classes"][0]["effect"]["low"]  # simultaneous over more


def test_a_single_seed_is_not_judged(tmp_path: Path) -> None:
    data = make_truth(tmp_path / "boards", BOXES)
    for trial in range(2):
        make_detector(tmp_path / "sweep", data, detections(3 + trial, 0), trial, 0, label=f"t{trial}" if trial else "baseline")
    view = answer(page(tmp_path / "sweep"))
    assert view["joint"] == 0
    assert all(row["means"] is None and row["effect"]["low"] is None for row in view["classes"])


def test_a_trial_alone_is_shown(tmp_path: Path) -> None:
    data = make_truth(tmp_path / "boards", BOXES)
    make_detector(tmp_path / "sweep", data, detections(3, 0))
    view = answer(page(tmp_path / "sweep"))
    assert view["b"] is None
    assert [row["effect"] for row in view["classes"]] == [None, None]


def test_other_evaluation_data_are_said(sweep: Path, tmp_path: Path) -> None:
    data = make_truth(tmp_path / "others", BOXES)
    for seed in range(2):
        make_detector(sweep, data, detections(4, seed), 3, seed, label="t3")
    assert answer(page(sweep), a="t0", b="t3")["same_data"] is False


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "cannot be used"),
        (b'{"images": "many", "metrics": {}}', "cannot be used"),
        (b"[" * 100_000, "cannot be used"),
        (b"\xff\xfe", "cannot be used"),
        (None, "is missing"),
    ],
)
def test_a_damaged_evaluation_is_named(sweep: Path, content: bytes | None, problem: str) -> None:
    data = page(sweep)
    file = sweep / "runs" / "0002-t2-s1" / "eval.json"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    view = answer(data)
    (wrong,) = view["b"]["unreadable"]
    assert wrong["problem"].startswith(f"eval.json {problem}")
    assert str(sweep) not in wrong["problem"]
    assert view["curves"]


def test_an_evaluation_that_is_too_large_or_a_link_is_not_read(sweep: Path, tmp_path: Path) -> None:
    data = page(sweep)
    file = sweep / "runs" / "0002-t2-s1" / "eval.json"
    with open(file, "r+b") as opened:
        opened.truncate((64 << 20) + 1)
    assert answer(data)["b"]["unreadable"][0]["problem"] == "eval.json cannot be read: larger than 64 MiB"
    (tmp_path / "elsewhere.json").write_text(file.with_name("eval.json").parent.joinpath("run.json").read_text())
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere.json")
    assert "symbolic link" in answer(data)["b"]["unreadable"][0]["problem"]


def test_a_rewritten_evaluation_is_read_again(sweep: Path) -> None:
    data = page(sweep)
    before = answer(data)["errors"][0]["counts"]
    for file in sweep.glob("runs/0002-*/eval.json"):
        content = json.loads(file.read_text())
        content["tide"]["counts"] = dict.fromkeys(content["tide"]["counts"], 77)
        file.write_text(json.dumps(content))
    assert answer(data)["errors"][0]["counts"] == [before[0], 77]


def test_missing_predictions_are_named_with_the_command(sweep: Path) -> None:
    (sweep / "runs" / "0002-t2-s1" / "predictions.json").unlink()
    view = answer(page(sweep))
    (run,) = view["b"]["without_predictions"]
    names = {row["id"]: row["name"] for row in answer(page(sweep), "trials")["runs"]}
    assert names[run] == "0002-t2-s1"
    assert view["b"]["commands"][0].endswith("sweep/runs/0002-t2-s1 --save-predictions")
    calibration = answer(page(sweep), view="calibration")
    assert calibration["b"] is None and calibration["a"]


def test_answers_name_no_path_of_this_machine(sweep: Path, tmp_path: Path) -> None:
    data = page(sweep)
    for query in find_part("evaluation").frozen(data, {}):
        assert str(tmp_path).encode() not in ask(data, "evaluation", query).body


def test_the_frozen_queries_are_answered(sweep: Path) -> None:
    data = page(sweep)
    queries = list(find_part("evaluation").frozen(data, {}))
    assert {"a": "t0", "b": "t1"} in queries and {} in queries and {"view": "heat"} in queries
    for query in queries:
        assert ask(data, "evaluation", query).body
    view = list(find_part("evaluation").frozen(data, {"base": "t2", "b": "t1"}))
    added = [{"a": "t2", "b": "t1"}, {"a": "t2", "b": "t1", "view": "calibration"}, {"view": "heat", "a": "t2"}]
    assert sorted(view, key=str) == sorted([*queries, *added], key=str)
    assert list(find_part("evaluation").frozen(data, {"a": "t99"})) == queries


def test_runs_without_an_evaluation_by_class_have_no_tab(tmp_path: Path) -> None:
    make_run(tmp_path / "sweep")
    data = page(tmp_path / "sweep")
    assert answer(data, "overview")["detection"] is False
    assert list(find_part("evaluation").frozen(data, {})) == []
    with pytest.raises(InputError, match="no run has been evaluated by class"):
        ask(data, "evaluation", {})


@pytest.mark.parametrize(
    ("query", "message"),
    [({"a": "t9"}, "no trial 't9'"), ({"view": "all"}, "view is 'all'; expected one of pair"), ({"c": "t1"}, "has no 'c'")],
)
def test_wrong_queries_are_refused(sweep: Path, query: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ask(page(sweep), "evaluation", query)
