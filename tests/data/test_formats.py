from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.data.formats import FORMATS
from runner.data.formats.base import Loaded, NotThisFormat
from runner.data.formats.coco import load as load_coco_source
from runner.data.formats.deeppcb import CLASSES as DEEPPCB_CLASSES
from runner.data.formats.deeppcb import load as load_deeppcb
from runner.data.formats.voc import load as load_voc
from runner.data.formats.yolo import load as load_yolo


def _members(loaded: Loaded) -> dict[str, tuple[int, ...]]:
    return {name: one.members for name, one in loaded.lists.items()}


def _notes(loaded: Loaded) -> dict[tuple[str, str], tuple[int, str]]:
    return {(note.kind, note.what): (note.count, note.example) for note in loaded.notes}


def test_registry() -> None:
    assert FORMATS.names() == ["coco", "deeppcb", "voc", "yolo"]
    assert FORMATS.get("voc") is load_voc


@pytest.mark.parametrize("name", ["coco", "deeppcb", "voc", "yolo"])
def test_an_empty_folder_is_no_format(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotThisFormat):
        FORMATS.get(name)(tmp_path, ())


# VOC


def test_voc_boxes_count_from_one_and_difficult_is_crowd(nasty: Path, make_picture: Any, make_xml: Any) -> None:
    make_picture(nasty / "JPEGImages" / "a.png")
    (nasty / "Annotations").mkdir()
    xml = make_xml("a.png", [("dog", 1, 1, 40, 30), ("cat", 3, 4, 12, 14)])
    (nasty / "Annotations" / "a.xml").write_text(xml.replace("<difficult>0", "<difficult>1", 1))
    loaded = load_voc(nasty, ())
    assert loaded.classes == ("cat", "dog")
    (item,) = loaded.items
    assert item.boxes.tolist() == [[0, 0, 40, 30], [2, 3, 12, 14]]
    assert item.classes.tolist() == [1, 0] and item.crowd.tolist() == [True, False]
    assert item.areas.tolist() == [1200, 110] and not loaded.lists


def test_voc_own_lists_and_labels(tmp_path: Path, make_picture: Any, make_xml: Any) -> None:
    for year, lists in (("VOC2007", ("trainval", "test")), ("VOC2012", ("trainval", "val"))):
        base = tmp_path / "VOCdevkit" / year
        (base / "Annotations").mkdir(parents=True)
        (base / "ImageSets" / "Main").mkdir(parents=True)
        for stem, name in zip(("000001", "000002"), lists, strict=True):
            make_picture(base / "JPEGImages" / f"{stem}.jpg", seed=len(stem))
            (base / "Annotations" / f"{stem}.xml").write_text(make_xml(f"{stem}.jpg", [("b", 1, 1, 5, 5)]))
            (base / "ImageSets" / "Main" / f"{name}.txt").write_text(f"{stem} -1\n")
    (tmp_path / "labels.txt").write_text("b\na\n")
    loaded = load_voc(tmp_path, ())
    assert loaded.classes == ("b", "a")
    assert [(item.path.parts[-3], item.path.stem) for item in loaded.items] == [
        ("VOC2007", "000001"),
        ("VOC2007", "000002"),
        ("VOC2012", "000001"),
        ("VOC2012", "000002"),
    ]
    assert {name: one.members for name, one in loaded.lists.items()} == {"trainval": (0, 2), "test": (1,), "val": (3,)}
    folder = "VOCdevkit/{}/ImageSets/Main/trainval.txt"
    assert loaded.lists["trainval"].files == (folder.format("VOC2007"), folder.format("VOC2012"))


