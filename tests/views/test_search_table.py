"""Views of a search: whole at every width, readable without colour, honest about the winner."""

from __future__ import annotations

import io
import math
import random
from typing import Any

import pytest
from rich.console import Console
from support.search_runs import AP, MEMORY, found, run

from runner.results.search.report import SearchReport, search_report
from runner.results.search.trials import SearchResults
from runner.search.spec import Metric
from runner.views.search_table import render_search

VIEWS = SearchReport.views

WIDTHS = (80, 100, 200)


def shown(results: SearchResults, view: str, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render_search(search_report(results), [view]))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def point(dice: random.Random) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        "LearningRate.base_lr": 10 ** dice.uniform(-4, -1),
        "OptimizerBuilder.optimizer.type": dice.choice(("Momentum", "AdamW")),
    }
    if chosen["OptimizerBuilder.optimizer.type"] == "Momentum":
        chosen["OptimizerBuilder.optimizer.momentum"] = round(dice.uniform(0.8, 0.99), 3)
    return chosen


def a_search(metrics: tuple[Metric, ...] = (AP,), *, fresh: bool = True, **options: Any) -> SearchResults:
    """30 trials, half of the later ones pruned, one out of memory; the winner and the baseline on three new seeds."""
    dice = random.Random(1)
    runs = [run(0, {AP.name: 0.41, MEMORY.name: 4.0}, config={"LearningRate.base_lr": 0.01, "OptimizerBuilder.optimizer.type": "AdamW"})]
    best = (0.0, 0, dict[str, Any]())
    for number in range(1, 30):
        where = point(dice)
        height = 0.6 - 0.1 * abs(math.log10(where["LearningRate.base_lr"]) + 2.5) + dice.gauss(0, 0.01)
        if number > 8 and number % 2:
            runs.append(run(number, state="pruned", point=where, curve=[(25, 0.3 * height)]))
            continue
        values = {AP.name: height, MEMORY.name: 3 + 5 * height + dice.random()}
        runs.append(run(number, values, point=where, curve=[(25, 0.5 * height), (50, 0.8 * height)]))
        best = max(best, (height, number, where))
    runs.append(run(30, state="failed", cause="out_of_memory", point=point(dice)))
    if fresh:
        runs += [run(best[1], {AP.name: best[0] - 0.03 + 0.005 * seed, MEMORY.name: 6.0}, seed=seed, point=best[2]) for seed in (1, 2, 3)]
        runs += [run(0, {AP.name: 0.40 + 0.005 * seed, MEMORY.name: 4.0}, seed=seed) for seed in (1, 2, 3)]
    return found(*runs, metrics=metrics, seeds=(0,), **options)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_view_fits(view: str, width: int) -> None:
    text = shown(a_search((AP, MEMORY) if view == "pareto" else (AP,)), view, width)
    assert text.strip() and max(map(len, text.splitlines())) <= width


def test_best_tells_the_honest_number_of_the_winner_and_what_pruning_may_have_cost() -> None:
    results = a_search()
    text = " ".join(shown(results, "best", 200).split())
    winner = results.winner
    assert winner is not None
    assert f"winner, trial {winner.number}: {winner.values[AP.name].mean:.3f} in the search, {winner.fresh[AP.name].mean:.3f} ±" in text
    assert "only the second is unbiased: the first was selected as the best of" in text
    assert "is better than the baseline in bbox/AP on 3 new seeds: +0." in text and "95 % interval [" in text
    assert "31 trials: 19 done, 11 pruned, 1 infeasible" in text and "0 baseline" in text
    assert "11 of 31 trials pruned, 19 finished" in text and "pairs of finished trials" in text
    unconfirmed = " ".join(shown(a_search(fresh=False), "best", 200).split())
    assert "optimistic: it is the best of 19 trials; new seeds give an unbiased one" in unconfirmed


def test_a_baseline_that_is_best_needs_no_confirmation() -> None:
    text = shown(found(run(0, 0.5), *(run(number, 0.4 - number / 100, point={"rate": number}) for number in (1, 2))), "best", 200)
    assert "no trial is better than the baseline: there is no winner to confirm" in text and "confirm`" not in text


def test_importances_name_the_method_and_what_is_chance() -> None:
    text = " ".join(shown(a_search(), "importances", 200).split())
    assert "PED-ANOVA" in text and text.index("base_lr") < text.index("momentum")
    assert "beyond chance: no, if random trials differ as much" in text
    few = found(*(run(number, 0.1 * number, point={"rate": number}) for number in range(4)))
    assert "at least 10 are needed" in " ".join(shown(few, "importances").split())


def test_pareto_respects_constraints() -> None:
    free, bound = a_search((AP, MEMORY)), a_search((AP, MEMORY), constraints=["resource/gib <= 6"])
    text = shown(free, "pareto")
    assert "o: on the front" in text and "(less is better)" in text and "violated" not in text
    assert "left out, because a constraint is violated" in shown(bound, "pareto")
    assert "one metric only" in shown(a_search(), "pareto")


def test_slices_and_parallel_show_each_parameter() -> None:
    for view in ("slice", "parallel"):
        text = shown(a_search(), view)
        assert all(name in text for name in ("base_lr", "type", "momentum"))
    text = shown(a_search(), "parallel", 200)
    assert "* pruned: its last evaluation" in text and "bars by the logarithm: base_lr" in text
    assert sum("│" in line or "█" in line or "▏" in line for line in text.splitlines()) > 15


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_finished_yet(view: str) -> None:
    text = shown(found(run(0, state="running"), run(1, state="pending", point={"rate": 1})), view)
    assert any(words in text for words in ("no trial has", "are needed"))


def test_markup_in_names_is_shown_as_it_is() -> None:
    runs = [run(number, 0.1 + number / 100, point={"[bold]rate": f"[red]{number % 3}"}) for number in range(1, 20)]
    for view in VIEWS:
        text = shown(found(*runs), view)
        assert "[bold]rate" in text and ("[red]1" in text or view == "best")
