"""A scripted training: between its steps it does what all do (see `runner.training.trainer`)."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from runner.backends.fake.schema import FakeConfig, Faults
from runner.backends.fake.script import Script
from runner.core.errors import InputError, NotFinite, OutOfMemory
from runner.core.files import parse_json, read_bytes
from runner.core.values import GIB
from runner.store.checkpoints import Entry
from runner.training.context import RunContext
from runner.training.meter import Meter
from runner.training.trainer import Trainer

_SUFFIX = ".json"


class StepCounter(Meter):
    """A meter of steps alone, whose state is their number."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def state_dict(self) -> Any:
        """Return the state, a plain value."""
        return self.steps


class FakeTrainer(Trainer):
    """One attempt. Its whole state is the step.

    Raises:
        InputError: a formula has no value, a checkpoint cannot be written.
    """

    def __init__(self, config: FakeConfig, run: RunContext) -> None:
        super().__init__(config, run, _SUFFIX)
        self.script = Script(config)
        self.total = self.per_epoch = config.max_iters
        faults = config.faults
        self.faults = faults if faults is not None and faults.only_attempt in (None, run.attempt) else Faults()
        self._held = bytearray()

    def _begin(self) -> None:
        time.sleep(self.config.startup_s)
        try:
            self._held = bytearray(int(self.config.memory_gib * GIB))
        except MemoryError as error:
            raise OutOfMemory(f"out of memory: {self.config.memory_gib:g} GiB cannot be had") from error
        if (path := self._resume_from()) is not None:
            self._restore(path)

    def _train(self) -> None:
        while self.step < self.total:
            self._one_step()
            if self.step < self.total:
                self._between_steps()

    def _one_step(self) -> None:
        time.sleep(self.config.step_s)
        step = self.step + 1
        self._go_wrong(step)
        if not math.isfinite(self.script.loss(step)) or step == self.faults.nan_at:
            raise NotFinite(f"the loss of step {step} is not finite")
        self.meter.steps += 1
        self._stepped()

    def _values(self) -> dict[str, float]:
        return {"train/loss": self.script.loss(self.step), "resource/memory_gib": psutil.Process().memory_info().rss / GIB}

    def _score(self, *, final: bool) -> Mapping[str, float]:
        self._progress("evaluating")
        metrics = self.script.metrics(self.step)
        self.run_context.score(metrics, self.step, self.epoch, final=final)
        return metrics

    def _last_checkpoint(self) -> Entry | None:
        return super()._last_checkpoint() if self.config.snapshot_iter is not None else None

    def _state_writer(self, state: Mapping[str, Any]) -> Callable[[Any], None]:
        text = json.dumps(state).encode()
        return lambda file: file.write(text)

    def _read_state(self, file: Path) -> Mapping[str, Any]:
        return _read(file)

    def _load_state(self, state: Mapping[str, Any], source: Path) -> None:
        pass

    def _data_identity(self) -> dict[str, int]:
        return {}

    def _new_meter(self, state: Any = None) -> Meter:
        return StepCounter(state or 0)

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
        state = parse_json(read_bytes(file))
    except (OSError, ValueError) as error:
        raise InputError(f"is not a checkpoint of the fake backend: {error}") from error
    if not isinstance(state, dict) or not isinstance(state.get("step"), int):
        raise InputError("is not a checkpoint of the fake backend")
    return {"evaluation_due": False, "place": {}, "window": 1, **state}  # as older versions wrote it
