"""Labels of YOLO sources: what is in a line, which file belongs to which image, and what the numbers of the classes mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.data.formats.base import Loaded
from runner.data.formats.yolo import load


def _notes(loaded: Loaded) -> dict[str, tuple[int, str]]:
    return {note.what: (note.count, note.example) for note in loaded.notes}


def _one(folder: Path, make_picture: Any, line: str, yaml: str = "names: [a, b]\n") -> Path:
    (folder / "data.yaml").write_text(yaml)
    make_picture(folder / "images" / "0.jpg", (100, 50))
    (folder / "labels").mkdir()
    (folder / "labels" / "0.txt").write_text(line)
    return folder


@pytest.mark.parametrize(
    ("shape", "line"),
    [
        ("[2, 2]", "0 .5 .5 .2 .2 .45 .45 .55 .55"),
        ("[1, 2]", "0 .5 .5 .2 .2 .1 .1"),
        ("[2, 3]", "0 .5 .5 .2 .2 .45 .45 2 0 0 0"),
        ("[4, 3]", "0 .5 .5 .2 .2 .1 .1 2 .9 .9 2 0 0 0 0 0 0"),
        ("[2, 2]", "0 .5 .5 .2 .2"),
    ],
)
def test_keypoints_do_not_change_the_box(tmp_path: Path, make_picture: Any, shape: str, line: str) -> None:
    loaded = load(_one(tmp_path, make_picture, line, f"names: [a, b]\nkpt_shape: {shape}\n"), ())
    assert loaded.items[0].boxes.round(6).tolist() == [[40, 20, 60, 30]]
    assert ("keypoints (the boxes are kept)" in _notes(loaded)) == (len(line.split()) > 5)


@pytest.mark.parametrize(
    ("shape", "word"), [("[2, 3]", r"0\.txt:1.*6 numbers of keypoints"), ("[2]", "kpt_shape"), ("[x, 2]", "kpt_shape")]
)
def test_wrong_keypoints_are_named(tmp_path: Path, make_picture: Any, shape: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        load(_one(tmp_path, make_picture, "0 .5 .5 .2 .2 .45 .45 .55 .55", f"names: [a]\nkpt_shape: {shape}\n"), ())


@pytest.mark.parametrize("confidence", ["9.1e-05", "1E-7", "0.5", ".5", "1", "1.000", "0"])
def test_confidences_in_any_notation(tmp_path: Path, make_picture: Any, confidence: str) -> None:
    loaded = load(_one(tmp_path, make_picture, f"0 .5 .5 .2 .2 {confidence}\n"), ())
    assert loaded.items[0].boxes.round(6).tolist() == [[40, 20, 60, 30]]
    assert "confidences behind the boxes of labels" in _notes(loaded)


def test_polygons_are_noted(tmp_path: Path, make_picture: Any) -> None:
    notes = _notes(load(_one(tmp_path, make_picture, "0 .1 .1 .3 .1 .3 .4\n1 .5 .5 .1 .1\n"), ()))
    assert notes["polygons, of which the boxes are taken"] == (1, "labels/0.txt:1: 0 .1 .1 .3 .1 .3 .4")


def test_a_label_file_of_two_images_is_noted(tmp_path: Path, make_picture: Any) -> None:
    make_picture(_one(tmp_path, make_picture, "0 .5 .5 .1 .1") / "images" / "0.png")
    assert _notes(load(tmp_path, ()))["label files that several images share"] == (1, "labels/0.txt: 0.jpg, 0.png")


@pytest.mark.parametrize("folder", ["images", "Images", "JPEGImages", "VOC2007/JPEGImages"])
def test_labels_of_ultralytics_and_darknets_folders(tmp_path: Path, make_picture: Any, folder: str) -> None:
    (tmp_path / "classes.txt").write_text("a\n")
    make_picture(tmp_path / folder / "0.jpg")
    labels = (tmp_path / folder).parent / "labels"
    labels.mkdir()
    (labels / "0.txt").write_text("0 .5 .5 .1 .1\n")
    (labels / "classes.txt").write_text("a\n")
    loaded = load(tmp_path, ())
    assert len(loaded.items[0].boxes) == 1 and set(_notes(loaded)) == {"images"}


def test_labels_beside_images_that_are_not_there(tmp_path: Path, make_picture: Any) -> None:
    (tmp_path / "classes.txt").write_text("a\n")
    make_picture(tmp_path / "0.jpg")
    for name, text in (("0", "0 .5 .5 .1 .1"), ("9", "0 .5 .5 .1 .1"), ("readme", "5 images of boards, cut by hand"), ("empty", "")):
        (tmp_path / f"{name}.txt").write_text(text)
    assert _notes(load(tmp_path, ()))["label files without an image"] == (1, "9.txt")


def _two(folder: Path, make_picture: Any, first: str, second: str) -> Path:
    for name, side, classes in (("0", "train", first), ("1", "val", second)):
        make_picture(folder / side / f"{name}.jpg")
        (folder / side / f"{name}.txt").write_text("0 .5 .5 .1 .1\n")
        (folder / side / "classes.txt").write_text(classes)
    return folder


def test_class_files_that_disagree(tmp_path: Path, make_picture: Any) -> None:
    with pytest.raises(InputError, match=r"its classes are b, a; those of .*train/classes\.txt are a, b"):
        load(_two(tmp_path, make_picture, "a\nb\n", "b\na\n"), ())


@pytest.mark.parametrize(("first", "second"), [("a\nb\n", "a\nb\n"), ("a\nb\n", "a\n"), ("a\nb\n", "a\nb\nc\n")])
def test_class_files_that_agree(tmp_path: Path, make_picture: Any, first: str, second: str) -> None:
    assert load(_two(tmp_path, make_picture, first, second), ()).classes == ("a", "b")


def test_a_class_file_that_disagrees_with_data_yaml(tmp_path: Path, make_picture: Any) -> None:
    _one(tmp_path, make_picture, "0 .5 .5 .1 .1")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "classes.txt").write_text("b\na\n")  # stands beside no label
    assert load(tmp_path, ()).classes == ("a", "b")
    (tmp_path / "labels" / "classes.txt").write_text("b\na\n")
    with pytest.raises(InputError, match=r"its classes are b, a; those of .*data\.yaml are a, b"):
        load(tmp_path, ())


def test_jpeg_by_other_suffixes_and_pictures_that_are_not_read(tmp_path: Path, make_picture: Any) -> None:
    (tmp_path / "classes.txt").write_text("a\n")
    make_picture(tmp_path / "0.jpg").rename(tmp_path / "0.jfif")
    for name in "012":
        (tmp_path / f"{name}.txt").write_text("0 .5 .5 .1 .1\n")
    (tmp_path / "1.gif").write_bytes(b"GIF89a")
    loaded = load(tmp_path, ())
    assert [item.path.name for item in loaded.items] == ["0.jfif"]
    assert _notes(loaded)["pictures of types that are not read; save them as PNG or JPEG"] == (1, "1.gif")
    assert _notes(loaded)["label files without an image"] == (2, "1.txt")


def test_a_list_that_names_a_folder(tmp_path: Path, make_picture: Any) -> None:
    _one(tmp_path, make_picture, "0 .5 .5 .1 .1", "names: [a]\ntrain: train.txt\n")
    (tmp_path / "train.txt").write_text("images/0.jpg\nimages\n")
    with pytest.raises(InputError, match=r"train\.txt:2: names 'images', which is a folder; expected an image"):
        load(tmp_path, ())
