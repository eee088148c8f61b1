"""ppdet's readers with randomness that is derived: what is drawn for an image depends on the seed, the epoch and the image's place in it,
whatever the number of worker processes and ranks, and wherever a run was resumed.

ppdet 2.6.0 shuffles by the epoch alone (every seed sees one order) and draws augmentation from one stream per process.
"""

from __future__ import annotations

import functools
import os
import random
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.backends.base import ImageRef
from runner.backends.paddle.ppdet import load_ppdet
from runner.core.errors import InputError, Problem, TrainingFailed
from runner.core.process import PARENT_VARIABLE, die_with_parent
from runner.core.values import counted
from runner.training.sampler import epoch_order

load_ppdet()

import cv2  # noqa: E402
import paddle  # noqa: E402
from ppdet.core.workspace import get_registered_modules  # noqa: E402
from ppdet.data import reader as ppdet_reader  # noqa: E402
from ppdet.data.source.dataset import ImageFolder  # noqa: E402

_SAMPLE, _BATCH = 1, 2
"""What a random stream is for."""

Item = tuple[int, int, int]
"""(epoch, place in the epoch over all ranks, index of the image)."""


@dataclass(slots=True)
class Course:
    """Remaining steps of a training to read.

    Args:
        seed: of the run.
        step: the next step, counted from 0 over the whole training.
        total: where it ends.
        rank, ranks: which of several processes this is.
    """

    seed: int
    step: int = 0
    total: int = 0
    rank: int = 0
    ranks: int = 1


class TrainReader(ppdet_reader.TrainReader):  # type: ignore[misc]
    """ppdet's TrainReader, defaults and all, with the data in the order, and with the randomness, of a `Course`. One iteration is one
    epoch, or what is left of it."""

    course = Course(0)

    def __call__(self, dataset: Any, worker_num: int, batch_sampler: Any = None, return_list: bool = False) -> TrainReader:
        """See ppdet's."""
        del batch_sampler, return_list
        self.dataset = dataset
        dataset.parse_dataset()
        dataset.set_transform(self._sample_transforms)
        dataset.set_kwargs(**self.kwargs)
        self._workers = worker_num
        if len(self) < 1:
            batch = self.batch_size * self.course.ranks
            raise InputError(Problem(f"{counted(len(dataset), 'image')} cannot fill one batch of {batch}", key="TrainReader.batch_size"))
        return self

    def __len__(self) -> int:
        batch, images = int(self.batch_size) * self.course.ranks, len(self.dataset)
        return images // batch if self.drop_last else -(-images // batch)

    def __iter__(self) -> Iterator[Any]:
        epoch, course = self.dataset._epoch, self.course
        start = epoch * len(self)
        batches = [self.items(step) for step in range(max(start, course.step), min(start + len(self), course.total))]
        return _iterate(_Seeded(self.dataset, course.seed), batches, self._collate, self._workers, self.use_shared_memory)

    def items(self, step: int) -> list[Item]:
        """List what this rank reads in a step."""
        epoch, inside = divmod(step, len(self))
        order = epoch_order(self.course.seed, epoch, len(self.dataset), shuffle=self.shuffle)
        first = (inside * self.course.ranks + self.course.rank) * self.batch_size
        places = [place % len(order) for place in range(first, first + self.batch_size)]
        if self.course.ranks == 1:
            places = places[: max(0, len(order) - first)]
        return [(epoch, place, int(order[place])) for place in places]

    def names(self, step: int) -> list[str]:
        """Files of the images of a step."""
        return [str(self.dataset.roidbs[index % len(self.dataset.roidbs)]["im_file"]) for _, _, index in self.items(step)]

    def _collate(self, samples: Sequence[tuple[Item, Any]]) -> Any:
        epoch, place, _ = samples[0][0]
        with _drawn_from(self.course.seed, _BATCH, epoch, place):
            return self._batch_transforms([sample for _, sample in samples])


class _Seeded:
    """A data set whose every item is read with a random stream of its own."""

    def __init__(self, dataset: Any, seed: int) -> None:
        self._dataset, self._seed = dataset, seed

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, item: Item) -> tuple[Item, Any]:
        epoch, place, index = item
        self._dataset._curr_iter = epoch * len(self._dataset) + place
        with _drawn_from(self._seed, _SAMPLE, epoch, place):
            return item, self._dataset[index]


