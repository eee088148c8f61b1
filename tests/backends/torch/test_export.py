"""Exported detectors: the same detections as the model's, for images of any size where the reader keeps their ratio."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.backends.base import ImageRef
from runner.backends.exported import SUFFIXES, open_exported
from runner.backends.torch.backend import TorchBackend
from runner.backends.torch.export import preparation_of
from runner.backends.torch.transforms import schema
from runner.core.errors import InputError
from runner.worker.export import compare

Config = Callable[..., Any]

FACTS = {"classes": ("short", "spur"), "score_threshold": 0.25, "about": {"run": "0001-x-s0"}}


@pytest.mark.slow  # torch's exporter takes 10 seconds
@pytest.mark.parametrize("to", SUFFIXES)
def test_a_file_for_images_of_any_size(config: Config, new_run: Callable[..., Any], tmp_path: Path, to: str) -> None:
    here = config()
    head = replace(here.architecture.fcos_head, nms=replace(here.architecture.fcos_head.nms, score_threshold=0.02))
    here = config(architecture=replace(here.architecture, fcos_head=head))
    run = new_run()
    TorchBackend().train(here, run)
    weights, file = run.run_dir.checkpoints / "last.pt", tmp_path / f"modell é{SUFFIXES[to]}"
    TorchBackend().export(here, weights, to, file, FACTS)
    model = open_exported(file)
    assert (model.facts.classes, model.facts.score_threshold) == (("short", "spur"), 0.25)
    numbers = np.random.default_rng(1)
    sizes = [(64, 64), (96, 64), (50, 130), (300, 90)]
    images = [
        ImageRef(number, Path("x"), pixels=numbers.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for number, (height, width) in enumerate(sizes)
    ]
    expected = TorchBackend().predictor(here, weights, batch_size=1).predict(images)
    agreement = compare(expected, model.predict(images))
    assert {item["image_id"] for item in expected} == {0, 1, 2, 3}
    assert (agreement.boxes, agreement.unmatched) == (len(expected), 0) and agreement.box_px < 0.01 and agreement.score < 1e-5
    content = file.read_bytes()
    assert str(Path(__file__).parents[3]).encode() not in content and b"site-packages" not in content


def test_the_facts_of_a_reader(config: Config) -> None:
    found = preparation_of(config())
    assert found.pad_to_stride == 32 and found.input_size() is None and found.is_scale
    assert json.loads(json.dumps(found.resizes)) == [{"target_size": 64, "keep_ratio": True, "interp": 1}]
    reader = config().eval_reader
    fixed = replace(
        reader, sample_transforms=(schema.Resize(target_size=(60, 90), keep_ratio=False), schema.NormalizeImage(norm_type="none"))
    )
    found = preparation_of(config(eval_reader=fixed))
    assert (found.input_size(), found.mean, found.std, found.is_scale) == ((64, 96), (0, 0, 0), (1, 1, 1), True)
    flipped = replace(reader, sample_transforms=(*reader.sample_transforms, schema.RandomFlip()))
    with pytest.raises(InputError, match="EvalReader has RandomFlip, which an exported file cannot describe"):
        preparation_of(config(eval_reader=flipped))
