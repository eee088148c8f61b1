"""Several trials against one baseline: Dunnett, Welch, power and permutation, held against scipy and by simulation."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage import Arms, coverage
from runner.stats.dunnett import critical_value
from runner.stats.effects import chi_square_tail, effects, equal_spreads, f_tail, may_be_pooled
from runner.stats.intervals import summarize
from runner.stats.permutation import permutation_p
from runner.stats.power import noise, power, seeds_to_tell, smallest_difference

HALF = math.sqrt(0.5)


def draws(*means: float, n: int = 5, spread: float = 1.0, seed: int = 0) -> list[list[float]]:
    rng = random.Random(seed)
    return [[rng.gauss(mean, spread) for _ in range(n)] for mean in means]


@pytest.mark.parametrize(("trials", "freedom", "tabled"), [(2, 5, 3.03), (4, 20, 2.65), (9, 20, 2.95), (4, 10, 2.89), (1, 4, 2.776)])
def test_critical_values_are_the_tables(trials: int, freedom: float, tabled: float) -> None:
    """Dunnett 1964, two-sided, 5 %."""
    assert critical_value([HALF] * trials, freedom) == pytest.approx(tabled, abs=0.012)


@pytest.mark.parametrize("freedom", [1, 2.5, 4, 30, 150])
def test_a_single_comparison_is_students(freedom: float) -> None:
    for weight in (0.0, 0.5, 0.97):
        assert critical_value([weight], freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=2e-4)


def test_critical_values_by_simulation_with_unequal_weights() -> None:
    weights, freedom = [0.3, 0.6, 0.9], 7
    rng = np.random.default_rng(0)
    common, own = rng.normal(size=(200_000, 1)), rng.normal(size=(200_000, 3))
    errors = np.array(weights) * common + np.sqrt(1 - np.array(weights) ** 2) * own
    largest = np.abs(errors / np.sqrt(rng.chisquare(freedom, (200_000, 1)) / freedom)).max(axis=1)
    assert np.mean(largest > critical_value(weights, freedom)) == pytest.approx(0.05, abs=0.002)
    assert np.mean(largest > critical_value(weights, freedom, 0.99)) == pytest.approx(0.01, abs=0.001)


@pytest.mark.parametrize("bad", [([], 4.0, 0.95), ([1.2], 4.0, 0.95), ([0.5], 0.0, 0.95), ([0.5], 4.0, 1.0), ([math.nan], 4.0, 0.95)])
def test_no_critical_value_outside(bad: tuple[list[float], float, float]) -> None:
    with pytest.raises(ValueError, match="no critical value"):
        critical_value(*bad)


def test_intervals_are_scipys_dunnett() -> None:
    base, *others = draws(0, 0.3, 2.5, -1)
    found = effects(summarize(base), [summarize(one) for one in others])
    assert all(effect.pooled for effect in found)
    expected = stats.dunnett(*map(np.array, others), control=np.array(base), rng=np.random.default_rng(0))
    interval = expected.confidence_interval(0.95)
    for effect, low, high in zip(found, interval.low, interval.high, strict=True):
        assert (effect.together.low, effect.together.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))
    groups = [base, *others]
    spread = math.sqrt(sum(np.var(group, ddof=1) for group in groups) / 4)
    half = stats.t.ppf(0.975, 16) * spread * math.sqrt(2 / 5)
    assert found[1].alone.high == pytest.approx(found[1].together.delta + half)


def test_one_trial_is_student_or_welch_by_the_spreads() -> None:
    base, one = draws(0, 1)
    alike, wide = ([factor * value for value in one] for factor in (1.4, 5))
    for other, equal in ((alike, True), (wide, False)):
        (effect,) = effects(summarize(base), [summarize(other)])
        expected = stats.ttest_ind(other, base, equal_var=equal).confidence_interval(0.95)
        assert effect.pooled is equal and effect.together == effect.alone
        assert (effect.together.low, effect.together.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_another_number_of_seeds_is_welch() -> None:
    base, one = draws(0, 1)
    (effect,) = effects(summarize(base), [summarize(one[:3])])
    expected = stats.ttest_ind(one[:3], base, equal_var=False).confidence_interval(0.95)
    assert not effect.pooled and effect.together.low == pytest.approx(expected.low)


def test_no_interval_without_a_spread() -> None:
    flat, two, one = summarize([0.4, 0.4]), summarize([0.4, 0.5]), summarize([0.4])
    (effect,) = effects(flat, [flat])
    assert effect.together.low is None and effect.judged and effect.together.is_open
    assert [effect.judged for effect in effects(two, [one, two])] == [False, True]
    assert effects(one, [two])[0].together.low is None
    assert effects(flat, [two])[0].together.low is not None


def test_a_wide_baseline_is_heeded_early() -> None:
    """F(2, 6) is above 1.76 in a quarter of all cases."""
    ones, narrow, wide = ([scale * value for value in (-1.0, 0.0, 1.0)] for scale in (1.0, 1.30, 1.35))
    others = [summarize(ones)] * 3
    assert may_be_pooled(summarize(narrow), others) and not may_be_pooled(summarize(wide), others)
    assert may_be_pooled(summarize(ones), [summarize(ones), summarize(ones), summarize(wide)])


def test_equal_spreads_is_bartletts() -> None:
    groups = draws(0, 0, 0, n=4) + [[0.0, 5.0, -3.0]]
    assert equal_spreads([summarize(group) for group in groups]) == pytest.approx(stats.bartlett(*groups).pvalue)
    assert equal_spreads([summarize([1, 1]), summarize([1, 2])]) == 0 and equal_spreads([summarize([1, 1]), summarize([2, 2])]) == 1
    for ratio in (0, 0.3, 1, 9):
        assert f_tail(ratio, 2, 8) == pytest.approx(stats.f.sf(ratio, 2, 8), abs=1e-12)
    for freedom in (1, 2, 3, 4, 7):
        for x in (0, 0.1, 3, 40):
            assert chi_square_tail(x, freedom) == pytest.approx(stats.chi2.sf(x, freedom), abs=1e-12)


@pytest.mark.parametrize(
    ("arms", "least", "most"),
    [
        (Arms((1, 1), (3, 3)), 0.93, 0.975),
        (Arms((1,) * 4, (3,) * 4), 0.93, 0.975),
        (Arms((1, 3), (3, 3)), 0.91, 0.97),
        (Arms((1, 3), (10, 3)), 0.90, 0.96),
        (Arms((1, 1), (5, 5), 0.5), 0.96, 1.0),
    ],
)
def test_coverage(arms: Arms, least: float, most: float) -> None:
    """A small part of `python -m benchmarks.coverage`, whose seeds are fixed."""
    assert least <= coverage(arms, 600)[0] <= most


@pytest.mark.parametrize(("effect", "freedom", "critical"), [(0, 4, 2.776), (3.67, 4, 2.776), (2, 10, 2.2), (6, 2, 4.3), (1, 150, 1.98)])
def test_power_is_scipys(effect: float, freedom: float, critical: float) -> None:
    expected = stats.nct.sf(critical, freedom, effect) + stats.nct.cdf(-critical, freedom, effect)
    assert power(effect, freedom, critical) == pytest.approx(expected, abs=5e-4)


def test_the_smallest_difference_is_seen_in_four_of_five_cases() -> None:
    smallest, told = smallest_difference(2.0, 5), 0
    for seed in range(1000):
        base, one = draws(0, smallest, spread=2.0, seed=seed)
        told += stats.ttest_ind(one, base).pvalue < 0.05
    assert told / 1000 == pytest.approx(0.8, abs=0.04)
    assert smallest_difference(2.0, 5, comparisons=4) > smallest > smallest_difference(2.0, 10)


def test_seeds_to_tell() -> None:
    base, one = [0.0, 1.0, -1.0], [1.0, 2.0, 0.0]
    (effect,) = effects(summarize(base), [summarize(one)])
    assert effect.together.is_open and seeds_to_tell(effect) == 17  # Cohen's table 2.4.1 for d = 1
    (small,) = effects(summarize(base), [summarize([value + 0.1 for value in base])])
    assert seeds_to_tell(small) is None
    assert seeds_to_tell(effects(summarize(base), [summarize(base)])[0]) is None
    (wide,) = effects(summarize(base), [summarize([10 * value + 8 for value in base])])
    assert not wide.pooled and 5 < (seeds_to_tell(wide) or 0) < 40


def test_the_noise_floor_is_known_before_the_first_trial() -> None:
    found = noise(summarize([0.40, 0.41, 0.42]), [])
    assert found is not None and (found.spread, found.n, found.pooled) == (pytest.approx(0.01), 3, False)
    assert list(found.smallest) == [3, 5, 10] and found.smallest[3] == pytest.approx(0.01 * 3.07, abs=2e-4)
    assert noise(summarize([0.4]), []) is None and noise(summarize([0.4, 0.4]), []) is None


def test_permutation_p_is_scipys_where_all_ways_are_counted() -> None:
    one, other = draws(0.0, 1.0, n=8)
    expected = stats.permutation_test(
        (one, other), lambda a, b, axis: np.mean(a, axis=axis) - np.mean(b, axis=axis), vectorized=True, n_resamples=np.inf
    ).pvalue
    assert permutation_p(one, other) == pytest.approx(expected)
    assert permutation_p([1.0] * 8, [1.0] * 8) == 1


def test_permutation_p_of_draws_is_near_and_the_same_each_time() -> None:
    one, other = draws(0.0, 0.9, n=12)
    p = permutation_p(one, other)
    assert p == permutation_p(one, other) == pytest.approx(stats.ttest_ind(one, other).pvalue, abs=0.02)
    assert permutation_p([0.0] * 10, [1.0 + i for i in range(10)]) == pytest.approx(1 / 10_001, abs=1e-3)


@pytest.mark.parametrize("freedom", [900, 1600, 4000, 19_000, 99_000])
def test_power_with_many_degrees_of_freedom_is_nearly_that_of_the_normal(freedom: float) -> None:
    for effect in (0.0, 2.0, 4.0, 1000.0):
        normal = stats.norm.sf(3.0 - effect) + stats.norm.cdf(-3.0 - effect)
        assert power(effect, freedom, 3.0) == pytest.approx(normal, abs=2e-3)


def test_smallest_difference_is_found_among_a_thousand_trials() -> None:
    few, many = (smallest_difference(1.0, 5, comparisons) for comparisons in (99, 999))
    assert few < many < 1.5 * few
