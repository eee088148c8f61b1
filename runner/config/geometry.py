"""Image geometry of training and evaluation, and its differences: size, aspect ratio, normalisation, padding, channel order.

The metrics of a model say little if it is evaluated at another size or with another normalisation than it was trained with. Multi-scale
training with one evaluation size is usual: an evaluation size within the range of the training sizes is no difference. Where a reader has
an operator whose result is not known here (a crop, a mosaic), its sizes are not compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runner.config.node import key_parts
from runner.core.sentences import sentence
from runner.core.values import format_value, same_value

READERS: Final = ("TrainReader", "EvalReader")
_RESIZES: Final = ("Resize", "RandomResize", "BatchRandomResize", "LetterBoxResize")
_UNKNOWN: Final = (
    *("Crop", "Mosaic", "Select", "Resize", "Expand", "Warp", "Affine", "Perspective"),
    *("ScaleJitter", "ZoomOut", "Rotation", "Elastic", "ShortestSize", "v2.Pad"),
)
"""Substrings of the names of operators whose effect on an image's size is not known here."""
_NORMALIZATION: Final = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "is_scale": True, "norm_type": "mean_std"}


@dataclass(frozen=True, slots=True)
class Geometry:
    """Size and pixel values of the images that a reader yields.

    Args:
        sizes: (height, width) in pixels of each size, (shorter, longer side) with `keep_ratio`; None: not known; empty: as the file is.
        keep_ratio: whether the aspect ratio is kept; None without a resize.
        size_key: dotted key of the last resize's size; empty without one.
        ratio_key: the same for its ratio.
        normalization: key to value; None without any. `normalization_key`: its dotted key.
        stride: batches are padded to a multiple of it; 0 without. `stride_key`: its dotted key.
        channels: keys that choose the order of the channels.
    """

    sizes: tuple[tuple[int, int], ...] | None = ()
    keep_ratio: bool | None = None
    size_key: str = ""
    ratio_key: str = ""
    normalization: Mapping[str, Any] | None = None
    normalization_key: str = ""
    stride: int = 0
    stride_key: str = ""
    channels: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class ReaderDifference:
    """One difference between training and evaluation: its subject, both values, and both dotted keys."""

    what: str
    train: str
    eval: str
    train_key: str = ""
    eval_key: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.train} in training, {self.eval} in evaluation"


def differences(config: Mapping[str, Any]) -> list[ReaderDifference]:
    """List the differences between `TrainReader` and `EvalReader` of a plain config; empty where either is missing."""
    train, eval_ = (geometry_of(config, name) for name in READERS)
    if train is None or eval_ is None:
        return []
    return [*_sizes(train, eval_), *_normalization(train, eval_), *_padding(train, eval_), *_channels(train, eval_)]


def geometry_of(config: Mapping[str, Any], name: str) -> Geometry | None:
    """Return the geometry of a reader of a plain config; None where it has no such reader."""
    reader = config.get(name)
    return _geometry(reader, name) if isinstance(reader, Mapping) else None


def geometry_warnings(trials: Sequence[tuple[str, Mapping[str, Any]]], varied: Collection[str] = ()) -> list[str]:
    """Write one sentence for each difference between training and evaluation.

    Args:
        trials: (label, plain config) of each trial, the baseline first; a single config is one trial.
        varied: dotted keys that the trials vary.
    """
    everywhere = {str(found): found for found in differences(trials[0][1])} if trials else {}
    result = [_of_all(found) for found in everywhere.values()]
    seen: set[str] = set()
    for label, config in trials[1:]:
        for found in differences(config):
            if str(found) not in everywhere and found.what not in seen:
                seen.add(found.what)
                result.append(_of_trial(label, found, varied))
    return result


