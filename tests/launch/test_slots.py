"""Division of machines into slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import pytest

from runner.core.errors import InputError, Problem
from runner.launch.base import Demand, TaskResources
from runner.launch.machine import Gpu, Machine
from runner.launch.slots import SlotPlan, plan_slots

NO_GPUS: Mapping[str, str] = {}


def plan(
    machine: Machine,
    *,
    gpus: float = 0,
    cpus: int = 1,
    memory_gib: float | None = None,
    concurrency: int | Literal["auto"] = "auto",
    seen_gpus: int = 0,
    environment: Mapping[str, str] = NO_GPUS,
) -> SlotPlan:
    return plan_slots(machine, Demand(TaskResources(cpus, gpus, memory_gib), concurrency, seen_gpus), environment)


def refusal(machine: Machine, *, gpus: float = 0, memory_gib: float | None = None) -> Problem:
    with pytest.raises(InputError) as refused:
        plan(machine, gpus=gpus, memory_gib=memory_gib)
    (problem,) = refused.value.problems
    return problem


def gpus(count: int, *busy: int) -> tuple[Gpu, ...]:
    return tuple(Gpu(index, f"GPU-{index}", "L4", 24.0, 5.0 if index in busy else 0.0) for index in range(count))


FOUR = Machine(cores=32, memory_gib=128, free_gib=120, gpus=gpus(4))
CPU = Machine(cores=8, memory_gib=32, free_gib=30)


def words(planned: SlotPlan) -> list[str]:
    assert all(slot.keys() == {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"} for slot in planned.slots)
    return [slot["CUDA_VISIBLE_DEVICES"] for slot in planned.slots]


@pytest.mark.parametrize(
    ("each", "expected", "share"),
    [
        (1, ["0", "1", "2", "3"], 1),
        (0.5, ["0", "1", "2", "3"] * 2, 2),
        (0.3, ["0", "1", "2", "3"] * 3, 3),
        (0.1, ["0", "1", "2", "3"] * 8, 10),  # 32 cores
        (2, ["0,1", "2,3"], 1),
        (3, ["0,1,2"], 1),
    ],
)
def test_gpus_a_run(each: float, expected: list[str], share: int) -> None:
    planned = plan(FOUR, gpus=each)
    assert words(planned) == expected and planned.tasks_per_gpu == share and planned.gpu_memory_gib == 24


def test_an_idle_gpu_is_named() -> None:
    assert plan(FOUR, gpus=3).notes == ("GPU 3 (L4) stays idle: each run takes 3 GPUs, and 4 are usable",)


@pytest.mark.parametrize("each", [1.5, 2.25])
def test_an_odd_number_of_gpus_is_a_problem(each: float) -> None:
    problem = refusal(FOUR, gpus=each)
    assert problem.key == "resources.gpus" and "whole number" in problem.message


def test_too_few_gpus_is_a_problem() -> None:
    problem = refusal(FOUR, gpus=8)
    assert "8 GPUs per run; usable here: 4" in problem.message
    problem = refusal(replace(CPU, gpu_problem="NVML: no driver"), gpus=1)
    assert "usable here: 0 (NVML: no driver)" in problem.message


@pytest.mark.parametrize(
    ("cpus", "memory_gib", "count"), [(1, None, 8), (2, None, 4), (3, None, 2), (1, 8.0, 4), (1, 6.4, 5), (9, None, 1), (4, 20.0, 1)]
)
def test_cores_and_memory_a_run(cpus: int, memory_gib: float | None, count: int) -> None:
    planned = plan(CPU, cpus=cpus, memory_gib=memory_gib)
    assert planned.slots == ({},) * count and planned.tasks_per_gpu == 0
    assert [note for note in planned.notes if "overcommitted" in note] == (
        ["cores are overcommitted: 9 cores per run, 8 available"] * (cpus > 8)
    )


def test_more_memory_than_there_is_is_a_problem() -> None:
    problem = refusal(CPU, memory_gib=40)
    assert problem.key == "resources.memory_gib" and "40 GiB per run, 32.0 GiB available" in problem.message


def test_memory_that_others_hold_is_said() -> None:
    planned = plan(replace(CPU, free_gib=10), memory_gib=8)
    assert len(planned.slots) == 4 and planned.notes == ("4 runs may take 32 GiB of memory, and 10.0 GiB are free now",)


def test_gpus_that_wait_for_cores_are_said() -> None:
    planned = plan(replace(FOUR, cores=6), gpus=1, cpus=2)
    assert words(planned) == ["0", "1", "2"]
    assert planned.notes == ("3 runs at a time, although the GPUs have room for 4: 2 cores per run, 6 available",)


def test_a_number_of_runs_is_taken_as_it_is() -> None:
    planned = plan(CPU, cpus=2, memory_gib=8, concurrency=4)
    assert len(planned.slots) == 4 and planned.notes == ("4 runs may take 32 GiB of memory, and 30.0 GiB are free now",)
    planned = plan(CPU, cpus=2, concurrency=16)
    assert len(planned.slots) == 16
    assert planned.notes == ("16 runs at a time (resources.concurrency) are more than fit: 2 cores per run, 8 available",)
    planned = plan(FOUR, gpus=1, concurrency=6)
    assert words(planned) == ["0", "1", "2", "3", "0", "1"] and planned.tasks_per_gpu == 2
    assert planned.notes == ("6 runs at a time on GPU 0 (L4), GPU 1 (L4), GPU 2 (L4), GPU 3 (L4): up to 2 runs share a GPU",)
    assert words(plan(FOUR, gpus=1, concurrency=2)) == ["0", "1"]


def test_a_gpu_in_use_is_left_out_and_named() -> None:
    planned = plan(replace(FOUR, gpus=gpus(4, 1)), gpus=1)
    assert words(planned) == ["0", "2", "3"]
    assert planned.notes == ("GPUs in use by other processes, left out: GPU 1 (L4): 5.0 of 24.0 GiB",)
    assert words(plan(replace(FOUR, gpus=gpus(4, 1)), gpus=2)) == ["0,2"]
    assert words(plan(replace(FOUR, gpus=gpus(4, 1)), gpus=1, concurrency=3)) == ["0", "2", "3"]


def test_all_gpus_in_use_is_a_problem() -> None:
    problem = refusal(replace(FOUR, gpus=gpus(2, 0, 1)), gpus=1)
    assert "GPU 0 (L4): 5.0 of 24.0 GiB, GPU 1 (L4)" in problem.message and problem.key == "resources.gpus"
    assert refusal(replace(FOUR, gpus=gpus(2, 0)), gpus=2)


def test_a_gpu_in_use_is_shared_where_that_was_asked_for() -> None:
    planned = plan(replace(FOUR, gpus=gpus(1, 0)), gpus=0.5)
    assert words(planned) == ["0", "0"] and planned.gpu_memory_gib == 19
    assert planned.notes == ("GPUs in use by other processes, shared with them as resources.gpus allows: GPU 0 (L4): 5.0 of 24.0 GiB",)
    assert words(plan(replace(FOUR, gpus=gpus(2, 0)), gpus=0.5)) == ["1", "1"]  # one that is free suffices
    assert words(plan(replace(FOUR, gpus=gpus(2, 0)), gpus=0.5, concurrency=2)) == ["1", "1"]
    assert words(plan(replace(FOUR, gpus=gpus(2, 0)), gpus=0.5, concurrency=4)) == ["1", "0", "1", "0"]
    planned = plan(replace(FOUR, gpus=gpus(2, 0)), gpus=1, concurrency=2)
    assert words(planned) == ["1", "0"] and "resources.concurrency allows" in planned.notes[0]
    assert words(plan(replace(FOUR, gpus=gpus(1, 0)), gpus=1, concurrency=1)) == ["0"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, ["0", "1"]), ({"CUDA_VISIBLE_DEVICES": "5,7"}, ["5", "7"]), ({"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"}, ["GPU-a", "GPU-b"])],
)
def test_without_nvml_what_the_backend_has_seen_counts(environment: dict[str, str], expected: list[str]) -> None:
    machine = replace(CPU, gpu_problem="nvidia-ml-py is not installed", by_place=not environment)
    planned = plan(machine, gpus=1, seen_gpus=2, environment=environment)
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in planned.slots] == expected
    assert planned.notes == ("whether other processes use the GPUs is unknown: nvidia-ml-py is not installed",)
    assert planned.gpu_memory_gib is None
