"""Curves as a chart of some width shows them: thinned on one grid, smoothed before that, and groups of them.

Nothing here depends on what else is shown: a run's numbers come from all of its points, a group's from all of its members.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from runner.core.values import is_number
from runner.store.run_dir import Goal
from runner.views.page.reader import Columns, Floats, Points

Axis = Literal["step", "relative", "epoch", "time", "wall", "images"]
AXES: Final[tuple[Axis, ...]] = get_args(Axis)
"""Axes of x: optimiser steps, percent of the planned ones, epochs, seconds of training over all attempts, seconds since 1970, images
seen."""

PER_STEP: Final[frozenset[Axis]] = frozenset({"relative", "images"})
"""Axes that count steps in another unit."""

SMOOTHING: Final = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
"""Weights of the past that a curve can be smoothed with; 0: not at all."""

_EMA_BLOCK = 64
_LARGEST_INDEX = 2.0**62
_FACTORS = ("gradient_accumulation", "processes")


@dataclass(frozen=True, slots=True)
class CurveMark:
    """A place on a curve: a value that is not a number, or the start of a further attempt. `attempt`: of those only."""

    x: float
    kind: Literal["nan", "inf", "-inf", "resumed"]
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class RunCurve:
    """Finite values of one tag of one run, x ascending.

    Args:
        x, y: Float64[points].
        smooth: Float64[points]: `ema` of y in the order of the records.
        marks: x ascending.
    """

    x: Floats
    y: Floats
    smooth: Floats
    marks: tuple[CurveMark, ...] = ()

    @property
    def first(self) -> tuple[float, float] | None:
        """First point; None if no value is finite."""
        return self._point(0) if len(self.x) else None

    @property
    def last(self) -> tuple[float, float] | None:
        """Last point; None if no value is finite."""
        return self._point(-1) if len(self.x) else None

    def best(self, goal: Goal) -> tuple[float, float] | None:
        """Return the first of the best points; None if no value is finite."""
        return self._point(int(np.argmax(self.y) if goal == "maximize" else np.argmin(self.y))) if len(self.y) else None

    def _point(self, index: int) -> tuple[float, float]:
        return float(self.x[index]), float(self.y[index])


@dataclass(frozen=True, slots=True)
class Grid:
    """Buckets of equal width: bucket i holds low + i · width ≤ x < low + (i + 1) · width, and the last one `high` too.

    Args:
        low, high: finite, low < high.
        buckets: how many, at least 1.
    """

    low: float
    high: float
    buckets: int

    @property
    def width(self) -> float:
        """Width of a bucket."""
        return (self.high - self.low) / self.buckets

    def index(self, x: Floats) -> npt.NDArray[np.int64]:
        """Return the bucket of each x; below 0 or from `buckets` on where it lies outside, on the same grid continued."""
        with np.errstate(over="ignore"):  # far outside
            found = np.floor((x - self.low) / self.width)
        inside = np.clip(found, 0, self.buckets - 1)  # also where a rounded quotient says otherwise
        outside = np.where(x < self.low, np.minimum(found, -1), np.maximum(found, self.buckets))
        within = (x >= self.low) & (x <= self.high)
        return np.clip(np.where(within, inside, outside), -_LARGEST_INDEX, _LARGEST_INDEX).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Thinned:
    """Buckets of a curve that are not empty, those outside of the grid too: arrays of one length.

    Args:
        index: ascending, see `Grid.index`.
        n: number of points.
        mean, low, high, last: of the points. `smooth`: at the last point.
    """

    index: npt.NDArray[np.int64]
    n: Floats
    mean: Floats
    low: Floats
    high: Floats
    last: Floats
    smooth: Floats

    def arrays(self, grid: Grid) -> list[npt.NDArray[np.float32]]:
        """Return n, mean, low, high, last and smooth, each Float32[buckets], NaN where a bucket is empty."""
        return _on_grid(grid, self.index, (self.n, self.mean, self.low, self.high, self.last, self.smooth))


@dataclass(frozen=True, slots=True)
class Group:
    """Statistics over the members of a group, in each bucket in which a member has a point.

    A member without a point there counts with the straight line between its neighbouring buckets, not before its first or after its last.

    Args:
        index: see `Thinned`: the buckets of the grid, the first and the last of all.
        n: number of members that count.
        mean, low, high, std: over them; std is the sample standard deviation (n − 1), NaN for one member.
    """

    index: npt.NDArray[np.int64]
    n: Floats
    mean: Floats
    low: Floats
    high: Floats
    std: Floats

    def arrays(self, grid: Grid) -> list[npt.NDArray[np.float32]]:
        """Return n, mean, low, high and std, each Float32[buckets], NaN where a bucket is empty."""
        return _on_grid(grid, self.index, (self.n, self.mean, self.low, self.high, self.std))


def images_per_step(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> int | None:
    """Return the images of one optimiser step over all ranks; None if the config is unknown or does not say."""
    values = {**config, **overrides}
    size = values.get("TrainReader.batch_size")
    factors = [values.get(key, 1) for key in _FACTORS]
    if not config or not all(is_number(value) and value >= 1 for value in (size, *factors)):
        return None
    return int(math.prod((size, *factors)))


def make_curve(columns: Columns, tag: str, axis: Axis, smoothing: float = 0.0, per_step: float | None = None) -> RunCurve | None:
    """Return the curve of a tag; None if no record that counts has it, or its x is unknown.

    Args:
        per_step: x of one optimiser step, for the axes ``images`` (see `images_per_step`) and ``relative``.
    """
    points = columns.points(tag)
    if points is None or (axis in PER_STEP and per_step is None):
        return None
    marks = [mark for mark in columns.marks_that_count() if mark.attempt > 1]
    resumed = np.array([(mark.step, mark.epoch, mark.time, mark.attempt) for mark in marks], np.float64).reshape(-1, 4).T
    at = _x(columns, axis, per_step or 0.0, *resumed)
    found = [CurveMark(float(where), "resumed", mark.attempt) for where, mark in zip(at, marks, strict=True)]
    return _curve(columns, points, axis, smoothing, per_step or 0.0, found)


def make_ghosts(columns: Columns, tag: str, axis: Axis, smoothing: float = 0.0, per_step: float | None = None) -> dict[int, RunCurve]:
    """Return attempt to the curve of its values that a later attempt superseded (see `make_curve`)."""
    points = columns.points(tag, superseded=True)
    if points is None or (axis in PER_STEP and per_step is None):
        return {}
    found = {}
    for attempt in np.unique(points.attempt).tolist():
        kept = points.attempt == attempt
        columns_of_it = (points.step, points.epoch, points.time, points.attempt, points.values)
        found[attempt] = _curve(columns, Points(*(column[kept] for column in columns_of_it)), axis, smoothing, per_step or 0.0, [])
    return found


def _curve(columns: Columns, points: Points, axis: Axis, smoothing: float, per_step: float, found: list[CurveMark]) -> RunCurve:
    """Make a curve of points; `found` are its marks so far."""
    x = _x(columns, axis, per_step, points.step, points.epoch, points.time, points.attempt)
    finite = np.isfinite(points.values)
    for where, value in zip(x[~finite].tolist(), points.values[~finite].tolist(), strict=True):
        found.append(CurveMark(where, "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"))
    x, y = x[finite], points.values[finite]
    smooth = ema(y, smoothing)
    if (np.diff(x) < 0).any():  # a clock was set back
        order = np.argsort(x, kind="stable")
        x, y, smooth = x[order], y[order], smooth[order]
    return RunCurve(x, y, smooth, tuple(sorted(found, key=lambda mark: mark.x)))


def _x(columns: Columns, axis: Axis, per_step: float, step: Floats, epoch: Floats, time: Floats, attempt: npt.NDArray[Any]) -> Floats:
    if axis in PER_STEP:
        return step * per_step
    if axis == "time":
        return columns.seconds_of_training(time, attempt)
    return {"step": step, "epoch": epoch, "wall": time}[axis]


def ema(y: Floats, weight: float) -> Floats:
    """Return the exponential moving average at each value, without the bias to zero at the start.

    Args:
        y: Float64[points], finite.
        weight: of the past, at least 0 and below 1; 0 returns y.
    """
    if weight == 0 or not len(y):
        return y
    # Sums of a block at once, and what the blocks before have left: no power of the weight is divided by.
    blocks = np.zeros((-(-len(y) // _EMA_BLOCK), _EMA_BLOCK))
    blocks.ravel()[: len(y)] = y * (1 - weight)
    powers = weight ** np.arange(_EMA_BLOCK + 1)
    lag = np.arange(_EMA_BLOCK)[None, :] - np.arange(_EMA_BLOCK)[:, None]
    sums = blocks @ np.where(lag >= 0, powers[np.abs(lag)], 0.0)
    carried = np.zeros(len(blocks))
    for block in range(1, len(blocks)):
        carried[block] = carried[block - 1] * powers[-1] + sums[block - 1, -1]
    sums += carried[:, None] * powers[1:]
    return np.asarray(sums.ravel()[: len(y)] / -np.expm1(np.arange(1, len(y) + 1) * math.log(weight)))


def thin(curve: RunCurve, grid: Grid) -> Thinned:
    """Reduce a curve to one entry per bucket that has a point."""
    index = grid.index(curve.x)
    if not len(index):
        return Thinned(index, *(np.empty(0) for _ in range(6)))
    starts = np.concatenate([[0], np.flatnonzero(np.diff(index)) + 1])
    ends = np.concatenate([starts[1:], [len(index)]]) - 1
    n = (ends - starts + 1).astype(np.float64)
    low, high = np.minimum.reduceat(curve.y, starts), np.maximum.reduceat(curve.y, starts)
    mean = np.clip(np.add.reduceat(curve.y / np.repeat(n, n.astype(np.int64)), starts), low, high)
    return Thinned(index[starts], n, mean, low, high, curve.y[ends], curve.smooth[ends])


def combine(members: Sequence[Thinned], grid: Grid, *, smoothed: bool) -> Group:
    """Compute a group's statistics from all of its members, of each the mean of a bucket, or its smoothed value."""
    every = np.unique(np.concatenate([member.index for member in members] or [np.empty(0, np.int64)]))
    shown = (every >= 0) & (every < grid.buckets)
    shown[:1] = shown[-1:] = True
    index = every[shown]
    values = np.full((len(members), len(index)), np.nan)
    for row, member in enumerate(members):
        if len(member.index):
            values[row] = np.interp(index, member.index, member.smooth if smoothed else member.mean, left=np.nan, right=np.nan)
    there = ~np.isnan(values)
    n = there.sum(axis=0).astype(np.float64)
    with np.errstate(over="ignore"):  # of numbers near 1e200
        mean = np.where(there, values, 0).sum(axis=0) / np.maximum(n, 1)
        squares = np.where(there, values - mean, 0) ** 2
        std = np.sqrt(np.where(n > 1, squares.sum(axis=0) / np.maximum(n - 1, 1), np.nan))
    low, high = np.where(there, values, np.inf).min(axis=0, initial=np.inf), np.where(there, values, -np.inf).max(axis=0, initial=-np.inf)
    return Group(index, n, mean, low, high, std)


def marks_shown(curve: RunCurve, grid: Grid) -> list[CurveMark]:
    """Return the marks on the grid: of values that are not finite the first of a kind per bucket, all others."""
    found: dict[tuple[Any, ...], CurveMark] = {}
    buckets = grid.index(np.array([mark.x for mark in curve.marks], np.float64)).tolist()
    for mark, bucket in zip(curve.marks, buckets, strict=True):
        if 0 <= bucket < grid.buckets:
            found.setdefault((bucket, mark.kind, mark.attempt), mark)
    return list(found.values())


def _on_grid(grid: Grid, index: npt.NDArray[np.int64], values: Sequence[Floats]) -> list[npt.NDArray[np.float32]]:
    shown = (index >= 0) & (index < grid.buckets)
    largest = float(np.finfo(np.float32).max)
    result = []
    for column in values:
        array = np.full(grid.buckets, np.nan, np.float32)
        array[index[shown]] = np.clip(column[shown], -largest, largest)
        result.append(array)
    return result
