"""Differences of several trials to one baseline, each with its interval.

- Standard error: from the spread of the baseline and all trials with as many seeds together, where these spreads may well be equal
  (`may_be_pooled`); else, and for a trial with another number of seeds, from its own spread and the baseline's (Welch 1947).
- Interval: simultaneous, all of them at once hold the truth with 95 % confidence (Dunnett 1955; with unequal spreads Hasler and
  Hothorn 2008). With a single trial that is Student's t, or Welch's.

The coverage of the whole procedure, including the test of the spreads, is measured by `python -m benchmarks.coverage`: docs/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from runner.stats.dunnett import critical_value
from runner.stats.intervals import CONFIDENCE, Difference, Summary, incomplete_beta, student_t_quantile

UNEQUAL_LEVEL: Final = 0.1
"""Spreads are held to be unequal below this Return p of Bartlett's test."""

WIDE_BASELINE_LEVEL: Final = 0.25
"""Level of the F test that the baseline's spread is no larger than the others': it is part of every difference, so it is strict."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A trial against the baseline.

    Args:
        together: the difference with its interval among all trials of the comparison: the one that decides.
        alone: with the interval it would have were it the only trial.
        judged: whether there are two values or more on each side.
        spreads: the standard deviation taken for the baseline and for the trial: twice the same where they are pooled.
        pooled: whether the spread of several trials was taken together.
        comparisons: how many trials are judged at once.
        confidence: of the intervals.
    """

    together: Difference
    alone: Difference
    judged: bool = False
    spreads: tuple[float, float] = (math.nan, math.nan)
    pooled: bool = False
    comparisons: int = 1
    confidence: float = CONFIDENCE

    def without_interval(self) -> Effect:
        """Return the bare difference."""
        bare = Difference(self.together.delta, None, None)
        return Effect(bare, bare)


def effects(baseline: Summary, others: Sequence[Summary], confidence: float = CONFIDENCE, *, joint: bool = True) -> list[Effect]:
    """Compute the effect of each of `others`. No interval where either side has fewer than two values, or where no spread is seen at all.

    Args:
        joint: whether `together` allows for the others; else it equals `alone`.
    """
    pooled = _pooled_variance(baseline, others)
    errors = [_error(baseline, one, pooled) for one in others]
    weights = [error.weight for error in errors if error is not None and error.size > 0]
    result = []
    for one, error in zip(others, errors, strict=True):
        bare = Difference(delta := one.mean - baseline.mean, None, None)
        if error is None or not error.size > 0:
            result.append(Effect(bare, bare, judged=error is not None))
            continue
        single = t_quantile(error.freedom, confidence)
        several = critical_value(weights, error.freedom, confidence) if joint and len(weights) > 1 else single
        together, alone = (Difference(delta, delta - half, delta + half) for half in (several * error.size, single * error.size))
        result.append(Effect(together, alone, True, error.spreads, error.pooled, len(weights) if joint else 1, confidence))
    return result


@dataclass(frozen=True, slots=True)
class _Error:
    """Standard error of a difference, its degrees of freedom, √(the baseline's part of its square), and see `Effect`."""

    size: float
    freedom: float
    weight: float
    spreads: tuple[float, float]
    pooled: bool


@lru_cache(maxsize=4096)
def t_quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Return Student's two-sided critical value."""
    return student_t_quantile(0.5 + confidence / 2, freedom)


def _pooled_variance(baseline: Summary, others: Sequence[Summary]) -> tuple[float, float] | None:
    """Return (variance, degrees of freedom) of the baseline and the trials with as many values; None if their spreads are not equal."""
    groups = [baseline, *(one for one in others if one.n == baseline.n)]
    if baseline.std is None or len(groups) < 2 or not may_be_pooled(baseline, groups[1:]):
        return None
    return math.fsum((group.std or 0.0) ** 2 for group in groups) / len(groups), float(len(groups) * (baseline.n - 1))


def _error(baseline: Summary, one: Summary, pooled: tuple[float, float] | None) -> _Error | None:
    """Compute the standard error; None where a side has fewer than two values."""
    if one.std is None or baseline.std is None:
        return None
    if pooled is not None and one.n == baseline.n:
        spread = math.sqrt(pooled[0])
        return _Error(spread * math.sqrt(2 / one.n), pooled[1], math.sqrt(0.5), (spread, spread), pooled=True)
    spreads = (baseline.std, one.std)
    base, own = baseline.std**2 / baseline.n, one.std**2 / one.n
    if base + own == 0:
        return _Error(0.0, 1.0, 0.0, spreads, pooled=False)
    share = base / (base + own)  # by shares: squares of tiny variances would underflow
    freedom = 1 / (share**2 / (baseline.n - 1) + (1 - share) ** 2 / (one.n - 1))
    return _Error(math.sqrt(base + own), freedom, math.sqrt(share), spreads, pooled=False)


def may_be_pooled(baseline: Summary, others: Sequence[Summary]) -> bool:
    """Return whether the spreads of the baseline and of `others`, all of as many values (two or more), may be equal."""
    variance = math.fsum((one.std or 0.0) ** 2 for one in others) / len(others)
    if variance > 0:
        freedoms = baseline.n - 1, len(others) * (baseline.n - 1)
        if f_tail((baseline.std or 0.0) ** 2 / variance, *freedoms) < WIDE_BASELINE_LEVEL:
            return False
    return equal_spreads([baseline, *others]) >= UNEQUAL_LEVEL


def f_tail(ratio: float, freedom: float, below: float) -> float:
    """Return P(F > `ratio`) with these degrees of freedom above and below the line (Abramowitz and Stegun 26.6.2)."""
    return incomplete_beta(below / 2, freedom / 2, below / (below + freedom * ratio))


def equal_spreads(groups: Sequence[Summary]) -> float:
    """Return p of Bartlett's test (1937) that the spreads of `groups` (two values or more each) are equal; 1 without spreads to test."""
    variances = [(group.std or 0.0) ** 2 for group in groups]
    if len(groups) < 2 or not any(variances):
        return 1.0
    if not all(variances):
        return 0.0
    freedoms = [group.n - 1 for group in groups]
    total = sum(freedoms)
    pooled = math.fsum(f * v for f, v in zip(freedoms, variances, strict=True)) / total
    statistic = math.fsum(f * math.log(pooled / v) for f, v in zip(freedoms, variances, strict=True))
    correction = 1 + (math.fsum(1 / f for f in freedoms) - 1 / total) / (3 * (len(groups) - 1))
    return chi_square_tail(max(0.0, statistic) / correction, len(groups) - 1)


def chi_square_tail(x: float, freedom: int) -> float:
    """Return P(χ² > x) with a whole number of degrees of freedom (Abramowitz and Stegun 26.4.4 and 26.4.5)."""
    half = x / 2
    odd = freedom % 2
    total = math.erfc(math.sqrt(half)) if odd else 0.0
    for i in range((freedom + 1) // 2 if not odd else (freedom - 1) // 2):
        power = i + 0.5 * odd
        total += math.exp(-half + power * math.log(half) - math.lgamma(power + 1)) if half > 0 else float(power == 0)
    return min(1.0, total)
