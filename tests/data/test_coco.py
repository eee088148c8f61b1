from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.errors import InputError
from runner.data.annotations import scan
from runner.data.coco import fingerprint, load_coco
from runner.data.cocofile import read_annotations

Document = dict[str, Any]


def test_arrays_order_and_gaps(coco_source: tuple[Path, Path]) -> None:
    data = load_coco(*coco_source, allow_empty=True)
    assert [image.file_name for image in data.images] == ["im 0.png", "im 1.png", "im 2.png"]
    assert data.class_names == ("short", "open") and data.category_ids.tolist() == [7, 3]
    first, second, third = data.images
    assert first.boxes.dtype == np.float32 and first.classes.dtype == np.int64 and first.is_crowd.dtype == np.bool_
    assert first.boxes.tolist() == [[2, 3, 12, 11.5], [3, 3, 13, 11.5]]
    assert first.classes.tolist() == [0, 1]
    assert second.is_crowd.tolist() == [False, True]
    assert third.boxes.shape == (0, 4) and not third.has_objects
    assert data.path(first).is_file()


def test_allow_empty_sample_num_and_empty_ratio(coco_source: tuple[Path, Path], make_document: Callable[..., Document]) -> None:
    path, images = coco_source
    assert [image.id for image in load_coco(path, images).images] == [0, 10]
    assert [image.id for image in load_coco(path, images, sample_num=1).images] == [0]
    assert len(load_coco(path, images, allow_empty=True, sample_num=-1).images) == 3

    document = make_document()
    document["images"] += [{"id": 1000 + k, "file_name": "im 0.png", "width": 40, "height": 30} for k in range(20)]
    path.write_text(json.dumps(document))
    half = load_coco(path, images, allow_empty=True, empty_ratio=0.5)
    assert len(half.images) == 4 and sum(image.has_objects for image in half.images) == 2
    assert [image.id for image in half.images] == [image.id for image in load_coco(path, images, allow_empty=True, empty_ratio=0.5).images]


def test_an_image_with_only_crowd_boxes_counts_as_empty(coco_source: tuple[Path, Path], make_document: Callable[..., Document]) -> None:
    path, images = coco_source
    document = make_document()
    for annotation in document["annotations"]:
        annotation["iscrowd"] = 1
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="none of the 3 images has a box"):
        load_coco(path, images)
    assert len(load_coco(path, images, allow_empty=True).images) == 3


def test_what_is_left_out_is_said(coco_source: tuple[Path, Path], make_document: Callable[..., Document]) -> None:
    path, images = coco_source
    document = make_document()
    document["annotations"][0]["bbox"] = [1, 1, 0, 5]
    document["annotations"][1]["ignore"] = 1
    path.write_text(json.dumps(document))
    data = load_coco(path, images, allow_empty=True)
    assert len(data.images[0].boxes) == 0
    assert len(data.notes) == 2 and "1 boxes without width" in data.notes[0]


def test_every_problem_at_once(coco_source: tuple[Path, Path], make_document: Callable[..., Document]) -> None:
    path, images = coco_source
    document = make_document()
    document["images"].append({"id": 0, "file_name": "again.png", "width": 4, "height": 4})
    document["images"].append({"id": 77, "file_name": "flat.png", "width": 0, "height": 4})
    document["categories"].append({"id": 7, "name": "third"})
    document["annotations"][0]["image_id"] = 999
    document["annotations"][1]["category_id"] = 1
    document["annotations"][2]["bbox"] = [1, 2, "3", 4]
    document["annotations"][3]["id"] = 1
    document["annotations"].append({"id": True, "image_id": 0, "category_id": 7, "bbox": [0, 0, 1, 1]})
    path.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        load_coco(path, images)
    messages = [problem.message for problem in caught.value.problems]
    assert messages == [
        "1 of 5 images repeat an id: 0 (entry 3); make ids unique",
        "1 of 5 images have a width or height that is not a whole number ≥ 1: 'flat.png': 0 x 4 (entry 4)",
        "1 of 3 categories repeat an id: 7 (entry 2); make ids unique",
        "1 of 5 annotations name an image that is not listed: image_id 999 (entry 0)",
        "1 of 5 annotations name a category that is not listed: category_id 1 (entry 1)",
        "1 of 5 annotations have a bbox that is not [x, y, width, height] in finite numbers: [1, 2, '3', 4] (entry 2)",
        "1 of 5 annotations repeat an id: 1 (entry 3); make ids unique",
        "1 of 5 annotations have no id that is a whole number: True (entry 4)",
    ]
    assert all(str(path) in problem.where for problem in caught.value.problems)


def test_problems_are_counted_by_kind(coco_source: tuple[Path, Path], make_document: Callable[..., Document]) -> None:
    path, images = coco_source
    document = make_document(images=60)
    for annotation in document["annotations"]:
        annotation["image_id"] += 1
    path.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        load_coco(path, images)
    assert [problem.message for problem in caught.value.problems] == [
        "118 of 118 annotations name an image that is not listed: image_id 1 (entry 0), image_id 1 (entry 1), image_id 11 (entry 2), …"
    ]


def test_images_missing_or_outside(coco_source: tuple[Path, Path], make_document: Callable[..., Document]) -> None:
    path, images = coco_source
    (images / "im 1.png").unlink()
    with pytest.raises(InputError, match="1 of 3 images are missing: .*im 1.png"):
        load_coco(path, images)
    assert len(load_coco(path, images, check_images=False).images) == 2
    with pytest.raises(InputError, match="image folder .* does not exist"):
        load_coco(path, images / "nowhere")
    document = make_document()
    document["images"][0]["file_name"] = "../../etc/passwd"
    document["images"][1]["file_name"] = "/etc/passwd"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        load_coco(path, images)
    assert "2 of 3 images have a file_name that leads out" in str(caught.value)


