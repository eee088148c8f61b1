from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from runner.core.errors import InputError
from runner.data.choice import dataset_choice
from runner.data.coco import load_coco
from runner.data.picture import write_picture
from runner.data.prepare import prepare
from runner.data.stats import load_sides, stats


def test_numbers(coco_source: tuple[Path, Path]) -> None:
    one = stats({"train": load_coco(*coco_source, allow_empty=True)})["train"]
    assert (one.images, one.boxes, one.crowd, one.without_objects) == (3, 3, 1, 1)
    assert one.per_class == {"short": 2, "open": 1} and one.images_per_class == {"short": 2, "open": 1}
    assert (one.small, one.medium, one.large) == (3, 0, 0)
    assert one.side_px[0] == one.side_px[-1] == 9.2
    assert one.image_sizes == {(40, 30): 3}


def test_picture_of_generated_boards(root: Path, nasty: Path) -> None:
    with pytest.raises(InputError, match="not prepared"):
        load_sides(dataset_choice("synthetic_pcb", root))
    prepare("synthetic_pcb", None, root, options={"train": 12, "val": 3, "size": 64})
    sides = load_sides(dataset_choice("synthetic_pcb", root))
    write_picture(sides, nasty / "stats.png", "synthetic_pcb ü")
    with Image.open(nasty / "stats.png") as picture:
        assert picture.format == "PNG" and picture.size == (1524, 944)
        assert len(picture.convert("RGB").getcolors(2_000_000) or []) > 100
    with pytest.raises(InputError, match="cannot be written"):
        write_picture(sides, nasty / "no folder" / "stats.png", "x")


def test_picture_of_odd_sets(tmp_path: Path, make_document: Any, make_picture: Any) -> None:
    document = make_document(images=2)
    document["categories"] += [{"id": 100 + k, "name": f"a very long class name, number {k}"} for k in range(60)]
    document["annotations"] = []
    document["images"][0] |= {"width": 3, "height": 400}
    make_picture(tmp_path / "im 0.png", size=(3, 400))
    make_picture(tmp_path / "im 1.png")
    (tmp_path / "a.json").write_text(json.dumps(document))
    data = load_coco(tmp_path / "a.json", tmp_path, allow_empty=True)
    write_picture({"val": data}, tmp_path / "out.png", "no boxes at all")
    assert (tmp_path / "out.png").stat().st_size > 1000


def test_picture_of_a_set_with_odd_class_names_and_a_test_split(root: Path, tmp_path: Path, make_document: Any, make_picture: Any) -> None:
    document = make_document()
    document["categories"][0]["name"] = "a\nb\x1b[31m"
    for split in ("train", "valid", "test"):
        (tmp_path / "source" / split).mkdir(parents=True)
        (tmp_path / "source" / split / "_annotations.coco.json").write_text(json.dumps(document))
        for number, image in enumerate(document["images"]):
            make_picture(tmp_path / "source" / split / image["file_name"], seed=number)
    prepare("coco", tmp_path / "source", root)
    sides = load_sides(dataset_choice("coco", root))
    assert list(stats(sides)) == ["train", "val", "test"]
    write_picture(sides, tmp_path / "out.png", "two\nlines")
    assert (tmp_path / "out.png").stat().st_size > 1000
