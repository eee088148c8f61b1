"""The training loop: repeat a step, and at five points do something else: log, evaluate, save, stop, end.

Order at a snapshot: evaluate → record → checkpoint. A record stands in metrics.jsonl once, whenever the process is
    killed: a run goes on from a checkpoint, and what was recorded after its step is superseded. The last checkpoint
    of a training is written before the final evaluation, with the records of its step still to come; a run that goes
    on from it records and evaluates that step anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from runner.backends.base import RunContext
from runner.backends.checkpoint_folder import CheckpointFolder, Entry
from runner.backends.torch import reader
from runner.backends.torch.checkpoint import architecture_keys, load_weights, read_newest, write_state
from runner.backends.torch.device import describe, memory_gb, memory_in_words, prepare
from runner.backends.torch.model import build_model, load_pretrained
from runner.backends.torch.predict import predict
from runner.backends.torch.schedule import learning_rate
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.step import TrainStep
from runner.backends.torch.window import FiniteCheck, Window
from runner.core.errors import InputError, Interrupted, NotFinite, OutOfMemory

METRIC = "bbox/AP"
"""What the best checkpoint is best in."""


class _StopEvaluation(Exception):
    """Ends an evaluation between two batches."""


class Training:
    """One attempt at one run: made, `run` once, thrown away.

    Raises (from either):
        InputError, NotFinite, OutOfMemory, Interrupted: see `runner.backends.base.Backend.train`.
    """

    def __init__(self, config: TorchConfig, run: RunContext) -> None:
        self.config, self.run_context = config, run
        self.device = prepare(config)
        run.say(f"training on {describe(self.device, config)}")
        self.folder = CheckpointFolder(run.run_dir.checkpoints, config.keep_checkpoints)
        self.folder.prepare()
        self.data = reader.load_training_data(config)
        self.eval_images = reader.evaluation_images(config)
        for note in self.data.notes:
            run.say(f"training set: {note}")
        self.resume_from = self._what_to_resume()
        model = build_model(config)
        if self.resume_from is None:
            load_pretrained(model, config.pretrain_weights, run.say)
        self.train_step = TrainStep(model, config, self.device)
        self.window, self.finite = Window(), FiniteCheck(self.device)
        self.step = 0
        self.saved: Entry | None = None
        """The checkpoint of the present step, None while the step has none."""
        self.evaluation_due = False
        """The present step's checkpoint was written before its evaluation."""

    @property
    def epoch(self) -> float:
        """Epochs done, as a fraction."""
        return self.step / self.data.steps_per_epoch

    def run(self) -> None:
        """Train from where the state stands to the end, evaluate."""
        with self._out_of_memory_named():
            if self.resume_from is not None:
                self._restore(self.resume_from)
            recorded = (
                self.step - 1 if self.evaluation_due else self.step
            )  # the present step's records come anew if its checkpoint was written before them
            self.run_context.resumed(recorded, recorded / self.data.steps_per_epoch)
            if self.evaluation_due and self.step < self.data.total_steps:
                self._snapshot()
            self._train()
            self._end()

    def _train(self) -> None:
        """The steps that are left. Ends with the last one, whose records and checkpoint are `_end`'s."""
        total = self.data.total_steps
        with reader.training_steps(self.config, self.data, self.step, pin_memory=self.device.type == "cuda") as steps:
            self.window.go_on()
            for batches in steps:
                rate = learning_rate(self.config, self.step, self.data.steps_per_epoch)
                result = self.train_step(batches, rate)
                names = tuple(name for batch in batches for name in batch.names)
                self._refuse_non_finite(self.finite.add(self.step, result.losses["loss"], names))
                self.window.add(result, rate, len(names))
                self.step, self.saved = self.step + 1, None
                self.run_context.progress(self.step, total, self.epoch, "training")
                if self.step < total:
                    self._between_steps()

    def _between_steps(self) -> None:
        if self._snapshot_is_due():
            self._snapshot()
        elif self.step % self.config.log_iter == 0:
            self._record()
        self._stop_if_asked()

    def _snapshot_is_due(self) -> bool:
        if self.config.snapshot_iter is not None:
            return self.step % self.config.snapshot_iter == 0
        return self.step % (self.config.snapshot_epoch * self.data.steps_per_epoch) == 0

    def _snapshot(self) -> None:
        self.evaluation_due = self.config.eval_at_snapshot
        metric = self._evaluate(final=False) if self.evaluation_due else None
        self.evaluation_due = False
        self._record()
        self._save(metric)

    def _end(self) -> None:
        """The last checkpoint, the final evaluation, and the mark that both are there."""
        self.evaluation_due = True
        entry = self.saved or self._save()
        self._stop_if_asked()
        metric = self._evaluate(final=True)
        self._record()
        self.folder.finish(entry, metric)

    def _record(self) -> None:
        """Record the means since the last record, if any step was made."""
        if self.window.steps == 0:
            return
        values = {**self.window.values(), **memory_gb(self.device)}
        self._refuse_non_finite(self.finite.result())
        self.run_context.record(self.step, self.epoch, values)
        self.run_context.progress(self.step, self.data.total_steps, self.epoch, "training", values)
        self.window = Window()
        self.window.go_on()

    def _evaluate(self, *, final: bool) -> float | None:
        """Predict the evaluation images by the averaged weights if there are some, and have the predictions scored.
        Returns bbox/AP.
        """
        self.window.pause()
        average = self.train_step.ema
        try:
            with average.applied() if average is not None else nullcontext():
                predictions = predict(
                    self.train_step.model, self.config, self.config.eval_reader, self.eval_images, self.device, progress=self._evaluating
                )
        except _StopEvaluation:
            self._stop_if_asked()  # out here, where the model has its own weights again
            raise
        metrics = self.run_context.evaluate(predictions, self.step, self.epoch, final=final)
        self.window.go_on()
        return metrics.get(METRIC)

    def _evaluating(self, done: int, images: int) -> None:
        self.run_context.progress(self.step, self.data.total_steps, self.epoch, "evaluating", {"evaluation/done": done / images})
        if self.run_context.stop_requested() is not None:
            raise _StopEvaluation

    def _stop_if_asked(self) -> None:
        reason = self.run_context.stop_requested()
        if reason is None:
            return
        if self.saved is None:
            if not self.evaluation_due:
                self._record()
            self._save()
        self.run_context.say(f"{reason}; saved at step {self.step}")
        raise Interrupted(reason)

    def _save(self, metric: float | None = None) -> Entry:
        """Write the whole state. Refuses weights that are not finite: such a checkpoint would replace a good one."""
        self.window.pause()
        self.run_context.progress(self.step, self.data.total_steps, self.epoch, "saving")
        self._refuse_non_finite(self.finite.result())
        self._refuse_non_finite_weights()
        self.saved = self.folder.save(write_state(self._state()), self.step, self.epoch, metric=metric)
        self.window.go_on()
        return self.saved

    def _state(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state_all() if self.device.type == "cuda" else []
        return {
            **self.train_step.state_dict(),
            "architecture": architecture_keys(self.config),
            "step": self.step,
            "epoch": self.epoch,
            "place": self._place(),
            "window": self.window.state_dict(),
            "evaluation_due": self.evaluation_due,
            "rng": {"torch": torch.get_rng_state(), "cuda": cuda},
        }

    def _place(self) -> dict[str, int]:
        """What must be equal for step numbers to mean the same data."""
        return {
            "images": len(self.data.sources),
            "repeat": self.config.train_dataset.repeat,
            "batch_size": self.config.train_reader.batch_size,
            "gradient_accumulation": self.config.gradient_accumulation,
            "steps_per_epoch": self.data.steps_per_epoch,
            "seed": self.config.seed,
        }

    def _what_to_resume(self) -> Path | None:
        """The checkpoint to go on from. Of this run itself there may be none yet: it was ended before its first, and
        starts anew.
        """
        path, own = self.run_context.resume_from, self.run_context.run_dir
        if (
            path is not None
            and self.folder.last() is None
            and path.resolve() in (own.path.resolve(), own.checkpoints.resolve(), own.checkpoints.resolve() / "last.pt")
        ):
            self.run_context.say("this run has no checkpoint yet: starting anew")
            return None
        return path

    def _restore(self, path: Path) -> None:
        """Go on from the newest whole checkpoint that `path` means."""
        run, config = self.run_context, self.config
        folder, entry, state = read_newest(path, run.say)
        source = folder.path / entry.file
        different = {key: (state["place"].get(key), value) for key, value in self._place().items() if state["place"].get(key) != value}
        if different:
            words = ", ".join(f"{key} {there} there and {here} here" for key, (there, here) in different.items())
            raise InputError(
                f"{source} was made with other data or batches ({words}), so it cannot be continued exactly: "
                f"start from its weights, pretrain_weights={source}"
            )
        load_weights(self.train_step.model, state, source, config, averaged=False)
        self.train_step.load_state_dict(state)
        self.step = int(state["step"])
        if self.step > self.data.total_steps:
            raise InputError(
                f"{source} is at step {self.step}, this config ends at {self.data.total_steps}: give a larger epoch or max_iters"
            )
        was_the_end = entry.finished and self.step < self.data.total_steps  # of a training that was shorter; its records stand
        self.evaluation_due = bool(state["evaluation_due"]) and not was_the_end
        self.window = Window.from_state(state["window"], self.device) if self.evaluation_due else Window()
        self.saved = entry if folder.path.resolve() == self.folder.path.resolve() and self.evaluation_due else None
        torch.set_rng_state(state["rng"]["torch"])
        if self.device.type == "cuda" and len(state["rng"]["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["rng"]["cuda"])
        run.say(f"going on from {source} at step {self.step} of {self.data.total_steps}")

    def _refuse_non_finite(self, found: tuple[int, tuple[str, ...]] | None) -> None:
        if found is not None:
            step, names = found
            raise NotFinite(f"the loss of step {step + 1} is not finite (images {', '.join(names)}). {self._what_is_left()}")

    def _refuse_non_finite_weights(self) -> None:
        tensors = [tensor for tensor in self.train_step.model.state_dict().values() if tensor.is_floating_point()]
        if not bool(torch.isfinite(torch.stack(torch._foreach_norm(tensors, float("inf")))).all()):
            raise NotFinite(f"after step {self.step} weights are not finite, though the losses so far were. {self._what_is_left()}")

    def _what_is_left(self) -> str:
        last = self.folder.last()
        left = f"The last good checkpoint is {self.folder.path / last.file} (step {last.step})" if last else "There is no checkpoint yet"
        return f"{left}. A lower base_lr, a longer warm-up or clip_grad_by_norm may help"

    @contextmanager
    def _out_of_memory_named(self) -> Iterator[None]:
        try:
            yield
        except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
            if not is_out_of_memory(error):
                raise
            size, times = self.config.train_reader.batch_size, self.config.gradient_accumulation
            cause = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise OutOfMemory(
                f"out of memory in step {self.step + 1} with batch_size {size}: {memory_in_words(self.device)}. "
                f"{self._left_in_words()}Half the batch_size with gradient_accumulation {2 * times} makes steps of as many images "
                f"in about half the memory. ({cause})"
            ) from error

    def _left_in_words(self) -> str:
        last = self.folder.last()
        return f"The last checkpoint is {self.folder.path / last.file} (step {last.step}). " if last else ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that a GPU's or the machine's memory has run out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(words in str(error) for words in ("can't allocate memory", "not enough memory", "CUDA out of memory"))
