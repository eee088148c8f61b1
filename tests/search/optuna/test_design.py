"""Outlook of the design `optuna` on a sweep before it starts."""

from __future__ import annotations

import pytest

from runner.search.optuna.design import OptunaDesign
from runner.search.spec import Budget, SweepSpec


@pytest.mark.parametrize(
    ("runs", "seeds", "trials"), [(18, (0, 1), 9), (9, (0,), 9), (20, (0, 1), None), (10, (0,), None), (None, (0,), None)]
)
def test_a_search_too_short_for_importances_is_said_to_be(runs: int | None, seeds: tuple[int, ...], trials: int | None) -> None:
    spec = SweepSpec(config="c", design="optuna", space={"a.b": (1, 2)}, seeds=seeds, budget=Budget(runs=runs, hours=1.0))
    *_, space, last = ["", *OptunaDesign().outlook(spec)]
    if trials is None:
        assert last == "  a.b: [1, 2]"
    else:
        needed = 10 * len(seeds)
        assert space == "  a.b: [1, 2]" and last == (
            f"budget.runs leaves {trials} trials with the baseline, too few for importances of parameters: they take 10 trials, which are "
            f"{needed} runs"
        )
