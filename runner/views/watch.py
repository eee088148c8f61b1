"""What can be seen of runs from outside while they go on: their status files, read again and again, and what follows
from them."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from runner.core.records import decode_number
from runner.core.rundir import RunDir, Status

FINAL = frozenset(("done", "pruned"))
"""States nothing follows. A failed or interrupted run may yet be taken up again."""

_LOOKS = 50
_RATE_WINDOW_S = 60.0
_SILENT_S = 30.0


@dataclass(slots=True)
class Watched:
    """A run that is watched.

    Args:
        run_dir: where it is.
        status: as last read.
        pace: (heartbeat, step) of the last minute of this attempt's training.
    """

    run_dir: RunDir
    status: Status = field(default_factory=Status)
    pace: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run_dir.name

    def look(self) -> Status:
        """Read the status again; returns the one before."""
        before, self.status = self.status, self.run_dir.status()
        if self.status.attempt != before.attempt:
            self.pace.clear()
        if self.status.phase == "training" and self.status.state == "running" and self.status.step > 0:
            if not self.pace or self.status.step > self.pace[-1][1]:
                self.pace.append((self.status.heartbeat, self.status.step))
            while self.pace[-1][0] - self.pace[0][0] > _RATE_WINDOW_S and len(self.pace) > 2:
                self.pace.popleft()
        return before

    def value(self, tag: str) -> float | None:
        """The newest number of `tag`."""
        if tag not in self.status.values:
            return None
        try:
            return decode_number(self.status.values[tag])
        except (TypeError, ValueError):
            return None

    def seconds_a_step(self) -> float | None:
        """How long a step takes now, evaluations left out; None until it has been watched for a second."""
        if len(self.pace) < 2 or (passed := self.pace[-1][0] - self.pace[0][0]) < 1.0:
            return None
        return passed / (self.pace[-1][1] - self.pace[0][1])

    def time_left_s(self) -> float | None:
        """Seconds of training left; None while that is not known."""
        pace = self.seconds_a_step()
        return None if pace is None or self.status.steps <= 0 else pace * (self.status.steps - self.status.step)

    def silent_s(self, now: float) -> float | None:
        """Seconds since its last sign of life, if that is worrying."""
        silence = now - self.status.heartbeat
        worrying = self.status.state == "running" and self.status.heartbeat > 0 and silence > _SILENT_S
        return silence if worrying else None

    def metric(self, tag: str) -> float | None:
        """A metric of the last checkpoint, once the run is done."""
        metrics = (self.run_dir.results() or {}).get("metrics")
        value = metrics.get(tag) if isinstance(metrics, dict) else None
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


class Watch:
    """Looks at many runs without reading them all each time.

    Running ones are read at every look; those that wait, or have ended in a way that may not be the end, a few in
    turn; those that are done never again.
    """

    def __init__(self, runs: Sequence[RunDir], clock: Callable[[], float] = time.time) -> None:
        self.runs = [Watched(run) for run in runs]
        self.clock = clock
        self._turn = 0
        for run in self.runs:
            run.look()

    def add(self, run_dir: RunDir) -> None:
        """Watch one more."""
        if all(run.run_dir.path != run_dir.path for run in self.runs):
            self.runs.append(Watched(run_dir))

    def look(self) -> Iterator[tuple[Watched, Status]]:
        """(run, its status before) of each run whose status has changed."""
        idle = [run for run in self.runs if run.status.state not in FINAL and run.status.state != "running"]
        chosen = [idle[(self._turn + index) % len(idle)] for index in range(min(_LOOKS, len(idle)))]
        self._turn = (self._turn + _LOOKS) % max(1, len(idle))
        for run in [*self.running(), *chosen]:
            before = run.look()
            if run.status != before:
                yield run, before

    def running(self) -> list[Watched]:
        """Those that are running, in their order."""
        return [run for run in self.runs if run.status.state == "running"]

    def counts(self) -> dict[str, int]:
        """How many are in each state, in the order people ask for them; states nobody is in are left out."""
        counts = dict.fromkeys(("done", "running", "pending", "failed", "interrupted", "pruned"), 0)
        for run in self.runs:
            counts[run.status.state] = counts.get(run.status.state, 0) + 1
        return {state: count for state, count in counts.items() if count}

    def time_left_s(self) -> float | None:
        """A guess for all of them, if the runs that wait take as long as those that run; None while nothing is
        known."""
        running = self.running()
        paces = [pace for run in running if (pace := run.seconds_a_step()) is not None]
        steps = [run.status.steps for run in running if run.status.steps > 0]
        if not paces or not steps:
            return None
        pace = math.fsum(paces) / len(paces)
        whole = pace * math.fsum(steps) / len(steps)
        left = [_first(run.time_left_s(), pace * max(0, run.status.steps - run.status.step) or whole) for run in running]
        waiting = sum(run.status.state == "pending" for run in self.runs)
        return max(max(left), (math.fsum(left) + waiting * whole) / len(running))


def _first(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
