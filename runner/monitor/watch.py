"""What can be seen of runs from outside while they go on: their status files, read again and again, and what follows from them.

Times are taken by the clock of whoever watches, when a heartbeat is seen to have changed: setting the machine's clock changes nothing.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from runner.monitor.progress import STANDINGS, Evaluations, standing
from runner.store.records import decode_number
from runner.store.run_dir import RunDir, State, Status

FINAL = frozenset(("done", "pruned"))
"""States nothing follows. A failed or interrupted run may yet be taken up again."""

_LOOKS = 50
_PACE_WINDOW_S = 60.0
_SILENT_S = 30.0
_DURATIONS = 50


@dataclass(slots=True)
class Watched:
    """A run that is watched. All times are the watcher's.

    Args:
        run_dir: where it is.
        status: as last read.
        pace: (seconds, step) of the last minute of this attempt's training.
        seen_s: when its last sign of life was seen.
        began_s: when it was seen to take a slot; None while it has none.
        at_work: whether it has a slot; None: nobody has told.
        evaluations: reads the metric that is shown; None before it is first asked for.
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
        """Read the status again; returns the one before. A file that cannot be read changes nothing."""
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

    def value(self, tag: str) -> float | None:
        """The newest number of `tag` among those of its status."""
        if tag not in self.status.values:
            return None
        try:
            return decode_number(self.status.values[tag])
        except (TypeError, ValueError):
            return None

    def evaluated(self, tag: str) -> float | None:
        """The metric `tag` (the same at every call) of its newest evaluation."""
        if self.evaluations is None:
            self.evaluations = Evaluations(self.run_dir.metrics, tag)
        return self.evaluations.newest()

    def seconds_a_step(self) -> float | None:
        """How long a step takes now, evaluations left out; None until it has been watched for a second."""
        if len(self.pace) < 2 or (passed := self.pace[-1][0] - self.pace[0][0]) < 1.0:
            return None
        return passed / (self.pace[-1][1] - self.pace[0][1])

    def time_left_s(self) -> float | None:
        """Seconds of training left; None while that is not known."""
        pace = self.seconds_a_step()
        return None if pace is None or self.status.steps <= 0 else pace * max(0, self.status.steps - self.status.step)

    def silent_s(self, now: float) -> float | None:
        """Seconds since its last sign of life, if that is worrying."""
        silence = now - self.seen_s
        worrying = self.status.state == "running" and self.status.heartbeat > 0 and silence > _SILENT_S
        return silence if worrying else None

    def metric(self, tag: str) -> float | None:
        """A metric of the last checkpoint, once the run is done."""
        metrics = (self.run_dir.results() or {}).get("metrics")
        value = metrics.get(tag) if isinstance(metrics, dict) else None
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


