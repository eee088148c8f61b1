"""Part `evaluation`: two trials as detectors, class by class and error by error, over their seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from runner.core.errors import InputError
from runner.evaluation.result import CLASS_PREFIX, Curve
from runner.results.classes import ClassDifference, differences
from runner.results.comparison import Comparison, summary_data
from runner.stats.intervals import Difference, summarize
from runner.views.page.data import PageData
from runner.views.page.evaluations import (
    RunEvaluation,
    Side,
    chosen_pair,
    default_pair,
    evaluated_on,
    evaluated_set,
    evaluated_trials,
    has_predictions,
    is_raced,
    matched,
    read_evaluation,
    side,
)
from runner.views.page.part import PartAnswer, Query, json_answer
from runner.views.page.redaction import Redaction

IOU: Final = 0.5
_ALL: Final = "bbox/AP"
_SIZES: Final = tuple(f"bbox/AP{size}" for size in "sml")
_VIEWS: Final = ("pair", "calibration", "heat")
_MOST_TRIALS: Final = 40
_MOST_CLASSES: Final = 100
_FEW_PAIRS: Final = 12
_FEW_CLASSES: Final = 20
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class SideView:
    """One of the two trials: its id, its runs that count, their seeds, and the runs without an evaluation that can be read or without
    predictions."""

    trial: str
    runs: list[str]
    seeds: list[int]
    unreadable: list[dict[str, str]]
    without_predictions: list[str]
    commands: list[str]


@dataclass(frozen=True, slots=True)
class PairView:
    """Two trials.

    Args:
        trials: ids of all trials that have an evaluation.
        a, b: the two that are compared; `b` is null where there is only one.
        same_data: whether all their runs were evaluated on the same data.
        raced: whether seeds were added in several looks, which these intervals do not allow for.
        total: AP of all classes, by itself.
        classes: a row per class, its intervals simultaneous with those of the others.
        joint: how many intervals that are.
        sizes: AP by size of the boxes. errors: AP50 lost by each type of error (TIDE).
        curves: precision over recall by class, and over all classes (`name` null).
        confusion: mean counts over the seeds, each run at the score of its best F1.
    """

    trials: list[str]
    a: SideView
    b: SideView | None
    same_data: bool
    raced: bool
    total: dict[str, Any] | None
    classes: list[dict[str, Any]]
    joint: int
    sizes: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    curves: list[dict[str, Any]]
    confusion: dict[str, Any] | None


class EvaluationPart:
    """The part."""

    keys: frozenset[str] = frozenset({"a", "b", "view"})

    def answer(self, data: PageData, query: Query) -> PartAnswer:
        """Answer the trials `a` and `b` (`PairView`), by default the baseline and the best other one.

        With ``view=calibration`` the answer is how many of their detections are right at each score, and with ``view=heat`` the difference
        of every trial to `a`, by class.
        """
        view = query.get("view", _VIEWS[0])
        if view not in _VIEWS:
            raise InputError(f"view is {view!r}; expected one of {', '.join(_VIEWS)}")
        if view == "heat":
            return json_answer(_heat(data, side(data, query.get("a") or default_pair(data)[0])))
        a, b = chosen_pair(data, query)
        return json_answer(_calibration(data, a, b) if view == "calibration" else _pair(data, a, b))

    def frozen(self, data: PageData, view: Query) -> Iterable[Query]:
        """Yield the pairs of `frozen_pairs` with their calibration, and the map of all trials against the first side of each view."""
        pairs = frozen_pairs(data, view)
        for pair in pairs:
            yield pair
            yield {**pair, "view": "calibration"}
        if pairs and len(evaluated_trials(data)) > 2:
            yield {"view": "heat"}
            if (picked := _view_pair(data, view)) is not None and picked["a"] != default_pair(data)[0]:
                yield {"view": "heat", "a": picked["a"]}


def frozen_pairs(data: PageData, view: Query) -> list[Query]:
    """Return the pairs of trials that a frozen file holds, as queries: that of its view, the default one (an empty query), and each trial
    against the baseline if these are few."""
    known = evaluated_trials(data)
    if not known:
        return []
    first, second = default_pair(data)
    others = [trial for trial in known if trial not in (first, second)]
    few = len(others) < _FEW_PAIRS and len(_class_names(data, side(data, first))) <= _FEW_CLASSES
    pairs: list[Query] = [{}, *({"a": first, "b": trial} for trial in others if few)]
    picked = _view_pair(data, view)
    return pairs if picked is None or picked in pairs else [picked, *pairs]


def _view_pair(data: PageData, view: Query) -> Query | None:
    """Return the pair that a view shows, as a query; None for the default one, and where a trial has no evaluation."""
    asked = {"a": view.get("a") or view.get("base", ""), "b": view.get("b", "")}
    known = evaluated_trials(data)
    if any(trial and trial not in known for trial in asked.values()):
        return None
    a, b = chosen_pair(data, asked)
    if b is None or (a.trial.id, b.trial.id) == default_pair(data):
        return None
    return {"a": a.trial.id, "b": b.trial.id}


# --------------------------------------------------------------------------------------------------------------------- pair
def _pair(data: PageData, a: Side, b: Side | None) -> PairView:
    sides = [a] if b is None else [a, b]
    read = [_read_all(data, each) for each in sides]
    evaluations = [list(found.values()) for found, _ in read]
    one, two = evaluations[0], evaluations[1] if b is not None else []
    names = [name for each in sides for name in _class_names(data, each)]
    order = list(dict.fromkeys([entry.name for run in [*one, *two] for entry in run.per_class] + names))
    tags = {name: f"{CLASS_PREFIX}{name}" for name in order}
    values = [{name: _metric_values(each, tag) for name, tag in tags.items()} for each in (a, b) if each is not None]
    rows = differences(values[0], values[1] if b is not None else {})
    total = _total(data, a, b)
    boxes = {entry.name: entry.boxes for run in [*two, *one] for entry in run.per_class}
    sizes = [{tag: _metric_values(each, tag) for tag in _SIZES if _metric_values(each, tag)} if each is not None else {} for each in (a, b)]
    return PairView(
        evaluated_trials(data),
        _side_view(data, a, read[0][1]),
        _side_view(data, b, read[1][1]) if b is not None else None,
        b is None or len(evaluated_on(a, b)) < 2,
        is_raced(data),
        {"boxes": sum(boxes.values()) or None, **_row(total)} if total.a.n or total.b.n else None,
        [{"name": name, "boxes": boxes.get(name), **_row(row)} for name, row in rows.items() if row.a.n or row.b.n],
        sum(row.means is not None for row in rows.values()),
        [{"name": tag, **_row(row)} for tag, row in differences(*sizes).items()],
        _errors(one, two),
        _curves(one, two, [name for name in order if rows[name].a.n or rows[name].b.n]),
        _confusion(one, two),
    )


def _total(data: PageData, a: Side, b: Side | None) -> ClassDifference:
    """Compare the AP of all classes: as the report does where it compares these two trials, else by itself."""
    values = [{_ALL: _metric_values(each, _ALL)} if each is not None else {} for each in (a, b)]
    found = differences(*values)[_ALL]
    report = data.report()
    if not isinstance(report, Comparison) or b is None or _ALL not in report.metrics:
        return found
    paths = {result.path for result in b.results}
    if not any(run.path == result.path for run in report.baseline.counted for result in a.results):
        return found
    trial = next((each for each in report.trials[1:] if any(run.path in paths for run in each.counted)), None)
    if trial is None or (effect := trial.effects.get(_ALL)) is None or effect.low is None:
        return found
    means: Literal["better", "worse", "open"] = "open" if effect.is_open else "better" if effect.delta > 0 else "worse"
    return replace(found, effect=effect, alone=trial.alone if report.metric == _ALL else effect, means=means)


def _read_all(data: PageData, each: Side) -> tuple[dict[str, RunEvaluation], list[dict[str, str]]]:
    """Return the evaluations of the runs by id, and what is wrong with those that cannot be read."""
    found, wrong = {}, []
    for run, place in each.places.items():
        try:
            found[run] = read_evaluation(place)
        except InputError as error:
            wrong.append({"run": run, "problem": str(error)})
    return found, wrong


def _side_view(data: PageData, each: Side, wrong: list[dict[str, str]]) -> SideView:
    missing = [run for run, place in each.places.items() if not has_predictions(place)]
    commands = [f"runner eval {each.places[run].command_path(each.places[run].path)} --save-predictions" for run in missing]
    return SideView(each.trial.id, list(each.places), [result.seed for result in each.results], wrong, missing, commands)


def _class_names(data: PageData, each: Side) -> list[str]:
    tags = dict.fromkeys(tag for result in each.results for tag in result.metrics if tag.startswith(CLASS_PREFIX))
    return [tag.removeprefix(CLASS_PREFIX) for tag in tags]


def _metric_values(each: Side, tag: str) -> list[float]:
    return [result.metrics[tag] for result in each.results if tag in result.metrics]


def _row(found: ClassDifference) -> dict[str, Any]:
    return {
        "a": summary_data(found.a),
        "b": summary_data(found.b),
        "effect": found.effect,
        "alone": found.alone,
        "means": found.means,
    }


def _errors(one: Sequence[RunEvaluation], two: Sequence[RunEvaluation]) -> list[dict[str, Any]]:
    """Return a row per kind of error: AP50 that is lost by it, and how often it occurs."""

    def lost(runs: Sequence[RunEvaluation]) -> dict[str, list[float]]:
        tides = [run.tide for run in runs if run.tide is not None]
        kinds = list(tides[0].delta_ap) if tides else []
        found = {kind: [tide.delta_ap[kind] for tide in tides if kind in tide.delta_ap] for kind in kinds}
        if tides:
            found |= {"false": [tide.false_positive for tide in tides], "missed": [tide.false_negative for tide in tides]}
        return found

    def counts(runs: Sequence[RunEvaluation], kind: str) -> float | None:
        found = [run.tide.counts[kind] for run in runs if run.tide is not None and kind in run.tide.counts]
        return statistics.fmean(found) if found else None

    rows = differences(lost(one), lost(two), lower_is_better=True)
    return [{"name": kind, "counts": [counts(one, kind), counts(two, kind)], **_row(row)} for kind, row in rows.items()]


# ------------------------------------------------------------------------------------------------------------------- curves
def _curves(one: Sequence[RunEvaluation], two: Sequence[RunEvaluation], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the curve over all classes, then one per class; with very many classes the former alone."""
    rows: list[dict[str, Any]] = [{"name": None, "a": _band([run.mean_curve for run in one]), "b": _band([run.mean_curve for run in two])}]
    for name in names[:_MOST_CLASSES]:
        rows.append({"name": name, **{key: _band([run.pr_curves.get(name) for run in runs]) for key, runs in (("a", one), ("b", two))}})
    return [row for row in rows if row["a"] or row["b"]]


