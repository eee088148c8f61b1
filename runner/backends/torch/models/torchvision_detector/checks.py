"""Checks of a config of torchvision's detectors. Imports no torch, but for a backbone of timm, which has to be asked."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from itertools import pairwise
from typing import Any

from runner.backends.torch import schema
from runner.backends.torch.models.layers.checks import check_weights_for_timm
from runner.backends.torch.models.layers.timm_features import Features, features_of
from runner.backends.torch.models.torchvision_detector.arguments import argument_problem, arguments_of, torchvision_folder, weights_of
from runner.backends.torch.models.torchvision_detector.facts import LEVELS_ADDED, MODEL_FACTS, SIZE_DIVISOR_PX, SSD_SCALES, ModelFacts
from runner.backends.torch.models.torchvision_detector.schema import Anchors, TorchvisionDetector
from runner.backends.torch.models.weight_sources import is_weights_name
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.transforms import schema as transforms
from runner.backends.torch.transforms.sizes import is_fixed_size
from runner.core.errors import InputError, NotInstalled, Problem, how_to_install
from runner.weights.names import without_pin

_KEY = "TorchvisionDetector"
_SETS_SIZE = (transforms.Resize, transforms.RandomResize, transforms.BatchRandomResize, transforms.PadResize, transforms.Pad)
_NORM_GROUPS = 32
"""Groups of the group norm in the head of FCOS."""


def check_torchvision(config: TorchConfig) -> list[Problem]:
    """Find everything in `config` that torchvision's detector cannot be built with or trained on; empty if all fits."""
    detector: TorchvisionDetector = config.architecture
    facts = MODEL_FACTS[detector.model]
    problems = list(_backbone(detector, facts))
    features = None
    if detector.backbone is not None and not problems:
        try:
            features = features_of(detector.backbone)
            problems += _timm_levels(features)
        except InputError as error:
            problems += error.problems
    problems += [*_anchors(detector.anchors, detector.model, facts, features), *_prior(detector, facts), *_readers(config, facts)]
    problems += [*_installed(config, detector), *check_weights_for_timm(detector.backbone, config.pretrain_weights)]
    return [*problems, *_built_with(config, detector, facts), *_trainable(config, detector, facts)]


def _backbone(detector: TorchvisionDetector, facts: ModelFacts) -> Iterator[Problem]:
    if facts.body == "timm":
        if detector.backbone is None:
            text = f"missing: {detector.model} is built on a backbone of timm; give backbone: Timm and a section Timm: {{name: resnet50d}}"
            yield Problem(text, key=f"{_KEY}.backbone")
        if facts.kind == "FCOS" and (detector.out_channels or _NORM_GROUPS) % _NORM_GROUPS:
            text = f"is {detector.out_channels}; the group norm of FCOS's head needs a multiple of {_NORM_GROUPS}"
            yield Problem(text, key=f"{_KEY}.out_channels")
        return
    other = f"give model: {facts.kind}" if facts.kind in LEVELS_ADDED else f"the classes {', '.join(LEVELS_ADDED)} take another one"
    if detector.backbone is not None:
        yield Problem(f"{detector.model} has its own backbone: take it out, or {other}", key=f"{_KEY}.backbone")
    if detector.out_channels is not None:
        yield Problem(f"{detector.model} has its own pyramid: take it out, or {other}", key=f"{_KEY}.out_channels")


def _timm_levels(features: Features) -> Iterator[Problem]:
    if any(high != 2 * low for low, high in pairwise(features.strides)) or not features.strides:
        text = f"gives features of stride {list(features.strides)}; a pyramid needs each to be twice the one before"
        yield Problem(text, key="Timm.out_indices")


def _anchors(anchors: Anchors | None, model: str, facts: ModelFacts, features: Features | None) -> Iterator[Problem]:
    if anchors is None:
        return
    key = f"{_KEY}.anchors"
    if facts.kind == "FCOS":
        yield Problem("FCOS has no anchors: each location stands for a square of its level's stride; take it out", key=key)
    elif facts.kind == "SSD":
        if anchors.sizes is not None:
            yield Problem(f"is for Faster R-CNN and RetinaNet; {model} takes scales", key=f"{key}.sizes")
        if anchors.scales is not None and len(anchors.scales) != SSD_SCALES:
            text = f"has {len(anchors.scales)} scales; {model} takes {SSD_SCALES}, one more than it has levels"
            yield Problem(text, key=f"{key}.scales")
    else:
        if anchors.scales is not None:
            yield Problem(f"is for SSD; {model} takes sizes", key=f"{key}.scales")
        if anchors.sizes is not None:
            yield from _anchor_sizes(anchors, model, facts, features)


