"""Critical values for several comparisons with one baseline (Dunnett 1955), by numeric integration in plain Python.

The comparisons share the baseline, so their errors are correlated: that of i and j is λᵢλⱼ, with λᵢ² the baseline's part of the variance of
comparison i (one half where all have as many seeds and the same spread). Given the baseline's error z and the spread s the comparisons are
independent, which leaves two integrals:

    P(all |Tᵢ| ≤ d) = ∫ G(ds) f(s) ds,    G(w) = ∫ φ(z) Πᵢ [Φ((λᵢz + w)/√(1 − λᵢ²)) − Φ((λᵢz − w)/√(1 − λᵢ²))] dz

with f the density of √(χ²/ν). Both are smooth and fall off fast, so the trapezoid rule is as good as exact. The tests hold the values
against scipy.stats.dunnett and against tables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_LAMBDA_STEP: Final = 0.01  # λ is rounded to it: that moves a critical value by less than 0.005
_LARGEST_LAMBDA: Final = 0.98
_Z_STEP, _Z_END = 0.2, 6.0
_W_STEP: Final = 0.04  # of log w: enough up to the degrees of freedom below
_W_START, _W_END = 1e-3, 9.5
_MOST_FREEDOM: Final = 200.0  # beyond, that of the normal is met to 1 %
_W: Final = tuple(_W_START * math.exp(_W_STEP * i) for i in range(1 + math.ceil(math.log(_W_END / _W_START) / _W_STEP)))
_Z: Final = tuple(_Z_STEP * i for i in range(1 + round(_Z_END / _Z_STEP)))  # what is integrated is even in z
_Z_WEIGHT: Final = tuple((2 if z else 1) * _Z_STEP * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) for z in _Z)


def critical_value(lambdas: Sequence[float], freedom: float, confidence: float = 0.95) -> float:
    """Return the d with P(all |Tᵢ| ≤ d) = `confidence`: for a single comparison, t's quantile.

    Args:
        lambdas: √(the baseline's part of the variance), one per comparison, each in 0–1; for equal spreads √(n₁ / (n₀ + n₁)).
        freedom: degrees of freedom of the spread, above 0.

    Raises:
        ValueError: no comparisons, or a number outside these.
    """
    if not lambdas or not all(0 <= value <= 1 for value in lambdas) or not freedom > 0 or not 0 < confidence < 1:
        raise ValueError(f"no critical value for {lambdas}, {freedom} degrees of freedom, confidence {confidence}")
    rounded = tuple(sorted(min(round(value / _LAMBDA_STEP) * _LAMBDA_STEP, _LARGEST_LAMBDA) for value in lambdas))
    return _critical_value(rounded, min(freedom, _MOST_FREEDOM), confidence)


@lru_cache(maxsize=4096)
def _critical_value(lambdas: tuple[float, ...], freedom: float, confidence: float) -> float:
    low, high = 1.0, 2.0
    while (above := _miss(lambdas, freedom, low) + confidence - 1) < 0:
        low /= 2
    while (below := _miss(lambdas, freedom, high) + confidence - 1) > 0:
        low, high, above = high, 2 * high, below
    while high - low > 1e-6 * high:  # regula falsi, Illinois: halve the end that stays
        middle = high - below * (high - low) / (below - above)
        value = _miss(lambdas, freedom, middle) + confidence - 1
        if abs(value) < 1e-9:
            return middle
        if value > 0:
            low, above, below = middle, value, below / 2
        else:
            high, below, above = middle, value, above / 2
    return high


def _miss(lambdas: tuple[float, ...], freedom: float, d: float) -> float:
    """Return P(some |Tᵢ| > d)."""
    outside = _outside(lambdas)
    # ds = w, integrated over log w; below the first w nothing is inside
    log_constant = math.log(2) + freedom / 2 * math.log(freedom / 2) - math.lgamma(freedom / 2)
    total = math.exp(log_constant - math.log(freedom) + freedom * math.log(_W_START / d))
    for w, part in zip(_W, outside, strict=True):
        s = w / d
        exponent = log_constant + freedom * math.log(s) - freedom * s * s / 2
        if exponent > -40:
            total += part * _W_STEP * math.exp(exponent)
    return total


@lru_cache(maxsize=256)
def _outside(lambdas: tuple[float, ...]) -> tuple[float, ...]:
    """Return 1 − G(w) at each of `_W`."""
    counts = {value: lambdas.count(value) for value in lambdas}
    rows = [(_inside(value), count) for value, count in counts.items()]
    result = []
    for index in range(len(_W)):
        inside = 0.0
        for z_index, weight in enumerate(_Z_WEIGHT):
            product = weight
            for table, count in rows:
                product *= table[index][z_index] ** count
            inside += product
        result.append(max(0.0, 1 - inside))
    return tuple(result)


@lru_cache(maxsize=128)
def _inside(value: float) -> tuple[tuple[float, ...], ...]:
    """Return P(|Tᵢ| ≤ w) given z, for λᵢ = `value`: a row for each of `_W`, a column for each of `_Z`."""
    scale = 1 / math.sqrt(2 * (1 - value * value))
    return tuple(tuple(0.5 * (math.erf((value * z + w) * scale) - math.erf((value * z - w) * scale)) for z in _Z) for w in _W)
