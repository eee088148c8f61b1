"""Images and objects of a batch as the models of transformers take them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from runner.backends.torch.batch import Batch
from runner.backends.torch.models.transformers_detector.checks import padded


@dataclass(frozen=True, slots=True)
class Inputs:
    """Input of a model.

    Args:
        images: Float[B, 3, H, W].
        mask: Int64[B, H, W], 1 where the image is and 0 where padding is; None for a model that takes padding as a part of the image.
        extents: Float[B, 2], (width, height) in pixels of what boxes are relative to: the image without padding where it is masked, else
            with it.
    """

    images: Tensor
    mask: Tensor | None
    extents: Tensor


def inputs_of(batch: Batch, *, stride: int, masked: bool) -> Inputs:
    """Pad the images of a batch with zeros, right and below, to a multiple of `stride` pixels, and mask the padding if it is `masked`."""
    height, width = batch.images.shape[-2:]
    images = F.pad(batch.images, (0, padded(width, stride) - width, 0, padded(height, stride) - height))
    if not masked:
        height, width = images.shape[-2:]
        return Inputs(images, None, torch.tensor([[width, height]], dtype=torch.float32, device=images.device).expand(len(images), 2))
    sizes = batch.sizes.to(images.device)
    rows = torch.arange(images.shape[-2], device=images.device) < sizes[:, :1]
    columns = torch.arange(images.shape[-1], device=images.device) < sizes[:, 1:]
    return Inputs(images, (rows[:, :, None] & columns[:, None, :]).long(), sizes.flip(1).float())


def labels_of(batch: Batch, extents: Tensor) -> list[dict[str, Tensor]]:
    """Return the objects of each image: ``class_labels`` Int64[N] and ``boxes`` Float[N, 4], (centre x, centre y, width, height) relative
    to the extents."""
    found = []
    for boxes, classes, extent in zip(batch.boxes, batch.classes, extents, strict=True):
        low, high = boxes.float().chunk(2, dim=1)
        relative = torch.cat(((low + high) / 2, high - low), dim=1) / extent.repeat(2)
        found.append({"class_labels": classes, "boxes": relative})
    return found
