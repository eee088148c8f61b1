"""Resources of this machine, as far as this process may use them: cores, memory, GPUs."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from runner.core.errors import how_to_install
from runner.core.values import GIB

VISIBLE, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"
BUSY_GIB = 0.25
"""A GPU is in use if other processes hold more memory of it; a process that has only initialised CUDA holds about as much."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU this process may use.

    Args:
        index: NVML's number, by place on the bus.
        uuid: ``GPU-…`` or, of a part of one, ``MIG-…``.
        name: its model.
        memory_gib: all its memory, in 2**30 bytes.
        used_gib: memory of it that compute processes of others hold.
        word: what CUDA_VISIBLE_DEVICES calls it; empty: its index.
    """

    index: int
    uuid: str
    name: str
    memory_gib: float
    used_gib: float = 0.0
    word: str = ""

    def __str__(self) -> str:
        return f"GPU {self.index} ({self.name})"

    @property
    def busy(self) -> bool:
        """True if another process computes on it."""
        return self.used_gib > BUSY_GIB


@dataclass(frozen=True, slots=True)
class Machine:
    """Resources of the machine.

    Args:
        cores: those that this process may run on, at most its cgroup's limit.
        memory_gib: in 2**30 bytes, at most its cgroup's limit; free_gib: the unused part of it.
        gpus: those that CUDA_VISIBLE_DEVICES leaves, in its order.
        gpu_problem: why nothing is known of GPUs, or what is doubtful; empty if all is well.
        by_place: a GPU's number is its place on the bus (CUDA_VISIBLE_DEVICES was not set).
    """

    cores: int
    memory_gib: float
    free_gib: float
    gpus: tuple[Gpu, ...] = ()
    gpu_problem: str = ""
    by_place: bool = True


def read_machine(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> Machine:
    """Inspect this machine. Takes some milliseconds, with GPUs some hundredths of a second; never fails.

    Args:
        environment: the variables that count.
        root: where /proc/self/cgroup and /sys/fs/cgroup are looked for.
    """
    cores = available_cores(root)
    memory = psutil.virtual_memory()
    total, free = memory.total, memory.available
    for folder in _cgroups(root):
        limit = _memory_limit(folder)
        if limit is not None and limit < memory.total:
            total, free = min(total, limit), min(free, max(0, limit - _memory_used(folder)))
    gpus, problem = _gpus(environment)
    return Machine(cores, total / GIB, free / GIB, gpus, problem, by_place=VISIBLE not in environment)


def available_cores(root: Path = Path("/")) -> int:
    """Count the cores that this process may run on, at most its cgroup's limit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _cgroups(root) if (quota := _quota(folder)) is not None]
    return min([cores, *(max(1, int(quota)) for quota in quotas)])


# ---------------------------------------------------------------------------------------------------------------------- GPUs
def _gpus(environment: Mapping[str, str]) -> tuple[tuple[Gpu, ...], str]:
    """Return the GPUs that NVML sees and CUDA_VISIBLE_DEVICES leaves, and what is wrong."""
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return (), f"nvidia-ml-py is not installed: {how_to_install('.[gpu]')}"
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return (), f"NVML: {error}"
    try:
        ours = _own_processes()
        found = [_gpu(nvml, nvml.nvmlDeviceGetHandleByIndex(index), index, ours) for index in range(nvml.nvmlDeviceGetCount())]
        visible = environment.get(VISIBLE)
        if visible is None:
            return tuple(found), ""
        chosen = tuple(_chosen(nvml, visible, found, ours))
        numbers = any(gpu.word.isdigit() for gpu in chosen)
        if numbers and ORDER not in environment and len({gpu.name for gpu in found}) > 1:
            return chosen, f"the GPUs are of different models, and CUDA may number them differently from NVML: set {ORDER}=PCI_BUS_ID"
        return chosen, "" if chosen else f"{VISIBLE}={visible} leaves none"
    except nvml.NVMLError as error:
        return (), f"NVML: {error}"
    finally:
        nvml.nvmlShutdown()


