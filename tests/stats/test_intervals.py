"""Student's t and the intervals, held against scipy and by simulation."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from runner.stats.intervals import (
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
