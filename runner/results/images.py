"""Two checkpoints on the same images: a paired bootstrap over the images says whether they differ, and no more than that.

Images are drawn with replacement, the same ones for both, and the metric is recomputed for each draw (percentile interval, Efron
1979). It is the noise of *these images*. What another seed would have given is not in it, so it is no verdict on a change of the config.

hotcoco matches boxes once; drawing is done here. The intervals of its own bootstrap (`hotcoco.compare`, 1.3.0) are a fifth to a quarter too
narrow: with 200 images a spread of 0.0123 where drawing whole images anew gives 0.0161 (docs/statistics.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runner.core.errors import InputError
from runner.core.values import counted
from runner.results.collect import RunResult
from runner.stats.intervals import CONFIDENCE, Difference
from runner.store.run_dir import RunDir

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IOUS: Final = {"bbox/AP": tuple(0.5 + 0.05 * i for i in range(10)), "bbox/AP50": (0.5,), "bbox/AP75": (0.75,)}
"""The metrics that can be bootstrapped, and the overlaps they are the mean over."""

_MOST_DRAWS: Final = 1000
_LEAST_DRAWS: Final = 300
_WORK: Final = 100_000_000  # detections × overlaps × draws: some seconds
_LEAST_IMAGES: Final = 20
_RECALLS: Final = 101


@dataclass(frozen=True, slots=True)
class ImageComparison:
    """Comparison of two checkpoints on their images.

    Args:
        seed: of both runs.
        images: number of images; draws: number of bootstrap samples.
        difference: of the metric, the run's minus the baseline run's; None where it could not be computed.
        why_not: the reason for that; empty if there is an interval.
    """

    seed: int
    images: int = 0
    draws: int = 0
    difference: Difference | None = None
    why_not: str = ""


def compare_on_images(run: RunResult, baseline: RunResult, metric: str) -> ImageComparison:
    """Compare the predictions of two runs on the evaluation data that both have."""
    folders = RunDir(run.path), RunDir(baseline.path)
    missing = [str(folder.predictions) for folder in folders if not folder.predictions.is_file()]
    if metric not in IOUS:
        return ImageComparison(run.seed, why_not=f"unsupported metric {metric}; it is available for {', '.join(IOUS)}")
    if missing:
        return ImageComparison(run.seed, why_not=f"{missing[0]} is missing")
    annotations = Path(str(baseline.config.get("EvalDataset.dataset_dir") or ""), str(baseline.config.get("EvalDataset.anno_path") or ""))
    try:
        return _compare(*folders, annotations, metric, run.seed)
    except InputError as error:
        return ImageComparison(run.seed, why_not=str(error).splitlines()[0])


def _compare(run: RunDir, baseline: RunDir, annotations: Path, metric: str, seed: int) -> ImageComparison:
    from runner.evaluation.load import load_predictions, load_truth  # noqa: PLC0415 - loads hotcoco; seeds need none

    truth = load_truth(annotations)
    images = len(truth.get_img_ids())
    evaluated = {int((folder.results() or {}).get("images", images)) for folder in (run, baseline)}
    if evaluated != {images}:
        text = f"{annotations} has {counted(images, 'image')}, and the runs were evaluated on {min(evaluated)}"
        return ImageComparison(seed, why_not=text)
    names = {int(category["id"]): str(category["name"]) for category in truth.load_cats(truth.get_cat_ids())}
    if any(_categories(folder) not in (None, names) for folder in (run, baseline)):
        return ImageComparison(seed, why_not=f"{annotations} has other categories or category ids than when the runs were evaluated")
    if images < _LEAST_IMAGES:
        return ImageComparison(seed, why_not=f"{counted(images, 'image')}: too few; at least {_LEAST_IMAGES} are needed")
    found = [load_predictions(folder.predictions, truth) for folder in (run, baseline)]
    work = sum(len(predictions.get_ann_ids()) for predictions in found) * len(IOUS[metric])
    draws = max(_LEAST_DRAWS, min(_MOST_DRAWS, _WORK // max(1, work)))
    return ImageComparison(seed, images, draws, bootstrap(truth, found[0], found[1], IOUS[metric], draws))


def _categories(run: RunDir) -> dict[int, str] | None:
    """Return category id to name of a run's predictions, as its evaluation recorded them; None if it did not."""
    recorded = run.results() or {}
    names, ids = recorded.get("classes"), recorded.get("category_ids")
    if not isinstance(names, list) or not isinstance(ids, list) or len(names) != len(ids):
        return None
    return dict(zip(ids, names, strict=True))


