"""Part `search`: its numbers are those of the report, for each kind of sweep, unfinished or finished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from support.finished import make_run
from support.search_runs import AP, MEMORY, many_trials, page_of, run

from runner.core.errors import InputError
from runner.results.search.report import SearchReport
from runner.sweep.session_results import read_report
from runner.views.page.data import PageData, SnapshotData
from runner.views.page.part import ask
from runner.views.page.parts.search import SearchPart

RATES = (0.001, 0.002, 0.004)


def explored(data: PageData) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask(data, "search", {}).body)
    return found


def write_plan(sweep: Path, **spec: Any) -> None:
    sweep.mkdir(parents=True, exist_ok=True)
    plan = {"spec": {"seeds": [0, 1], "metric": {"name": "bbox/AP", "goal": "maximize"}, **spec}, "warnings": [], "runs": []}
    (sweep / "plan.json").write_text(json.dumps(plan), encoding="utf-8")


def make_trial(sweep: Path, number: int, values: Mapping[str, Any], aps: tuple[float | None, ...], **facts: Any) -> None:
    """A trial of the keys rate and batch, with one run per value; None: it failed."""
    rate, batch = values.get("LearningRate.base_lr", 0.002), values.get("TrainReader.batch_size", 8)
    label = ",".join(f"{key.rpartition('.')[2]}={value}" for key, value in values.items()) or "baseline"
    for seed, ap in enumerate(aps):
        state = {} if ap is not None else {"state": "failed", "reason": "CUDA error"}
        make_run(sweep, number, seed, label=label, ap=ap, overrides=values, base_lr=rate, batch_size=batch, **{**state, **facts})


def snapshot(sweep: Path) -> SnapshotData:
    return SnapshotData([sweep], read_report)


def test_a_search_has_the_numbers_of_its_report() -> None:
    data = many_trials(60, 4, seeds=2)
    report = data.report()
    assert isinstance(report, SearchReport)
    found = explored(data)
    assert found["kind"] == "search"
    assert [key["key"] for key in found["keys"]] == list(report.results.parameters)
    by_id = {trial["id"]: trial for trial in found["trials"]}
    assert len(by_id) == 60
    for id, trial in data.trials().items():
        known = report.results.trial(trial.number)
        assert by_id[id]["state"] == known.state
        numbers = known.values.get(AP.name) if known.state == "done" else None
        shown = by_id[id]["metrics"].get(AP.name)
        assert shown == (None if numbers is None else {"n": 2, "mean": numbers.mean, "std": numbers.std, "values": list(numbers.values)})
        assert by_id[id]["newest"] == (list(known.curve[-1]) if known.state == "pruned" else None)
    assert found["states"] == report.results.states()
    assert [each["share"] for each in found["importances"][0]["parameters"]] == [each.share for each in report.importances[0].parameters]
    assert found["importances"][0]["method"] == report.importances[0].method
    medians = [item["value"] for each in found["slices"] for item in each["ranges"]]
    assert medians == [each.median for item in report.slices for each in item.bins]
    assert [rung["pruned"] for rung in found["rungs"]] == [rung.pruned for rung in report.audit.rungs] if report.audit else False
    assert [note["id"] for note in found["notes"]] == [note.id for note in report.audit_notes]


def test_the_space_comes_from_the_sweep_file(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    space = {"LearningRate.base_lr": {"low": 0.0001, "high": 0.1, "log": True}, "opt": ["sgd", "adam", "lion"]}
    write_plan(sweep, design="optuna", space=space, seeds=[0])
    make_trial(sweep, 0, {}, (0.3,))
    make_trial(sweep, 1, {"LearningRate.base_lr": 0.01, "opt": "adam"}, (0.4,))
    make_trial(sweep, 2, {"LearningRate.base_lr": 0.05, "opt": "sgd"}, (0.2,), state="pruned", step=100, evaluations=[(100, 0.1)])
    found = explored(snapshot(sweep))
    rate, opt = found["keys"]
    assert (rate["short"], rate["low"], rate["high"], rate["log"]) == ("base_lr", 0.0001, 0.1, True)
    assert opt["choices"] == ["sgd", "adam", "lion"]
    assert [trial["places"] for trial in found["trials"]] == [[0.002, None], [0.01, 1.0], [0.05, 0.0]]
    assert found["trials"][2]["newest"] == [100, 0.1]
    table = json.loads(ask(snapshot(sweep), "trials", {}).body)
    assert table["keys"] == {"LearningRate.base_lr": "base_lr", "opt": "opt"}
    assert table["trials"][0]["parameters"] == {"LearningRate.base_lr": 0.002}  # of its config, so that a filter knows it
    assert found["importances"][0]["refused"]["id"] == "importances-few"


def test_the_best_so_far_and_the_front_leave_out_what_breaks_a_constraint() -> None:
    values = [(0.2, 4.0), (0.5, 9.0), (0.4, 5.0), (0.3, 6.0), (0.45, 7.0)]
    runs = [run(number, {AP.name: ap, MEMORY.name: memory}, point={"rate": number / 10}) for number, (ap, memory) in enumerate(values)]
    found = explored(page_of(*runs, metrics=(AP, MEMORY), constraints=["resource/gib <= 8"]))
    assert found["history"] == {AP.name: [[0, 0.2], [2, 0.4], [4, 0.45]], MEMORY.name: [[0, 4.0]]}
    assert [trial["violated"] for trial in found["trials"]][1] == ["resource/gib <= 8"]
    [front] = [each for each in found["fronts"] if (each["metric"], each["cost"]) == (AP.name, MEMORY.name)]
    assert (front["front"], front["goal"]) == (["t4", "t2", "t0"], "minimize")


def test_new_seeds_of_a_confirmation_are_not_mixed_in() -> None:
    runs = [run(0, 0.3), run(0, 0.3, seed=1), run(1, 0.5, point={"rate": 0.1}), run(1, 0.1, seed=1, point={"rate": 0.1})]
    found = explored(page_of(*runs, seeds=[0]))
    assert [trial["metrics"][AP.name]["mean"] for trial in found["trials"]] == [0.3, 0.5]


def test_curves_are_thinned_to_their_end() -> None:
    curve = [(step, step / 200) for step in range(1, 100)]
    runs = [run(0, 0.5, curve=curve), run(1, state="pruned", point={"rate": 1.0}, curve=curve[:50])]
    curves = explored(page_of(*runs))["curves"]
    assert 20 < len(curves["steps"]) <= 40
    assert curves["steps"][-1] == 100
    assert curves["values"]["t0"][-1] == 0.5
    assert curves["values"]["t1"][-1] is None


def make_grid(sweep: Path) -> Path:
    write_plan(sweep, design="grid", vary={"LearningRate.base_lr": list(RATES), "TrainReader.batch_size": [4, 8]})
    make_trial(sweep, 0, {}, (0.30, 0.32))  # the baseline is the grid's 0.002 and 8
    number = 0
    for rate in RATES:
        for batch in (4, 8):
            if (rate, batch) == (0.002, 8):
                continue
            number += 1
            ap = 100 * rate + batch / 100
            values = {"LearningRate.base_lr": rate, "TrainReader.batch_size": batch}
            make_trial(sweep, number, values, (ap, None if number == 5 else ap + 0.02))
    return sweep


def test_a_grid_has_means_by_cell(tmp_path: Path) -> None:
    data = snapshot(make_grid(tmp_path / "grid"))
    found = explored(data)
    assert found["kind"] == "grid"
    rate, batch = found["keys"]
    assert (rate["values"], rate["log"], batch["values"]) == (list(RATES), True, [4, 8])
    assert found["trials"][0]["places"] == [0.002, 8]
    compared = {trial["label"]: trial["metrics"]["bbox/AP"] for trial in json.loads(ask(data, "report", {}).body)["report"]["trials"]}
    labels = {trial.id: trial.label for trial in data.trials().values()}
    assert {labels[trial["id"]]: trial["metrics"]["bbox/AP"] for trial in found["trials"]} == compared
    [cells] = [each for each in found["cells"] if each["metric"] == "bbox/AP"]
    assert (cells["x"], cells["y"], len(cells["cells"])) == ("LearningRate.base_lr", "TrainReader.batch_size", 6)
    assert cells["cells"][3] == {"x": 1, "y": 1, "trials": 1, "mean": pytest.approx(0.31)}
    means = next(each for each in found["slices"] if each["key"] == "TrainReader.batch_size" and each["metric"] == "bbox/AP")
    assert (means["statistic"], [item["trials"] for item in means["ranges"]]) == ("mean", [3, 3])
    last = found["trials"][5]
    assert (last["state"], last["metrics"]["bbox/AP"]["n"]) == ("failed", 1)  # one of its seeds failed, the other one counts
    assert found["states"] == {"done": 5, "failed": 1}


def test_changes_of_one_key_go_into_its_slice_alone(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    vary = {"TrainReader.batch_size": [4, 16], "max_iters": {"values": [600], "label": "schedule"}}
    write_plan(sweep, design="one_at_a_time", vary=vary, derive={"LearningRate.base_lr": "base * TrainReader.batch_size / 8"})
    make_trial(sweep, 0, {}, (0.3, 0.34))
    make_trial(sweep, 1, {"TrainReader.batch_size": 4, "LearningRate.base_lr": 0.001}, (0.2, 0.22))
    make_trial(sweep, 2, {"TrainReader.batch_size": 16, "LearningRate.base_lr": 0.004}, (0.4, 0.41))
    make_trial(sweep, 3, {"max_iters": 600}, (0.5, 0.5), max_iters=600)
    both = {"TrainReader.batch_size": 16, "LearningRate.base_lr": 0.004, "max_iters": 600}
    make_trial(sweep, 4, both, (0.6, 0.61), max_iters=600)
    found = explored(snapshot(sweep))
    assert found["kind"] == "one_at_a_time"
    assert [key["key"] for key in found["keys"]] == ["TrainReader.batch_size", "max_iters"]  # not what follows
    assert found["alone"] == {"TrainReader.batch_size": ["t1", "t0", "t2"], "max_iters": ["t0", "t3"]}
    numbers = found["trials"][0]["metrics"]["bbox/AP"]
    assert (numbers["mean"], numbers["std"], numbers["n"]) == (fmean([0.3, 0.34]), pytest.approx(stdev([0.3, 0.34])), 2)
    assert next(front for front in found["fronts"] if front["cost"] == "time_s")["front"] == ["t4"]


def test_without_a_report_the_trials_are_there(tmp_path: Path) -> None:
    sweep = make_grid(tmp_path / "grid")

    def refuse(_: object) -> Any:
        raise InputError("no")

    found = explored(SnapshotData([sweep], refuse))
    assert (found["kind"], len(found["trials"]), found["states"]) == ("grid", 6, {"done": 5, "failed": 1})
    assert found["trials"][0]["places"] == [None, None]  # what the baseline has is in its config, which was not read


def test_a_planned_trial_waits(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    make_trial(sweep, 0, {}, (0.3,))
    values = {"LearningRate.base_lr": 0.01}
    planned = [
        {"id": "0000-baseline-s1", "trial": 0, "label": "baseline", "seed": 1, "key": "a", "overrides": {}},
        {"id": "0001-base_lr=0.01-s0", "trial": 1, "label": "base_lr=0.01", "seed": 0, "key": "b", "overrides": values},
    ]
    spec = {"design": "one_at_a_time", "vary": {"LearningRate.base_lr": [0.01]}, "seeds": [0, 1]}
    (sweep / "plan.json").write_text(json.dumps({"spec": spec, "warnings": [], "runs": planned}), encoding="utf-8")
    found = explored(snapshot(sweep))
    assert [trial["state"] for trial in found["trials"]] == ["waiting", "waiting"]
    assert found["trials"][0]["metrics"]["bbox/AP"]["n"] == 1


def test_several_sweeps_are_a_list(tmp_path: Path) -> None:
    first, second = make_grid(tmp_path / "one"), make_grid(tmp_path / "two")
    found = explored(SnapshotData([first, second], read_report))
    assert (found["kind"], found["cells"], found["alone"]) == ("list", [], {})
    assert {each["key"] for each in found["slices"]} == {"LearningRate.base_lr", "TrainReader.batch_size"}


def test_no_path_is_in_the_answer(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    write_plan(sweep, design="one_at_a_time", vary={"weights_of": [f"{tmp_path}/a.npz", f"{tmp_path}/b.npz"]})
    make_trial(sweep, 0, {}, (0.3, 0.3))
    for number, name in enumerate("ab", 1):
        make_trial(sweep, number, {"weights_of": f"{tmp_path}/{name}.npz"}, (0.4, 0.4), name=None)
    body = ask(snapshot(sweep), "search", {}).body.decode()
    assert "a.npz" in body
    assert str(tmp_path) not in body


def test_a_frozen_file_holds_one_answer(tmp_path: Path) -> None:
    data = snapshot(make_grid(tmp_path / "grid"))
    assert list(SearchPart().frozen(data, {})) == [{}]
    with pytest.raises(InputError, match="search has no 'tag'"):
        ask(data, "search", {"tag": "bbox/AP"})


def test_by_another_metric(tmp_path: Path) -> None:
    data = snapshot(make_grid(tmp_path / "grid"))
    found = json.loads(ask(data, "search", {"metric": "bbox/AP50"}).body)
    assert found["metrics"][0] == {"name": "bbox/AP50", "goal": "maximize"}
    assert {each["metric"] for each in found["cells"]} >= {"bbox/AP50"}
    assert found["trials"][0]["metrics"]["bbox/AP50"]["mean"] == pytest.approx(0.61)
    with pytest.raises(InputError, match="Unknown metric 'bbox/AP5'"):
        ask(data, "search", {"metric": "bbox/AP5"})
