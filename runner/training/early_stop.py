"""Early stopping: a training ends when a metric of its evaluations has stopped improving. Imports no framework."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from runner.core.errors import Problem, nearest
from runner.core.values import counted
from runner.evaluation.result import MetricSet
from runner.store.run_dir import PrimaryMetric
from runner.training.common_config import CommonConfig, EarlyStop

WAITED = "train/early_stop_waited"
"""Tag of the number of evaluations since the best one."""


class EarlyStopping:
    """The evaluations of a run so far, as far as `early_stop` needs them. Its state is in every checkpoint.

    Args:
        config: None: training is never ended early.
        primary: the run's deciding metric: the one that is watched unless `config` names another, and the better direction of either.
    """

    def __init__(self, config: EarlyStop | None, primary: PrimaryMetric) -> None:
        self._config, self._goal = config, primary.goal
        self.metric = primary.name if config is None or config.metric is None else config.metric
        self.best: float | None = None
        self.best_step = self.waited = 0

    @property
    def has_ended(self) -> bool:
        """True once `patience` evaluations in a row were no improvement."""
        return self._config is not None and self.waited >= self._config.patience

    @property
    def may_end_next(self) -> bool:
        """True if training ends with the next evaluation should it be no improvement."""
        return self._config is not None and self.waited + 1 >= self._config.patience

    def add(self, step: int, value: float | None) -> None:
        """Take the value of an evaluation; None, and what is not finite, is no improvement."""
        if self._config is None:
            return
        if value is not None and math.isfinite(value) and (self.best is None or self._gain(value, self.best) > self._config.min_delta):
            self.best, self.best_step, self.waited = value, step, 0
        else:
            self.waited += 1

    def values(self) -> dict[str, float]:
        """Return what is recorded with each evaluation, by tag."""
        return {} if self._config is None else {WAITED: float(self.waited)}

    def reason(self, step: int, planned: int) -> str:
        """Say why training ends after `step` of `planned` steps."""
        delta = f" by more than {self._config.min_delta:g}" if self._config is not None and self._config.min_delta else ""
        best = "it never had a value" if self.best is None else f"best {self.best:.4g} at step {self.best_step}"
        evaluations = f"{counted(self.waited, 'evaluation')}{' in a row' if self.waited > 1 else ''}"
        return f"stopped early after step {step} of {planned}: {self.metric} did not improve{delta} in {evaluations} ({best})"

    def state_dict(self) -> dict[str, Any]:
        """Return the state, plain values."""
        return {"best": self.best, "best_step": self.best_step, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        """Restore a state; None: the checkpoint is of a version without early stopping."""
        if state is not None:
            self.best, self.best_step, self.waited = state["best"], int(state["best_step"]), int(state["waited"])

    def _gain(self, value: float, best: float) -> float:
        return value - best if self._goal == "maximize" else best - value


def check_early_stop(config: CommonConfig, metrics: MetricSet) -> Iterator[Problem]:
    """Check that a training with `early_stop` is evaluated while it lasts, and by the metric that it names."""
    if config.early_stop is None:
        return
    if not config.eval_at_snapshot:
        text = "needs evaluations during training: set eval_at_snapshot: true (--eval); they come at each snapshot_epoch or snapshot_iter"
        yield Problem(text, key="early_stop")
    metric = config.early_stop.metric
    if metric is not None and not metrics.has(metric):
        known = [*metrics.tags, *(f"{prefix}<class>" for prefix in metrics.prefixes)]
        yield Problem(f"no evaluation has {metric!r}; {nearest(metric, known) or 'see docs/run-directory.md'}", key="early_stop.metric")