def test_voc_the_same_stem_in_class_folders(tmp_path: Path, make_picture: Any, make_xml: Any) -> None:
    for kind in ("a", "b"):
        make_picture(tmp_path / "images" / kind / "1.jpg")
        (tmp_path / "Annotations" / kind).mkdir(parents=True)
        (tmp_path / "Annotations" / kind / "1.xml").write_text(make_xml("1.jpg", [(kind, 2, 2, 9, 9)]))
    loaded = load_voc(tmp_path, ())
    assert [item.path.parent.name for item in loaded.items] == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda text: text[: len(text) // 2], "truncated"),
        (lambda text: text.replace("<xmin>3", "<xmin>x"), "four numbers"),
        (lambda text: text.replace("<xmin>3", "<xmin>inf"), "four numbers"),
        (lambda text: text.replace("<xmin>3", "<xmin>1_3"), "four numbers"),
        (lambda text: text.replace("<width>40", "<width>4_0"), "expected a number, got '4_0'"),
        (lambda text: text.replace("<difficult>0", "<difficult>perhaps"), "difficult to be 0 or 1"),
        (lambda text: text.replace("<xmin>3</xmin>", ""), "four numbers"),
        (lambda text: text.replace("<name>short</name>", ""), "no name"),
        (lambda text: text.replace("short", "shirt"), "shirt"),
        (lambda text: '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + text, "entities"),
    ],
)
def test_voc_bad_files_are_named(tmp_path: Path, make_picture: Any, make_xml: Any, change: Callable[[str], str], word: str) -> None:
    make_picture(tmp_path / "a.jpg")
    make_picture(tmp_path / "b.jpg")
    (tmp_path / "a.xml").write_text(make_xml("a.jpg", [("short", 3, 4, 12, 14)]))
    (tmp_path / "b.xml").write_text(change(make_xml("b.jpg", [("short", 3, 4, 12, 14)])))
    with pytest.raises(InputError, match=word) as caught:
        load_voc(tmp_path, ("short",))
    assert "b.xml" in str(caught.value)


