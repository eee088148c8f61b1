"""Differences of two trials in several numbers: against scipy's t tests."""

from __future__ import annotations

import pytest

from runner.results.classes import differences


def test_intervals_are_simultaneous_over_the_numbers() -> None:
    from scipy import stats

    a = {"hole": [0.40, 0.41, 0.39], "short": [0.20, 0.22, 0.21]}
    b = {"hole": [0.50, 0.52, 0.51], "short": [0.21, 0.20, 0.23]}
    found = differences(a, b)
    for name in a:
        test = stats.ttest_ind(b[name], a[name])
        together, alone = test.confidence_interval(1 - 0.05 / 2), test.confidence_interval(0.95)
        effect, single = found[name].effect, found[name].alone
        assert effect is not None and single is not None
        assert effect.delta == pytest.approx(sum(b[name]) / 3 - sum(a[name]) / 3)
        assert (effect.low, effect.high) == (pytest.approx(together.low), pytest.approx(together.high))
        assert (single.low, single.high) == (pytest.approx(alone.low), pytest.approx(alone.high))
    assert (found["hole"].means, found["short"].means) == ("better", "open")
    wider = differences(a, b, family=20)["hole"].effect
    assert wider is not None and wider.low is not None and found["hole"].effect is not None and found["hole"].effect.low is not None
    assert wider.low < found["hole"].effect.low


def test_lower_may_be_better() -> None:
    found = differences({"missed": [0.4, 0.41, 0.39]}, {"missed": [0.2, 0.21, 0.19]}, lower_is_better=True)
    assert found["missed"].means == "better"


@pytest.mark.parametrize(("a", "b"), [([0.4], [0.5]), ([0.4, 0.41], [0.5])])
def test_a_single_seed_has_a_difference_without_interval(a: list[float], b: list[float]) -> None:
    found = differences({"hole": a}, {"hole": b})["hole"]
    assert found.effect is not None
    assert found.effect.delta == pytest.approx(0.5 - sum(a) / len(a))
    assert (found.effect.low, found.effect.high, found.means) == (None, None, None)


def test_a_number_of_one_side_has_no_difference() -> None:
    found = differences({"hole": [0.4, 0.5]}, {"short": [0.4, 0.5]})
    assert list(found) == ["hole", "short"]
    assert all(row.effect is None and row.means is None for row in found.values())
