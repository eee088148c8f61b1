"""torchvision's transforms (torchvision.transforms.v2) under its names: declared from their signatures, checked, and applied to a sample.

What such a transform draws comes from torch's and Python's global generators; they are seeded from the sample's own, and put back after.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import numbers
import random
import types
import typing
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

import numpy as np
import torch
import torchvision
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from runner.backends.torch.transforms import schema
from runner.backends.torch.transforms.sample import Draws, ImageSample, Step
from runner.core.errors import InputError, nearest

_NO_BOXES = "it does not support boxes"
_WHY_REFUSED = {
    "CutMix MixUp": "it needs a whole batch, and classes of images instead of boxes; Mixup and Mosaic join images with boxes",
    "Normalize ToDtype ConvertImageDtype ToImage ToPILImage PILToTensor ToPureTensor ToTensor": (
        "images are converted and normalised by the reader's NormalizeImage and Permute"
    ),
    "ClampBoundingBoxes ConvertBoundingBoxFormat SanitizeBoundingBoxes SetClampingMode": (
        "boxes are cut off at the border and cleaned after every v2 transform anyway"
    ),
    "ClampKeyPoints SanitizeKeyPoints": "there are no key points here",
    "Compose RandomApply RandomChoice RandomOrder": (
        "its arguments are transforms, which a config cannot write; RandomSelect chooses between two lists"
    ),
    "AutoAugment RandAugment TrivialAugmentWide AugMix": f"{_NO_BOXES}; AutoAugment (without v2.) has policies for boxes",
    "FiveCrop TenCrop": "it makes several images of one",
    "RandomErasing": f"{_NO_BOXES}: torchvision passes them through with a warning",
    "LinearTransformation": "its argument is a matrix, which a config cannot write",
    "UniformTemporalSubsample": "it is for videos",
    "Lambda": "its argument is a function, which a config cannot write",
}
_REFUSED = {name: why for listed, why in _WHY_REFUSED.items() for name in listed.split()}
"""Transforms that cannot be given, and why."""
_PROBES = 4
"""Samples that a transform is tried on, each with other random numbers."""


@functools.cache
def names() -> tuple[str, ...]:
    """List the transforms of the installed torchvision that can be given."""
    found = [name for name, cls in vars(v2).items() if isinstance(cls, type) and issubclass(cls, v2.Transform) and cls is not v2.Transform]
    return tuple(sorted(name for name in found if name not in _REFUSED))


@functools.cache
def declared(name: str) -> type[schema.Torchvision]:
    """Declare the config of a transform: its arguments with their types and defaults, as the installed torchvision has them.

    Args:
        name: with its prefix, ``v2.RandomIoUCrop``.

    Raises:
        InputError: there is no such transform, or it cannot be used on images with boxes.
    """
    own = name.removeprefix(schema.Torchvision.names.prefix)
    if own in _REFUSED:
        raise InputError(f"{name} cannot be used: {_REFUSED[own]}")
    if own not in names():
        hint = nearest(name, [schema.Torchvision.names.prefix + one for one in names()]) or f"it has {', '.join(names())}"
        raise InputError(f"torchvision {torchvision.__version__} has no transform {name!r}; {hint}")
    cls = getattr(v2, own)
    hints = typing.get_type_hints(cls.__init__)
    arguments: list[Any] = []
    for argument in inspect.signature(cls).parameters.values():
        default = tuple(argument.default) if isinstance(argument.default, list) else argument.default
        kind = _declared_kind(argument.name, hints.get(argument.name, type(default)))
        if kind is not None and default is inspect.Parameter.empty:
            arguments.append((argument.name, kind))
        elif kind is not None and isinstance(default, bool | int | float | str | tuple | None):
            arguments.append((argument.name, kind, dataclasses.field(default=default)))
    made = dataclasses.make_dataclass(
        name, arguments, bases=(schema.Torchvision,), frozen=True, kw_only=True, namespace={"__module__": schema.__name__}
    )
    made.__doc__ = f"See torchvision.transforms.v2.{own}."
    return made


_INTERPOLATIONS = Literal["nearest", "nearest-exact", "bilinear", "bicubic"]


def _declared_kind(name: str, hint: Any) -> Any:
    """Return the type of an argument as a config declares it; None where YAML cannot write a value of it."""
    if name == "interpolation":
        return _INTERPOLATIONS
    origin, members = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        kinds = [kind for member in members if (kind := _declared_kind("", member)) is not None]
        return typing.Union[tuple(kinds)] if kinds else None  # noqa: UP007 - made of values
    if origin is Literal or hint in (bool, int, float, str, type(None)):
        return hint
    if hint is numbers.Number:
        return float
    if hint is Sequence or origin in (list, tuple, Sequence) or hint in (list, tuple):
        if origin is tuple and Ellipsis not in members and len(members) > 1:
            return tuple[members]  # type: ignore[valid-type] # made of values
        inner = _declared_kind("", members[0]) if members else float
        return None if inner is None else tuple[inner, ...]  # type: ignore[valid-type]
    return None


def build(config: schema.Torchvision) -> Any:
    """Make the transform.

    Raises:
        InputError: torchvision refuses its arguments.
    """
    name = type(config).__name__
    arguments = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    try:
        return getattr(v2, name.removeprefix(config.names.prefix))(**arguments)
    except (TypeError, ValueError, AssertionError) as error:
        raise InputError(f"torchvision refuses the arguments of {name}: {error}") from error


def step(config: schema.Torchvision) -> Step:
    """Make a function of a transform: UInt8 in and out. Boxes are cut off at the border; those of less than a pixel per side, or of less
    than a square pixel, go with their classes (`v2.SanitizeBoundingBoxes`)."""
    transform = build(config)

    def apply(sample: ImageSample, rng: Draws) -> ImageSample:
        image = tv_tensors.Image(torch.from_numpy(np.ascontiguousarray(sample.image)).permute(2, 0, 1))
        boxes = tv_tensors.BoundingBoxes(torch.from_numpy(sample.boxes), format="XYXY", canvas_size=sample.size)
        with _seeded(int(rng.integers(2**31))):
            new_image, new_boxes = transform(image, boxes)
        new_boxes, keep = F.sanitize_bounding_boxes(F.clamp_bounding_boxes(new_boxes))
        classes = sample.classes[keep.numpy()]
        pixels = np.ascontiguousarray(new_image.permute(1, 2, 0).numpy())
        return replace(sample, image=pixels, boxes=new_boxes.numpy().astype(np.float32), classes=classes, unpadded=None)

    return apply


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's and Python's global generators, and put their states back at the end."""
    state = random.getstate()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)


def fault(config: schema.Torchvision) -> str:
    """Try a transform on a few images with boxes and say why it cannot be used; empty if it can."""
    name = type(config).__name__
    try:
        apply = step(config)
    except InputError as error:
        return str(error)
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    boxes = np.asarray([[10, 10, 60, 50], [30, 40, 120, 90]], dtype=np.float32)
    sample = ImageSample(image, boxes, np.arange(2), (1.0, 1.0), 0, "a probe")
    for seed in range(_PROBES):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.simplefilter("ignore", DeprecationWarning)
                found = apply(sample, np.random.default_rng(seed))
        except Exception as error:  # noqa: BLE001 - any transform of any torchvision is tried
            return f"{name} fails on an image with boxes: {error}"
        if found.image.dtype != np.uint8 or found.image.shape[2:] != (3,):
            return f"{name} makes {found.image.dtype} images of shape {list(found.image.shape)}; expected three channels of uint8"
    return ""