def test_voc_takes_boxes_as_they_are(tmp_path: Path, make_picture: Any, make_xml: Any) -> None:
    make_picture(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_text(make_xml("a.jpg", [("short", 0, 4, 41, 14), ("short", 9, 9, 3, 12)]))
    assert load_voc(tmp_path, ()).items[0].boxes.tolist() == [[-1, 3, 41, 14], [8, 8, 3, 12]]  # runner.data.boxes has the rule
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(InputError, match="not below the source"):
        load_voc(tmp_path, ())


# COCO


def _article(folder: Path, document: dict[str, Any], make_picture: Any) -> None:
    (folder / "Annotations").mkdir()
    for k in range(3):
        make_picture(folder / "images" / f"im {k}.png", seed=k)
    for name in ("train", "val"):
        (folder / "Annotations" / f"{name}.json").write_text(json.dumps(document))


def test_coco_in_the_articles_layout(nasty: Path, make_document: Any, make_picture: Any) -> None:
    _article(nasty, make_document(), make_picture)
    loaded = load_coco_source(nasty, ())
    assert loaded.classes == ("short", "open") and loaded.category_ids == (7, 3)
    assert _members(loaded) == {"train": (0, 1, 2), "val": (3, 4, 5)}
    assert loaded.items[1].crowd.tolist() == [False, True] and loaded.items[2].boxes.shape == (0, 4)
    again = load_coco_source(nasty, ("open", "short"))
    assert again.category_ids == (3, 7) and again.items[0].classes.tolist() == [1, 0]
    with pytest.raises(InputError, match="the spec expects"):
        load_coco_source(nasty, ("open", "spur"))


def test_coco_2017_layout_and_a_single_file(tmp_path: Path, make_document: Any, make_picture: Any) -> None:
    (tmp_path / "annotations").mkdir()
    for year, k in (("train2017", 0), ("val2017", 1)):
        document = make_document()
        document["images"] = document["images"][k : k + 1]
        document["annotations"] = [one for one in document["annotations"] if one["image_id"] == k * 10]
        (tmp_path / "annotations" / f"instances_{year}.json").write_text(json.dumps(document))
        make_picture(tmp_path / year / f"im {k}.png")
    assert [item.path.parent.name for item in load_coco_source(tmp_path, ()).items] == ["train2017", "val2017"]
    (tmp_path / "annotations" / "instances_val2017.json").unlink()
    loaded = load_coco_source(tmp_path, ())
    assert len(loaded.items) == 1 and not loaded.lists


def test_coco_problems(tmp_path: Path, make_document: Any, make_picture: Any) -> None:
    _article(tmp_path, make_document(), make_picture)
    (tmp_path / "images" / "im 1.png").unlink()
    with pytest.raises(InputError, match="im 1.png is missing"):
        load_coco_source(tmp_path, ())
    document = make_document()
    document["categories"][0]["name"] = "other"
    (tmp_path / "Annotations" / "val.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="categories differ"):
        load_coco_source(tmp_path, ())
    document["images"][0]["file_name"] = "../../outside.png"
    for name in ("train", "val"):
        (tmp_path / "Annotations" / f"{name}.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="leads out"):
        load_coco_source(tmp_path, ())


# YOLO


def test_yolo_with_description(nasty: Path, make_picture: Any) -> None:
    (nasty / "data.yaml").write_text("path: .\ntrain: images/train\nval: ../images/val\nnames: {0: open, 1: short}\n")
    make_picture(nasty / "images" / "train" / "a.jpg")
    make_picture(nasty / "images" / "train" / "empty.jpg")
    make_picture(nasty / "images" / "val" / "b.jpg")
    make_picture(nasty / "images" / "rest" / "c.jpg")
    for side in ("train", "val"):
        (nasty / "labels" / side).mkdir(parents=True)
    (nasty / "labels" / "train" / "a.txt").write_text("1 0.5 0.5 0.5 0.2\n\n0 0.1 0.1 0.3 0.1 0.3 0.4\n")
    (nasty / "labels" / "val" / "b.txt").write_text("0 0.5 0.5 1 1.0005\n")
    loaded = load_yolo(nasty, ())
    assert loaded.classes == ("open", "short")
    by_name = {item.path.name: item for item in loaded.items}
    assert sorted(by_name) == ["a.jpg", "b.jpg", "empty.jpg"]
    assert by_name["a.jpg"].boxes.round(6).tolist() == [[10, 12, 30, 18], [4, 3, 12, 12]]
    assert by_name["b.jpg"].boxes.round(6).tolist() == [[0, -0.0075, 40, 30.0075]]
    assert [loaded.items[k].path.name for k in loaded.lists["val"].members] == ["b.jpg"]
    assert len(by_name["empty.jpg"].boxes) == 0


def test_yolo_without_description(tmp_path: Path, make_picture: Any) -> None:
    (tmp_path / "classes.txt").write_text("x\ny\n")
    make_picture(tmp_path / "valid" / "images" / "b.jpg")
    make_picture(tmp_path / "train" / "images" / "a.jpg")
    (tmp_path / "train" / "labels").mkdir()
    (tmp_path / "train" / "labels" / "a.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    loaded = load_yolo(tmp_path, ())
    assert [item.path.name for item in loaded.items] == ["a.jpg", "b.jpg"] and _members(loaded) == {"train": (0,), "val": (1,)}


@pytest.mark.parametrize(
    "line",
    [
        "0 1 2 3",
        "2 .5 .5 .1 .1",
        "0.5 .5 .5 .1 .1",
        "x .5 .5 .1 .1",
        "0 nan .5 .1 .1",
        "0 120 80 30 30",
        "-1 .5 .5 .1 .1",
        "0 .5 .5 .1 .1 x",
        "0 .5 .5 .1 .1 80",
    ],
)
def test_yolo_bad_lines_are_named(tmp_path: Path, make_picture: Any, line: str) -> None:
    (tmp_path / "classes.txt").write_text("x\ny\n")
    make_picture(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text(f"0 .5 .5 .1 .1\n{line}\n")
    with pytest.raises(InputError, match=r"a\.txt:2"):
        load_yolo(tmp_path, ())


def test_yolo_confidences_are_left_out_with_a_note(tmp_path: Path, make_picture: Any) -> None:
    (tmp_path / "classes.txt").write_text("x\ny\n")
    make_picture(tmp_path / "a.jpg", (100, 50))
    (tmp_path / "a.txt").write_text("0 .5 .5 .1 .2 0.91\n1 .5 .5 .1 .2\n0 .5 .5 .1 .2 1\n")
    loaded = load_yolo(tmp_path, ())
    assert loaded.items[0].boxes.tolist() == [pytest.approx([45, 20, 55, 30])] * 3
    note = next(note for note in loaded.notes if "confidences" in note.what)
    assert (note.kind, note.count) == ("left out", 2) and note.example == "a.txt:1: 0 .5 .5 .1 .2 0.91"


def test_yolo_bad_descriptions(tmp_path: Path, make_picture: Any) -> None:
    make_picture(tmp_path / "images" / "a.jpg")
    for text, word in (
        ("names: [a]\ntrain: /etc\n", "not below"),
        ("names: {1: a}\n", "numbered"),
        ("names: 3\n", "list of class names"),
        ("[1", "YAML"),
        ("3\n", "mapping"),
    ):
        (tmp_path / "data.yaml").write_text(text)
        with pytest.raises(InputError, match=word):
            load_yolo(tmp_path, ())


# DeepPCB


def _deeppcb(folder: Path, make_picture: Any) -> Path:
    base = folder / "PCBData"
    for number, name in ((1, "trainval"), (2, "test")):
        stem = f"g/{number:05d}"
        make_picture(base / f"{stem}_test.jpg")
        (base / "g_not").mkdir(exist_ok=True)
        (base / "g_not" / f"{number:05d}.txt").write_text("1 2 11 12 1\n3,4,9,9,6\n")
        (base / f"{name}.txt").write_text(f"{stem}.jpg g_not/{number:05d}.txt\n")
    return base


def test_deeppcb(nasty: Path, make_picture: Any) -> None:
    _deeppcb(nasty, make_picture)
    loaded = load_deeppcb(nasty, DEEPPCB_CLASSES)
    assert loaded.classes == ("open", "short", "mousebite", "spur", "copper", "pin-hole")
    assert _members(loaded) == {"trainval": (0,), "test": (1,)} and loaded.split_lists == {"train": ("trainval",), "val": ("test",)}
    assert loaded.items[0].boxes.tolist() == [[1, 2, 11, 12], [3, 4, 9, 9]] and loaded.items[0].classes.tolist() == [
        0,
        5,
    ]


def test_deeppcb_problems_all_at_once(tmp_path: Path, make_picture: Any) -> None:
    base = _deeppcb(tmp_path, make_picture)
    (base / "g_not" / "00001.txt").write_text("1 2 3 4 7\n5 5 9 9 10000000000\n1 2 3\n")
    (base / "test.txt").write_text("../../x.jpg a.txt\ng/00009.jpg g_not/00009.txt\n")
    with pytest.raises(InputError) as caught:
        load_deeppcb(tmp_path, ())
    text = str(caught.value)
    for word in ("00001.txt:1", "00001.txt:2", "00001.txt:3", "test.txt:1", "test.txt:2", "missing"):
        assert word in text


def test_real_deeppcb(deeppcb_source: Path) -> None:
    loaded = load_deeppcb(deeppcb_source, ())
    assert {name: len(members) for name, members in _members(loaded).items()} == {"trainval": 789, "test": 211}
    assert sum(len(item.boxes) for item in loaded.items) == 6873
    assert {(item.width, item.height) for item in loaded.items} == {(640, 640)}


# What differs from the usual: names, encodings, cases, links


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("[NO, NC, 007]", ("NO", "NC", "007")),
        ("{0: NO, 1: 1e3, 2: 12:30}", ("NO", "1e3", "12:30")),
        ("{'0': 'yes', \"1\": ~, 2: 2024-01-01}", ("yes", "~", "2024-01-01")),
        ("\n  1: on\n  0: 0x1F\n  2: 1_0", ("0x1F", "on", "1_0")),
    ],
)
def test_yolo_names_are_what_is_written(tmp_path: Path, make_picture: Any, names: str, expected: tuple[str, ...]) -> None:
    (tmp_path / "Data.YAML").write_text(f"nc: 3\nroboflow: {{x: [1, 2]}}\nnames: {names}\n")
    make_picture(tmp_path / "Images" / "a.jpg")
    (tmp_path / "Labels").mkdir()
    (tmp_path / "Labels" / "a.txt").write_text("2 .5 .5 .1 .1\n")
    loaded = load_yolo(tmp_path, ())
    assert loaded.classes == expected and loaded.items[0].classes.tolist() == [2]


def test_yolo_classes_in_the_order_of_the_spec(tmp_path: Path, make_picture: Any) -> None:
    (tmp_path / "data.yaml").write_text("names: [a, b, c]\n")
    make_picture(tmp_path / "images" / "x.jpg")
    make_picture(tmp_path / "images" / "y.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "x.txt").write_text("0 .5 .5 .1 .1\n2 .5 .5 .1 .1\n")
    loaded = load_yolo(tmp_path, ("c", "a"))  # b has no box
    assert loaded.classes == ("c", "a") and [item.classes.tolist() for item in loaded.items] == [[1, 0], []]
    assert load_yolo(tmp_path, ("b", "c", "a")).items[0].classes.tolist() == [2, 1]
    with pytest.raises(InputError, match=r"data\.yaml: class 'a' has 1 box, and is not in the spec's classes: b, c"):
        load_yolo(tmp_path, ("b", "c"))
    with pytest.raises(InputError, match=r"has no class 'A', which the spec expects; its classes are a, b, c"):
        load_yolo(tmp_path, ("A", "c", "a"))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("names: [a, a]", "'a' is given twice"),
        ("names: [a, '']", "number 1 has no name"),
        ("names: [a, [b]]", "expected a string"),
        ("names: !!python/object/apply:os.system [id]", "tag .* is not allowed"),
        ("names: [!x a]", "tag !x is not allowed"),
        ("names: {0: a, x: b}", "numbered 0 to 1, each once, got 'x'"),
        ("names: {0: a, 0: b}", "each once"),
        ("names: [a]\nnc: 2", "data.yaml:2: nc: is 2, but names has 1"),
        ("names: [a]\nnames: [b]", "data.yaml:2: names: given twice"),
        ("names: &a [*a]", "a string|YAML"),
        ("names: " + "[" * 3000, "deeply nested|YAML"),
        ("train: images", "unknown classes"),
    ],
)
def test_yolo_descriptions_that_are_refused(tmp_path: Path, make_picture: Any, text: str, word: str) -> None:
    make_picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "data.yaml").write_text(text + "\n")
    with pytest.raises(InputError, match=word):
        load_yolo(tmp_path, ())


def test_yolo_class_file_with_a_blank_line(tmp_path: Path, make_picture: Any) -> None:
    make_picture(tmp_path / "a.jpg")
    (tmp_path / "classes.txt").write_text("x\n\ny\n")
    with pytest.raises(InputError, match=r"classes\.txt:2: blank line"):
        load_yolo(tmp_path, ())


@pytest.mark.parametrize("blank", ["", " "])
def test_yolo_many_classes_and_blank_ones(tmp_path: Path, make_picture: Any, blank: str) -> None:
    make_picture(tmp_path / "a.jpg")
    names = [f"class {number}" for number in range(30_000)]
    (tmp_path / "classes.txt").write_text("\n".join(names))
    before = time.process_time()
    assert len(load_yolo(tmp_path, ()).classes) == 30_000
    assert time.process_time() - before < 2
    (tmp_path / "classes.txt").write_text("\n".join([*names, names[7]]))
    with pytest.raises(InputError, match="class 'class 7' is given twice, as number 7 and 30000"):
        load_yolo(tmp_path, ())
    (tmp_path / "data.yaml").write_text(f"names: [x, '{blank}']\n")
    with pytest.raises(InputError, match="class number 1 has no name"):
        load_yolo(tmp_path, ())


def test_yolo_lists_with_backslashes_absolute_paths_and_what_is_left_out(tmp_path: Path, make_picture: Any) -> None:
    for name in ("a", "b", "c", "d", "e"):
        make_picture(tmp_path / "images" / f"{name} 1.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a 1.txt").write_text("0 .5 .5 .1 .1\n")
    (tmp_path / "labels" / "gone.txt").write_text("")
    (tmp_path / "data.yaml").write_text("path: .\ntrain: train.txt\nval: [val.txt]\ntest: images/d 1.jpg\nnames: [x]\n", encoding="utf-16")
    (tmp_path / "train.txt").write_bytes(b"\xef\xbb\xbfimages\\a 1.jpg\r\n.\\images\\b 1.jpg\r\n")
    (tmp_path / "val.txt").write_text(f"{tmp_path}/images/c 1.jpg\n")
    loaded = load_yolo(tmp_path, ())
    assert [item.path.name for item in loaded.items] == ["a 1.jpg", "b 1.jpg", "c 1.jpg", "d 1.jpg"]
    assert _members(loaded) == {"train": (0, 1), "val": (2,), "test": (3,)}
    notes = _notes(loaded)
    assert notes["left out", "images in none of the lists"] == (1, "images/e 1.jpg")
    assert notes["left out", "label files without an image"] == (1, "labels/gone.txt")
    assert notes["read", "images without a label file, which have no objects"] == (3, "images/b 1.jpg")
    assert notes["changed", "paths written with backslashes, taken as folders"][0] == 2
    (tmp_path / "val.txt").write_text("D:\\work\\images\\c 1.jpg\n/etc/hostname\n../../x.jpg\n")
    with pytest.raises(InputError) as caught:
        load_yolo(tmp_path, ())
    assert [("absolute path" in one.message, one.where[-9:]) for one in caught.value.problems] == [
        (True, "val.txt:1"),
        (True, "val.txt:2"),
        (False, "val.txt:3"),
    ]


def test_yolo_test_images_are_last_and_test_is_no_validation(tmp_path: Path, make_picture: Any) -> None:
    (tmp_path / "classes.txt").write_text("x\n")
    for side in ("test", "train", "valid"):
        make_picture(tmp_path / side / "images" / "a.jpg")
    loaded = load_yolo(tmp_path, ())
    assert [item.path.parts[-3] for item in loaded.items] == ["train", "valid", "test"]
    assert _members(loaded) == {"train": (0,), "val": (1,), "test": (2,)}


def test_yolo_through_linked_folders(tmp_path: Path, make_picture: Any) -> None:
    source, disk = tmp_path / "source", tmp_path / "disk"
    make_picture(disk / "a.jpg")
    make_picture(source / "pool" / "b.jpg", seed=1)
    (source / "images").mkdir(parents=True)
    (source / "images" / "train").symlink_to(disk)
    (source / "images" / "val").symlink_to(source / "pool")
    for side, name in (("train", "a"), ("val", "b")):
        (source / "labels" / side).mkdir(parents=True)
        (source / "labels" / side / f"{name}.txt").write_text("0 .5 .5 .1 .1\n")
    for text in ("names: [x]\n", "names: [x]\ntrain: images/train\nval: images/val\n"):
        (source / "data.yaml").write_text(text)
        loaded = load_yolo(source, ())
        assert [(item.path.relative_to(source).as_posix(), len(item.boxes)) for item in loaded.items] == [
            ("images/train/a.jpg", 1),
            ("images/val/b.jpg", 1),
        ]
        assert _members(loaded) == {"train": (0,), "val": (1,)}


@pytest.mark.parametrize("encoding", ["GBK", "gb2312", "utf-16", "utf-8", "ISO-8859-1", "Big5"])
def test_voc_in_the_encoding_that_the_file_declares(tmp_path: Path, make_picture: Any, make_xml: Any, encoding: str) -> None:
    name = "Lötstelle" if encoding == "ISO-8859-1" else "短路"
    make_picture(tmp_path / "a.jpg")
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n' + make_xml("a.jpg", [(name, 3, 4, 12, 14)])
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    assert load_voc(tmp_path, ()).classes == (name,)


@pytest.mark.parametrize(
    ("declared", "word"), [("utf-8", "not UTF-8 text"), ("klingon", "unknown encoding 'klingon'"), ("hex", "unknown encoding")]
)
def test_voc_in_another_encoding_than_declared(tmp_path: Path, make_picture: Any, make_xml: Any, declared: str, word: str) -> None:
    make_picture(tmp_path / "a.jpg")
    text = f'<?xml version="1.0" encoding="{declared}"?>' + make_xml("a.jpg", [("短路", 3, 4, 12, 14)])
    (tmp_path / "a.xml").write_bytes(text.encode("gbk"))
    with pytest.raises(InputError, match=word) as caught:
        load_voc(tmp_path, ())
    assert "a.xml" in str(caught.value)


def test_voc_names_that_differ_in_case_and_two_files_for_one_image(tmp_path: Path, make_picture: Any, make_xml: Any) -> None:
    make_picture(tmp_path / "jpegimages" / "Board-1.JPG")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "board-1.xml").write_text(
        make_xml("board-1.jpg", [("x", 3, 4, 12, 14)], (0, 0)).replace("0</difficult>", "1</difficult>")
    )
    (tmp_path / "annotations" / "pom.xml").write_text("<project/>")
    loaded = load_voc(tmp_path, ())
    assert loaded.items[0].path.name == "Board-1.JPG" and (loaded.items[0].width, loaded.items[0].height) == (40, 30)
    assert [(note.kind, note.example) for note in loaded.notes] == [
        ("read", "annotations/board-1.xml"),
        ("left out", "annotations/pom.xml"),
        ("changed", "board-1 = jpegimages/Board-1.JPG"),
        ("changed", "annotations/board-1.xml"),
    ]
    (tmp_path / "annotations" / "BOARD-1.xml").write_text(make_xml("board-1.jpg", [("x", 3, 4, 12, 14)]))
    with pytest.raises(InputError, match="annotates jpegimages/Board-1.JPG, as annotations/BOARD-1.xml does"):
        load_voc(tmp_path, ())


