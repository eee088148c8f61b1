from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runner.core.errors import InputError
from runner.data.annotations import as_problems
from runner.data.boxes import settle
from runner.data.formats.base import Item, Loaded, SourceList, make_item
from runner.data.headers import other_sizes
from runner.data.manifest import read_manifest
from runner.data.prepare import prepare
from runner.data.spec import apply_options, find_spec, load_spec

SOURCE = Path("src")


def loaded(*boxes: tuple[float, float, float, float]) -> Loaded:
    """An image of 40 x 30 with these boxes (xyxy)."""
    return Loaded(("a",), (make_item(Path("im.png"), (40, 30), [(0, *box, False) for box in boxes]),))


def boxes_of(one: Loaded) -> Any:
    """The boxes of its image."""
    return one.items[0].boxes.tolist()


def test_boxes_within_their_image_stay_as_they_are() -> None:
    given = loaded((0, 0, 40, 30), (1.25, 2, 3, 4))
    assert settle(given, SOURCE).items[0] is given.items[0] and not settle(given, SOURCE).notes


def test_up_to_a_pixel_is_clipped_with_a_note() -> None:
    found = settle(loaded((-1, 3, 41, 14), (5, 5, 9, 30.3), (1, 1, 40.001, 9)), SOURCE)
    assert boxes_of(found) == [[0, 3, 40, 14], [5, 5, 9, 30], [1, 1, 40, 9]]
    assert found.items[0].areas.tolist() == [440, 100, 312]
    (note,) = found.notes
    assert (note.kind, note.count) == ("changed", 2) and note.example == "im.png (40 x 30): x -1 to 41, y 3 to 14"


def test_an_area_that_is_not_the_boxs_own_stays() -> None:
    item = loaded((-1, 3, 41, 14)).items[0]
    mask = Item(**{**{name: getattr(item, name) for name in item.__slots__}, "areas": np.array([17.0])})
    assert settle(Loaded(("a",), (mask,)), SOURCE).items[0].areas.tolist() == [17]


def test_further_out_is_an_error_that_names_the_option() -> None:
    with pytest.raises(InputError) as caught:
        settle(loaded((-5.5, 3, 12, 14), (1, 1, 5, 5), (38, 3, 45, 14), (50, 40, 60, 50)), SOURCE)
    text = str(caught.value)
    assert "src: 3 of 4 boxes extend beyond their image by more than 1 pixel: im.png (40 x 30): x -5.5 to 12, y 3 to 14, " in text
    assert "boxes_outside: clip | drop" in text


def test_clip_and_drop() -> None:
    given = loaded((-5.5, 3, 12, 14), (1, 1, 5, 5), (50, 40, 60, 50), (-0.5, 1, 9, 9))
    clipped = settle(given, SOURCE, "clip")
    assert boxes_of(clipped) == [[0, 3, 12, 14], [1, 1, 5, 5], [0, 1, 9, 9]]
    assert [(note.kind, note.count) for note in clipped.notes] == [("left out", 1), ("changed", 1), ("changed", 1)]
    dropped = settle(given, SOURCE, "drop")
    assert boxes_of(dropped) == [[1, 1, 5, 5], [0, 1, 9, 9]] and dropped.items[0].areas.tolist() == [16, 72]
    assert [(note.kind, note.count) for note in dropped.notes] == [("left out", 2), ("changed", 1)]


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (9, 5, 5, 9), (5, 5, 9, 5.0001), (40, 3, 41, 9), (45, 3, 45, 9)])
def test_without_width_or_height(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="1 of 2 boxes have no width or no height: im.png .*boxes_empty: drop"):
        settle(loaded(box, (1, 1, 5, 5)), SOURCE)
    assert boxes_of(settle(loaded(box, (1, 1, 5, 5)), SOURCE, empty="drop")) == [[1, 1, 5, 5]]


def test_images_that_become_background_are_counted() -> None:
    notes = settle(loaded((5, 5, 5, 9)), SOURCE, empty="drop").notes
    assert [(note.what, note.count) for note in notes] == [
        ("boxes without width or height", 1),
        ("images that have no box left and so count as background", 1),
    ]


# ------------------------------------------------------------------------------------------------------------- each format
def _coco(folder: Path, box: tuple[float, float, float, float]) -> None:
    x1, y1, x2, y2 = box
    images = [{"id": k, "file_name": f"{k}.png", "width": 40, "height": 30} for k in range(2)]
    rows = [{"id": k + 1, "image_id": k, "category_id": 1, "bbox": [1, 1, 5, 5], "area": 25, "iscrowd": 0} for k in range(2)]
    rows.append({"id": 3, "image_id": 0, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "area": 1, "iscrowd": 0})
    (folder / "a.json").write_text(json.dumps({"images": images, "annotations": rows, "categories": [{"id": 1, "name": "short"}]}))


