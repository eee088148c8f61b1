"""Target assignment against a slow reference, location by location and box by box."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.backends.torch.models.fcos import targets as module
from runner.backends.torch.models.fcos.locations import locate
from runner.backends.torch.models.fcos.schema import Gt2FCOSTarget
from runner.backends.torch.models.fcos.targets import BACKGROUND, Targets, assign

STRIDES = (8, 16, 32)
SHAPES = ((9, 12), (5, 6), (3, 3))
CPU = torch.device("cpu")
Sides = tuple[float, float, float, float]


def slow_target(
    x: float, y: float, level: int, boxes: np.ndarray, labels: np.ndarray, config: Gt2FCOSTarget
) -> tuple[int, Sides, float] | None:
    """Class, sides and centre-ness of one location, from the paper's words; None in the background."""
    stride = config.downsample_ratios[level]
    sizes = [-1.0, *config.object_sizes_boundary, math.inf]
    best: tuple[float, int, Sides] | None = None
    for index, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        sides = (x - x0, y - y0, x1 - x, y1 - y)
        low_x, low_y, high_x, high_y = x0, y0, x1, y1
        if config.center_sampling_radius > 0:
            reach = config.center_sampling_radius * stride
            middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
            low_x, low_y = max(x0, middle_x - reach), max(y0, middle_y - reach)
            high_x, high_y = min(x1, middle_x + reach), min(y1, middle_y + reach)
        if not (low_x < x < high_x and low_y < y < high_y):
            continue
        if not sizes[level] < max(sides) < sizes[level + 1]:
            continue
        area = (x1 - x0) * (y1 - y0)
        if best is None or area < best[0]:
            best = (area, index, sides)
    if best is None:
        return None
    left, top, right, bottom = best[2]
    centerness = math.sqrt(min(left, right) / max(left, right) * min(top, bottom) / max(top, bottom))
    unit = stride if config.norm_reg_targets else 1
    return int(labels[best[1]]), (left / unit, top / unit, right / unit, bottom / unit), centerness


def check(found: Targets, boxes: list[torch.Tensor], labels: list[torch.Tensor], config: Gt2FCOSTarget) -> int:
    """Compare every location of every image; the number of positive ones."""
    positive = 0
    for image, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        place = 0
        for level, (height, width) in enumerate(SHAPES):
            for row in range(height):
                for column in range(width):
                    x, y = ((cell + config.num_shift) * STRIDES[level] for cell in (column, row))
                    expected = slow_target(x, y, level, box.numpy(), label.numpy(), config)
                    if expected is None:
                        assert found.classes[image, place] == BACKGROUND
                        assert found.centerness[image, place] == 0
                    else:
                        positive += 1
                        assert found.classes[image, place] == expected[0]
                        assert found.boxes[image, place].tolist() == pytest.approx(expected[1], rel=1e-5, abs=1e-5)
                        assert found.centerness[image, place].item() == pytest.approx(expected[2], abs=1e-5)
                    place += 1
        assert place == found.classes.shape[1]
    return positive


# Quarter pixels are exact in single precision: both sides decide alike on borders, which come up often enough.
quarter = st.integers(-40, 400).map(lambda value: value / 4)
box = st.tuples(quarter, quarter, st.integers(1, 280), st.integers(1, 280)).map(
    lambda value: [value[0], value[1], value[0] + value[2] / 4, value[1] + value[3] / 4]
)
image = st.lists(st.tuples(box, st.integers(0, 2)), max_size=6)


