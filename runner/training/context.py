"""Services that the worker offers to a backend while it trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from runner.store.run_dir import PrimaryMetric, RunDir


class RunContext(Protocol):
    """Interface of the worker to a backend that trains. A backend writes only below `checkpoints/` in the run directory.

    Where several processes train together each has one. Only what the first one gives counts; it alone writes checkpoints, evaluates and
    is asked to stop.
    """

    rank: int
    """Number of this process, from 0."""
    ranks: int
    """Number of processes."""
    run_dir: RunDir
    primary_metric: PrimaryMetric
    """The metric that checkpoints are compared by."""
    attempt: int
    resume_from: Path | None
    """The folder of checkpoints to resume from (it may hold none yet), None to start anew. A damaged one is passed over, and `say` says
    so."""

    def resumed(self, step: int, epoch: float) -> None:
        """Mark the step that an attempt continues from, once and before its first record: earlier records after `step` are superseded."""

    def record(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Append a record: `step` optimiser steps and `epoch` epochs are done."""

    def progress(self, step: int, steps: int, epoch: float, phase: str, values: Mapping[str, float] | None = None) -> None:
        """Report progress for monitors. It may be called at every step; it is written at most twice per second."""

    def evaluate(self, predictions: Sequence[Mapping[str, Any]], step: int, epoch: float, *, final: bool) -> dict[str, float]:
        """Turn COCO results of the evaluation images into metrics by tag and record them. `final` writes predictions.json and eval.json."""

    def score(self, metrics: Mapping[str, float], step: int, epoch: float, *, final: bool) -> None:
        """Record metrics as `evaluate` does, for a backend without predictions; `final` writes eval.json."""

    def stop_requested(self) -> str | None:
        """Return the reason why the run should save and end now (a signal, a control record), or None. Cheap: call it every step.

        The backend then saves a checkpoint and raises `runner.core.errors.Interrupted` with that reason.
        """

    def all_gather(self, value: Any) -> list[Any]:
        """Wait until every rank has called this, and collect their values.

        Args:
            value: anything that JSON can hold.

        Returns:
            The values of all ranks, in their order.

        Raises:
            RunnerError: another rank has ended and will never call it.
        """

    def stopped_early(self, reason: str, planned: int) -> None:
        """State, for the log and for those who watch the run or read it later, that training ends before its `planned` steps."""

    def say(self, message: str) -> None:
        """Write a line to the log."""

    def announce(self, message: str) -> None:
        """Write a line to the log and show it to those who watch the run: a fact to know before training begins."""
