"""A run taken to another machine: no data, no GPU, another folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.mark.slow
def test_a_run_predicts_where_its_data_and_its_gpu_are_not(cli: Cli, trained: Any, coco: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved 'run'"
    shutil.copytree(trained.run, moved)
    text = (moved / "config.yml").read_text(encoding="utf-8").replace("use_gpu: false", "use_gpu: true")
    text = re.sub(r"score_threshold: [0-9.]+", "score_threshold: 0.0", text)  # after four steps nothing is likely
    (moved / "config.yml").write_text(re.sub(r"dataset_dir: [^,]+,", "dataset_dir: /gone,", text), encoding="utf-8")
    image = next(iter((coco / "images").iterdir()))
    result = cli("predict", moved, image, "--score-threshold", "0", env={"CUDA_VISIBLE_DEVICES": ""})
    assert image.name in result.fine() and re.search("short|open circuit", result.out)
    assert "predicting on the CPU" in result.err
    refused = cli("predict", moved, image).refused()
    assert "other settings (--score-threshold 0.0, now " in refused and "--force" in refused
    assert "annotation file is missing" in cli("eval", moved, "--checkpoint", "last").refused()
