"""The order in which a training goes through its images: the same for every backend, whatever the numbers of workers and ranks."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_MOST_NAMED = 8
_ORDER, _BALANCE = 0, 7  # what a derived generator is for: keeps the streams apart; the backends' own have other numbers


@functools.lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, n_samples: int, *, shuffle: bool) -> NDArray[np.int64]:
    """Return the order in which `epoch` (0-based) goes through its samples: Int64[n_samples], not to be written to."""
    order = np.arange(n_samples, dtype=np.int64)
    if shuffle:
        np.random.default_rng((_ORDER, seed, epoch)).shuffle(order)
    order.flags.writeable = False
    return order


def repeat_factors(classes: Sequence[NDArray[np.int64]], threshold: float) -> NDArray[np.float64]:
    """Return how often each image is shown in an epoch on average, 1 or more: LVIS's repeat factors (arXiv 1908.03195, B.2).

    A class that is on a share f of the images has the factor max(1, sqrt(threshold / f)), an image that of its rarest class.

    Args:
        classes: of the boxes of each image, Int64[N], 0-based.
        threshold: share of the images from which on a class is not rare.
    """
    present = [np.unique(one) for one in classes]
    images_with = np.bincount(np.concatenate([*present, np.empty(0, dtype=np.int64)]))
    shares = np.maximum(images_with, 1) / max(len(present), 1)
    of_class = np.maximum(1.0, np.sqrt(threshold / shares))
    return np.array([of_class[one].max() if len(one) else 1.0 for one in present], dtype=np.float64)


def images_of_epoch(factors: NDArray[np.float64]) -> int:
    """Return the samples of an epoch of images with repeat factors."""
    return max(1, round(float(factors.sum())))


def describe_factors(factors: NDArray[np.float64], classes: Sequence[NDArray[np.int64]], names: Sequence[str]) -> str:
    """Say how many samples an epoch has, and how much more often than the average image each class of boxes is seen."""
    seen = {name: [factor for factor, one in zip(factors, classes, strict=True) if index in one] for index, name in enumerate(names)}
    rare = {name: float(np.mean(found)) for name, found in seen.items() if found and np.mean(found) > 1}
    shown = ", ".join(f"{name} {factor:.2f}" for name, factor in sorted(rare.items(), key=lambda item: -item[1])[:_MOST_NAMED])
    more = f" (times that an image with a class is shown: {shown})" if rare else ""
    return f"an epoch shows {images_of_epoch(factors)} images, {len(factors)} of them different{more}"


def balanced_order(seed: int, epoch: int, factors: NDArray[np.float64], images: int, *, shuffle: bool) -> NDArray[np.int64]:
    """Return the order in which `epoch` (0-based) goes through `images` samples of a set whose images have repeat factors.

    Every epoch has as many samples. An image is shown its factor times, rounded up or down by one random offset per epoch (systematic
    sampling), so that on average over epochs it is shown just as often as its factor says.

    Args:
        factors: Float64[N], as `repeat_factors` returns them.
        images: samples of an epoch, their sum rounded, or a multiple.

    Returns:
        Int64[images]: ``image + N * copy``, so that each copy of an image has a number of its own, by which it is augmented.
    """
    ends = np.cumsum(factors) * (images / factors.sum())
    ends[-1] = images
    offset = np.random.default_rng((_BALANCE, seed, epoch)).random()
    ranks = np.ceil(ends - offset).astype(np.int64)
    counts = np.diff(ranks, prepend=0)
    copies = np.arange(images) - np.repeat(ranks - counts, counts)
    numbers = np.sort(np.repeat(np.arange(len(factors)), counts) + len(factors) * copies)
    return numbers[epoch_order(seed, epoch, images, shuffle=shuffle)]
