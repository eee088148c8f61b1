"""Changes between two detectors box by box, each of them trained with several seeds: what they find and miss, and their false alarms.

A box that one of three seeds loses is noise. So each true box has a score for every run, that of the detection which found it, and so has
each false alarm, where those of the runs that overlap count as one. What has changed at a score threshold follows from these scores alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from runner.evaluation.matching import FALSE, DetectionArrays, Matched, TruthArrays

FLOOR: Final = 0.05
"""Detections with a lower score are left out of false alarms."""
MOVED: Final = 0.1
"""A box that both find has moved if its overlap with the true box differs by this much on average."""
_DIGITS: Final = 3
"""Decimal digits to which overlaps are rounded. The page has them with as many, so both count the same boxes as moved."""
_MOST_FALSE: Final = 60_000
_SAME: Final = 0.5
"""False alarms of one class that overlap by this much are the same."""

ChangeKind = Literal["gained", "lost", "confused", "moved", "alarm", "gone"]
"""A true box that is found now, or no longer, or has another class now, or is found elsewhere; a false alarm that is new, or gone."""

_Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class RunMatch:
    """Detections of a run, and how they match."""

    detections: DetectionArrays
    matched: Matched


@dataclass(frozen=True, slots=True, eq=False)
class SideScores:
    """True boxes as the runs of one trial find them.

    Args:
        found, overlap, confused, confused_as: Float64[R, N], Int64[R, N]: see `runner.evaluation.matching.Matched`, a row per run.
        box: Float64[N, 4], the best detection of all runs, xyxy in pixels; NaN where none found the true box.
    """

    found: NDArray[np.float64]
    overlap: NDArray[np.float64]
    confused: NDArray[np.float64]
    confused_as: NDArray[np.int64]
    box: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FalseAlarms:
    """False alarms of all runs, those that overlap taken together.

    Args:
        image, label: Int64[F].
        box: Float64[F, 4], the one with the highest score, xyxy in pixels.
        score: Float64[R, F], a row per run; 0 where it has none there.
        floor: score below which there may be others.
    """

    image: NDArray[np.int64]
    label: NDArray[np.int64]
    box: NDArray[np.float64]
    score: NDArray[np.float64]
    floor: float


def side_scores(truth: TruthArrays, runs: Sequence[RunMatch]) -> SideScores:
    """Put together how the runs of a trial find the true boxes."""
    found = np.array([run.matched.found for run in runs]).reshape(len(runs), len(truth.label))
    box = np.full((len(truth.label), 4), np.nan)
    best = found.argmax(axis=0) if len(runs) else np.zeros(len(truth.label), np.int64)
    for index, run in enumerate(runs):
        own = (best == index) & (run.matched.by >= 0)
        box[own] = run.detections.box[run.matched.by[own]]
    stacked = {name: np.array([getattr(run.matched, name) for run in runs]).reshape(found.shape) for name in ("confused", "confused_as")}
    overlap = np.array([run.matched.overlap for run in runs]).reshape(found.shape).round(_DIGITS)
    return SideScores(found, overlap, box=box, **stacked)


def false_alarms(runs: Sequence[RunMatch], floor: float = FLOOR) -> FalseAlarms:
    """Put together the false alarms of all runs.

    From the highest score to the lowest, each joins the one it overlaps most among those of its image and class that have none of its run,
    else it is a new one. So what is above a threshold does not depend on what is below.
    """
    parts = [(index, np.flatnonzero((run.matched.kind == FALSE) & (run.detections.score >= floor))) for index, run in enumerate(runs)]
    score = np.concatenate([np.zeros(0), *(runs[index].detections.score[rows] for index, rows in parts)])
    if len(score) > _MOST_FALSE:
        floor = float(np.partition(score, -_MOST_FALSE)[-_MOST_FALSE])
        parts = [(index, rows[runs[index].detections.score[rows] >= floor]) for index, rows in parts]
    rows = sorted(
        (
            (-one, index, image, label, tuple(box))
            for index, own in parts
            for one, image, label, box in zip(
                *(getattr(runs[index].detections, name)[own].tolist() for name in ("score", "image", "label", "box")), strict=True
            )
        ),
    )
    groups: dict[tuple[int, int], list[tuple[_Box, dict[int, float]]]] = defaultdict(list)
    for negative, run, image, label, box in rows:
        known = groups[image, label]
        best, most = None, _SAME
        for other, scores in known:
            if run not in scores and (overlap := _overlap(box, other)) >= most:
                best, most = scores, overlap
        if best is None:
            known.append((box, {run: -negative}))
        else:
            best[run] = -negative
    flat = [(image, label, box, scores) for (image, label), found in sorted(groups.items()) for box, scores in found]
    table = np.zeros((len(runs), len(flat)))
    for column, (*_, scores) in enumerate(flat):
        for run, value in scores.items():
            table[run, column] = value
    return FalseAlarms(
        np.array([row[0] for row in flat], np.int64),
        np.array([row[1] for row in flat], np.int64),
        np.array([row[2] for row in flat], np.float64).reshape(-1, 4),
        table,
        floor,
    )


def _overlap(one: _Box, other: _Box) -> float:
    width, height = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - common)


def shares(score: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Return the share Float64[N] of the runs that have a score of at least `threshold`, of scores Float64[R, N]."""
    return (score >= threshold).mean(axis=0) if len(score) else np.zeros(score.shape[1])


def change_kinds(a: SideScores, b: SideScores, threshold: float, *, steady: bool) -> list[tuple[int, ChangeKind, float]]:
    """List (true box, kind, share of the seeds that changed) of every true box that has changed at a score threshold.

    Args:
        steady: only changes that more than half of the seeds see; else any.
    """
    least = 0.5 if steady else 0.0
    one, two = shares(a.found, threshold), shares(b.found, threshold)
    confused = shares(np.where(b.found >= threshold, 0.0, b.confused), threshold) - shares(
        np.where(a.found >= threshold, 0.0, a.confused), threshold
    )
    change = two - one
    result: list[tuple[int, ChangeKind, float]] = []
    moved = _mean_overlap(b, threshold) - _mean_overlap(a, threshold)
    both = np.minimum(one, two)
    for index in range(len(change)):
        if change[index] > least:
            result.append((index, "gained", float(change[index])))
        elif change[index] < -least:
            result.append((index, "confused" if confused[index] > least else "lost", -float(change[index])))
        elif both[index] > least and abs(moved[index]) >= MOVED - 1e-9:
            result.append((index, "moved", abs(float(moved[index]))))
    return result


def alarm_changes(found: FalseAlarms, runs_of_a: int, threshold: float, *, steady: bool) -> list[tuple[int, ChangeKind, float]]:
    """List (false alarm, kind, share of the seeds that changed) at a score threshold; the first `runs_of_a` runs are those of A."""
    least = 0.5 if steady else 0.0
    change = shares(found.score[runs_of_a:], threshold) - shares(found.score[:runs_of_a], threshold)
    return [
        (index, "alarm" if value > 0 else "gone", abs(float(value))) for index, value in enumerate(change.tolist()) if abs(value) > least
    ]


def _mean_overlap(side: SideScores, threshold: float) -> NDArray[np.float64]:
    """Return the mean overlap Float64[N] over the runs that find each true box; 0 where none does."""
    hit = side.found >= threshold
    count = hit.sum(axis=0)
    result: NDArray[np.float64] = np.divide((side.overlap * hit).sum(axis=0), count, out=np.zeros(count.shape), where=count > 0)
    return result
