"""Files that cannot be evaluated: one InputError that names everything wrong, and files that only look so."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.core.errors import InputError
from runner.evaluation import evaluate

BOX = [10.0, 10.0, 40.0, 40.0]
GOOD = {"image_id": 1, "category_id": 3, "bbox": BOX, "score": 0.9}


@pytest.fixture
def case(case_of: Any) -> Any:
    return case_of([(1, 3, BOX)], [(1, 3, BOX, 0.9)])


def fails(case: Any, predictions: Path | list[Any] | None = None, **arguments: Any) -> str:
    """The message of the InputError that these predictions (default: the case's file) end in."""
    with pytest.raises(InputError) as caught:
        evaluate(case.annotations_file, case.predictions_file if predictions is None else predictions, **arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_id": 99}, "image_id 99 (entry 1)"),
        ({"image_id": "1"}, "image_id '1' (entry 1)"),
        ({"image_id": True}, "image_id True (entry 1)"),
        ({"image_id": None}, "image_id None (entry 1)"),
        ({"image_id": 0.5}, "image_id 0.5 (entry 1)"),
        ({"category_id": 4}, "category_id 4 (entry 1); category ids are those of the annotations (3, 7)"),
        ({"category_id": -3}, "category_id -3 (entry 1)"),
        ({"bbox": [10, 10, math.nan, 5]}, "[10, 10, nan, 5] (entry 1)"),
        ({"bbox": [10, 10, math.inf, 5]}, "[10, 10, inf, 5] (entry 1)"),
        ({"bbox": [10, 10, "20", 5]}, "[10, 10, '20', 5] (entry 1)"),
        ({"bbox": [10, 10, 20]}, "[10, 10, 20] (entry 1)"),
        ({"bbox": [10, 10, -20, 5]}, "[10, 10, -20, 5] (entry 1)"),
        ({"bbox": [10, 10, -20, -5]}, "[10, 10, -20, -5] (entry 1)"),
        ({"bbox": [-10, 10, 20, -5]}, "[-10, 10, 20, -5] (entry 1)"),
        ({"bbox": [10, 10, 20, 10**400]}, "(entry 1)"),
        ({"bbox": None}, "None (entry 1)"),
        ({"bbox": "abcd"}, "'abcd' (entry 1)"),
        ({"score": "0.9"}, "'0.9' (entry 1)"),
        ({"score": None}, "None (entry 1)"),
        ({"score": math.nan}, "nan (entry 1)"),
        ({"score": False}, "False (entry 1)"),
    ],
)
def test_a_bad_prediction_is_named(case: Any, change: dict[str, Any], said: str, capfd: Any) -> None:
    entries = [GOOD, {**GOOD, **change}]
    case.predictions_file.write_text(json.dumps(entries))
    for predictions, where in ((case.predictions_file, str(case.predictions_file)), (entries, "predictions: ")):
        message = fails(case, predictions)
        assert message.startswith(where) and "1 of 2 predictions" in message and said in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("missing", ["image_id", "category_id", "bbox", "score"])
def test_a_missing_key_is_named(case: Any, missing: str) -> None:
    entries = [{key: value for key, value in GOOD.items() if key != missing}, GOOD]
    case.predictions_file.write_text(json.dumps(entries))
    assert "1 of 2 predictions" in fails(case) and "None (entry 0)" in fails(case, entries)


def test_all_problems_at_once_with_their_number(case: Any) -> None:
    entries: list[Any] = [{**GOOD, "image_id": 50 + i} for i in range(5)] + [{**GOOD, "score": None}, 7, GOOD]
    with pytest.raises(InputError) as caught:
        evaluate(case.annotations_file, entries)
    messages = [str(problem) for problem in caught.value.problems]
    assert len(messages) == 3
    assert "5 of 8 predictions name an image that the annotations do not have: image_id 50 (entry 0)" in messages[0]
    assert messages[0].count("image_id") == 3 and "…" in messages[0]
    assert "1 of 8 predictions are no objects: entry 6 is a number" in messages[2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (json.dumps([GOOD] * 9)[:200], "cut off or not JSON"),
        (json.dumps([GOOD])[:-1], "cut off or not JSON"),
        ("", "is empty"),
        ("\n", "is empty"),
        (json.dumps(GOOD), "expected a list of predictions, got an object"),
        ("null", "got null"),
        ("[" * 100_000, "not JSON"),
        (b"[\xff]", "not JSON in UTF-8"),
    ],
)
def test_a_file_that_is_no_list_of_predictions(case: Any, content: str | bytes, said: str) -> None:
    case.predictions_file.write_bytes(content if isinstance(content, bytes) else content.encode())
    message = fails(case)
    assert str(case.predictions_file) in message and said in message


