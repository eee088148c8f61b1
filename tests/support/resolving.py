"""Configs without data, prepared data sets, and refusals, for the tests of `runner.resolve`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.backends.base import Probe
from runner.core.errors import InputError
from runner.resolve import resolve

ROOT = Path(__file__).resolve().parents[2]
NO_GPU = Probe(versions={"torch": "2"}, gpu_problem="no usable GPU: there is no driver; give -o use_gpu=false to train on the CPU")
ONE_GPU = Probe(versions={"torch": "2"}, gpus=("NVIDIA Some",), driver="999")

WriteConfig = Callable[..., Path]


def refusal(*arguments: Any, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        resolve(*arguments, **options)
    return [str(problem) for problem in error.value.problems]


def copy_source(coco: Path, source: Path) -> Path:
    """Copy the small COCO data into `source` as COCO is published: images/ and annotations/; return that folder."""
    (source / "annotations").mkdir(parents=True)
    shutil.copytree(coco / "images", source / "images")
    for side in ("train", "val"):
        shutil.copy(coco / f"{side}.json", source / "annotations" / f"{side}.json")
    return source


def prepared(name: str, source: Path, num: int = 2) -> Path:
    """A data set `name` with a spec of its own, prepared from the small COCO data."""
    from runner.data.prepare import prepare
    from runner.data.spec import data_root

    Path("datasets").mkdir(exist_ok=True)
    spec = {"name": name, "title": "small", "format": "coco", "where": "nowhere"}
    Path("datasets", f"{name}.yml").write_text(yaml.safe_dump(spec))
    prepare(name, source, data_root())
    return Path("data", name)


def no_data(path: Path) -> Path:
    """The config without its data sections and classes."""
    data = yaml.safe_load(path.read_text())
    path.write_text(
        yaml.safe_dump({key: value for key, value in data.items() if key not in ("TrainDataset", "EvalDataset", "num_classes")})
    )
    return path
