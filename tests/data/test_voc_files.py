"""What is in VOC's XML files, and which image each belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.data.formats.base import Loaded
from runner.data.formats.voc import load

_BOXES = [("a", 1, 1, 9, 9), ("b", 11, 11, 19, 19)]


def _notes(loaded: Loaded) -> dict[str, tuple[int, str]]:
    return {note.what: (note.count, note.example) for note in loaded.notes}


def _source(folder: Path, make_picture: Any, text: str) -> Path:
    make_picture(folder / "0.jpg")
    (folder / "0.xml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("before", "after"),
    [("<object>", "<Object>"), ("<bndbox>", "<BndBox>"), ("<xmin>", "<XMin>"), ("<name>", "<Name>"), ("<annotation>", "<Annotation>")],
)
def test_tags_in_another_case_are_read(tmp_path: Path, make_picture: Any, make_xml: Any, before: str, after: str) -> None:
    text = make_xml("0.jpg", _BOXES).replace(before, after).replace(before.replace("<", "</"), after.replace("<", "</"))
    loaded = load(_source(tmp_path, make_picture, text), ())
    assert loaded.items[0].boxes.tolist() == [[0, 0, 9, 9], [10, 10, 19, 19]] and loaded.classes == ("a", "b")
    assert _notes(loaded)["XML tags that are not in lower case, taken as if"][1] == f"0.xml: {after}"


def test_objects_in_a_wrapper_are_read(tmp_path: Path, make_picture: Any, make_xml: Any) -> None:
    text = make_xml("0.jpg", _BOXES).replace("<object>", "<objects><object>").replace("</object>", "</object></objects>")
    assert load(_source(tmp_path, make_picture, text), ()).items[0].boxes.tolist() == [[0, 0, 9, 9], [10, 10, 19, 19]]


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ("</bndbox>", "</bndbox><bndbox><xmin>2</xmin></bndbox>", "'a' has 2 of <bndbox>, expected one"),
        ("</name>", "</name><name>c</name>", "'a' has 2 of <name>"),
        ("</xmin>", "</xmin><xmin>5</xmin>", "'a' has 2 of <bndbox/xmin>"),
        ("</filename>", "</filename><filename>1.jpg</filename>", "the annotation has 2 of <filename>, expected one"),
        ("</size>", "</size><size><width>4</width><height>3</height></size>", "the annotation has 2 of <size>"),
        ("</object>", "</object><part><object/></part>", "2 of its objects are not directly in <annotation>"),
    ],
)
def test_content_that_would_be_dropped_is_refused(
    tmp_path: Path, make_picture: Any, make_xml: Any, before: str, after: str, word: str
) -> None:
    text = make_xml("0.jpg", _BOXES).replace(before, after)
    with pytest.raises(InputError, match=word) as caught:
        load(_source(tmp_path, make_picture, text), ())
    assert "0.xml" in str(caught.value)


def _pairs(folder: Path, make_picture: Any, make_xml: Any, *names: str) -> Path:
    for name in names:
        path = folder / name
        if path.suffix == ".xml":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(make_xml(f"{path.stem}.jpg", _BOXES))
        else:
            make_picture(path)
    return folder


_FOLDERS = "XML files whose image lies in another folder than those of their neighbours, found by its name"


@pytest.mark.parametrize(
    ("names", "noted"),
    [
        (("A/0.jpg", "A/0.xml", "A/1.jpg", "A/1.xml", "A/2.jpg", "B/3.jpg", "B/3.xml", "B/4.jpg", "B/4.xml", "B/2.xml"), True),
        (
            ("x/A/0.jpg", "y/A/0.xml", "x/A/1.jpg", "y/A/1.xml", "x/A/2.jpg", *(f"{k}/B/{n}" for n in (3, 4) for k in "xy"), "y/B/2.xml"),
            True,
        ),
        (("x/0.jpg", "x/A/1.jpg", "x/A/2.jpg", "y/0.xml", "y/1.xml", "y/2.xml"), False),
        (("x/0.jpg", "x/1.jpg", "x/2.jpg", "y/0.xml", "y/A/1.xml", "y/A/2.xml"), False),
    ],
)
def test_an_image_of_another_folder_is_noted(tmp_path: Path, make_picture: Any, make_xml: Any, names: tuple[str, ...], noted: bool) -> None:
    names = tuple(name if "." in name else f"{name}.{'jpg' if name[0] == 'x' else 'xml'}" for name in names)
    notes = _notes(load(_pairs(tmp_path, make_picture, make_xml, *names), ()))
    assert (_FOLDERS in notes) == noted
    if noted:
        assert notes[_FOLDERS][0] == 1 and "B/2.xml for" in notes[_FOLDERS][1]


def test_a_file_that_names_another_image_is_noted(tmp_path: Path, make_picture: Any, make_xml: Any) -> None:
    _pairs(tmp_path, make_picture, make_xml, "0.jpg", "0.xml", "1.jpg", "1.xml", "2.jpg", "2.xml")
    (tmp_path / "0.xml").write_text(make_xml("sub\\1.jpg", _BOXES))
    (tmp_path / "2.xml").write_text(make_xml("gone.jpg", _BOXES))
    loaded = load(tmp_path, ())
    assert [item.path.name for item in loaded.items] == ["0.jpg", "1.jpg", "2.jpg"]
    what = "XML files that name another image than the one called as they are, which is taken"
    assert _notes(loaded)[what] == (1, "0.xml: 1.jpg instead of 0.jpg")


def test_jpeg_by_other_suffixes_and_pictures_that_are_not_read(tmp_path: Path, make_picture: Any, make_xml: Any) -> None:
    _pairs(tmp_path, make_picture, make_xml, "0.jpg", "0.xml", "1.xml", "2.xml")
    (tmp_path / "0.jpg").rename(tmp_path / "0.jfif")
    for name in ("1.JPE", "2.gif"):
        (tmp_path / name).write_bytes((tmp_path / "0.jfif").read_bytes())
    with pytest.raises(InputError, match=r"2\.gif is of a type that is not read: save it as PNG or JPEG"):
        load(tmp_path, ())
    (tmp_path / "2.xml").unlink()
    loaded = load(tmp_path, ())
    assert [item.path.name for item in loaded.items] == ["0.jfif", "1.JPE"]
    assert _notes(loaded)["pictures of types that are not read; save them as PNG or JPEG"] == (1, "2.gif")