@settings(max_examples=60)
@given(
    images=st.lists(image, min_size=1, max_size=3),
    radius=st.sampled_from([0.0, 1.5, 0.75]),
    shift=st.sampled_from([0.5, 0.0]),
    normalised=st.booleans(),
)
def test_equals_the_slow_reference(images: list[list[tuple[list[float], int]]], radius: float, shift: float, normalised: bool) -> None:
    config = Gt2FCOSTarget(
        object_sizes_boundary=(16.0, 40.0),
        center_sampling_radius=radius,
        downsample_ratios=STRIDES,
        num_shift=shift,
        norm_reg_targets=normalised,
    )
    boxes = [torch.tensor([b for b, _ in objects], dtype=torch.float32).reshape(-1, 4) for objects in images]
    labels = [torch.tensor([c for _, c in objects], dtype=torch.int64) for objects in images]
    check(assign(locate(SHAPES, STRIDES, shift, CPU), boxes, labels, config), boxes, labels, config)


def config(**changes: object) -> Gt2FCOSTarget:
    settings = {"object_sizes_boundary": (16.0, 40.0), "center_sampling_radius": 1.5, "downsample_ratios": STRIDES}
    return Gt2FCOSTarget(**{**settings, **changes})  # type: ignore[arg-type]


def test_many_overlapping_boxes_and_borders() -> None:
    generator = torch.Generator().manual_seed(3)
    corner = torch.randint(0, 300, (40, 2), generator=generator) / 4
    size = torch.randint(8, 260, (40, 2), generator=generator) / 4
    boxes = [torch.cat((corner, corner + size), 1), torch.tensor([[0.0, 0, 96, 72]]), torch.zeros(0, 4)]
    labels = [torch.randint(0, 3, (40,), generator=generator), torch.tensor([2]), torch.zeros(0, dtype=torch.int64)]
    for radius in (0.0, 1.5):
        settings = config(center_sampling_radius=radius)
        found = assign(locate(SHAPES, STRIDES, 0.5, CPU), boxes, labels, settings)
        assert check(found, boxes, labels, settings) > 40


def test_no_boxes_at_all() -> None:
    boxes, labels = [torch.zeros(0, 4)] * 2, [torch.zeros(0, dtype=torch.int64)] * 2
    found = assign(locate(SHAPES, STRIDES, 0.5, CPU), boxes, labels, config())
    assert found.classes.shape == (2, sum(h * w for h, w in SHAPES))
    assert (found.classes == BACKGROUND).all() and (found.centerness == 0).all() and found.boxes.isfinite().all()


def test_of_equal_boxes_the_first_wins() -> None:
    boxes = [torch.tensor([[10.0, 10, 30, 30]] * 3)]
    found = assign(locate(SHAPES, STRIDES, 0.5, CPU), boxes, [torch.tensor([2, 0, 1])], config())
    assert set(found.classes.flatten().tolist()) == {BACKGROUND, 2}


def test_the_largest_distance_of_exactly_a_boundary_is_for_no_level() -> None:
    # From (20, 20), stride 8, cell 2: 16 to each side.
    boxes = [torch.tensor([[4.0, 4, 36, 36]])]
    found = assign(locate(SHAPES, STRIDES, 0.5, CPU), boxes, [torch.tensor([0])], config(center_sampling_radius=0.25))
    assert (found.classes == BACKGROUND).all()


def test_in_pieces_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = [torch.tensor([[3.0, 5, 60, 50], [20, 20, 40, 44]]), torch.tensor([[0.0, 0, 10, 10]])]
    labels, places = [torch.tensor([0, 1]), torch.tensor([2])], locate(SHAPES, STRIDES, 0.5, CPU)
    whole = assign(places, boxes, labels, config())
    monkeypatch.setattr(module, "_CHUNK", 28)  # seven locations at a time
    pieces = assign(places, boxes, labels, config())
    for mine, theirs in ((pieces.classes, whole.classes), (pieces.boxes, whole.boxes)):
        assert torch.equal(mine, theirs)
    assert torch.equal(pieces.centerness, whole.centerness)


def test_locations_of_a_level() -> None:
    found = locate([(2, 3), (1, 2)], [8, 16], 0.5, CPU)
    assert found.points.tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12], [8, 8], [24, 8]]
    assert found.strides.tolist() == [8] * 6 + [16] * 2
    assert found.levels.tolist() == [0] * 6 + [1] * 2
