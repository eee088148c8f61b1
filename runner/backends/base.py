"""Interface of a backend, and the registry of backends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from runner.core.errors import Problem
from runner.core.registry import Registry
from runner.evaluation import MetricSet
from runner.training.common_config import CommonConfig
from runner.training.context import RunContext

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image to predict on.

    Args:
        id: image id in `predictions.json`.
        path: the file.
        size: (width, height) in pixels that the annotation gives, None if there is none.
        pixels: UInt8[H, W, 3], RGB, of an image that has been read already (a tile, a frame of a video); None: it is read from the file.
    """

    id: int
    path: Path
    size: tuple[int, int] | None = None
    pixels: NDArray[np.uint8] | None = None


class Predictor(Protocol):
    """A loaded model."""

    def predict(self, images: Sequence[ImageRef], progress: Callable[[int, int], None] | None = None) -> list[dict[str, Any]]:
        """Compute COCO results of `images` in their order; category_id is the contiguous class index from 0.

        Args:
            progress: called after every batch with the number of images done and of all; may raise to end it.

        Raises:
            InputError: an image cannot be read.
        """


@dataclass(frozen=True, slots=True)
class Probe:
    """Findings of a backend on this machine.

    Args:
        versions: name to version of what decides the numbers (framework, CUDA, …).
        gpus: names of the usable GPUs.
        gpu_problem: why there is none, without advice; empty if there is one.
        driver: the GPU driver's version, empty if there is none.
    """

    versions: Mapping[str, str]
    gpus: tuple[str, ...] = ()
    gpu_problem: str = ""
    driver: str = ""


@dataclass(frozen=True, slots=True)
class AmpChoice:
    """Number format that ``amp_dtype: auto`` means on this machine.

    Args:
        dtype: a value of amp_dtype; None where single precision is at least as fast, so that amp is switched off.
        why: the reason, for people: what was found or measured.
    """

    dtype: str | None
    why: str


@dataclass(frozen=True, slots=True)
class BatchSizeChoice:
    """Value that ``TrainReader.batch_size: auto`` means for a config on this machine.

    Args:
        value: images per step.
        why: what was measured, for people.
    """

    value: int
    why: str


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """An image as the model sees it in training.

    Args:
        image: UInt8[H, W, 3], RGB: the normalisation is undone, and what exceeds 0 to 255 is cut off. With the padding of its batch.
        boxes: Float32[N, 4], xyxy in pixels of `image`.
        classes: Int64[N], 0-based.
        name: file name.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    name: str


@dataclass(frozen=True, slots=True)
class Ranks:
    """Command that starts the ranks of an attempt.

    Args:
        count: how many.
        command: the command line of one of them is appended, and it is run that often. They end with it, it ends with its parent
            (`runner.core.process.die_with_parent`), and it ends all of them once one exits with anything but 0.
        number_in: the environment variable in which each finds its number, from 0.
    """

    count: int
    command: Sequence[str]
    number_in: str


class Backend(Protocol):
    """One framework. Made without arguments; importing its module and calling `check` loads no framework."""

    name: str
    config_class: type[Any]
    """The declared class (see `runner.config.schema`) a resolved config of this backend is bound to; it has the keys of
    `runner.training.common_config.CommonConfig`."""

    packages: tuple[str, ...]
    """Distributions whose arithmetic the results come from: their versions go into the run's key. The distribution that the backend itself
    comes from always does."""

    preload: str
    """A module that imports what training needs, for processes that are kept warm. Importing it starts no thread."""

    open_gpu_on_import: tuple[str, ...]
    """Distributions that open the GPU when they are imported, so that such a process cannot be forked."""

    checkpoint_suffix: str
    """Of the files in `checkpoints/`: ``last.pt``."""

    numerics_version: int
    """Counted up when a change in the backend changes the weights or predictions of the same config: it goes into the run's key."""

    def check(self, config: Any) -> Sequence[Problem]:
        """Find the problems of a bound config beyond the types and ranges of its keys (values that must fit one another, files that must
        exist), and remarks. Runs in the driver, which may not have the framework."""

    def metrics(self, config: Any) -> MetricSet:
        """Return the metrics that the evaluations of a run with this config record (`runner.evaluation.box_metrics` for boxes)."""

    def probe(self) -> Probe:
        """Find what this machine has. Loads the framework: call it in a process of its own."""

    def ranks(self, config: Any) -> Ranks | None:
        """Return how the ranks of an attempt are started; None if one process trains."""

    def train(self, config: Any, run: RunContext) -> None:
        """Make one attempt: train from `run.resume_from` or the start to the end, evaluate, return.

        Raises:
            TrainingFailed: the loss is not finite, out of memory; the message says at which step, what was in the batch, and what is left
            to resume from.
            Interrupted: a stop was requested; the state is saved.
            InputError: a file the config names cannot be used.
        """

    def class_names(self, weights: Path) -> tuple[str, ...]:
        """Read the names of the classes that the outputs of a checkpoint's model are for, in their order; empty where it does not say (it
        is of an older version, or the backend has no images).

        Raises:
            InputError: no checkpoint, or one that is damaged.
        """

    export_formats: tuple[str, ...]
    """Formats that `export` writes; empty: none, and `export` says why."""

    def export(self, config: Any, weights: Path, to: str, file: Path, facts: Mapping[str, Any]) -> None:
        """Write the model in `weights` to `file`, as `runner.backends.exported` says.

        Args:
            config: of the run; its EvalReader says how images are prepared.
            to: one of `export_formats`.
            facts: classes, score_threshold and about, of `runner.backends.exported.Facts`.

        Raises:
            InputError: no checkpoint, a model or reader that cannot be exported, or a package is missing.
        """

    def predictor(self, config: Any, weights: Path, *, reader: str = "EvalReader", batch_size: int | None = None) -> Predictor:
        """Load the model in `weights`.

        Args:
            reader: section of the config whose transforms prepare an image.
            batch_size: images per step, in place of that section's.

        Raises:
            InputError: no checkpoint, one of another model, or the config has no such section.
        """


