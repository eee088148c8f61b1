"""The decision on a run whose attempt has ended."""

from __future__ import annotations

import pytest

from runner.core.errors import Cause
from runner.store.run_dir import State
from runner.sweep.retry import AttemptEnd, Decision, RetryRule, decide

SWEEP = RetryRule(retries=2)


@pytest.mark.parametrize(
    ("state", "cause", "retries", "decision"),
    [
        ("done", None, 0, "finish"),
        ("pruned", None, 0, "finish"),
        ("failed", "crash", 0, "retry"),
        ("failed", "crash", 1, "retry"),
        ("failed", "crash", 2, "fail"),
        ("failed", "hung", 0, "retry"),
        ("interrupted", "hung", 0, "retry"),
        ("interrupted", "hung", 2, "fail"),
        ("interrupted", "crash", 0, "retry"),
        ("interrupted", None, 0, "retry"),
        ("interrupted", None, 2, "fail"),
        ("failed", "not_finite", 0, "finish"),
        ("failed", "out_of_memory", 0, "finish"),
        ("failed", "timeout", 0, "finish"),
        ("failed", "input", 0, "finish"),
        ("failed", None, 0, "finish"),
        ("interrupted", "disk_full", 0, "wait for space"),
        ("interrupted", "disk_full", 2, "wait for space"),
        ("failed", "disk_full", 0, "wait for space"),
    ],
)
def test_in_a_sweep(state: State, cause: Cause | None, retries: int, decision: Decision) -> None:
    assert decide(AttemptEnd(state, cause, retries), SWEEP) == decision


@pytest.mark.parametrize("rule", [RetryRule(2, is_sweep=False), RetryRule(2, is_stopping=True)])
@pytest.mark.parametrize(
    ("state", "cause"), [("done", None), ("failed", "crash"), ("interrupted", "hung"), ("interrupted", None), ("interrupted", "disk_full")]
)
def test_a_run_by_itself_and_a_sweep_that_stops_retry_nothing(rule: RetryRule, state: State, cause: Cause | None) -> None:
    assert decide(AttemptEnd(state, cause), rule) == "finish"


@pytest.mark.parametrize(
    ("state", "cause", "decision"),
    [
        ("interrupted", None, "continue later"),
        ("interrupted", "crash", "continue later"),
        ("done", None, "finish"),
        ("failed", "crash", "retry"),
    ],
)
def test_a_run_that_was_saved_for_a_pause(state: State, cause: Cause | None, decision: Decision) -> None:
    assert decide(AttemptEnd(state, cause, saved=True), SWEEP) == decision
    assert decide(AttemptEnd(state, cause, retries=0, saved=True), RetryRule(0)) == ("fail" if decision == "retry" else decision)


def test_the_user_interrupted_it() -> None:
    rule = RetryRule(2, interruption_is_final=True)
    assert decide(AttemptEnd("interrupted"), rule) == "finish"
    assert decide(AttemptEnd("failed", "crash"), rule) == "retry"
