"""Slots that the local launcher divides this machine into, and the GPUs of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runner.core.errors import InputError, Problem
from runner.core.values import counted
from runner.launch.base import Demand
from runner.launch.machine import ORDER, VISIBLE, Gpu, Machine


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """Slots for tasks.

    Args:
        slots: the environment variables of each, at least one.
        notes: remarks for the user.
        tasks_per_gpu: how many share a GPU; 0 where tasks use none.
        gpu_memory_gib: of the smallest GPU, what others do not hold; None where that is not known or not used.
    """

    slots: tuple[Mapping[str, str], ...]
    notes: tuple[str, ...] = ()
    tasks_per_gpu: int = 0
    gpu_memory_gib: float | None = None


def plan_slots(machine: Machine, demand: Demand, environment: Mapping[str, str] = os.environ) -> SlotPlan:
    """Divide a machine into slots.

    A GPU is shared only where a task wants less than one or the concurrency is a number. One that is in use by other processes is left out,
    with a note; where sharing was requested in this way and the free ones do not suffice, it is used, with a note. A given number of tasks
    is kept, with a note where it exceeds the available room.

    Raises:
        InputError: the machine has no room for one task; the keys named are those of a sweep file.
    """
    notes: list[str] = []
    groups, share = _gpu_groups(machine, demand, environment, notes)
    if demand.concurrency == "auto":
        count = _automatic_count(machine, demand, share * len(groups), notes)
    else:
        count = demand.concurrency
        notes += _overcommitted(machine, demand, count)
        if groups and count > share * len(groups):
            share = -(-count // len(groups))
            named = _names(gpu for group in groups for gpu in group)
            notes.append(f"{counted(count, 'run')} at a time on {named}: up to {share} runs share a GPU")
    if (memory_gib := demand.task.memory_gib) is not None and count * memory_gib > machine.free_gib:
        notes.append(f"{counted(count, 'run')} may take {count * memory_gib:g} GiB of memory, and {machine.free_gib:.1f} GiB are free now")
    slots = [_variables(groups[number % len(groups)], machine.by_place) if groups else {} for number in range(count)]
    used = [gpu for group in groups[:count] for gpu in group]
    known = [gpu.memory_gib - gpu.used_gib for gpu in used if gpu.memory_gib]
    return SlotPlan(tuple(slots), tuple(notes), share if groups else 0, min(known) if known else None)


def _gpu_groups(machine: Machine, demand: Demand, environment: Mapping[str, str], notes: list[str]) -> tuple[list[tuple[Gpu, ...]], int]:
    """Return the GPUs that a task gets, one group per place, and how many tasks share a group; no group where tasks use none."""
    each = demand.task.gpus
    if not each:
        return [], 1
    usable = _usable_gpus(machine, demand, environment, notes)
    size = max(1, int(each))
    groups = [tuple(usable[start : start + size]) for start in range(0, len(usable) // size * size, size)]
    if left := usable[len(groups) * size :]:
        notes.append(f"{_names(left)} stay{'s' if len(left) == 1 else ''} idle: each run takes {size} GPUs, and {len(usable)} are usable")
    return groups, max(1, int(1 / each + 1e-9))


def _automatic_count(machine: Machine, demand: Demand, gpu_room: int, notes: list[str]) -> int:
    """Return how many tasks the GPUs, the cores and the memory have room for."""
    room, wants = _room(machine, demand), _wants(machine, demand)
    if room.get("memory") == 0:
        text = f"{wants['memory']} on this machine; lower it, or set resources.concurrency to 1"
        raise InputError(Problem(text, key="resources.memory_gib"))
    if room["cores"] == 0:
        notes.append(f"cores are overcommitted: {wants['cores']}")
    count = max(1, min([*room.values(), *([gpu_room] if gpu_room else [])]))
    if count < gpu_room:
        scarce = min(room, key=room.__getitem__)
        notes.append(f"{counted(count, 'run')} at a time, although the GPUs have room for {gpu_room}: {wants[scarce]}")
    return count


def _overcommitted(machine: Machine, demand: Demand, count: int) -> Iterable[str]:
    """Yield a note for each resource of which `count` tasks take more than there is."""
    wants = _wants(machine, demand)
    for scarce, room in _room(machine, demand).items():
        if count > room:
            text = f"{counted(count, 'run')} at a time (resources.concurrency) {'is' if count == 1 else 'are'} more than fit"
            yield f"{text}: {wants[scarce]}"


def _room(machine: Machine, demand: Demand) -> dict[str, int]:
    memory_gib = demand.task.memory_gib
    room = {"cores": machine.cores // demand.task.cpus}
    return room if memory_gib is None else {**room, "memory": int(machine.memory_gib / memory_gib + 1e-9)}


def _wants(machine: Machine, demand: Demand) -> dict[str, str]:
    return {
        "cores": f"{counted(demand.task.cpus, 'core')} per run, {machine.cores} available",
        "memory": f"{demand.task.memory_gib or 0:g} GiB per run, {machine.memory_gib:.1f} GiB available",
    }


def _usable_gpus(machine: Machine, demand: Demand, environment: Mapping[str, str], notes: list[str]) -> list[Gpu]:
    """Return the GPUs that tasks are given, the free ones first. Raises InputError where they do not suffice."""
    each, concurrency = demand.task.gpus, demand.concurrency
    if each > 1 and each != int(each):
        text = f"{each:g} GPUs per run: expected a whole number, or a fraction below 1 (0.5: two runs share a GPU)"
        raise InputError(Problem(text, key="resources.gpus"))
    found = list(machine.gpus)
    if not found:
        words = [word.strip() for word in environment.get(VISIBLE, "").split(",") if word.strip()]
        found = [Gpu(number, "", "", 0.0, word=words[number] if number < len(words) else "") for number in range(demand.seen_gpus)]
        if found:
            notes.append(f"whether other processes use the GPUs is unknown: {machine.gpu_problem}")
    elif machine.gpu_problem:
        notes.append(machine.gpu_problem)
    if len(found) < each:
        wanted = counted(int(each), "GPU") if each >= 1 else f"{each:g} GPUs"
        text = f"{wanted} per run; usable here: {len(found)}" + (f" ({machine.gpu_problem})" if machine.gpu_problem else "")
        raise InputError(Problem(text, key="resources.gpus"))
    free = [gpu for gpu in found if not gpu.busy]
    busy = [gpu for gpu in found if gpu.busy]
    if not busy:
        return free
    used = ", ".join(f"{gpu}: {gpu.used_gib:.1f} of {gpu.memory_gib:.1f} GiB" for gpu in busy)
    if len(free) >= max(each, 1.0 if concurrency == "auto" else each * concurrency):
        notes.append(f"GPUs in use by other processes, left out: {used}")
        return free
    if each < 1 or concurrency != "auto":
        notes.append(
            f"GPUs in use by other processes, shared with them as resources.{'gpus' if each < 1 else 'concurrency'} allows: {used}"
        )
        return free + busy
    text = f"GPUs in use by other processes: {used}; wait for them, or share: set resources.gpus: 0.5, or resources.concurrency to a number"
    raise InputError(Problem(text, key="resources.gpus"))


def _variables(group: tuple[Gpu, ...], by_place: bool) -> dict[str, str]:
    words = {VISIBLE: ",".join(gpu.word or str(gpu.index) for gpu in group)}
    return {ORDER: "PCI_BUS_ID", **words} if by_place else words


def _names(gpus: Iterable[Gpu]) -> str:
    return ", ".join(str(gpu) if gpu.name else f"GPU {gpu.index}" for gpu in gpus)
