"""Images with boxes to transform."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from runner.backends.torch.transforms.sample import ImageSample

MakeSample = Callable[..., ImageSample]


@pytest.fixture(scope="session")
def sample() -> MakeSample:
    """Makes a noisy image of (height, width) with these boxes, of the classes 0, 1, …"""

    def make(height: int = 40, width: int = 60, boxes: list[list[float]] | None = None) -> ImageSample:
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        found = np.asarray(boxes or [], dtype=np.float32).reshape(-1, 4)
        return ImageSample(image, found, np.arange(len(found), dtype=np.int64), (1.0, 1.0), 1, "a.png")

    return make
