"""The order of images is one for all backends, and stays what it is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from runner.training.sampler import balanced_order, describe_factors, epoch_order, images_of_epoch, repeat_factors


def test_it_depends_on_seed_and_epoch_alone() -> None:
    order = epoch_order(1, 2, 50, shuffle=True)
    assert sorted(order.tolist()) == list(range(50))
    assert order.tolist() == epoch_order(1, 2, 50, shuffle=True).tolist()
    assert order.tolist() not in (epoch_order(1, 3, 50, shuffle=True).tolist(), epoch_order(2, 2, 50, shuffle=True).tolist())
    assert epoch_order(1, 2, 5, shuffle=False).tolist() == [0, 1, 2, 3, 4]


def test_it_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(1, 2, 5, shuffle=True)[0] = 3


def test_repeat_factors_are_those_of_lvis() -> None:
    """80 images of class 0, 15 of classes 0 and 1, 5 of class 2 (twice on one), 2 without boxes; written out by hand."""
    common, both, rare, none = np.array([0]), np.array([0, 1]), np.array([2, 2]), np.array([], dtype=np.int64)
    factors = repeat_factors([common] * 80 + [both] * 15 + [rare] * 5 + [none] * 2, 0.3)
    expected = [1.0] * 80 + [math.sqrt(0.3 / (15 / 102))] * 15 + [math.sqrt(0.3 / (5 / 102))] * 5 + [1.0] * 2
    assert factors.tolist() == pytest.approx(expected)
    assert images_of_epoch(factors) == round(sum(expected)) == 116
    assert describe_factors(factors, [common] * 80 + [both] * 15 + [rare] * 5 + [none] * 2, ("a", "b", "c")) == (
        "an epoch shows 116 images, 102 of them different (times that an image with a class is shown: c 2.47, b 1.43, a 1.07)"
    )


@pytest.mark.parametrize("repeat", [1, 3])
def test_a_balanced_epoch_shows_each_image_as_often_as_its_factor_says(repeat: int) -> None:
    factors = np.array([1.0, 1.0, 1.4, 2.5, 1.0, 3.3])
    images = repeat * images_of_epoch(factors)
    shown = np.zeros(6)
    for epoch in range(400):
        order = balanced_order(5, epoch, factors, images, shuffle=True)
        assert len(order) == images == len(set(order.tolist())), "each copy has a number of its own"
        counts = np.bincount(order % 6, minlength=6)
        assert (counts >= np.floor(factors * repeat * images / (repeat * factors.sum()))).all()
        shown += counts
    assert np.allclose(shown / 400, factors * images / factors.sum(), atol=0.1)


def test_a_balanced_order_depends_on_seed_and_epoch_alone() -> None:
    factors = np.array([1.0, 1.2, 1.9, 2.5, 1.0])
    first, images = balanced_order(1, 2, factors, 8, shuffle=True), [0, 1, 2, 3, 4]
    assert first.tolist() == balanced_order(1, 2, factors, 8, shuffle=True).tolist()
    others = [balanced_order(seed, epoch, factors, 8, shuffle=True).tolist() for seed, epoch in ((1, 3), (2, 2))]
    assert first.tolist() not in others
    assert balanced_order(1, 2, factors, 8, shuffle=False).tolist()[:5] == images
