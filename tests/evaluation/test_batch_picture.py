"""The picture of a training batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runner.backends.base import TrainingImage
from runner.core.errors import InputError
from runner.data.colours import class_colour
from runner.evaluation.batch_picture import draw_batch, draw_image, write_batch


def shown(height: int, width: int) -> TrainingImage:
    boxes = np.asarray([[10, 10, 60, 50]], dtype=np.float32)
    return TrainingImage(np.full((height, width, 3), 60, dtype=np.uint8), boxes, np.asarray([1]), "Ä image.png")


def test_every_image_has_its_boxes_in_the_colours_of_the_classes() -> None:
    tile = np.asarray(draw_image(shown(100, 128), ("a", "b")))
    assert tile.shape == (300, 384, 3)
    assert (tile == class_colour(1)).all(axis=2).sum() > 200
    assert not (tile == class_colour(0)).all(axis=2).any()
    assert max(draw_image(shown(900, 1200), ("a", "b")).size) == 640


def test_a_batch_is_a_grid() -> None:
    one, five = draw_batch([shown(100, 128)], ("a", "b")), draw_batch([shown(100, 128)] * 5, ("a", "b"))
    assert one.size == (384 + 24, 12 + 300 + 22 + 12)
    assert five.size == (12 + 3 * (384 + 12), 12 + 2 * (300 + 22 + 12))


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_batch([shown(50, 64)], ("a", "b"), tmp_path / "missing" / "a.png")
