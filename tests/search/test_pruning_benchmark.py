"""On the recorded curves our search, on one slot, prunes what Optuna's own loop prunes at the same epochs; the table is whole."""

from __future__ import annotations

import pytest

from benchmarks.pruning import PRUNERS, told, with_optuna, with_ours
from benchmarks.pruning_table import BASELINE, EPOCHS, GRID, read_table
from runner.search.spec import Component


def test_the_table_is_whole() -> None:
    table = read_table()
    assert len(table.curves) == 96 and all(0 < accuracy < 1 for curve in table.curves.values() for accuracy in curve)
    assert table.point(BASELINE) in table.curves and table.curves[table.best][-1] > 0.9
    assert table.point({"rate": GRID["rate"][0]})[0] == GRID["rate"][0]


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_ours_prunes_as_optuna_does(name: str) -> None:
    table = read_table()
    order = with_ours(table, Component(name="NopPruner"), 3, 1)
    assert order.best == table.best and order.epochs == len(table.curves) * EPOCHS and order.finished == len(table.curves)
    ours, theirs = with_ours(table, PRUNERS[name], 3, 1), with_optuna(table, told(PRUNERS[name]), order.order)
    assert ours.lasted == theirs.lasted and ours.best == theirs.best
    assert ours.epochs <= order.epochs / 3 and with_ours(table, PRUNERS[name], 3, 4).best == table.best
