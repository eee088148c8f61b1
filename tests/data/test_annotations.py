from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.data.annotations import as_problems, scan
from runner.data.boxes import negative_sizes
from runner.evaluation.load import load_truth

Document = dict[str, Any]


def said(document: Any, **options: Any) -> list[str]:
    """The faults of a document in words."""
    return [problem.message for problem in as_problems(scan(document, **options)[1], "a.json")]


@pytest.mark.parametrize(
    ("of", "change", "message"),
    [
        ("images", {"id": None}, "1 of 3 images have no id that is a whole number ≥ 0: None (entry 0)"),
        ("images", {"id": "0"}, "1 of 3 images have no id that is a whole number ≥ 0: '0' (entry 0)"),
        ("images", {"id": 2**70}, "1 of 3 images have no id that is a whole number ≥ 0: 1180591620717411303424 (entry 0)"),
        ("images", {"file_name": ""}, "1 of 3 images have no file_name: '' (entry 0)"),
        (
            "images",
            {"file_name": "\ud83d.png"},
            "1 of 3 images have a file_name with half a character (a lone surrogate): '\\ud83d.png' (entry 0)",
        ),
        ("images", {"file_name": 7}, "1 of 3 images have no file_name: 7 (entry 0)"),
        ("images", {"width": "40"}, "1 of 3 images have a width or height that is not a whole number ≥ 1: 'im 0.png': '40' x 30 (entry 0)"),
        (
            "images",
            {"height": None},
            "1 of 3 images have a width or height that is not a whole number ≥ 1: 'im 0.png': 40 x None (entry 0)",
        ),
        ("images", {"width": 40.5}, "1 of 3 images have a width or height that is not a whole number ≥ 1: 'im 0.png': 40.5 x 30 (entry 0)"),
        (
            "images",
            {"width": 5e300},
            "1 of 3 images have a width or height that is not a whole number ≥ 1: 'im 0.png': 5e+300 x 30 (entry 0)",
        ),
        ("categories", {"id": -1}, "1 of 2 categories have no id that is a whole number ≥ 0: -1 (entry 0)"),
        ("categories", {"id": 3}, "1 of 2 categories repeat an id: 3 (entry 1); make ids unique"),
        ("categories", {"name": "open"}, "1 of 2 categories repeat a name: 'open' (entry 1); make names unique"),
        ("categories", {"name": "a\ud83d"}, "1 of 2 categories have a name with half a character (a lone surrogate): 'a\\ud83d' (entry 0)"),
        ("categories", {"name": " \n"}, "1 of 2 categories have a name that is not a string: ' \\n' (entry 0)"),
        ("categories", {"name": 7}, "1 of 2 categories have a name that is not a string: 7 (entry 0)"),
        ("annotations", {"id": 1.5}, "1 of 4 annotations have no id that is a whole number: 1.5 (entry 0)"),
        ("annotations", {"id": 2}, "1 of 4 annotations repeat an id: 2 (entry 1); make ids unique"),
        ("annotations", {"image_id": True}, "1 of 4 annotations name an image that is not listed: image_id True (entry 0)"),
        ("annotations", {"image_id": "10"}, "1 of 4 annotations name an image that is not listed: image_id '10' (entry 0)"),
        ("annotations", {"category_id": 1}, "1 of 4 annotations name a category that is not listed: category_id 1 (entry 0)"),
        ("annotations", {"area": "85"}, "1 of 4 annotations have an area that is not a number of 0 to 1e+10: '85' (entry 0)"),
        ("annotations", {"area": -85}, "1 of 4 annotations have an area that is not a number of 0 to 1e+10: -85 (entry 0)"),
        ("annotations", {"area": math.nan}, "1 of 4 annotations have an area that is not a number of 0 to 1e+10: nan (entry 0)"),
        ("annotations", {"area": 5e300}, "1 of 4 annotations have an area that is not a number of 0 to 1e+10: 5e+300 (entry 0)"),
        ("annotations", {"iscrowd": "0"}, "1 of 4 annotations have an iscrowd that is neither 0 nor 1: '0' (entry 0)"),
        ("annotations", {"iscrowd": 2}, "1 of 4 annotations have an iscrowd that is neither 0 nor 1: 2 (entry 0)"),
        ("annotations", {"iscrowd": []}, "1 of 4 annotations have an iscrowd that is neither 0 nor 1: [] (entry 0)"),
        ("annotations", {"ignore": "no"}, "1 of 4 annotations have an ignore that is neither 0 nor 1: 'no' (entry 0)"),
    ],
)
def test_what_is_wrong_with_an_entry(make_document: Callable[..., Document], of: str, change: Document, message: str) -> None:
    document = make_document()
    document[of][0].update(change)
    assert said(document)[0] == message


