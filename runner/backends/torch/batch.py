"""What the reader hands to the model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Images of one step with their objects, in the pixels of the resized image.

    Args:
        images: Float[B, 3, H, W], normalised, padded with zeros right and below.
        boxes: B of Float[N, 4], xyxy in pixels.
        classes: B of Int64[N], 0-based, without background.
        scales: Float[B, 2], (resized / stored) of height and width: boxes divided by it are in stored pixels.
        sizes: Int64[B, 2], height and width in pixels before padding.
        ids: B image ids.
        names: B file names, for messages.
    """

    images: Tensor
    boxes: tuple[Tensor, ...]
    classes: tuple[Tensor, ...]
    scales: Tensor
    sizes: Tensor
    ids: tuple[int, ...]
    names: tuple[str, ...]

    def to(self, device: torch.device, *, channels_last: bool = False) -> Batch:
        """The same batch on `device`; copies do not wait for the device where the memory is pinned."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return Batch(
            images=self.images.to(device, non_blocking=True, memory_format=layout),
            boxes=tuple(box.to(device, non_blocking=True) for box in self.boxes),
            classes=tuple(label.to(device, non_blocking=True) for label in self.classes),
            scales=self.scales.to(device, non_blocking=True),
            sizes=self.sizes.to(device, non_blocking=True),
            ids=self.ids,
            names=self.names,
        )

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory (torch's DataLoader calls this)."""
        return Batch(
            images=self.images.pin_memory(),
            boxes=tuple(box.pin_memory() for box in self.boxes),
            classes=tuple(label.pin_memory() for label in self.classes),
            scales=self.scales.pin_memory(),
            sizes=self.sizes.pin_memory(),
            ids=self.ids,
            names=self.names,
        )
