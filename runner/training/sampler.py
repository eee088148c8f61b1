"""The order in which a training goes through its images: the same for every backend, whatever the numbers of workers and ranks."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

_ORDER = 0  # what a derived generator is for: keeps the streams apart; the backends' own have other numbers


@functools.lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, n_samples: int, *, shuffle: bool) -> NDArray[np.int64]:
    """Return the order in which `epoch` (0-based) goes through its samples: Int64[n_samples], not to be written to."""
    order = np.arange(n_samples, dtype=np.int64)
    if shuffle:
        np.random.default_rng((_ORDER, seed, epoch)).shuffle(order)
    order.flags.writeable = False
    return order
