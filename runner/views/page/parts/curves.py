"""Part `curves`: one tag's curves of all runs on one grid, or the list of tags.

An answer is ``RCV1``, the length of the header (u32), the header (JSON, padded with spaces so that it ends at a multiple of 8), and arrays
of f32, all little endian. A series has its arrays at byte `offset` behind the header, each with one number per bucket, NaN where it is
empty: n, mean, min, max, last, smooth of a run or a ghost; n, mean, min, max, std over the members of a group. A ghost is what of a run's
attempt a later one superseded. The header's `places` is the x of each bucket whose points are all at the same place, so that evaluations
are shown where they were made; its `interval` has, by number of members, what std is multiplied by for half of the mean's 95 % interval;
`superseded` says whether there are ghosts to ask for.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from runner.core.errors import InputError, nearest
from runner.core.values import is_number, value_key
from runner.stats.effects import t_quantile
from runner.store.run_dir import Goal, RunDir
from runner.views.page.curves import (
    AXES,
    SMOOTHING,
    Axis,
    CurveMark,
    Grid,
    RunCurve,
    Thinned,
    combine,
    make_curve,
    make_ghosts,
    marks_shown,
    thin,
)
from runner.views.page.data import PageData, PageRun
from runner.views.page.part import PartAnswer, Query, encode_json, json_answer
from runner.views.page.parts.trials import read_parameters
from runner.views.page.reader import Columns
from runner.views.page.step_units import ALL_AXES, UNKNOWN_OF_IMPORTED, known_axes, x_per_step

MEDIA: Final = "application/octet-stream"
MAGIC: Final = b"RCV1"
MOST_BUCKETS: Final = 700
MOST_MEMBERS: Final = 300
"""Number of runs beyond which those of groups are left out of an answer, unless they are asked for: 5,000 runs would be 60 MB."""
FROZEN: Final = {"px": "400", "bits": "11", "members": "1"}
"""Thinning of a frozen file's curves, for its size: 200 buckets, so that 400 points draw the envelope, of over 3 significant digits."""

_MOST_PX = 20_000
_MANTISSA_BITS = 23
_LARGEST = 1e17
_LEAST_WIDTH = 1e-6
_Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag in the list of tags.

    Args:
        tag: its name.
        runs: number of runs that have it.
        kind: of its records: ``train`` or ``evaluation``.
        axes: axes of x that all of them have, imported ones aside: these know neither epochs nor images.
    """

    tag: str
    runs: int
    kind: str
    axes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """A curve in the header.

    Args:
        id: of the run or of the group: the trial's id, else ``g0``, ``g1``, …; of a ghost the run's, a dot, the attempt.
        kind: ``run``, ``group`` or ``ghost``.
        trial: id of the trial; None for a group that is not a trial.
        group: of a run: id of its group; None if it has none.
        value: of a group by a key: the key's value; None also for runs without one.
        members: number of runs.
        first, last, best: [x, y] of the whole curve, or of the group's mean (no best); None if no value is finite.
        marks: see `runner.views.page.curves.marks_shown`.
        ended: of a group: x at which members end before the last one does.
        offset: of its arrays, in bytes.
    """

    id: str
    kind: str
    trial: str | None
    group: str | None
    value: Any
    members: int
    first: _Point | None
    last: _Point | None
    best: _Point | None
    marks: Sequence[CurveMark]
    ended: Sequence[float]
    offset: int


@dataclass(frozen=True, slots=True)
class CurvesQuery:
    """A query that was understood.

    Args:
        low, high: None where the curves decide.
        bits: of a mantissa.
        runs: ids; None for all.
        ghosts: what was superseded too.
        members: the runs of groups too, however many they are.
    """

    tag: str
    axis: Axis
    low: float | None
    high: float | None
    buckets: int
    bits: int
    smoothing: float
    runs: frozenset[str] | None
    group: str
    ghosts: bool
    members: bool


@dataclass(frozen=True, slots=True)
class _Members:
    id: str
    trial: str | None
    value: Any
    runs: tuple[PageRun, ...]


class CurvesPart:
    """The part."""

    keys: frozenset[str] = frozenset({"tag", "x", "from", "to", "px", "bits", "s", "runs", "g", "ghosts", "members"})

    def answer(self, data: PageData, query: Query) -> PartAnswer:
        """Answer a tag's curves; without a tag the list of tags (`TagRow`)."""
        if not query.get("tag"):
            return json_answer(read_tags(data))
        return PartAnswer(read_curves(data, understand(query)), MEDIA)

    def frozen(self, data: PageData, view: Query) -> Iterable[Query]:
        """Yield the list of tags and each tag, over steps and by trial, and over the view's axis and by its key if it has others.

        They are not smoothed: the page smooths them by the buckets' n and mean.
        """
        yield {}
        axes = dict.fromkeys(["", view["x"] if view.get("x") in AXES and view["x"] != "step" else ""])
        varied, more, _ = read_parameters(data)
        keys = dict.fromkeys(["", view["g"] if view.get("g") in (*varied, *more) else ""])
        for row in read_tags(data):
            for axis in axes:
                for key in keys:
                    yield {"tag": row.tag, **FROZEN, **({"x": axis} if axis else {}), **({"g": key} if key else {})}


