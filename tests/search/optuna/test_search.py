"""The Optuna search: what it proposes, also after a restart, and what it makes of results."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.search.base import WAIT, IntermediateResult, Trial, TrialResult
from runner.search.optuna.search import OptunaSearch
from runner.search.spec import Budget, Choice, Component, Metric, Span, SweepSpec

AP = "bbox/AP"
BASELINE = {"lr": 0.01, "wd": 0.001, "batch": 8, "optimizer": "Momentum", "momentum": 0.9, "milestones": [8, 11]}
SPACE = {
    "lr": Span(low=1e-4, high=1e-1, log=True),
    "wd": Span(low=0.0, high=0.01),
    "batch": Span(low=4, high=16, step=4),
}
FINITE = {"batch": Span(low=4, high=16, step=4), "optimizer": ("Momentum", "AdamW"), "milestones": ([8, 11], [4, 8])}
SAMPLERS = {
    "TPESampler": {"n_startup_trials": 4},
    "GPSampler": {"n_startup_trials": 4},
    "CmaEsSampler": {"popsize": 4},
    "NSGAIISampler": {"population_size": 4},
    "NSGAIIISampler": {"population_size": 4},
    "QMCSampler": {},
    "RandomSampler": {},
    "PartialFixedSampler": {"fixed_params": {"wd": 0.002}, "base_sampler": {"name": "TPESampler", "n_startup_trials": 4}},
}


def make_spec(sampler: str = "RandomSampler", arguments: dict[str, Any] | None = None, **changes: Any) -> SweepSpec:
    given: dict[str, Any] = {"space": SPACE, "budget": Budget(runs=20), "confirm_seeds": 0, "metric": Metric(name=AP)}
    part = Component(name=sampler, arguments=arguments or {})
    return SweepSpec(config="x.yml", design="optuna", sampler=part, **{**given, **changes})


def make(spec: SweepSpec, folder: Path | None = None) -> OptunaSearch:
    return OptunaSearch(spec, BASELINE.__getitem__, folder)


def score(trial: Trial) -> float:
    values = {**BASELINE, **trial.overrides}
    return -((math.log10(values["lr"]) + 2.5) ** 2) - 10 * values["wd"] - abs(values["batch"] - 8) / 100


def done(trial: Trial, spec: SweepSpec, of: Callable[[Trial], float] = score) -> TrialResult:
    seeds = spec.seeds if trial.seeds is None else trial.seeds
    return TrialResult("done", {seed: {AP: of(trial), "resource/memory_gib": 4.0} for seed in seeds})


def stored(trial: Trial) -> Trial:
    """As a run directory gives it back."""
    back = json.loads(json.dumps([trial.overrides, trial.proposal], allow_nan=False))
    return Trial(trial.number, back[0], trial.label, trial.seeds, back[1])


class Driver:
    """Hands out and tells; keeps what a run directory keeps, so that another driver can go on."""

    def __init__(self, spec: SweepSpec, jobs: int = 1, folder: Path | None = None) -> None:
        self.spec, self.jobs, self.folder = spec, jobs, folder
        self.search = make(spec, folder)
        self.handed: list[Trial] = []
        self.results: dict[int, TrialResult] = {}

    def step(self) -> bool:
        """One more trial; the oldest that runs ends when there is no room."""
        running = [trial for trial in self.handed if trial.number not in self.results]
        if len(running) >= self.jobs:
            self.tell(running[0])
        trial = self.search.ask()
        if not isinstance(trial, Trial):
            return False
        self.handed.append(stored(trial))
        return True

    def tell(self, trial: Trial) -> None:
        self.results[trial.number] = done(trial, self.spec)
        self.search.tell(trial, self.results[trial.number])

    def restart(self) -> None:
        """The driver is killed, and another one reads the run directories."""
        self.search = make(self.spec, self.folder)
        for trial in self.handed:
            if trial.number in self.results:
                self.search.tell(trial, self.results[trial.number])
            else:
                self.search.resume(trial)

    def points(self) -> list[str]:
        return [json.dumps(trial.overrides, sort_keys=True) for trial in self.handed]


def drive(driver: Driver, restarts: tuple[int, ...] = ()) -> Iterator[Trial]:
    for number in range(1000):
        if number in restarts:
            driver.restart()
        if not driver.step():
            return
        yield driver.handed[-1]


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_restart_changes_no_proposal(sampler: str, jobs: int) -> None:
    spec = make_spec(sampler, SAMPLERS[sampler], budget=Budget(runs=8 if sampler == "GPSampler" else 16))
    undisturbed, killed = Driver(spec, jobs), Driver(spec, jobs)
    expected = [trial.overrides for trial in drive(undisturbed)]
    found = [trial.overrides for trial in drive(killed, restarts=(1, 2, 5, 6, 8, 13))]
    assert len(expected) == spec.budget.runs
    assert found == expected
    assert [trial.number for trial in killed.handed] == list(range(len(expected)))
    assert len(set(killed.points())) == len(expected)


@pytest.mark.parametrize("sampler", ["GridSampler", "BruteForceSampler", "TPESampler", "QMCSampler", "NSGAIISampler"])
def test_a_finite_space_ends_when_every_point_was_tried_once(sampler: str) -> None:
    spec = make_spec(sampler, space=FINITE, budget=Budget(runs=100))
    driver, undisturbed = Driver(spec, jobs=2), Driver(spec, jobs=2)
    trials = list(drive(driver, restarts=(3, 7, 15)))
    assert [trial.overrides for trial in drive(undisturbed)] == [trial.overrides for trial in trials]
    assert len(trials) == 4 * 2 * 2  # the baseline is one of them
    assert len(set(driver.points())) == len(trials)
    assert [trial.number for trial in trials] == list(range(len(trials)))


def test_another_seed_proposes_other_points() -> None:
    one, same, other = (Driver(make_spec(arguments={"seed": seed})) for seed in (1, 1, 2))
    for driver in (one, same, other):
        list(drive(driver))
    assert one.points() == same.points()
    assert set(one.points()) & set(other.points()) == {"{}"}


def test_trial_0_is_the_baseline_and_is_learnt_from() -> None:
    search = make(make_spec())
    trial = search.ask()
    assert isinstance(trial, Trial)
    assert (trial.number, trial.overrides, trial.label) == (0, {}, "baseline")
    assert trial == search.planned()[0]
    assert trial.proposal["params"] == {"lr": 0.01, "wd": 0.001, "batch": 8}


def test_a_baseline_outside_of_the_space_does_not_stop_the_sampler_from_learning() -> None:
    spec = make_spec("CmaEsSampler", {"popsize": 4}, space={**SPACE, "wd": Span(low=0.01, high=0.1)})
    driver = Driver(spec)
    list(drive(driver))
    assert driver.handed[0].proposal["params"] == {}
    assert any("cma:generation" in trial.proposal["system_attrs"] for trial in driver.handed)


def test_only_what_differs_is_overridden_and_named() -> None:
    spec = make_spec(space={"lr": Choice(choices=(0.01, 0.02)), "milestones": ([8, 11], [4, 8])}, derive={"wd": "base * lr / 0.01"})
    trials = {trial.label: trial for trial in drive(Driver(spec))}
    assert trials.keys() == {"baseline", "lr=0.02", "milestones=[4, 8]", "lr=0.02, milestones=[4, 8]"}
    assert trials["milestones=[4, 8]"].overrides == {"milestones": [4, 8]}
    assert trials["lr=0.02"].overrides == {"lr": 0.02, "wd": 0.002}


@pytest.mark.parametrize(
    "sampler", ["TPESampler", "GPSampler", "CmaEsSampler", "NSGAIISampler", "QMCSampler", "RandomSampler", "GridSampler"]
)
def test_a_condition_decides_what_is_varied(sampler: str) -> None:
    space = {
        "momentum": Span(low=0.8, high=0.98, step=0.02, when="optimizer == Momentum"),
        "optimizer": ("Momentum", "AdamW"),
        "batch": Span(low=4, high=16, step=4),
    }
    trials = list(drive(Driver(make_spec(sampler, SAMPLERS.get(sampler, {}), space=space, budget=Budget(runs=12)))))
    assert len(trials) == 12
    for trial in trials:
        params = trial.proposal["params"]
        assert ("momentum" in params) == (params["optimizer"] == "Momentum")
        assert "momentum" not in trial.overrides or params["optimizer"] == "Momentum"
    assert len({trial.proposal["params"]["optimizer"] for trial in trials}) == 2


def test_a_point_whose_trial_was_never_written_is_drawn_again() -> None:
    driver = Driver(make_spec())
    list(drive(driver))
    lost = driver.handed.pop(3)
    driver.restart()
    driver.spec = make_spec(budget=Budget(runs=30))
    driver.search = make(driver.spec)
    for trial in driver.handed:
        driver.search.tell(trial, driver.results.get(trial.number) or done(trial, driver.spec))
    again = driver.search.ask()
    assert isinstance(again, Trial)
    assert again == Trial(lost.number, again.overrides, again.label, None, again.proposal)
    after = driver.search.ask()
    assert isinstance(after, Trial)
    assert after.number == len(driver.handed) + 1


def test_a_proposal_that_cannot_be_read_is_said_and_the_search_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    search = make(make_spec())
    search.tell(Trial(0, {}, "baseline"), TrialResult("done", {0: {AP: 0.5}}))
    search.resume(Trial(1, {}, "x", proposal={"params": {"lr": "fast"}}))
    assert "trial 1: its run.json does not say" in caplog.text
    trial = search.ask()
    assert isinstance(trial, Trial)
    assert trial.number == 2


def test_a_pickle_of_something_else_is_not_opened(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    driver = Driver(make_spec("CmaEsSampler", {"popsize": 4}))
    list(drive(driver))
    states = [trial.proposal["system_attrs"] for trial in driver.handed if "cma:optimizer:0" in trial.proposal["system_attrs"]]
    assert states
    evil = tmp_path / "evil"
    for key in [key for key in states[-1] if key.startswith("cma:optimizer:")]:
        del states[-1][key]
    states[-1]["cma:optimizer:0"] = f"cos\nsystem\n(S'touch {evil}'\ntR.".encode().hex()
    driver.restart()
    assert not evil.exists()
    assert "os.system is no part of it" in caplog.text
    driver.spec = make_spec("CmaEsSampler", {"popsize": 4}, budget=Budget(runs=30))
    driver.restart()
    assert isinstance(driver.search.ask(), Trial)


def test_the_budget_counts_runs_and_the_baseline() -> None:
    trials = list(drive(Driver(make_spec(seeds=(0, 1, 2), budget=Budget(runs=10)))))
    assert len(trials) == 3


def test_results_are_means_over_seeds_and_the_same_may_be_told_twice() -> None:
    search = make(make_spec(seeds=(0, 1)))
    trial = search.ask()
    assert isinstance(trial, Trial)
    for _ in range(2):
        search.tell(trial, TrialResult("done", {0: {AP: 0.2}, 1: {AP: 0.4}}))
    assert search._live.study.trials[0].value == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (TrialResult("failed", reason="the loss is nan"), "the loss is nan"),
        (TrialResult("done", {0: {"bbox/AP50": 0.4}}), "seed 0 has no finite bbox/AP"),
        (TrialResult("done", {0: {AP: math.nan}}), "seed 0 has no finite bbox/AP"),
        (TrialResult("infeasible", reason="out of memory"), "out of memory"),
    ],
)
def test_a_trial_without_a_value_is_failed_with_the_reason(result: TrialResult, reason: str) -> None:
    search = make(make_spec("CmaEsSampler"))
    trials = [search.ask() for _ in range(2)]
    assert isinstance(trials[1], Trial)
    search.tell(trials[1], result)
    told = search._live.study.trials[1]
    assert (told.state.name, told.value, told.user_attrs["reason"]) == ("FAIL", None, reason)
    assert isinstance(search.ask(), Trial)


def test_tpe_counts_what_does_not_fit_into_the_memory_as_violated_without_a_value() -> None:
    spec = make_spec("TPESampler", {"n_startup_trials": 5}, budget=Budget(runs=40), space={"batch": Span(low=1, high=4000)})
    search = make(spec)
    batches = []
    for _ in range(40):
        trial = search.ask()
        assert isinstance(trial, Trial)
        batch = trial.overrides.get("batch", 8)
        batches.append(batch)
        fits = batch <= 1000
        search.tell(trial, TrialResult("done", {0: {AP: batch / 4000}}) if fits else TrialResult("infeasible", reason="out of memory"))
    too_large = [number for number, batch in enumerate(batches) if batch > 1000]
    assert too_large
    for number in too_large:
        told = search._live.study.trials[number]
        assert (told.value, told.constraints) == (None, {"fits into the memory": 1.0})
    assert sum(batch <= 1000 for batch in batches[20:]) > sum(batch <= 1000 for batch in batches[1:20]) - 1


@pytest.mark.parametrize("sampler", ["TPESampler", "GPSampler", "NSGAIISampler", "RandomSampler", "QMCSampler"])
def test_constraints_are_kept(sampler: str) -> None:
    spec = make_spec(
        sampler, SAMPLERS[sampler], constraints=("resource/memory_gib <= 8", "not bbox/AP50 < 0.1"), confirm_seeds=2, budget=Budget(runs=8)
    )
    search = make(spec)
    while isinstance(trial := search.ask(), Trial) and trial.seeds is None:
        memory = 4.0 if trial.number == 3 else 9.5
        search.tell(trial, TrialResult("done", {0: {AP: 1.0 + trial.number, "resource/memory_gib": memory, "bbox/AP50": 0.5}}))
    assert isinstance(trial, Trial)
    assert trial.number == 3  # the best of those that keep to it
    assert search._live.study.trials[4].constraints == {"resource/memory_gib <= 8": 1.5, "not bbox/AP50 < 0.1": 0.0}


@pytest.mark.parametrize("sampler", ["TPESampler", "NSGAIISampler", "RandomSampler"])
def test_several_metrics_are_several_objectives(sampler: str) -> None:
    metrics = (Metric(name=AP), Metric(name="speed/latency_ms", goal="minimize"))
    search = make(make_spec(sampler, SAMPLERS[sampler], metric=metrics, confirm_seeds=3, budget=Budget(runs=10)))
    while isinstance(trial := search.ask(), Trial):
        values = {0: {AP: score(trial), "speed/latency_ms": float(trial.number)}}
        result = TrialResult("infeasible" if trial.number == 4 else "done", values, {0: [(100, values[0])]})
        search.tell(trial, result)
    assert trial is None
    assert [direction.name for direction in search._live.study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert search._live.study.best_trials


def confirmation(search: OptunaSearch, spec: SweepSpec, of: Callable[[Trial], float]) -> list[Trial]:
    asked = []
    while isinstance(trial := search.ask(), Trial):
        if trial.seeds is None:
            search.tell(trial, done(trial, spec, of))
        else:
            asked.append(trial)
    assert trial is None
    return asked


def test_the_winner_and_the_baseline_run_again_on_fresh_seeds() -> None:
    spec = make_spec(seeds=(0, 4), budget=Budget(runs=12), confirm_seeds=2)
    first, second = confirmation(make(spec), spec, lambda trial: 0.9 if trial.number == 3 else 0.5)
    assert (first.number, second.number) == (3, 0)
    assert first.seeds == second.seeds == (5, 6)
    assert first.overrides and not second.overrides


def test_nothing_is_confirmed_where_nothing_beats_the_baseline() -> None:
    spec = make_spec(budget=Budget(runs=6), confirm_seeds=2)
    assert confirmation(make(spec), spec, lambda trial: -trial.number) == []


def test_a_smaller_metric_wins_where_it_is_minimised() -> None:
    spec = make_spec(budget=Budget(runs=6), confirm_seeds=1, metric=Metric(name=AP, goal="minimize"))
    assert [trial.number for trial in confirmation(make(spec), spec, lambda trial: -trial.number)] == [5, 0]


def test_confirming_waits_for_all_results_and_is_done_once() -> None:
    spec = make_spec(budget=Budget(runs=3), confirm_seeds=1)
    search = make(spec)
    trials = [search.ask() for _ in range(3)]
    assert search.ask() is WAIT
    for number, trial in enumerate(trials):
        assert isinstance(trial, Trial)
        search.tell(trial, TrialResult("done", {0: {AP: float(number)}}))
    winner = search.ask()
    assert isinstance(winner, Trial) and winner.number == 2
    later = make(spec)
    for number, trial in enumerate(trials):
        later.tell(stored(trial), TrialResult("done", {0: {AP: float(number)}}))  # type: ignore[arg-type]
    later.resume(stored(winner))
    assert isinstance(baseline := later.ask(), Trial)
    assert (baseline.number, baseline.seeds) == (0, (1,))
    later.tell(winner, TrialResult("done", {1: {AP: 0.0}}))
    assert later.ask() is None
    assert later._live.study.trials[2].value == 2.0


def test_finish_leaves_only_the_confirmation() -> None:
    spec = make_spec(budget=Budget(hours=1), confirm_seeds=1)
    search = make(spec)
    for _ in range(5):
        trial = search.ask()
        assert isinstance(trial, Trial)
        search.tell(trial, done(trial, spec, lambda trial: float(trial.number)))
    search.finish()
    assert [trial.number for trial in confirmation(search, spec, score)] == [4, 0]


@pytest.mark.parametrize("batch", [Span(low=0, high=16, step=4), Span(low=0, high=1_000_000)])
def test_a_point_for_which_nothing_can_follow_is_not_proposed(batch: Span) -> None:
    driver = Driver(make_spec(space={"batch": batch}, derive={"lr": "base / (batch // 10)"}, budget=Budget(runs=6)))
    trials = list(drive(driver))
    assert [trial.overrides["batch"] // 10 > 0 for trial in trials[1:]] == [True] * len(trials[1:])
    assert len(trials) == (3 if batch.step else 6)


# pruning


def report(search: OptunaSearch, trial: Trial, step: int, value: float, seed: int = 0, steps: int = 400) -> str | None:
    return search.report(trial, IntermediateResult(seed, step, steps, {AP: value}))


def ask(search: OptunaSearch) -> Trial:
    trial = search.ask()
    assert isinstance(trial, Trial)
    return trial


def run_whole(search: OptunaSearch, trial: Trial, value: float, seeds: tuple[int, ...] = (0,)) -> str | None:
    """Report every seed in turn, then the result; return the reason if the trial was pruned."""
    reports: dict[int, list[tuple[int, dict[str, float]]]] = {seed: [] for seed in seeds}
    for seed in seeds:
        for step in (100, 200, 300, 400):
            reports[seed].append((step, {AP: value * step / 400}))
            if reason := report(search, trial, step, value * step / 400, seed):
                search.tell(trial, TrialResult("pruned", {}, reports, reason))
                return reason
    search.tell(trial, TrialResult("done", {seed: {AP: value} for seed in seeds}, reports))
    return None


PRUNERS = {
    "MedianPruner": {"n_startup_trials": 2},
    "PercentilePruner": {"percentile": 50.0, "n_startup_trials": 2},
    "SuccessiveHalvingPruner": {},
    "HyperbandPruner": {},
    "PatientPruner": {"wrapped_pruner": {"name": "MedianPruner", "n_startup_trials": 2}, "patience": 0},
    "ThresholdPruner": {"lower": 0.1},
}


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_bad_trial_is_pruned_and_the_best_is_not(pruner: str) -> None:
    search = make(make_spec(pruner=Component(name=pruner, arguments=PRUNERS[pruner])))
    assert search.wants_reports
    assert all(run_whole(search, ask(search), value) is None for value in (0.5, 0.6, 0.7, 0.8))
    bad = ask(search)
    bad_values = {"PatientPruner": (0.01, 0.001)}.get(pruner, (0.01,))
    reasons = [report(search, bad, 100 * (index + 1), value) for index, value in enumerate(bad_values)]
    if pruner == "HyperbandPruner" and reasons == [None]:  # a bracket whose first rung comes later
        reasons = [report(search, bad, step, 0.01) for step in (200, 300, 400)]
        reasons = [reason for reason in reasons if reason] or ["HyperbandPruner: bbox/AP 0.01 at step: nothing was left to save"]
    assert str(reasons[-1]).startswith(f"{pruner}: bbox/AP 0.0")
    search.tell(bad, TrialResult("pruned", {}, {}, str(reasons[-1])))
    assert search._live.study.trials[bad.number].state.name == "PRUNED"
    assert run_whole(search, ask(search), 0.9) is None


def test_the_baseline_is_never_pruned() -> None:
    search = make(make_spec(pruner=Component(name="ThresholdPruner", arguments={"lower": 0.5})))
    baseline, other = ask(search), ask(search)
    assert report(search, baseline, 100, 0.1) is None
    assert report(search, other, 100, 0.1) == "ThresholdPruner: bbox/AP 0.1 at step 100"
    assert report(search, other, 200, 0.9) == "ThresholdPruner: bbox/AP 0.1 at step 100"  # it comes too late


def test_a_trial_at_its_end_is_not_pruned() -> None:
    search = make(make_spec(pruner=Component(name="ThresholdPruner", arguments={"lower": 0.5}), seeds=(0, 1)))
    ask(search)
    one, other = ask(search), ask(search)
    assert report(search, one, 400, 0.9, seed=0) is None
    assert report(search, one, 400, 0.0, seed=1) is None
    assert report(search, other, 400, 0.1, seed=0) is not None  # its other seed is still to be run


def test_a_trial_is_judged_by_the_mean_over_its_seeds_that_have_come_so_far() -> None:
    search = make(make_spec(pruner=Component(name="ThresholdPruner", arguments={"lower": 0.5}), seeds=(0, 1, 2)))
    ask(search)
    trial = ask(search)
    assert report(search, trial, 100, 0.8, seed=0) is None
    assert report(search, trial, 200, 0.8, seed=0) is None
    assert report(search, trial, 100, 0.3, seed=1) is None
    assert report(search, trial, 100, 0.1, seed=2) == "ThresholdPruner: bbox/AP 0.4 at step 100, the mean of 3 seeds"


def test_halving_starts_at_the_first_evaluation() -> None:
    """With Optuna's own least resource of 1 several rungs would lie before it, and a good trial be pruned there."""
    search = make(make_spec(pruner=Component(name="SuccessiveHalvingPruner", arguments={"reduction_factor": 2})))
    assert run_whole(search, ask(search), 0.5) is None
    assert run_whole(search, ask(search), 0.6) is None
    rungs = [key for key in search._live.study.trials[1].system_attrs if key.startswith("completed_rung")]
    assert rungs == ["completed_rung_0", "completed_rung_1", "completed_rung_2"]  # at 100, 200 and 400