def _band(curves: Sequence[Curve | None]) -> dict[str, Any] | None:
    """Return mean, lowest and highest precision over the runs at each recall, and where F1 is highest on the mean."""
    known = [curve.precision for curve in curves if curve is not None and curve.precision]
    if not known or len({len(curve) for curve in known}) > 1:
        return None
    columns = list(zip(*known, strict=True))
    mean = [statistics.fmean(column) for column in columns]
    recalls = [index / max(1, len(mean) - 1) for index in range(len(mean))]
    f1 = [
        2 * precision * recall / (precision + recall) if precision + recall else 0.0
        for precision, recall in zip(mean, recalls, strict=True)
    ]
    best = max(range(len(f1)), key=f1.__getitem__)
    return {
        "mean": [round(value, _DIGITS) for value in mean],
        "low": [round(min(column), _DIGITS) for column in columns],
        "high": [round(max(column), _DIGITS) for column in columns],
        "n": len(known),
        "best": {"f1": f1[best], "recall": recalls[best], "precision": mean[best]},
    }


def _confusion(one: Sequence[RunEvaluation], two: Sequence[RunEvaluation]) -> dict[str, Any] | None:
    """Return mean counts Float[K+1, K+1] of each side; null where there are none, or classes differ."""
    found = [[run.confusion for run in runs if run.confusion is not None] for runs in (one, two)]
    every = [*found[0], *found[1]]
    if not every or len({matrix.names for matrix in every}) > 1 or len(every[0].names) > _MOST_CLASSES + 1:
        return None
    size = len(every[0].names)
    if any(len(matrix.matrix) != size or any(len(row) != size for row in matrix.matrix) for matrix in every):
        return None

    def mean(matrices: Sequence[Any]) -> list[list[float]] | None:
        if not matrices:
            return None
        return [[statistics.fmean(matrix.matrix[row][column] for matrix in matrices) for column in range(size)] for row in range(size)]

    thresholds = [[matrix.score_threshold for matrix in matrices] for matrices in found]
    return {"names": every[0].names, "iou": every[0].iou, "a": mean(found[0]), "b": mean(found[1]), "thresholds": thresholds}