def test_coco_categories_in_another_order_are_matched_by_name(tmp_path: Path, make_document: Any, make_picture: Any) -> None:
    _article(tmp_path, make_document(), make_picture)
    document = make_document()
    document["categories"] = [{"id": 1, "name": "open"}, {"id": 2, "name": "short"}]
    for annotation in document["annotations"]:
        annotation["category_id"] = {7: 2, 3: 1}[annotation["category_id"]]
    (tmp_path / "Annotations" / "val.json").write_text(json.dumps(document))
    loaded = load_coco_source(tmp_path, ())
    assert loaded.classes == ("short", "open") and loaded.category_ids == (7, 3)
    assert [loaded.items[k].classes.tolist() for k in (0, 3)] == [[0, 1], [0, 1]]
    assert any("matched by name" in note.what and note.example == "Annotations/val.json" for note in loaded.notes)


def test_coco_test_lists_roboflow_and_what_is_left_out(tmp_path: Path, make_document: Any, make_picture: Any) -> None:
    for number, side in enumerate(("test", "train", "valid")):
        document = make_document()
        for image in document["images"]:
            image["file_name"] = f"{side}{image['file_name']}"
            make_picture(tmp_path / side / image["file_name"], seed=number)
        document["annotations"][0]["segmentation"] = [[1, 1, 2, 2, 3, 3]]
        (tmp_path / side / "_annotations.coco.json").write_text(json.dumps(document))
    make_picture(tmp_path / "train" / "stray.png")
    loaded = load_coco_source(tmp_path, ())
    assert _members(loaded) == {"train": (0, 1, 2), "test": (3, 4, 5), "valid": (6, 7, 8)}
    notes = _notes(loaded)
    assert notes["left out", "images in no annotation file"] == (1, "train/stray.png")
    assert notes["left out", "segmentations (the boxes are kept)"][0] == 3
    assert notes["read", "annotated images"][0] == 9


