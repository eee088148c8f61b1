"""Part `gallery`: what two trials find and miss in each image, over all of their seeds and for every score."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from runner.core.errors import InputError
from runner.evaluation.result import BEST_F1_THRESHOLD
from runner.views.page.data import PageData
from runner.views.page.evaluations import (
    EvaluatedSet,
    Kept,
    Side,
    chosen_pair,
    evaluated_on,
    evaluated_set,
    has_predictions,
    matched,
    predictions_mark,
    read_evaluation,
)
from runner.views.page.part import PartAnswer, Query, json_answer
from runner.views.page.parts.evaluation import frozen_pairs
from runner.views.page.redaction import Redaction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from runner.evaluation.changes import FalseAlarms, RunMatch, SideScores

IOUS: Final = {"0.5": 0.5, "0.75": 0.75}
ALARM_WEIGHT: Final = 0.5
"""Weight of a false alarm in the order of the images; that of a true box is 1."""
_SCORE: Final = 0.3
_MOST_ALARMS: Final = 5_000
_SMALL, _MEDIUM = 32.0**2, 96.0**2
_THOUSAND: Final = 1000
_FEW_BOXES: Final = 20_000
"""True boxes of all runs of a pair, up to which a frozen file compares its images too: about 100 kB."""
_ALARMS: Final = Kept(8)


@dataclass(frozen=True, slots=True)
class GallerySide:
    """One of the two trials.

    Args:
        runs: those whose predictions are shown.
        missing: those without predictions.
        commands: what makes them.
    """

    trial: str
    runs: list[str]
    missing: list[str]
    commands: list[str]


@dataclass(frozen=True, slots=True)
class Gallery:
    """The changes between two trials. Scores are in thousandths, rounded down; boxes are x, y, width, height in pixels.

    Args:
        reason: why there is nothing to compare, a key of the page's texts: ``other-data``, ``one-trial``, ``predictions`` or ``data``.
        problem: more about that.
        iou: least overlap of a match.
        score: threshold to begin with: mean over the runs of that of the best F1.
        moved, alarm_weight: see `runner.evaluation.changes.MOVED` and `ALARM_WEIGHT`.
        classes: names.
        images: id, file name, width and height of each.
        truth: columns of the true boxes: `image`, `label`, `size` (0 small, 1 medium, 2 large), `box`, and of each side `found`, `overlap`
            (in thousandths too), `confused`, `confused_as` (a row per run) and `box` (the best detection, or null).
        alarms: columns of the false alarms: `image`, `label`, `size`, `box` and `score` (a row per run, those of A first), and `floor`, the
            score below which there may be others.
    """

    reason: str
    problem: str
    a: GallerySide
    b: GallerySide | None
    iou: float
    score: float = _SCORE
    moved: float = 0.0
    alarm_weight: float = ALARM_WEIGHT
    classes: Sequence[str] = ()
    images: Sequence[tuple[str, str, int, int]] = ()
    truth: Mapping[str, Any] | None = None
    alarms: Mapping[str, Any] | None = None


class GalleryPart:
    """The part."""

    keys: frozenset[str] = frozenset({"a", "b", "iou"})

    def answer(self, data: PageData, query: Query) -> PartAnswer:
        """Answer the changes from the trial `a` to the trial `b` (`Gallery`), matched at an overlap `iou` of 0.5 or 0.75."""
        iou = query.get("iou", "0.5")
        if iou not in IOUS:
            raise InputError(f"iou is {iou!r}; expected one of {', '.join(IOUS)}")
        return json_answer(_gallery(data, *chosen_pair(data, query), IOUS[iou]))

    def frozen(self, data: PageData, view: Query) -> Iterable[Query]:
        """Yield the pairs of `frozen_galleries` at both overlaps."""
        for pair in frozen_galleries(data, view):
            yield pair
            yield {**pair, "iou": "0.75"}


@dataclass(frozen=True, slots=True, eq=False)
class _Changes:
    """Everything that the gallery is made from."""

    evaluated: EvaluatedSet
    a: SideScores
    b: SideScores
    alarms: FalseAlarms
    runs_of_a: int
    runs_of_b: int
    score: float


def frozen_galleries(data: PageData, view: Query) -> list[Query]:
    """Return the pairs of trials whose images a frozen file compares: that of its view, the default one, and the others if small."""
    pairs = frozen_pairs(data, view)
    always = pairs.index({}) + 1 if pairs else 0
    return [*pairs[:always], *(pair for pair in pairs[always:] if _is_small(data, pair))]


def _is_small(data: PageData, pair: Query) -> bool:
    """Return whether two trials have few boxes in all of their runs."""
    try:
        sides = [each for each in chosen_pair(data, pair) if each is not None]
        return sum(read_evaluation(place).boxes for each in sides for place in each.places.values()) <= _FEW_BOXES
    except InputError:
        return False  # an evaluation that cannot be read


def first_images(data: PageData, view: Query, most: int) -> list[str]:
    """Return the ids of the images that the galleries of a frozen file show first, those of its view before the others."""
    found: dict[str, None] = {}
    for pair in frozen_galleries(data, view):
        try:
            changes = _changes(data, *chosen_pair(data, pair), IOUS["0.5"])
        except (InputError, _Nothing):
            continue
        found.update(dict.fromkeys(changes.evaluated.image_id(index) for index in ranked(changes)))
    return list(found)[:most]


def ranked(found: _Changes) -> list[int]:
    """Return the indices of the images that have changed, the most changed first, as the page orders them at first."""
    from runner.evaluation.changes import alarm_changes, change_kinds  # noqa: PLC0415 - loads numpy

    steady = min(found.runs_of_a, found.runs_of_b) > 1
    weights: dict[int, float] = defaultdict(float)
    for box, _, share in change_kinds(found.a, found.b, found.score, steady=steady):
        weights[int(found.evaluated.truth.image[box])] += share
    for alarm, _, share in alarm_changes(found.alarms, found.runs_of_a, found.score, steady=steady):
        weights[int(found.alarms.image[alarm])] += ALARM_WEIGHT * share
    return sorted(weights, key=lambda image: (-round(weights[image], 6), image))


class _Nothing(Exception):
    """There is nothing to compare; its arguments are `Gallery.reason` and `Gallery.problem`."""


def _gallery(data: PageData, a: Side, b: Side | None, iou: float) -> Gallery:
    from runner.evaluation.changes import MOVED  # noqa: PLC0415 - loads numpy

    one, two = _side(a), _side(b) if b is not None else None
    try:
        found = _changes(data, a, b, iou)
    except _Nothing as nothing:
        reason, problem = nothing.args
        return Gallery(reason, problem, one, two, iou)
    shown = sorted({*found.evaluated.truth.image[~found.evaluated.truth.crowd].tolist(), *found.alarms.image.tolist()})
    place = {image: at for at, image in enumerate(shown)}
    hide = Redaction(data.roots)
    images = [found.evaluated.data.images[index] for index in shown]
    listed = [
        (found.evaluated.image_id(index), hide.text(image.file_name), image.width, image.height)
        for index, image in zip(shown, images, strict=True)
    ]
    return Gallery(
        "",
        "",
        one,
        two,
        iou,
        found.score,
        MOVED,
        classes=found.evaluated.data.class_names,
        images=listed,
        truth=_truth_columns(found, place),
        alarms=_alarm_columns(found, place),
    )


def _side(side: Side) -> GallerySide:
    missing = [run for run, place in side.places.items() if not has_predictions(place)]
    commands = [f"runner eval {side.places[run].command_path(side.places[run].path)} --save-predictions" for run in missing]
    return GallerySide(side.trial.id, [run for run in side.places if run not in missing], missing, commands)


def _changes(data: PageData, a: Side, b: Side | None, iou: float) -> _Changes:
    from runner.evaluation.changes import false_alarms, side_scores  # noqa: PLC0415 - loads numpy

    if b is None:
        raise _Nothing("one-trial", "")
    if len(evaluated_on(a, b)) > 1:
        raise _Nothing("other-data", "")
    places = [{run: place for run, place in each.places.items() if has_predictions(place)} for each in (a, b)]
    if not all(places):
        raise _Nothing("predictions", "")
    hide = Redaction(data.roots)
    first = next(iter(places[0]))
    try:
        evaluated = evaluated_set(first, places[0][first])
        runs: list[list[RunMatch]] = [[matched(place, evaluated, iou) for place in each.values()] for each in places]
    except InputError as error:
        raise _Nothing("data", hide.text(str(error))) from error
    best = [result.metrics[BEST_F1_THRESHOLD] for each in (a, b) for result in each.results if BEST_F1_THRESHOLD in result.metrics]
    score = min(0.95, max(0.05, round(statistics.fmean(best), 2))) if best else _SCORE
    one, two = (side_scores(evaluated.truth, each) for each in runs)
    mark = tuple(predictions_mark(place, evaluated) for each in places for place in each.values())
    alarms = _ALARMS.get((mark, iou), lambda: false_alarms([*runs[0], *runs[1]]))
    return _Changes(evaluated, one, two, alarms, len(runs[0]), len(runs[1]), score)


def _truth_columns(found: _Changes, place: Mapping[int, int]) -> dict[str, Any]:
    truth = found.evaluated.truth
    kept = ~truth.crowd
    return {
        **_boxes(truth.image[kept], truth.label[kept], truth.box[kept], place),
        "a": _scores(found.a, kept),
        "b": _scores(found.b, kept),
    }


def _scores(side: SideScores, kept: NDArray[np.bool_]) -> dict[str, Any]:
    boxes = side.box[kept]
    return {
        "found": _parts(side.found[:, kept], _THOUSAND),
        "overlap": _parts(side.overlap[:, kept], _THOUSAND),
        "confused": _parts(side.confused[:, kept], _THOUSAND),
        "confused_as": side.confused_as[:, kept].tolist(),
        "box": [None if box[0] != box[0] else corners for box, corners in zip(boxes.tolist(), _sides(boxes), strict=True)],
    }


def _alarm_columns(found: _Changes, place: Mapping[int, int]) -> dict[str, Any]:
    """Return the false alarms, of very many those with the highest scores."""
    import numpy as np  # noqa: PLC0415

    alarms = found.alarms
    floor, best = alarms.floor, alarms.score.max(axis=0) if len(alarms.image) else np.zeros(0)
    kept = np.arange(len(best))
    if len(best) > _MOST_ALARMS:
        kept = np.sort(np.argsort(-best, kind="stable")[:_MOST_ALARMS])
        floor = float(best[kept].min())
    columns = _boxes(alarms.image[kept], alarms.label[kept], alarms.box[kept], place)
    return {**columns, "score": _parts(alarms.score[:, kept], _THOUSAND), "floor": floor}


def _boxes(image: NDArray[np.int64], label: NDArray[np.int64], box: NDArray[np.float64], place: Mapping[int, int]) -> dict[str, Any]:
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    return {
        "image": [place[each] for each in image.tolist()],
        "label": label.tolist(),
        "size": [0 if each < _SMALL else 1 if each < _MEDIUM else 2 for each in area.tolist()],
        "box": _sides(box),
    }


def _sides(box: NDArray[np.float64]) -> list[tuple[float, ...]]:
    """Return x, y, width and height of xyxy boxes, to a tenth of a pixel."""
    return [tuple(round(side, 1) for side in (x, y, right - x, bottom - y)) for x, y, right, bottom in box.tolist()]


def _parts(values: NDArray[np.float64], count: int) -> list[list[int]]:
    """Return numbers in 0–1 as whole parts, rounded down but for the error of binary fractions."""
    import numpy as np  # noqa: PLC0415

    rows: list[list[int]] = np.floor(values * count + 1e-6).astype(np.int64).tolist()
    return rows
