"""Matching of detections with true boxes: by hand, and against hotcoco and pycocotools."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.detectors import make_truth

from runner.core.errors import InputError
from runner.data.coco import load_coco
from runner.evaluation.matching import CONFUSED, FALSE, IGNORED, RIGHT, detection_arrays, match, overlaps, reliability, truth_arrays

BOX = (10.0, 10.0, 20.0, 20.0)


def entry(image: int, label: int, box: tuple[float, ...], score: float) -> Any:
    return SimpleNamespace(image_id=image, category_id=label, bbox=box, score=score)


def arrays(folder: Path, boxes: Any, entries: list[Any]) -> Any:
    data = load_coco(make_truth(folder, boxes, images=False) / "val.json", folder, allow_empty=True, check_images=False)
    found = detection_arrays(entries, {image.id: at for at, image in enumerate(data.images)}, {1: 0, 2: 1})
    return truth_arrays(data), found


def test_the_best_detection_of_its_class_takes_the_box(tmp_path: Path) -> None:
    entries = [
        entry(1, 1, (11, 10, 20, 20), 0.6),
        entry(1, 1, BOX, 0.9),
        entry(1, 2, BOX, 0.8),
        entry(1, 1, (60, 60, 10, 10), 0.7),
        entry(2, 1, BOX, 0.5),
    ]
    truth, found = arrays(tmp_path, {"a.png": [(0, BOX)], "b.png": []}, entries)
    result = match(truth, found, 0.5)
    assert found.score.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert result.kind.tolist() == [RIGHT, CONFUSED, FALSE, CONFUSED, FALSE]
    assert (result.found.tolist(), result.by.tolist(), result.overlap.tolist()) == ([0.9], [0], [1.0])
    assert (result.confused.tolist(), result.confused_as.tolist()) == ([0.8], [1])


def test_a_detection_that_comes_too_late_takes_the_next_box(tmp_path: Path) -> None:
    boxes = {"a.png": [(0, BOX), (0, (14.0, 10.0, 20.0, 20.0))]}
    truth, found = arrays(tmp_path, boxes, [entry(1, 1, BOX, 0.9), entry(1, 1, BOX, 0.8)])
    assert match(truth, found, 0.5).found.tolist() == [0.9, 0.8]
    assert match(truth, found, 0.75).found.tolist() == [0.9, 0.0]  # the second box is overlapped by 2/3


def test_the_right_detection_of_another_box_confuses_none(tmp_path: Path) -> None:
    """Two boxes of different classes at one place: each is found, and neither is taken for the other."""
    truth, found = arrays(tmp_path, {"a.png": [(0, BOX), (1, BOX)]}, [entry(1, 1, BOX, 0.9), entry(1, 2, BOX, 0.8)])
    result = match(truth, found, 0.5)
    assert result.found.tolist() == [0.9, 0.8]
    assert result.confused.tolist() == [0.0, 0.0]


def test_matches_above_a_threshold_do_not_depend_on_lower_scores(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    boxes = {
        f"{index}.png": [(int(rng.integers(2)), tuple(float(x) for x in (*rng.integers(0, 30, 2), 20, 20))) for _ in range(4)]
        for index in range(5)
    }
    entries = [
        entry(
            int(rng.integers(1, 6)),
            int(rng.integers(1, 3)),
            (*map(float, rng.integers(0, 30, 2)), 20.0, 20.0),
            float(rng.integers(1, 100)) / 100,
        )
        for _ in range(300)
    ]
    truth, found = arrays(tmp_path, boxes, entries)
    whole = match(truth, found, 0.5)
    assert (whole.found > 0).sum() > 10
    for threshold in (0.3, 0.6, 0.9):
        _, above = arrays(tmp_path, boxes, [each for each in entries if each.score >= threshold])
        part = match(truth, above, 0.5)
        assert np.array_equal(np.where(whole.found >= threshold, whole.found, 0), part.found)
        assert np.array_equal(np.where(whole.confused >= threshold, whole.confused, 0), part.confused)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("iou", [0.5, 0.75])
def test_as_many_are_right_as_cocos_evaluation_counts(tmp_path: Path, seed: int, iou: float) -> None:
    import hotcoco

    rng = np.random.default_rng(seed)

    def box() -> tuple[float, ...]:
        return tuple(float(x) for x in (*rng.uniform(0, 40, 2), *rng.uniform(10, 30, 2)))

    boxes = {f"{index}.png": [(int(rng.integers(2)), box()) for _ in range(5)] for index in range(20)}
    near = [
        (number + 1, label + 1, tuple(side + float(rng.normal(0, 3)) for side in each))
        for number, found in enumerate(boxes.values())
        for label, each in found
    ]
    entries = [
        entry(image, label, (*place[:2], abs(place[2]) + 1, abs(place[3]) + 1), float(rng.uniform())) for image, label, place in near * 2
    ]
    truth, found = arrays(tmp_path, boxes, entries)
    result = match(truth, found, iou)
    coco = hotcoco.COCO(str(tmp_path / "val.json"))
    evaluator = hotcoco.COCOeval(coco, coco.load_res([vars(each) | {"bbox": list(each.bbox)} for each in entries]), "bbox")
    evaluator.params.iou_thrs, evaluator.params.area_rng, evaluator.params.area_rng_lbl = [iou], [[0.0, 1e10]], ["all"]
    evaluator.params.max_dets = [100]
    evaluator.evaluate()
    scores = sorted(
        score
        for each in filter(None, evaluator.eval_imgs)
        for score, hit in zip(each["dtScores"], np.ravel(each["dtMatched"]), strict=True)
        if hit
    )
    assert sorted(found.score[result.kind == RIGHT]) == pytest.approx(scores)
    assert sorted(result.found[result.found > 0]) == pytest.approx(scores)


def test_detections_on_a_crowd_region_of_their_class_are_left_out(tmp_path: Path) -> None:
    truth, found = arrays(tmp_path, {"a.png": [(0, (0.0, 0.0, 50.0, 50.0))]}, [entry(1, 1, BOX, 0.9), entry(1, 2, BOX, 0.8)])
    truth.crowd[:] = True
    result = match(truth, found, 0.5)
    assert result.kind.tolist() == [IGNORED, FALSE]
    assert result.found.tolist() == [0.0]
    assert sum(each.count for each in reliability(found, result)) == 1


def test_reliability_counts_right_detections_by_score(tmp_path: Path) -> None:
    entries = [
        entry(1, 1, BOX, 0.95),
        entry(1, 1, (60, 60, 9, 9), 0.91),
        entry(1, 1, (60, 10, 9, 9), 0.2),
        entry(1, 1, (60, 10, 9, 9), 1.0),
    ]
    truth, found = arrays(tmp_path, {"a.png": [(0, BOX)]}, entries)
    bins = reliability(found, match(truth, found, 0.5))
    assert [each.count for each in bins] == [0, 0, 1, 0, 0, 0, 0, 0, 0, 3]
    assert (bins[9].score, bins[9].right) == (pytest.approx(2.86 / 3), pytest.approx(1 / 3))
    assert (bins[2].right, bins[0].right, bins[0].score) == (0.0, None, None)


def test_overlaps_of_boxes_without_an_area_are_zero() -> None:
    boxes = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 10.0, 10.0]])
    assert overlaps(boxes, boxes).tolist() == [0.0, 1.0]
    assert overlaps(boxes[1:], np.array([[0.0, 0.0, 20.0, 5.0]]), own=np.array([True])).tolist() == [0.5]


def test_no_boxes_and_no_detections(tmp_path: Path) -> None:
    truth, found = arrays(tmp_path, {"a.png": []}, [])
    result = match(truth, found, 0.5)
    assert len(result.found) == len(result.kind) == 0
    assert [each.count for each in reliability(found, result)] == [0] * 10


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (entry(7, 1, BOX, 0.5), r"an image or a class that the annotations do not have \(id 7\)"),
        (entry(1, 9, BOX, 0.5), r"\(id 9\)"),
        (entry(1, 1, BOX, float("nan")), "not finite"),
        (entry(1, 1, (0.0, float("inf"), 1.0, 1.0), 0.5), "not finite"),
    ],
)
def test_predictions_of_other_data_are_refused(tmp_path: Path, wrong: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        arrays(tmp_path, {"a.png": [(0, BOX)]}, [wrong])
