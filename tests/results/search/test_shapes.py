"""The Pareto front, slices and parallel coordinates."""

from __future__ import annotations

import random

import pytest
from support.search_runs import AP, MEMORY, found, run

from runner.results.search.shapes import Bin, parallel, pareto_front, slices

BOTH = (AP, MEMORY)


def test_the_front_is_what_nothing_beats_in_every_metric() -> None:
    values = [(0.5, 4.0), (0.6, 5.0), (0.6, 6.0), (0.4, 3.0), (0.45, 4.0), (0.6, 5.0)]
    runs = [run(number, {AP.name: ap, MEMORY.name: memory}, point={"rate": number}) for number, (ap, memory) in enumerate(values)]
    front = pareto_front(found(*runs, metrics=BOTH))
    assert front.front == (1, 5, 0, 3) and front.dominated == (2, 4) and front.excluded == ()


def test_the_front_agrees_with_optuna() -> None:
    import optuna

    dice = random.Random(1)
    values = [(dice.random(), dice.random()) for _ in range(80)]
    runs = [run(number, {AP.name: ap, MEMORY.name: memory}, point={"rate": number}) for number, (ap, memory) in enumerate(values)]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trials([optuna.trial.create_trial(values=pair) for pair in values])
    assert set(pareto_front(found(*runs, metrics=BOTH)).front) == {trial.number for trial in study.best_trials}


def test_the_front_respects_constraints_and_leaves_out_what_failed() -> None:
    runs = [run(number, {AP.name: 0.1 * number, MEMORY.name: float(number)}, point={"rate": number}) for number in range(1, 5)]
    runs.append(run(5, state="failed", cause="out_of_memory", point={"rate": 5}))
    front = pareto_front(found(*runs, metrics=BOTH, constraints=["resource/gib <= 3"]))
    assert front.front == (3, 2, 1) and front.excluded == (4,)


def test_a_slice_bins_numbers_in_order_and_keeps_choices() -> None:
    runs = [run(n, n / 100, point={"rate": n * 0.01, "kind": "ab"[n % 2], "size": [n % 2, 8]}) for n in range(1, 41)]
    runs.append(run(41, state="pruned", point={"rate": 9.0, "kind": "a", "size": [1, 8]}, curve=[(10, 0.9)]))
    rate, kind, size = slices(found(*runs))
    assert rate.key == "rate" and len(rate.points) == 40 and [len(item.values) for item in rate.bins] == [5] * 8
    assert rate.bins[0] == Bin("0.01 to 0.05", (1, 2, 3, 4, 5), (0.01, 0.02, 0.03, 0.04, 0.05), 0.03, 0.05)
    assert {item.label: len(item.values) for item in kind.bins} == {"a": 20, "b": 20}
    assert {item.label for item in size.bins} == {"[0, 8]", "[1, 8]"}


def test_equal_values_share_a_bin() -> None:
    runs = [run(n, 0.5, point={"rate": 1.0 if n < 30 else float(n)}) for n in range(1, 41)]
    [rate] = slices(found(*runs))
    labels = [item.label for item in rate.bins]
    assert len(labels) == len(set(labels)) and rate.bins[0].label == "1" and len(rate.bins[0].values) == 29
    assert sum(len(item.values) for item in rate.bins) == 40


def test_parallel_coordinates() -> None:
    shown = parallel(
        found(
            run(0, 0.5, config={"rate": 0.01, "kind": "a"}),
            run(1, 0.7, point={"rate": 1.0, "kind": "b", "m": 3}),
            run(2, 0.6, point={"rate": 0.0001, "kind": "c"}),
            run(3, state="pruned", point={"rate": 0.01, "kind": "a"}, curve=[(10, 0.2), (20, 0.3)]),
            run(4, state="failed", point={"rate": 0.01, "kind": "a"}),
        )
    )
    rate, kind, m = shown.axes
    assert (rate.low, rate.high, rate.log) == (0.0001, 1.0, True) and kind.choices == ("a", "b", "c") and not m.log
    assert [(line.trial, line.state, line.value) for line in shown.lines] == [
        (1, "done", 0.7),
        (2, "done", 0.6),
        (0, "done", 0.5),
        (3, "pruned", 0.3),
    ]
    assert shown.lines[0].places == (1.0, 0.5, 0.5)
    assert shown.lines[2].places == (pytest.approx(0.5), 0.0, None)
