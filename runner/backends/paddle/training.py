"""A training by `ppdet.engine.Trainer`: its own loop, with one callback in the place of all of ppdet's.

What comes between a step, its moving average counted in, and the next one: `runner.training.trainer`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from runner.backends.base import ImageRef
from runner.backends.paddle import device
from runner.backends.paddle.launch import forget_notes
from runner.backends.paddle.ppdet import load_ppdet, quiet, refusals_told
from runner.backends.paddle.schedule import total_steps
from runner.backends.paddle.schema import PaddleConfig
from runner.core.errors import NotFinite, OutOfMemory
from runner.data.coco import load_coco
from runner.training.context import RunContext
from runner.training.trainer import Trainer

load_ppdet()

import paddle  # noqa: E402
from ppdet.engine import Trainer as PpdetTrainer  # noqa: E402
from ppdet.engine.callbacks import Callback, ComposeCallback  # noqa: E402

from runner.backends.paddle.average import Average  # noqa: E402
from runner.backends.paddle.meter import PaddleMeter  # noqa: E402
from runner.backends.paddle.predict import evaluate_images  # noqa: E402
from runner.backends.paddle.reader import Course, reader_died, train_by  # noqa: E402
from runner.backends.paddle.run_config import ppdet_config  # noqa: E402
from runner.backends.paddle.scaler import ResumableScaler  # noqa: E402
from runner.backends.paddle.state import SUFFIX, load_pretrained, load_weights, read_state, to_tensors, write_state  # noqa: E402


class PaddleTrainer(Trainer):
    """One attempt at one run, see `Trainer`."""

    meter: PaddleMeter

    def __init__(self, config: PaddleConfig, run: RunContext) -> None:
        device.prepare(config)
        run.say(f"training on {device.describe(config)}")
        if run.ranks > 1:
            paddle.distributed.init_parallel_env()
            forget_notes()
        super().__init__(config, run, SUFFIX)
        self.eval_images, self.classes = _evaluation_images(config)
        with refusals_told(run.run_dir.log):
            self.cfg = ppdet_config(config)
        self.course = Course(config.seed, rank=run.rank, ranks=run.ranks)
        train_by(self.course)
        self._seed(-1)
        with (
            refusals_told(run.run_dir.log),
            paddle.utils.unique_name.guard(),
        ):  # the optimiser's state goes by the names that layers are given in turn
            self.trainer = quiet(lambda: PpdetTrainer(self.cfg, mode="train"))
        self.trainer._local_rank = 0  # so that each rank's meter and moving average go as the first one's do
        self.per_epoch = len(self.trainer.loader)
        self.total = self.course.total = total_steps(config, self.per_epoch)
        self.trainer.cfg["epoch"] = self.trainer.end_epoch = -(-self.total // self.per_epoch)
        self.average = Average(self.trainer.ema) if config.use_ema else None
        self.trainer._callbacks = [_Between(self)]
        self.trainer._compose_callback = ComposeCallback(self.trainer._callbacks)
        self.scaler = ResumableScaler()

    def _begin(self) -> None:
        if (path := self._resume_from()) is not None:
            self._restore(path)
        else:
            if self.config.initial_distance:
                bias = self.trainer.model.fcos_head.fcos_head_reg.bias
                bias.set_value(paddle.full_like(bias, self.config.initial_distance))
            if self.config.pretrain_weights is not None:
                run = self.run_context
                load_pretrained(self.trainer.model, self.config.pretrain_weights, run.say, self.classes, announce=run.announce)
        self.run_context.all_gather(None)  # no rank saves before all have read

    def _train(self) -> None:
        self.course.step = self.step
        self.trainer.start_epoch = self.step // self.per_epoch
        self.meter.start()
        with self.scaler.remembered():
            self.trainer.train(validate=False)

    # --------------------------------------------------------------------------------------- called by the callback
    def begin(self, status: Any) -> None:
        """Replace ppdet's statistics by the meter before the first step."""
        status["training_staus"] = _Statistics(self)

    def before_step(self) -> None:
        """Do what is due between two steps, then seed the next one."""
        if self.step > self.course.step:
            self._between_steps()
        self._seed(self.step)

    def after_step(self, rate: float) -> None:
        """Handle a finished step."""
        self.meter.rate = rate
        self.meter.images += int(self.trainer.loader.batch_size) * self.course.ranks
        if not self.config.use_gpu:
            self._refuse_non_finite()
        self._stepped()

    def after_epoch(self, status: Any) -> None:
        """Keep the moving average that ppdet has just applied (with "weight" in `status`) and may have started anew."""
        if self.average is not None and "weight" in status:
            self.average.keep(self.trainer.model)

    # ------------------------------------------------------------------------------------------------ what is recorded
    def _values(self) -> dict[str, float]:
        return {**self.meter.values(), **device.memory_gib(self.config)}

    def _share_meter(self) -> None:
        if self.run_context.ranks > 1:
            self.meter.average(self.run_context.all_gather(self.meter.numbers()))

    def _score(self, *, final: bool) -> Mapping[str, float]:
        """Score the averaged weights if there are some."""
        try:
            with self._averaged():
                results = evaluate_images(self.trainer, "EvalReader", self.eval_images, self.config, self._evaluating)
        finally:
            self.trainer.model.train()
        return self.run_context.evaluate(results, self.step, self.epoch, final=final)

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

    # --------------------------------------------------------------------------------------------------------- state
    def _state_writer(self, state: Mapping[str, Any]) -> Callable[[Any], None]:
        own = self.trainer.model.state_dict()
        averaged = self.average.weights(self.trainer.model) if self.average is not None else own
        whole = {
            **state,
            "optimizer": self.trainer.optimizer.state_dict(),
            "model": own if self.average is not None else None,
            "average": self.average.state_dict() if self.average is not None else None,
            "scaler": self.scaler.state_dict(),
            "image_sizes": _image_sizes(self.trainer.model),
        }
        return write_state(averaged, whole)

    def _read_state(self, file: Path) -> Mapping[str, Any]:
        return read_state(file)

    def _load_state(self, state: Mapping[str, Any], source: Path) -> None:
        load_weights(self.trainer.model, state["model"] or state["weights"], source)
        self.trainer.optimizer.set_state_dict(to_tensors(state["optimizer"]))
        if self.average is not None:
            self.average.load_state_dict(to_tensors(state["average"]))
        self.scaler.load_state_dict(state["scaler"])
        if (sizes := state.get("image_sizes")) is not None:
            _resume_image_sizes(self.trainer.model, sizes)

    def _data_identity(self) -> dict[str, int]:
        loader = self.trainer.loader
        return {
            "images": len(loader.dataset),
            "batch_size": int(loader.batch_size),
            "processes": self.course.ranks,
            "steps_per_epoch": self.per_epoch,
            "seed": self.config.seed,
        }

    def _new_meter(self, state: Any = None) -> PaddleMeter:
        return PaddleMeter() if state is None else PaddleMeter.from_state(state)

    def _seed(self, step: int) -> None:
        """Seed the model's random numbers of a step from the seed, the step and the rank alone."""
        words = np.random.SeedSequence([self.config.seed, 3, step + 1, self.course.rank]).generate_state(3)
        paddle.seed(int(words[0]))
        np.random.seed(words[1])
        random.seed(int(words[2]))

    # ------------------------------------------------------------------------------------------------------ failures
    def _refuse_non_finite(self) -> None:
        if not self.meter.is_finite():
            names = ", ".join(self.trainer.loader.names(self.step))
            where = f"the loss of step {self.step + 1} is not finite (images {names})"
            if self.config.use_gpu:
                where = f"a loss of the steps up to {self.step} is not finite"
            raise NotFinite(f"{where}. {self._what_is_left()}")

    def _refuse_non_finite_weights(self) -> None:
        tensors = self.trainer.model.state_dict().values()
        if not all(bool(paddle.isfinite(tensor).all()) for tensor in tensors if tensor.dtype in _FLOATS):
            raise NotFinite(f"after step {self.step} weights are not finite, though the losses so far were. {self._what_is_left()}")

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except (MemoryError, RuntimeError, SystemError) as error:
            if (died := reader_died(error)) is not None:
                raise died from error
            if not device.is_out_of_memory(error):
                raise
            raise OutOfMemory(
                f"out of memory in step {self.step + 1} with batch_size {self.trainer.loader.batch_size}: "
                f"{device.memory_in_words(self.config)}. {self._last_in_words()}A smaller batch_size needs less"
            ) from error


