"""Hints about a config and its data: what will hurt, and which key changes it. One line each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from runner.advice.measures import Measures, sides_of
from runner.config import image_size, levels
from runner.config.geometry import geometry_of
from runner.core.values import counted

LEAST_PX: Final = 8.0
"""Smallest side of a box, in pixels of the resized image, that a detector finds with some certainty: 8 px are one location of the usual
finest stride, and what tells classes apart is gone below."""
LEAST_STRIDES: Final = 1.25
"""Smallest side of a box in strides of the finest level. A location learns a box only if it lies in it; a square of 1.25 strides always has
one, and at times four."""
TAIL: Final = 0.05
"""Share of the boxes that may be too small, or too large, without a hint."""
_MOSTLY: Final = 0.5
"""A class is concerned if this share of its boxes is."""
_NAMED: Final = 3
ACTIVATIONS: Final = 100
"""Memory of a training step in sizes of its input tensor, at least: batches of 8 images of 640×640 take about 5 GiB with a ResNet-18 on a
CPU, 130 times their input. Larger backbones take more."""
_FINE_STRIDE: Final = 4
"""Finest stride of a level: `LEAST_PX` are more than `LEAST_STRIDES` of it."""


def size_hints(config: Mapping[str, Any], data: Measures) -> list[str]:
    """Write one sentence for each way in which the boxes of a training set do not suit the size of the images and the levels of a plain
    config; none where the config's size is not known (crops, mosaics)."""
    found = geometry_of(config, "EvalReader")
    if found is None or found.sizes is None or len(found.sizes) > 1 or not len(data.boxes):
        return []
    size = found.sizes[0] if found.sizes else None
    boxes = data.resized(size, keep_ratio=bool(found.keep_ratio))
    strides = _strides(config)
    return [*_too_small(data, boxes, strides, size), *_too_large(data, boxes, strides, size)]


def _too_small(data: Measures, boxes: NDArray[np.float64], strides: Sequence[int], size: tuple[int, int] | None) -> Iterator[str]:
    sides = sides_of(boxes)
    least = max(LEAST_PX, LEAST_STRIDES * strides[0] if strides else 0.0)
    low = float(np.quantile(sides, TAIL))
    if low >= least:
        return
    remedy = f"{image_size.KEY} of about {_size_for(data, least)} gives them {least:.0f} px"
    if strides and strides[0] > _FINE_STRIDE:
        remedy += f", or {levels.KEY} that begin at stride {_FINE_STRIDE}, not {strides[0]}"
        if low < LEAST_PX:
            remedy += f", and {_size_for(data, LEAST_PX)} for {LEAST_PX:.0f} px"
    concerned = _concerned(data, sides < least)
    yield f"{100 * TAIL:.0f} % of the boxes are below {low:.0f} px with images at {_shown(size)}: {concerned}; {remedy}"


def _size_for(data: Measures, least: float) -> list[int]:
    """Return the size of the images, [height, width], at which the small boxes have `least` pixels."""
    scale = least / float(np.quantile(data.sides, TAIL))
    return [math.ceil(side * scale) for side in data.typical]


def _too_large(data: Measures, boxes: NDArray[np.float64], strides: Sequence[int], size: tuple[int, int] | None) -> Iterator[str]:
    if not strides:
        return
    reach, longer = 2 * levels.REACH_STRIDES * strides[-1], boxes.max(axis=1)
    high = float(np.quantile(longer, 1 - TAIL))
    if high <= reach:
        return
    more = [*strides, *(stride for stride in levels.STRIDES if strides[-1] < stride < high / levels.REACH_STRIDES)]
    if levels.strides_of(more) is None:
        more = list(strides)
    text = (
        f"{100 * TAIL:.0f} % of the boxes are longer than {high:.0f} px with images at {_shown(size)}: "
        f"{_concerned(data, longer > reach)}; the coarsest level, stride {strides[-1]}, is for boxes of up to {reach} px; "
    )
    enough = 2 * levels.REACH_STRIDES * more[-1]
    if high > enough:
        smaller = [max(1, int(side * enough / high)) for side in (size or data.typical)]
        remedy = f"{image_size.KEY} of about {smaller} makes them {enough} px"
        yield text + remedy + (f", with {levels.KEY}: {more}" if more != list(strides) else "")
    else:
        yield f"{text}{levels.KEY}: {more} has one for them"


def memory_hint(config: Mapping[str, Any], available_gib: float) -> list[str]:
    """Write one sentence where a batch of a plain config needs more memory than there is; none where the size of its images is not known.

    The estimate: batch × 3 × height × width × 4 bytes of the input, times `ACTIVATIONS` for what the network keeps.

    Args:
        available_gib: memory that training may use, of the GPU if it trains on one.
    """
    reader, found = config.get("TrainReader"), geometry_of(config, "TrainReader")
    batch = reader.get("batch_size") if isinstance(reader, Mapping) else None
    if found is None or not found.sizes or type(batch) is not int:
        return []
    size = max(found.sizes, key=math.prod)
    need_gib = batch * 3 * math.prod(size) * 4 * ACTIVATIONS / 2**30
    if need_gib <= available_gib:
        return []
    return [
        f"a batch of {counted(batch, 'image')} of {_shown(size)} needs about {need_gib:.0f} GiB of memory, and {available_gib:.1f} GiB are "
        f"available; reduce {image_size.KEY} or TrainReader.batch_size"
    ]


def _shown(size: tuple[int, int] | None) -> str:
    return "their own size" if size is None else f"{size[0]}×{size[1]}"


def _strides(config: Mapping[str, Any]) -> Sequence[int]:
    head = config.get("FCOSHead")
    found = head.get("fpn_stride") if isinstance(head, Mapping) else None
    return found if isinstance(found, list | tuple) and found else ()


def _concerned(data: Measures, hit: NDArray[np.bool_]) -> str:
    """Name the classes most of whose boxes are hit; where there is none, the one with the largest share."""
    n_classes = len(data.class_names)
    all_, hits = (np.bincount(data.classes[which], minlength=n_classes) for which in (slice(None), hit))
    shares = hits / np.maximum(all_, 1)
    order = np.argsort(-shares, kind="stable")
    mostly = [int(index) for index in order if shares[index] >= _MOSTLY] or [int(order[0])]
    more = f" and {len(mostly) - _NAMED} more classes" if len(mostly) > _NAMED else ""
    return ", ".join(f"{data.class_names[index]} ({100 * shares[index]:.0f} % of them)" for index in mostly[:_NAMED]) + more
