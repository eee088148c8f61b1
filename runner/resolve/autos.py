"""Replacement of ``auto`` by what this machine has: the backend's interpreter, GPUs, cores, trackers, classes."""

from __future__ import annotations

import functools
import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.backends.base import AmpChoice, ChoosesAmp, Probe
from runner.config.bind import field_infos
from runner.config.node import Node, Source
from runner.core.errors import InputError, Problem, RunnerError
from runner.core.files import parse_json, read_bytes
from runner.core.importing import child_environment
from runner.environments.interpreters import interpreter, versions
from runner.launch.machine import available_cores
from runner.resolve.resolution import AUTO, Resolution
from runner.trackers.base import TRACKERS

_PROBE_TIMEOUT_S = 120


def find_interpreter(resolution: Resolution) -> None:
    """Find the interpreter that the backend runs in; add to what is missing if there is none."""
    tree = resolution.tree
    node = tree.get("backend_python")
    given = node.value if node is not None and isinstance(node.value, str) else None
    try:
        resolution.python = interpreter(resolution.backend.name, given).python
    except InputError as error:
        where = str((node or tree.get("backend") or tree).source)
        resolution.missing += [replace(problem, where=problem.where or where) for problem in error.problems]


def resolve_autos(resolution: Resolution, threads: int | None, *, settled: bool) -> None:
    """Replace every ``auto``, and what is left out and means the same.

    Args:
        threads: what ``cpu_threads: auto`` means, if given.
        settled: the config is a run's own: what it leaves out was added to the schema after the run began.
    """
    autos = {info.key for info in field_infos(resolution.backend.config_class) if info.auto}
    _resolve_gpu(resolution, has_auto="use_gpu" in autos)
    python = resolution.python
    defaults: dict[str, Callable[[], Any]] = {
        "cpu_threads": lambda: threads or available_cores(),
        "trackers": lambda: automatic_trackers(python) if python else [],
        "num_classes": lambda: _count_classes(resolution.tree),
    }
    for key, value in defaults.items():
        if key in autos:
            resolution.set_default(key, value)
    if "amp_dtype" in autos:
        _resolve_amp(resolution, settled=settled)
    _apply_tracker_switches(resolution)
    classes = resolution.tree.get("num_classes")
    if classes is not None and classes.value == AUTO:  # a number in its place: checking the rest says why they could not be counted
        resolution.counted = False
        resolution.set("num_classes", 1, Source(AUTO))


def _resolve_gpu(resolution: Resolution, *, has_auto: bool) -> None:
    """Ask the backend for GPUs, if the config may want one, and compare with what it wants."""
    gpu = resolution.tree.get("use_gpu") or Node(AUTO if has_auto else None, Source(AUTO))
    if gpu.value not in (True, AUTO) or resolution.python is None:
        return
    probe = resolution.probe = probe_backend(resolution.backend.name, resolution.python)
    if gpu.value == AUTO:
        found = probe.gpus[0] if probe.gpus else f"the CPU ({probe.gpu_problem})"
        resolution.notes.append(f"use_gpu: auto picks {found}")
        resolution.set("use_gpu", bool(probe.gpus), gpu.source)
    elif not probe.gpus:
        advice = f"{probe.gpu_problem}; to train on the CPU: -o use_gpu=false"
        resolution.missing.append(Problem(advice, where=str(gpu.source), key="use_gpu"))
    count = resolution.tree.get("processes")
    if probe.gpus and count is not None and isinstance(count.value, int) and count.value > len(probe.gpus):
        text = f"{count.value} processes need as many GPUs; usable: {len(probe.gpus)} ({', '.join(probe.gpus)})"
        resolution.missing.append(Problem(text, where=str(count.source), key="processes"))