class Watch:
    """Looks at many runs without reading them all each time.

    Where a conductor tells which runs have a slot and which have ended, those are read and no others. Else running ones are read at every
    look; those that wait, or have ended in a way that may not be the end, a few in turn; those that are done never again.

    Args:
        runs: what to watch; those not started yet may not exist.
        clock: seconds that always go forward.
        known: name to state of the runs whose state is known: no directory is read then. None: those that exist are read.
    """

    def __init__(
        self, runs: Sequence[RunDir], clock: Callable[[], float] = time.monotonic, *, known: Mapping[str, State] | None = None
    ) -> None:
        self.runs: list[Watched] = []
        self.clock = clock
        self._by_path: dict[str, Watched] = {}
        self._running: dict[str, Watched] = {}
        self._counts: Counter[str] = Counter()
        self._durations: deque[float] = deque(maxlen=_DURATIONS)
        self._turn = 0
        now = clock()
        existing = set() if known is not None else _existing(runs)
        for run_dir in runs:
            run = self._add(run_dir, (known or {}).get(run_dir.name, "pending"), at_work=None if known is None else False)
            if str(run_dir.path) in existing:
                self._look(run, now)

    def add(self, run_dir: RunDir, state: State = "pending") -> None:
        """Watch one more, unless it is watched already."""
        if str(run_dir.path) not in self._by_path:
            self._add(run_dir, state)

    def look(self, running: Sequence[RunDir] | None = None, ended: Sequence[RunDir] = ()) -> Iterator[tuple[Watched, Status]]:
        """(run, its status before) of each run whose status has changed.

        Args:
            running, ended: see `runner.store.commands.Situation`; runs that are not watched yet are from now on.
        """
        now = self.clock()
        for run in self._chosen() if running is None else self._told(running, ended, now):
            before = self._look(run, now)
            if run.status != before:
                yield run, before

    def running(self) -> list[Watched]:
        """Those that are running, in the order in which they began."""
        return list(self._running.values())

    def counts(self) -> dict[str, int]:
        """How many count as each of `STANDINGS`; those nobody counts as are left out."""
        return {name: self._counts[name] for name in STANDINGS if self._counts[name]}

    def time_left_s(self, slots: int = 0, more: int = 0) -> float | None:
        """A guess for all of them, if the runs that wait take as long as those before them; None while nothing is known.

        Args:
            slots: runs that may go at a time; 0: as many as go now.
            more: runs that will come besides those that are watched.
        """
        running, now = self.running(), self.clock()
        whole = self._whole_run_s(running)
        if whole is None or not running:
            return None
        left = [_left_s(run, whole, now) for run in running]
        waiting = self._counts["waiting"] + self._counts["interrupted"] + more
        return max(max(left), (math.fsum(left) + waiting * whole) / max(slots, len(running)))

    def _add(self, run_dir: RunDir, state: State, at_work: bool | None = None) -> Watched:
        run = Watched(run_dir, Status(state=state), at_work=at_work)
        self.runs.append(run)
        self._by_path[str(run_dir.path)] = run
        self._counts[run.standing] += 1
        return run

    def _chosen(self) -> list[Watched]:
        idle = [run for run in self.runs if run.status.state not in FINAL and run.status.state != "running"]
        chosen = [idle[(self._turn + index) % len(idle)] for index in range(min(_LOOKS, len(idle)))]
        self._turn = (self._turn + _LOOKS) % max(1, len(idle))
        return [*self.running(), *chosen]

    def _told(self, running: Sequence[RunDir], ended: Sequence[RunDir], now: float) -> list[Watched]:
        """Take note of who has a slot; those that have, or had one until now, are worth a look."""
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
        """Whether it ended before anybody watched."""
        run = self._by_path[path]
        return run.began_s is None and run.status.state in FINAL

    def _look(self, run: Watched, now: float) -> Status:
        counted = run.standing
        before = run.look(now)
        if run.began_s is not None and run.at_work is False:
            if run.status.state == "done":
                self._durations.append(now - run.began_s)
            run.began_s = run.evaluations = None
            run.pace = []
        self._recount(run, counted)
        return before

    def _recount(self, run: Watched, counted: str) -> None:
        if run.standing != counted:
            self._counts[counted] -= 1
            self._counts[run.standing] += 1
        if run.standing == "running":
            self._running.setdefault(str(run.run_dir.path), run)
        else:
            self._running.pop(str(run.run_dir.path), None)

    def _whole_run_s(self, running: Sequence[Watched]) -> float | None:
        """How long a run takes: as those that ended did, else by the pace of those that go."""
        if self._durations:
            return math.fsum(self._durations) / len(self._durations)
        wholes = [pace * run.status.steps for run in running if run.status.steps > 0 and (pace := run.seconds_a_step()) is not None]
        return math.fsum(wholes) / len(wholes) if wholes else None


def _left_s(run: Watched, whole_s: float, now: float) -> float:
    left = run.time_left_s()
    if left is not None:
        return left
    if run.began_s is not None:
        return max(0.0, whole_s - (now - run.began_s))
    return whole_s * (1 - run.status.step / run.status.steps if 0 < run.status.step <= run.status.steps else 1)


def _existing(runs: Sequence[RunDir]) -> set[str]:
    """Paths of those that are there: a look into each folder above them, not at each of them."""
    found: set[str] = set()
    for folder in {run.path.parent for run in runs}:
        try:
            found.update(str(folder / name) for name in os.listdir(folder))
        except OSError:
            pass  # not made yet
    return found