def test_coco_files_of_other_years_and_captions_are_named(tmp_path: Path, make_document: Any, make_picture: Any) -> None:
    _article(tmp_path, make_document(), make_picture)
    folder = tmp_path / "Annotations"
    for old, new in (("train", "instances_Train2017"), ("val", "instances_val2014")):
        (folder / f"{old}.json").rename(folder / f"{new}.json")
    for name in ("instances_val2017", "captions_val2017"):
        (folder / f"{name}.json").write_text(json.dumps(make_document()))
    loaded = load_coco_source(tmp_path, ())
    assert {name: one.files for name, one in loaded.lists.items()} == {
        "train": ("Annotations/instances_Train2017.json",),
        "val": ("Annotations/instances_val2017.json",),
    }
    assert _notes(loaded)["left out", "annotation files that are not used"] == (2, "Annotations/captions_val2017.json")


@pytest.mark.parametrize("missing", [0, 1])
def test_coco_missing_images_are_named_alike(tmp_path: Path, make_document: Any, make_picture: Any, missing: int) -> None:
    _article(tmp_path, make_document(), make_picture)
    (tmp_path / "images" / f"im {missing}.png").unlink()
    with pytest.raises(InputError, match=f"the image images/im {missing}.png is missing"):
        load_coco_source(tmp_path, ())
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="the image 'im 0.png' is missing, and so are all 3"):
        load_coco_source(tmp_path, ())