def _resolve_amp(resolution: Resolution, *, settled: bool) -> None:
    """Choose the number format of amp, or switch amp off where single precision is as fast. Without amp there is none (null)."""
    amp, given = resolution.tree.get("amp"), resolution.tree.get("amp_dtype")
    if amp is None or amp.value is not True:
        if given is not None and given.value not in (None, AUTO):
            resolution.notes.append("amp_dtype has no effect without amp: true")
        resolution.set("amp_dtype", None, given.source if given else Source(AUTO))
        return
    backend, python = resolution.backend, resolution.python
    is_chosen = settled if given is None else given.value != AUTO
    if is_chosen or python is None or not isinstance(backend, ChoosesAmp):
        return
    gpu, threads = resolution.tree.get("use_gpu"), resolution.tree.get("cpu_threads")
    count = threads.value if threads is not None and isinstance(threads.value, int) else available_cores()
    choice = probe_amp(backend.name, python, gpu=gpu is not None and gpu.value is True, threads=count)
    resolution.set("amp_dtype", choice.dtype, given.source if given else Source(AUTO))
    if choice.dtype is None:
        resolution.set("amp", False, amp.source)
    resolution.notes.append(f"amp_dtype: auto picks {choice.dtype or 'single precision, so amp is off'} ({choice.why})")


@functools.lru_cache(maxsize=8)
def probe_backend(name: str, python: Path) -> Probe:
    """Ask the backend `name` what it finds on this machine, in a process of the interpreter `python` (loading a framework takes seconds,
    and may start CUDA).

    Raises:
        RunnerError: the process failed; its output is in the message.
    """
    data = _ask(name, python)
    return Probe(versions=data["versions"], gpus=tuple(data["gpus"]), gpu_problem=data["gpu_problem"], driver=data["driver"])


@functools.lru_cache(maxsize=8)
def probe_amp(name: str, python: Path, *, gpu: bool, threads: int) -> AmpChoice:
    """Ask the backend `name` which number format amp uses on this machine, as `probe_backend` asks. Raises RunnerError."""
    return AmpChoice(**_ask(name, python, "gpu" if gpu else "cpu", str(threads)))


def _ask(name: str, python: Path, *question: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "probe.json"
        command = [str(python), "-P", "-m", "runner.backends.probe", name, str(answer), *question]
        try:
            environment = child_environment()
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise RunnerError(f"backend {name} did not start within {_PROBE_TIMEOUT_S} s; run `runner doctor` for details") from error
        if done.returncode != 0:
            raise RunnerError(f"backend {name} cannot be loaded; its output:\n{done.stderr.strip() or done.stdout.strip()}")
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def automatic_trackers(python: Path) -> list[str]:
    """Return what ``trackers: auto`` means for `python`, whose process writes the logs: those that have all their packages there."""
    found = []
    for name, tracker in TRACKERS.usable():
        own = TRACKERS.distribution(name)
        needed = {*tracker.packages, *(() if own is None else (own,))}
        if tracker.automatic and len(versions(python, sorted(needed))) == len(needed):
            found.append(name)
    return found


def _apply_tracker_switches(resolution: Resolution) -> None:
    """Add a tracker to `trackers`, or remove it, where its switch (``use_vdl``) says so."""
    for name, tracker in TRACKERS.usable():
        wanted = resolution.tree.get(tracker.switch_key) if tracker.switch_key else None
        trackers = resolution.tree.get("trackers")
        if wanted is None or not isinstance(wanted.value, bool) or trackers is None or trackers.items is None:
            continue
        names = [item.plain() for item in trackers.items if item.value != name]
        resolution.set("trackers", [*names, name] if wanted.value else names, trackers.source)


def _count_classes(tree: Node) -> int | str:
    """Count the categories of the training annotations; ``auto`` where they cannot be read."""
    section = tree.get("TrainDataset")
    data = section.plain() if section is not None else None
    if not isinstance(data, Mapping):
        return AUTO
    path = Path(str(data.get("dataset_dir") or "")) / str(data.get("anno_path") or "")
    try:
        return len(parse_json(read_bytes(path))["categories"])
    except (OSError, ValueError, KeyError, TypeError):
        return AUTO
