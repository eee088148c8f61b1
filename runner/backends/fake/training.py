"""The course of a fake run: the order of steps, records, evaluations and checkpoints is that of `runner.backends.torch.loop`."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil

from runner.backends.base import RunContext
from runner.backends.checkpoint_folder import CheckpointFolder, Entry, read_newest
from runner.backends.fake.schema import FakeConfig, Faults
from runner.backends.fake.script import Script
from runner.core.errors import InputError, Interrupted, NotFinite, OutOfMemory

_SUFFIX = ".json"
_GIB = 1 << 30


class Training:
    """One attempt. Its whole state is the step, and whether the last evaluation is still to come.

    Raises:
        InputError: a formula has no value, a checkpoint cannot be written.
    """

    def __init__(self, config: FakeConfig, run: RunContext) -> None:
        self.config, self.run_context = config, run
        self.script = Script(config)
        self.folder = CheckpointFolder(run.run_dir.checkpoints, config.keep_checkpoints, _SUFFIX)
        self.folder.prepare()
        self.step, self.steps = 0, config.max_iters
        self.saved: Entry | None = None
        """The checkpoint of the present step, None while the step has none."""
        faults = config.faults
        self.faults = faults if faults is not None and faults.only_attempt in (None, run.attempt) else Faults()

    def run(self) -> None:
        """Train from where the state stands to the end, evaluate."""
        time.sleep(self.config.startup_s)
        try:
            held = bytearray(int(self.config.memory_gb * _GIB))
        except MemoryError as error:
            raise OutOfMemory(f"out of memory: {self.config.memory_gb:g} GiB cannot be had") from error
        evaluation_due = self._restore()
        recorded = self.step - 1 if evaluation_due else self.step
        self.run_context.resumed(recorded, recorded / self.steps)
        while self.step < self.steps:
            self._one_step()
            if self.step < self.steps:
                self._between_steps()
        self._end()
        del held

    def _one_step(self) -> None:
        time.sleep(self.config.step_s)
        self._go_wrong(self.step + 1)
        self.step, self.saved = self.step + 1, None
        if not math.isfinite(self.script.loss(self.step)) or self.step == self.faults.nan_at:
            raise NotFinite(f"the loss of step {self.step} is not finite")
        self.run_context.progress(self.step, self.steps, self.step / self.steps, "training")

    def _between_steps(self) -> None:
        every = self.config.snapshot_iter
        if every is not None and self.step % every == 0:
            metric = self._evaluate(final=False) if self.config.eval_at_snapshot else None
            self._record()
            self._save(metric)
        elif self.step % self.config.log_iter == 0:
            self._record()
        self._stop_if_asked()

    def _end(self) -> None:
        entry = None
        if self.config.snapshot_iter is not None:
            entry = self.saved or self._save()
        self._stop_if_asked()
        metric = self._evaluate(final=True)
        self._record()
        if entry is not None:
            self.folder.finish(entry, metric)

    def _record(self) -> None:
        values = {"train/loss": self.script.loss(self.step), "resource/memory_gb": psutil.Process().memory_info().rss / 1e9}
        self.run_context.record(self.step, self.step / self.steps, values)
        self.run_context.progress(self.step, self.steps, self.step / self.steps, "training", values)

    def _evaluate(self, *, final: bool) -> float | None:
        self.run_context.progress(self.step, self.steps, self.step / self.steps, "evaluating")
        metrics = self.script.metrics(self.step)
        self.run_context.score(metrics, self.step, self.step / self.steps, final=final)
        return next(iter(metrics.values()), None)

    def _stop_if_asked(self) -> None:
        reason = self.run_context.stop_requested()
        if reason is not None:
            if self.saved is None:
                self._save()
            self.run_context.say(f"{reason}; saved at step {self.step}")
            raise Interrupted(reason)

    def _save(self, metric: float | None = None) -> Entry:
        self.run_context.progress(self.step, self.steps, self.step / self.steps, "saving")
        state = json.dumps({"step": self.step, "evaluation_due": self.step == self.steps})
        self.saved = self.folder.save(lambda file: file.write(state.encode()), self.step, self.step / self.steps, metric=metric)
        return self.saved

    def _restore(self) -> bool:
        """Go on from the newest whole checkpoint, if there is one; whether it was written before the last evaluation."""
        path = self.run_context.resume_from
        if path is None or (self.folder.last() is None and path.resolve() == self.folder.path.resolve()):
            return False
        folder, entry, state = read_newest(path, _read, self.run_context.say, suffix=_SUFFIX)
        self.step = int(state["step"])
        if self.step > self.steps:
            text = f"{folder.path / entry.file} is at step {self.step}, this config ends at {self.steps}: give a larger max_iters"
            raise InputError(text)
        evaluation_due = bool(state["evaluation_due"]) and self.step == self.steps
        if evaluation_due and folder.path.resolve() == self.folder.path.resolve():
            self.saved = entry
        self.run_context.say(f"going on from {folder.path / entry.file} at step {self.step} of {self.steps}")
        return evaluation_due

    def _go_wrong(self, step: int) -> None:
        faults = self.faults
        if step == faults.crash_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if step == faults.exit_at:
            os._exit(faults.exit_code)
        if step == faults.error_at:
            raise RuntimeError(f"scripted for step {step}")
        if step == faults.oom_at:
            raise MemoryError(f"scripted for step {step}")
        while step == faults.hang_at:
            time.sleep(60)


def _read(file: Path) -> dict[str, Any]:
    try:
        state = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"is no checkpoint of the fake backend: {error}") from error
    if not isinstance(state, dict) or not isinstance(state.get("step"), int):
        raise InputError("is no checkpoint of the fake backend")
    return {"evaluation_due": False, **state}