@runtime_checkable
class LoadsModels(Protocol):
    """A backend whose results also come from code that a config chooses, such as an architecture of another distribution."""

    def model_packages(self, config: Any) -> Sequence[str]:
        """Return the distributions of that code; empty where all of it is the backend's own. Their versions go into the run's key."""

    def model_modules(self, config: Any) -> Sequence[str]:
        """Return the modules of that code, which processes that are kept warm for this config import besides `Backend.preload`. Importing
        them starts no thread and opens no GPU."""


@runtime_checkable
class ChoosesAmp(Protocol):
    """A backend whose config has ``amp_dtype: auto``."""

    def choose_amp(self, *, gpu: bool, threads: int) -> AmpChoice:
        """Choose the number format of amp on this machine's GPU or CPU, by a measurement where support alone does not decide. Loads the
        framework: call it in a process of its own."""


@runtime_checkable
class MeasuresBatchSize(Protocol):
    """A backend whose config has ``TrainReader.batch_size: auto``."""

    def choose_batch_size(self, config: Any, *, gpu_share: float, memory_gib: float | None) -> BatchSizeChoice:
        """Measure which batch size suits a bound config, whose own is ignored, on this machine. Takes a minute or two, and loads the
        framework: call it in a process of its own.

        Args:
            gpu_share: the share of a GPU that a run has.
            memory_gib: the memory that a run may hold (2**30 bytes); None: no limit.

        Raises:
            OutOfMemory: not even one image fits.
            InputError: a file the config names cannot be used.
        """


@runtime_checkable
class ShowsBatches(Protocol):
    """A backend that can show what a training learns from."""

    def first_batch(self, config: Any) -> tuple[Sequence[TrainingImage], Sequence[str]]:
        """Return the images of the first batch that a training with this config reads, and the names of the classes.

        Raises:
            InputError: the training set cannot be used.
        """


def _config_faults(name: str, backend: type[Backend]) -> Iterator[str]:
    """Find what keeps configs from being bound to a backend's config class."""
    if backend.name != name:
        yield f"its name is {backend.name!r} (expected {name!r}, as it is registered)"
    if not is_dataclass(backend.config_class):
        yield f"its config_class {backend.config_class.__name__} is not a dataclass (expected a subclass of CommonConfig)"
    elif missing := {field.name for field in fields(CommonConfig)} - {field.name for field in fields(backend.config_class)}:
        yield f"its config_class {backend.config_class.__name__} lacks the common keys {', '.join(sorted(missing))}"


BACKENDS: Registry[type[Backend]] = Registry(
    "backend",
    {
        "torch": "runner.backends.torch.backend:TorchBackend",
        "paddle": "runner.backends.paddle.backend:PaddleBackend",
        "fake": "runner.backends.fake.backend:FakeBackend",
    },
    Backend,
    faults=_config_faults,
    unguarded=frozenset({"train"}),  # the worker records how it ends, with its trace
)

DEFAULT_BACKEND = "torch"
"""Backend of a config that names none."""