@pytest.mark.parametrize("pruner", ["SuccessiveHalvingPruner", "HyperbandPruner"])
def test_rungs_are_the_same_after_a_restart(pruner: str) -> None:
    spec = make_spec(pruner=Component(name=pruner, arguments={"reduction_factor": 2}))
    search, told = make(spec), []
    for value in (0.5, 0.45, 0.9, 0.6, 0.95, 0.2, 0.97, 0.4, 0.1, 0.15, 0.05, 0.3):
        trial = ask(search)
        reports = {0: [(step, {AP: value * step / 400}) for step in (100, 200, 300, 400)]}
        reason, seen = None, 0
        while reason is None and seen < 4:
            step, tags = reports[0][seen]
            reason, seen = report(search, trial, step, tags[AP]), seen + 1
        result = TrialResult("pruned" if reason else "done", {} if reason else {0: {AP: value}}, {0: reports[0][:seen]}, reason or "")
        search.tell(trial, result)
        told.append((stored(trial), result))
    later = make(spec)
    for trial, result in told:
        later.tell(trial, result)
    assert {result.state for _, result in told} == {"done", "pruned"}
    shown = [(trial.state, trial.value, trial.intermediate_values, trial.system_attrs) for trial in search._live.study.trials]
    assert [(trial.state, trial.value, trial.intermediate_values, trial.system_attrs) for trial in later._live.study.trials] == shown
    trial, same = ask(search), ask(later)
    assert trial.overrides == same.overrides
    for step in (100, 200, 300):
        assert report(search, trial, step, 0.45 * step / 400) == report(later, same, step, 0.45 * step / 400)