# -------------------------------------------------------------------------------------------------------------- other views
def _calibration(data: PageData, a: Side, b: Side | None) -> dict[str, Any]:
    """Return {"problem", "iou", "a", "b"}: of each side its score bins, with mean, lowest and highest share of right detections."""
    hide = Redaction(data.roots)
    answer: dict[str, Any] = {"problem": "", "iou": IOU, "a": None, "b": None}
    for key, each in (("a", a), ("b", b)):
        try:
            if each is not None and each.places and all(has_predictions(place) for place in each.places.values()):
                answer[key] = _bins(each)
        except InputError as error:
            answer["problem"] = hide.text(str(error))
    return answer


def _bins(each: Side) -> list[dict[str, Any]]:
    from runner.evaluation.matching import reliability  # noqa: PLC0415 - loads numpy

    first = next(iter(each.places))
    evaluated = evaluated_set(first, each.places[first])
    runs = [matched(place, evaluated, IOU) for place in each.places.values()]
    rows = []
    for bins in zip(*(reliability(run.detections, run.matched) for run in runs), strict=True):
        right, scores = [one.right for one in bins if one.right is not None], [one.score for one in bins if one.score is not None]
        rows.append(
            {
                "low": bins[0].low,
                "high": bins[0].high,
                "count": statistics.fmean(one.count for one in bins),
                "score": statistics.fmean(scores) if scores else None,
                "right": statistics.fmean(right) if right else None,
                "least": min(right, default=None),
                "most": max(right, default=None),
            }
        )
    return rows