def _anchor_sizes(anchors: Anchors, model: str, facts: ModelFacts, features: Features | None) -> Iterator[Problem]:
    sizes, key = anchors.sizes or (), f"{_KEY}.anchors.sizes"
    ratios = len(anchors.aspect_ratios)
    counts = tuple(len(level) * ratios for level in sizes)
    levels = len(facts.anchors) or (len(features.strides) + LEVELS_ADDED[facts.kind] if features is not None else len(sizes))
    if len(sizes) != levels:
        yield Problem(f"has {len(sizes)} levels; {model} has {levels}: give a list of sizes for each, finest first", key=key)
    elif len(set(counts)) != 1 or counts[0] == 0:
        yield Problem(f"gives {list(counts)} anchors per location; every level must have the same number, at least one", key=key)
    elif facts.anchors and counts != facts.anchors:
        text = f"and aspect_ratios give {counts[0]} anchors per location; the head of {model} is made for {facts.anchors[0]}"
        yield Problem(f"{text}: give {facts.anchors[0]} as sizes x aspect ratios", key=key)


def _prior(detector: TorchvisionDetector, facts: ModelFacts) -> Iterator[Problem]:
    if detector.prior_probability is None:
        return
    key = f"{_KEY}.prior_probability"
    if facts.kind not in ("RetinaNet", "FCOS"):
        yield Problem(f"{detector.model} has no such prior: its classes start equally likely; take it out", key=key)
    elif detector.prior_probability >= 1:
        yield Problem(f"is {detector.prior_probability:g}; a score to start with must be below 1", key=key)


# ------------------------------------------------------------------------------------------------------------ readers
def _readers(config: TorchConfig, facts: ModelFacts) -> Iterator[Problem]:
    for name, reader in (("TrainReader", config.train_reader), ("EvalReader", config.eval_reader), ("TestReader", config.test_reader)):
        if reader is None:
            continue
        if facts.size_px is not None:
            yield from _square(name, reader, facts.size_px)
        elif _padding(reader) % SIZE_DIVISOR_PX or _padding(reader) == 0:
            side = _resized_to(reader)
            if side is None or any(length % SIZE_DIVISOR_PX for length in side):
                text = f"torchvision pads images to a multiple of {SIZE_DIVISOR_PX} pixels (size_divisible), here the reader does: give"
                yield Problem(f"{text} PadBatch: {{pad_to_stride: {SIZE_DIVISOR_PX}}}", key=f"{name}.batch_transforms")


def _square(name: str, reader: schema.TrainReader | schema.EvalReader | schema.TestReader, side: int) -> Iterator[Problem]:
    """Find a reader whose images are not all squares of this side in pixels."""
    if _resized_to(reader) != (side, side):
        text = f"the model is made for images of {side} x {side} pixels, and here the reader resizes: the last of the resizes must be"
        yield Problem(f"{text} Resize: {{target_size: [{side}, {side}], keep_ratio: false}}", key=f"{name}.sample_transforms")
    elif (padding := _padding(reader)) and side % padding:
        text = f"PadBatch pads {side} pixels to a multiple of {padding}; the model takes {side}: give PadBatch: {{}}"
        yield Problem(text, key=f"{name}.batch_transforms")


def _resized_to(reader: schema.TrainReader | schema.EvalReader | schema.TestReader) -> tuple[int, int] | None:
    """Return the height and width in pixels that all images leave the reader with before padding; None if they differ."""
    if not is_fixed_size(reader):
        return None
    last = [one for one in (*reader.sample_transforms, *reader.batch_transforms) if isinstance(one, _SETS_SIZE)][-1:]
    size: Any = (last[0].size if isinstance(last[0], transforms.Pad) else last[0].target_size) if last else None
    while isinstance(size, tuple) and len(size) == 1:  # one size to draw from
        size = size[0]
    return (size, size) if isinstance(size, int) else size