def _voc(folder: Path, box: tuple[float, float, float, float]) -> None:
    x1, y1, x2, y2 = box
    for k in range(2):
        corners = [(2, 2, 6, 6)] + ([(x1 + 1, y1 + 1, x2, y2)] if k == 0 else [])
        names = [zip(("xmin", "ymin", "xmax", "ymax"), one, strict=True) for one in corners]
        objects = [
            f"<object><name>short</name><bndbox>{''.join(f'<{key}>{value}</{key}>' for key, value in one)}</bndbox></object>"
            for one in names
        ]
        (folder / f"{k}.xml").write_text(f"<annotation><filename>{k}.png</filename>{''.join(objects)}</annotation>")


def _yolo(folder: Path, box: tuple[float, float, float, float]) -> None:
    (folder / "classes.txt").write_text("short\n")
    for k in range(2):
        boxes = [(1, 1, 6, 6)] + ([box] if k == 0 else [])
        rows = [f"0 {(x1 + x2) / 80} {(y1 + y2) / 60} {(x2 - x1) / 40} {(y2 - y1) / 30}" for x1, y1, x2, y2 in boxes]
        (folder / f"{k}.txt").write_text("\n".join(rows))


def _deeppcb(folder: Path, box: tuple[float, float, float, float]) -> None:
    for k, name in enumerate(("trainval", "test")):
        rows = [(1, 1, 6, 6)] + ([box] if k == 0 else [])
        (folder / f"{k}.txt").write_text("\n".join(f"{x1} {y1} {x2} {y2} 1" for x1, y1, x2, y2 in rows))
        (folder / f"{name}.txt").write_text(f"{k}.png {k}.txt\n")


@pytest.mark.parametrize(("name", "write"), [("coco", _coco), ("voc", _voc), ("yolo", _yolo), ("deeppcb", _deeppcb)])
def test_one_rule_for_every_format(
    tmp_path: Path, root: Path, make_picture: Any, name: str, write: Callable[[Path, tuple[float, float, float, float]], None]
) -> None:
    source, val = tmp_path / "src", {"val": 1}
    for k in range(2):
        make_picture(source / f"{k}.png")
    write(source, (30, 3, 41, 9))
    manifest = prepare(name, source, root, options=val)
    assert sum(side.boxes for side in manifest.splits.values()) == 3 and any("clipped" in note.what for note in manifest.notes)
    write(source, (30, 3, 47, 9))
    with pytest.raises(InputError, match=r"1 of 3 boxes extend beyond .*0\.png \(40 x 30\): x 30 to 47, y 3 to 9.*boxes_outside: clip"):
        prepare(name, source, root, options=val, force=True)
    manifest = prepare(name, source, root, options={**val, "boxes_outside": "drop"}, force=True)
    assert sum(side.boxes for side in manifest.splits.values()) == 2 and manifest.boxes_outside == "drop"
    write(source, (30, 3, 30, 9))
    with pytest.raises(InputError, match=r"1 of 3 boxes have no width or no height: 0\.png .*boxes_empty: drop"):
        prepare(name, source, root, options=val, force=True)
    manifest = prepare(name, source, root, options={**val, "boxes_empty": "drop"}, force=True)
    assert sum(side.boxes for side in manifest.splits.values()) == 2
    kept = read_manifest(root / name)
    assert kept is not None and (kept.boxes_outside, kept.boxes_empty) == ("", "drop")


def test_the_keys_of_a_spec(tmp_path: Path) -> None:
    plain = find_spec("coco")
    clipping = apply_options(plain, {"boxes_outside": "clip"})
    assert len({plain.hash(), clipping.hash(), apply_options(plain, {"boxes_outside": "drop"}).hash()}) == 3
    path = tmp_path / "mine.yml"
    path.write_text("format: voc\nboxes_outside: clip\nboxes_empty: drop\n")
    assert (load_spec(path).boxes_outside, load_spec(path).boxes_empty) == ("clip", "drop")
    path.write_text("format: voc\nboxes_outside: keep\nboxes_empty: clip\n")
    with pytest.raises(InputError) as caught:
        load_spec(path)
    assert "unknown value 'keep'; allowed: clip, drop" in str(caught.value) and "allowed: drop" in str(caught.value)
    with pytest.raises(InputError, match="unknown value 'keep'"):
        apply_options(plain, {"boxes_outside": "keep"})
    with pytest.raises(InputError, match="unknown option"):
        apply_options(find_spec("synthetic_pcb"), {"boxes_outside": "clip"})
    path.write_text("format: synthetic_pcb\nboxes_outside: clip\n")
    with pytest.raises(InputError, match="belongs to sets that have a source"):
        load_spec(path)


