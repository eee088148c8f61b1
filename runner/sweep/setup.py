"""Arguments and results of the sweep loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from runner.core.lock import Lock
from runner.launch.base import Task
from runner.search.base import Search, Trial
from runner.search.spec import Metric
from runner.store.run_dir import Status
from runner.sweep.history import History
from runner.sweep.plan import PlannedRun
from runner.sweep.policy import Policy
from runner.sweep.runs import task_of
from runner.sweep.sweep_dir import SweepDir


@dataclass(frozen=True, slots=True)
class Workload:
    """The work of a sweep: a search, and the runs of each of its trials.

    Args:
        search: the source of trials.
        runs_of: plans the runs of a trial, one per seed.
        seeds: seeds of a trial that names none.
        keys: (trial number, seed) to the run's key; a finished run with another key does not count as that run.
        metrics: the metrics of the sweep; the first ranks trials for "best so far".
        task_of: makes the command that works on a run.
    """

    search: Search
    runs_of: Callable[[Trial], Sequence[PlannedRun]]
    seeds: Sequence[int] = (0,)
    keys: Mapping[tuple[int, int], str] = field(default_factory=dict)
    metrics: Sequence[Metric] = ()
    task_of: Callable[[PlannedRun], Task] = task_of


@dataclass(frozen=True, slots=True)
class DrivenSweep:
    """A sweep directory that this process drives.

    Args:
        folder: the directory.
        lock: its lock, held by the caller; None: the loop does not notice when the directory is moved or deleted.
        history: what earlier drivers did in it.
    """

    folder: SweepDir
    lock: Lock | None = None
    history: History = field(default_factory=History)


class ConcurrencyLimit(Protocol):
    """A limit on how many runs are active at a time, learned from the memory they use (see `runner.launch.packing`)."""

    def observe(self, name: str, memory_gib: float, gpu_memory_gib: float, *, settled: bool) -> None:
        """Record the memory that a run uses now, or used at most."""

    def room(self, running: int) -> bool:
        """Return whether one more run may start beside `running` active ones."""


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """Settings of the loop.

    Args:
        policy: time-outs, retries and budgets.
        packing: how many runs may be active where the launcher still has free slots; None: as many as it has slots.
        retry_failed: start failed runs again.
        keep_warm: keep processes that have imported the framework, which pays from the second run on.
    """

    policy: Policy = Policy()
    packing: ConcurrencyLimit | None = None
    retry_failed: bool = False
    keep_warm: bool = False


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The end of a run.

    Args:
        run: the run, without its config.
        status: its status, including what the driver concluded.
        reused: it was finished before; nothing was started.
        exit_code: exit code of its worker (see `runner.worker.main.main`); None if it was reused or died of a signal.
    """

    run: PlannedRun
    status: Status
    reused: bool = False
    exit_code: int | None = None
