"""Student's t and the intervals, held against scipy and by simulation."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from runner.stats.intervals import (
    difference,
    incomplete_beta,
    student_t_cdf,
    student_t_quantile,
    summarize,
)

FREEDOMS = [1, 2, 3, 4, 5, 8, 10, 18, 30, 100, 1000, 2.7]


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_quantile_is_scipys(freedom: float) -> None:
    for probability in (0.001, 0.025, 0.3, 0.5, 0.6, 0.9, 0.975, 0.995, 0.9999):
        expected = stats.t.ppf(probability, freedom)
        assert student_t_quantile(probability, freedom) == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_cdf_is_scipys(freedom: float) -> None:
    for t in (-40, -2.5, -1e-3, 0, 0.1, 1, 3, 60):
        assert student_t_cdf(t, freedom) == pytest.approx(stats.t.cdf(t, freedom), rel=1e-9, abs=1e-14)


@given(st.floats(0.1, 500), st.floats(0.1, 500), st.floats(0, 1))
def test_incomplete_beta_is_scipys(a: float, b: float, x: float) -> None:
    assert incomplete_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(("probability", "freedom"), [(0, 3), (1, 3), (0.5, 0), (math.nan, 3), (0.5, math.nan)])
def test_no_quantile_outside(probability: float, freedom: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        student_t_quantile(probability, freedom)


def test_summaries() -> None:
    assert math.isnan(summarize([]).mean) and summarize([]).n == 0
    assert (summarize([0.4]).mean, summarize([0.4]).std) == (0.4, None)
    three = summarize([1.0, 2.0, 4.0])
    assert (three.n, three.mean, three.std) == (3, pytest.approx(7 / 3), pytest.approx(stats.tstd([1, 2, 4])))


@pytest.mark.parametrize(("one", "base"), [([0.42, 0.40], [0.41, 0.39, 0.43]), ([0.5, 0.52, 0.51, 0.49], [0.4, 0.6])])
def test_interval_is_scipys(one: list[float], base: list[float]) -> None:
    found = difference(summarize(one), summarize(base))
    expected = stats.ttest_ind(one, base, equal_var=True).confidence_interval(0.95)
    assert found.delta == pytest.approx(sum(one) / len(one) - sum(base) / len(base))
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_no_interval_without_noise_to_judge_by() -> None:
    one, two, flat = summarize([0.4]), summarize([0.4, 0.5]), summarize([0.4, 0.4])
    assert difference(one, two).low is None and difference(two, one).high is None
    assert difference(flat, flat).low is None
    assert difference(two, flat).low is not None


@pytest.mark.parametrize("n", [2, 3, 5])
def test_coverage_by_simulation(n: int) -> None:
    rng, hits, rounds = random.Random(n), 0, 1000
    for _ in range(rounds):
        one, base = ([rng.gauss(mean, 0.01) for _ in range(n)] for mean in (0.42, 0.40))
        found = difference(summarize(one), summarize(base))
        assert found.low is not None and found.high is not None
        hits += found.low <= 0.02 <= found.high
    assert 0.93 <= hits / rounds <= 0.97
