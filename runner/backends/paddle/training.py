"""A training by `ppdet.engine.Trainer`: its own loop, with one callback in the place of all of ppdet's.

Order at a snapshot: evaluate → record → checkpoint, between a step (its moving average counted in) and the next one. As in the torch
backend, the last checkpoint is written before the final evaluation, and a run that goes on from it records and evaluates that step anew.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from runner.backends.base import ImageRef, RunContext
from runner.backends.checkpoint_folder import CheckpointFolder, Entry, read_newest
from runner.backends.paddle import device
from runner.backends.paddle.launch import forget_notes
from runner.backends.paddle.ppdet import load_ppdet, quiet, refusals_told
from runner.backends.paddle.schedule import total_steps
from runner.backends.paddle.schema import PaddleConfig
from runner.core.errors import InputError, Interrupted, NotFinite, OutOfMemory
from runner.data.coco import load_coco

load_ppdet()

import paddle  # noqa: E402
from ppdet.engine import Trainer  # noqa: E402
from ppdet.engine.callbacks import Callback, ComposeCallback  # noqa: E402

from runner.backends.paddle.average import Average  # noqa: E402
from runner.backends.paddle.predict import evaluate_images  # noqa: E402
from runner.backends.paddle.reader import Course, reader_died, train_by  # noqa: E402
from runner.backends.paddle.run_config import ppdet_config  # noqa: E402
from runner.backends.paddle.scaler import ResumableScaler  # noqa: E402
from runner.backends.paddle.state import SUFFIX, load_pretrained, load_weights, read_state, to_tensors, write_state  # noqa: E402
from runner.backends.paddle.window import Window  # noqa: E402

METRIC = "bbox/AP"
"""What the best checkpoint is best in."""


class _StopEvaluation(Exception):
    """Ends an evaluation between two batches."""


class Training:
    """One attempt at one run: made, `run` once, thrown away.

    Raises (from either):
        InputError, NotFinite, OutOfMemory, Interrupted: see `runner.backends.base.Backend.train`.
    """

    def __init__(self, config: PaddleConfig, run: RunContext) -> None:
        self.config, self.run_context = config, run
        device.prepare(config)
        run.say(f"training on {device.describe(config)}")
        if run.ranks > 1:
            paddle.distributed.init_parallel_env()
            forget_notes()
        self.folder = CheckpointFolder(run.run_dir.checkpoints, config.keep_checkpoints, SUFFIX)
        if run.rank == 0:
            self.folder.prepare()
        self.eval_images = _evaluation_images(config)
        with refusals_told(run.run_dir.log):
            self.cfg = ppdet_config(config)
        self.course = Course(config.seed, rank=run.rank, ranks=run.ranks)
        train_by(self.course)
        self._seed(-1)
        with (
            refusals_told(run.run_dir.log),
            paddle.utils.unique_name.guard(),
        ):  # the optimiser's state goes by the names that layers are given in turn
            self.trainer = quiet(lambda: Trainer(self.cfg, mode="train"))
        self.trainer._local_rank = 0  # so that each rank's window and moving average go as the first one's do
        self.per_epoch = len(self.trainer.loader)
        self.total = self.course.total = total_steps(config, self.per_epoch)
        self.trainer.cfg["epoch"] = self.trainer.end_epoch = -(-self.total // self.per_epoch)
        self.average = Average(self.trainer.ema) if config.use_ema else None
        self.trainer._callbacks = [_Between(self)]
        self.trainer._compose_callback = ComposeCallback(self.trainer._callbacks)
        self.step = 0
        self.saved: Entry | None = None
        """The checkpoint of the present step, None while the step has none."""
        self.evaluation_due = False
        """The present step's checkpoint was written before its evaluation."""
        self.window = Window()
        self.scaler = ResumableScaler()

    @property
    def epoch(self) -> float:
        """Epochs done, as a fraction."""
        return self.step / self.per_epoch

    def run(self) -> None:
        """Train from where the state stands to the end, evaluate."""
        run = self.run_context
        with self._failures_named():
            if run.resume_from is not None and self.folder.last() is not None:
                self._restore(run.resume_from)
            elif self.config.pretrain_weights is not None:
                load_pretrained(self.trainer.model, self.config.pretrain_weights, run.say)
            run.meet(None)  # nobody saves before all have read
            recorded = self.step - 1 if self.evaluation_due else self.step
            run.resumed(recorded, recorded / self.per_epoch)
            if self.evaluation_due and self.step < self.total:
                self._snapshot()
            if self.step < self.total:
                self._train()
            self._end()

    def _train(self) -> None:
        self.course.step = self.step
        self.trainer.start_epoch = self.step // self.per_epoch
        self.window.go_on()
        with self.scaler.remembered():
            self.trainer.train(validate=False)

    # --------------------------------------------------------------------------------------- called by the callback
    def begin(self, status: Any) -> None:
        """Before the first step: ppdet's statistics are replaced by the window."""
        status["training_staus"] = _Statistics(self)

    def before_step(self) -> None:
        """Between two steps: what is due, then the randomness of the next one."""
        if self.step > self.course.step:
            self._between_steps()
        self._seed(self.step)

    def after_step(self, rate: float) -> None:
        """A step was made."""
        self.window.rate = rate
        self.window.images += int(self.trainer.loader.batch_size) * self.course.ranks
        if not self.config.use_gpu:
            self._refuse_non_finite()
        self.step, self.saved = self.step + 1, None
        self.run_context.progress(self.step, self.total, self.epoch, "training")

    def after_epoch(self, status: Any) -> None:
        """ppdet has just applied the moving average, where "weight" is in `status`, and may have started it anew."""
        if self.average is not None and "weight" in status:
            self.average.keep(self.trainer.model)

    # ------------------------------------------------------------------------------------------------- between steps
    def _between_steps(self) -> None:
        if self._snapshot_is_due():
            self._snapshot()
        elif self.step % self.config.log_iter == 0:
            self._record()
        self._stop_if_asked()

    def _snapshot_is_due(self) -> bool:
        if self.config.snapshot_iter is not None:
            return self.step % self.config.snapshot_iter == 0
        return self.step % (self.config.snapshot_epoch * self.per_epoch) == 0

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
        if self.run_context.rank == 0:
            self.folder.finish(entry, metric)

    def _record(self) -> None:
        """Record the means since the last record, if any step was made."""
        if self.window.steps == 0:
            return
        self._share_window()
        self._refuse_non_finite()
        values = {**self.window.values(), **device.memory_gb(self.config)}
        self.run_context.record(self.step, self.epoch, values)
        self.run_context.progress(self.step, self.total, self.epoch, "training", values)
        self.window = Window()
        self.window.go_on()

    def _share_window(self) -> None:
        """Every rank's window gets the means over all."""
        if self.run_context.ranks > 1:
            self.window.average(self.run_context.meet(self.window.sums()))

    def _evaluate(self, *, final: bool) -> float | None:
        """Predict the evaluation images by the averaged weights if there are some, and have the predictions scored. Returns bbox/AP."""
        self.window.pause()
        outcome = self._evaluate_here(final) if self.run_context.rank == 0 else None
        stopped, metric = self.run_context.meet(outcome)[0]
        if stopped:
            self._stop_if_asked()
        self.window.go_on()
        return metric  # type: ignore[no-any-return]

    def _evaluate_here(self, final: bool) -> tuple[bool, float | None]:
        """Whether it was stopped half-way, and bbox/AP."""
        try:
            with self._averaged():
                results = evaluate_images(self.trainer, "EvalReader", self.eval_images, self.config, self._evaluating)
        except _StopEvaluation:
            return True, None
        finally:
            self.trainer.model.train()
        return False, self.run_context.evaluate(results, self.step, self.epoch, final=final).get(METRIC)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        if self.average is None:
            yield
            return
        model = self.trainer.model
        own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.set_state_dict(self.average.weights(model))
        try:
            yield
        finally:
            model.set_state_dict(own)

    def _evaluating(self, done: int, images: int) -> None:
        self.run_context.progress(self.step, self.total, self.epoch, "evaluating", {"evaluation/done": done / images})
        if self.run_context.stop_requested() is not None:
            raise _StopEvaluation

    def _stop_if_asked(self) -> None:
        reasons = self.run_context.meet(self.run_context.stop_requested())
        reason = next((reason for reason in reasons if reason is not None), None)
        if reason is None:
            return
        if self.saved is None:
            if not self.evaluation_due:
                self._record()
            self._save()
        self.run_context.say(f"{reason}; saved at step {self.step}")
        raise Interrupted(reason)

    # --------------------------------------------------------------------------------------------------------- state
    def _save(self, metric: float | None = None) -> Entry:
        """Write the whole state. Refuses weights that are not finite: such a checkpoint would replace a good one."""
        self._share_window()
        if self.run_context.rank > 0:
            self.saved = Entry("", self.step, self.epoch, "")
            return self.saved
        self.window.pause()
        self.run_context.progress(self.step, self.total, self.epoch, "saving")
        self._refuse_non_finite()
        own = self.trainer.model.state_dict()
        if not all(bool(paddle.isfinite(tensor).all()) for tensor in own.values() if tensor.dtype in _FLOATS):
            raise NotFinite(f"after step {self.step} weights are not finite, though the losses so far were. {self._what_is_left()}")
        averaged = self.average.weights(self.trainer.model) if self.average is not None else own
        state = {
            "step": self.step,
            "epoch": self.epoch,
            "place": self._place(),
            "optimizer": self.trainer.optimizer.state_dict(),
            "model": own if self.average is not None else None,
            "average": self.average.state_dict() if self.average is not None else None,
            "scaler": self.scaler.state_dict(),
            "window": self.window.state_dict(),
            "evaluation_due": self.evaluation_due,
        }
        self.saved = self.folder.save(write_state(averaged, state), self.step, self.epoch, metric=metric)
        self.window.go_on()
        return self.saved

    def _place(self) -> dict[str, int]:
        """What must be equal for step numbers to mean the same data."""
        loader = self.trainer.loader
        return {
            "images": len(loader.dataset),
            "batch_size": int(loader.batch_size),
            "processes": self.course.ranks,
            "steps_per_epoch": self.per_epoch,
            "seed": self.config.seed,
        }

    def _restore(self, path: Path) -> None:
        """Go on from the newest whole checkpoint that `path` means."""
        folder, entry, state = read_newest(path, read_state, self.run_context.say, suffix=SUFFIX)
        source = folder.path / entry.file
        different = {key: (state["place"].get(key), value) for key, value in self._place().items() if state["place"].get(key) != value}
        if different:
            words = ", ".join(f"{key} {there} there and {here} here" for key, (there, here) in different.items())
            raise InputError(
                f"{source} was made with other data or batches ({words}), so it cannot be continued exactly: "
                f"start from its weights, pretrain_weights={source}"
            )
        if int(state["step"]) > self.total:
            raise InputError(f"{source} is at step {state['step']}, this config ends at {self.total}: give a larger epoch or max_iters")
        load_weights(self.trainer.model, state["model"] or state["weights"], source)
        self.trainer.optimizer.set_state_dict(to_tensors(state["optimizer"]))
        if self.average is not None:
            self.average.load_state_dict(to_tensors(state["average"]))
        self.scaler.load_state_dict(state["scaler"])
        self.step = int(state["step"])
        was_the_end = entry.finished and self.step < self.total  # of a training that was shorter; its records stand
        self.evaluation_due = bool(state["evaluation_due"]) and not was_the_end
        self.window = Window.from_state(state["window"]) if self.evaluation_due else Window()
        self.saved = entry if folder.path.resolve() == self.folder.path.resolve() and self.evaluation_due else None
        self.run_context.say(f"going on from {source} at step {self.step} of {self.total}")

    def _seed(self, step: int) -> None:
        """What the model draws in a step depends on the seed and the step (and the rank) alone."""
        words = np.random.SeedSequence([self.config.seed, 3, step + 1, self.course.rank]).generate_state(3)
        paddle.seed(int(words[0]))
        np.random.seed(words[1])
        random.seed(int(words[2]))

    # ------------------------------------------------------------------------------------------------------ failures
    def _refuse_non_finite(self) -> None:
        if not self.window.is_finite():
            names = ", ".join(self.trainer.loader.names(self.step))
            where = f"the loss of step {self.step + 1} is not finite (images {names})"
            if self.config.use_gpu:
                where = f"a loss of the steps up to {self.step} is not finite"
            raise NotFinite(f"{where}. {self._what_is_left()}")

    def _what_is_left(self) -> str:
        last = self.folder.last()
        left = f"The last good checkpoint is {self.folder.path / last.file} (step {last.step})" if last else "There is no checkpoint yet"
        return f"{left}. A lower base_lr, a longer warm-up or clip_grad_by_norm may help"

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except (MemoryError, RuntimeError, SystemError) as error:
            if (died := reader_died(error)) is not None:
                raise died from error
            if not device.is_out_of_memory(error):
                raise
            last = self.folder.last()
            left = f"The last checkpoint is {self.folder.path / last.file} (step {last.step}). " if last else ""
            raise OutOfMemory(
                f"out of memory in step {self.step + 1} with batch_size {self.trainer.loader.batch_size}: "
                f"{device.memory_in_words(self.config)}. {left}A smaller batch_size needs less"
            ) from error


