"""Axes, means by value and the best so far of what a sweep has tried."""

from __future__ import annotations

import math
from typing import Any

import pytest

from runner.results.explored import CellMean, KeyAxis, ValueMean, best_so_far, cell_means, key_axis, value_means


@pytest.mark.parametrize(
    ("tried", "declared", "log"),
    [
        ([4, 8, 16], None, True),  # even by their ratios
        ([8, 16, 24], None, False),
        ([8, 16], None, False),  # two numbers are even in both ways
        ([0.001, 0.1], None, True),  # over a wide range
        ([0, 0.001, 0.1], None, False),  # zero has no logarithm
        ([0.01, 0.02, 0.05], [0.01, 0.02, 0.05, 0.1], True),
        ([0.1, 0.2], {"low": 0.01, "high": 1.0, "log": True}, True),
        ([0.001, 0.9], {"low": 0.0001, "high": 1.0}, False),  # as the sweep file says
        ([0.1], {"low": 0.0, "high": 1.0, "log": True}, False),
    ],
)
def test_an_axis_is_logarithmic_where_the_space_is(tried: list[float], declared: Any, log: bool) -> None:
    assert key_axis("a.lr", "lr", tried, declared).log is log


def test_an_axis_reaches_over_the_space_and_what_was_tried() -> None:
    span = key_axis("a.lr", "lr", [2.0, 0.1], {"low": 0.01, "high": 1.0, "log": True})
    assert (span.low, span.high, span.values) == (0.01, 2.0, (0.1, 2.0))
    listed = key_axis("a.lr", "lr", [3], {"values": [1, 2], "label": "rate"})
    assert (listed.low, listed.high, listed.values, listed.choices) == (1, 3, (1, 2, 3), ())
    assert key_axis("a", "a", [n / 7 for n in range(100)]).values == ()
    assert key_axis("a", "a", []) == KeyAxis("a", "a", None, None, False, (), ())


def test_choices_are_texts_in_the_order_of_the_sweep_file() -> None:
    axis = key_axis("opt", "opt", ["lion", [8, 11], True], ["sgd", "lion", [8, 11]])
    assert axis.choices == ("sgd", "lion", "[8, 11]", "true")
    assert [axis.place(value) for value in ("sgd", [8, 11], True, "unknown")] == [0, 2, 3, None]
    assert key_axis("a", "a", [math.nan, 1.0]).choices == ("nan", "1")
    assert key_axis("a", "a", [10**400, 1]).choices[1] == "1"


def test_each_trial_counts_once_in_a_cell_and_at_a_value() -> None:
    x, y = key_axis("a", "a", [1, 2]), key_axis("b", "b", ["u", "v"])
    points = [(1.0, 0.0, 0.2), (1.0, 0.0, 0.4), (2.0, 1.0, 0.5), (None, 1.0, 0.9), (3.0, 1.0, 0.9)]
    assert cell_means(x, y, points) == [CellMean(0, 0, 2, pytest.approx(0.3)), CellMean(1, 1, 1, 0.5)]
    assert value_means(y, [(1.0, 0.5), (0.0, 0.2), (0.0, 0.3), (None, 9.0)]) == [ValueMean(0, 2, 0.25), ValueMean(1, 1, 0.5)]


def test_the_best_so_far() -> None:
    values = [(0, 0.2), (1, 0.1), (4, 0.2), (5, 0.3)]
    assert best_so_far(values, "maximize") == [(0, 0.2), (5, 0.3)]
    assert best_so_far(values, "minimize") == [(0, 0.2), (1, 0.1)]
    assert best_so_far([], "maximize") == []
