"""Means, spreads and Student's t of a few repeats, without a numerics library: the command line starts fast and needs
none.

Student's t is computed by the regularised incomplete beta function (continued fraction, modified Lentz's method:
Numerical Recipes, 3rd edition, section 6.4); the tests hold it against scipy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
_TINY = 1e-300
_PRECISION = 1e-15


@dataclass(frozen=True, slots=True)
class Summary:
    """Repeats of one number.

    Args:
        values: the repeats, all finite.
        mean: their mean; NaN if there are none.
        std: sample standard deviation (n − 1); None below two values.
    """

    values: tuple[float, ...]
    mean: float
    std: float | None

    @property
    def n(self) -> int:
        """Number of repeats."""
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean minus the baseline's.

    Args:
        delta: the difference.
        low, high: its interval; None where it cannot be computed (fewer than two repeats on a side, or no spread at all).
    """

    delta: float
    low: float | None
    high: float | None

    @property
    def is_open(self) -> bool:
        """True if it is not significant: there is no interval, or it contains zero."""
        return self.low is None or self.high is None or self.low <= 0 <= self.high


def summarize(values: Sequence[float]) -> Summary:
    """Compute mean and sample standard deviation of finite values."""
    if not values:
        return Summary((), math.nan, None)
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return Summary(tuple(values), mean, None)
    return Summary(tuple(values), mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)))


def student_t_cdf(t: float, freedom: float) -> float:
    """Return the probability that a Student's t with `freedom` degrees of freedom is at most `t`."""
    tail = 0.5 * incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))
    return 1 - tail if t > 0 else tail


def student_t_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t with `freedom` (> 0) degrees of freedom at `probability` (in 0–1, both ends open).

    Raises:
        ValueError: a probability or a number of degrees outside these.
    """
    if not 0 < probability < 1 or not freedom > 0:
        raise ValueError(f"no quantile at probability {probability} with {freedom} degrees of freedom")
    if probability < 0.5:
        return -student_t_quantile(1 - probability, freedom)
    low, high = 0.0, 1.0
    while student_t_cdf(high, freedom) < probability:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):  # until two neighbouring numbers are left
        if student_t_cdf(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return middle


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), for a, b > 0 and x in 0–1."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1) / (a + b + 2):
        return math.exp(log_front) * _beta_fraction(a, b, x) / a
    return 1 - math.exp(log_front) * _beta_fraction(b, a, 1 - x) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            result *= c * d
        if abs(c * d - 1) < _PRECISION:
            return result
    raise ArithmeticError(f"the incomplete beta function does not converge at a = {a}, b = {b}, x = {x}")


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