_FLOATS = (paddle.float16, paddle.float32, paddle.float64, paddle.bfloat16)


class _Between(Callback):  # type: ignore[misc]
    """Hears what ppdet's loop does, of training only: its evaluation loop calls the same methods."""

    def __init__(self, training: Training) -> None:
        super().__init__(training.trainer)
        self._training = training

    def on_train_begin(self, status: Any) -> None:
        self._training.begin(status)

    def on_step_begin(self, status: Any) -> None:
        if status["mode"] == "train":
            self._training.before_step()
            status["mode"] = "train"  # an evaluation in between has set it

    def on_step_end(self, status: Any) -> None:
        if status["mode"] == "train":
            self._training.after_step(float(status["learning_rate"]))

    def on_epoch_end(self, status: Any) -> None:
        if status["mode"] == "train":
            self._training.after_epoch(status)


class _Statistics:
    """What ppdet's loop tells each step's outputs."""

    def __init__(self, training: Training) -> None:
        self._training = training

    def update(self, outputs: Any) -> None:
        self._training.window.update(outputs)


def _evaluation_images(config: PaddleConfig) -> list[ImageRef]:
    data = config.eval_dataset
    folder = Path(data.dataset_dir)
    found = load_coco(folder / data.anno_path, folder / data.image_dir, allow_empty=True, sample_num=data.sample_num)
    return [ImageRef(image.id, found.path(image), (image.width, image.height)) for image in found.images]