def readers_of(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return the readers of a flattened config (dotted key to scalar or list) as nested mappings and lists."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        parts = key_parts(key)
        if parts[0] in READERS:
            node = nested
            for part in parts[:-1]:
                node = node.setdefault(part, {})
                if not isinstance(node, dict):
                    break  # a key with a dot in its name
            else:
                node[parts[-1]] = value
    return {key: _with_lists(value) for key, value in nested.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {key: _with_lists(item) for key, item in value.items()}
    return list(items.values()) if items and all(key.isdecimal() for key in items) else items


def _of_all(found: ReaderDifference) -> str:
    known = {"what": found.what, "train": found.train, "eval": found.eval}
    return sentence("geometry-fix", **known, key=found.eval_key) if found.eval_key else sentence("geometry", **known)


def _of_trial(label: str, found: ReaderDifference, varied: Collection[str]) -> str:
    known = {"what": found.what, "train": found.train, "eval": found.eval, "trial": label}
    for source, target in ((found.train_key, found.eval_key), (found.eval_key, found.train_key)):
        if target and target not in varied and source.split(".")[-2:] == target.split(".")[-2:]:
            keys = [key for key in varied if key == source or (key.startswith(f"{source}.") and key[len(source) + 1 :].isdecimal())]
            if keys:
                pairs = ", ".join(f"{target}{key[len(source) :]}: {key}" for key in sorted(keys))
                return sentence("geometry-trial-derive", **known, fix=f"derive: {{{pairs}}}")
    return sentence("geometry-trial-set", **known, key=found.eval_key or "EvalReader")


def _geometry(reader: Mapping[str, Any], name: str) -> Geometry:
    found: dict[str, Any] = {}
    channels = []
    for key, operator, keys in _operators(reader, name):
        if operator in _RESIZES and "target_size" in keys:
            found |= {"sizes": _target_sizes(operator, keys), "keep_ratio": bool(keys.get("keep_ratio", operator != "BatchRandomResize"))}
            found |= {"size_key": f"{key}.target_size", "ratio_key": f"{key}.keep_ratio"}
        elif any(part in operator for part in _UNKNOWN):
            found |= {"sizes": None}
        elif operator == "NormalizeImage":
            found |= {
                "normalization": {part: keys.get(part, default) for part, default in _NORMALIZATION.items()},
                "normalization_key": key,
            }
        elif operator == "PadBatch":
            found |= {"stride": max(int(keys.get("pad_to_stride") or 0), 0), "stride_key": f"{key}.pad_to_stride"}
        channels += [(part, value) for part, value in keys.items() if part in ("to_rgb", "to_bgr")]
    return Geometry(**found, channels=tuple(channels))


def _operators(reader: Mapping[str, Any], name: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (dotted key, name, keys) of each operator of a reader, in order."""
    for group in ("sample_transforms", "batch_transforms"):
        listed = reader.get(group)
        for index, item in enumerate(listed if isinstance(listed, list | tuple) else ()):
            if isinstance(item, Mapping) and isinstance(item.get("name"), str):
                yield f"{name}.{group}.{index}", item["name"], item
            elif isinstance(item, Mapping):
                for operator, keys in item.items():
                    yield f"{name}.{group}.{index}.{operator}", operator, keys if isinstance(keys, Mapping) else {}


def _target_sizes(operator: str, keys: Mapping[str, Any]) -> tuple[tuple[int, int], ...] | None:
    given = keys["target_size"]
    several = operator in ("RandomResize", "BatchRandomResize") and keys.get("random_size", True)
    sizes = given if several and isinstance(given, list | tuple) else [given]
    pairs = [(size, size) if isinstance(size, int) else tuple(size) if isinstance(size, list | tuple) else () for size in sizes]
    if not pairs or any(len(pair) != 2 or not all(isinstance(side, int) for side in pair) for pair in pairs):
        return None
    return tuple((int(pair[0]), int(pair[1])) for pair in pairs)


def _sizes(train: Geometry, eval_: Geometry) -> Iterator[ReaderDifference]:
    if train.sizes is None or eval_.sizes is None:
        return
    if not _within(train.sizes, eval_.sizes):
        yield ReaderDifference("size", _shown(train.sizes), _shown(eval_.sizes), train.size_key, eval_.size_key)
    if None not in (train.keep_ratio, eval_.keep_ratio) and train.keep_ratio != eval_.keep_ratio:
        yield ReaderDifference(
            "keep_ratio", format_value(train.keep_ratio), format_value(eval_.keep_ratio), train.ratio_key, eval_.ratio_key
        )


def _within(train: Sequence[tuple[int, int]], eval_: Sequence[tuple[int, int]]) -> bool:
    """Return whether every evaluation size is within the range of the training sizes, compared per side."""
    if not train or not eval_:
        return not train and not eval_
    return all(min(one[side] for one in train) <= size[side] <= max(one[side] for one in train) for size in eval_ for side in (0, 1))


def _shown(sizes: Sequence[tuple[int, int]]) -> str:
    texts = list(dict.fromkeys(f"{one}×{other}" for one, other in sorted(sizes)))
    return "the image's own" if not texts else texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]}"


def _normalization(train: Geometry, eval_: Geometry) -> Iterator[ReaderDifference]:
    one, other = train.normalization, eval_.normalization
    if one is None or other is None:
        if one is not other:
            yield ReaderDifference(
                "normalisation", "none" if one is None else "NormalizeImage", "none" if other is None else "NormalizeImage"
            )
        return
    for part in _NORMALIZATION:
        if not same_value(one[part], other[part]):
            keys = (f"{train.normalization_key}.{part}", f"{eval_.normalization_key}.{part}")
            yield ReaderDifference(f"normalisation ({part})", format_value(one[part]), format_value(other[part]), *keys)


def _padding(train: Geometry, eval_: Geometry) -> Iterator[ReaderDifference]:
    """Compare strides where they pad something: not for fixed sizes that are multiples of both."""
    fixed = [side for each in (train, eval_) for size in each.sizes or () for side in size if each.keep_ratio is False]
    known = train.keep_ratio is False and eval_.keep_ratio is False and bool(train.sizes) and bool(eval_.sizes)
    pads = not known or any(side % stride for side in fixed for stride in (train.stride, eval_.stride) if stride)
    if train.stride != eval_.stride and pads and train.sizes is not None and eval_.sizes is not None:
        shown = [f"to a multiple of {each.stride}" if each.stride else "none" for each in (train, eval_)]
        yield ReaderDifference("padding", shown[0], shown[1], train.stride_key, eval_.stride_key)


def _channels(train: Geometry, eval_: Geometry) -> Iterator[ReaderDifference]:
    if train.channels != eval_.channels:
        shown = [", ".join(f"{key} {format_value(value)}" for key, value in each.channels) or "RGB" for each in (train, eval_)]
        yield ReaderDifference("channel order", shown[0], shown[1])
