"""A sweep that was interrupted, and whose sweep file was changed before it goes on: every run once, and nothing to report."""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any

import pytest

from runner.store.events import RunBlocked, RunEnded, RunStarted
from runner.sweep.fake_sweep import FakeSweep, steps_twice, wait_for
from runner.sweep.verify import verify

CONFIG = {
    "max_iters": 16,
    "step_s": 0.03,
    "snapshot_iter": 4,
    "metrics": {"bbox/AP": "0.5 * (1 - exp(-3 * step / steps)) - 0.01 * (log(parameters.lr) + 4) ** 2 + 0.01 * noise"},
}
BASE: dict[str, Any] = {"vary": {"parameters.lr": [0.005, 0.08]}, "seeds": [0, 1, 2]}
RACING = {**BASE, "racing": {"max_seeds": 5}}
DESIGNS: dict[str, dict[str, Any]] = {
    "fixed": BASE,
    "racing": RACING,
    "racing longer": {**BASE, "racing": {"max_seeds": 6}},
    "racing from two": {**BASE, "seeds": [0, 1], "racing": {"max_seeds": 4}},
    "combine_best": {**BASE, "vary": {"parameters.lr": [0.005, 0.08], "parameters.x": [1.0]}, "combine_best": True},
    "fewer": {**BASE, "vary": {"parameters.lr": [0.08]}},
    "grid": {**BASE, "design": "grid", "vary": {"parameters.lr": [0.005, 0.08, 0.1]}},
    "optuna": {"design": "optuna", "space": {"parameters.lr": {"low": 0.001, "high": 0.1}}, "seeds": [0, 1, 2], "budget": {"runs": 9}},
}
CHANGES = [
    ("fixed", "racing"),
    ("racing", "fixed"),
    ("racing", "racing longer"),
    ("fixed", "racing from two"),
    ("racing from two", "racing"),
    ("fixed", "combine_best"),
    ("racing", "combine_best"),
    ("fixed", "fewer"),
    ("racing", "fewer"),
    ("fewer", "racing"),
    ("fixed", "grid"),
    ("fixed", "optuna"),
    ("optuna", "fixed"),
    ("optuna", "racing"),
]
REPRESENTATIVE = {("fixed", "racing"), ("racing from two", "racing"), ("fixed", "fewer"), ("optuna", "fixed")}
"""Changes of `make test`; the others are exhaustive."""
CASES = [
    pytest.param(*change, 3 + 4 * (index % 2), marks=() if change in REPRESENTATIVE else pytest.mark.exhaustive)
    for index, change in enumerate(CHANGES)
]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after", "ended"), CASES)
def test_the_design_is_changed_while_it_is_interrupted(stage: FakeSweep, before: str, after: str, ended: int) -> None:
    if "optuna" in (before, after):
        pytest.importorskip("optuna")
    config = {**CONFIG, "parameters": {"lr": 0.02, "x": 0.0}}
    stage.write(config=config, **({"vary": {}} if before == "optuna" else {}), **DESIGNS[before])
    driver = stage.start()
    wait_for(lambda: len(stage.events(RunEnded)) >= ended or driver.poll() is not None, "some runs have ended")
    driver.send_signal(signal.SIGKILL)
    stage.finish(driver)
    before_that = len(stage.events(RunStarted))
    stage.write(config={**config, "step_s": 0.0}, **({"vary": {}} if after == "optuna" else {}), **DESIGNS[after])
    for _ in range(2):
        done = stage.finish()
        assert done.code == 0 and "please report" not in done.err, done
    attempts = Counter((event.run, event.attempt) for event in stage.events(RunStarted)[before_that:])
    assert max(attempts.values(), default=1) == 1 and stage.events(RunBlocked) == []
    ends = Counter(event.run for event in stage.events(RunEnded))
    assert max(ends.values()) == 1, ends
    assert [str(finding) for finding in verify(stage.sweep) if finding.wrong] == []
    assert all(steps_twice(stage.run(name)) == [] for name in stage.sweep.run_names())
