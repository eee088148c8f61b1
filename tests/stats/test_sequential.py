"""The rule of seed racing: its level against tables, its errors by simulation, and that `compare` says what it said."""

from __future__ import annotations

import random

import pytest

from benchmarks.coverage import race
from runner.stats.sequential import look_confidence, looks, raced_effects, undecided


@pytest.mark.parametrize(
    ("planned", "level"), [((1,), 0.05), ((1, 2), 0.0294), ((1, 2, 3), 0.0221), ((1, 2, 3, 4), 0.0182), ((2, 4, 6, 8, 10), 0.0158)]
)
def test_levels_are_pococks(planned: tuple[int, ...], level: float) -> None:
    """Jennison and Turnbull 2000, table 2.1: nominal levels of Pocock's test."""
    assert 1 - look_confidence(planned) == pytest.approx(level, abs=1e-4)


def test_more_trials_are_looked_at_more_strictly() -> None:
    one, four = look_confidence((3, 5, 8, 10)), look_confidence((3, 5, 8, 10), 4)
    assert 0.98 < one < four < 1 - 0.05 / 4


def test_no_difference_is_rarely_found() -> None:
    found = race((0.0,), 500)
    assert found.false <= 0.07 and found.covered >= 0.93


def test_a_difference_saves_seeds() -> None:
    found = race((3.0, -3.0), 60)
    assert found.told >= 0.95 and found.spent < 0.8 and found.covered >= 0.9


def test_a_verdict_is_that_of_the_look_at_which_the_trial_was_stopped() -> None:
    rng = random.Random(1)
    seeds = range(10)
    values = {number: {seed: rng.gauss(mean, 1.0) for seed in seeds} for number, mean in ((0, 0.0), (1, 5.0), (2, 0.3))}
    assert undecided({number: {seed: mine[seed] for seed in range(3)} for number, mine in values.items()}, looks(3, 10)) == {2}
    early = raced_effects({number: dict(list(mine.items())[:3]) for number, mine in values.items()}, (3, 5, 8, 10))
    late = raced_effects({0: values[0], 1: dict(list(values[1].items())[:3]), 2: values[2]}, (3, 5, 8, 10))
    assert early[1] == late[1] and early[2] != late[2]


def test_a_trial_without_two_values_is_undecided() -> None:
    assert undecided({0: {0: 1.0, 1: 1.1}, 1: {0: 5.0}, 2: {}}, looks(2, 4)) == {1, 2}


def test_looks_rise_to_the_most() -> None:
    assert looks(3, 10) == (3, 5, 8, 10) and looks(3, 4) == (3, 4) and looks(2, 7) == (2, 4, 7) and looks(5, 5) == (5,)
    for first, most in ((1, 5), (4, 3)):
        with pytest.raises(ValueError, match="two seeds or more"):
            looks(first, most)
