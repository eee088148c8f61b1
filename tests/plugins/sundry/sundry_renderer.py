"""A renderer: one line per trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from runner.results.comparison import Comparison


class LinesRenderer:
    """Trials, runs that count, and the mean of the metric."""

    subjects: ClassVar[tuple[str, ...]] = ("comparison",)

    def render(self, report: Comparison, views: Sequence[str] = ()) -> str:
        """Return the lines."""
        return "\n".join(f"{trial.name} | {len(trial.counted)} | {trial.metrics[report.metric].mean:.4f}" for trial in report.trials)
