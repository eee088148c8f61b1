"""The source's own lists and split folders, in every format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.data.formats.base import Loaded, NotThisFormat
from runner.data.formats.coco import load as load_coco_source
from runner.data.formats.splits import split_of_folders, split_word
from runner.data.formats.voc import load as load_voc
from runner.data.formats.yolo import load as load_yolo
from runner.data.prepare import prepare


def _members(loaded: Loaded) -> dict[str, tuple[int, ...]]:
    return {name: one.members for name, one in loaded.lists.items()}


def _counts(source: Path, name: str, root: Path) -> dict[str, int]:
    return {split: facts.images for split, facts in prepare(name, source, root).splits.items()}


def _coco(path: Path, images: Path, make: tuple[Any, Any], *names: str) -> None:
    """A COCO file with one box in each of these images."""
    make_document, make_picture = make
    document = make_document(len(names) + 1, 1)
    document["images"].pop()
    for image, name in zip(document["images"], names, strict=True):
        image["file_name"] = name
        make_picture(images / name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


@pytest.fixture
def make_coco(make_document: Any, make_picture: Any) -> tuple[Any, Any]:
    return make_document, make_picture


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("Train", "train"),
        ("train2017", "train"),
        ("val_2014", "val"),
        ("validation", "validation"),
        ("trainval", "trainval"),
        ("testbench", None),
        ("valves", None),
        ("training2", None),
    ],
)
def test_whole_names_are_splits(name: str, word: str | None) -> None:
    assert split_word(name) == word


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train_data/images/val", "val"),
        ("train_data/images", "train"),
        ("val2017/cam1", "val"),
        ("a/Valid/images", "val"),
        ("testset", "test"),
        ("images/testbench", None),
        ("images/trainers", None),
    ],
)
def test_the_nearest_folder_with_the_name_of_a_split(path: str, split: str | None) -> None:
    assert split_of_folders(path.split("/")) == split


def test_yolo_class_folders_are_no_splits(tmp_path: Path, make_picture: Any) -> None:
    for kind in ("valves", "pumps", "testbench"):
        make_picture(tmp_path / "images" / kind / "1.jpg")
    (tmp_path / "classes.txt").write_text("a\n")
    assert not load_yolo(tmp_path, ()).lists


def test_yolo_below_a_folder_with_the_name_of_a_split(tmp_path: Path, make_picture: Any) -> None:
    for side in ("train", "val"):
        make_picture(tmp_path / "train_data" / "images" / side / f"{side}.jpg")
    (tmp_path / "train_data" / "classes.txt").write_text("a\n")
    assert _members(load_yolo(tmp_path, ())) == {"train": (0,), "val": (1,)}


def test_yolo_test_list_that_was_not_exported(tmp_path: Path, make_picture: Any) -> None:
    text = "train: ../train/images\nval: ../valid/images\ntest: {}\nnames: [a]\n"
    (tmp_path / "data.yaml").write_text(text.format("../test/images"))
    for side in ("train", "valid"):
        make_picture(tmp_path / side / "images" / f"{side}.jpg")
    loaded = load_yolo(tmp_path, ())
    assert _members(loaded) == {"train": (0,), "val": (1,)}
    note = next(note for note in loaded.notes if note.what == "lists of the description that are not there")
    assert (note.kind, note.example) == ("left out", "data.yaml: test: ../test/images")
    (tmp_path / "data.yaml").write_text(text.format("../test/images").replace("valid", "vald"))
    with pytest.raises(InputError, match=r"val: '\.\./vald/images' is not below"):
        load_yolo(tmp_path, ())
    (tmp_path / "data.yaml").write_text(text.format("/etc"))
    with pytest.raises(InputError, match="test: '/etc' is an absolute path"):
        load_yolo(tmp_path, ())


def test_coco_folders_with_years(tmp_path: Path, root: Path, make_coco: Any) -> None:
    for side, count in (("train2017", 3), ("val2017", 2), ("test2017", 1)):
        folder = tmp_path / "source" / side
        _coco(folder / "_annotations.coco.json", folder, make_coco, *(f"{side}{k}.png" for k in range(count)))
    assert _counts(tmp_path / "source", "coco", root) == {"train": 3, "val": 2, "test": 1}


def test_coco_of_two_years_the_later_is_used(tmp_path: Path, make_coco: Any) -> None:
    for side in ("train2014", "train2017", "val2017"):
        folder = tmp_path / side
        _coco(folder / "_annotations.coco.json", folder, make_coco, f"{side}.png")
    loaded = load_coco_source(tmp_path, ())
    assert {name: one.files[0].split("/")[0] for name, one in loaded.lists.items()} == {"train": "train2017", "val": "val2017"}
    assert [note.example for note in loaded.notes if "are not used" in note.what] == ["train2014/_annotations.coco.json"]


@pytest.mark.parametrize(
    ("file", "images"),
    [
        ("annotations/instance_{}.json", "images"),
        ("{}/annotation_coco.json", "{}"),
        ("{}/labels.json", "{}/data"),
        ("annotations/instances_{}2017.json", "images/{}2017"),
    ],
)
def test_coco_layouts_of_other_tools(tmp_path: Path, root: Path, make_coco: Any, file: str, images: str) -> None:
    source = tmp_path / "source"
    for side, count in (("train", 3), ("val", 2)):
        _coco(source / file.format(side), source / images.format(side), make_coco, *(f"{side}{k}.png" for k in range(count)))
    assert _counts(source, "coco", root) == {"train": 3, "val": 2}


def test_coco_of_fiftyone(tmp_path: Path, make_coco: Any) -> None:
    _coco(tmp_path / "labels.json", tmp_path / "data", make_coco, "a.png", "b.png")
    loaded = load_coco_source(tmp_path, ())
    assert len(loaded.items) == 2 and not loaded.lists


def _cameras(folder: Path, make_picture: Any, make_xml: Any) -> Path:
    for camera in ("c1", "c2"):
        for number in range(3):
            make_picture(folder / "JPEGImages" / camera / f"{number}.jpg")
            xml = folder / "Annotations" / camera / f"{number}.xml"
            xml.parent.mkdir(parents=True, exist_ok=True)
            xml.write_text(make_xml(f"{number}.jpg", [("a", 3, 4, 12, 14)]))
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    return lists


def test_voc_entries_with_folders_mean_that_folder_only(tmp_path: Path, root: Path, make_picture: Any, make_xml: Any) -> None:
    lists = _cameras(tmp_path / "source", make_picture, make_xml)
    (lists / "train.txt").write_text("c1/0\nC1/1\nAnnotations\\c2\\0.xml\n")
    (lists / "val.txt").write_text("c2/1\nc1/2.jpg\n")
    assert _members(load_voc(tmp_path / "source", ())) == {"train": (0, 1, 3), "val": (2, 4)}
    assert _counts(tmp_path / "source", "voc", root) == {"train": 3, "val": 2}


def test_voc_entries_that_fit_several_folders_are_refused(tmp_path: Path, root: Path, make_picture: Any, make_xml: Any) -> None:
    lists = _cameras(tmp_path / "source", make_picture, make_xml)
    (lists / "train.txt").write_text("c1/0\n1\n")
    (lists / "val.txt").write_text("c2/2\n")
    with pytest.raises(InputError, match=r"train\.txt:2: the entry '1' fits 2 annotations, Annotations/c1/1\.xml and .*name the folder"):
        prepare("voc", tmp_path / "source", root)
    for name, text in (("train", "0\n1\n"), ("val", "2\n")):  # in lists beside the data too
        (lists / f"{name}.txt").unlink()
        (tmp_path / "source" / f"{name}.txt").write_text(text)
    with pytest.raises(InputError, match=r"train\.txt:1: the entry '0' fits 2 annotations"):
        prepare("voc", tmp_path / "source", root)


@pytest.mark.parametrize(
    ("images", "xml"), [("{}", "{}"), ("images/{}", "Annotations/{}"), ("images", "Annotations/{}"), ("{}/JPEGImages", "{}/Annotations")]
)
def test_voc_folders_of_splits(tmp_path: Path, root: Path, make_picture: Any, make_xml: Any, images: str, xml: str) -> None:
    source = tmp_path / "source"
    for side, count in (("train", 3), ("valid", 2), ("test2007", 1)):
        for number in range(count):
            make_picture(source / images.format(side) / f"{side}{number}.jpg")
            file = source / xml.format(side) / f"{side}{number}.xml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(make_xml(f"{side}{number}.jpg", [("a", 3, 4, 12, 14)]))
    assert _counts(source, "voc", root) == {"train": 3, "val": 2, "test": 1}


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (("train_list", "val_list", "test_list"), "JPEGImages/{0}.jpg Annotations/{0}.xml\n"),
        (("train", "validation", "testing"), "{0}\n"),
        (("Train2012", "val2012", "test2012"), "{0}\n"),
    ],
)
@pytest.mark.parametrize("place", ["", "ImageSets/Main"])
def test_voc_lists_of_other_names(
    tmp_path: Path, root: Path, make_picture: Any, make_xml: Any, names: tuple[str, ...], pattern: str, place: str
) -> None:
    source = tmp_path / "source"
    (source / place).mkdir(parents=True)
    (source / "Annotations").mkdir()
    for number in range(6):
        make_picture(source / "JPEGImages" / f"{number}.jpg")
        (source / "Annotations" / f"{number}.xml").write_text(make_xml(f"{number}.jpg", [("a", 3, 4, 12, 14)]))
    for name, numbers in zip(names, ((0, 1, 2), (3, 4), (5,)), strict=True):
        (source / place / f"{name}.txt").write_text("".join(pattern.format(number) for number in numbers))
    assert _counts(source, "voc", root) == {"train": 3, "val": 2, "test": 1}


@pytest.mark.parametrize("key", ["validation", "val2017"])
def test_yolo_keys_with_the_name_of_a_split_are_read_and_others_named(tmp_path: Path, make_picture: Any, root: Path, key: str) -> None:
    source = tmp_path / "source"
    for number in range(5):
        make_picture(source / "images" / f"{number}.jpg")
        (source / "images" / f"{number}.txt").write_text("0 .5 .5 .1 .1\n")
    for name, numbers in (("t", (0, 1, 2)), ("v", (3, 4)), ("mini", (4,))):
        (source / f"{name}.txt").write_text("".join(f"images/{number}.jpg\n" for number in numbers))
    (source / "images" / "0.txt").write_text("0 .5 .5 .1 .1\n")
    (source / "data.yaml").write_text(f"train: t.txt\n{key}: v.txt\nminival: mini.txt\ntask: detect\nnames: [a]\n")
    assert _counts(source, "yolo", root) == {"train": 3, "val": 2}
    note = next(note for note in load_yolo(source, ()).notes if note.kind == "left out")
    assert (note.what, note.example) == ("keys of the description that name files, but no split", "data.yaml: minival: mini.txt")


def test_yolo_description_of_another_name_if_it_is_the_only_one(tmp_path: Path, make_picture: Any) -> None:
    make_picture(tmp_path / "images" / "train" / "a.jpg")
    (tmp_path / "hyp.yaml").write_text("lr0: 0.1\n")
    (tmp_path / "coco8.yaml").write_text("train: images/train\nnames: [a]\n")
    assert _members(load_yolo(tmp_path, ())) == {"train": (0,)}
    (tmp_path / "other.yml").write_text("train: images/train\nnames: [b]\n")
    with pytest.raises(NotThisFormat, match=r"which of coco8\.yaml, other\.yml is it"):
        load_yolo(tmp_path, ())
    (tmp_path / "classes.txt").write_text("c\n")
    loaded = load_yolo(tmp_path, ())
    assert loaded.classes == ("c",)
    assert ("descriptions that are not used", 2) in [(note.what, note.count) for note in loaded.notes]


def test_yolo_of_roboflows_darknet_export(tmp_path: Path, make_picture: Any) -> None:
    for side in ("train", "valid"):
        make_picture(tmp_path / side / f"{side}.jpg")
        (tmp_path / side / f"{side}.txt").write_text("1 .5 .5 .1 .1\n")
        (tmp_path / side / "_darknet.labels").write_text("a\nb\n")
    loaded = load_yolo(tmp_path, ())
    assert loaded.classes == ("a", "b") and _members(loaded) == {"train": (0,), "val": (1,)}


def test_many_classes_are_read_in_no_time(tmp_path: Path, make_picture: Any) -> None:
    make_picture(tmp_path / "a.jpg")
    (tmp_path / "classes.txt").write_text("".join(f"class {number}\n" for number in range(100_000)))
    assert len(load_yolo(tmp_path, ()).classes) == 100_000  # took two minutes


def test_coco_files_with_some_of_the_categories(tmp_path: Path, make_coco: Any) -> None:
    for side in ("train", "val"):
        _coco(tmp_path / "annotations" / f"{side}.json", tmp_path / "images", make_coco, f"{side}.png")
    path = tmp_path / "annotations" / "val.json"
    document = json.loads(path.read_text())
    document["categories"] = [{"id": 1, "name": "open"}]
    document["annotations"][0]["category_id"] = 1
    path.write_text(json.dumps(document))
    loaded = load_coco_source(tmp_path, ())
    assert loaded.classes == ("short", "open") and loaded.items[1].classes.tolist() == [1]
    assert ("changed", "annotations/val.json: 1 of 2") in [(note.kind, note.example) for note in loaded.notes]
    path.rename(tmp_path / "kept")
    (tmp_path / "annotations" / "train.json").rename(path)
    (tmp_path / "kept").rename(tmp_path / "annotations" / "train.json")
    with pytest.raises(InputError, match=r"val\.json: its categories differ"):
        load_coco_source(tmp_path, ())


def test_coco_test_file_without_annotations_is_left_out(tmp_path: Path, root: Path, make_coco: Any) -> None:
    for side in ("train", "val", "test"):
        _coco(tmp_path / "source" / "annotations" / f"{side}.json", tmp_path / "source" / "images", make_coco, f"{side}.png")
    for side in ("test", "val"):
        path = tmp_path / "source" / "annotations" / f"{side}.json"
        document = json.loads(path.read_text())
        del document["annotations"]
        path.write_text(json.dumps(document))
        if side == "test":
            assert _counts(tmp_path / "source", "coco", root) == {"train": 1, "val": 1}
            notes = [(note.what, note.example) for note in load_coco_source(tmp_path / "source", ()).notes]
            assert ("test lists whose file has no annotations", "annotations/test.json") in notes
            assert ("images in no annotation file", "images/test.png") in notes
    with pytest.raises(InputError, match=r"val\.json: .*need the list 'annotations'"):
        load_coco_source(tmp_path / "source", ())


def test_coco_images_in_several_folders_are_noted(tmp_path: Path, make_coco: Any, make_picture: Any) -> None:
    for side in ("train", "val"):
        _coco(tmp_path / f"{side}.json", tmp_path / "images", make_coco, "a.png")
        make_picture(tmp_path / side / "a.png", seed=1)
    note = next(note for note in load_coco_source(tmp_path, ()).notes if "several folders" in note.what)
    assert (note.count, note.example) == (2, "train.json: images, train")


def test_voc_masks_are_no_images(tmp_path: Path, make_picture: Any, make_xml: Any) -> None:
    make_picture(tmp_path / "JPEGImages" / "2007_0.jpg")
    make_picture(tmp_path / "SegmentationClass" / "2007_0.png")
    (tmp_path / "Annotations").mkdir()
    for name in ("2007_0", "2007_0.jpg", ""):
        (tmp_path / "Annotations" / "2007_0.xml").write_text(make_xml(name, [("a", 3, 4, 12, 14)]))
        assert [item.path.parent.name for item in load_voc(tmp_path, ()).items] == ["JPEGImages"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_voc_xml_that_declares_utf_16(tmp_path: Path, make_picture: Any, make_xml: Any, encoding: str) -> None:
    make_picture(tmp_path / "a.jpg")
    text = '<?xml version="1.0" encoding="utf-16"?>' + make_xml("a.jpg", [("短路", 3, 4, 12, 14)])
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    assert load_voc(tmp_path, ()).classes == ("短路",)


def test_coco_of_one_file_with_images_in_folders_of_splits(tmp_path: Path, root: Path, make_coco: Any) -> None:
    names = ("train/a.png", "train/b.png", "valid/a.png", "test2017/a.png")
    _coco(tmp_path / "source" / "result.json", tmp_path / "source" / "images", make_coco, *names)
    assert _counts(tmp_path / "source", "coco", root) == {"train": 2, "val": 1, "test": 1}
    _coco(tmp_path / "one" / "result.json", tmp_path / "one" / "images", make_coco, *names[:2])
    assert not load_coco_source(tmp_path / "one", ()).lists
