"""Random cases for the evaluator and pycocotools' answers to them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


@dataclass(frozen=True)
class Case:
    """A data set and predictions, in memory and in two files."""

    truth: dict[str, Any]
    predictions: list[dict[str, Any]]
    annotations_file: Path
    predictions_file: Path

    @property
    def image_ids(self) -> list[int]:
        return [image["id"] for image in self.truth["images"]]

    def oracle(self, image_ids: list[int] | None = None, **params: Any) -> Any:
        """pycocotools' evaluator after evaluate, accumulate and summarize; `params` are set on its parameters."""
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(str(self.annotations_file))
            evaluator = COCOeval(truth, truth.loadRes([dict(entry) for entry in self.predictions]), "bbox")
            if image_ids is not None:
                evaluator.params.imgIds = image_ids
            for name, value in params.items():
                setattr(evaluator.params, name, value)
            evaluator.evaluate()
            evaluator.accumulate()
            if not params:
                evaluator.summarize()
        return evaluator

    def judged(self, image_ids: list[int] | None = None) -> dict[int, list[tuple[float, bool]]]:
        """Each category's detections that count at IoU 0.5, best first, as (score, right)."""
        areas = {"areaRng": [[0, 1e10]], "areaRngLbl": ["all"], "maxDets": [100]}
        evaluator = self.oracle(image_ids, iouThrs=np.array([0.5]), **areas)
        found: dict[int, list[tuple[float, bool]]] = {category["id"]: [] for category in self.truth["categories"]}
        for entry in filter(None, evaluator.evalImgs):
            rows = zip(entry["dtScores"], entry["dtMatches"][0], entry["dtIgnore"][0], strict=True)
            found[entry["category_id"]] += [(float(score), bool(match)) for score, match, ignore in rows if not ignore]
        return {category: sorted(rows, key=lambda row: -row[0]) for category, rows in found.items()}


MakeCase = Callable[..., Case]


@pytest.fixture
def make_case(tmp_path: Path) -> MakeCase:
    """Seeded data: gaps in the ids, empty images, crowd regions, ties, all sizes, at times over 100 detections."""
    folder = tmp_path / "with space 'quote' – é"
    folder.mkdir()

    def make(seed: int, *, crowd: float = 0.1, distinct_scores: bool = False) -> Case:
        truth, predictions = random_data(np.random.default_rng(seed), crowd)
        if distinct_scores:
            for index, entry in enumerate(predictions):
                entry["score"] = round((index * 7919 % 10007) / 10007, 6)
        return write_case(folder, truth, predictions)

    return make


@pytest.fixture
def case_of(tmp_path: Path) -> MakeCase:
    """A case of given truth boxes and predictions: (image, category, box) and (image, category, box, score)."""

    def make(boxes: list[tuple[int, int, list[float]]], found: list[tuple[int, int, list[float], float]], images: int = 2) -> Case:
        truth = {
            "images": [{"id": i, "width": 400, "height": 400, "file_name": f"{i}.jpg"} for i in range(1, images + 1)],
            "categories": [{"id": 3, "name": "short"}, {"id": 7, "name": "spur"}],
            "annotations": [
                {"id": i, "image_id": im, "category_id": k, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
                for i, (im, k, box) in enumerate(boxes, start=1)
            ],
        }
        predictions = [{"image_id": im, "category_id": k, "bbox": box, "score": s} for im, k, box, s in found]
        return write_case(tmp_path, truth, predictions)

    return make


def write_case(folder: Path, truth: dict[str, Any], predictions: list[dict[str, Any]]) -> Case:
    case = Case(truth, predictions, folder / "annotations.json", folder / "predictions.json")
    case.annotations_file.write_text(json.dumps(truth), encoding="utf-8")
    case.predictions_file.write_text(json.dumps(predictions), encoding="utf-8")
    return case


def random_data(random: np.random.Generator, crowd: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    category_ids = np.sort(random.choice(100, random.integers(1, 6), replace=False)) + 1
    image_ids = random.permutation(1000)[: random.integers(1, 12)]
    decimals = int(random.choice([0, 1, 2, 8]))
    annotations: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    for image in image_ids.tolist():
        count = 0 if random.random() < 0.2 else random.integers(0, 15)
        for _ in range(count):
            box = np.concatenate([random.uniform(0, 400, 2), np.exp(random.uniform(1, 5.5, 2))]).round(decimals)
            kind = int(random.choice(category_ids))
            area = float(box[2] * box[3]) * (random.uniform(0.5, 1) if random.random() < 0.3 else 1)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": kind,
                    "bbox": box.tolist(),
                    "area": area,
                    "iscrowd": int(random.random() < crowd),
                }
            )
            for _ in range(random.integers(0, 3 if random.random() < 0.95 else 150)):
                near = box * (1 + random.normal(0, 0.08, 4)) if random.random() < 0.8 else box
                other = kind if random.random() < 0.85 else int(random.choice(category_ids))
                score = round(float(random.random()), int(random.choice([1, 2, 8])))
                predictions.append({"image_id": image, "category_id": other, "bbox": near.round(decimals).tolist(), "score": score})
    if not predictions:  # pycocotools cannot load an empty list
        stray = {"image_id": int(image_ids[0]), "category_id": int(category_ids[0]), "bbox": [1.0, 2.0, 30.0, 40.0]}
        predictions.append({**stray, "score": 0.5})
    random.shuffle(predictions)
    truth = {
        "images": [{"id": i, "width": 640, "height": 640, "file_name": f"{i}.jpg"} for i in image_ids.tolist()],
        "categories": [{"id": i, "name": f"class {i}"} for i in category_ids.tolist()],
        "annotations": annotations,
    }
    return truth, predictions
