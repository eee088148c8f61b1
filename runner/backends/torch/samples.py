"""One sample from its file: what a data worker does, and the packed batch it hands over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.backends.torch.batch import Batch
from runner.backends.torch.transforms import schema
from runner.backends.torch.transforms.sample import ImageSample, batch_rng, sample_rng
from runner.backends.torch.transforms.steps import apply_steps, build_steps
from runner.core.errors import InputError, Problem
from runner.data.images import read_image


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An image on disk and what is known about it.

    Args:
        id: image id.
        path: the file.
        size: (width, height) in pixels that the annotation gives, None if there is none.
        boxes: Float32[N, 4], xyxy in pixels; crowd boxes are left out already.
        classes: Int64[N], 0-based.
        pixels: UInt8[H, W, 3], RGB, where it has been read already.
    """

    id: int
    path: Path
    size: tuple[int, int] | None
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    pixels: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """A `Batch` with the boxes of all images in one tensor: few tensors cross from worker to trainer, and to the
    device.

    Args:
        images: Float[B, 3, H, W].
        boxes: Float[sum N, 4], xyxy in pixels.
        classes: Int64[sum N].
        scales: Float[B, 2], height and width.
        sizes: Int64[B, 2], height and width.
        counts: objects of each image.
        ids, names: of each image.
    """

    images: Tensor
    boxes: Tensor
    classes: Tensor
    scales: Tensor
    sizes: Tensor
    counts: tuple[int, ...]
    ids: tuple[int, ...]
    names: tuple[str, ...]

    def to_batch(self, device: torch.device, *, channels_last: bool = False) -> Batch:
        """Return the batch on `device`; copies do not wait for it where the memory is pinned."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return Batch(
            images=self.images.to(device, non_blocking=True, memory_format=layout),
            boxes=torch.split(self.boxes.to(device, non_blocking=True), list(self.counts)),
            classes=torch.split(self.classes.to(device, non_blocking=True), list(self.counts)),
            scales=self.scales.to(device, non_blocking=True),
            sizes=self.sizes.to(device, non_blocking=True),
            ids=self.ids,
            names=self.names,
        )

    def pin_memory(self) -> PackedBatch:
        """Return the same batch in page-locked memory (torch's DataLoader calls this)."""
        tensors = {name: getattr(self, name).pin_memory() for name in ("images", "boxes", "classes", "scales", "sizes")}
        return PackedBatch(**tensors, counts=self.counts, ids=self.ids, names=self.names)


@dataclass(frozen=True, slots=True)
class FailedBatch:
    """Substitute for a batch that a data worker could not make. (An exception would arrive with the worker's
    traceback as its text.)
    """

    problems: tuple[Problem, ...]


class Samples(torch.utils.data.Dataset[PackedBatch | FailedBatch]):
    """Batches by their (epoch, sample) pairs. Knows no order and keeps no state, so any process may read any batch.

    Args:
        sources: the images; sample number s is image s modulo their number.
        transforms, batch_transforms: as configured.
        seed: the run's.
        mixed_until: (images, epochs): how many images a sample is mixed of (2 for Mixup, 5 for Mosaic), in the epochs before that one; 0
            epochs: in all.
        channels_last: memory layout of the images handed over.
        reading: shared Int64[workers, 2] in which each worker notes its process id and the sample it reads (for the
            message if it dies), or None.
    """

    def __init__(
        self,
        sources: Sequence[SourceImage],
        transforms: Sequence[schema.SampleTransform],
        batch_transforms: Sequence[schema.BatchTransform],
        *,
        seed: int,
        mixed_until: tuple[int, int] | None = None,
        channels_last: bool = False,
        reading: Tensor | None = None,
    ) -> None:
        self.sources = sources
        self.reading = reading
        self._steps, self._batch_steps = build_steps(transforms), build_steps(batch_transforms)
        self._mixed_until = mixed_until
        self._stride = next((t.pad_to_stride for t in batch_transforms if isinstance(t, schema.PadBatch)), 0)
        self._seed = seed
        self._channels_last = channels_last

    def __getitem__(self, batch: Sequence[tuple[int, int]]) -> PackedBatch | FailedBatch:
        """Read one batch. `batch` holds one (epoch, sample) pair per image."""
        try:
            samples = [self._finish(self.read(epoch, number), batch[0]) for epoch, number in batch]
            return collate(samples, self._stride, channels_last=self._channels_last)
        except InputError as error:
            return FailedBatch(error.problems)

    def read(self, epoch: int, number: int) -> ImageSample:
        """Read sample `number` of `epoch` and apply the sample transforms.

        Raises:
            InputError: the image cannot be read, or is not of the size its annotation gives.
        """
        rng = sample_rng(self._seed, epoch, number)
        others = [self._load(int(rng.integers(len(self.sources)))) for _ in range(self._mixed_with(epoch))]
        return apply_steps(self._load(number), self._steps, rng, others)

    def _finish(self, sample: ImageSample, first: tuple[int, int]) -> ImageSample:
        """Apply the batch transforms. Every image of a batch draws the same, from the generator of the batch's `first` sample."""
        return apply_steps(sample, self._batch_steps, batch_rng(self._seed, *first))

    def _mixed_with(self, epoch: int) -> int:
        """Return the number of other images that a sample of `epoch` is mixed with."""
        images, epochs = self._mixed_until or (1, 0)
        return images - 1 if epochs == 0 or epoch < epochs else 0

    def _load(self, number: int) -> ImageSample:
        self._mark_read(number)
        source = self.sources[number % len(self.sources)]
        image = read_image(source.path, expected_size=source.size) if source.pixels is None else source.pixels
        found = (image.shape[1], image.shape[0])
        if source.size is not None and found != source.size:
            message = "the image is {} x {} pixels, its annotation says {} x {}: the boxes cannot be trusted; correct the annotation file"
            raise InputError(Problem(message.format(*found, *source.size), str(source.path)))
        return ImageSample(image, source.boxes, source.classes, (1.0, 1.0), source.id, source.path.name)

    def _mark_read(self, number: int) -> None:
        worker = torch.utils.data.get_worker_info()
        if self.reading is not None and worker is not None:
            self.reading[worker.id, 1] = number


def collate(samples: Sequence[ImageSample], stride: int, *, channels_last: bool = False) -> PackedBatch:
    """Pad the images with zeros, right and below, to a multiple of `stride` pixels (0 or less: to the largest), and pack the
    objects.
    """
    sizes = np.asarray([sample.size for sample in samples], dtype=np.int64)
    height, width = (int(side) if stride <= 0 else -(-int(side) // stride) * stride for side in sizes.max(axis=0))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    padded = bool((sizes != (height, width)).any())
    images = (torch.zeros if padded else torch.empty)((len(samples), 3, height, width), dtype=torch.float32)
    images = images.contiguous(memory_format=layout)
    view = images.numpy()
    for place, sample in zip(view, samples, strict=True):
        image = sample.image if sample.channels_first else sample.image.transpose(2, 0, 1)
        place[:, : sample.size[0], : sample.size[1]] = image
    return PackedBatch(
        images=images,
        boxes=torch.from_numpy(np.concatenate([sample.boxes for sample in samples]).astype(np.float32, copy=False)),
        classes=torch.from_numpy(np.concatenate([sample.classes for sample in samples]).astype(np.int64, copy=False)),
        scales=torch.tensor([sample.scale for sample in samples], dtype=torch.float32),
        sizes=torch.tensor([sample.unpadded or sample.size for sample in samples]),
        counts=tuple(len(sample.boxes) for sample in samples),
        ids=tuple(sample.id for sample in samples),
        names=tuple(sample.name for sample in samples),
    )
