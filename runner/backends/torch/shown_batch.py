"""First batch of a training, with its normalisation undone, for people to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runner.backends.base import TrainingImage
from runner.backends.torch.reader import load_training_data, training_steps
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.transforms.schema import NormalizeImage


def first_batch(config: TorchConfig) -> tuple[list[TrainingImage], tuple[str, ...]]:
    """Return the images of the first batch of a training with `config`, as the model sees them (resized, augmented and padded), and the
    names of the classes.

    Raises:
        InputError: the training set cannot be used, or an image cannot be read.
    """
    data = load_training_data(config)
    with training_steps(config, data, 0) as steps:
        packed = next(steps)[0]
    pixels = _without_normalization(packed.images.permute(0, 2, 3, 1).numpy(), config)
    ends = np.cumsum(packed.counts)[:-1]
    boxes, classes = np.split(packed.boxes.numpy(), ends), np.split(packed.classes.numpy(), ends)
    return [TrainingImage(*parts) for parts in zip(pixels, boxes, classes, packed.names, strict=True)], data.classes


def _without_normalization(images: NDArray[np.float32], config: TorchConfig) -> NDArray[np.uint8]:
    """Undo NormalizeImage: Float32[B, H, W, 3] → UInt8[B, H, W, 3]."""
    reader = config.train_reader
    for normalize in [one for one in (*reader.sample_transforms, *reader.batch_transforms) if isinstance(one, NormalizeImage)]:
        if normalize.norm_type == "mean_std":
            images = images * np.asarray(normalize.std, dtype=np.float32) + np.asarray(normalize.mean, dtype=np.float32)
        if normalize.is_scale:
            images = images * np.float32(255)
    return np.clip(images.round(), 0, 255).astype(np.uint8)