@pytest.mark.parametrize("name", ["../outside.png", "images/../../outside.png", "/etc/hostname", "C:\\x.png", "..\\outside.png"])
@pytest.mark.parametrize("place", [0, 2])
def test_coco_names_that_lead_out(tmp_path: Path, make_document: Any, make_picture: Any, name: str, place: int) -> None:
    source = tmp_path / "source"
    source.mkdir()
    make_picture(tmp_path / "outside.png")
    document = make_document()
    document["images"][place]["file_name"] = name
    _article(source, document, make_picture)
    with pytest.raises(InputError, match="leads out of the image folder"):
        load_coco_source(source, ())


@pytest.mark.parametrize("prefix", ["", "./", "data/"])
def test_darknets_list_files_beside_the_classes(tmp_path: Path, make_picture: Any, prefix: str) -> None:
    (tmp_path / "obj.names").write_text("x\n")
    (tmp_path / "obj.data").write_text("classes = 1\ntrain = data/train.txt\n")
    for name in ("a", "b", "c 1"):
        make_picture(tmp_path / "obj_train_data" / f"{name}.jpg")
        (tmp_path / "obj_train_data" / f"{name}.txt").write_text("0 .5 .5 .1 .1\n")
    (tmp_path / "train.txt").write_text(f"{prefix}obj_train_data/a.jpg\n{prefix}obj_train_data/a.jpg\n")
    (tmp_path / "valid.txt").write_text(f"{prefix}obj_train_data/c 1.jpg\n")
    loaded = load_yolo(tmp_path, ())
    assert [item.path.name for item in loaded.items] == ["a.jpg", "c 1.jpg"] and _members(loaded) == {"train": (0,), "valid": (1,)}
    assert loaded.lists["valid"].files == ("valid.txt",)
    notes = _notes(loaded)
    assert notes["left out", "lines of lists that name an image once more"][0] == 1
    assert notes["left out", "images in none of the lists"] == (1, "obj_train_data/b.jpg")
    assert notes["left out", "descriptions that are not used"] == (1, "obj.data")
    assert (("changed", "paths of lists whose first folder is not there, taken without it") in notes) == (prefix == "data/")
    (tmp_path / "train.txt").write_text("/obj_train_data/a.jpg\n../obj_train_data/gone.jpg\n")
    with pytest.raises(InputError, match=r"train\.txt:1: .*absolute[\s\S]*train\.txt:2"):
        load_yolo(tmp_path, ())


def test_the_description_nearest_to_the_root_is_meant(tmp_path: Path, make_picture: Any) -> None:
    make_picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "data.yaml").write_text("names: [old]\n")
    (tmp_path / "data.yaml").write_text("names: [new]\n")
    loaded = load_yolo(tmp_path, ())
    assert loaded.classes == ("new",) and _notes(loaded)["left out", "descriptions that are not used"] == (1, "backup/data.yaml")


def test_xml_files_that_are_none_of_voc(tmp_path: Path) -> None:
    (tmp_path / "pom.xml").write_text("<project/>")
    with pytest.raises(NotThisFormat, match="annotation"):
        load_voc(tmp_path, ())


def test_a_fifo_in_place_of_a_list_does_not_block(tmp_path: Path, make_picture: Any) -> None:
    make_picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "data.yaml").write_text("names: [a]\ntrain: list\n")
    os.mkfifo(tmp_path / "list")
    with pytest.raises(InputError, match="FIFO"):
        load_yolo(tmp_path, ())
