"""Value of ``TrainReader.batch_size: auto``: measured once, as a task of the launcher that will start the runs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from runner.backends.base import BatchSizeChoice
from runner.config.dump import canonical, to_yaml
from runner.core.errors import InputError, Problem
from runner.core.files import read_json, read_text
from runner.core.text import say
from runner.core.typed import build
from runner.launch.base import LAUNCHERS, Demand, Exit, Task, TaskResources
from runner.resolve import Resolved
from runner.resolve.measured import BATCH_SIZE
from runner.sweep.runs import thread_limits
from runner.worker.batch_size import ANSWER

_POLL_S = 0.5


def measure_batch_size(resolved: Resolved, launcher: str, resources: TaskResources, *, near: Path) -> BatchSizeChoice:
    """Measure the batch size of a config on the machine that trains it; takes a minute or two.

    Args:
        resolved: the config; its batch size is not known yet.
        launcher, resources: those of a run.
        near: a folder that the launcher's machines see too; it is made.

    Raises:
        InputError: it cannot be measured; the message has the reason.
    """
    say(f"note: {BATCH_SIZE}: auto is measured now", error=True)
    near.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".batch-size-", dir=near) as name:
        folder = Path(name).absolute()
        folder.joinpath("config.yml").write_text(to_yaml(canonical(resolved.config)), encoding="utf-8")
        share = resources.gpus if 0 < resources.gpus < 1 else 1.0
        python = str(resolved.python or sys.executable)
        argv = [python, "-P", "-m", "runner.worker.batch_size", str(folder), str(share), str(resources.memory_gib or 0.0)]
        task = Task("batch size", argv, Path.cwd(), folder / "worker.log", thread_limits(), resources=resources)
        ended = _run(task, launcher, Demand(resources, 1, len(resolved.probe.gpus) if resolved.probe else 0))
        choice = build(BatchSizeChoice, read_json(folder / ANSWER))
        if ended.returncode != 0 or choice is None:
            raise InputError(Problem(f"auto cannot be measured: {_reason(task.log) or ended}; set a number", key=BATCH_SIZE))
    return choice


def _run(task: Task, launcher: str, demand: Demand) -> Exit:
    opened = LAUNCHERS.get(launcher).open(demand)
    with closing(opened):
        opened.submit(task)
        while not (ended := opened.poll(_POLL_S)):
            pass
    return ended[0]


def _reason(log: Path) -> str:
    """Return the last line that the task wrote; empty where it wrote none."""
    try:
        lines = read_text(log).strip().splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return lines[-1] if lines else ""


def recorded(choice: BatchSizeChoice) -> dict[str, Any]:
    """Return a measured value as plan.json and run.json have it, by its key."""
    return {BATCH_SIZE: {"value": choice.value, "why": choice.why}}


def read_recorded(measured: Any) -> BatchSizeChoice | None:
    """Return the value that `recorded` was written for; None if there is none."""
    return build(BatchSizeChoice, measured.get(BATCH_SIZE)) if isinstance(measured, Mapping) else None
