"""The permutation test of a difference of means: no normal distribution is assumed (Fisher 1935, Pitman 1937)."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from typing import Final

LEAST_SEEDS: Final = 8
"""Below this number on a side the test has too few rearrangements: at 3 and 3 its p cannot be less than 0.1."""

MOST_ENUMERATED: Final = 20_000
DRAWS: Final = 10_000


def permutation_p(one: Sequence[float], other: Sequence[float], seed: int = 0) -> float:
    """Return the two-sided p: the share of all ways to deal the values to the two sides whose means differ as much as these.

    Exact up to `MOST_ENUMERATED` ways (8 and 8), else of 10,000 seeded draws, these values counted as one (Phipson and Smyth 2010), so it
    is never 0.
    """
    values, size = [*one, *other], len(one)
    total = math.fsum(values)
    least = abs(_difference(math.fsum(one), total, size, len(values))) * (1 - 1e-12)
    if math.comb(len(values), size) <= MOST_ENUMERATED:
        sums = [math.fsum(part) for part in itertools.combinations(values, size)]
        return sum(abs(_difference(part, total, size, len(values))) >= least for part in sums) / len(sums)
    rng = random.Random(seed)
    hits = sum(abs(_difference(math.fsum(rng.sample(values, size)), total, size, len(values))) >= least for _ in range(DRAWS))
    return (hits + 1) / (DRAWS + 1)


def _difference(part: float, total: float, size: int, count: int) -> float:
    return part / size - (total - part) / (count - size)
