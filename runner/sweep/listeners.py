"""Listeners of a sweep: the journal, the best trial so far, the screen, and other parts of this process that follow one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from runner.search.base import Trial, TrialResult
from runner.search.spec import Metric
from runner.store.commands import Situation
from runner.store.events import Event
from runner.store.journal import Journal


class Listener:
    """A part that follows a sweep. Subclasses override what they need; called from the loop's thread."""

    def on_event(self, event: Event) -> None:
        """Handle an event that the journal records."""

    def on_trial(self, trial: Trial, result: TrialResult) -> None:
        """Handle the end of a trial, under this driver or an earlier one."""

    def on_step(self, situation: Situation) -> None:
        """Handle a step of the loop, about five times per second."""

    def on_lost(self) -> None:
        """Handle that the sweep's directory was moved or deleted: nothing may be written at its old path."""

    def close(self) -> None:
        """Handle the end of the sweep."""


class JournalListener(Listener):
    """The sweep's journal.

    Raises:
        InputError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._journal: Journal | None = Journal(path)

    def on_event(self, event: Event) -> None:
        """Append the event."""
        if self._journal is not None:
            self._journal.append(event)

    def on_lost(self) -> None:
        """Write no more."""
        self.close()

    def close(self) -> None:
        """Close the file. Later events are not recorded."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None


class BestSoFar(Listener):
    """The trial with the best mean of a metric.

    Args:
        metric: the metric that decides; None: there is no best trial.
    """

    def __init__(self, metric: Metric | None) -> None:
        self._metric = metric
        self._rank = -math.inf
        self.text = ""
        """The trial, for people: ``0007 base_lr=0.02: bbox/AP 0.412``; empty while there is none."""

    def on_trial(self, trial: Trial, result: TrialResult) -> None:
        """Compare the trial with the best one."""
        if self._metric is None or result.state != "done":
            return
        name = self._metric.name
        found = [values[name] for values in result.values.values() if name in values]
        if not found:
            return
        mean = math.fsum(found) / len(found)
        rank = mean if self._metric.goal == "maximize" else -mean
        if rank > self._rank or not self.text:
            self._rank, self.text = rank, f"{trial.number:04d} {trial.label}: {name} {mean:.4g}"


class Watching(Listener):
    """A function that is called with each situation."""

    def __init__(self, watch: Callable[[Situation], None]) -> None:
        self._watch = watch

    def on_step(self, situation: Situation) -> None:
        """Call it."""
        self._watch(situation)


class Listeners(Listener):
    """All listeners of a sweep, as one.

    Args:
        best: the one of them that knows the best trial.
    """

    def __init__(self, listeners: Sequence[Listener], best: BestSoFar) -> None:
        self._all = list(listeners)
        self.best = best

    def on_event(self, event: Event) -> None:
        """Pass it on."""
        for listener in self._all:
            listener.on_event(event)

    def on_trial(self, trial: Trial, result: TrialResult) -> None:
        """Pass it on."""
        for listener in self._all:
            listener.on_trial(trial, result)

    def on_step(self, situation: Situation) -> None:
        """Pass it on."""
        for listener in self._all:
            listener.on_step(situation)

    def on_lost(self) -> None:
        """Pass it on."""
        for listener in self._all:
            listener.on_lost()

    def close(self) -> None:
        """Pass it on."""
        for listener in self._all:
            listener.close()
