"""Evaluation of a run with images: from a backend's predictions to metrics, the content of eval.json and sample pictures.

Its imports take a tenth of a second, so a worker whose backend has no images does not import it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.core.errors import InputError
from runner.data.boxes import negative_sizes
from runner.data.coco import CocoSet, load_coco, no_faults
from runner.evaluation import evaluate
from runner.evaluation.result import Evaluation
from runner.worker.samples import draw_samples


class Scorer:
    """Scorer on the evaluation set of a bound config.

    Args:
        check_images: refuse image files that do not exist; scoring itself reads none.

    Raises:
        InputError: it cannot be read, or there is none.
    """

    def __init__(self, config: Any, *, check_images: bool = True) -> None:
        self._config = config
        self.data = load_dataset(config.eval_dataset, evaluation=True, check_images=check_images)

    def results(self, predictions: Sequence[Mapping[str, Any]], classes: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Make COCO results with the annotation file's category ids from those with contiguous class indices.

        Args:
            classes: names of the indices, the same as the annotations' in any order; empty: the annotations' own.
        """
        return with_category_ids(predictions, self.data, classes)

    def evaluate(self, results: Path | Sequence[Mapping[str, Any]], *, detail: bool = True) -> Evaluation:
        """Compute the metrics of COCO results; `detail` adds what only eval.json has."""
        ids = [image.id for image in self.data.images]
        return evaluate(self.data.anno_path, results, iou_thresholds=self._config.eval_iou_thresholds, image_ids=ids, detail=detail)

    def draw(self, results: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
        """Draw the first images with objects (see `runner.worker.samples`)."""
        return draw_samples(self.data, results, self._config.sample_images)


def load_dataset(dataset: Any, *, evaluation: bool, check_images: bool = True) -> CocoSet:
    """Load the images and boxes of a bound COCODataSet. An evaluation set keeps images without objects, whatever `allow_empty` says.

    Raises:
        InputError: it cannot be read; None: the backend works without images.
    """
    if dataset is None:
        raise InputError("this run has no images: its backend does not use any")
    folder = Path(dataset.dataset_dir)
    return load_coco(
        folder / dataset.anno_path,
        folder / dataset.image_dir,
        allow_empty=evaluation or dataset.allow_empty,
        sample_num=dataset.sample_num,
        empty_ratio=1.0 if evaluation else dataset.empty_ratio,
        check_images=check_images,
        examine=negative_sizes if evaluation else no_faults,
    )


def with_category_ids(predictions: Sequence[Mapping[str, Any]], data: CocoSet, classes: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Replace the contiguous class index of COCO results by the annotation file's category id (see `Scorer.results`)."""
    id_of = {category.name: category.id for category in data.categories}
    ids = [id_of[name] for name in classes or data.class_names]
    return [{**item, "category_id": ids[item["category_id"]]} for item in predictions]