def understand(query: Query) -> CurvesQuery:
    """Check a query.

    Raises:
        InputError: a value that is not allowed; unknown ids and keys are found later.
    """
    axis = next((axis for axis in AXES if axis == query.get("x", "step")), None)
    if axis is None:
        raise InputError(f"curves: no axis {query['x']!r}; {nearest(query['x'], AXES) or 'known: ' + ', '.join(AXES)}")
    low, high = (_number(query, key, None) for key in ("from", "to"))
    if low is not None and high is not None and high - low < _LEAST_WIDTH:
        raise InputError(f"curves: from {low:g} is not below to {high:g}")
    px, bits, smoothing = _number(query, "px", 1000.0), _number(query, "bits", _MANTISSA_BITS), _number(query, "s", 0.0)
    if not px or not 1 <= px <= _MOST_PX:
        raise InputError(f"curves: px is {query['px']}, expected 1 to {_MOST_PX}")
    if bits is None or not 1 <= bits <= _MANTISSA_BITS:
        raise InputError(f"curves: bits is {query['bits']}, expected 1 to {_MANTISSA_BITS}")
    if smoothing not in SMOOTHING:
        raise InputError(f"curves: s is {query['s']}, expected one of {', '.join(f'{each:g}' for each in SMOOTHING)}")
    buckets = min(MOST_BUCKETS, max(1, int(px / 2)))
    runs = frozenset(filter(None, query["runs"].split(","))) if query.get("runs") else None
    group, ghosts, members = query.get("g") or "trial", query.get("ghosts") == "1", query.get("members") == "1"
    return CurvesQuery(query["tag"], axis, low, high, buckets, int(bits), smoothing or 0.0, runs, group, ghosts, members)


def _number(query: Query, key: str, default: float | None) -> float | None:
    if not (text := query.get(key)):
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= _LARGEST:
        raise InputError(f"curves: {key} is {text!r}, expected a number of at most {_LARGEST:g}")
    return number


def read_tags(data: PageData) -> list[TagRow]:
    """Return the tags of all runs, in the order of their names."""
    runs: dict[str, int] = {}
    kinds: dict[str, str] = {}
    known: dict[str, frozenset[Axis]] = {}
    for run in data.runs().values():
        try:
            tags = data.columns.tags(RunDir(run.result.path).metrics)
        except OSError:
            continue  # the trials part lists the run with its problem
        axes_of_run = None if run.result.imported else known_axes(run)
        for tag, kind in tags.items():
            runs[tag] = runs.get(tag, 0) + 1
            if kind == "evaluation" or tag not in kinds:
                kinds[tag] = kind
            if axes_of_run is not None:
                known[tag] = known.get(tag, ALL_AXES) & axes_of_run
    axes = {tag: tuple(axis for axis in AXES if axis in known.get(tag, ALL_AXES - UNKNOWN_OF_IMPORTED)) for tag in runs}
    return [TagRow(tag, runs[tag], kinds[tag], axes[tag]) for tag in sorted(runs)]


