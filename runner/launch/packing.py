"""Packing of runs into the available memory, by the memory that runs have used so far.

With `concurrency: auto` the memory of a run is not known in advance. The first run starts alone until it has been measured, then as many as
fit, each with a reserve of 15 %. Later measurements correct the estimate: upward at once, downward as larger runs drop out of the most
recent ones. No run waits where memory is plentiful: `PLENTY_GIB` for each slot, which a detector's run seldom reaches.
"""

from __future__ import annotations

from runner.launch.base import Capacity

RESERVE = 1.15
PLENTY_GIB = 8.0
"""Memory per run, in 2**30 bytes, from which on the first run need not start alone. There is no such figure for a shared GPU."""
_SEEN_LAST = 16
"""Runs whose peaks count."""


class Packing:
    """Rule that decides whether one more run fits. It kills no run: if runs turn out larger than estimated, no new one starts until enough
    have ended.

    Args:
        limit: slots, which are never exceeded.
        total_gib: memory for all runs together; None: it is not counted (each run has a limit, and the slots were planned by it).
        gpu_total_gib: memory of one GPU for the runs on it; None: it is not counted (no GPU is shared, or it is not known).
        runs_per_gpu: slots per GPU.
    """

    def __init__(self, limit: int, total_gib: float | None, gpu_total_gib: float | None = None, runs_per_gpu: int = 1) -> None:
        self._limit = limit
        self._total_gib = total_gib
        self._gpu_total_gib = gpu_total_gib if runs_per_gpu > 1 else None
        self._runs_per_gpu = runs_per_gpu
        self._peaks: dict[str, tuple[float, float]] = {}  # name → memory, GPU memory; the one seen last comes last
        self._known = self._gpu_total_gib is None and (total_gib is None or total_gib >= limit * PLENTY_GIB)

    @classmethod
    def of(cls, capacity: Capacity) -> Packing:
        """Return the packing for a launcher with this room."""
        return cls(capacity.tasks, capacity.memory_gib, capacity.gpu_memory_gib, capacity.tasks_per_gpu)

    def observe(self, name: str, memory_gib: float, gpu_memory_gib: float = 0.0, *, settled: bool) -> None:
        """Record the memory of a run, in 2**30 bytes. Call it from time to time for each running one, and when one has ended.

        Args:
            gpu_memory_gib: on its GPU.
            settled: it will hardly grow further: it has trained some steps and evaluated, or has ended.
        """
        before = self._peaks.pop(name, (0.0, 0.0))
        self._peaks[name] = (max(before[0], memory_gib), max(before[1], gpu_memory_gib))
        while len(self._peaks) > max(_SEEN_LAST, self._limit):
            del self._peaks[next(iter(self._peaks))]
        self._known = self._known or settled

    def fits(self) -> int:
        """Return the number of runs that fit at a time, as far as is known: at least one, since a single run may use everything."""
        if not self._known:
            return 1
        count = self._limit
        memory_gib, gpu_memory_gib = (max((peak[which] for peak in self._peaks.values()), default=0.0) * RESERVE for which in (0, 1))
        if self._total_gib is not None and memory_gib > 0:
            count = min(count, int(self._total_gib / memory_gib))
        if self._gpu_total_gib is not None and gpu_memory_gib > 0:
            gpus = -(-self._limit // self._runs_per_gpu)
            count = min(count, gpus * min(self._runs_per_gpu, int(self._gpu_total_gib / gpu_memory_gib)))
        return max(1, count)

    def room(self, running: int) -> bool:
        """Return whether one more may start beside `running` others."""
        return running < self.fits()