@pytest.mark.parametrize(
    "box",
    [
        None,
        "1 2 3 4",
        [1, 2, 3],
        [1, 2, 3, 4, 5],
        [1, 2, "3", 4],
        [1, 2, True, 4],
        [1, 2, math.nan, 4],
        [1, 2, math.inf, 4],
        [1, 2, 5e300, 4],
    ],
)
def test_what_is_no_box(make_document: Callable[..., Document], box: Any) -> None:
    document = make_document()
    document["annotations"][2]["bbox"] = box
    (message,) = said(document)
    assert message == f"1 of 4 annotations have a bbox that is not [x, y, width, height] in finite numbers: {box!r} (entry 2)"


def test_what_a_document_may_look_like(make_document: Callable[..., Document]) -> None:
    document = make_document()
    document["images"][0].update(width=40.0)
    document["categories"][0]["id"] = 7.0
    document["annotations"][0].update(id=-3, image_id=0.0, area=None, iscrowd=False)
    document["annotations"][1].update(iscrowd=1.0, ignore=None)
    del document["annotations"][2]["area"], document["annotations"][2]["iscrowd"]
    tables, faults = scan(document)
    assert not faults and tables.areas.tolist() == [85, 85, 85, 85]
    assert tables.crowd.tolist() == [False, True, False, True] and tables.categories[0] == (7, "short")


def test_what_an_entry_at_fault_has_is_known_all_the_same(make_document: Callable[..., Document]) -> None:
    document = make_document()
    document["images"][0]["width"] = 0
    document["categories"][0]["id"] = -1
    for annotation in document["annotations"]:
        annotation["category_id"] = {7: -1, 3: 3}[annotation["category_id"]]
    assert [message.split(":")[0] for message in said(document)] == [
        "1 of 3 images have a width or height that is not a whole number ≥ 1",
        "1 of 2 categories have no id that is a whole number ≥ 0",
    ]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "expected COCO annotations (an object with images, annotations and categories), got a list"),
        ({"images": [], "categories": [1], "annotations": []}, "the list 'images' is empty; at least one entry is needed"),
        ({"images": [1], "categories": [1]}, "COCO annotations need the list 'annotations'; it is missing"),
        ({"images": {}, "categories": [1], "annotations": []}, "COCO annotations need the list 'images'; it is an object"),
    ],
)
def test_what_is_no_document(document: Any, message: str) -> None:
    assert message in said(document)


VALUES = st.sampled_from(
    [None, True, False, 0, 1, 2, -1, 7, 1.0, 0.5, -0.0, 2**53, 2**63, 10**30, 5e300, "1", "", "x", [], {}, [1, 2, 3, 4]]
)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["images", "categories", "annotations"]),
        st.integers(0, 3),
        st.sampled_from(["id", "file_name", "width", "height", "name", "image_id", "category_id", "bbox", "area", "iscrowd", "ignore"]),
        VALUES | st.lists(VALUES, min_size=3, max_size=5),
    ),
    max_size=3,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_what_is_trained_on_can_be_evaluated(
    changes: list[tuple[str, int, str, Any]], make_document: Callable[..., Document], tmp_path: Path
) -> None:
    document = make_document()
    for of, index, key, value in changes:
        document[of][index % len(document[of])][key] = value
    tables, faults = scan(document)
    if faults or negative_sizes(tables):
        return
    path = tmp_path / "fuzzed.json"
    path.write_text(json.dumps(document))
    truth = load_truth(path)
    assert len(truth.get_ann_ids()) == len(tables.boxes) == 4
