"""Pictures of an evaluation: which there are, what is in them, and what happens without the images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runner.core.errors import InputError
from runner.data.coco import CocoSet, load_coco
from runner.data.colours import class_colour
from runner.evaluation import evaluate
from runner.evaluation.pictures import FILES, check_folder, write_pictures
from runner.evaluation.result import Evaluation
from runner.evaluation.worst import draw_worst, judge_images, part_around

NAMES = ("short", "mouse bite – 鼠", "[bold]spur")
RIGHT: dict[str, Any] = {"image_id": 1, "category_id": 3, "bbox": [10, 10, 20, 20], "score": 0.9}
WRONG: dict[str, Any] = {"image_id": 1, "category_id": 3, "bbox": [50, 50, 20, 20], "score": 0.9}
FALSE: dict[str, Any] = {"image_id": 2, "category_id": 7, "bbox": [100, 60, 15, 15], "score": 0.9}


def make_set(folder: Path, sizes: dict[int, tuple[int, int]]) -> CocoSet:
    """Two boxes in image 1 (a short, a mouse bite), one spur in each other image; all images white."""
    (folder / "images").mkdir(parents=True)
    ids = (3, 7, 9)
    boxes = [(1, 3, [10, 10, 20, 20]), (1, 7, [50, 50, 20, 20]), *((image, 9, [5, 5, 10, 10]) for image in sizes if image != 1)]
    document = {
        "images": [{"id": image, "width": w, "height": h, "file_name": f"im {image}.png"} for image, (w, h) in sizes.items()],
        "categories": [{"id": number, "name": name} for number, name in zip(ids, NAMES, strict=True)],
        "annotations": [
            {"id": index + 1, "image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for index, (image, category, box) in enumerate(boxes)
        ],
    }
    for image, size in sizes.items():
        Image.new("RGB", size, (255, 255, 255)).save(folder / "images" / f"im {image}.png")
    (folder / "val.json").write_text(json.dumps(document), encoding="utf-8")
    return load_coco(folder / "val.json", folder / "images", allow_empty=True)


@pytest.fixture
def data(tmp_path: Path) -> CocoSet:
    return make_set(tmp_path / "data", {1: (160, 120), 2: (160, 120), 3: (160, 120)})


@pytest.fixture
def found(data: CocoSet) -> Evaluation:
    return evaluate(data.anno_path, [RIGHT, WRONG, FALSE])


def colours(path: Path) -> set[Any]:
    with Image.open(path) as picture:
        return {colour for _, colour in picture.getcolors(1 << 24) or ()}


def test_all_pictures_are_written_in_the_classes_colours(data: CocoSet, found: Evaluation, tmp_path: Path) -> None:
    files, unreadable = write_pictures(found.to_json(), tmp_path / "out", "a run", data, [RIGHT, WRONG, FALSE])
    assert [file.name for file in files] == list(FILES) and unreadable == []
    for file in files:
        with Image.open(file) as picture:
            assert picture.format == "PNG" and picture.width > 600
    every = {class_colour(index) for index in range(3)}
    assert every <= colours(tmp_path / "out" / "confusion.png")
    assert every <= colours(tmp_path / "out" / "pr_curves.png")
    assert {class_colour(2)} <= colours(tmp_path / "out" / "missed.png") & every  # both spurs
    assert class_colour(1) in colours(tmp_path / "out" / "false_alarms.png")


def test_images_are_judged_as_the_confusion_matrix_counts(data: CocoSet, found: Evaluation) -> None:
    assert found.confusion is not None
    threshold = found.confusion.score_threshold
    judged = judge_images(data, [RIGHT, WRONG, FALSE], threshold=threshold, iou=found.confusion.iou)
    counts = {kind: [len(one.errors(kind)) for one in judged] for kind in ("missed", "false", "confused")}  # type: ignore[arg-type]
    matrix = np.array(found.confusion.matrix)
    assert sum(counts["missed"]) == matrix[:-1, -1].sum()
    assert sum(counts["false"]) == matrix[-1, :-1].sum()
    assert sum(counts["confused"]) == matrix[:-1, :-1].sum() - matrix[:-1, :-1].trace()
    low = judge_images(data, [RIGHT, WRONG, FALSE], threshold=0.0, iou=0.5)
    assert [[len(one.errors(kind)) for one in low] for kind in ("missed", "false", "confused")] == [[0, 1, 1], [0, 1, 0], [1, 0, 0]]


def test_without_the_images_the_tiles_show_the_boxes(data: CocoSet, found: Evaluation, tmp_path: Path) -> None:
    gone = replace(data, image_dir=tmp_path / "gone")
    _, unreadable = write_pictures(found.to_json(), tmp_path / "out", "a run", gone, [RIGHT, WRONG, FALSE])
    assert str(tmp_path / "gone" / "im 2.png") in unreadable and len(unreadable) == len(set(unreadable))
    assert class_colour(2) in colours(tmp_path / "out" / "missed.png")


def test_without_the_annotations_there_are_the_charts(found: Evaluation, tmp_path: Path) -> None:
    files, _ = write_pictures(found.to_json(), tmp_path / "out", "a run", None, ())
    assert [file.name for file in files] == ["confusion.png", "pr_curves.png", "errors.png"]


def test_a_run_without_a_detection_has_pictures(data: CocoSet, tmp_path: Path) -> None:
    nothing = evaluate(data.anno_path, [])
    files, _ = write_pictures(nothing.to_json(), tmp_path / "out", "a run", data, [])
    assert len(files) == len(FILES)


def test_a_sheet_without_a_case_says_so(data: CocoSet) -> None:
    judged = judge_images(data, [], threshold=0.5, iou=0.5)
    for kind in ("false", "confused"):
        picture, _ = draw_worst(data, judged, kind, "a run", "a rule")  # type: ignore[arg-type]
        assert picture.width > picture.height > 84
        assert (np.asarray(picture)[84:] < 128).any(), kind  # text below the heading


def test_many_classes_are_cut_to_those_with_the_most_errors(found: Evaluation, tmp_path: Path) -> None:
    result = found.to_json()
    names = [f"class {number}" for number in range(90)]
    matrix = np.diag(np.arange(91))
    matrix[40, 41] = 5
    result["confusion"] = {**result["confusion"], "names": [*names, "background"], "matrix": matrix.tolist()}
    curve = {"precision": [0.5] * 101, "score": [0.5] * 101}
    result["pr_curves"] = dict.fromkeys(names, curve)
    result["per_class"] = [{**result["per_class"][0], "name": name, "ap50": 0.5} for name in names]
    write_pictures(result, tmp_path / "out", "a run", None, ())
    with Image.open(tmp_path / "out" / "confusion.png") as picture:
        assert picture.width < 3000


def test_an_evaluation_without_boxes_has_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs an evaluation of boxes"):
        write_pictures({"metrics": {"score": 0.5}}, tmp_path / "out", "a run", None, ())
    assert not (tmp_path / "out").exists()


def test_files_that_are_there_are_kept(tmp_path: Path) -> None:
    check_folder(tmp_path / "new" / "folder", False)
    assert not (tmp_path / "new").exists()
    (tmp_path / "missed.png").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"missed\.png would be overwritten; .* --force"):
        check_folder(tmp_path, False)
    check_folder(tmp_path, True)
    with pytest.raises(InputError, match="is not a folder that can be written"):
        check_folder(tmp_path / "missed.png" / "x", False)


@pytest.mark.parametrize(
    ("boxes", "size", "part"),
    [
        ([[10, 20, 30, 30]], (3000, 2000), (0, 0, 480, 480)),
        ([[1500, 1000, 10, 10], [1600, 1100, 10, 10]], (3000, 2000), (1315, 815, 1795, 1295)),
        ([[1000, 500, 500, 500]], (3000, 900), (850, 100, 1650, 900)),
        ([[0, 0, 10, 10], [2990, 1990, 10, 10]], (3000, 2000), (0, 0, 3000, 2000)),
        ([[3, 3, 5, 5]], (640, 640), (0, 0, 640, 640)),
    ],
)
def test_a_large_image_shows_the_part_with_the_errors(boxes: Any, size: Any, part: Any) -> None:
    assert part_around(boxes, size) == part
