from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from runner.core.errors import InputError
from runner.data.choice import SplitPaths, dataset_choice
from runner.data.inspection import Finding, inspect_set
from runner.data.prepare import prepare


def _side(folder: Path, document: dict[str, Any], make_picture: Any, first_seed: int) -> SplitPaths:
    folder.mkdir(parents=True)
    for number, image in enumerate(document["images"]):
        make_picture(folder / "images" / image["file_name"], seed=first_seed + number)
    (folder / "anno.json").write_text(json.dumps(document))
    return SplitPaths(str(folder), "images", "anno.json")


def _found(findings: list[Finding], words: str) -> Finding:
    matches = [one for one in findings if words in one.what]
    assert len(matches) == 1, findings
    return matches[0]


@pytest.fixture
def sides(nasty: Path, make_document: Any, make_picture: Any) -> tuple[SplitPaths, SplitPaths]:
    return _side(nasty / "train", make_document(), make_picture, 0), _side(nasty / "val", make_document(), make_picture, 50)


def _change(side: SplitPaths, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(side.annotations.read_text())
    change(document)
    side.annotations.write_text(json.dumps(document))


def test_a_sound_set_has_only_notes(sides: tuple[SplitPaths, SplitPaths]) -> None:
    findings = inspect_set(sides, num_classes=2)
    assert [(one.severity, one.what, one.count) for one in findings] == [("note", "images without objects", 1)] * 2


def test_boxes(sides: tuple[SplitPaths, SplitPaths]) -> None:
    def spoil(document: dict[str, Any]) -> None:
        document["annotations"][0]["bbox"] = [30, 3, 20, 5]
        document["annotations"][1]["bbox"] = [3, 3, 0, 5]
        document["annotations"][2]["bbox"] = [-1, 0, 41, 30]

    _change(sides[0], spoil)
    findings = inspect_set(sides)
    assert _found(findings, "up to 1 pixel beyond").severity == "note"
    out = _found(findings, "boxes that extend beyond their image")
    assert out.severity == "error" and out.count == 1 and "im 0.png: [30.0, 3.0, 20.0, 5.0]" in out.examples[0]
    assert _found(findings, "without width").count == 1
    assert findings[0].severity == "error" and findings[-1].severity == "note"


def test_annotation_faults_are_findings(sides: tuple[SplitPaths, SplitPaths]) -> None:
    def spoil(document: dict[str, Any]) -> None:
        document["annotations"][0]["category_id"] = 5
        document["annotations"][1]["image_id"] = 5
        document["images"].append(dict(document["images"][0]))
        document["categories"].append({"id": 99, "name": "new"})

    _change(sides[1], spoil)
    findings = inspect_set(sides, num_classes=2)
    for words in ("name a category that", "name an image that", "images that repeat an id", "different categories", "num_classes: 2"):
        assert _found(findings, words).severity == "error"
    assert _found(findings, "categories without a box").examples


def test_a_file_cut_off_does_not_hide_the_other_side(sides: tuple[SplitPaths, SplitPaths]) -> None:
    sides[0].annotations.write_bytes(sides[0].annotations.read_bytes()[:100])
    (sides[1].images / "im 0.png").unlink()
    findings = inspect_set(sides)
    assert _found(findings, "cut off").file == str(sides[0].annotations)
    assert _found(findings, "images that are missing").count == 1


def test_image_files(sides: tuple[SplitPaths, SplitPaths]) -> None:
    images = sides[0].images
    (images / "im 0.png").write_bytes((images / "im 0.png").read_bytes()[:500])
    Image.new("RGB", (17, 9)).save(images / "im 1.png")
    findings = inspect_set(sides)
    assert "im 0.png" in _found(findings, "cannot be read").examples[0]
    assert "im 1.png: 17x9, annotated as 40x30" in _found(findings, "another size").examples[0]
    assert not [one for one in inspect_set(sides, read_images=False) if one.severity == "error"]


def test_the_same_pixels_on_both_sides(sides: tuple[SplitPaths, SplitPaths]) -> None:
    with Image.open(sides[0].images / "im 0.png") as image:
        image.save(sides[1].images / "im 1.png", compress_level=1)  # other bytes, same pixels
    shutil.copy(sides[1].images / "im 0.png", sides[1].images / "im 2.png")
    findings = inspect_set(sides)
    assert _found(findings, "the same pixels in both splits").examples == ("im 0.png = im 1.png",)
    assert _found(findings, "on one side").examples == ("im 0.png, im 2.png",)


def test_exif_rotation_is_no_size_mismatch(tmp_path: Path, make_document: Any, make_picture: Any) -> None:
    side = _side(tmp_path / "one", make_document(images=2), make_picture, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(side.images / "im 0.png") as image:
        image.save(side.images / "im 0.png", exif=exif)  # boxes were drawn on the stored 40x30
    with Image.open(side.images / "im 1.png") as image:
        image.rotate(90, expand=True).save(side.images / "im 1.png", exif=exif)  # … and on the upright 40x30
    assert not [one for one in inspect_set([side]) if one.severity == "error"]


def test_images_that_are_listed_twice(sides: tuple[SplitPaths, SplitPaths]) -> None:
    _change(sides[0], lambda document: document["images"].append({**document["images"][0], "id": 99}))
    assert _found(inspect_set([sides[0]]), "file names that are listed twice").examples == ("im 0.png",)
    (sides[0].images.parent / "other.json").write_text(sides[0].annotations.read_text())
    same = SplitPaths(sides[0].dataset_dir, "images", "other.json")
    both = _found(inspect_set([sides[0], same], read_images=False), "listed for training and for evaluation")
    assert (both.severity, both.count) == ("warning", 3)


def test_a_prepared_set(pcb_source: Callable[..., Path], root: Path) -> None:
    with pytest.raises(InputError, match="not prepared"):
        inspect_set(dataset_choice("pcb", root))
    prepare("pcb", pcb_source(), root, options={"images": 36, "boxes": 72, "val": 12})
    steps: list[int] = []
    findings = inspect_set(dataset_choice("pcb", root), num_classes=6, progress=lambda done, total, what: steps.append(done))
    assert [one.severity for one in findings] == ["note"] and "boards with images in both splits" in findings[0].what
    assert steps[-1] == 36
    path = root / "pcb" / "annotations" / "val.json"
    path.write_text(path.read_text() + " ")
    assert _found(inspect_set(dataset_choice("pcb", root)), "changed since").examples == ("annotations/val.json",)


def test_the_content_of_a_prepared_set_is_checked(pcb_source: Callable[..., Path], root: Path) -> None:
    prepare("synthetic_pcb", None, root, options={"train": 6, "val": 2, "size": 64})
    assert not [one for one in inspect_set(dataset_choice("synthetic_pcb", root)) if one.severity == "error"]
    path = root / "synthetic_pcb" / "images" / "val" / "00001.png"
    with Image.open(path) as image:
        image.putpixel((3, 3), (1, 2, 3))
        image.save(path)
    assert _found(inspect_set(dataset_choice("synthetic_pcb", root)), "changed since").examples == ("images/",)

    prepare("pcb", pcb_source(), root, options={"images": 36, "boxes": 72, "val": 12})
    path = next((root / "pcb" / "images" / "Short").iterdir())
    with open(path, "ab") as file:
        file.write(b"x")
    assert _found(inspect_set(dataset_choice("pcb", root)), "changed since").count == 1


@pytest.mark.slow
def test_real_deeppcb_is_sound(deeppcb_source: Path, root: Path) -> None:
    prepare("deeppcb", deeppcb_source, root)
    assert inspect_set(dataset_choice("deeppcb", root), num_classes=6) == []


def test_no_box_and_shares(sides: tuple[SplitPaths, SplitPaths]) -> None:
    def shares(document: dict[str, Any]) -> None:
        for entry in document["annotations"]:
            entry["bbox"] = [0.1, 0.2, 0.3, 0.4]

    _change(sides[0], shares)
    assert _found(inspect_set(sides, read_images=False), "expected pixels").severity == "error"
    for side in sides:
        _change(side, lambda document: document.update(annotations=[]))
    assert _found(inspect_set(sides, read_images=False), "no box, so there is nothing to learn").severity == "error"
