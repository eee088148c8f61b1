"""Listeners of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.search.base import Trial, TrialResult
from runner.search.spec import Metric
from runner.store.commands import Situation
from runner.store.events import BudgetSpent, Event
from runner.store.journal import read_journal
from runner.sweep.listeners import BestSoFar, JournalListener, Listener, Listeners


class Remembering(Listener):
    """Keeps the names of what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_event(self, event: Event) -> None:
        self.told.append("event")

    def on_trial(self, trial: Trial, result: TrialResult) -> None:
        self.told.append("trial")

    def on_step(self, situation: Situation) -> None:
        self.told.append("step")

    def on_lost(self) -> None:
        self.told.append("lost")

    def close(self) -> None:
        self.told.append("close")


def test_the_journal_is_one_until_its_place_is_lost(tmp_path: Path) -> None:
    journal, other, best = JournalListener(tmp_path / "journal.jsonl"), Remembering(), BestSoFar(Metric(name="bbox/AP"))
    listeners = Listeners([journal, other, best], best)
    listeners.on_event(BudgetSpent("first"))
    listeners.on_trial(Trial(0, {}, "baseline"), TrialResult("done", {0: {"bbox/AP": 0.5}}))
    listeners.on_step(Situation())
    listeners.on_lost()
    listeners.on_event(BudgetSpent("second"))
    listeners.close()
    assert [event.reason for event in read_journal(tmp_path / "journal.jsonl", BudgetSpent)] == ["first"]
    assert other.told == ["event", "trial", "step", "lost", "event", "close"]
    assert listeners.best.text == "0000 baseline: bbox/AP 0.5"


@pytest.mark.parametrize(("goal", "best"), [("maximize", "0002 c: m 0.4"), ("minimize", "0001 b: m 0.1")])
def test_the_best_trial(goal: str, best: str) -> None:
    found = BestSoFar(Metric(name="m", goal=goal))  # type: ignore[arg-type]
    for number, (label, values) in enumerate([("a", [0.2, 0.4]), ("b", [0.1]), ("c", [0.4]), ("d", [])]):
        found.on_trial(Trial(number, {}, label), TrialResult("done", {seed: {"m": value} for seed, value in enumerate(values)}))
    found.on_trial(Trial(7, {}, "x"), TrialResult("failed", {0: {"m": 0.9 if goal == "maximize" else 0.0}}))
    assert found.text == best


def test_no_metric_no_best() -> None:
    best = BestSoFar(None)
    best.on_trial(Trial(0, {}, "a"), TrialResult("done", {0: {"m": 1.0}}))
    assert best.text == ""
