"""Small sources in each format, in folders with names that break careless code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

PCB_CLASSES = ("missing_hole", "mouse_bite", "open_circuit", "short", "spur", "spurious_copper")
_FOLDERS = ("Missing_hole", "Mouse_bite", "Open_circuit", "Short", "Spur", "Spurious_copper")


@pytest.fixture(params=["plain", "a b 'q\" ü 板"])
def nasty(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """An empty folder, once with a plain name and once with spaces, quotes and other scripts."""
    folder = tmp_path / str(request.param)
    folder.mkdir()
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder of prepared sets."""
    return tmp_path / "data root"


def picture(path: Path, size: tuple[int, int] = (40, 30), seed: int = 0) -> Path:
    """A noisy image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def voc_xml(name: str, objects: list[tuple[str, int, int, int, int]], size: tuple[int, int] = (40, 30)) -> str:
    """A VOC annotation; boxes as they stand in the file, counted from 1."""
    parts = [
        f"<object><name>{kind}</name><difficult>0</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for kind, x1, y1, x2, y2 in objects
    ]
    shape = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}</filename>{shape}{''.join(parts)}</annotation>"


@pytest.fixture
def pcb_source(tmp_path: Path) -> Callable[..., Path]:
    """A stand-in for the article's set: VOC XML in six class folders, boards 01, 04, 05 with `per_board` images a
    class.
    """

    def build(per_board: int = 2, name: str = "PCB_DATASET") -> Path:
        source = tmp_path / name
        for index, (kind, folder) in enumerate(zip(PCB_CLASSES, _FOLDERS, strict=True)):
            for board in ("01", "04", "05"):
                for number in range(1, per_board + 1):
                    stem = f"{board}_{kind}_{number:02d}"
                    picture(source / "images" / folder / f"{stem}.jpg", seed=index * 100 + int(board) * 10 + number)
                    xml = source / "Annotations" / folder / f"{stem}.xml"
                    xml.parent.mkdir(parents=True, exist_ok=True)
                    xml.write_text(voc_xml(f"{stem}.jpg", [(kind, 3, 4, 12, 14), (kind, 20, 10, 30, 20)]))
        return source

    return build


def coco_document(images: int = 3, boxes: int = 2) -> dict[str, Any]:
    """A sound document: category numbers with gaps, the last image without objects, one crowd box."""
    annotations = [
        {
            "id": image * boxes + box + 1,
            "image_id": image * 10,
            "category_id": (7, 3)[box % 2],
            "bbox": [2 + box, 3, 10, 8.5],
            "area": 85,
            "iscrowd": 0,
        }
        for image in range(images - 1)
        for box in range(boxes)
    ]
    annotations[-1]["iscrowd"] = 1
    return {
        "images": [{"id": k * 10, "file_name": f"im {k}.png", "width": 40, "height": 30} for k in range(images)],
        "annotations": annotations,
        "categories": [{"id": 7, "name": "short"}, {"id": 3, "name": "open"}],
    }


@pytest.fixture
def coco_source(nasty: Path) -> tuple[Path, Path]:
    """(annotation file, image folder) of `coco_document`."""
    for k in range(3):
        picture(nasty / "images" / f"im {k}.png", seed=k)
    path = nasty / "train.json"
    path.write_text(json.dumps(coco_document()))
    return path, nasty / "images"


@pytest.fixture
def make_picture() -> Callable[..., Path]:
    """`picture`, for tests."""
    return picture


@pytest.fixture
def make_xml() -> Callable[..., str]:
    """`voc_xml`, for tests."""
    return voc_xml


@pytest.fixture
def make_document() -> Callable[..., dict[str, Any]]:
    """`coco_document`, for tests."""
    return coco_document


@pytest.fixture
def deeppcb_source() -> Path:
    """The real DeepPCB beside the checkout, where there is one."""
    source = Path(__file__).parents[2] / ".." / "shared" / "data" / "deeppcb"
    if not source.is_dir():
        pytest.skip("the real DeepPCB is not beside this checkout")
    return source
