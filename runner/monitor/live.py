"""Live status of a run: state, progress, time left and silence, computed here alone for the screen, `runner status` and the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from runner.store.records import decode_number
from runner.store.run_dir import Status

SILENT_S = 30.0
"""A run without a sign of life for longer than this counts as silent."""

Activity = Literal["silent", "starting", "training", "other"]


@dataclass(frozen=True, slots=True)
class LiveRun:
    """Current state of a run.

    Args:
        name: the run's id.
        status: as its file says.
        standing: see `runner.monitor.progress.STANDINGS`.
        value: newest value of the metric that is shown; None before the first evaluation.
        left_s: seconds of training left; None while unknown.
        silent_s: seconds since its last sign of life; None while that is no reason to worry.
    """

    name: str
    status: Status = field(default_factory=Status)
    standing: str = "running"
    value: float | None = None
    left_s: float | None = None
    silent_s: float | None = None

    @property
    def percent(self) -> int | None:
        """Steps done, in percent; None while the number of steps is unknown."""
        return 100 * self.status.step // self.status.steps if self.status.steps > 0 else None

    @property
    def activity(self) -> Activity:
        """Current activity; "other" means the phase in its status (evaluating, saving, …)."""
        if self.silent_s is not None:
            return "silent"
        if self.status.state != "running":
            return "starting"
        return "training" if self.status.phase == "training" else "other"

    def number(self, tag: str) -> float | None:
        """Return the newest number of `tag` among those of its status; None if there is none."""
        try:
            return decode_number(self.status.values[tag])
        except (KeyError, TypeError, ValueError):
            return None


def live_run(
    name: str, status: Status, standing: str = "running", *, value: float | None, pace_s: float | None, silence_s: float
) -> LiveRun:
    """Derive the live status of a run from observations.

    Args:
        value: newest value of the metric.
        pace_s: seconds per step; None while unknown.
        silence_s: seconds since its last sign of life, by the observer's clock.
    """
    is_silent = status.state == "running" and status.heartbeat > 0 and silence_s > SILENT_S
    return LiveRun(name, status, standing, value, time_left_s(status, pace_s), silence_s if is_silent else None)


def time_left_s(status: Status, pace_s: float | None) -> float | None:
    """Return the seconds of training left at a pace (seconds per step); None while either is unknown."""
    return None if pace_s is None or status.steps <= 0 else pace_s * max(0, status.steps - status.step)