def read_curves(data: PageData, request: CurvesQuery) -> bytes:
    """Return the curves of a tag in the binary form.

    Raises:
        InputError: an id of no run, or a key that no run has.
    """
    runs = data.runs()
    if request.runs is not None and (unknown := sorted(request.runs - runs.keys())):
        raise InputError(f"curves: no run {unknown[0]!r}")
    groups = _groups(data, request.group)
    if request.runs is not None:
        groups = [group for group in groups if any(run.id in request.runs for run in group.runs)]
    grouped = {run.id: group.id for group in groups for run in group.runs}
    asked = (run for run in runs.values() if request.runs is None or run.id in request.runs or run.id in grouped)
    needed = [run for run in asked if not (run.result.imported and request.axis in UNKNOWN_OF_IMPORTED)]
    per_step = x_per_step(data, needed, request.axis)
    curves = {run.id: curve for run in needed if (curve := _curve(data, run, request, per_step.get(run.id))) is not None}
    ghosts = _ghosts(data, needed, request, per_step) if request.ghosts else {}
    grid = _grid(request, [*curves.values(), *(ghost for _, ghost in ghosts.values())])
    left_out = _left_out(groups, needed, request)
    thinned: dict[str, Thinned] = {}
    writer, exact = _Writer(grid, request.bits), True
    for group in groups:
        members = {run.id: thin(curves[run.id], grid) for run in group.runs if run.id in curves}
        exact = exact and all(_is_exact(each, grid) for each in members.values())
        _add_group(writer, group, curves, members, left_out, request)
        thinned.update({id: each for id, each in members.items() if id not in left_out})
    for run in needed:
        if run.id in curves and run.id not in left_out and (request.runs is None or run.id in request.runs):
            each = thinned.get(run.id) or thin(curves[run.id], grid)
            exact = exact and _is_exact(each, grid)
            _add_run(writer, run, grouped.get(run.id), curves[run.id], each, request)
    for id, (run, ghost) in ghosts.items():
        offset = writer.add(thin(ghost, grid).arrays(grid))
        marks = marks_shown(ghost, grid)
        writer.series.append(Series(id, "ghost", run.trial, grouped.get(run.id), None, 1, ghost.first, ghost.last, None, marks, (), offset))
    places = _places(grid, list(curves.values()))
    most = max((series.members for series in writer.series), default=0)
    interval = {n: t_quantile(n - 1) / math.sqrt(n) for n in range(2, most + 1)}
    superseded = any(columns_of(data, run, request.tag).points(request.tag, superseded=True) is not None for run in needed)
    header = {"tag": request.tag, "x": request.axis, "exact": exact, "smoothing": request.smoothing, "places": places}
    header["superseded"] = superseded
    return writer.bytes({**header, "interval": interval})


def _left_out(groups: Sequence[_Members], runs: Sequence[PageRun], request: CurvesQuery) -> frozenset[str]:
    """Return the ids of runs whose own curves are left out: with many runs, members of groups that the query does not ask for."""
    if request.members or request.runs is not None or len(runs) <= MOST_MEMBERS:
        return frozenset()
    return frozenset(run.id for group in groups if len(group.runs) > 1 for run in group.runs)


def _is_exact(curve: Thinned, grid: Grid) -> bool:
    """Return whether no bucket of the grid holds several points."""
    return not ((curve.n > 1) & (curve.index >= 0) & (curve.index < grid.buckets)).any()


def columns_of(data: PageData, run: PageRun, tag: str) -> Columns:
    """Return the numbers of a run, those of a tag among them; none where they cannot be read."""
    try:
        return data.columns.read(RunDir(run.result.path).metrics, tag)
    except OSError:
        return Columns()  # the trials part lists the run with its problem


def _curve(data: PageData, run: PageRun, request: CurvesQuery, per_step: float | None) -> RunCurve | None:
    return make_curve(columns_of(data, run, request.tag), request.tag, request.axis, request.smoothing, per_step)


def _ghosts(
    data: PageData, runs: Iterable[PageRun], request: CurvesQuery, per_step: Mapping[str, float]
) -> dict[str, tuple[PageRun, RunCurve]]:
    """Return id to run and curve of what was superseded."""
    found = {}
    for run in runs:
        if request.runs is None or run.id in request.runs:
            ghosts = make_ghosts(columns_of(data, run, request.tag), request.tag, request.axis, request.smoothing, per_step.get(run.id))
            found.update({f"{run.id}.{attempt}": (run, ghost) for attempt, ghost in ghosts.items() if len(ghost.x)})
    return found


def _groups(data: PageData, group: str) -> list[_Members]:
    """Return the groups: copies of a run, which do not count, are in none."""
    runs = data.runs()
    counted = {id: run for id, run in runs.items() if not (run.result.copy_of or run.result.unclear)}
    if group == "none":
        return []
    if group == "trial":
        trials = data.trials().values()
        found = [_Members(trial.id, trial.id, None, tuple(counted[id] for id in trial.runs if id in counted)) for trial in trials]
        return [each for each in found if each.runs]
    by_value: dict[Any, tuple[Any, list[PageRun]]] = {}
    known: set[str] = set()
    _, _, parameters = read_parameters(data)  # a live page has no configs at hand: the report says what those of the trials have
    for run in counted.values():
        values = {**run.result.config, **run.result.overrides, **parameters.get(run.trial, {})}
        known.update(values)
        value = values.get(group)
        by_value.setdefault(value_key(value), (value, []))[1].append(run)
    if group not in known:
        raise InputError(f"curves: no run has the key {group!r}; {nearest(group, sorted(known)) or 'or group by trial or none'}")
    order = sorted(by_value.values(), key=lambda item: (item[0] is None, not is_number(item[0]), item[0] if is_number(item[0]) else 0))
    return [_Members(f"g{number}", None, value, tuple(members)) for number, (value, members) in enumerate(order)]


