"""Batches in order: which samples a step sees, the processes that read them, and what happens when one of them fails.

Which samples form step s follows from (seed, s) alone, so a run can resume anywhere, inside an epoch too, without
reading what came before. One DataLoader
serves the whole training: its workers start once, not every epoch.

Workers are forked (on Linux): a forkserver would import torch again in each, 6 s on a small machine. What makes that
safe in a process that already has threads is that a worker never starts a parallel region (torch and OpenCV are set
to one thread there) and never touches CUDA.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info

from runner.backends.base import ImageRef
from runner.backends.torch import schema
from runner.backends.torch.samples import FailedBatch, PackedBatch, Samples, SourceImage
from runner.backends.torch.schedule import steps_per_epoch, total_steps
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError
from runner.data.coco import CocoSet, load_coco
from runner.training.sampler import balanced_order, describe_factors, epoch_order, images_of_epoch, repeat_factors

Pairs = list[tuple[int, int]]
"""The samples of one batch as (epoch, sample) pairs."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The training set and its division into steps.

    Args:
        sources: the images.
        images_per_epoch: samples of an epoch, each counted `repeat` times; as many as images unless a sampler shows some more often.
        factors: Float64[N], how often it shows each image; None without one.
        steps_per_epoch, total_steps: optimiser steps.
        notes: what was left out of the annotation file, for people.
        classes: names in the order of the model's outputs.
    """

    sources: tuple[SourceImage, ...]
    images_per_epoch: int
    steps_per_epoch: int
    total_steps: int
    factors: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


def load_training_data(config: TorchConfig) -> TrainingData:
    """Read TrainDataset. Raises InputError where it cannot be used, or does not fill one step."""
    data = load_dataset(config.train_dataset, evaluation=False)
    sources = tuple(_source(data, image_index) for image_index in range(len(data.images)))
    factors, notes = None, data.notes
    images = len(sources)
    if (sampler := config.train_reader.sampler) is not None:
        classes = [source.classes for source in sources]
        factors = repeat_factors(classes, sampler.oversample_thresh)
        images = images_of_epoch(factors)
        notes = (*notes, describe_factors(factors, classes, data.class_names))
    steps = steps_per_epoch(config, images), total_steps(config, images)
    return TrainingData(sources, images, *steps, factors, notes, data.class_names)


def load_dataset(dataset: schema.COCODataSet, *, evaluation: bool) -> CocoSet:
    """Return the COCO file of a data set section; all images, also those without objects, for evaluation. Raises InputError
    with everything that is wrong.
    """
    anno_path, image_dir = dataset_paths(dataset)
    return load_coco(
        anno_path,
        image_dir,
        allow_empty=evaluation or dataset.allow_empty,
        sample_num=dataset.sample_num,
        empty_ratio=1.0 if evaluation else dataset.empty_ratio,
    )


def dataset_paths(dataset: schema.COCODataSet) -> tuple[Path, Path]:
    """Return (annotation file, image folder) of a data set section."""
    return Path(dataset.dataset_dir, dataset.anno_path), Path(dataset.dataset_dir, dataset.image_dir)


def evaluation_images(config: TorchConfig) -> list[ImageRef]:
    """List all images of EvalDataset, also those without objects."""
    data = load_dataset(config.eval_dataset, evaluation=True)
    return [ImageRef(image.id, data.path(image), (image.width, image.height)) for image in data.images]


def training_batches(config: TorchConfig, data: TrainingData, first: int, last: int) -> Iterator[Pairs]:
    """Yield the batches of steps `first` (included) to `last` (excluded), `gradient_accumulation` of them per step; nothing
    is read.

    The order of an epoch is divided into groups of batch_size * gradient_accumulation samples, a group into batches.
    """
    batch_size = config.train_reader.batch_size
    group_size = batch_size * config.gradient_accumulation
    order, order_epoch = np.empty(0, dtype=np.int64), -1
    for step in range(first, last):
        epoch, place = divmod(step, data.steps_per_epoch)
        if epoch != order_epoch:
            order, order_epoch = _order(config, data, epoch), epoch
        group = [(epoch, int(number)) for number in order[place * group_size : (place + 1) * group_size]]
        for start in range(0, len(group), batch_size):
            yield group[start : start + batch_size]


def _order(config: TorchConfig, data: TrainingData, epoch: int) -> NDArray[np.int64]:
    n_samples, shuffle = data.images_per_epoch * config.train_dataset.repeat, config.train_reader.shuffle
    if data.factors is None:
        return epoch_order(config.seed, epoch, n_samples, shuffle=shuffle)
    return balanced_order(config.seed, epoch, data.factors, n_samples, shuffle=shuffle)


def batches_of_step(config: TorchConfig, data: TrainingData, step: int) -> int:
    """Return the number of batches of `step`: gradient_accumulation, or fewer at the end of an epoch without drop_last."""
    batch_size = config.train_reader.batch_size
    group_size = batch_size * config.gradient_accumulation
    left = data.images_per_epoch * config.train_dataset.repeat - (step % data.steps_per_epoch) * group_size
    return -(-min(group_size, left) // batch_size)


def mixed_until(train_reader: schema.TrainReader) -> tuple[int, int] | None:
    """Return how many images a sample is mixed of and before which epoch (0: in all); None if none ever is."""
    mixing = [(2, train_reader.mixup_epoch), (5, train_reader.mosaic_epoch)]
    return next(((images, epochs) for images, epochs in mixing if epochs is not None and epochs >= 0), None)


@contextmanager
def training_steps(
    config: TorchConfig, data: TrainingData, first: int, *, pin_memory: bool = False
) -> Iterator[Iterator[list[PackedBatch]]]:
    """Iterate over what the steps from `first` to the end of training read: a list of batches per step. Workers end
    with the context.

    Raises:
        InputError: an image cannot be read, or a worker died; names the file.
    """
    reading = _shared_notes(config.worker_num)
    samples = Samples(
        data.sources,
        config.train_reader.sample_transforms,
        config.train_reader.batch_transforms,
        seed=config.seed,
        mixed_until=mixed_until(config.train_reader),
        channels_last=config.channels_last,
        reading=reading,
    )
    plan = training_batches(config, data, first, data.total_steps)

    def steps(batches: Iterator[PackedBatch]) -> Iterator[list[PackedBatch]]:
        for step in range(first, data.total_steps):
            yield list(islice(batches, batches_of_step(config, data, step)))

    with _reading(samples, plan, config.worker_num, pin_memory=pin_memory) as batches:
        yield steps(batches)


def inference_batches(
    config: TorchConfig, reader: schema.EvalReader | schema.TestReader, images: Sequence[ImageRef], *, pin_memory: bool = False
) -> Iterator[PackedBatch]:
    """Yield the images in their order, `reader.batch_size` at a time, the last batch smaller.

    Raises:
        InputError: as `training_steps`.
    """
    none, no_classes = np.empty((0, 4), dtype=np.float32), np.empty(0, dtype=np.int64)
    sources = [SourceImage(image.id, image.path, image.size, none, no_classes, image.pixels) for image in images]
    workers = min(config.worker_num, -(-len(sources) // reader.batch_size))
    samples = Samples(
        sources,
        reader.sample_transforms,
        reader.batch_transforms,
        seed=config.seed,
        channels_last=config.channels_last,
        reading=_shared_notes(workers),
    )
    numbers = range(len(sources))
    batches = (
        [(0, number) for number in numbers[start : start + reader.batch_size]] for start in range(0, len(sources), reader.batch_size)
    )
    with _reading(samples, batches, workers, pin_memory=pin_memory) as read:
        yield from read


@contextmanager
def _reading(samples: Samples, batches: Iterable[Pairs], workers: int, *, pin_memory: bool) -> Iterator[Iterator[PackedBatch]]:
    """Iterate over what `batches` name; the workers have ended when this is left.

    A worker that dies is noticed as a broken connection, or by torch when nothing has come for five seconds. Either becomes an InputError
    that names the image the worker was at.
    """
    loader: DataLoader[Any] = DataLoader(
        samples,
        batch_size=None,  # the sampler's items are whole batches already
        sampler=batches,
        num_workers=workers,
        collate_fn=_identity,
        pin_memory=pin_memory,
        worker_init_fn=_start_worker,
        multiprocessing_context="fork" if workers > 0 and sys.platform == "linux" else None,
        prefetch_factor=2 if workers > 0 else None,
        generator=torch.Generator(),  # its own: else every iterator made would draw from the global one
    )
    iterator = iter(loader)
    with _deaths_unheard():
        try:
            yield map(_checked, iterator)
        except (RuntimeError, OSError, EOFError) as error:
            dead = _dead_workers(iterator, error) if workers > 0 else set()
            if not dead:
                raise
            raise InputError(_death_in_words(samples, dead, error)) from error
        finally:
            if workers > 0:
                iterator._shutdown_workers()  # type: ignore[attr-defined]


@contextmanager
def _deaths_unheard() -> Iterator[None]:
    """Keep torch's handler of SIGCHLD out: it raises at whatever line the death of a worker finds us, also where nothing can be closed."""
    if not hasattr(signal, "SIGCHLD") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before if before is not None else signal.SIG_DFL)


