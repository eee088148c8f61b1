"""The contract of `runner.search.base.Search` and `Design` as tests. Subclass `SearchContract` and name the design.

class TestMyDesign(SearchContract):
    design = "my_design"  # its registered name
    sweep = {"design": "my_design", "space": {"lr": [0.1, 0.2, 0.3]}, "budget": {"runs": 8}}
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from runner.config.bind import bind
from runner.config.node import Source, from_plain
from runner.core.files import parse_json
from runner.core.text import json_text
from runner.core.values import is_number
from runner.search.base import DESIGNS, WAIT, Design, IntermediateResult, Search, Trial, TrialResult
from runner.search.spec import Metric, SweepSpec
from runner.search.spec_rules import check_spec

MOST_TRIALS = 200
STEPS = 100


def spec_of(sweep: Mapping[str, Any]) -> SweepSpec:
    """Bind and check a sweep given as a plain mapping; fails with everything that is wrong in it."""
    bound = bind(from_plain({"config": "config.yml", **sweep}, Source("sweep.yml")), SweepSpec)
    assert bound.value is not None, bound.problems
    assert not (problems := check_spec(bound.value)), problems
    return bound.value if bound.value.metric is not None else replace(bound.value, metric=Metric(name="score"))


@dataclass
class Driver:
    """A driver without runs: it calls `ask`, `report` and `tell`, one trial at a time.

    Args:
        search: the search under test.
        seeds: the sweep's.
        metric: tag of the deciding metric.
        handed: (number, seeds) of every trial that was handed out, in order; told: every (trial, result) given to `tell`.
    """

    search: Search
    seeds: tuple[int, ...]
    metric: str
    handed: list[tuple[Trial, tuple[int, ...]]] = field(default_factory=list)
    told: list[tuple[Trial, TrialResult]] = field(default_factory=list)

    def ask(self) -> Trial | None:
        """Return the next trial; None after the last. With nothing running a search must not wait."""
        answer = self.search.ask()
        assert answer is not WAIT, "the search waits although no trial runs"
        assert answer is None or isinstance(answer, Trial)
        if answer is not None:
            self.handed.append((answer, answer.seeds if answer.seeds is not None else self.seeds))
            assert len(self.handed) <= MOST_TRIALS, f"no end after {MOST_TRIALS} trials"
        return answer

    def end(self, trial: Trial, state: str = "done") -> None:
        """Give the search a trial's result: its value depends on its overrides and the seed alone."""
        seeds = trial.seeds if trial.seeds is not None else self.seeds
        result = result_of(trial, seeds, self.metric) if state == "done" else TrialResult(state, reason=state)  # type: ignore[arg-type]
        self.told.append((trial, result))
        self.search.tell(trial, result)

    def run(self, trials: int = MOST_TRIALS, states: Iterable[str] = ()) -> None:
        """Ask and end up to `trials` trials; `states` are those of the first ones."""
        left = iter(states)
        for _ in range(trials):
            trial = self.ask()
            if trial is None:
                return
            self.end(trial, next(left, "done"))


def value_of(trial: Trial, seed: int) -> float:
    """Return a made-up metric of a run: the same for the same overrides and seed."""
    numbers = [value for value in trial.overrides.values() if is_number(value)]
    return math.tanh(math.fsum(numbers) / 100 + len(trial.overrides) / 10) / 2 + 0.4 + seed / 1000


def result_of(trial: Trial, seeds: Iterable[int], metric: str) -> TrialResult:
    """Return the result of a trial that is done."""
    values = {seed: {metric: value_of(trial, seed), "resource/memory_gib": 1.0} for seed in seeds}
    reports = {seed: [(step, {metric: value_of(trial, seed) * step / STEPS}) for step in (50, STEPS)] for seed in seeds}
    return TrialResult("done", values, reports)


def identity(trial: Trial) -> tuple[int, dict[str, Any], tuple[int, ...] | None]:
    """Return what has to be the same in another driver."""
    return trial.number, dict(trial.overrides), trial.seeds


