"""Many runs observed while they are active, for a screen: their status files are read again and again.

Times are of the monitor's own clock, taken when a heartbeat is seen to have changed: setting the machine's clock has no effect.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from runner.monitor.live import LiveRun, live_run, time_left_s
from runner.monitor.progress import STANDINGS, Evaluations, standing
from runner.store.run_dir import RunDir, State, Status

FINAL = frozenset(("done", "pruned"))
"""Final states. A failed or interrupted run may still be continued."""

_LOOKS = 50
_PACE_WINDOW_S = 60.0
_DURATIONS = 50


@dataclass(slots=True)
class RunMonitor:
    """One run, observed. All times are the monitor's.

    Args:
        run_dir: where it is.
        status: as last read.
        pace: (seconds, step) of the last minute of this attempt's training.
        seen_s: when its last sign of life was seen.
        began_s: when it was seen to take a slot; None while it has none.
        at_work: whether it has a slot; None: unknown.
        evaluations: reader of the metric that is shown; None before the first call.
    """

    run_dir: RunDir
    status: Status = field(default_factory=Status)
    pace: list[tuple[float, int]] = field(default_factory=list)
    seen_s: float = 0.0
    began_s: float | None = None
    at_work: bool | None = None
    evaluations: Evaluations | None = None

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run_dir.name

    @property
    def standing(self) -> str:
        """Which of `STANDINGS` it counts as."""
        return standing(self.status, at_work=self.at_work)

    def look(self, now: float) -> Status:
        """Read the status again; return the one before. A file that cannot be read changes nothing."""
        before, new = self.status, self.run_dir.status()
        if new.attempt == 0 and new.state == "pending":
            return before
        self.status = new
        if new.heartbeat != before.heartbeat or new.attempt != before.attempt:
            self.seen_s = now
        if new.attempt != before.attempt:
            self.pace = []
        if new.phase == "training" and new.state == "running" and new.step > 0:
            if not self.pace or new.step > self.pace[-1][1]:
                self.pace.append((now, new.step))
            while self.pace[-1][0] - self.pace[0][0] > _PACE_WINDOW_S and len(self.pace) > 2:
                del self.pace[0]
        return before

    def live(self, now: float, metric: str = "") -> LiveRun:
        """Return its current state.

        Args:
            now: by the monitor's clock.
            metric: tag whose newest value is shown (the same at every call); empty: none is read.
        """
        value = self._evaluated(metric) if metric else None
        return live_run(self.name, self.status, self.standing, value=value, pace_s=self.seconds_per_step(), silence_s=now - self.seen_s)

    def seconds_per_step(self) -> float | None:
        """Return the pace of training now, evaluations left out; None until it has been observed for a second."""
        if len(self.pace) < 2 or (passed := self.pace[-1][0] - self.pace[0][0]) < 1.0:
            return None
        return passed / (self.pace[-1][1] - self.pace[0][1])

    def _evaluated(self, tag: str) -> float | None:
        if self.evaluations is None:
            self.evaluations = Evaluations(self.run_dir.metrics, tag)
        return self.evaluations.newest()

    def metric(self, tag: str) -> float | None:
        """Return a metric of the last checkpoint, once the run is done."""
        metrics = (self.run_dir.results() or {}).get("metrics")
        value = metrics.get(tag) if isinstance(metrics, dict) else None
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


class SweepMonitor:
    """Many runs, observed without reading all of them each time.

    Where a driver says which runs have a slot and which have ended, those are read and no others. Else running ones are read at every
    look; waiting ones, and those whose end may not be final, a few in turn; those that are done never again.

    Args:
        runs: the runs; those not started yet may not exist.
        clock: seconds that always go forward.
        known: name to state of the runs whose state is known: no directory is read then. None: those that exist are read.
    """

    def __init__(
        self, runs: Sequence[RunDir], clock: Callable[[], float] = time.monotonic, *, known: Mapping[str, State] | None = None
    ) -> None:
        self.runs: list[RunMonitor] = []
        self.clock = clock
        self._by_path: dict[str, RunMonitor] = {}
        self._running: dict[str, RunMonitor] = {}
        self._counts: Counter[str] = Counter()
        self._durations: deque[float] = deque(maxlen=_DURATIONS)
        self._turn = 0
        now = clock()
        existing = set() if known is not None else _existing(runs)
        for run_dir in runs:
            run = self._add(run_dir, (known or {}).get(run_dir.name, "pending"), at_work=None if known is None else False)
            if str(run_dir.path) in existing:
                self._read(run, now)

    def add(self, run_dir: RunDir, state: State = "pending") -> None:
        """Observe one more run, unless it is known."""
        if str(run_dir.path) not in self._by_path:
            self._add(run_dir, state)

    def mark_pruned(self, run_dirs: Sequence[RunDir]) -> None:
        """Count runs as pruned that have no directory that says so."""
        for run_dir in run_dirs:
            self.add(run_dir)
            run = self._by_path[str(run_dir.path)]
            counted, run.status = run.standing, replace(run.status, state="pruned")
            self._recount(run, counted)

    def look(self, running: Sequence[RunDir] | None = None, ended: Sequence[RunDir] = ()) -> Iterator[tuple[RunMonitor, Status]]:
        """Yield (run, its status before) for each run whose status has changed.

        Args:
            running, ended: see `runner.store.commands.Situation`; unknown runs are observed from now on.
        """
        now = self.clock()
        for run in self._next_to_read() if running is None else self._active_or_ended(running, ended, now):
            before = self._read(run, now)
            if run.status != before:
                yield run, before

    def running(self) -> list[RunMonitor]:
        """Return the running ones, in the order in which they began."""
        return list(self._running.values())

    def counts(self) -> dict[str, int]:
        """Return the number of runs per standing, without zeros."""
        return {name: self._counts[name] for name in STANDINGS if self._counts[name]}

    def time_left_s(self, slots: int = 0, more: int = 0) -> float | None:
        """Estimate the seconds left for all runs, if waiting ones take as long as those before them; None while nothing is known.

        Args:
            slots: runs that may be active at a time; 0: as many as are now.
            more: runs that will come besides the known ones.
        """
        running, now = self.running(), self.clock()
        whole = self._whole_run_s(running)
        if whole is None or not running:
            return None
        left = [_left_s(run, whole, now) for run in running]
        waiting = self._counts["waiting"] + self._counts["interrupted"] + more
        return max(max(left), (math.fsum(left) + waiting * whole) / max(slots, len(running)))

    def _add(self, run_dir: RunDir, state: State, at_work: bool | None = None) -> RunMonitor:
        run = RunMonitor(run_dir, Status(state=state), at_work=at_work)
        self.runs.append(run)
        self._by_path[str(run_dir.path)] = run
        self._counts[run.standing] += 1
        return run

    def _next_to_read(self) -> list[RunMonitor]:
        idle = [run for run in self.runs if run.status.state not in FINAL and run.status.state != "running"]
        chosen = [idle[(self._turn + index) % len(idle)] for index in range(min(_LOOKS, len(idle)))]
        self._turn = (self._turn + _LOOKS) % max(1, len(idle))
        return [*self.running(), *chosen]

    def _active_or_ended(self, running: Sequence[RunDir], ended: Sequence[RunDir], now: float) -> list[RunMonitor]:
        """Record which runs have a slot; return those to read: the ones that have a slot, had one until now, or have just ended."""
        at_work = {str(run_dir.path): run_dir for run_dir in running}
        worth = [*self._running, *(str(run_dir.path) for run_dir in ended)]
        for run_dir in (*running, *ended):
            self.add(run_dir)
        looked_at = [path for path in dict.fromkeys([*worth, *at_work]) if path in at_work or not self._is_final(path)]
        for path in looked_at:
            run = self._by_path[path]
            counted = run.standing
            run.at_work = path in at_work
            if run.at_work and run.began_s is None:
                run.began_s = run.seen_s = now
            self._recount(run, counted)
        return [self._by_path[path] for path in looked_at]

    def _is_final(self, path: str) -> bool:
        """Return whether a run had ended before it was first observed."""
        run = self._by_path[path]
        return run.began_s is None and run.status.state in FINAL

    def _read(self, run: RunMonitor, now: float) -> Status:
        counted = run.standing
        before = run.look(now)
        if run.began_s is not None and run.at_work is False:
            if run.status.state == "done":
                self._durations.append(now - run.began_s)
            run.began_s = run.evaluations = None
            run.pace = []
        self._recount(run, counted)
        return before

    def _recount(self, run: RunMonitor, counted: str) -> None:
        if run.standing != counted:
            self._counts[counted] -= 1
            self._counts[run.standing] += 1
        if run.standing == "running":
            self._running.setdefault(str(run.run_dir.path), run)
        else:
            self._running.pop(str(run.run_dir.path), None)

    def _whole_run_s(self, running: Sequence[RunMonitor]) -> float | None:
        """Return how long a run takes: the mean of those that ended, else by the pace of the running ones."""
        if self._durations:
            return math.fsum(self._durations) / len(self._durations)
        wholes = [pace * run.status.steps for run in running if run.status.steps > 0 and (pace := run.seconds_per_step()) is not None]
        return math.fsum(wholes) / len(wholes) if wholes else None


def _left_s(run: RunMonitor, whole_s: float, now: float) -> float:
    left = time_left_s(run.status, run.seconds_per_step())
    if left is not None:
        return left
    if run.began_s is not None:
        return max(0.0, whole_s - (now - run.began_s))
    return whole_s * (1 - run.status.step / run.status.steps if 0 < run.status.step <= run.status.steps else 1)


def _existing(runs: Sequence[RunDir]) -> set[str]:
    """Return the paths of those that exist, by listing the folders above them."""
    found: set[str] = set()
    for folder in {run.path.parent for run in runs}:
        try:
            found.update(str(folder / name) for name in os.listdir(folder))
        except OSError:
            pass  # not made yet
    return found