def _chosen(nvml: Any, visible: str, found: list[Gpu], ours: set[int]) -> Iterator[Gpu]:
    """Yield the GPUs that a CUDA_VISIBLE_DEVICES names. As CUDA does, it stops at the first word that names none."""
    for position, word in enumerate(word.strip() for word in visible.split(",")):
        if word.isdigit():
            matching = [gpu for gpu in found if gpu.index == int(word)]
        elif word.startswith("MIG-"):
            matching = [_gpu(nvml, nvml.nvmlDeviceGetHandleByUUID(word), position, ours)]
        else:
            matching = [gpu for gpu in found if word.startswith("GPU-") and gpu.uuid.startswith(word)]
        if len(matching) != 1:
            return
        gpu = matching[0]
        yield Gpu(gpu.index, gpu.uuid, gpu.name, gpu.memory_gib, gpu.used_gib, word)


def _gpu(nvml: Any, handle: Any, index: int, ours: set[int]) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    uuid, name = (_text(read(handle)) for read in (nvml.nvmlDeviceGetUUID, nvml.nvmlDeviceGetName))
    return Gpu(index, uuid, name, memory.total / GIB, _used_by_others(nvml, handle, memory.used, ours) / GIB)


def _used_by_others(nvml: Any, handle: Any, used: int, ours: set[int]) -> int:
    """Return the bytes that compute processes of others hold, without a desktop's windows and the driver's own memory."""
    computing = _processes(nvml, nvml.nvmlDeviceGetComputeRunningProcesses, handle)
    others = [held for pid, held in computing if pid not in ours]
    if not others or None not in others:
        return sum(held or 0 for held in others)
    drawing = _processes(nvml, nvml.nvmlDeviceGetGraphicsRunningProcesses, handle)
    known = sum(held or 0 for pid, held in (*computing, *drawing) if pid in ours or (pid, held) in drawing)
    return max(used - known, 0)


def _processes(nvml: Any, read: Callable[[Any], Any], handle: Any) -> list[tuple[int, int | None]]:
    try:
        return [(int(process.pid), process.usedGpuMemory) for process in read(handle)]
    except nvml.NVMLError:  # a device that does not report it
        return []


def _own_processes() -> set[int]:
    own = psutil.Process()
    with contextlib.suppress(psutil.Error):
        return {own.pid, *(child.pid for child in own.children(recursive=True))}
    return {own.pid}


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


# ------------------------------------------------------------------------------------------------------------------- cgroups
def _cgroups(root: Path) -> Iterator[Path]:
    """Yield the folders of this process's cgroups, of both versions, each with those above it."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for base in (
            (mounts, mounts / "unified") if not controllers else (mounts / controllers, *(mounts / one for one in controllers.split(",")))
        ):
            parts = [part for part in path.split("/") if part] if ".." not in path else []
            for count in range(len(parts), -1, -1):
                if (folder := base.joinpath(*parts[:count])).is_dir():
                    yield folder


def _quota(folder: Path) -> float | None:
    """Return its CPU time limit, in cores."""
    quota, period = (*_words(folder / "cpu.max"), "", "")[:2]
    if not quota:
        quota, period = ("".join(_words(folder / name)) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _memory_limit(folder: Path) -> int | None:
    """Return the bytes it may hold."""
    limits = [word for name in ("memory.max", "memory.high", "memory.limit_in_bytes") for word in _words(folder / name)]
    return min((int(limit) for limit in limits if limit.isdigit()), default=None)


def _memory_used(folder: Path) -> int:
    """Return the bytes it holds, less what the kernel can reclaim at once."""
    held = [int(word) for name in ("memory.current", "memory.usage_in_bytes") for word in _words(folder / name)]
    words = _words(folder / "memory.stat")
    facts = dict(zip(words[::2], words[1::2], strict=False))
    return sum(held[:1]) - int(facts.get("total_inactive_file", facts.get("inactive_file", 0)))


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
