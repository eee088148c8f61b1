"""What `evaluate` answers in the cases that are easy to get wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.core.files import atomic_write_json, read_json
from runner.evaluation import evaluate

BOX = [10.0, 10.0, 40.0, 40.0]
FAR = [200.0, 200.0, 40.0, 40.0]
OTHER = [100.0, 10.0, 40.0, 40.0]


def test_no_predictions_at_all_are_zeros(case_of: Any) -> None:
    case = case_of([(1, 3, BOX), (2, 7, FAR)], [])
    nothing: list[dict[str, Any]] = []
    for predictions in (case.predictions_file, nothing):
        result = evaluate(case.annotations_file, predictions, iou_thresholds=[0.33])
        assert result.stats == (0, 0, 0, -1, 0, -1, 0, 0, 0, -1, 0, -1)
        assert result.metrics["bbox/AP"] == result.metrics["bbox/AP@0.33"] == result.metrics["bbox/AP/spur"] == 0
        assert "bbox/APs" not in result.metrics  # no small box: undefined, not zero
        assert result.metrics["bbox/best_f1"] == 0
        assert "bbox/best_f1_threshold" not in result.metrics
        assert result.confusion is not None and result.confusion.matrix == ((0, 0, 1), (0, 0, 1), (0, 0, 0))
        assert result.tide is not None and result.tide.counts["miss"] == 2
        assert (result.images, result.boxes, result.detections) == (2, 2, 0)


def test_no_truth_at_all_is_undefined(case_of: Any) -> None:
    case = case_of([], [(1, 3, BOX, 0.9)])
    result = evaluate(case.annotations_file, case.predictions_file)
    assert result.stats == (-1,) * 12
    assert result.metrics == {}
    assert result.mean_curve is None and result.pr_curves == {}
    assert [entry.ap for entry in result.per_class] == [None, None]
    json.dumps(result.to_json(), allow_nan=False)


def test_perfect_predictions(case_of: Any) -> None:
    case = case_of([(1, 3, BOX), (2, 7, FAR)], [(1, 3, BOX, 0.9), (2, 7, FAR, 0.61)])
    result = evaluate(case.annotations_file, case.predictions_file)
    assert result.metrics["bbox/AP"] == pytest.approx(1)
    assert result.metrics["bbox/best_f1"] == 1
    assert result.metrics["bbox/best_f1_threshold"] == 0.61
    assert [(entry.name, entry.best_f1_threshold) for entry in result.per_class] == [("short", 0.9), ("spur", 0.61)]
    assert [entry.best_f1 for entry in result.per_class] == pytest.approx([1, 1])
    assert result.mean_curve is not None and result.mean_curve.precision == (1,) * 101


@pytest.mark.parametrize("score", [0.0, 0.001, 0.29, 0.57, 0.999, 1.0])
def test_the_best_threshold_keeps_the_detection_it_was_found_with(case_of: Any, score: float) -> None:
    case = case_of([(1, 3, BOX)], [(1, 3, BOX, score)])
    assert evaluate(case.annotations_file, case.predictions_file).metrics["bbox/best_f1_threshold"] <= score


def test_scores_that_are_no_probabilities_leave_a_note(case_of: Any) -> None:
    case = case_of([(1, 3, BOX)], [(1, 3, BOX, 7.5)])
    result = evaluate(case.annotations_file, case.predictions_file)
    assert result.metrics["bbox/AP"] == pytest.approx(1)
    assert "bbox/best_f1" not in result.metrics
    assert len(result.notes) == 1 and "7.5" in result.notes[0]


def test_tide_names_each_kind_of_error(case_of: Any) -> None:
    shifted = [10.0, 30.0, 40.0, 40.0]  # IoU 1/3 with BOX
    kinds = {
        "cls": [(1, 7, BOX, 0.9)],
        "loc": [(1, 3, shifted, 0.9)],
        "both": [(1, 7, shifted, 0.9)],
        "dupe": [(1, 3, BOX, 0.9), (1, 3, BOX, 0.8)],
        "bkg": [(1, 3, FAR, 0.9)],
    }
    for kind, found in kinds.items():
        case = case_of([(1, 3, BOX), (2, 7, FAR)], found)
        tide = evaluate(case.annotations_file, case.predictions_file).tide
        assert tide is not None
        assert set(tide.delta_ap) == {"cls", "loc", "both", "dupe", "bkg", "miss"} == set(tide.counts)
        assert {name for name, count in tide.counts.items() if count} - {"miss"} == {kind}


def test_tide_gain_is_the_ap_a_repair_brings(case_of: Any) -> None:
    boxes = [(1, 3, BOX), (2, 3, FAR)]
    wrong = case_of(boxes, [(1, 3, BOX, 0.9), (2, 3, [200.0, 220.0, 40.0, 40.0], 0.95)])
    broken = evaluate(wrong.annotations_file, wrong.predictions_file)
    right = case_of(boxes, [(1, 3, BOX, 0.9), (2, 3, FAR, 0.95)])
    repaired = evaluate(right.annotations_file, right.predictions_file)
    assert broken.tide is not None
    gain = repaired.metrics["bbox/AP50"] - broken.metrics["bbox/AP50"]
    assert broken.tide.delta_ap["loc"] == pytest.approx(gain, abs=1e-9)


def test_only_the_chosen_images_count(case_of: Any) -> None:
    case = case_of([(1, 3, BOX), (2, 7, FAR)], [(1, 3, BOX, 0.9), (2, 3, OTHER, 0.95)])
    result = evaluate(case.annotations_file, case.predictions_file, image_ids=[1, 1])
    assert (result.images, result.boxes, result.detections) == (1, 1, 1)
    assert result.metrics["bbox/AP"] == pytest.approx(1)
    assert result.confusion is not None and np.sum(result.confusion.matrix) == 1
    assert result.tide is not None and not any(result.tide.counts.values())
    assert [entry.boxes for entry in result.per_class] == [1, 0]


def test_a_detection_on_a_crowd_region_is_no_mistake(case_of: Any) -> None:
    case = case_of([(1, 3, BOX), (1, 3, FAR)], [(1, 3, BOX, 0.9), (1, 3, FAR, 0.8), (1, 7, FAR, 0.7)])
    case.truth["annotations"][1]["iscrowd"] = 1
    case.annotations_file.write_text(json.dumps(case.truth))
    result = evaluate(case.annotations_file, case.predictions_file)
    assert result.boxes == 1
    assert result.metrics["bbox/best_f1"] == 1
    assert result.confusion is not None and result.confusion.matrix == ((1, 0, 0), (0, 0, 0), (0, 0, 0))


def test_two_classes_of_one_name_keep_apart(case_of: Any) -> None:
    case = case_of([(1, 3, BOX), (2, 7, FAR)], [(1, 3, BOX, 0.9)])
    case.truth["categories"][1]["name"] = "short"
    case.annotations_file.write_text(json.dumps(case.truth))
    metrics = evaluate(case.annotations_file, case.predictions_file).metrics
    assert metrics["bbox/AP/short (3)"] == pytest.approx(1)
    assert metrics["bbox/AP/short (7)"] == 0


def test_without_detail_the_numbers_are_the_same(make_case: Any) -> None:
    case = make_case(7)
    full = evaluate(case.annotations_file, case.predictions_file, iou_thresholds=[0.33])
    brief = evaluate(case.annotations_file, case.predictions_file, iou_thresholds=[0.33], detail=False)
    assert brief.metrics == full.metrics and brief.stats == full.stats
    assert brief.tide is None and brief.confusion is None and not brief.pr_curves


def test_nothing_is_printed(case_of: Any, capfd: pytest.CaptureFixture[str]) -> None:
    case = case_of([(1, 3, BOX)], [(1, 3, BOX, 0.9)])
    del case.truth["categories"][0]["name"]  # hotcoco has a word to say about this
    case.annotations_file.write_text(json.dumps(case.truth))
    assert evaluate(case.annotations_file, case.predictions_file).per_class[0].name == "class 3"
    print("still here", file=sys.stderr)
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == "still here\n"


def test_eval_json_on_disk(make_case: Any, tmp_path: Path) -> None:
    case = make_case(11)
    result = evaluate(case.annotations_file, case.predictions_file)
    atomic_write_json(tmp_path / "eval.json", result.to_json())
    assert read_json(tmp_path / "eval.json") == result.to_json()


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, runner.evaluation as e; light = {'numpy', 'hotcoco', 'PIL'} & set(sys.modules); e.evaluate; "
        "print(sorted(light), sorted({'torch', 'pycocotools', 'matplotlib', 'cv2', 'scipy'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    answer = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert answer.stdout.split("\n")[0] == "[] []"