def _dead_workers(iterator: Any, error: Exception) -> set[int]:
    """Return the process ids of the workers that died, if that caused `error`."""
    dead = {int(number) for number in re.findall(r"\d+", str(error))} if "DataLoader worker" in str(error) else set()
    if isinstance(error, ConnectionError | EOFError):
        for process in iterator._workers:
            process.join(timeout=1)
            if process.exitcode:
                dead.add(process.pid)
    return dead


def _death_in_words(samples: Samples, dead: set[int], error: Exception) -> str:
    notes = samples.reading.tolist() if samples.reading is not None else []
    numbers = [number for pid, number in notes if pid in dead and number >= 0]
    names = ", ".join(str(samples.sources[number % len(samples.sources)].path) for number in numbers) or "an image"
    return (
        f"a process that reads images died while it read {names}: {(str(error).splitlines() or [type(error).__name__])[0]} If the file "
        "opens elsewhere, memory or shared memory (/dev/shm) may "
        "have run out: fewer worker_num need less, worker_num=0 needs none"
    )


def _identity(batch: Any) -> Any:
    return batch


def _start_worker(worker: int) -> None:
    """Prepare a fresh worker: the terminal's Ctrl-C goes to every process of the group, but only the trainer may act on it
    (it saves, then ends us).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(0)
    info = get_worker_info()
    if info is not None and isinstance(info.dataset, Samples) and info.dataset.reading is not None:
        info.dataset.reading[worker, 0] = os.getpid()


def _shared_notes(workers: int) -> Tensor | None:
    return torch.full((workers, 2), -1, dtype=torch.int64).share_memory_() if workers > 0 else None  # type: ignore[no-untyped-call]


def _checked(batch: PackedBatch | FailedBatch) -> PackedBatch:
    if isinstance(batch, FailedBatch):
        raise InputError(batch.problems)
    return batch


def _source(data: CocoSet, index: int) -> SourceImage:
    """Return a training image without its crowd boxes."""
    image = data.images[index]
    keep = ~image.is_crowd
    return SourceImage(image.id, data.path(image), (image.width, image.height), image.boxes[keep], image.classes[keep])
