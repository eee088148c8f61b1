"""Curves on a grid: nothing that counts is lost, whatever the width, the zoom and what else is shown."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.store.records import Record, RecordWriter
from runner.views.page.curves import (
    SMOOTHING,
    CurveMark,
    Grid,
    RunCurve,
    combine,
    ema,
    images_per_step,
    make_curve,
    make_ghosts,
    marks_shown,
    thin,
)
from runner.views.page.reader import Columns, read_columns

VALUES = st.floats(-1e6, 1e6, width=32)


def curve(points: dict[float, float], weight: float = 0.0) -> RunCurve:
    x = np.array(sorted(points), np.float64)
    y = np.array([points[each] for each in sorted(points)], np.float64)
    return RunCurve(x, y, ema(y, weight))


POINTS = st.dictionaries(st.integers(0, 1000).map(lambda number: number + 0.5), VALUES, min_size=1, max_size=60)


def written(path: Path, *records: Record) -> Columns:
    writer = RecordWriter(path)
    for one in records:
        writer.write(one)
    writer.close()
    return read_columns(path)


@given(y=st.lists(VALUES, max_size=300), weight=st.sampled_from(SMOOTHING))
def test_smoothing_is_the_debiased_mean_of_tensorboard(y: list[float], weight: float) -> None:
    expected, last = [], 0.0
    for count, value in enumerate(y, 1):
        last = last * weight + (1 - weight) * value
        expected.append(last / (1 - weight**count))
    np.testing.assert_allclose(ema(np.array(y, np.float64), weight), expected, rtol=1e-9, atol=1e-6)


def test_a_constant_stays_as_it_is_smoothed() -> None:
    for weight in SMOOTHING:
        np.testing.assert_allclose(ema(np.full(10_000, 3.0), weight), 3.0, rtol=1e-12)


@given(points=POINTS, low=st.integers(-10, 900), width=st.integers(1, 1200), buckets=st.integers(1, 700))
def test_each_bucket_has_the_numbers_of_its_points(points: dict[float, float], low: int, width: int, buckets: int) -> None:
    grid = Grid(low, low + width, buckets)
    n, mean, least, most, last, smooth = thin(curve(points, 0.9), grid).arrays(grid)
    inside = {x: y for x, y in points.items() if low <= x <= low + width}
    assert np.nansum(n) == len(inside)
    members: dict[int, list[float]] = {}
    for x, bucket in zip(sorted(inside), grid.index(np.array(sorted(inside), np.float64)).tolist(), strict=True):
        assert low + (bucket - 1e-6) * grid.width <= x <= low + (bucket + 1 + 1e-6) * grid.width
        members.setdefault(bucket, []).append(points[x])
    smoothed = dict(zip(sorted(points), curve(points, 0.9).smooth.tolist(), strict=True))
    for bucket in range(buckets):
        ys = members.get(bucket)
        if ys is None:
            assert all(math.isnan(array[bucket]) for array in (n, mean, least, most, last, smooth))
            continue
        expected = (len(ys), statistics.fmean(ys), min(ys), max(ys), ys[-1])
        np.testing.assert_allclose([array[bucket] for array in (n, mean, least, most, last)], expected, rtol=1e-6, atol=1e-6)
        at = max(x for x in inside if grid.index(np.array([x]))[0] == bucket)
        np.testing.assert_allclose(smooth[bucket], smoothed[at], rtol=1e-6, atol=1e-6)


@given(
    points=POINTS,
    others=st.lists(POINTS, max_size=3),
    start=st.integers(0, 15),
    length=st.integers(1, 8),
    weight=st.sampled_from(SMOOTHING),
)
def test_zoomed_is_cropped(points: dict[float, float], others: list[dict[float, float]], start: int, length: int, weight: float) -> None:
    whole, zoomed = Grid(0, 1024, 128), Grid(start * 64, (start + length) * 64, length * 8)
    curves = [curve(each, weight) for each in (points, *others)]
    cut = slice(start * 8, (start + length) * 8)
    for one in curves:
        for full, part in zip(thin(one, whole).arrays(whole), thin(one, zoomed).arrays(zoomed), strict=True):
            np.testing.assert_array_equal(part[: len(full[cut])], full[cut])
    groups = [combine([thin(one, grid) for one in curves], grid, smoothed=weight > 0).arrays(grid) for grid in (whole, zoomed)]
    for full, part in zip(*groups, strict=True):
        np.testing.assert_allclose(part[: len(full[cut])], full[cut], rtol=1e-5, atol=1e-6)


@given(members=st.lists(POINTS, min_size=1, max_size=6), buckets=st.integers(1, 300))
def test_groups_are_of_all_members(members: list[dict[float, float]], buckets: int) -> None:
    grid = Grid(0, 1001, buckets)
    thinned = [thin(curve(points), grid) for points in members]
    n, mean, low, high, std = combine(thinned, grid, smoothed=False).arrays(grid)
    table = np.full((len(members), buckets), np.nan)
    for row, points in enumerate(members):
        found = thin(curve(points), grid).arrays(grid)[1].astype(np.float64)
        there = np.flatnonzero(~np.isnan(found))
        table[row, there[0] : there[-1] + 1] = np.interp(np.arange(there[0], there[-1] + 1), there, found[there])
    shown = np.zeros(buckets, np.bool_)
    for one in thinned:
        shown[one.index] = True
    assert np.isnan(n[~shown]).all() and np.isnan(mean[~shown]).all()
    table, close = table[:, shown], {"rtol": 1e-4, "atol": 0.5}
    np.testing.assert_array_equal(n[shown], (~np.isnan(table)).sum(axis=0))
    np.testing.assert_allclose(mean[shown], np.nanmean(table, axis=0), **close)
    np.testing.assert_allclose(low[shown], np.nanmin(table, axis=0), **close)
    np.testing.assert_allclose(high[shown], np.nanmax(table, axis=0), **close)
    for bucket, value in enumerate(std[shown]):
        column = table[:, bucket][~np.isnan(table[:, bucket])]
        np.testing.assert_allclose(value, np.std(column, ddof=1) if len(column) > 1 else np.nan, rtol=1e-3, atol=1.0)


def test_a_group_of_members_without_points() -> None:
    grid = Grid(0, 10, 5)
    empty = thin(RunCurve(np.empty(0), np.empty(0), np.empty(0)), grid)
    one = thin(curve({1.0: 2.0}), grid)
    n, mean, *_ = combine([empty, one], grid, smoothed=False).arrays(grid)
    assert n[0] == 1 and mean[0] == 2 and np.isnan(n[1:]).all()
    assert np.isnan(combine([empty], grid, smoothed=False).arrays(grid)[0]).all()


def test_huge_numbers_and_grids() -> None:
    grid = Grid(0, 1e-300, 3)
    thinned = thin(curve({0.0: 1e300, 1e10: -1e300, 1e300: 1.0}, 0.999), grid)
    assert thinned.arrays(grid)[1][0] == np.finfo(np.float32).max
    assert combine([thinned, thinned], grid, smoothed=False).n[0] == 2


def test_the_last_point_is_in_the_last_bucket() -> None:
    grid = Grid(0, 10, 3)
    assert grid.index(np.array([-1e-9, 0, 10, 10.001])).tolist() == [-1, 0, 2, 3]


def test_what_is_not_finite_is_marked_exactly(tmp_path: Path) -> None:
    values = [1.0, math.nan, 0.5, math.inf, -math.inf, 0.7]
    columns = written(tmp_path / "m", *(Record(1, step, step / 10, 100.0 + step, {"x": value}) for step, value in enumerate(values)))
    found = make_curve(columns, "x", "step", 0.5)
    assert found is not None
    assert found.marks == (CurveMark(1, "nan"), CurveMark(3, "inf"), CurveMark(4, "-inf"))
    assert found.x.tolist() == [0, 2, 5] and found.y.tolist() == [1.0, 0.5, 0.7]
    assert (found.first, found.last, found.best("minimize"), found.best("maximize")) == ((0, 1.0), (5, 0.7), (2, 0.5), (0, 1.0))
    assert marks_shown(found, Grid(2, 5, 10)) == [CurveMark(3, "inf"), CurveMark(4, "-inf")]


def test_a_run_that_diverged_has_one_mark_per_bucket(tmp_path: Path) -> None:
    columns = written(tmp_path / "m", *(Record(1, step, 0.0, 1.0, {"x": math.nan}) for step in range(1000)))
    found = make_curve(columns, "x", "step")
    assert found is not None and found.first is found.last is found.best("maximize") is None and len(found.marks) == 1000
    assert [mark.x for mark in marks_shown(found, Grid(0, 1000, 4))] == [0, 250, 500, 750]


def test_resumed_attempts_and_axes(tmp_path: Path) -> None:
    columns = written(
        tmp_path / "m",
        Record(1, 0, 0, 1000.0, resumed=True),
        *(Record(1, step, step / 10, 1000.0 + step, {"x": float(step)}) for step in (10, 20, 30)),
        Record(2, 20, 2.0, 5000.0, resumed=True),
        *(Record(2, step, step / 10, 5000.0 + step - 20, {"x": step + 0.5}) for step in (30, 40)),
    )
    expected = {
        "step": ([10, 20, 30, 40], 20), "epoch": ([1, 2, 3, 4], 2), "wall": ([1010, 1020, 5010, 5020], 5000),
        "time": ([10, 20, 30, 40], 20), "images": ([80, 160, 240, 320], 160), "relative": ([80, 160, 240, 320], 160),
    }  # fmt: skip
    for axis, (x, resumed) in expected.items():
        found = make_curve(columns, "x", axis, per_step=8.0)  # type: ignore[arg-type]
        assert found is not None
        assert found.x.tolist() == x and found.y.tolist() == [10, 20, 30.5, 40.5] and found.marks == (CurveMark(resumed, "resumed", 2),)
    ghosts = {"step": 30, "epoch": 3, "wall": 1030, "time": 30, "images": 240}
    for axis, where in ghosts.items():
        ghost = make_ghosts(columns, "x", axis, per_step=8.0)  # type: ignore[arg-type]
        assert {attempt: (curve.x.tolist(), curve.y.tolist(), curve.marks) for attempt, curve in ghost.items()} == {1: ([where], [30], ())}
    assert make_ghosts(columns, "y", "step") == {} == make_ghosts(columns, "x", "relative")
    assert make_curve(columns, "x", "images") is None and make_curve(columns, "y", "step") is None


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    columns = written(tmp_path / "m", *(Record(1, step, 0.0, time, {"x": float(step)}) for step, time in enumerate([10.0, 30.0, 20.0])))
    found = make_curve(columns, "x", "wall", 0.5)
    assert found is not None and found.x.tolist() == [10, 20, 30] and found.y.tolist() == [0, 2, 1]
    np.testing.assert_allclose(found.smooth, ema(np.array([0.0, 1.0, 2.0]), 0.5)[[0, 2, 1]])


@pytest.mark.parametrize(
    ("config", "overrides", "expected"),
    [
        ({}, {"TrainReader.batch_size": 8}, None),
        ({"seed": 1}, {}, None),
        ({"TrainReader.batch_size": 8}, {}, 8),
        ({"TrainReader.batch_size": 8, "processes": 2, "gradient_accumulation": 3}, {"TrainReader.batch_size": 4}, 24),
        ({"TrainReader.batch_size": "8"}, {}, None),
        ({"TrainReader.batch_size": 0}, {}, None),
    ],
)  # fmt: skip
def test_images_per_step(config: dict[str, object], overrides: dict[str, object], expected: int | None) -> None:
    assert images_per_step(config, overrides) == expected