def test_missing_files_and_folders(case: Any, tmp_path: Path) -> None:
    assert "does not exist" in fails(case, tmp_path / "no.json")
    assert "is a folder" in fails(case, tmp_path)
    case.annotations_file.unlink()
    assert "annotations file does not exist" in fails(case)


def test_arguments_out_of_range(case: Any) -> None:
    assert "1.5, 0" in fails(case, iou_thresholds=[0.5, 1.5, 0])
    assert "2 of the images to evaluate are not in the annotations: 5, 9" in fails(case, image_ids=[1, 9, 5])
    assert "no images" in fails(case, image_ids=[])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.pop("images"), "need the list 'images'"),
        (lambda data: data.pop("annotations"), "need the list 'annotations'"),
        (lambda data: data.update(categories=[]), "'categories' is empty"),
        (lambda data: data["annotations"][0].update(image_id=9), "image_id 9 (entry 0)"),
        (lambda data: data["annotations"][0].update(category_id=9), "category_id 9 (entry 0)"),
        (
            lambda data: data["annotations"][0].update(bbox=[1, 2, -3, -4]),
            "1 of 1 annotations have a bbox that is not [x, y, width, height] with sizes of 0 or more",
        ),
        (lambda data: data["annotations"][0].pop("bbox"), "None (entry 0)"),
        (lambda data: data["annotations"][0].update(iscrowd="no"), "iscrowd that is neither 0 nor 1: 'no' (entry 0)"),
        (lambda data: data["annotations"][0].update(area="big"), "'big' (entry 0)"),
        (lambda data: data["images"].append(data["images"][0]), "1 of 3 images repeat an id: 1 (entry 2)"),
        (
            lambda data: data["categories"].append({"id": "8"}),
            "1 of 3 categories have no id that is a whole number ≥ 0: '8'",
        ),
    ],
)
def test_bad_annotations_are_named(case: Any, change: Any, said: str, capfd: Any) -> None:
    change(case.truth)
    case.annotations_file.write_text(json.dumps(case.truth))
    message = fails(case)
    assert str(case.annotations_file) in message and said in message
    assert capfd.readouterr() == ("", "")


def test_annotations_cut_off(case: Any) -> None:
    text = case.annotations_file.read_text()
    case.annotations_file.write_text(text[: len(text) // 2])
    assert "cut off or not JSON" in fails(case) and f"{case.annotations_file}:1" in fails(case)


def test_what_hotcoco_refuses_or_misreads_though_it_is_fine(case: Any) -> None:
    expected = evaluate(case.annotations_file, case.predictions_file)
    case.truth["info"] = {"year": "2020", "contributor": 7}  # hotcoco wants a number there
    case.truth["annotations"][0].update(id="a1", image_id=1.0, area=None, iscrowd=False)
    case.annotations_file.write_text(json.dumps(case.truth))
    entries = [{**GOOD, "image_id": 1.0, "segmentation": None, "note": '"score"'}]
    case.predictions_file.write_text(json.dumps(entries, indent=1))
    assert evaluate(case.annotations_file, case.predictions_file) == expected
    arrays = [
        {
            "image_id": np.int64(1),
            "category_id": np.int32(3),
            "bbox": np.array(BOX, np.float32),
            "score": np.float64(0.9),
        }
    ]
    assert evaluate(case.annotations_file, arrays) == expected


def test_a_missing_area_is_that_of_the_box(case: Any) -> None:
    expected = evaluate(case.annotations_file, case.predictions_file)
    assert expected.metrics["bbox/APm"] == pytest.approx(1)
    del case.truth["annotations"][0]["area"]
    case.annotations_file.write_text(json.dumps(case.truth))
    assert evaluate(case.annotations_file, case.predictions_file) == expected


def test_a_prediction_without_area_and_one_outside_the_image_are_results_like_others(case: Any) -> None:
    odd = [{**GOOD, "bbox": [10, 10, 0, 5], "score": 1e-05}, {**GOOD, "bbox": [-5.5, -3, 10, 10], "score": 0.2}]
    case.predictions_file.write_text(json.dumps([GOOD, *odd]))
    result = evaluate(case.annotations_file, case.predictions_file)
    assert result.detections == 3 and result.metrics["bbox/AP"] == pytest.approx(1)