def _padding(reader: schema.TrainReader | schema.EvalReader | schema.TestReader) -> int:
    """Return the number of pixels that a side is padded to a multiple of; 0: to the largest of the batch."""
    return next((max(0, one.pad_to_stride) for one in reader.batch_transforms if isinstance(one, transforms.PadBatch)), 0)


# -------------------------------------------------------------------------------- what the installed torchvision knows
def _installed(config: TorchConfig, detector: TorchvisionDetector) -> Iterator[Problem]:
    """Find arguments and weights that the installed torchvision's model does not take."""
    named = {key: name for key, name in _names(config, detector).items() if name is not None}
    if not detector.arguments and not named:
        return
    folder = torchvision_folder()
    if folder is None:
        text = f"needs the package torchvision, which is not installed here: {how_to_install('.[torch]')}"
        yield NotInstalled(text, key=_KEY)
        return
    version, known = metadata.version("torchvision"), arguments_of(detector.model, folder)
    if not known:
        yield Problem(f"torchvision {version} has no {detector.model}: install a newer one", key=f"{_KEY}.model")
        return
    found = {name: argument_problem(detector.model, name, value, known, version) for name, value in detector.arguments.items()}
    yield from (Problem(text, key=f"{_KEY}.{name}") for name, text in found.items() if text)
    if not any(found.values()):
        yield from _thresholds({name: detector.arguments.get(name, one.default) for name, one in known.items()})
    for key, weights in named.items() if detector.backbone is None else ():
        yield from _named_weights(detector, weights, key, weights_of(detector.model, folder))


def _thresholds(values: dict[str, object]) -> Iterator[Problem]:
    """Find IoU thresholds of the background above those of objects."""
    for name, low in values.items():
        high = values.get(name.replace("bg_iou", "fg_iou"))
        if "bg_iou" in name and isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            text = f"is {low:g}, above {name.replace('bg_iou', 'fg_iou')} {high:g}: background cannot overlap an object more than that"
            yield Problem(text, key=f"{_KEY}.{name}")


def _names(config: TorchConfig, detector: TorchvisionDetector) -> dict[str, str | None]:
    """Return the names of weights in the config, by key; None where there is none."""
    weights = without_pin(config.pretrain_weights or "")
    return {"pretrain_weights": weights if is_weights_name(weights) else None, f"{_KEY}.built_with": detector.built_with}


def _named_weights(detector: TorchvisionDetector, weights: str, key: str, classes: tuple[str, ...]) -> Iterator[Problem]:
    name = weights.partition(".")[0]
    if name not in classes:
        yield Problem(f"is {weights}; {detector.model} takes weights of {' or '.join(classes)}", key=key)
    elif MODEL_FACTS[detector.model].body == "ssdlite" and name == classes[-1]:
        text = f"is {weights}: with weights of the backbone torchvision builds SSDLite with twice the channels in its last layers,"
        yield Problem(f"{text} which is not supported here; give weights of {classes[0]}, or null", key=key)


def _built_with(config: TorchConfig, detector: TorchvisionDetector, facts: ModelFacts) -> Iterator[Problem]:
    named, built = _names(config, detector).values()
    key = f"{_KEY}.built_with"
    if built is not None and facts.body == "timm":
        yield Problem("is for torchvision's functions; a class on a backbone of timm is built in one way. Take it out", key=key)
    elif built is not None and named is not None and built != named:
        yield Problem(f"is {built}, but pretrain_weights is {named}: take it out", key=key)


def _trainable(config: TorchConfig, detector: TorchvisionDetector, facts: ModelFacts) -> Iterator[Problem]:
    layers = detector.arguments.get("trainable_backbone_layers")
    if layers is None or facts.body == "timm":
        return
    key = f"{_KEY}.trainable_backbone_layers"
    if not any(_names(config, detector).values()):
        text = "has no effect without weights of torchvision: torchvision then trains all layers. Take it out, or name weights in"
        yield Problem(f"{text} pretrain_weights (or, for weights in a file, in built_with)", key=key)
    elif isinstance(layers, int) and layers > facts.most_trainable:
        yield Problem(f"is {layers}; {detector.model} has {facts.most_trainable} such layers", key=key)