def _heat(data: PageData, a: Side) -> dict[str, Any]:
    """Return {"a", "names", "trials", "left_out"}: by trial the difference to `a` of AP of all classes and of each, and whether its
    interval, simultaneous over the whole map, excludes zero."""
    names = _class_names(data, a)[:_MOST_CLASSES]
    tags = [_ALL, *(f"{CLASS_PREFIX}{name}" for name in names)]
    others = [side(data, trial) for trial in evaluated_trials(data) if trial != a.trial.id]
    others.sort(key=lambda each: -summarize(_metric_values(each, _ALL)).mean if _metric_values(each, _ALL) else 0.0)
    own = {tag: _metric_values(a, tag) for tag in tags}
    rows = []
    for each in others[:_MOST_TRIALS]:
        family = len(tags) * min(len(others), _MOST_TRIALS)
        found = differences(own, {tag: _metric_values(each, tag) for tag in tags}, family=family)
        cells = [_heat_cell(found[tag]) for tag in tags]
        rows.append({"trial": each.trial.id, "cells": cells})
    return {"a": a.trial.id, "names": names, "trials": rows, "left_out": max(0, len(others) - _MOST_TRIALS)}


def _heat_cell(found: ClassDifference) -> Mapping[str, Any] | None:
    effect: Difference | None = found.effect
    return None if effect is None else {"delta": effect.delta, "low": effect.low, "high": effect.high, "means": found.means}