def bootstrap(truth: Any, found: Any, baseline: Any, ious: tuple[float, ...], draws: int, seed: int = 0) -> Difference:
    """Return the difference of the AP over `ious` of two sets of predictions (hotcoco's objects), with its percentile interval."""
    import numpy as np  # noqa: PLC0415

    images = sorted(truth.get_img_ids())
    one, other = (_matched(truth, predictions, images, ious) for predictions in (found, baseline))
    every = np.ones(len(images))
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(draws):
        weights = np.bincount(rng.integers(0, len(images), len(images)), minlength=len(images)).astype(float)
        differences.append(_ap(one, weights) - _ap(other, weights))
    low, high = np.quantile(differences, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Difference(_ap(one, every) - _ap(other, every), float(low), float(high))


@dataclass(frozen=True, slots=True)
class _Class:
    """Detections of a class, the highest score first.

    Args:
        image: Int[D], which image each is on.
        right, wrong: Float[T, D], 1 where it is a true or a false positive at an overlap; neither on a crowd region.
        boxes: Float[N], boxes to find on each image.
    """

    image: NDArray[np.int64]
    right: NDArray[np.float64]
    wrong: NDArray[np.float64]
    boxes: NDArray[np.float64]


def _matched(truth: Any, found: Any, images: list[int], ious: tuple[float, ...]) -> list[_Class]:
    import hotcoco  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    evaluator = hotcoco.COCOeval(truth, found, "bbox")
    evaluator.params.img_ids = images
    evaluator.params.iou_thrs = list(ious)
    evaluator.params.area_rng, evaluator.params.area_rng_lbl, evaluator.params.max_dets = [[0.0, 1e10]], ["all"], [100]
    evaluator.evaluate()
    place = {image: index for index, image in enumerate(images)}
    by_class: dict[int, list[dict[str, Any]]] = {}
    for entry in sorted(filter(None, evaluator.eval_imgs), key=lambda entry: place[entry["image_id"]]):
        by_class.setdefault(entry["category_id"], []).append(entry)
    result = []
    for entries in by_class.values():
        boxes = np.zeros(len(images))
        for entry in entries:
            boxes[place[entry["image_id"]]] = len(entry["gtIgnore"]) - sum(entry["gtIgnore"])
        order = np.argsort(-np.concatenate([np.asarray(entry["dtScores"], dtype=float) for entry in entries]), kind="stable")
        image = np.concatenate([np.full(len(entry["dtScores"]), place[entry["image_id"]]) for entry in entries])[order]
        shape = (len(ious), -1)
        matched = np.concatenate([np.asarray(entry["dtMatched"], dtype=bool).reshape(shape) for entry in entries], axis=1)[:, order]
        ignored = np.concatenate([np.asarray(entry["dtIgnore"], dtype=bool).reshape(shape) for entry in entries], axis=1)[:, order]
        result.append(_Class(image, (matched & ~ignored).astype(float), (~matched & ~ignored).astype(float), boxes))
    return result


def _ap(classes: list[_Class], weights: NDArray[np.float64]) -> float:
    """Return the 101-point AP, mean over overlaps and classes, images weighted by their draws; classes without boxes are left out."""
    import numpy as np  # noqa: PLC0415

    recalls = np.linspace(0.0, 1.0, _RECALLS)
    result = []
    for entry in classes:
        boxes = float(weights @ entry.boxes)
        if boxes == 0:
            continue
        drawn = weights[entry.image]
        right, wrong = np.cumsum(entry.right * drawn, axis=1), np.cumsum(entry.wrong * drawn, axis=1)
        precision = right / np.maximum(right + wrong, 1e-12)
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        padded = np.concatenate([precision, np.zeros((len(precision), 1))], axis=1)
        at = [np.searchsorted(row, recalls * boxes - 1e-9) for row in right]
        result.append(float(np.mean([row[index] for row, index in zip(padded, at, strict=True)])))
    return float(np.mean(result)) if result else 0.0
