"""Part `curves`: its binary form, groups, queries."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.finished import make_run
from support.run_dirs import make_run_dir

from runner.core.errors import InputError
from runner.store.records import Record, RecordWriter, read_records
from runner.store.run_dir import Identity, RunDir, Status
from runner.sweep.session_results import read_report
from runner.views.page.data import PageView, SnapshotData
from runner.views.page.part import ask, find_part
from runner.views.page.parts.curves import round_mantissa
from runner.views.renderers.base import Report


def no_report(roots: Any) -> Report:
    raise InputError("no report")


def decode(body: bytes) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float32]]]:
    """Return the header and each series' arrays by id."""
    assert body[:4] == b"RCV1"
    (length,) = struct.unpack("<I", body[4:8])
    assert (8 + length) % 8 == 0
    header, data = json.loads(body[8 : 8 + length]), body[8 + length :]
    rows = {"run": 6, "ghost": 6, "group": 5}
    arrays = {
        each["id"]: np.frombuffer(data, "<f4", rows[each["kind"]] * header["buckets"], each["offset"]).reshape(-1, header["buckets"])
        for each in header["series"]
    }
    assert len(data) == sum(array.nbytes for array in arrays.values())
    return header, arrays


def curves(data: PageView, **query: str) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float32]]]:
    answer = ask(data, "curves", {key.rstrip("_"): value for key, value in query.items()})
    assert answer.media == "application/octet-stream"
    return decode(answer.body)


def without_configs(data: SnapshotData) -> PageView:
    """Return the data as a live page has them."""
    view = {each.name: getattr(data, each.name) for each in fields(PageView)}
    runs = {id: replace(run, result=replace(run.result, config={})) for id, run in data.runs().items()}
    return PageView(**{**view, "by_id": runs})


def run(
    path: Path, trial: int, seed: int, values: dict[int, float], *, overrides: dict[str, Any] | None = None, state: str = "done"
) -> None:
    path.mkdir(parents=True)
    run_dir = RunDir(path)
    run_dir.write_identity(Identity(path.name, "sweep", trial, seed, overrides or {}, f"key-{path.name}", label=f"trial {trial}"))
    writer = RecordWriter(run_dir.metrics)
    for step, value in values.items():
        writer.write(Record(1, step, step / 10, 1000.0 + step, {"bbox/AP": value}, kind="evaluation"))
    writer.close()
    run_dir.write_status(Status(state=state, attempt=1, step=max(values, default=0), steps=100, phase="ended"))  # type: ignore[arg-type]


@pytest.fixture
def sweep(tmp_path: Path) -> SnapshotData:
    """Two trials of two seeds, the second of which ends early, and one run that has no records."""
    runs = tmp_path / "sweep" / "runs"
    run(runs / "0000-base-s0", 0, 0, {10: 0.1, 20: 0.3, 30: 0.2})
    run(runs / "0000-base-s1", 0, 1, {10: 0.2, 20: 0.4, 30: 0.6})
    run(runs / "0001-lr=2-s0", 1, 0, {10: 0.5, 20: 0.7, 30: math.nan}, overrides={"LearningRate.base_lr": 2})
    run(runs / "0001-lr=2-s1", 1, 1, {10: 0.3}, overrides={"LearningRate.base_lr": 2}, state="failed")
    run(runs / "0002-lr=3-s0", 2, 0, {}, overrides={"LearningRate.base_lr": 3})
    return SnapshotData([tmp_path / "sweep"], no_report)


