"""Memory of processes, and the kernel's out-of-memory kills.

What a task holds is the sum of its processes' PSS: a page that n processes share counts as 1/n in each. RSS would count what a task
shares with the warm parent it was forked from once more in every data worker. PSS takes the kernel 20 to 50 ms for a process that has
loaded torch, RSS microseconds, and RSS is never less: so PSS is read only where RSS leaves the answer open.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from runner.core.values import GIB

_PROC = "/proc"
_PSS_AGAIN_S = 10.0
_OOM_LATELY_S = 1.0
_SESSION, _RSS = 3, 21  # fields of /proc/PID/stat behind the name
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(slots=True)
class Members:
    """Processes of a session: their ids, and the sum of their RSS."""

    pids: list[int]
    rss_gib: float = 0.0


def sessions(leaders: Collection[int]) -> dict[int, Members]:
    """Return the living processes of each session of `leaders`; where the system has no /proc, of each one's family."""
    found = {leader: Members([]) for leader in leaders}
    try:
        numbers = [int(name) for name in os.listdir(_PROC) if name.isdigit()]
    except OSError:
        return {leader: _family(leader) for leader in leaders}
    for pid in numbers:
        fields = stat_fields(pid)
        if fields and (members := found.get(int(fields[_SESSION]))):
            members.pids.append(pid)
            members.rss_gib += int(fields[_RSS]) * _PAGE_BYTES / GIB
    return found


def session_of(pid: int) -> int | None:
    """Return the session of a process, None if there is no such process."""
    fields = stat_fields(pid)
    return int(fields[_SESSION]) if fields else None


def stat_fields(pid: int) -> list[bytes]:
    """Return /proc/PID/stat from the state on; empty if there is no such process. The name before it may contain any character."""
    try:
        with open(f"{_PROC}/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def pss_gib(pids: Iterable[int]) -> float:
    """Return the sum of the processes' PSS; of their RSS where the system does not report PSS."""
    return sum(map(_pss_bytes, pids)) / GIB


class Gauge:
    """Gauge that finds at low cost whether a task exceeds its limit."""

    def __init__(self, limit_gib: float) -> None:
        self._limit_gib = limit_gib
        self._measured: tuple[float, float, float] | None = None  # when, PSS and RSS then

    def over_gib(self, members: Members, now: float) -> float | None:
        """Return the task's memory if it exceeds the limit, else None."""
        if members.rss_gib <= self._limit_gib:
            return None
        if self._measured is not None:
            at, pss, rss = self._measured
            if now < at + _PSS_AGAIN_S and pss + members.rss_gib - rss <= self._limit_gib:
                return None  # growth since then cannot exceed the limit
        held = pss_gib(members.pids)
        self._measured = (now, held, members.rss_gib)
        return held if held > self._limit_gib else None


class OomKills:
    """Counter of the kernel's out-of-memory kills: in this process's cgroup if it has such a count, else on the machine."""

    def __init__(self, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> None:
        self._file = _oom_file(proc, cgroups)
        self._count = self._read()
        self._rose_at = -_OOM_LATELY_S

    def lately(self, now: float) -> bool:
        """Return whether there was a kill since the last call or within the last second (several tasks may have died of it)."""
        before, self._count = self._count, self._read()
        if self._count > before:
            self._rose_at = now
        return now < self._rose_at + _OOM_LATELY_S

    def _read(self) -> int:
        if self._file is not None:
            with contextlib.suppress(OSError, ValueError):
                for line in self._file.read_text().splitlines():
                    name, _, value = line.partition(" ")
                    if name == "oom_kill":
                        return int(value)
        return 0


def _oom_file(proc: Path, cgroups: Path) -> Path | None:
    candidates = [proc / "vmstat"]
    with contextlib.suppress(OSError):
        for line in (proc / "self" / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                candidates.insert(0, cgroups / path.lstrip("/") / "memory.events")
            elif "memory" in controllers.split(","):
                candidates.insert(0, cgroups / "memory" / path.lstrip("/") / "memory.oom_control")
    for file in candidates:
        with contextlib.suppress(OSError):
            if "oom_kill " in file.read_text():
                return file
    return None


def _pss_bytes(pid: int) -> int:
    try:
        with open(f"{_PROC}/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        with contextlib.suppress(psutil.Error):
            return int(psutil.Process(pid).memory_info().rss)
    return 0


def _family(leader: int) -> Members:
    """Return a process and all below it."""
    members = Members([])
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(leader)
        for process in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                members.rss_gib += process.memory_info().rss / GIB
                members.pids.append(process.pid)
    return members
