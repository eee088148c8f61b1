"""Group-sequential intervals: the rule by which raced seeds are judged.

Adding seeds until a plain t test is significant gives 16 % false verdicts. Here the looks are fixed in advance (`looks`), and each is taken
at the same stricter level (Pocock 1977), so that all of them together err in 5 %: the intervals are repeated confidence intervals (Jennison
and Turnbull 1989), which hold at whichever look the trial stops. The level is computed for normal values by the recursion of Armitage,
McPherson and Rowe (1969), and carried over to t by its probability. The error rate at 3 seeds, where t and the normal differ most, is
measured by `python -m benchmarks.coverage`.

A trial that was stopped is judged by its own seeds and the same seeds of all other trials: by what was known when it was stopped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from statistics import NormalDist
from typing import Final

from runner.stats.effects import Effect, effects
from runner.stats.intervals import CONFIDENCE, summarize

GROWTH: Final = 1.6
"""Ratio of the seeds at successive looks: 3, 5, 8, 13, …"""

_GRID: Final = 64

Values = Mapping[int, Mapping[int, float]]
"""Trial number → seed → metric. 0 is the baseline."""


def looks(first: int, most: int) -> tuple[int, ...]:
    """Return the seeds per trial at each look, from `first` to `most`: fixed in advance, since the levels depend on all of them.

    Raises:
        ValueError: fewer than two seeds at the first look, or fewer at the last than at the first.
    """
    if first < 2 or most < first:
        raise ValueError(f"racing needs two seeds or more at its first look and no fewer at its last; got {first} and {most}")
    result = [first]
    while result[-1] < most:
        result.append(min(most, math.ceil(GROWTH * result[-1])))
    return tuple(result)


@lru_cache(maxsize=256)
def look_confidence(planned: tuple[int, ...], trials: int = 1, confidence: float = CONFIDENCE) -> float:
    """Return the confidence level of each look that gives all of `planned` (seeds per trial) together the level `confidence`.

    With several trials the intervals of a look are simultaneous already; how far their looks add up is computed as if the trials were
    independent, the case in which they add up most.
    """
    one = 1 - confidence ** (1 / trials)  # error of one trial over all looks
    low, high = one / len(planned), one  # error at each look
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if _crossing(planned, NormalDist().inv_cdf(1 - middle / 2)) > one else (middle, high)
    return float((1 - low) ** trials)


def raced_effects(values: Values, planned: tuple[int, ...]) -> dict[int, Effect]:
    """Return the effect of each trial except the baseline, at the confidence level of a look, each over its own seeds, or over those of
    trial 0 where these are fewer: a trial that raced may stand in its place.

    `together` and `alone` of an effect differ by the number of trials judged at once; both allow for the looks.
    """
    trials = [number for number in values if number != 0]
    confidence = look_confidence(planned, max(1, len(trials)))
    by_seeds: dict[frozenset[int], list[Effect]] = {}
    own = {number: frozenset(values[number] if len(values[number]) <= len(values[0]) else values[0]) for number in trials}
    for seeds in own.values():
        if seeds not in by_seeds:
            base, *others = (summarize([value for seed, value in values[trial].items() if seed in seeds]) for trial in (0, *trials))
            by_seeds[seeds] = effects(base, others, confidence)
    return {number: by_seeds[own[number]][index] for index, number in enumerate(trials)}


def undecided(values: Values, planned: tuple[int, ...]) -> set[int]:
    """Return the numbers of the trials whose interval contains zero or cannot be computed: they need further seeds."""
    return {number for number, effect in raced_effects(values, planned).items() if effect.together.is_open}


def _crossing(planned: tuple[int, ...], bound: float) -> float:
    """Return P(|Sₙ| > bound·√n at some n of `planned`) for a sum S of independent standard normals."""
    grid, density = [0.0], [1.0]
    before = 0
    step = 1.0
    for n in planned:
        edge = bound * math.sqrt(n)
        scale = 1 / math.sqrt(n - before)
        new_step = 2 * edge / _GRID
        points = [-edge + new_step * i for i in range(_GRID + 1)]
        new = []
        for x in points:
            total = math.fsum(d * math.exp(-0.5 * ((x - y) * scale) ** 2) for y, d in zip(grid, density, strict=True))
            new.append(total * step * scale / math.sqrt(2 * math.pi))
        # Simpson's weights, so that the next sum is the integral
        density = [value * (1 if i in (0, _GRID) else 4 if i % 2 else 2) / 3 for i, value in enumerate(new)]
        grid, step, before = points, new_step, n
    return 1 - math.fsum(density) * step