def test_trials_and_their_runs(sweep: SnapshotData) -> None:
    header, arrays = curves(sweep, tag="bbox/AP", px="40")
    assert {key: header[key] for key in ("tag", "x", "from", "to", "buckets", "exact", "smoothing")} == {
        "tag": "bbox/AP", "x": "step", "from": 10, "to": 30, "buckets": 20, "exact": True, "smoothing": 0,
    }  # fmt: skip
    assert [(each["id"], each["kind"], each["trial"], each["group"], each["members"]) for each in header["series"]] == [
        ("t0", "group", "t0", None, 2), ("t1", "group", "t1", None, 2),
        ("r0", "run", "t0", "t0", 1), ("r1", "run", "t0", "t0", 1), ("r2", "run", "t1", "t1", 1), ("r3", "run", "t1", "t1", 1),
    ]  # fmt: skip
    series = {each["id"]: each for each in header["series"]}
    assert (series["r0"]["first"], series["r0"]["last"], series["r0"]["best"]) == ([10, 0.1], [30, 0.2], [20, 0.3])
    assert series["r2"]["marks"] == [{"x": 30, "kind": "nan", "attempt": None}] and series["r2"]["last"] == [20, 0.7]
    assert series["t1"]["ended"] == [10] and series["t0"]["ended"] == []
    halves = 2**0.5 / 2  # standard deviation of two numbers that differ by 1
    expected = [[2, 0.15, 0.1, 0.2, 0.1 * halves], [2, 0.35, 0.3, 0.4, 0.1 * halves], [2, 0.4, 0.2, 0.6, 0.4 * halves]]
    np.testing.assert_allclose(arrays["t0"][:, [0, 10, 19]].T, expected, rtol=1e-6)
    np.testing.assert_allclose(arrays["t1"][:, 10], [1, 0.7, 0.7, 0.7, np.nan], rtol=1e-6)
    np.testing.assert_allclose(arrays["r1"][:, 19], [1, 0.6, 0.6, 0.6, 0.6, 0.6], rtol=1e-6)
    assert np.isnan(arrays["r1"][:, 1:10]).all() and np.isnan(arrays["t0"][:, 1:10]).all()


def test_what_else_is_shown_changes_no_number(sweep: SnapshotData) -> None:
    limits = {"from_": "0", "to": "40", "s": "0.9"}
    whole, all_arrays = curves(sweep, tag="bbox/AP", **limits)
    part, arrays = curves(sweep, tag="bbox/AP", runs="r0,r3", **limits)
    assert [each["id"] for each in part["series"]] == ["t0", "t1", "r0", "r3"]
    for each in part["series"]:
        (same,) = [other for other in whole["series"] if other["id"] == each["id"]]
        assert {**each, "offset": 0} == {**same, "offset": 0}
        np.testing.assert_array_equal(arrays[each["id"]], all_arrays[each["id"]])


def test_the_interval_of_a_mean(sweep: SnapshotData) -> None:
    """Half of its width is std times Student's t over the root of n."""
    header, _ = curves(sweep, tag="bbox/AP")
    most = max(series["members"] for series in header["series"])
    assert header["interval"].keys() == {str(n) for n in range(2, most + 1)}
    assert header["interval"]["2"] == pytest.approx(12.706 / math.sqrt(2), rel=1e-4)


def test_steps_in_other_units(tmp_path: Path) -> None:
    """A live page does not keep configs: the axis of images reads them when it is asked for."""
    for trial, size in enumerate((8, 16)):
        make_run(tmp_path / "s", trial, 0, label=f"batch_size={size}", batch_size=size, steps=200 + 200 * trial)
    make_run(tmp_path / "s", 2, 0, label="lost").config.unlink()
    snapshot = SnapshotData([tmp_path / "s"], no_report)
    for data in (snapshot, without_configs(snapshot)):
        ends = {each["id"]: each["last"][0] for each in curves(data, tag="train/loss", x="images")[0]["series"] if each["kind"] == "run"}
        assert ends == {"r0": 8 * 200, "r1": 16 * 400}
        ends = {each["id"]: each["last"][0] for each in curves(data, tag="train/loss", x="relative")[0]["series"] if each["kind"] == "run"}
        assert ends == {"r0": 100, "r1": 100, "r2": 100}
        axes = {row["tag"]: row["axes"] for row in json.loads(ask(data, "curves", {}).body)}
        assert "relative" in axes["train/loss"]
        assert "images" not in axes["train/loss"]  # of one run the config is lost