class SearchContract:
    """Duties of every design and its search."""

    design: ClassVar[str]
    """Registered name."""
    sweep: ClassVar[Mapping[str, Any]]
    """A sweep file's keys except `config`, with a search that ends within `MOST_TRIALS` trials."""
    baseline: ClassVar[Mapping[str, Any]] = {"lr": 0.1, "width": 1}
    """The baseline's values, by dotted key."""

    def look_up(self, key: str) -> Any:
        """Return the baseline's value of a key."""
        from runner.core.values import ABSENT  # noqa: PLC0415

        return self.baseline.get(key, ABSENT)

    def made(self) -> tuple[Design, SweepSpec]:
        """Return the design and the sweep."""
        spec = spec_of(self.sweep)
        return DESIGNS.get(self.design)(), spec

    def driver(self, folder: Path | None = None) -> Driver:
        """Return a driver of a new search."""
        design, spec = self.made()
        search = design.build(spec, design.trials(spec, self.look_up), self.look_up, folder)
        return Driver(search, spec.seeds, spec.metrics[0].name)

    def test_the_facts_are_valid(self) -> None:
        design, spec = self.made()
        assert spec.design == self.design
        assert not design.required or design.required in design.keys
        assert design.report in ("comparison", "search")
        assert all(isinstance(line, str) for line in design.outlook(spec))
        assert all(isinstance(keys, set) for keys in design.varied_together(spec))

    def test_the_baseline_is_trial_0_and_comes_first(self) -> None:
        design, spec = self.made()
        trials = design.trials(spec, self.look_up)
        assert trials[0].number == 0 and not trials[0].overrides
        assert len({trial.number for trial in trials}) == len(trials)
        assert [identity(trial)[:2] for trial in self.driver().search.planned()] == [identity(trial)[:2] for trial in trials]
        first = self.driver().ask()
        assert first is not None and first.number == 0

    def test_it_ends_and_hands_out_no_run_twice(self) -> None:
        driver = self.driver()
        driver.run()
        runs = [(trial.number, seed) for trial, seeds in driver.handed for seed in seeds]
        assert runs and len(set(runs)) == len(runs)
        assert driver.search.ask() is None

    def test_a_fixed_search_hands_out_each_planned_trial_once_with_all_seeds(self) -> None:
        driver = self.driver()
        if not driver.search.is_fixed:
            return
        planned = [trial.number for trial in driver.search.planned()]
        driver.run()
        assert [trial.number for trial, _ in driver.handed] == planned
        assert all(set(seeds) == set(driver.seeds) for _, seeds in driver.handed)

    def test_a_number_belongs_to_one_point(self) -> None:
        driver = self.driver()
        driver.run()
        overrides: dict[int, Mapping[str, Any]] = {}
        for trial, _ in driver.handed:
            assert overrides.setdefault(trial.number, trial.overrides) == trial.overrides

    def test_the_same_results_give_the_same_trials(self) -> None:
        one, other = self.driver(), self.driver()
        one.run()
        other.run()
        assert [identity(trial) for trial, _ in one.handed] == [identity(trial) for trial, _ in other.handed]

    def test_a_later_driver_continues_where_the_first_was_killed(self) -> None:
        whole = self.driver()
        whole.run()
        for before in range(len(whole.told)):
            later = self.driver()
            for trial, result in whole.told[:before]:
                later.search.tell(stored(trial), result)
            later.run()
            handed = [identity(trial) for trial, _ in later.handed]
            assert handed == [identity(trial) for trial, _ in whole.handed[before:]], f"after {before} trials"

    def test_a_running_trial_is_not_handed_out_again(self) -> None:
        first = self.driver()
        first.run(1)
        second = first.ask()
        if second is None:
            return
        later = self.driver()
        for trial, result in first.told:
            later.search.tell(stored(trial), result)
        later.search.resume(stored(second))
        answers = []
        while isinstance(answer := later.search.ask(), Trial):
            answers.append(answer)
            assert len(answers) <= MOST_TRIALS
        seeds = set(second.seeds if second.seeds is not None else first.seeds)
        assert not any(trial.number == second.number and set(trial.seeds or later.seeds) & seeds for trial in answers)

    def test_a_result_told_twice_changes_nothing(self) -> None:
        once, twice = self.driver(), self.driver()
        once.run()
        while (trial := twice.ask()) is not None:
            twice.end(trial)
            twice.search.tell(*twice.told[-1])
        assert [identity(trial) for trial, _ in once.handed] == [identity(trial) for trial, _ in twice.handed]

    def test_trials_that_fail_do_not_stop_it(self) -> None:
        for state in ("failed", "infeasible", "pruned"):
            driver = self.driver()
            driver.run(states=["done", *[state] * MOST_TRIALS])
            assert driver.search.ask() is None

    def test_reports_are_answered_with_a_reason_or_none(self) -> None:
        driver = self.driver()
        if not driver.search.wants_reports:
            return
        while (trial := driver.ask()) is not None:
            reasons = []
            for seed in trial.seeds if trial.seeds is not None else driver.seeds:
                for step in (50, STEPS):
                    values = {driver.metric: value_of(trial, seed) * step / STEPS}
                    reasons.append(driver.search.report(trial, IntermediateResult(seed, step, STEPS, values)))
            assert all(reason is None or isinstance(reason, str) and reason for reason in reasons)
            assert trial.number != 0 or not any(reasons), "the baseline was pruned"
            driver.end(trial, "pruned" if any(reasons) else "done")

    def test_its_files_are_in_the_folder_it_was_given(self, tmp_path: Path) -> None:
        design, _ = self.made()
        folder = tmp_path / "a 'sweep' ü"
        folder.mkdir()
        self.driver(folder).run()
        expected = {design.database} - {""}
        assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} >= expected


def stored(trial: Trial) -> Trial:
    """Return a trial as a later driver reads it from its runs."""
    proposal = parse_json(json_text(dict(trial.proposal)))
    return Trial(trial.number, parse_json(json_text(dict(trial.overrides))), trial.label, trial.seeds, proposal)
