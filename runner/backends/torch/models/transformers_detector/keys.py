"""Keys of `TransformersDetector.config`: those that the installed library declares and that may be set, with values as it takes them."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from runner.backends.torch.models.transformers_detector.declared import Declared, activation_names, declared_keys
from runner.backends.torch.models.transformers_detector.families import BACKBONES, FAMILIES, ConfigClass, Family
from runner.backends.torch.models.transformers_detector.schema import TransformersDetector
from runner.config.bind import bind
from runner.config.node import Source, from_plain
from runner.config.schema import Range
from runner.core.errors import Problem, what_exists

PLACE = "TransformersDetector.config"
BACKBONE = "backbone_config"
TIMM = "timm_backbone"

_CLASSES = "num_classes says how many classes there are, and the annotations name them"
_DOWNLOAD = f"building a model downloads nothing; describe its backbone by {BACKBONE}, and give weights by pretrain_weights"
_SIZE = "the reader resizes the images, and the model takes any size"
_OUTPUTS = "it changes what the library returns, not the network"
_NAMING = "it describes a file of the library, not the network"
_RESERVED: Mapping[str, str] = {
    **dict.fromkeys(("num_labels", "id2label", "label2id"), _CLASSES),
    **dict.fromkeys(("backbone", "use_pretrained_backbone", "use_timm_backbone", "backbone_kwargs"), _DOWNLOAD),
    **dict.fromkeys(("image_size", "pretrain_image_size", "eval_size", "anchor_image_size"), _SIZE),
    **dict.fromkeys(("dtype", "torch_dtype"), "the numbers are float32, or what `amp` says"),
    **dict.fromkeys(("output_hidden_states", "output_attentions", "return_dict", "chunk_size_feed_forward"), _OUTPUTS),
    **dict.fromkeys(("architectures", "transformers_version", "problem_type", "name_or_path", "is_encoder_decoder"), _NAMING),
    "tie_word_embeddings": "the detector and its decoder must share their heads",
    "num_channels": "images have three channels",
    "disable_custom_kernels": "custom kernels would be downloaded, so they are never used",
    "features_only": "a backbone hands on features",
}
"""Maps keys that may not be set to the reason."""

_ALLOWED = {TIMM: ("backbone",), "lw_detr_vit": ("pretrain_image_size",), "rf_detr_dinov2": ("image_size",)}
"""Maps kinds of backbone to reserved keys that mean something else there: a network of timm, the size of learned position embeddings."""

_POSITIVE = re.compile(
    r"num_queries|d_model|hidden_sizes?|embedding_size|depths|decoder_layers|\w*_heads|\w*_dim|\w*_points|\w*_channels|num_feature_levels|"
    r"num_windows|patch_size|(pretrain_)?image_size|num_hidden_layers|group_detr|"
    r"decoder_n_levels|feat_strides|stage_num_blocks|stage_numb_of_layers|stage_kernel_size|stem_strides|stage_downsample_strides|"
    r"two_stage_num_proposals|max_num_bins|top_prob_values|lqe_layers|temperature_\w+|positional_encoding_temperature|hidden_expansion|"
    r"depth_mult|layer_scale|\w*_eps|output_stride"
)
_FRACTION = re.compile(r"\w*dropout|\w*layerdrop|label_noise_ratio|focal_(loss_)?alpha|matcher_alpha|initializer_bias_prior_prob")
_ANY_NUMBER = ("eval_idx", "out_indices", "reg_scale", "up", "mal_alpha", "encode_proj_layers")


def key_problems(detector: TransformersDetector) -> Iterator[Problem]:
    """Find keys that may not be set, that have no effect or that the library does not declare, and values of another type than declared.

    Raises:
        FileNotFoundError: the installed version has no such model.
    """
    family = FAMILIES[detector.model]
    refused = {**_RESERVED, **dict.fromkeys(family.without_effect, "transformers does not read it when it detects objects")}
    yield from _problems(detector.config, family.config, refused, PLACE)
    backbone = detector.config.get(BACKBONE)
    if backbone is None:
        return
    place = f"{PLACE}.{BACKBONE}"
    if not isinstance(backbone, Mapping):
        yield Problem(f"expected a mapping, got {backbone!r}", key=place)
        return
    kind, keys = _parts(backbone, family)
    if kind not in BACKBONES:
        yield Problem(f"unknown backbone {kind!r}; {what_exists(str(kind), sorted(BACKBONES))}", key=f"{place}.model_type")
        return
    yield from _problems(keys, BACKBONES[kind], _refused_of_backbone(kind), place)
    name = keys.get("backbone")
    if kind == TIMM and not isinstance(name, str):
        yield Problem("missing; expected the name of a network of timm, such as resnet50d", key=f"{place}.backbone")
    elif isinstance(name, str) and (":" in name or "/" in name):
        yield Problem(f"is {name!r}, which would be downloaded; expected the name of a network of timm", key=f"{place}.backbone")


def given_keys(detector: TransformersDetector) -> dict[str, Any]:
    """Return the keys that a config without problems gives, as the library takes them. A `backbone_config` that leaves out `model_type` or
    its levels gets those of the model's own backbone."""
    family = FAMILIES[detector.model]
    keys = _bound(detector.config, family.config, _RESERVED)
    if detector.config.get(BACKBONE) is not None:
        kind, plain = _parts(detector.config[BACKBONE], family)
        keys[BACKBONE] = {"model_type": kind, **_bound(plain, BACKBONES[kind], _refused_of_backbone(kind))}
    return keys


