"""Evaluations of runs as the page reads them: eval.json, predictions.json and the annotations, each kept until its file changes."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, TypeVar

from runner.config.node import flatten
from runner.core.errors import InputError
from runner.evaluation.result import CLASS_PREFIX, ClassResult, Confusion, Curve, TideErrors
from runner.results.collect import DATA_SECTIONS, RunResult
from runner.results.compare import count_runs
from runner.results.comparison import Comparison
from runner.results.params import data_identity
from runner.views.page.data import PageData, PageTrial, own_trials
from runner.views.page.part import Query
from runner.views.page.parts.run import Place
from runner.views.page.run_files import read_inside
from runner.views.page.scan import file_mark

if TYPE_CHECKING:
    from runner.data.coco import CocoSet
    from runner.evaluation.changes import RunMatch
    from runner.evaluation.matching import DetectionArrays, TruthArrays

MOST_EVALUATION_BYTES: Final = 64 << 20
MOST_PREDICTION_BYTES: Final = 128 << 20
MOST_ANNOTATION_BYTES: Final = 128 << 20


@dataclass(frozen=True, slots=True)
class RunEvaluation:
    """Numbers of eval.json that the page shows (see `runner.evaluation.result.Evaluation`)."""

    images: int
    metrics: Mapping[str, float | str | None]
    boxes: int = 0
    classes: tuple[str, ...] = ()
    category_ids: tuple[int, ...] = ()
    per_class: tuple[ClassResult, ...] = ()
    pr_curves: Mapping[str, Curve] = field(default_factory=dict)
    mean_curve: Curve | None = None
    confusion: Confusion | None = None
    tide: TideErrors | None = None


@dataclass(frozen=True, slots=True)
class _Prediction:
    """An entry of predictions.json."""

    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class EvaluatedSet:
    """The data set that a run was evaluated on.

    Args:
        key: id of the run, by whose config it was found.
        mark: changes when the annotations do.
        data: images and boxes.
        truth: the boxes as arrays.
        ids: image id on the page to the image's index.
    """

    key: str
    mark: Hashable
    data: CocoSet
    truth: TruthArrays
    ids: Mapping[str, int]

    def image_id(self, index: int) -> str:
        """Return the page's id of an image."""
        return image_id(self.key, self.data.images[index].file_name)

    def parts(self, index: int) -> tuple[str, ...]:
        """Return the parts of the path of an image's file below the image folder. Raises InputError: it leads out of that."""
        path = PurePosixPath(self.data.images[index].file_name)
        if path.is_absolute() or ".." in path.parts:
            raise InputError("the annotations name an image outside of their image folder; it is not shown")
        return path.parts


def image_id(run: str, file_name: str) -> str:
    """Return the page's id of an image of the data set that a run was evaluated on: ``g0-5f3c…`` for one of ``r0``."""
    return f"g{run.removeprefix('r')}-{hashlib.sha256(file_name.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


_T = TypeVar("_T")


class Kept:
    """Newest results of slow functions, by what they were computed from. Safe to use from several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._found: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], _T]) -> _T:
        """Return what is kept under `key`, else compute it. The key has the marks of all files that were read."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                found: _T = self._found[key]
                return found
        found = compute()
        with self._lock:
            self._found[key] = found
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return found


