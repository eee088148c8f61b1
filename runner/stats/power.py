"""Power of a number of seeds, and the number for a given power: estimates, since the spread they start from is one.

The power is that of Student's t with as many degrees of freedom as the design will have (Cohen 1988, chapter 2), by one numeric integral.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from runner.stats.dunnett import critical_value
from runner.stats.effects import Effect, t_quantile
from runner.stats.intervals import CONFIDENCE, Summary

POWER: Final = 0.8
MOST_SEEDS: Final = 100
_EXAMPLES: Final = (3, 5, 10, 20, 40)
_STEP, _START, _END = 0.02, math.log(1e-3), math.log(6.0)
_MOST_FREEDOM: Final = 1000.0
"""Beyond, the density of log s is narrower than its steps, and that of this many degrees of freedom is as good."""


def power(effect: float, freedom: float, critical: float) -> float:
    """Return P(|T| > `critical`) where T is noncentral t: the power for a difference of `effect` standard errors."""
    freedom = min(freedom, _MOST_FREEDOM)
    log_constant = math.log(2) + freedom / 2 * math.log(freedom / 2) - math.lgamma(freedom / 2)
    total = 0.0
    for index in range(math.ceil((_END - _START) / _STEP)):  # over log s, s the estimated spread by the true one
        s = math.exp(_START + index * _STEP)
        exponent = log_constant + freedom * math.log(s) - freedom * s * s / 2
        if exponent > -40:
            total += math.exp(exponent) * (_upper(critical * s - effect) + _upper(critical * s + effect))
    return total * _STEP


def smallest_difference(spread: float, n: int, comparisons: int = 1, confidence: float = CONFIDENCE) -> float:
    """Return the difference that `n` seeds per trial detect with 80 % power.

    Args:
        spread: standard deviation of every trial.
        comparisons: trials besides the baseline, all judged together.
    """
    freedom, critical = _design(n, comparisons, confidence)
    low, high = 0.0, 2 * critical
    while power(high, freedom, critical) < POWER:
        high *= 2
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, freedom, critical) >= POWER else (middle, high)
    return high * spread * math.sqrt(2 / n)


def seeds_to_tell(effect: Effect) -> int | None:
    """Return the seeds per trial that detect the difference as seen so far with 80 % power; None: more than `MOST_SEEDS`, or unknown."""
    delta, (first, second) = abs(effect.together.delta), effect.spreads
    if not first + second > 0 or delta == 0:
        return None
    share = first**2 / (first**2 + second**2)

    def tells(n: int) -> bool:
        freedom, critical = _design(n, effect.comparisons, effect.confidence)
        if not effect.pooled:
            freedom = (n - 1) / (share**2 + (1 - share) ** 2)
            critical = _critical([math.sqrt(share)] * effect.comparisons, freedom, effect.confidence)
        return power(delta / math.sqrt((first**2 + second**2) / n), freedom, critical) >= POWER

    low, high = 1, MOST_SEEDS
    if not tells(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tells(middle) else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise of the metric between seeds.

    Args:
        spread: standard deviation between seeds; n: seeds per trial so far.
        pooled: whether it is taken from several trials together, else from the baseline.
        smallest: seeds per trial → the smallest difference that they detect with 80 % power.
    """

    spread: float
    n: int
    pooled: bool
    smallest: Mapping[int, float]


def noise(baseline: Summary, found: Sequence[Effect], confidence: float = CONFIDENCE) -> Noise | None:
    """Estimate the noise from a baseline and the effects measured against it (none: as for one trial). None without a spread."""
    if not baseline.std:
        return None
    pooled = [effect.spreads[0] for effect in found if effect.pooled]
    spread = pooled[0] if pooled else baseline.std
    comparisons = max((effect.comparisons for effect in found), default=1)
    counts = sorted({baseline.n, *(n for n in _EXAMPLES if n > baseline.n)})[:3]
    return Noise(spread, baseline.n, bool(pooled), {n: smallest_difference(spread, n, comparisons, confidence) for n in counts})


def _design(n: int, comparisons: int, confidence: float) -> tuple[float, float]:
    """Return (degrees of freedom, critical value) of a baseline and `comparisons` trials with `n` seeds each."""
    freedom = float((comparisons + 1) * (n - 1))
    return freedom, _critical([math.sqrt(0.5)] * comparisons, freedom, confidence)


def _critical(weights: Sequence[float], freedom: float, confidence: float) -> float:
    return critical_value(weights, freedom, confidence) if len(weights) > 1 else t_quantile(freedom, confidence)


def _upper(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2))
