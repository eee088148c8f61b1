"""Checks of a `TransformersDetector`: what the installed library does not declare, and values that do not fit together.

They need neither torch nor the library's import, so that `runner config check` answers at once. What they miss, the library itself refuses
when the network is built (see `network.build`).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from runner.backends.torch.models.transformers_detector.families import FAMILIES
from runner.backends.torch.models.transformers_detector.keys import BACKBONE, PLACE, TIMM, all_keys, given_keys, key_problems
from runner.backends.torch.models.transformers_detector.schema import TransformersDetector
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.transforms.schema import Resize
from runner.backends.torch.transforms.sizes import is_fixed_size
from runner.core.errors import Missing, Problem, Remark, how_to_install


def check_transformers(config: TorchConfig) -> list[Problem]:
    """Find everything in `config` that does not fit its model of transformers; empty if all fits."""
    detector: TransformersDetector = config.architecture
    missing = [name for name in ("transformers", "scipy") if importlib.util.find_spec(name) is None]
    if missing:
        text = f"needs {' and '.join(missing)}, not installed in this environment: {how_to_install('.[transformers]')}"
        return [Missing(text, key="TransformersDetector")]
    try:
        problems = list(key_problems(detector))
        if not problems:
            problems = list(_value_problems(detector))
    except FileNotFoundError as error:
        text = f"is {detector.model}, which the installed transformers does not have ({error}); update it"
        return [Problem(text, key="TransformersDetector.model")]
    if not problems:
        problems = list(_image_problems(config, all_keys(detector)))
    return [*problems, *_frozen_backbone(config)]


def _frozen_backbone(config: TorchConfig) -> Iterator[Problem]:
    """Warn of random weights that are never trained."""
    detector: TransformersDetector = config.architecture
    backbone = detector.config.get(BACKBONE)
    kind = backbone.get("model_type", FAMILIES[detector.model].default_backbone) if isinstance(backbone, Mapping) else None
    if kind in FAMILIES[detector.model].frozen_backbones and config.pretrain_weights is None:
        text = f"transformers freezes all of a {kind} in {detector.model}: with random weights take hgnet_v2 or timm_backbone"
        yield Remark(text, key=f"{PLACE}.{BACKBONE}.model_type")


def image_stride(keys: Mapping[str, Any]) -> int:
    """Return the number of pixels that the height and width of images must be multiples of."""
    backbone = keys.get(BACKBONE) or {}
    if "feat_strides" in keys:
        return int(max(keys["feat_strides"]))
    if "num_windows" in backbone:
        windows = math.isqrt(backbone["num_windows"]) if "projector_scale_factors" in keys else backbone["num_windows"]
        return _patch(backbone) * int(windows)
    return 1


def location_count(keys: Mapping[str, Any], height: int, width: int) -> int | None:
    """Count the locations that queries are chosen from on images of a size in pixels; None for a model that does not choose."""
    if "feat_strides" in keys:
        strides = list(keys["feat_strides"])
        strides += [strides[-1] * 2**extra for extra in range(1, keys["num_feature_levels"] - len(strides) + 1)]
        return sum(int(-(-height // stride) * -(-width // stride)) for stride in strides)
    if "group_detr" in keys:
        patch = _patch(keys[BACKBONE])
        return sum(int(height / patch * scale) * int(width / patch * scale) for scale in keys.get("projector_scale_factors", (1,)))
    return None


def _patch(backbone: Mapping[str, Any]) -> int:
    size = backbone["patch_size"]
    return int(max(size)) if isinstance(size, list) else int(size)


def padded(side: int, stride: int) -> int:
    """Return the least multiple of `stride` that is not less than `side`."""
    return -(-side // stride) * stride


# ------------------------------------------------------------------------------------------------------------- values
def _value_problems(detector: TransformersDetector) -> Iterator[Problem]:
    keys = all_keys(detector)
    yield from _backbone(keys.get(BACKBONE), detector)
    if FAMILIES[detector.model].is_pyramid:
        yield from _pyramid(keys)
    else:
        yield from _plain_transformer(keys, detector)


def _backbone(backbone: Mapping[str, Any] | None, detector: TransformersDetector) -> Iterator[Problem]:
    place = f"{PLACE}.{BACKBONE}"
    if backbone is None or backbone["model_type"] == TIMM:
        if importlib.util.find_spec("timm") is None:
            what = "is missing, and the library's default is a ResNet-50 of timm" if backbone is None else "is a network of timm"
            text = f"{what}, which is not installed: {how_to_install('.[timm]')}, or give {{model_type: resnet}}"
            yield Missing(text, key=place)
        return
    if "depths" in backbone:
        stages = len(backbone["depths"])
    else:
        stages = backbone["num_hidden_layers"]
        yield from _divisible(backbone, "hidden_size", backbone["num_attention_heads"], "num_attention_heads", place)
    per_stage = [name for name in backbone if name == "hidden_sizes" or (name.startswith("stage_") and isinstance(backbone[name], list))]
    for name in per_stage:
        if len(backbone[name]) != stages:
            yield Problem(f"has {len(backbone[name])} values, depths has {stages}: one per stage", key=f"{place}.{name}")
            return
    if backbone.get("layer_type", "basic") not in ("basic", "bottleneck"):
        yield Problem(f"expected 'basic' or 'bottleneck', got {backbone['layer_type']!r}", key=f"{place}.layer_type")
    names = ["stem", *(f"stage{index}" for index in range(1, stages + 1))]
    levels = _levels(backbone, names)
    if levels is None:
        indices, features = backbone["out_indices"], backbone["out_features"]
        got = f"out_indices {indices}" if features is None else f"out_features {features}"
        text = f"{got} is not a list of its levels in ascending order, each once: out_indices from 0 to {stages}, or {', '.join(names)}"
        yield Problem(text, key=place)
    elif FAMILIES[detector.model].is_pyramid and levels != list(range(levels[0], levels[0] + len(levels))):
        yield Problem(f"hands on levels {levels}; each must be half as large as the one before: give consecutive ones", key=place)
    if levels is not None and backbone["model_type"] == "hgnet_v2":
        yield from _hgnet(backbone, levels, place)
    if levels is not None and FAMILIES[detector.model].is_pyramid:
        yield from _strides(all_keys(detector)["feat_strides"], backbone, levels)


def _levels(backbone: Mapping[str, Any], names: Sequence[str]) -> list[int] | None:
    """Return the numbers of the levels that a backbone hands on; None where they are not levels of it in order."""
    if backbone["out_features"] is not None:
        if backbone["out_indices"] is not None or not set(backbone["out_features"]) <= set(names):
            return None
        levels = [names.index(name) for name in backbone["out_features"]]
    else:
        levels = [index + len(names) if index < 0 else index for index in backbone["out_indices"] or ()]
    in_order = all(low < high for low, high in pairwise(levels)) and all(0 <= level < len(names) for level in levels)
    return levels if levels and in_order else None


def _strides(said: Sequence[int], backbone: Mapping[str, Any], levels: Sequence[int]) -> Iterator[Problem]:
    first = backbone.get("downsample_in_first_stage", False)
    halved = backbone.get("stage_downsample", [first, *[True] * (len(backbone["depths"]) - 1)])
    strides = [4]
    for is_halved in halved:
        strides.append(strides[-1] * (2 if is_halved else 1))
    found = [strides[level] for level in levels]
    if len(said) == len(found) and list(said) != found:
        yield Problem(f"is {list(said)}, but the levels of {BACKBONE} have the strides {found}", key=f"{PLACE}.feat_strides")


def _hgnet(backbone: Mapping[str, Any], levels: Sequence[int], place: str) -> Iterator[Problem]:
    made = [backbone["stem_channels"][-1], *backbone["stage_out_channels"]]
    if backbone["stage_in_channels"] != made[:-1]:
        text = f"is {backbone['stage_in_channels']}; the stem and the stages before give {made[:-1]}"
        yield Problem(text, key=f"{place}.stage_in_channels")
    said = [backbone["embedding_size"], *backbone["hidden_sizes"]]
    if any(said[level] != made[level] for level in levels):
        text = f"is {backbone['hidden_sizes']}, but stage_out_channels is {backbone['stage_out_channels']}: levels handed on must be equal"
        yield Problem(text, key=f"{place}.hidden_sizes")


def _pyramid(keys: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _divisible(keys, "d_model", keys["decoder_attention_heads"], "decoder_attention_heads")
    yield from _divisible(keys, "encoder_hidden_dim", keys["encoder_attention_heads"], "encoder_attention_heads")
    yield from _divisible(keys, "encoder_hidden_dim", 4, "4 (sine and cosine of height and width)")
    levels = len(keys["feat_strides"])
    backbone = keys[BACKBONE]
    if backbone["model_type"] != TIMM and len(backbone["out_indices"] or backbone["out_features"]) != levels:
        count = len(backbone["out_indices"] or backbone["out_features"])
        yield Problem(f"has {levels} strides, but {BACKBONE} hands on {count} levels", key=f"{PLACE}.feat_strides")
        return
    if any(high != 2 * low for low, high in pairwise(keys["feat_strides"])):
        yield Problem(f"is {keys['feat_strides']}; each must be twice the one before", key=f"{PLACE}.feat_strides")
    for name in ("encoder_in_channels", "decoder_in_channels"):
        if len(keys[name]) != levels:
            yield Problem(f"has {len(keys[name])} values, feat_strides has {levels}: one per level", key=f"{PLACE}.{name}")
    width = keys["encoder_hidden_dim"]
    if any(channels != width for channels in keys["decoder_in_channels"]):
        text = f"is {keys['decoder_in_channels']}, but every level of the encoder has encoder_hidden_dim {width} channels"
        yield Problem(text, key=f"{PLACE}.decoder_in_channels")
    if keys["num_feature_levels"] < levels:
        yield Problem(f"is {keys['num_feature_levels']}, but there are {levels} levels", key=f"{PLACE}.num_feature_levels")
    if keys.get("decoder_n_levels", keys["num_feature_levels"]) != keys["num_feature_levels"]:
        text = f"is {keys['decoder_n_levels']}, but num_feature_levels is {keys['num_feature_levels']}: they must be equal"
        yield Problem(text, key=f"{PLACE}.decoder_n_levels")
    points = keys["decoder_n_points"]
    if isinstance(points, list) and len(points) != keys["num_feature_levels"]:
        yield Problem(f"has {len(points)} values; num_feature_levels is {keys['num_feature_levels']}", key=f"{PLACE}.decoder_n_points")
    if any(not 0 <= index < levels for index in keys["encode_proj_layers"]):
        yield Problem(f"is {keys['encode_proj_layers']}; the levels are 0 to {levels - 1}", key=f"{PLACE}.encode_proj_layers")
    if keys["learn_initial_query"]:
        yield Problem("is true, with which the installed transformers fails: give false", key=f"{PLACE}.learn_initial_query")
    if not keys["use_focal_loss"]:
        text = "is false, but the library's loss and scores are those of independent classes: give true"
        yield Problem(text, key=f"{PLACE}.use_focal_loss")
    if keys.get("decoder_method", "default") not in ("default", "discrete"):
        yield Problem(f"expected 'default' or 'discrete', got {keys['decoder_method']!r}", key=f"{PLACE}.decoder_method")
    layers = keys["decoder_layers"]
    if "eval_idx" in keys and not -layers <= keys["eval_idx"] < layers:
        yield Problem(f"is {keys['eval_idx']}; decoder_layers is {layers}", key=f"{PLACE}.eval_idx")
    yield from _costs(keys, ("matcher_class_cost", "matcher_bbox_cost", "matcher_giou_cost"))


def _plain_transformer(keys: Mapping[str, Any], detector: TransformersDetector) -> Iterator[Problem]:
    width = "d_model" if "d_model" in keys else "hidden_size"
    for heads in (name for name in keys if name.endswith("_heads")):
        yield from _divisible(keys, width, keys[heads], heads)
    if not all(scale in (0.5, 1, 2) for scale in keys.get("projector_scale_factors", ())) or keys.get("projector_scale_factors") == []:
        text = f"is {keys['projector_scale_factors']}; expected at least one of 0.5, 1 and 2, one per level"
        yield Problem(text, key=f"{PLACE}.projector_scale_factors")
    yield from _divisible(keys, width, 4, "4 (sine and cosine of height and width)")
    if "two_stage" in keys:
        yield from _divisible(keys, width, 32, "32 (groups of its norms)")
    if keys.get("position_embedding_type", "sine") not in ("sine", "learned"):
        text = f"expected 'sine' or 'learned', got {keys['position_embedding_type']!r}"
        yield Problem(text, key=f"{PLACE}.position_embedding_type")
    if keys.get("two_stage") and not keys["with_box_refine"]:
        yield Problem("is true, which needs with_box_refine: true", key=f"{PLACE}.two_stage")
    if keys.get("query_dim", 4) != 4:
        yield Problem(f"is {keys['query_dim']}; a query is a box: 4", key=f"{PLACE}.query_dim")
    given = given_keys(detector)
    if given.get("dilation") and BACKBONE in given:
        yield Problem(f"has no effect with a {BACKBONE}: give output_stride to a timm_backbone", key=f"{PLACE}.dilation")
    yield from _costs(keys, ("class_cost", "bbox_cost", "giou_cost"))


def _divisible(keys: Mapping[str, Any], name: str, by: int, what: str, place: str = PLACE) -> Iterator[Problem]:
    if keys[name] % by:
        text = f"{what} {by}" if not what.startswith(str(by)) else what
        yield Problem(f"is {keys[name]}; expected a multiple of {text}", key=f"{place}.{name}")


def _costs(keys: Mapping[str, Any], names: Sequence[str]) -> Iterator[Problem]:
    if all(keys[name] == 0 for name in names):
        yield Problem(f"{', '.join(names)} are all 0: nothing would decide which query is for which object", key=f"{PLACE}.{names[0]}")


# ------------------------------------------------------------------------------------------------------------- images
def _image_problems(config: TorchConfig, keys: Mapping[str, Any]) -> Iterator[Problem]:
    """Find readers whose images have fewer locations than there are queries to choose."""
    stride = image_stride(keys)
    for name, reader in (("TrainReader", config.train_reader), ("EvalReader", config.eval_reader), ("TestReader", config.test_reader)):
        size = _fixed_size(reader) if reader is not None else None
        if size is None:
            continue
        count = location_count(keys, padded(size[0], stride), padded(size[1], stride))
        if count is not None and count < keys["num_queries"]:
            images = f"images of {name}, {size[0]} x {size[1]},"
            text = f"is {keys['num_queries']}, but the {images} have {count} locations to choose queries from: give fewer, or larger images"
            yield Problem(text, key=f"{PLACE}.num_queries")
            return


def _fixed_size(reader: Any) -> tuple[int, int] | None:
    """Return (height, width) in pixels of all images; None where they differ."""
    sizes = [one.target_size for one in reader.sample_transforms if isinstance(one, Resize)]
    if not sizes or not is_fixed_size(reader):
        return None
    return (sizes[-1], sizes[-1]) if isinstance(sizes[-1], int) else sizes[-1]