_EVALUATIONS, _DETECTIONS, _MATCHES, _SETS, _CONFIGS = Kept(256), Kept(24), Kept(24), Kept(4), Kept(256)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two trials that are compared: its runs that count, as in the comparison.

    Args:
        trial: the trial.
        places: directory of each run, by its id.
        results: the same runs.
    """

    trial: PageTrial
    places: Mapping[str, Place]
    results: tuple[RunResult, ...]


def side(data: PageData, trial: str) -> Side:
    """Return a trial with the runs that count. Raises InputError: there is no such trial."""
    trials, runs = data.trials(), data.runs()
    if trial not in trials:
        raise InputError(f"no trial {trial!r}; the part trials lists the ids")
    members = [runs[run] for run in trials[trial].runs]
    counted = count_runs([member.result for member in members], data.metric.name, [])
    kept = [member for member in members if any(member.result is result for result in counted)]
    return Side(trials[trial], {member.id: Place(data, member) for member in kept}, tuple(member.result for member in kept))


def evaluated_trials(data: PageData) -> list[str]:
    """Return the ids of the trials that have an evaluation by class, the baseline first."""
    return list(_evaluated(data))


def is_evaluated(data: PageData) -> bool:
    """Return whether some trial has an evaluation by class."""
    return next(_evaluated(data), None) is not None


def _evaluated(data: PageData) -> Iterator[str]:
    runs = data.runs()
    for trial in own_trials(data).values():
        done = (result for run in trial.runs if (result := runs[run].result).state == "done")
        if any(tag.startswith(CLASS_PREFIX) for result in done for tag in result.metrics):
            yield trial.id


def default_pair(data: PageData) -> tuple[str, str]:
    """Return the ids of the trials to compare where none were chosen: the baseline, and the other one with the best difference to it.

    The second is empty where there is no other.

    Raises:
        InputError: no trial has an evaluation by class.
    """
    known = evaluated_trials(data)
    if not known:
        raise InputError("no run has been evaluated by class")
    first, *others = known
    metric, sign = data.metric, 1.0 if data.metric.goal == "maximize" else -1.0
    runs, trials = data.runs(), data.trials()

    def mean(trial: str) -> float:
        counted = count_runs([runs[run].result for run in trials[trial].runs], metric.name, [])
        return sum(result.metrics[metric.name] for result in counted) / len(counted) if counted else -sign * float("inf")

    return first, max(others, key=lambda trial: sign * mean(trial)) if others else ""


def chosen_pair(data: PageData, query: Query) -> tuple[Side, Side | None]:
    """Return the two trials that a query names as `a` and `b`, each by default that of `default_pair`; None where there is no second one.

    Raises:
        InputError: there is no such trial.
    """
    first, second = default_pair(data)
    a = query.get("a") or first
    b = query.get("b") or (second if second != a else first if first != a else "")
    return side(data, a), side(data, b) if b and b != a else None


def read_evaluation(place: Place) -> RunEvaluation:
    """Read eval.json of a run. Raises InputError: it is missing, damaged, or larger than 64 MiB."""
    import msgspec  # noqa: PLC0415 - of the extra `page`

    def compute() -> RunEvaluation:
        try:
            return msgspec.json.decode(_read(place, "eval.json", MOST_EVALUATION_BYTES), type=RunEvaluation)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"eval.json cannot be used: {place.redaction.text(str(error))}") from error

    return _EVALUATIONS.get((place.path, file_mark(place.path / "eval.json")), compute)


def read_detections(place: Place, evaluated: EvaluatedSet) -> DetectionArrays:
    """Read predictions.json of a run. Raises InputError: it is missing, damaged, too large, or of other data."""
    import msgspec  # noqa: PLC0415 - of the extra `page`

    from runner.evaluation.matching import detection_arrays  # noqa: PLC0415 - loads numpy

    def compute() -> DetectionArrays:
        try:
            entries = msgspec.json.decode(_read(place, "predictions.json", MOST_PREDICTION_BYTES), type=list[_Prediction])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"predictions.json cannot be used: {place.redaction.text(str(error))}") from error
        return detection_arrays(entries, {image.id: at for at, image in enumerate(evaluated.data.images)}, _labels(place, evaluated))

    return _DETECTIONS.get(predictions_mark(place, evaluated), compute)


def matched(place: Place, evaluated: EvaluatedSet, iou: float) -> RunMatch:
    """Match the detections of a run with the true boxes. Raises InputError, see `read_detections`."""
    from runner.evaluation.changes import RunMatch  # noqa: PLC0415 - loads numpy
    from runner.evaluation.matching import match  # noqa: PLC0415

    def compute() -> RunMatch:
        detections = read_detections(place, evaluated)
        return RunMatch(detections, match(evaluated.truth, detections, iou))

    return _MATCHES.get((*predictions_mark(place, evaluated), iou), compute)


def predictions_mark(place: Place, evaluated: EvaluatedSet) -> tuple[Hashable, ...]:
    """Return what changes when a run's predictions, or what they are matched with, do."""
    return (place.path, *(file_mark(place.path / name) for name in ("predictions.json", "eval.json")), evaluated.mark)


def has_predictions(place: Place) -> bool:
    """Return whether a run has predictions.json."""
    return file_mark(place.path / "predictions.json") is not None


