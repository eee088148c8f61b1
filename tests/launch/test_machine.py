"""Resources of a machine, read from files like the kernel's and from an NVML like NVIDIA's."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from runner.core.values import GIB
from runner.launch.base import Demand, TaskResources
from runner.launch.machine import Gpu, Machine, read_machine
from runner.launch.slots import plan_slots

NO_GPUS: Mapping[str, str] = {}


class NVMLError(Exception):
    """As NVML's."""


@dataclass
class Nvml:
    """What the package pynvml tells of made-up GPUs: (name, bytes used, [(pid, bytes)] that compute, the same that draw)."""

    gpus: list[tuple[str, int, list[tuple[int, int | None]], list[tuple[int, int | None]]]] = field(default_factory=list)
    driver: bool = True
    open: int = 0
    NVMLError = NVMLError

    def nvmlInit(self) -> None:
        if not self.driver:
            raise NVMLError("Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        if uuid != "MIG-1":
            raise NVMLError("Not Found")
        return 0

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-{handle}{handle}-x"

    def nvmlDeviceGetName(self, handle: int) -> str:
        return self.gpus[handle][0]

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(total=24 * GIB, used=self.gpus[handle][1])

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=held) for pid, held in self.gpus[handle][2]]

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: int) -> list[Any]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=held) for pid, held in self.gpus[handle][3]]


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    fake = Nvml([("L4", GIB // 2, [], [])] * 4)
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


# ------------------------------------------------------------------------------------------------------- cores and memory
def machine_with(root: Path, files: Mapping[str, str]) -> Machine:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return read_machine(NO_GPUS, root)


@pytest.fixture
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=64 * GIB, available=60 * GIB))


def test_this_machine() -> None:
    machine = read_machine()
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert 0 < machine.free_gib <= machine.memory_gib <= psutil.virtual_memory().total / GIB


def test_without_cgroups(tmp_path: Path, sixteen: None) -> None:
    machine = machine_with(tmp_path, {})
    assert (machine.cores, machine.memory_gib, machine.free_gib) == (16, 64, 60)


def test_limits_of_the_second_version_and_of_those_above(tmp_path: Path, sixteen: None) -> None:
    here = "sys/fs/cgroup/user/job"
    files = {
        "proc/self/cgroup": "0::/user/job\n",
        f"{here}/cpu.max": "max 100000\n",
        f"{here}/memory.max": f"{8 * GIB}\n",
        f"{here}/memory.current": f"{5 * GIB}\n",
        f"{here}/memory.stat": f"anon {2 * GIB}\nfile {3 * GIB}\ninactive_file {3 * GIB}\n",
        "sys/fs/cgroup/user/cpu.max": "250000 100000\n",
        "sys/fs/cgroup/user/memory.max": "max\n",
    }
    machine = machine_with(tmp_path, files)
    assert (machine.cores, machine.memory_gib, machine.free_gib) == (2, 8, 6)


def test_limits_of_the_first_version(tmp_path: Path, sixteen: None) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n",  # the host's path: not there
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{4 * GIB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
        "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 0\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    machine = machine_with(tmp_path, files)
    assert (machine.cores, machine.memory_gib, machine.free_gib) == (1, 4, 3)


def test_no_limits_of_the_first_version(tmp_path: Path, sixteen: None) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/../x\n3:cpu:/\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/unified/cgroup.procs": "1\n",
    }
    machine = machine_with(tmp_path, files)
    assert (machine.cores, machine.memory_gib, machine.free_gib) == (16, 64, 60)


# ------------------------------------------------------------------------------------------------------------------- GPUs
def test_gpus_are_known_by_nvml(nvml: Nvml) -> None:
    machine = read_machine(NO_GPUS)
    assert machine.gpus[3] == Gpu(3, "GPU-33-x", "L4", 24.0)
    assert len(machine.gpus) == 4 and machine.gpu_problem == "" and nvml.open == 0


def test_without_a_driver(nvml: Nvml) -> None:
    nvml.driver = False
    assert read_machine(NO_GPUS).gpu_problem == "NVML: Driver Not Loaded"


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    machine = read_machine(NO_GPUS)
    assert machine.gpus == () and "pip install" in machine.gpu_problem


@pytest.mark.parametrize(
    ("visible", "indices"),
    [("2,0", [2, 0]), ("", []), ("-1", []), ("1,9,2", [1]), ("GPU-22, GPU-00-x", [2, 0]), ("GPU-", []), ("none", []), ("MIG-1", [0])],
)
def test_cuda_visible_devices_is_respected(nvml: Nvml, visible: str, indices: list[int]) -> None:
    machine = read_machine({"CUDA_VISIBLE_DEVICES": visible})
    assert [gpu.index for gpu in machine.gpus] == indices
    assert [gpu.word for gpu in machine.gpus] == [word.strip() for word in visible.split(",")][: len(indices)]
    assert machine.by_place is False and (indices or visible in machine.gpu_problem)


def test_a_part_of_a_gpu_that_is_not_there(nvml: Nvml) -> None:
    assert read_machine({"CUDA_VISIBLE_DEVICES": "MIG-2"}).gpu_problem == "NVML: Not Found"


def test_numbers_are_doubtful_where_gpus_differ(nvml: Nvml) -> None:
    nvml.gpus = [("L4", 0, [], []), ("T4", 0, [], [])]
    assert "CUDA_DEVICE_ORDER" in read_machine({"CUDA_VISIBLE_DEVICES": "1"}).gpu_problem
    assert read_machine({"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}).gpu_problem == ""
    assert read_machine({"CUDA_VISIBLE_DEVICES": "GPU-11"}).gpu_problem == ""
    assert read_machine(NO_GPUS).gpu_problem == ""


def test_what_others_hold(nvml: Nvml) -> None:
    nvml.gpus = [
        ("L4", 9 * GIB, [(os.getpid(), 6 * GIB), (1, 2 * GIB)], []),  # of ours, of another
        ("L4", 3 * GIB, [], [(1, 3 * GIB)]),  # a desktop
        ("L4", 7 * GIB, [(1, None)], [(2, GIB)]),  # it is not told how much
        ("L4", GIB, [(os.getpid(), None)], []),
    ]
    assert [gpu.used_gib for gpu in read_machine(NO_GPUS).gpus] == [2, 0, 6, 0]
    assert [gpu.busy for gpu in read_machine(NO_GPUS).gpus] == [True, False, True, False]


# ------------------------------------------------------------------------------------------------------------------ slots


def test_words_of_the_user_are_kept(nvml: Nvml) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "GPU-33,GPU-11"}
    plan = plan_slots(replace(read_machine(environment), cores=8), Demand(TaskResources(gpus=1), "auto"), environment)
    assert plan.slots == ({"CUDA_VISIBLE_DEVICES": "GPU-33"}, {"CUDA_VISIBLE_DEVICES": "GPU-11"})