def test_cut_off_at_every_byte(coco_source: tuple[Path, Path]) -> None:
    path, _ = coco_source
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(InputError) as caught:
            read_annotations(path)
        text = str(caught.value)
        assert f"{path}:" in text and f"of {length:,}" in text
        assert "cut off" in text or "empty" in text or data[:length].rstrip().endswith(b"}")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_of_json(coco_source: tuple[Path, Path], encoding: str) -> None:
    path, _ = coco_source
    document = read_annotations(path)
    text = json.dumps(document | {"info": {"title": "ü板"}}, ensure_ascii=False)
    path.write_bytes(text.encode(encoding))
    assert read_annotations(path, any_encoding=True)["info"] == {"title": "ü板"}
    if encoding != "utf-8-sig":
        with pytest.raises(InputError, match=r"UTF-(16|32).* text, expected UTF-8; save it as UTF-8, or convert it by runner data prepare"):
            read_annotations(path)
    path.write_bytes(text[:-20].encode(encoding))
    with pytest.raises(InputError, match="the file is cut off"):
        read_annotations(path, any_encoding=True)
    path.write_bytes(b"\0" * 4096)
    with pytest.raises(InputError, match="at byte 0 of 4,096: the file is cut off"):
        read_annotations(path)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("NaN", "NaN at character 54, after '{\"area\":', is not a usable number"),
        ("-Infinity", "-Infinity at"),
        ("1" + "0" * 5000, "1000000000…, a number of 5,001 digits at"),
    ],
)
def test_the_place_of_a_number_that_is_none(tmp_path: Path, value: str, words: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(f'{{"info": "NaN \\" Infinity",\n"annotations": [\n{{"area": {value}}}]}}')
    with pytest.raises(InputError) as caught:
        read_annotations(path)
    assert str(caught.value).startswith(f"{path}:3: ") and words in str(caught.value) and "set_int" not in str(caught.value)


def test_line_and_byte_of_broken_json(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes('{"ü":\n 1,\n "b": nope}\n'.encode())
    with pytest.raises(InputError, match=r"broken.json:3: invalid JSON at byte 17 "):
        read_annotations(path)
    path.write_bytes(b'{"a": "\xff\xfe"}')
    with pytest.raises(InputError, match="byte 7 of 11: not UTF-8"):
        read_annotations(path)
    for text, word in (("[1]", "got a list"), ('{"a": NaN}', "NaN"), ("[" * 100_000, "JSON|nested"), ("{}", None)):
        path.write_text(text)
        if word is None:
            assert read_annotations(path) == {}
        else:
            with pytest.raises(InputError, match=word):
                read_annotations(path)
    with pytest.raises(InputError, match="missing"):
        read_annotations(tmp_path / "none.json")


@settings(max_examples=150)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "image_id", "bbox", "file_name", "name", "images", "annotations", "categories"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_scan_survives_any_document(value: Any) -> None:
    document = value if isinstance(value, dict) else {"images": [value], "annotations": [value], "categories": [value]}
    tables, faults = scan(document)
    assert faults
    assert len(tables.boxes) == len(tables.image_index)


def test_fingerprint(coco_source: tuple[Path, Path]) -> None:
    path, images = coco_source
    first = fingerprint(path, images)
    assert first == fingerprint(str(path), str(images)) and len(first) == 64
    (images / "unrelated.png").write_bytes(b"x")
    os.utime(images / "im 0.png", (1, 1))
    assert fingerprint(path, images) == first
    with open(images / "im 0.png", "ab") as file:
        file.write(b"x")
    second = fingerprint(path, images)
    assert second != first
    path.write_text(path.read_text() + " ")
    assert fingerprint(path, images) not in (first, second)
    (images / "im 0.png").unlink()
    with pytest.raises(InputError, match="missing"):
        fingerprint(path, images)


def test_100k_annotations_are_fast(tmp_path: Path) -> None:
    document = {
        "images": [{"id": k, "file_name": f"{k}.jpg", "width": 640, "height": 480} for k in range(10_000)],
        "annotations": [
            {
                "id": k,
                "image_id": k % 10_000,
                "category_id": k % 80,
                "bbox": [k % 500, 20.5, 30.25, 40],
                "area": 1,
                "iscrowd": 0,
            }
            for k in range(100_000)
        ],
        "categories": [{"id": k, "name": f"c{k}"} for k in range(80)],
    }
    path = tmp_path / "big.json"
    path.write_text(json.dumps(document))
    start = time.process_time()
    data = load_coco(path, tmp_path, check_images=False)
    assert time.process_time() - start < 4  # 0.6 s on an idle machine; room for a busy one
    assert sum(len(image.boxes) for image in data.images) == 100_000


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_a_list_that_stands_twice_is_refused(coco_source: tuple[Path, Path], key: str) -> None:
    path, images = coco_source
    text = path.read_text()
    for within in ('"info": {"images": 3, "annotations": 4, "categories": 2}', '"info": "\\"annotations\\": 3"'):
        path.write_text(f"{{{within}, {text[1:]}")
        assert load_coco(path, images).images  # elsewhere the words mean nothing
    path.write_text(f'{text.rstrip()[:-1]}, "{key}": []}}')
    with pytest.raises(InputError, match=f"the list '{key}' is given 2 times"):
        load_coco(path, images)
