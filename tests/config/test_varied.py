"""Keys that a single run varies."""

from __future__ import annotations

from typing import Any

import pytest

from runner.config.varied import varied, varied_text

CONFIG = ["backend", "max_iters", "worker_num", "image_size", "Reader.batch_size", "Reader.steps.0.size", "TrainDataset.anno_path", "loss"]
TRIAL = ["backend", "max_iters", "Reader", "loss", "TrainDataset.anno_path"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"Reader.batch_size": 4, "max_iters": 2}, "batch_size=4, max_iters=2"),
        ({"backend": "paddle", "use_gpu": False, "seed": 3, "pretrain_weights": "w.pth", "dataset": "voc", "num_classes": 3}, ""),
        ({"worker_num": 2, "TrainDataset.anno_path": "x.json", "TestDataset": {"a": 1}}, ""),
        ({"image_size": 64}, "image_size=64"),
        ({"loss": "files/loss.py", "not_in_config": 1}, "not_in_config=1"),
        ({"Reader": {"batch_size": 4}, "Reader.steps.0": {"size": 3}}, "Reader={batch_size: 4}, steps.0={size: 3}"),
        ({}, ""),
    ],
)
def test_places_data_paths_and_neutral_keys_are_left_out(given: dict[str, Any], kept: str) -> None:
    assert varied_text(varied(given, CONFIG, TRIAL)) == kept