def _grid(request: CurvesQuery, curves: Sequence[RunCurve]) -> Grid:
    ends = [end for curve in curves for end in (curve.first, curve.last) if end is not None]
    every = [x for x, _ in ends] + [mark.x for curve in curves for mark in curve.marks]
    low = request.low if request.low is not None else min(every, default=0.0)
    high = request.high if request.high is not None else max(every, default=0.0)
    return Grid(low, high if high > low else low + 1, request.buckets)


def _places(grid: Grid, curves: Sequence[RunCurve]) -> list[float | None] | None:
    """Return the x of each bucket whose points all have the same one, None for other buckets; None if there is no such bucket."""
    low, high = np.full(grid.buckets, np.inf), np.full(grid.buckets, -np.inf)
    for curve in curves:
        index = grid.index(curve.x)
        inside = (index >= 0) & (index < grid.buckets)
        np.minimum.at(low, index[inside], curve.x[inside])
        np.maximum.at(high, index[inside], curve.x[inside])
    same = low == high
    return [x if known else None for x, known in zip(low.tolist(), same.tolist(), strict=True)] if same.any() else None


def _add_run(writer: _Writer, run: PageRun, group: str | None, curve: RunCurve, thinned: Thinned, request: CurvesQuery) -> None:
    goal: Goal | None = run.result.metric.goal if request.tag in run.result.metric.shown else None
    offset = writer.add(thinned.arrays(writer.grid))
    best = curve.best(goal) if goal else None
    marks = marks_shown(curve, writer.grid)
    writer.series.append(Series(run.id, "run", run.trial, group, None, 1, curve.first, curve.last, best, marks, (), offset))


def _add_group(
    writer: _Writer,
    group: _Members,
    curves: Mapping[str, RunCurve],
    thinned: Mapping[str, Thinned],
    left_out: Collection[str],
    request: CurvesQuery,
) -> None:
    members = [run for run in group.runs if run.id in curves and len(curves[run.id].x)]
    if not members:
        return
    combined = combine([thinned[run.id] for run in members], writer.grid, smoothed=request.smoothing > 0)
    ends = {run.id: float(curves[run.id].x[-1]) for run in members}
    end = max(ends.values())
    ended = sorted(ends[run.id] for run in members if ends[run.id] < end and run.result.state not in ("pending", "running"))
    first = (min(float(curves[run.id].x[0]) for run in members), float(combined.mean[0]))
    last = (end, float(combined.mean[-1]))
    offset = writer.add(combined.arrays(writer.grid))
    marks = [mark for run in members if run.id in left_out for mark in marks_shown(curves[run.id], writer.grid)]
    series = Series(group.id, "group", group.trial, None, group.value, len(members), first, last, None, marks, ended, offset)
    writer.series.append(series)


def round_mantissa(array: npt.NDArray[np.float32], bits: int) -> npt.NDArray[np.float32]:
    """Return numbers rounded to so many bits of mantissa, 1 to 22, so that they compress; NaN stays NaN, and order stays order."""
    dropped = _MANTISSA_BITS - bits
    raw = array.view(np.uint32)
    rounded = ((raw + np.uint32(1 << (dropped - 1))) >> np.uint32(dropped) << np.uint32(dropped)).view(np.float32)
    return np.where(np.isfinite(rounded), rounded, array)


def _round_between(array: npt.NDArray[np.float32], bits: int) -> npt.NDArray[np.float32]:
    """Round the mantissas of a curve's numbers, its first and its last one excepted: they are shown in digits."""
    rounded = round_mantissa(array, bits)
    known = np.flatnonzero(np.isfinite(array))
    ends = known[[0, -1]] if len(known) else known
    rounded[ends] = array[ends]
    return rounded


class _Writer:
    """Builds the binary form."""

    def __init__(self, grid: Grid, bits: int) -> None:
        self.grid = grid
        self._bits = bits
        self.series: list[Series] = []
        self._arrays: list[bytes] = []
        self._size = 0

    def add(self, arrays: Iterable[npt.NDArray[np.float32]]) -> int:
        """Add arrays one behind the other, the first of them as it is; return its offset."""
        offset = self._size
        for number, array in enumerate(arrays):
            if number and self._bits < _MANTISSA_BITS:
                array = _round_between(array, self._bits)
            self._arrays.append(array.astype("<f4", copy=False).tobytes())
            self._size += len(self._arrays[-1])
        return offset

    def bytes(self, header: Mapping[str, Any]) -> bytes:
        """Return the whole."""
        grid = {"from": self.grid.low, "to": self.grid.high, "buckets": self.grid.buckets}
        text = encode_json({**header, **grid, "series": self.series})
        text += b" " * (-(len(MAGIC) + 4 + len(text)) % 8)
        return b"".join([MAGIC, struct.pack("<I", len(text)), text, *self._arrays])
