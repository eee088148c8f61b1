"""hotcoco's numbers against pycocotools' (the oracle) on random data, and what we derive against brute force."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from runner.evaluation import ClassResult, evaluate

SEEDS = range(60)
TOLERANCE = 1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_twelve_numbers_classes_and_curves_equal_pycocotools(make_case: Any, seed: int) -> None:
    case = make_case(seed)
    chosen = case.image_ids[: max(1, len(case.image_ids) // 2)] if seed % 3 == 0 else None
    oracle = case.oracle(chosen)
    for predictions in (case.predictions_file, case.predictions):
        result = evaluate(case.annotations_file, predictions, image_ids=chosen)
        np.testing.assert_allclose(result.stats, oracle.stats, atol=TOLERANCE, rtol=0)
        precision = oracle.eval["precision"][..., 0, 2]
        recall = oracle.eval["recall"][..., 0, 2]
        assert len(result.per_class) == precision.shape[2]
        for index, entry in enumerate(result.per_class):
            assert_same(entry.ap, precision[:, :, index])
            assert_same(entry.ap50, precision[0, :, index])
            assert_same(entry.ap75, precision[5, :, index])
            assert_same(entry.ar100, recall[:, index])
            assert result.metrics.get(f"bbox/AP/{entry.name}") == entry.ap
            if entry.boxes:
                curve = result.pr_curves[entry.name]
                np.testing.assert_allclose(curve.precision, precision[0, :, index], atol=1e-5)
                np.testing.assert_allclose(curve.score, oracle.eval["scores"][0, :, index, 0, 2], atol=1e-5)
            else:
                assert entry.name not in result.pr_curves


@pytest.mark.parametrize("seed", SEEDS[:15])
def test_ap_at_another_iou_is_that_of_pycocotools(make_case: Any, seed: int) -> None:
    case = make_case(seed)
    result = evaluate(case.annotations_file, case.predictions_file, iou_thresholds=[0.9, 0.33], detail=seed % 2 == 0)
    oracle = case.oracle(iouThrs=np.array([0.33, 0.9]))
    for index, tag in enumerate(("bbox/AP@0.33", "bbox/AP@0.9")):
        assert_same(result.metrics.get(tag), oracle.eval["precision"][index, :, :, 0, 2])


@pytest.mark.parametrize("seed", SEEDS[:25])
def test_best_f1_is_the_best_of_all_thresholds(make_case: Any, seed: int) -> None:
    case = make_case(seed)
    result = evaluate(case.annotations_file, case.predictions_file)
    judged = case.judged()
    rows = [row for of_class in judged.values() for row in of_class]
    if result.boxes == 0:
        assert "bbox/best_f1" not in result.metrics
        return
    best = max(f1_at(rows, result.boxes, step / 1000) for step in range(1000))
    assert result.metrics["bbox/best_f1"] == pytest.approx(best, abs=1e-12)
    if best > 0:
        at = f1_at(rows, result.boxes, result.metrics["bbox/best_f1_threshold"])
        assert at == pytest.approx(best, abs=1e-12)
    for entry in result.per_class:
        check_class_f1(entry, judged[entry.category_id])


def check_class_f1(entry: ClassResult, rows: list[tuple[float, bool]]) -> None:
    """Against F1 after each detection of the class, best first."""
    if entry.boxes == 0:
        assert entry.best_f1 is None
        return
    right = np.cumsum([match for _, match in rows])
    f1 = 2 * right / (np.arange(1, len(rows) + 1) + entry.boxes)
    best = float(f1.max(initial=0.0))
    assert entry.best_f1 == pytest.approx(best, abs=1e-9)
    if best > 0:
        scores = {rows[index][0] for index in np.flatnonzero(f1 > best - 1e-9)}
        assert entry.best_f1_threshold in scores
    else:
        assert entry.best_f1_threshold is None


@pytest.mark.parametrize("seed", SEEDS[:25])
def test_confusion_matrix_is_the_greedy_match(make_case: Any, seed: int) -> None:
    case = make_case(seed, distinct_scores=True)  # with equal scores several matches are right
    result = evaluate(case.annotations_file, case.predictions_file)
    assert result.confusion is not None
    assert result.confusion.names[-1] == "background"
    expected = greedy_confusion(case.truth, case.predictions, result.confusion.score_threshold)
    assert np.array(result.confusion.matrix).tolist() == expected.tolist()


def greedy_confusion(truth: dict[str, Any], predictions: list[dict[str, Any]], threshold: float) -> Any:
    """Row the true class, column the predicted one; written apart from the package's own version."""
    index = {key: i for i, key in enumerate(sorted(category["id"] for category in truth["categories"]))}
    counts = np.zeros((len(index) + 1, len(index) + 1), int)
    for image in truth["images"]:
        boxes = [box for box in truth["annotations"] if box["image_id"] == image["id"]]
        found = sorted((entry for entry in predictions if entry["image_id"] == image["id"]), key=lambda e: -e["score"])
        free = [box for box in boxes if not box["iscrowd"]]
        for entry in found[:100]:
            if entry["score"] < threshold:
                continue
            kind = index[entry["category_id"]]
            rated = sorted(((overlap(entry["bbox"], box["bbox"]), -i) for i, box in enumerate(free)), reverse=True)
            if rated and rated[0][0] >= 0.5:
                box = free.pop(-rated[0][1])
                counts[index[box["category_id"]], kind] += 1
            elif not any(on_crowd(entry, box) for box in boxes if box["iscrowd"]):
                counts[-1, kind] += 1
        for box in free:
            counts[index[box["category_id"]], -1] += 1
    return counts


def on_crowd(entry: dict[str, Any], region: dict[str, Any]) -> bool:
    same = bool(entry["category_id"] == region["category_id"])
    return same and overlap(entry["bbox"], region["bbox"], crowd=True) >= 0.5


def overlap(a: list[float], b: list[float], crowd: bool = False) -> float:
    """IoU of xywh boxes; the shared part of `a` for a crowd region `b`."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a[2] * a[3] if crowd else a[2] * a[3] + b[2] * b[3] - shared)


def f1_at(rows: list[tuple[float, bool]], boxes: int, threshold: float) -> float:
    kept = [match for score, match in rows if score >= threshold]
    return 2 * sum(kept) / (len(kept) + boxes)


def assert_same(value: float | None, oracle: Any) -> None:
    defined = np.asarray(oracle)[np.asarray(oracle) > -1]
    assert (value is None) == (defined.size == 0)
    if value is not None:
        assert value == pytest.approx(float(defined.mean()), abs=TOLERANCE)


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_every_result_survives_eval_json(make_case: Any, seed: int) -> None:
    case = make_case(seed)
    result = evaluate(case.annotations_file, case.predictions_file, iou_thresholds=[0.33])
    assert json.loads(json.dumps(result.to_json(), allow_nan=False)) == result.to_json()
