"""Measurement of a config on this machine: a few real training steps and a small evaluation, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

import psutil

from runner.advice.choices import Speed
from runner.core.errors import RunnerError
from runner.core.importing import child_environment
from runner.launch.machine import available_cores
from runner.store.records import Record
from runner.store.run_dir import RunDir

_STEPS: Final = 10
"""Steps of a probe."""
_WARM_UP: Final = 3
"""Steps that are left out, as they also allocate memory and choose algorithms."""
_TIMEOUT_S: Final = 600
_MEMORY: Final = "resource/memory_gib"
_GPU_MEMORY: Final = "resource/gpu_memory_gib"


class ProbeFailed(RunnerError):
    """A probe that did not end well; `out_of_memory` tells whether memory was the reason."""

    def __init__(self, message: str, *, out_of_memory: bool) -> None:
        super().__init__(message)
        self.out_of_memory = out_of_memory


def probe(config: str, batch_size: int) -> Speed:
    """Train a few steps of a config and evaluate one batch; everything is written to a temporary folder and removed.

    Args:
        config: YAML.
        batch_size: images per step.

    Raises:
        ProbeFailed: it cannot be trained here.
    """
    with tempfile.TemporaryDirectory(prefix="runner-init-") as folder:
        file, run_dir = Path(folder, "probe.yml"), RunDir(Path(folder, "run"))
        file.write_text(config, encoding="utf-8")
        changes = [f"max_iters={_STEPS}", f"snapshot_iter={_STEPS}", "LearningRate.schedulers.1.steps=1", "log_iter=1", "trackers=[]"]
        changes.append(f"EvalDataset.sample_num={batch_size}")
        started, free, clock = time.time(), _free_core_s(), time.monotonic()
        code, errors = _run(
            [sys.executable, "-P", "-m", "runner", "train", "-c", str(file), "--run-dir", str(run_dir.path), "-o", *changes]
        )
        status = run_dir.status() if run_dir.exists() else None
        if code != 0 or status is None or status.state != "done":
            raise ProbeFailed(
                f"a few steps of the chosen config cannot be trained here; `runner train` says:\n{errors.strip()}",
                out_of_memory=status is not None and status.cause == "out_of_memory",
            )
        share = (_free_core_s() - free) / (time.monotonic() - clock) / available_cores()
        return replace(_speed(run_dir.records(), started, batch_size), free_share=min(1.0, share))


def _free_core_s() -> float:
    """Return the seconds that this machine's cores have been idle or have worked for ended child processes of this one, since any start."""
    cores, own = psutil.cpu_times(), os.times()
    return float(cores.idle + getattr(cores, "iowait", 0.0) + own.children_user + own.children_system)


def _run(command: list[str]) -> tuple[int, str]:
    """Run a command to its end and return its exit code and stderr; where it takes too long or is interrupted, it first ends its worker."""
    with subprocess.Popen(command, env=child_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, errors = process.communicate(timeout=_TIMEOUT_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as error:
            process.terminate()
            process.communicate()
            if isinstance(error, KeyboardInterrupt):
                raise
            text = f"{_STEPS} steps of the chosen config take more than {_TIMEOUT_S} s on this machine; try again when it is less busy"
            raise ProbeFailed(text, out_of_memory=False) from error
        return process.returncode, errors


def _speed(records: list[Record], started: float, batch_size: int) -> Speed:
    """Compute the costs from the records of a probe that began at `started`, seconds since 1970."""
    evaluation = next(record for record in records if record.is_evaluation)
    steps = [record for record in records if not record.is_evaluation and not record.resumed and record.step < evaluation.step]
    first, last = steps[0], steps[-1]
    taken = [(one.time - other.time) / (one.step - other.step) for other, one in pairwise(steps[_WARM_UP - 1 :])]
    step_s = median(sorted(taken)[: (len(taken) + 1) // 2])  # the faster half: another process slows steps down, nothing speeds them up
    memory = max(record.values.get(_GPU_MEMORY, record.values.get(_MEMORY, 0.0)) for record in steps)
    eval_s = max(0.0, evaluation.time - last.time - step_s * (evaluation.step - last.step))
    return Speed(step_s, eval_s / batch_size, first.time - started, memory)
