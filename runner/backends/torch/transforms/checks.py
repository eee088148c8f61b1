"""Checks of the readers: what does not fit together in their transforms. Imports neither torch nor OpenCV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from runner.backends.torch.transforms import schema
from runner.backends.torch.transforms.sizes import has_one_size_per_batch
from runner.core.errors import Problem

if TYPE_CHECKING:
    from runner.backends.torch.models.base import DetectorModel
    from runner.backends.torch.schema import EvalReader, TestReader, TorchConfig, TrainReader

    Reader = TrainReader | EvalReader | TestReader

_ONCE = ("Decode", "Mixup", "Mosaic", "Permute", "NormalizeImage", "BatchRandomResize", "PadGT", "PadBatch")
_ANY_LAYOUT = (schema.NormalizeBox, schema.BboxXYXY2XYWH, schema.PadBox, schema.PadGT, schema.PadBatch)
"""Transforms that take images with the channels first as well."""
_AFTER_PAD_BATCH = (schema.NormalizeBox, schema.BboxXYXY2XYWH, schema.PadBox, schema.PadGT)
_MOVES = (
    *(schema.Resize, schema.RandomResize, schema.RandomShortSideResize, schema.BatchRandomResize, schema.PadResize, schema.Pad),
    *(
        schema.RandomFlip,
        schema.RandomExpand,
        schema.RandomCrop,
        schema.RandomSizeCrop,
        schema.AutoAugment,
        schema.Mixup,
        schema.Mosaic,
        schema.Torchvision,
    ),
)
"""Transforms that take boxes as corners in pixels."""
_BYTES = (schema.Mixup, schema.Mosaic, schema.AugmentHSV, schema.AutoAugment, schema.Torchvision)
"""Transforms that compute with whole grey levels of 0 to 255."""
_FRACTIONS = (schema.RandomDistort, schema.RandomExpand, schema.Pad, schema.PadResize, schema.AugmentHSV, schema.NormalizeImage)
"""Transforms whose result is a floating-point image."""
_TRAINING_ONLY = (
    *(schema.RandomFlip, schema.RandomExpand, schema.RandomCrop, schema.RandomSizeCrop, schema.RandomSelect, schema.PadResize),
    *(schema.RandomDistort, schema.AugmentHSV, schema.AutoAugment, schema.Mixup, schema.Mosaic, schema.PadBox, schema.Torchvision),
)
_MIXING = ((schema.Mixup, "mixup_epoch"), (schema.Mosaic, "mosaic_epoch"))


def check_readers(config: TorchConfig, model: DetectorModel) -> Iterator[Problem]:
    """Find what does not fit together in the readers of `config`, and what they have for another architecture than `model`."""
    readers: dict[str, Reader | None] = {
        "TrainReader": config.train_reader,
        "EvalReader": config.eval_reader,
        "TestReader": config.test_reader,
    }
    for name, reader in readers.items():
        if reader is None:
            continue
        if reader.num_classes != config.num_classes:
            text = f"is {reader.num_classes}, num_classes is {config.num_classes}: left out, it is the same"
            yield Problem(text, key=f"{name}.num_classes")
        yield from _order(name, reader, model)
        for group in ("sample_transforms", "batch_transforms"):
            for index, transform in enumerate(getattr(reader, group)):
                yield from _values(transform, f"{name}.{group}.{index}")
                if name != "TrainReader" and isinstance(transform, _TRAINING_ONLY):
                    text = f"{type(transform).__name__} is for training: boxes would be predicted in the changed image; take it out here"
                    yield Problem(text, key=f"{name}.{group}.{index}")
        yield from _for_other_architectures(name, reader, model)
    yield from _mixing(config.train_reader)


def _for_other_architectures(name: str, reader: Reader, model: DetectorModel) -> Iterator[Problem]:
    for own in reader.batch_transforms:
        if isinstance(own, schema.SHARED_BATCH_TRANSFORMS):
            continue
        if name != "TrainReader":
            text = f"{type(own).__name__} makes what training learns from; take it out here"
        elif not isinstance(own, model.batch_transforms):
            text = f"{type(own).__name__} is for another architecture than {model.schema.__name__}; take it out"
        else:
            continue
        yield Problem(text, key=f"{name}.batch_transforms")


def _mixing(reader: TrainReader) -> Iterator[Problem]:
    """Find a Mixup or Mosaic that has no epochs, or epochs that have no transform."""
    for cls, key in _MIXING:
        given = any(isinstance(transform, cls) for transform in reader.sample_transforms)
        epochs = getattr(reader, key)
        if given and epochs is None:
            text = f"missing: without it {cls.__name__} is never applied; give the epoch from which it stops, or 0 for never"
            yield Problem(text, key=f"TrainReader.{key}")
        elif not given and epochs is not None and epochs >= 0:
            yield Problem(f"no effect without {cls.__name__} in sample_transforms", key=f"TrainReader.{key}")
    if all(any(isinstance(transform, cls) for transform in reader.sample_transforms) for cls, _ in _MIXING):
        text = "Mixup and Mosaic cannot be combined (PaddleDetection fails on both too); Mosaic has a mixup of its own, enable_mixup"
        yield Problem(text, key="TrainReader.sample_transforms")


# ------------------------------------------------------------------------------------------------------------------ order
def _order(name: str, reader: Reader, model: DetectorModel) -> Iterator[Problem]:
    """Find transforms in the wrong order: as in PaddleDetection they are applied as given, and most expect something of the image."""
    key = f"{name}.sample_transforms"
    transforms = [*reader.sample_transforms, *reader.batch_transforms]
    names = [type(transform).__name__ for transform in transforms]
    for once in (*_ONCE, *(cls.__name__ for cls in model.batch_transforms)):
        if names.count(once) > 1:
            yield Problem(f"{once} is given {names.count(once)} times; keep one", key=key)
    if names[:1] != ["Decode"]:
        yield Problem("must begin with Decode: {}", key=key)
    if "Permute" not in names:
        yield Problem("Permute: {} is missing; the model takes channels first", key=key)
    else:
        behind = transforms[names.index("Permute") + 1 :]
        if late := _names(one for one in behind if _is_shared(one) and not isinstance(one, (schema.Permute, *_ANY_LAYOUT))):
            yield Problem(f"{late} must come before Permute, which puts the channels first", key=key)
    if "PadBatch" in names:
        behind = transforms[names.index("PadBatch") + 1 :]
        if late := _names(one for one in behind if _is_shared(one) and not isinstance(one, _AFTER_PAD_BATCH)):
            yield Problem(f"{late} must come before PadBatch", key=f"{name}.batch_transforms")
    elif reader.batch_size > 1 and not has_one_size_per_batch(reader):
        yield Problem(f"images of different sizes cannot form a batch of {reader.batch_size}: add PadBatch", key=f"{name}.batch_transforms")
    yield from _expectations(transforms, key)


def _expectations(transforms: Sequence[Any], key: str) -> Iterator[Problem]:
    """Find transforms of whole grey levels behind those that make fractions, and of corners in pixels behind other layouts of boxes."""
    flat = list(_with_selected(transforms))
    for needs, breaks, text in (
        (_BYTES, _FRACTIONS, "{} must come before {}, after which grey levels are no longer whole numbers of 0 to 255"),
        (_MOVES, (schema.NormalizeBox, schema.BboxXYXY2XYWH), "{} must come before {}, after which boxes are no corners in pixels"),
    ):
        first = next((index for index, one in enumerate(flat) if isinstance(one, breaks)), len(flat))
        if late := _names(one for one in flat[first + 1 :] if isinstance(one, needs)):
            yield Problem(text.format(late, type(flat[first]).__name__), key=key)


def _with_selected(transforms: Sequence[Any]) -> Iterator[Any]:
    """Yield the transforms in order, in place of each RandomSelect those of both its lists."""
    for transform in transforms:
        if isinstance(transform, schema.RandomSelect):
            yield from _with_selected([*transform.transforms1, *transform.transforms2])
        else:
            yield transform


def _is_shared(transform: Any) -> bool:
    """Return whether a transform is applied by the reader, and not left to the network of an architecture."""
    return type(transform).__module__ == schema.__name__


def _names(transforms: Iterator[Any]) -> str:
    return ", ".join(dict.fromkeys(type(one).__name__ for one in transforms))


# ----------------------------------------------------------------------------------------------------------------- values
def _values(transform: Any, key: str) -> Iterator[Problem]:
    """Find values of one transform that do not fit together."""
    match transform:
        case schema.RandomResize() | schema.BatchRandomResize():
            yield from _drawn_sizes(transform, key)
        case schema.NormalizeImage() if len(transform.mean) != 3 or len(transform.std) != 3:
            yield Problem("NormalizeImage needs three means and three standard deviations, one per channel", key=key)
        case schema.RandomShortSideResize() if not transform.short_side_sizes:
            yield Problem("is empty: give at least one size", key=f"{key}.short_side_sizes")
        case schema.RandomSizeCrop() if transform.min_size > transform.max_size:
            yield Problem(f"is {transform.min_size}, more than max_size {transform.max_size}", key=f"{key}.min_size")
        case schema.Pad() if (transform.pad_mode == -1) != (transform.offsets is not None):
            yield Problem("offsets and pad_mode -1 belong together: give both or neither", key=f"{key}.offsets")
        case schema.AugmentHSV():
            gains = [gain is None for gain in (transform.hgain, transform.sgain, transform.vgain)]
            if any(gains) and not all(gains):
                yield Problem("hgain, sgain and vgain belong together: give all three or none", key=key)
        case schema.RandomDistort():
            for part in ("hue", "saturation", "contrast", "brightness"):
                yield from _interval(getattr(transform, part), f"{key}.{part}")
        case schema.RandomCrop():
            yield from _interval(transform.scaling, f"{key}.scaling")
            yield from _interval(transform.aspect_ratio or (1.0, 1.0), f"{key}.aspect_ratio")
        case schema.Mosaic():
            for part in ("degrees", "translate", "scale", "shear", "mixup_scale"):
                yield from _interval(getattr(transform, part), f"{key}.{part}")
        case schema.Torchvision() if text := schema.torchvision_transforms().fault(transform):
            yield Problem(text, key=key)
        case schema.RandomSelect():
            for part in ("transforms1", "transforms2"):
                for index, one in enumerate(getattr(transform, part)):
                    yield from _values(one, f"{key}.{part}.{index}")


def _interval(values: tuple[float, ...], key: str) -> Iterator[Problem]:
    """Find an interval that is upside down, and a third value that is no probability."""
    if values[0] > values[1]:
        yield Problem(f"the lower bound {values[0]:g} is above the upper one {values[1]:g}", key=key)
    if len(values) > 2 and not 0 <= values[2] <= 1:  # noqa: PLR2004 - [lower, upper, probability]
        yield Problem(f"the third value is the probability of not applying it, from 0 to 1; got {values[2]:g}", key=key)


def _drawn_sizes(transform: schema.RandomResize | schema.BatchRandomResize, key: str) -> Iterator[Problem]:
    sizes = transform.target_size
    if isinstance(sizes, int):
        if transform.random_size:
            yield Problem("random_size draws from a list; give [size, size, …], or random_size: false", key=f"{key}.target_size")
        return
    pairs = all(isinstance(size, tuple) for size in sizes)
    if not sizes:
        yield Problem("is empty: give at least one size", key=f"{key}.target_size")
    elif isinstance(transform, schema.RandomResize) and transform.random_range:
        if len(sizes) != 2 or not pairs or sizes[0][0] > sizes[1][0]:  # type: ignore[index]
            yield Problem("random_range needs two sizes, [[shortest, longer side], [longest, longer side]]", key=f"{key}.target_size")
    elif not transform.random_size and (len(sizes) != 2 or pairs):
        yield Problem("random_size: false needs one size, [height, width]", key=f"{key}.target_size")