def train_by(course: Course) -> None:
    """Have ppdet make its TrainReader of this module. (Its own module keeps the original, whose methods look themselves up there.)"""
    TrainReader.course = course
    get_registered_modules()["TrainReader"].pymodule = sys.modules[__name__]


def image_reader(name: str, images: Sequence[ImageRef], workers: int, batch_size: int | None = None) -> Any:
    """Batches of `images` in their order, as ppdet's reader `name` makes them; ``im_id`` is the position in `images`."""
    from ppdet.core.workspace import create  # noqa: PLC0415

    dataset = ImageFolder()
    dataset.roidbs = [
        {"im_id": np.array([number]), "im_file": str(image.path), **_encoded(image.pixels)} for number, image in enumerate(images)
    ]
    loader = create(name)
    dataset.set_transform(loader._sample_transforms)
    dataset.set_kwargs()
    size = batch_size or int(loader.batch_size)
    batches = [list(range(first, min(first + size, len(images)))) for first in range(0, len(images), size)]
    return _iterate(dataset, batches, loader._batch_transforms, workers, loader.use_shared_memory)


def _encoded(pixels: Any) -> dict[str, bytes]:
    """Return what ppdet's Decode takes in place of a file's content; nothing where the file is to be read."""
    if pixels is None:
        return {}
    return {"image": cv2.imencode(".bmp", np.ascontiguousarray(pixels[:, :, ::-1]))[1].tobytes()}


def _iterate(dataset: Any, batches: Sequence[Sequence[Any]], collate: Callable[[Any], Any], workers: int, shared: bool) -> Iterator[Any]:
    """One pass. Without worker processes it reads in this thread: Paddle's loader would read in another one, and random streams are a
    process's."""
    if workers == 0:
        return (_to_tensors(collate([dataset[item] for item in batch])) for batch in batches)
    loader = paddle.io.DataLoader(
        dataset=dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        return_list=False,
        use_shared_memory=shared,
        worker_init_fn=functools.partial(_end_with, os.getpid()),
    )
    return _causes_told(iter(loader), lambda place: collate([dataset[item] for item in batches[place]]), len(batches), 2 * workers + 4)


def _causes_told(loader: Iterator[Any], read: Callable[[int], Any], batches: int, ahead: int) -> Iterator[Any]:
    """Yield the batches of `loader` and reproduce its errors. Paddle 3.3.1 does not say why a reading process failed: reading is
    deterministic, so the batches it may have been reading (`ahead` from the last one) are read here, which fails in the same way."""
    given = 0
    try:
        for batch in loader:
            given += 1
            yield batch
    except (SystemError, RuntimeError) as error:
        for place in range(given, min(given + ahead, batches)):
            read(place)
        raise reader_died(error) or error from error


def reader_died(error: BaseException) -> TrainingFailed | None:
    """Explain an error that Paddle's loader raises, anywhere in the main thread, if a reading process died. None for other errors."""
    words = str(error)
    if "DataLoader" not in words and "Blocking queue is killed" not in words:
        return None
    killed = re.search(r"DataLoader \w+ *\(pid[^)]*\)[^.\n]*", words)
    detail = f" ({killed.group()})" if killed else ""
    return TrainingFailed(
        f"a process that reads images died{detail}: most often for lack of memory. A smaller worker_num or batch_size needs less; "
        "worker_num=0 reads without such processes"
    )


def _end_with(parent: int, _worker: int) -> None:
    """End reading processes with their parent: in Paddle 3.3.1 one whose parent was killed may wait for ever to hand over a batch."""
    os.environ[PARENT_VARIABLE] = str(parent)
    die_with_parent()


def _to_tensors(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _to_tensors(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_tensors(item) for item in value]
    return paddle.to_tensor(value) if isinstance(value, np.ndarray | np.generic) else value


@contextmanager
def _drawn_from(*entropy: int) -> Iterator[None]:
    """numpy's and Python's global generators at the start of the stream that `entropy` names, and as they were afterwards."""
    before, python_before = np.random.get_state(), random.getstate()
    words = np.random.SeedSequence(entropy).generate_state(2)
    np.random.seed(words[0])
    random.seed(int(words[1]))
    try:
        yield
    finally:
        np.random.set_state(before)
        random.setstate(python_before)
