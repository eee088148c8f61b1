"""Importances: against Optuna's own evaluator on known functions, and honest where there is nothing to find."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import pytest
from support.search_runs import found, run

from runner.results.search.importance import importances

NAMES = ("strong", "weak", "none", "choice")


def points(count: int, seed: int) -> list[dict[str, Any]]:
    dice = random.Random(seed)
    return [
        {"strong": 10 ** dice.uniform(-4, -1), "weak": dice.uniform(0, 1), "none": dice.uniform(0, 1), "choice": dice.choice("abc")}
        for _ in range(count)
    ]


def value(point: dict[str, Any]) -> float:
    """Mostly the logarithm of `strong` (best at 10⁻²), some of the choice, a little of `weak`, nothing of `none`."""
    return -((math.log10(point["strong"]) + 2) ** 2) + 0.3 * (point["choice"] == "a") + 0.1 * point["weak"]


def results_of(chosen: list[dict[str, Any]]) -> Any:
    return found(*(run(number, value(point), point=point) for number, point in enumerate(chosen, start=1)))


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_they_agree_with_optuna_s_evaluator() -> None:
    """Theirs smooths choices strongly and takes no chance off, so the shares are near each other and not equal."""
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    chosen = points(300, seed=1)
    ours = importances(results_of(chosen))
    spaces: dict[str, Any] = {"strong": FloatDistribution(1e-4, 1e-1, log=True), "choice": CategoricalDistribution(("a", "b", "c"))}
    spaces |= {"weak": FloatDistribution(0, 1), "none": FloatDistribution(0, 1)}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    study.add_trials([optuna.trial.create_trial(params=point, distributions=spaces, value=value(point)) for point in chosen])
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    theirs = optuna.importance.get_param_importances(study, evaluator=evaluator)
    assert [item.key for item in ours.parameters][:2] == list(theirs)[:2] == ["strong", "choice"]
    for item in ours.parameters:
        assert item.share == pytest.approx(theirs[item.key], abs=0.1)
        assert item.low <= item.share <= item.high or not item.beyond_chance
    told = {item.key: item.beyond_chance for item in ours.parameters}
    assert told["strong"] and told["choice"] and not told["none"]


def test_they_agree_with_the_divergence_itself() -> None:
    """As counted from 100,000 points in 30 cells a number."""
    every = points(100_000, seed=6)
    bound = sorted(map(value, every))[75_000]
    divergences = {}
    for name in NAMES:
        cells = [point[name] if name == "choice" else sum(point[name] > edge for edge in edges(name)) for point in every]
        counts, best = Counter(cells), Counter(cell for cell, point in zip(cells, every, strict=True) if value(point) > bound)
        divergences[name] = sum((best[cell] / 25_000 - count / 1e5) ** 2 / (count / 1e5) for cell, count in counts.items())
    total = sum(divergences.values())
    shares = {item.key: item.share for item in importances(results_of(points(1000, seed=7)), resamples=50).parameters}
    for name in NAMES:
        assert shares[name] == pytest.approx(divergences[name] / total, abs=0.06), name


def edges(name: str) -> list[float]:
    """Of 30 cells that hold equally many points."""
    return [10 ** (-4 + 3 * cell / 30) if name == "strong" else cell / 30 for cell in range(1, 30)]


def test_the_best_values_are_told() -> None:
    by_key = {item.key: item for item in importances(results_of(points(200, seed=2))).parameters}
    low, high = map(float, by_key["strong"].best.split(" to "))
    assert 1e-3 < low < 1e-2 < high < 1e-1
    assert by_key["choice"].best.startswith("a (")


def test_noise_alone_is_seldom_told() -> None:
    """5 % of the time by design: in 200 draws of 4 parameters each at most 9 %."""
    dice = random.Random(3)
    told = 0
    for seed in range(50):
        runs = [run(number, dice.random(), point=point) for number, point in enumerate(points(40, seed), start=1)]
        told += sum(item.beyond_chance for item in importances(found(*runs), resamples=100).parameters)
    assert told <= 0.09 * 50 * len(NAMES)


def test_a_parameter_that_often_does_not_apply_counts_where_it_does() -> None:
    dice = random.Random(4)
    runs = []
    for number in range(1, 121):
        point: dict[str, Any] = {"type": dice.choice(("Momentum", "AdamW"))}
        if point["type"] == "Momentum":
            point["momentum"] = dice.uniform(0.8, 0.99)
        runs.append(run(number, point.get("momentum", 0.5) + 0.01 * dice.random(), point=point))
    by_key = {item.key: item for item in importances(found(*runs)).parameters}
    assert by_key["momentum"].beyond_chance and by_key["type"].beyond_chance
    assert 40 < by_key["momentum"].trials < 80 and by_key["type"].trials == 120


def test_pruned_trials_count_as_worse() -> None:
    runs = [run(number, 0.9 + number / 1000, point={"rate": 0.1 + number / 1000}) for number in range(1, 7)]
    runs += [run(n, state="pruned", point={"rate": n / 100}, curve=[(10, 0.1)]) for n in range(20, 40)]
    measured = importances(found(*runs))
    assert measured.trials == 26 and measured.top == 6 and measured.parameters[0].beyond_chance


def test_too_little_is_refused_with_the_reason() -> None:
    few = importances(results_of(points(9, seed=1)))
    assert few.parameters == ()
    assert str(few.refused) == "no importances for bbox/AP: 9 finished or pruned trials, and at least 10 are needed"
    same = found(*(run(number, 0.5, point={"rate": number}) for number in range(1, 20)))
    assert "the same value" in str(importances(same).refused)
    pruned = [run(number, state="pruned", point={"rate": number}, curve=[(10, 0.1)]) for number in range(1, 20)]
    assert "1 finished trial, and at least 3" in str(importances(found(run(20, 0.4, point={"rate": 3}), *pruned)).refused)
    fixed = found(*(run(number, number / 20, point={"rate": 1}) for number in range(1, 20)))
    assert str(importances(fixed).refused) == "no importances for bbox/AP: no parameter has two values"


def test_the_same_results_give_the_same_numbers() -> None:
    chosen = points(60, seed=5)
    assert importances(results_of(chosen)) == importances(results_of(chosen))
