"""Early stopping: which evaluations count as improvements, and when training ends."""

from __future__ import annotations

import math

import pytest

from runner.backends.fake.backend import FakeBackend
from runner.backends.fake.schema import FakeConfig
from runner.store.run_dir import PrimaryMetric
from runner.training.common_config import EarlyStop
from runner.training.early_stop import EarlyStopping, check_early_stop

UP, DOWN = PrimaryMetric("bbox/AP"), PrimaryMetric("error", "minimize")


def ended_after(config: EarlyStop | None, values: list[float | None], primary: PrimaryMetric = UP) -> int | None:
    """The number of evaluations after which training ends. Every evaluation is made by a new object, from the state of the one before."""
    state = None
    for number, value in enumerate(values, 1):
        watch = EarlyStopping(config, primary)
        watch.load_state_dict(state)
        may_end = watch.may_end_next
        watch.add(10 * number, value)
        state = watch.state_dict()
        assert may_end or not watch.has_ended
        if watch.has_ended:
            return number
    return None


@pytest.mark.parametrize(
    ("config", "values", "expected"),
    [
        (EarlyStop(patience=2), [0.1, 0.2, 0.2, 0.1], 4),
        (EarlyStop(patience=2), [0.1, 0.2, 0.1, 0.3, 0.2, 0.2], 6),
        (EarlyStop(patience=1), [0.1, 0.2, 0.3], None),
        (EarlyStop(patience=2, min_delta=0.05), [0.1, 0.14, 0.15, 0.2], 3),
        (EarlyStop(patience=2, min_delta=0.05), [0.1, 0.14, 0.16, 0.2], None),
        (EarlyStop(patience=2), [math.nan, None], 2),
        (EarlyStop(patience=2), [None, 0.0, None, 0.1], None),
        (None, [0.1] * 9, None),
    ],
)
def test_it_ends_after_patience_evaluations_without_an_improvement(
    config: EarlyStop | None, values: list[float | None], expected: int | None
) -> None:
    assert ended_after(config, values) == expected


def test_a_metric_to_minimise() -> None:
    assert ended_after(EarlyStop(patience=1), [0.3, 0.2, 0.1, 0.2], DOWN) == 4


def test_the_reason_says_what_was_best() -> None:
    watch = EarlyStopping(EarlyStop(patience=2, min_delta=0.01), UP)
    for step, value in ((100, 0.4), (200, 0.405), (300, 0.39)):
        watch.add(step, value)
    assert watch.reason(300, 1000) == (
        "stopped early after step 300 of 1000: bbox/AP did not improve by more than 0.01 in 2 evaluations in a row (best 0.4 at step 100)"
    )
    assert watch.values() == {"train/early_stop_waited": 2.0}


def test_it_needs_evaluations_and_a_metric_that_they_have() -> None:
    config = FakeConfig(early_stop=EarlyStop(patience=2, metric="bbox/AP5"), metrics={"bbox/AP50": "1"})
    problems = list(check_early_stop(config, FakeBackend().metrics(config)))
    assert [problem.key for problem in problems] == ["early_stop", "early_stop.metric"]
    assert "--eval" in problems[0].message and "bbox/AP50" in problems[1].message
    assert list(check_early_stop(FakeConfig(metrics={"bbox/AP50": "1"}), FakeBackend().metrics(config))) == []