def test_groups_by_a_key_and_none(sweep: SnapshotData) -> None:
    header, _ = curves(sweep, tag="bbox/AP", g="LearningRate.base_lr")
    groups = [(each["id"], each["trial"], each["value"], each["members"]) for each in header["series"] if each["kind"] == "group"]
    assert groups == [("g0", None, 2, 2), ("g2", None, None, 2)]  # the run with 3 has no records
    assert [each["group"] for each in header["series"] if each["kind"] == "run"] == ["g2", "g2", "g0", "g0"]
    header, _ = curves(sweep, tag="bbox/AP", g="none")
    assert [(each["kind"], each["group"]) for each in header["series"]] == [("run", None)] * 4


def test_groups_by_a_key_that_some_runs_have_from_their_config(tmp_path: Path) -> None:
    """They are those of the trials' table: live data keep no config, and an override may repeat the baseline's value."""
    tried: list[dict[str, Any]] = [{}, {"max_iters": 600}, {"max_iters": 300, "LearningRate.base_lr": 0.1}]
    for trial, overrides in enumerate(tried):
        iterations, rate = overrides.get("max_iters", 300), overrides.get("LearningRate.base_lr", 0.002)
        make_run(tmp_path / "s", trial, 0, label=f"trial {trial}", overrides=overrides, max_iters=iterations, base_lr=rate)
    header, _ = curves(without_configs(SnapshotData([tmp_path / "s"], read_report)), tag="bbox/AP", g="max_iters")
    groups = [(each["value"], each["members"]) for each in header["series"] if each["kind"] == "group"]
    assert groups == [(300, 2), (600, 1)]


def test_a_tag_that_no_run_has(sweep: SnapshotData) -> None:
    header, arrays = curves(sweep, tag="bbox/AP99")
    assert header["series"] == [] and arrays == {} and header["from"] < header["to"]
    assert curves(sweep, tag="bbox/AP", x="images")[0]["series"] == []  # no config: unknown


def test_the_list_of_tags_and_what_a_frozen_file_holds(sweep: SnapshotData) -> None:
    tags = json.loads(ask(sweep, "curves", {}).body)
    assert tags == [{"tag": "bbox/AP", "runs": 4, "kind": "evaluation", "axes": ["step", "relative", "epoch", "time", "wall"]}]
    frozen = list(find_part("curves").frozen(sweep, {}))
    assert frozen == [{}, {"tag": "bbox/AP", "px": "400", "bits": "11", "members": "1"}]
    assert list(find_part("curves").frozen(sweep, {"x": "time", "g": "no.key"})) == [*frozen, {**frozen[1], "x": "time"}]
    header, arrays = decode(ask(sweep, "curves", frozen[1]).body)
    whole, exact = curves(sweep, tag="bbox/AP", px="400")
    assert header == whole and header["buckets"] == 200 and list(arrays) == list(exact)
    for id, array in arrays.items():
        np.testing.assert_allclose(array, exact[id], rtol=2**-12)
        for rounded, row in zip(array[1:], exact[id][1:], strict=True):
            known = np.flatnonzero(~np.isnan(rounded))
            assert not (rounded[known[1:-1]].view(np.uint32) & 0xFFF).any()
            np.testing.assert_array_equal(rounded[known[[0, -1]]] if len(known) else [], row[known[[0, -1]]] if len(known) else [])


def test_rounding_keeps_order_and_what_is_no_number() -> None:
    numbers = np.array([-3.4e38, -1.0, -1e-40, 0.0, 1e-40, 0.1, 0.10001, 1.0, 3.4028235e38, np.nan], np.float32)
    rounded = round_mantissa(numbers, 12)
    assert np.isnan(rounded[-1]) and np.isfinite(rounded[:-1]).all() and (np.diff(rounded[:-1]) >= 0).all()
    np.testing.assert_allclose(rounded, numbers, rtol=2**-12, atol=1e-38)


def test_no_path_is_in_an_answer(sweep: SnapshotData) -> None:
    for query in ({}, {"tag": "bbox/AP"}):
        assert str(sweep.roots[0].parent).encode() not in ask(sweep, "curves", query).body


