"""Seed racing: who gets which seeds when, and that a later driver goes on where an earlier one was."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from runner.search.base import WAIT, IntermediateResult, Trial, TrialResult
from runner.search.racing import RacingSearch, Results, significance_rule

TRIALS = [Trial(0, {}, "baseline"), Trial(1, {"a": 1}, "a=1"), Trial(2, {"a": 2}, "a=2")]
Handed = tuple[int, tuple[int, ...] | None]


def result(trial: Trial, state: str = "done") -> TrialResult:
    values = {seed: {"bbox/AP": trial.number + seed / 100} for seed in trial.seeds or ()}
    return TrialResult(state, values if state == "done" else dict(list(values.items())[:1]))  # type: ignore[arg-type]


class Rule:
    """Answers in turn, and keeps what it was asked."""

    def __init__(self, *answers: Collection[int]) -> None:
        self.answers = list(answers)
        self.asked: list[Results] = []

    def __call__(self, results: Results) -> Collection[int]:
        self.asked.append({number: dict(values) for number, values in results.items()})
        return self.answers.pop(0)


def race(search: RacingSearch, states: Mapping[Handed, str] | None = None) -> list[Handed]:
    """Every trial told as soon as it was asked for."""
    handed: list[Handed] = []
    while isinstance(trial := search.ask(), Trial):
        handed.append((trial.number, trial.seeds))
        search.tell(trial, result(trial, (states or {}).get(handed[-1], "done")))
    assert trial is None
    return handed


def test_the_rule_looks_at_its_metric_alone() -> None:
    rule = significance_rule("x", 2, 4)
    assert rule({0: {0: {"x": 1.0}, 1: {"x": 1.1}}, 1: {0: {"x": 5.0, "y": 0.0}, 1: {"x": 5.1}}, 2: {0: {"y": 1.0}}}) == {2}


@pytest.mark.parametrize(("most", "runs"), [(None, 21), (20, 15), (15, 15), (14, 9)])
def test_no_look_goes_over_the_budget(most: int | None, runs: int) -> None:
    handed = race(RacingSearch(TRIALS, (0, 1, 2), 8, Rule({1, 2}, {2}), most))
    assert sum(len(seeds or ()) for _, seeds in handed) == runs


def test_seeds_are_added_where_the_decision_is_open() -> None:
    rule = Rule({1, 2}, {2})
    assert race(RacingSearch(TRIALS, (0, 1, 2), 8, rule)) == [
        (0, (0, 1, 2)), (1, (0, 1, 2)), (2, (0, 1, 2)),
        (0, (3, 4)), (1, (3, 4)), (2, (3, 4)),
        (0, (5, 6, 7)), (2, (5, 6, 7)),
    ]  # fmt: skip
    assert [{number: sorted(values) for number, values in asked.items()} for asked in rule.asked] == [
        {0: [0, 1, 2], 1: [0, 1, 2], 2: [0, 1, 2]},
        {0: [0, 1, 2, 3, 4], 1: [0, 1, 2, 3, 4], 2: [0, 1, 2, 3, 4]},
    ]
    assert rule.asked[0][1][2] == {"bbox/AP": 1.02}


def test_it_ends_when_all_is_decided() -> None:
    assert len(race(RacingSearch(TRIALS, (0, 1, 2), 10, Rule(set())))) == 3
    assert race(RacingSearch(TRIALS[:1], (0, 1), 10, Rule())) == [(0, (0, 1))]


def test_one_that_was_decided_does_not_come_back() -> None:
    handed = race(RacingSearch(TRIALS, (0, 1, 2), 8, Rule({1}, {1, 2})))
    assert [number for number, seeds in handed if seeds == (5, 6, 7)] == [0, 1]


def test_further_seeds_are_new_numbers() -> None:
    handed = race(RacingSearch(TRIALS[:2], (1, 3, 7), 6, Rule({1}, {1})))
    assert handed == [(0, (1, 3, 7)), (1, (1, 3, 7)), (0, (0, 2)), (1, (0, 2)), (0, (4,)), (1, (4,))]


def test_a_look_waits_for_all_of_its_runs() -> None:
    search = RacingSearch(TRIALS, (0, 1), 4, Rule({1, 2}))
    first = [search.ask() for _ in TRIALS]
    assert search.ask() is WAIT
    for trial in reversed(first[1:]):
        assert isinstance(trial, Trial)
        search.tell(trial, result(trial))
        assert search.ask() is WAIT
    assert isinstance(first[0], Trial)
    search.tell(first[0], result(first[0]))
    again = search.ask()
    assert isinstance(again, Trial) and (again.number, again.seeds) == (0, (2, 3))


def test_a_failed_trial_gets_no_further_seeds() -> None:
    rule = Rule({1, 2})
    handed = race(RacingSearch(TRIALS, (0, 1), 4, rule), {(1, (0, 1)): "failed"})
    assert [number for number, seeds in handed if seeds == (2, 3)] == [0, 2]
    assert set(rule.asked[0]) == {0, 2}


@pytest.mark.parametrize("state", ["failed", "infeasible"])
def test_without_the_baseline_nothing_is_added(state: str) -> None:
    assert len(race(RacingSearch(TRIALS, (0, 1), 4, Rule()), {(0, (0, 1)): state})) == 3


def test_a_later_driver_goes_on() -> None:
    whole = race(RacingSearch(TRIALS, (0, 1, 2), 8, Rule({1, 2}, {2})))
    for cut in range(len(whole) + 1):
        search = RacingSearch(TRIALS, (0, 1, 2), 8, Rule({1, 2}, {2}))
        for number, seeds in whole[:cut]:
            trial = Trial(number, {}, "", seeds)
            search.tell(trial, result(trial))
            search.tell(trial, result(trial))  # twice is once
        assert race(search) == whole[cut:]


def test_what_was_running_is_not_handed_out_again() -> None:
    search = RacingSearch(TRIALS, (0, 1), 4, Rule({1}))
    search.tell(Trial(0, {}, "", (0, 1)), result(Trial(0, {}, "", (0, 1))))
    search.resume(Trial(1, {}, "", (0, 1)))
    last = search.ask()
    assert isinstance(last, Trial) and last.number == 2 and search.ask() is WAIT
    search.tell(last, result(last))
    assert search.ask() is WAIT
    search.tell(Trial(1, {}, "", (0, 1)), result(Trial(1, {}, "", (0, 1))))
    assert race(search) == [(0, (2, 3)), (1, (2, 3))]


def test_a_sweep_that_knew_fewer_seeds_gets_the_missing_ones() -> None:
    search = RacingSearch(TRIALS[:2], (0, 1, 2), 5, Rule(set()))
    search.tell(Trial(0, {}, "", (0, 1)), result(Trial(0, {}, "", (0, 1))))
    assert race(search) == [(0, (2,)), (1, (0, 1, 2))]


def test_duties() -> None:
    search = RacingSearch(TRIALS, (0, 1), 4, Rule())
    assert [(trial.number, trial.seeds) for trial in search.planned()] == [(0, (0, 1)), (1, (0, 1)), (2, (0, 1))]
    assert not search.wants_reports and search.report(TRIALS[0], IntermediateResult(0, 1, 2, {})) is None
    for trials in ([], TRIALS[1:], [TRIALS[0], TRIALS[0]]):
        with pytest.raises(ValueError, match="baseline"):
            RacingSearch(trials, (0, 1), 4, Rule())
