"""A backend that counts: its whole model is a number, its loss the distance to a goal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from runner.backends.base import Predictor, Probe
from runner.config.schema import Doc, Neutral, Range
from runner.core.errors import InputError, Problem
from runner.evaluation.result import MetricSet
from runner.store.run_dir import PrimaryMetric
from runner.training.common_config import CommonConfig
from runner.training.context import RunContext
from runner.training.meter import Meter
from runner.training.trainer import Trainer


@dataclass(frozen=True, slots=True, kw_only=True)
class TallyConfig(CommonConfig):
    """The config of a tally."""

    backend: Annotated[Literal["tally"], Doc("who trains")] = "tally"
    goal: Annotated[float, Doc("the number to reach")] = 10.0
    rate: Annotated[float, Doc("part of the distance that a step covers"), Range(0, 1)] = 0.5
    step_s: Annotated[float, Doc("seconds of a step"), Neutral(), Range(0)] = 0.0
    max_iters: Annotated[int, Doc("steps"), Range(1)] = 6
    train_dataset: None = None
    eval_dataset: None = None
    num_classes: Annotated[Literal[1], Doc("there are none")] = 1
    cpu_threads: Annotated[Literal[1], Doc("one is enough")] = 1
    use_gpu: Annotated[Literal[False], Doc("it uses none")] = False


class StepCounter(Meter):
    """Steps since the last record."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def state_dict(self) -> Any:
        """Return the number."""
        return self.steps


class TallyTrainer(Trainer):
    """One attempt."""

    def __init__(self, config: TallyConfig, run: RunContext) -> None:
        super().__init__(config, run, ".tally")
        self.total = self.per_epoch = config.max_iters
        self.number = 0.0

    def _begin(self) -> None:
        if (path := self._resume_from()) is not None:
            self._restore(path)

    def _train(self) -> None:
        while self.step < self.total:
            time.sleep(self.config.step_s)
            self.number += self.config.rate * (self.config.goal - self.number)
            self.meter.steps += 1
            self._stepped()
            if self.step < self.total:
                self._between_steps()

    def _values(self) -> dict[str, float]:
        return {"train/loss": self.config.goal - self.number}

    def _score(self, *, final: bool) -> Mapping[str, float]:
        metrics = {"tally/reached": self.number / self.config.goal}
        self.run_context.score(metrics, self.step, self.epoch, final=final)
        return metrics

    def _state_writer(self, state: Mapping[str, Any]) -> Callable[[Any], None]:
        text = json.dumps({**state, "number": self.number}).encode()
        return lambda file: file.write(text)

    def _read_state(self, file: Path) -> Mapping[str, Any]:
        try:
            state: dict[str, Any] = json.loads(file.read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(f"is no tally: {error}") from error
        return state

    def _load_state(self, state: Mapping[str, Any], source: Path) -> None:
        self.number = state["number"]

    def _data_identity(self) -> dict[str, int]:
        return {}

    def _new_meter(self, state: Any = None) -> Meter:
        return StepCounter(state or 0)


class TallyBackend:
    """See `runner.backends.base.Backend`."""

    name: ClassVar[str] = "tally"
    config_class: ClassVar[type[Any]] = TallyConfig
    numerics_version: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]] = ("sundry",)
    preload: ClassVar[str] = "sundry_backend"
    open_gpu_on_import: ClassVar[tuple[str, ...]] = ()
    export_formats: ClassVar[tuple[str, ...]] = ()
    checkpoint_suffix: ClassVar[str] = ".tally"

    def check(self, config: TallyConfig) -> Sequence[Problem]:
        """Refuse a goal that is there from the start."""
        return [Problem("is reached before the first step", key="goal")] if config.goal == 0 else []

    def metrics(self, config: TallyConfig) -> MetricSet:
        """Return the one that there is."""
        return MetricSet(PrimaryMetric("tally/reached", "maximize"), ("tally/reached",))

    def probe(self) -> Probe:
        """It needs nothing."""
        return Probe({"sundry": "0.1"}, gpu_problem="a tally uses none")

    def ranks(self, config: TallyConfig) -> None:
        """One process trains."""

    def train(self, config: TallyConfig, run: RunContext) -> None:
        """Count."""
        TallyTrainer(config, run).run()

    def class_names(self, weights: Path) -> tuple[str, ...]:
        """It has no classes."""
        return ()

    def export(self, config: TallyConfig, weights: Path, to: str, file: Path, facts: Mapping[str, Any]) -> None:
        """Raise InputError: it has no model."""
        raise InputError("a tally exports nothing")

    def predictor(self, config: TallyConfig, weights: Path, *, reader: str = "EvalReader", batch_size: int | None = None) -> Predictor:
        """It cannot."""
        raise InputError("a tally predicts nothing")
