from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.data.formats.base import Loaded
from runner.data.formats.voc import load
from runner.data.prepare import prepare


def _voc(folder: Path, make: tuple[Any, Any], *stems: str, images: str = "JPEGImages", xml: str = "Annotations") -> None:
    make_picture, make_xml = make
    (folder / xml).mkdir(parents=True, exist_ok=True)
    for number, stem in enumerate(stems):
        make_picture(folder / images / f"{stem}.jpg", seed=number)
        (folder / xml / f"{stem}.xml").write_text(make_xml(f"{stem}.jpg", [("spur", 3, 4, 12, 14)]))


def _lists(loaded: Loaded) -> dict[str, list[str]]:
    return {name: [loaded.items[index].path.stem for index in one.members] for name, one in loaded.lists.items()}


@pytest.fixture
def make(make_picture: Any, make_xml: Any) -> tuple[Any, Any]:
    return make_picture, make_xml


def test_names_with_spaces_and_numbers(tmp_path: Path, make: Any) -> None:
    _voc(tmp_path, make, "board 0", "board 1", "board 2", "p", "p 3", "ü.v2")
    main = tmp_path / "imagesets" / "MAIN"
    main.mkdir(parents=True)
    (main / "train.txt").write_text("board 0\r\nboard 1\r\n\r\n")
    (main / "val.txt").write_text("board 2.jpg\np 3\nJPEGImages/ü.v2.jpg\n")
    (main / "spur_val.txt").write_text("board 2  1\np -1\np 3  0\n")
    assert _lists(load(tmp_path, ())) == {
        "train": ["board 0", "board 1"],
        "val": ["board 2", "p 3", "ü.v2"],
        "spur_val": ["board 2", "p 3", "p"],
    }


def test_an_entry_that_matches_no_image_is_named(tmp_path: Path, make: Any, root: Path) -> None:
    source = tmp_path / "source"
    _voc(source, make, "a 1", "a 2", "b")
    make[0](source / "JPEGImages" / "no xml.jpg")
    (source / "ImageSets" / "Main").mkdir(parents=True)
    (source / "ImageSets" / "Main" / "train.txt").write_text("a 1\nno xml\n")
    (source / "ImageSets" / "Main" / "val.txt").write_text("a 2\nb 1\n")
    with pytest.raises(InputError, match=r"val\.txt:2: the entry 'b 1' matches no image"):
        prepare("voc", source, root)
    (source / "ImageSets" / "Main" / "val.txt").write_text("a 2\n")
    manifest = prepare("voc", source, root)
    assert manifest.splits["val"].lists == ("ImageSets/Main/val.txt",) and manifest.splits["train"].images == 1
    assert "left out: images without an XML file: 1, e.g. JPEGImages/no xml.jpg" in map(str, manifest.notes)


@pytest.mark.parametrize("nested", ["", "dataset/set/"])
@pytest.mark.parametrize(
    "pattern",
    [
        "./images/{0}.jpg ./annotations/{0}.xml",
        "images/{0}.jpg\tannotations/{0}.xml",
        "images\\{0}.jpg annotations\\{0}.xml",
        "/away/images/{0}.jpg /away/annotations/{0}.xml",
        "{0}",
    ],
)
def test_paddledetections_lists(tmp_path: Path, make: Any, root: Path, nested: str, pattern: str) -> None:
    source = tmp_path / "source"
    place = source / nested
    _voc(place, make, *(f"road {number}" for number in range(5)), images="images", xml="annotations")
    (place / "label_list.txt").write_text("spur\n")
    for name, numbers in (("train", (0, 1, 2)), ("valid", (3,)), ("test", (4,))):
        (place / f"{name}.txt").write_text("".join(pattern.format(f"road {number}") + "\n" for number in numbers))
    manifest = prepare("voc", source, root)
    assert {split: facts.images for split, facts in manifest.splits.items()} == {"train": 3, "val": 1, "test": 1}
    assert manifest.splits["val"].lists == (f"{nested}valid.txt",)


def test_a_text_file_that_is_no_list_is_noted(tmp_path: Path, make: Any) -> None:
    _voc(tmp_path, make, "a", "b")
    (tmp_path / "train.txt").write_text("loss 0.3\nloss 0.2\n")
    loaded = load(tmp_path, ())
    assert not loaded.lists
    assert "text files that look like lists" in str(loaded.notes[-1]) and loaded.notes[-1].example == "train.txt"


def test_same_stems_in_class_folders_by_path(tmp_path: Path, make: Any) -> None:
    for kind in ("x", "y"):
        _voc(tmp_path, make, "1", images=f"images/{kind}", xml=f"annotations/{kind}")
    (tmp_path / "train.txt").write_text("images/x/1.jpg annotations/x/1.xml\n")
    (tmp_path / "val.txt").write_text("images/y/1.jpg annotations/y/1.xml\n")
    loaded = load(tmp_path, ())
    assert {name: one.members for name, one in loaded.lists.items()} == {"train": (0,), "val": (1,)}