# ------------------------------------------------------------------------------------------------------------- image sizes
def sizes(folder: Path, annotated: dict[str, tuple[int, int]], **options: Any) -> list[str]:
    """What is said of images."""
    return [problem.message for problem in as_problems(other_sizes(folder, list(annotated), list(annotated.values()), **options), folder)]


def test_images_of_another_size_than_annotated(tmp_path: Path, make_picture: Any) -> None:
    for name in ("a b.png", "b.jpg"):
        make_picture(tmp_path / name)
    (tmp_path / "broken.jpg").write_bytes(b"x")
    assert sizes(tmp_path, {"a b.png": (40, 30), "b.jpg": (40, 30)}) == []
    wrong, broken = sizes(tmp_path, {"a b.png": (30, 40), "b.jpg": (40, 30), "broken.jpg": (1, 1)})
    assert wrong.startswith("1 of 3 images are of another size than annotated: a b.png is 40 x 30 pixels, annotated as 30 x 40; ")
    assert broken.startswith("1 of 3 images cannot be read: broken.jpg: ")
    os.mkfifo(tmp_path / "pipe.png")
    assert sizes(tmp_path, {"pipe.png": (1, 1)}) == ["1 of 1 images cannot be read: pipe.png: is not a file"]
    assert "gone.png: No such file" in sizes(tmp_path, {"gone.png": (4, 4)})[0]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_a_size_before_or_after_the_exif_rotation_fits(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    name = f"turned.{suffix}"
    Image.new("RGB", (40, 30)).save(tmp_path / name, exif=exif)
    assert sizes(tmp_path, {name: (30, 40)}) == sizes(tmp_path, {name: (30, 40)}, upright=True) == []
    if suffix != "tif":  # Pillow turns it whatever we say
        assert sizes(tmp_path, {name: (40, 30)}) == []
    (message,) = sizes(tmp_path, {name: (40, 30)}, upright=True)
    assert f"{name} is 30 x 40 pixels" in message


def test_a_source_with_wrong_sizes_is_refused(pcb_source: Any, root: Path) -> None:
    source = pcb_source()
    path = next(iter(sorted(source.rglob("*.xml"))))
    path.write_text(path.read_text().replace("<width>40", "<width>400"))
    with pytest.raises(
        InputError, match=r"1 of 36 images are of another size than annotated: images/Missing_hole/01_missing_hole_01.jpg is 40 x 30"
    ):
        prepare("voc", source, root)


# ------------------------------------------------------------------------------------------------------- images listed twice
def test_an_image_with_two_ids_is_used_twice_with_a_note(tmp_path: Path, root: Path, make_document: Any, make_picture: Any) -> None:
    document = make_document()
    for image in document["images"]:
        make_picture(tmp_path / "src" / "images" / image["file_name"])
    document["images"].append({**document["images"][0], "id": 77})
    (tmp_path / "src" / "annotations").mkdir()
    (tmp_path / "src" / "annotations" / "all.json").write_text(json.dumps(document))
    manifest = prepare("coco", tmp_path / "src", root)
    assert sum(side.images for side in manifest.splits.values()) == 4
    note = next(note for note in manifest.notes if "more than once" in note.what)
    assert (note.count, note.example) == (1, "im 0.png")


# Sets without a box, and shares in place of pixels


@pytest.mark.parametrize("box", [(0.1, 0.2, 0.6, 0.7), (-0.9, -0.8, -0.4, -0.3), (0, 0, 0.5, 1)])
def test_shares_are_no_pixels(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match=r"src: every box lies within the first pixel .* expected pixels: im\.png"):
        settle(loaded(box, (0, 0, 1, 1)), SOURCE)
    both = Loaded(("a",), (loaded(box).items[0], loaded((3, 3, 9, 9)).items[0]), {"val": SourceList(("val.json",), (0,))})
    with pytest.raises(InputError, match="expected pixels"):
        settle(both, SOURCE)


def test_single_pixels_and_one_small_box_are_pixels() -> None:
    assert boxes_of(settle(loaded((0, 0, 1, 1)), SOURCE)) == [[0, 0, 1, 1]]
    assert len(boxes_of(settle(loaded((0, 0, 0.5, 1), (1, 1, 5, 5)), SOURCE))) == 2


@pytest.mark.parametrize("label", ["label/0.txt", "labels/1.txt", "labels/0.json"])
def test_a_set_without_a_box_is_refused(tmp_path: Path, make_picture: Any, label: str) -> None:
    source = tmp_path / "source"
    make_picture(source / "images" / "0.jpg")
    (source / label).parent.mkdir()
    (source / label).write_text("0 .5 .5 .1 .1\n")
    (source / "classes.txt").write_text("a\n")
    with pytest.raises(InputError, match=r"1 images without a single box[\s\S]*images without a label file"):
        prepare("yolo", source, tmp_path / "root")
    assert read_manifest(tmp_path / "root" / "yolo") is None
