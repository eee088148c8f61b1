"""Policy of a sweep: limits of its runs and of the sweep itself."""

from __future__ import annotations

from dataclasses import dataclass

from runner.launch.base import TaskResources


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of a sweep. The default has none, as for a run by itself.

    Args:
        timeout_s: an attempt that takes longer is ended, for good.
        stall_s: an attempt without a sign of life for this long is ended and retried.
        retries: how often a run whose process died, or hung, is started again, from its last checkpoint.
        resources: of one run; its GPUs count for `gpu_hours`.
        hours: no further runs start once the sweep's drivers have worked this long; gpu_hours: once its runs have used GPUs this long.
        failures_in_a_row: this many consecutive failed runs, of more than one trial, stop the sweep; 0: never.
    """

    timeout_s: float | None = None
    stall_s: float | None = None
    retries: int = 0
    resources: TaskResources = TaskResources()
    hours: float | None = None
    gpu_hours: float | None = None
    failures_in_a_row: int = 0
