"""The torch backend passes the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from runner.testing.backends import BackendContract


@pytest.mark.slow
class TestTorch(BackendContract):
    backend = "torch"
    framework = ("torch", "torchvision", "cv2", "paddle")

    tiny_file: ClassVar[Callable[..., Path]]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def small_config(cls, tiny_file: Callable[..., Path]) -> None:
        """Give the class the small config of all tests."""
        cls.tiny_file = staticmethod(tiny_file)

    @classmethod
    def write_config(cls, folder: Path) -> Path:
        return cls.tiny_file(folder / "tiny.yml", max_iters=8, eval_at_snapshot=True, seed=3, sample_images=0)
