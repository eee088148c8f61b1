"""Looking several times without being fooled: the rule of seed racing.

Adding seeds until a plain t looks decided gives 16 % false verdicts. Here the looks are fixed in advance (`runner.search.racing.looks`),
and each is taken at the same stricter level (Pocock 1977), so that all of them together err in 5 %: the intervals are repeated confidence
intervals (Jennison and Turnbull 1989), which hold at whichever look one stops. The level is computed for normal values by the recursion
of Armitage, McPherson and Rowe (1969), and carried over to t by its probability. What that gives at 3 seeds, where t and the normal
differ most, is measured by `python -m benchmarks.coverage`.

A trial that was stopped is judged by its own seeds and the same ones of all others: by what was known when it was stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from runner.search.racing import Results, looks
from runner.stats.effects import Effect, effects
from runner.stats.intervals import CONFIDENCE, summarize

_GRID: Final = 64

Values = Mapping[int, Mapping[int, float]]
"""Trial number → seed → metric. 0 is the baseline."""


@lru_cache(maxsize=256)
def look_confidence(planned: tuple[int, ...], trials: int = 1, confidence: float = CONFIDENCE) -> float:
    """The confidence at which each of `planned` (seeds a trial) is taken, so that all together have `confidence`.

    With several trials the intervals of a look are simultaneous already; how far their looks add up is computed as if the trials were
    independent, the case in which they add up most.
    """
    one = 1 - confidence ** (1 / trials)  # what a trial may miss over all looks
    low, high = one / len(planned), one  # what it may miss at a look
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if _crossing(planned, _normal_quantile(1 - middle / 2)) > one else (middle, high)
    return float((1 - low) ** trials)


def raced_effects(values: Values, planned: tuple[int, ...]) -> dict[int, Effect]:
    """The effect of each trial but the baseline, all of them at the confidence of a look, each over its own seeds.

    `together` and `alone` of an effect differ by the trials that are judged at once; both allow for the looks.
    """
    trials = [number for number in values if number != 0]
    confidence = look_confidence(planned, max(1, len(trials)))
    by_seeds: dict[frozenset[int], list[Effect]] = {}
    for number in trials:
        seeds = frozenset(values[number])
        if seeds not in by_seeds:
            base, *others = (summarize([value for seed, value in values[trial].items() if seed in seeds]) for trial in (0, *trials))
            by_seeds[seeds] = effects(base, others, confidence)
    return {number: by_seeds[frozenset(values[number])][index] for index, number in enumerate(trials)}


def racing_rule(metric: str, first: int, most: int) -> Callable[[Results], set[int]]:
    """The rule for `runner.search.racing.Racing`: from what is known to the trials whose decision is still open.

    Args:
        metric: the tag that decides.
        first, most: seeds a trial at the first and at the last look.
    """
    planned = looks(first, most)

    def rule(results: Results) -> set[int]:
        values = {number: {seed: tags[metric] for seed, tags in by_seed.items() if metric in tags} for number, by_seed in results.items()}
        return {number for number, effect in raced_effects(values, planned).items() if effect.together.is_open}

    return rule


def _crossing(planned: tuple[int, ...], bound: float) -> float:
    """P(|Sₙ| > bound·√n at some n of `planned`) for a sum S of independent standard normals."""
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
        # Simpson's weights, so that what is summed next is the integral
        density = [value * (1 if i in (0, _GRID) else 4 if i % 2 else 2) / 3 for i, value in enumerate(new)]
        grid, step, before = points, new_step, n
    return 1 - math.fsum(density) * step


def _normal_quantile(probability: float) -> float:
    low, high = 0.0, 10.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if 0.5 * math.erfc(-middle / math.sqrt(2)) < probability else (low, middle)
    return high