def test_wilcoxon_judges_the_seeds_of_a_trial() -> None:
    seeds = tuple(range(8))
    spec = make_spec(pruner=Component(name="WilcoxonPruner"), seeds=seeds, budget=Budget(runs=80))
    search = make(spec)
    assert run_whole(search, ask(search), 0.5, seeds) is None
    reason = run_whole(search, ask(search), 0.3, seeds)
    assert reason == "WilcoxonPruner: bbox/AP 0.3 at seed 3"  # four seeds are the fewest for p < 0.1
    assert search._live.study.trials[1].intermediate_values == dict.fromkeys(range(4), 0.3)
    assert run_whole(search, ask(search), 0.6, seeds) is None


def test_no_pruner_wants_no_reports_but_curves_are_kept() -> None:
    search = make(make_spec())
    assert not search.wants_reports
    trial = ask(search)
    search.tell(trial, TrialResult("done", {0: {AP: 0.4}}, {0: [(100, {AP: 0.1}), (200, {AP: 0.4})]}))
    assert search._live.study.trials[0].intermediate_values == {100: 0.1, 200: 0.4}


@pytest.mark.parametrize("name", ["TPESampler", "CmaEsSampler"])
def test_nothing_of_optuna_reaches_the_user(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    list(drive(Driver(make_spec(name, {"warn_independent_sampling": True}, space={**SPACE, "optimizer": ("Momentum", "AdamW")}))))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert optuna.logging.get_verbosity() == before


def test_a_condition_that_cannot_be_decided_names_its_key() -> None:
    space = {"optimizer": ("Momentum", "AdamW"), "lr": Span(low=0.001, high=0.1, when="optimizer > 3")}
    with pytest.raises(InputError, match=r"space\.lr\.when: 'optimizer > 3' cannot be decided"):
        make(make_spec(space=space))