def evaluated_set(run: str, place: Place) -> EvaluatedSet:
    """Read the data set that a run was evaluated on, where its config says it is.

    Raises:
        InputError: config or annotations cannot be read, or are not those that were evaluated on.
    """
    from runner.data.coco import load_coco  # noqa: PLC0415 - loads numpy
    from runner.evaluation.matching import truth_arrays  # noqa: PLC0415

    config = read_config(place)
    values = {key: config.get(f"{DATA_SECTIONS['eval']}.{key}") for key in ("dataset_dir", "image_dir", "anno_path", "sample_num")}
    folder = Path(str(values["dataset_dir"] or ""))
    annotations, images = folder / str(values["anno_path"] or ""), folder / str(values["image_dir"] or "")
    mark = file_mark(annotations)
    if mark is None or not values["anno_path"]:
        raise InputError("the annotations that the runs were evaluated on are not where the config says")
    if mark[1] > MOST_ANNOTATION_BYTES:
        raise InputError(f"the annotations have more than {MOST_ANNOTATION_BYTES >> 20} MiB")
    most = values["sample_num"] if isinstance(values["sample_num"], int) else -1

    def compute() -> EvaluatedSet:
        try:
            data = load_coco(annotations, images, allow_empty=True, sample_num=most, check_images=False)
        except InputError as error:
            raise InputError(f"the annotations cannot be used: {place.redaction.text(str(error))}") from error
        ids = {image_id(run, image.file_name): at for at, image in enumerate(data.images)}
        return EvaluatedSet(run, key, data, truth_arrays(data), ids)

    key = (run, annotations, images, mark, most)
    found = _SETS.get(key, compute)
    evaluation = read_evaluation(place)
    if evaluation.images != len(found.data.images) or (evaluation.classes and set(evaluation.classes) != set(found.data.class_names)):
        raise InputError("the annotations have changed since the runs were evaluated: they have other images or classes")
    return found


def evaluated_image(data: PageData, identifier: str) -> tuple[EvaluatedSet, int]:
    """Return the data set and the index of the image that an id names (see `image_id`). Raises InputError: there is none."""
    run = data.runs().get(f"r{identifier.removeprefix('g').rpartition('-')[0]}")
    if run is not None and identifier.startswith("g"):
        found = evaluated_set(run.id, Place(data, run))
        if identifier in found.ids:
            return found, found.ids[identifier]
    raise InputError(f"no image {identifier!r}; the part gallery lists the ids")


def read_config(place: Place) -> Mapping[str, Any]:
    """Return dotted key to value of a run's config. Raises InputError: it cannot be read."""

    def compute() -> Mapping[str, Any]:
        plain = place.tree((*place.parts, "config.yml")).plain()
        return dict(flatten(plain)) if isinstance(plain, Mapping) else {}

    return _CONFIGS.get((place.path, file_mark(place.path / "config.yml")), compute)


def evaluated_on(a: Side, b: Side) -> set[str]:
    """Return the evaluation data of the runs of both sides in words: more than one where they differ. Paths are in it."""
    found = set()
    for each in (a, b):
        for place, result in zip(each.places.values(), each.results, strict=True):
            try:
                config = read_config(place)
            except InputError:
                continue  # of a run whose config cannot be read it is not known
            found.add(data_identity(replace(result, config=config), DATA_SECTIONS["eval"]))
    return found


def is_raced(data: PageData) -> bool:
    """Return whether seeds were added to trials in several looks."""
    report = data.report()
    return isinstance(report, Comparison) and len(report.looks) > 1


def _labels(place: Place, evaluated: EvaluatedSet) -> Mapping[int, int]:
    """Return category id in the predictions to contiguous class now: by the names that the run recorded, else by id."""
    recorded = read_evaluation(place)
    now = {name: index for index, name in enumerate(evaluated.data.class_names)}
    if recorded.classes and len(recorded.classes) == len(recorded.category_ids):
        return {number: now[name] for number, name in zip(recorded.category_ids, recorded.classes, strict=True) if name in now}
    return {category.id: index for index, category in enumerate(evaluated.data.categories)}


def _read(place: Place, name: str, limit: int) -> bytes:
    try:
        return read_inside(place.root, (*place.parts, name), limit)
    except FileNotFoundError as error:
        raise InputError(f"{name} is missing") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from error