def all_keys(detector: TransformersDetector) -> dict[str, Any]:
    """Return `given_keys` and the library's defaults of the other ones, also of the backbone where it is not timm's."""
    family, keys = FAMILIES[detector.model], given_keys(detector)
    backbone = keys.get(BACKBONE)
    if backbone is None and family.default_backbone != "resnet":  # those with a ResNet have timm's by default
        backbone = {"model_type": family.default_backbone, **family.default_levels, **family.default_keys}
    if backbone is not None and backbone["model_type"] != TIMM:
        keys[BACKBONE] = _defaults(BACKBONES[backbone["model_type"]]) | backbone
    return _defaults(family.config) | keys


def _defaults(cls: ConfigClass) -> dict[str, Any]:
    return {name: _lists(key.default) for name, key in declared_keys(cls).items()}


def _parts(backbone: Mapping[str, Any], family: Family) -> tuple[Any, dict[str, Any]]:
    """Return the kind of a backbone and its keys."""
    keys = {name: value for name, value in backbone.items() if name != "model_type"}
    has_levels = "out_indices" in keys or "out_features" in keys
    return backbone.get("model_type", family.default_backbone), keys if has_levels else {**family.default_levels, **keys}


def _refused_of_backbone(kind: str) -> Mapping[str, str]:
    return {name: reason for name, reason in _RESERVED.items() if name not in _ALLOWED.get(kind, ())}


def _bound(plain: Mapping[str, Any], cls: ConfigClass, refused: Mapping[str, str]) -> dict[str, Any]:
    names = [name for name in plain if name in declared_keys(cls) and name not in refused and name != BACKBONE]
    value = bind(from_plain({name: plain[name] for name in names}, Source("")), _schema(cls)).value
    return {name: _lists(getattr(value, name)) for name in names}


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value


def _problems(plain: Mapping[str, Any], cls: ConfigClass, refused: Mapping[str, str], place: str) -> Iterator[Problem]:
    for name in plain:
        if name in refused:
            yield Problem(f"cannot be set: {refused[name]}; remove it", key=f"{place}.{name}")
    others = {name: value for name, value in plain.items() if name not in refused and name != BACKBONE}
    for problem in bind(from_plain(others, Source("")), _schema(cls)).problems:
        yield dataclasses.replace(problem, where="", key=f"{place}.{problem.key}")
    for name, value in others.items():
        if ("activation_function" in name or name == "hidden_act") and isinstance(value, str) and value not in activation_names():
            text = f"transformers has no activation function {value!r}; {what_exists(value, activation_names())}"
            yield Problem(text, key=f"{place}.{name}")


@functools.cache
def _schema(cls: ConfigClass) -> type[Any]:
    """Make the declared class (see `runner.config.schema`) of a config class of the library."""
    fields = [
        (name, Annotated[key.type, _range_of(name, key)], dataclasses.field(default=None))
        for name, key in declared_keys(cls).items()
        if name != BACKBONE and (name not in _RESERVED or any(name in allowed for allowed in _ALLOWED.values()))
    ]
    return dataclasses.make_dataclass(cls.name, fields, namespace={"form": "plain"}, frozen=True, kw_only=True)


def _range_of(name: str, key: Declared) -> Range | None:
    if name in _ANY_NUMBER:
        return None
    if _FRACTION.fullmatch(name):
        return Range(0, 1)
    if _POSITIVE.fullmatch(name):
        return Range(0, open_low=True) if isinstance(key.default, float) else Range(1)
    return Range(0)
