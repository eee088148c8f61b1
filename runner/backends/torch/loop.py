"""A training with PyTorch: the steps, the state, predicting (see `runner.training.trainer` for what comes between)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from runner.backends.torch import reader
from runner.backends.torch.checkpoint import architecture_keys, load_weights, read_state, write_state
from runner.backends.torch.device import describe, is_out_of_memory, memory_gib, memory_in_words, prepare
from runner.backends.torch.meter import FiniteCheck, TorchMeter
from runner.backends.torch.models.base import build_model
from runner.backends.torch.models.pretrained import load_pretrained
from runner.backends.torch.predict import predict
from runner.backends.torch.schedule import learning_rate
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.step import TrainStep
from runner.core.errors import NotFinite, OutOfMemory
from runner.training.context import RunContext
from runner.training.trainer import Trainer


class TorchTrainer(Trainer):
    """One attempt at one run, see `Trainer`."""

    meter: TorchMeter

    def __init__(self, config: TorchConfig, run: RunContext) -> None:
        self.device = prepare(config)
        run.say(f"training on {describe(self.device, config)}")
        super().__init__(config, run, ".pt")
        self.data = reader.load_training_data(config)
        self.total, self.per_epoch, self.classes = self.data.total_steps, self.data.steps_per_epoch, self.data.classes
        self.eval_images = reader.evaluation_images(config)
        for note in self.data.notes:
            run.say(f"training set: {note}")
        self.resume_from = self._resume_from()
        model = build_model(config)
        if self.resume_from is None:
            load_pretrained(model, config.pretrain_weights, run.say, self.classes, announce=run.announce)
        self.train_step = TrainStep(model, config, self.device)
        self.finite = FiniteCheck(self.device)

    def _begin(self) -> None:
        if self.resume_from is not None:
            self._restore(self.resume_from)

    def _train(self) -> None:
        with reader.training_steps(self.config, self.data, self.step, pin_memory=self.device.type == "cuda") as steps:
            self.meter.start()
            for batches in steps:
                rate = learning_rate(self.config, self.step, self.per_epoch)
                result = self.train_step(batches, rate)
                names = tuple(name for batch in batches for name in batch.names)
                self._refuse(self.finite.add(self.step, result.losses["loss"], names))
                self.meter.add_step(result, rate, len(names))
                self._stepped()
                if self.step < self.total:
                    self._between_steps()

    def _values(self) -> dict[str, float]:
        return {**self.meter.values(), **memory_gib(self.device)}

    def _score(self, *, final: bool) -> Mapping[str, float]:
        """Score the averaged weights if there are some."""
        average, model = self.train_step.ema, self.train_step.model
        with average.applied() if average is not None else nullcontext():
            predictions = predict(model, self.config, self.config.eval_reader, self.eval_images, self.device, progress=self._evaluating)
        return self.run_context.evaluate(predictions, self.step, self.epoch, final=final)

    # --------------------------------------------------------------------------------------------------------- state
    def _state_writer(self, state: Mapping[str, Any]) -> Callable[[Any], None]:
        cuda = torch.cuda.get_rng_state_all() if self.device.type == "cuda" else []
        return write_state(
            {
                **self.train_step.state_dict(),
                "architecture": architecture_keys(self.config),
                **state,
                "rng": {"torch": torch.get_rng_state(), "cuda": cuda},
            }
        )

    def _read_state(self, file: Path) -> Mapping[str, Any]:
        return read_state(file)

    def _load_state(self, state: Mapping[str, Any], source: Path) -> None:
        load_weights(self.train_step.model, state, source, self.config, averaged=False)
        self.train_step.load_state_dict(state)
        torch.set_rng_state(state["rng"]["torch"])
        if self.device.type == "cuda" and len(state["rng"]["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["rng"]["cuda"])

    def _data_identity(self) -> dict[str, int]:
        balanced = {} if self.data.factors is None else {"images_per_epoch": self.data.images_per_epoch}
        return {
            **balanced,
            "images": len(self.data.sources),
            "repeat": self.config.train_dataset.repeat,
            "batch_size": self.config.train_reader.batch_size,
            "gradient_accumulation": self.config.gradient_accumulation,
            "steps_per_epoch": self.per_epoch,
            "seed": self.config.seed,
        }

    def _new_meter(self, state: Any = None) -> TorchMeter:
        return TorchMeter() if state is None else TorchMeter.from_state(state, self.device)

    # ------------------------------------------------------------------------------------------------------ failures
    def _refuse_non_finite(self) -> None:
        self._refuse(self.finite.result())

    def _refuse(self, found: tuple[int, tuple[str, ...]] | None) -> None:
        if found is not None:
            step, names = found
            raise NotFinite(f"the loss of step {step + 1} is not finite (images {', '.join(names)}). {self._what_is_left()}")

    def _refuse_non_finite_weights(self) -> None:
        tensors = [tensor for tensor in self.train_step.model.state_dict().values() if tensor.is_floating_point()]
        if not bool(torch.isfinite(torch.stack(torch._foreach_norm(tensors, float("inf")))).all()):
            raise NotFinite(f"after step {self.step} weights are not finite, though the losses so far were. {self._what_is_left()}")

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
            if not is_out_of_memory(error):
                raise
            size, times = self.config.train_reader.batch_size, self.config.gradient_accumulation
            cause = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise OutOfMemory(
                f"out of memory in step {self.step + 1} with batch_size {size}: {memory_in_words(self.device)}. "
                f"{self._last_in_words()}Half the batch_size with gradient_accumulation {2 * times} makes steps of as many images "
                f"in about half the memory. ({cause})"
            ) from error