_FLOATS = (paddle.float16, paddle.float32, paddle.float64, paddle.bfloat16)


def _image_sizes(model: Any) -> dict[str, Any] | None:
    """Return the state of a model that draws the size of its images itself, as YOLOX every ten steps; None of any other."""
    if not hasattr(model, "_input_size") or not hasattr(model, "_step"):
        return None
    return {"step": int(model._step), "size": [int(side) for side in model._input_size]}


def _resume_image_sizes(model: Any, state: Mapping[str, Any]) -> None:
    model._step, model._input_size = state["step"], paddle.to_tensor(state["size"])


class _Between(Callback):  # type: ignore[misc]
    """Hears what ppdet's loop does, of training only: its evaluation loop calls the same methods."""

    def __init__(self, training: PaddleTrainer) -> None:
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
    """Receiver of each step's outputs in ppdet's loop."""

    def __init__(self, training: PaddleTrainer) -> None:
        self._training = training

    def update(self, outputs: Any) -> None:
        self._training.meter.update(outputs)


def _evaluation_images(config: PaddleConfig) -> tuple[list[ImageRef], tuple[str, ...]]:
    """Return the images of EvalDataset, and the names of the classes, which are the same as those of TrainDataset
    (`runner.training.checks.check_data`)."""
    data = config.eval_dataset
    folder = Path(data.dataset_dir)
    found = load_coco(folder / data.anno_path, folder / data.image_dir, allow_empty=True, sample_num=data.sample_num)
    return [ImageRef(image.id, found.path(image), (image.width, image.height)) for image in found.images], found.class_names