def test_what_was_superseded_is_there_on_demand(tmp_path: Path) -> None:
    run(tmp_path / "s" / "runs" / "a", 0, 0, {10: 0.1, 20: 0.2, 30: 0.3})
    writer = RecordWriter(RunDir(tmp_path / "s" / "runs" / "a").metrics)
    writer.write(Record(2, 10, 1.0, 2000.0, resumed=True))
    writer.write(Record(2, 20, 2.0, 2010.0, {"bbox/AP": 0.5}, kind="evaluation"))
    writer.close()
    data = SnapshotData([tmp_path / "s"], no_report)
    assert [each["kind"] for each in curves(data, tag="bbox/AP")[0]["series"]] == ["group", "run"]
    header, arrays = curves(data, tag="bbox/AP", ghosts="1", px="42")
    ghost = header["series"][-1]
    assert (ghost["id"], ghost["kind"], ghost["trial"], ghost["first"], ghost["last"]) == ("r0.1", "ghost", "t0", [20, 0.2], [30, 0.3])
    assert (header["from"], header["to"]) == (10, 30)
    assert np.nansum(arrays["r0.1"][0]) == 2


def test_a_resumed_run_grows(tmp_path: Path) -> None:
    made = make_run_dir(tmp_path / "runs" / "a", steps=200, resumed_at=100)
    data = SnapshotData([tmp_path], no_report)
    header, arrays = curves(data, tag="train/loss", px="2000")
    (series,) = [each for each in header["series"] if each["kind"] == "run"]
    assert series["marks"] == [{"x": 100, "kind": "resumed", "attempt": 2}]
    expected = [(one.step, one.values["train/loss"]) for one in read_records(made.metrics) if "train/loss" in one.values]
    assert (series["first"], series["last"]) == (list(expected[0]), list(expected[-1]))
    n, mean = arrays[series["id"]][:2]
    assert np.nansum(n) == len(expected) and header["exact"]
    np.testing.assert_allclose(mean[~np.isnan(mean)], [value for _, value in expected], rtol=1e-6)
    writer = RecordWriter(made.metrics)
    writer.write(Record(2, 210, 2.1, 2e9, {"train/loss": 9.0}))
    writer.close()
    assert curves(data, tag="train/loss")[0]["series"][-1]["last"] == [210, 9.0]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"x": "steps"}, "curves: no axis 'steps'; did you mean 'step'?"),
        ({"px": "0"}, "curves: px is 0, expected 1 to 20000"),
        ({"bits": "24"}, "curves: bits is 24, expected 1 to 23"),
        ({"px": "x"}, "curves: px is 'x', expected a number of at most 1e+17"),
        ({"s": "0.7"}, "curves: s is 0.7, expected one of 0, 0.5"),
        ({"from": "nan"}, "curves: from is 'nan', expected a number of"),
        ({"from": "3", "to": "2"}, "curves: from 3 is not below to 2"),
        ({"runs": "r0,r77"}, "curves: no run 'r77'"),
        ({"g": "LearningRate.base_l"}, "curves: no run has the key 'LearningRate.base_l'; did you mean 'LearningRate.base_lr'?"),
        ({"smooth": "1"}, "curves has no 'smooth'"),
    ],
)
def test_queries_that_are_refused(sweep: SnapshotData, query: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        ask(sweep, "curves", {"tag": "bbox/AP", **query})
    assert str(caught.value).startswith(message)


def test_of_many_runs_those_of_groups_are_left_out_and_their_marks_kept(sweep: SnapshotData, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, arrays = curves(sweep, tag="bbox/AP")
    monkeypatch.setattr("runner.views.page.parts.curves.MOST_MEMBERS", 2)
    few, fewer = curves(sweep, tag="bbox/AP")
    assert [each["kind"] for each in few["series"]] == ["group", "group"] and few["exact"] == whole["exact"]
    for id, found in fewer.items():
        np.testing.assert_array_equal(found, arrays[id])
    assert [mark["kind"] for each in few["series"] for mark in each["marks"]] == ["nan"]
    assert curves(sweep, tag="bbox/AP", members="1")[0] == whole
    assert len(curves(sweep, tag="bbox/AP", runs="r0")[0]["series"]) == 2
