"""The canonical YAML of a config binds to an equal object, whatever it holds."""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.backends.torch import schema
from runner.backends.torch.schema import TorchConfig
from runner.config.bind import FieldInfo, bind, field_infos, require
from runner.config.dump import canonical, result_affecting, to_json, to_plain, to_yaml
from runner.config.load import load_config, parse
from runner.config.node import Source, from_plain
from runner.config.overrides import apply_overrides
from runner.config.schema import Range, Registered
from runner.core.errors import InputError

HERE = Source("here")


def again(config: TorchConfig) -> TorchConfig:
    """`config` through YAML, and through JSON, which must come to the same."""
    tree = canonical(config)
    from_yaml = require(bind(parse(to_yaml(tree), lambda line: Source("f.yml", line)), TorchConfig))
    assert require(bind(from_plain(json.loads(to_json(tree)), HERE), TorchConfig)) == from_yaml
    return from_yaml


def test_round_trip_of_the_small_config(write_config: Callable[..., Path]) -> None:
    config = require(bind(load_config(write_config()), TorchConfig))
    assert again(config) == config
    assert to_yaml(canonical(again(config))) == to_yaml(canonical(config))


def test_no_auto_and_every_key_is_written(write_config: Callable[..., Path]) -> None:
    tree = canonical(require(bind(load_config(write_config()), TorchConfig)))
    assert {info.key for info in field_infos(TorchConfig)} <= set(tree)
    assert {"FCOS", "ResNet", "FPN", "FCOSHead"} <= set(tree)
    assert tree["architecture"] == "FCOS" and tree["FCOS"]["backbone"] == "ResNet"
    assert "auto" not in to_yaml(tree)


def test_neutral_keys_do_not_affect_the_result(write_config: Callable[..., Path]) -> None:
    tree = load_config(write_config())
    plain = result_affecting(require(bind(tree, TorchConfig)))
    for override in (
        "trackers=[visualdl]",
        "worker_num=7",
        "save_dir=x",
        "log_iter=99",
        "weights=x.pt",
        "keep_checkpoints=9",
        "sample_images=0",
        "dataset=x",
        "vdl_log_dir=x",
    ):
        key = override.partition("=")[0]
        assert key not in plain
        named = apply_overrides(tree, ["num_classes=2", override])  # a data set by name puts the file's aside
        assert result_affecting(require(bind(named, TorchConfig))) == plain, override
    for override in (
        "seed=1",
        "cpu_threads=2",
        "LearningRate.base_lr=0.02",
        "TrainDataset.sample_num=3",
        "FCOSHead.nms.keep_top_k=3",
        "use_ema=true",
    ):
        assert result_affecting(require(bind(apply_overrides(tree, [override]), TorchConfig))) != plain, override


@pytest.mark.parametrize(
    "text",
    [
        "1e-4",
        "1e5",
        "null",
        "true",
        "12",
        "2026-11-21",
        "=",
        "a: b",
        "#x",
        "!T",
        "*a",
        "",
        " ",
        'it\'s "x"',
        "é 板 \U0001f600",
        "~",
        "- a",
        "[1]",
        "a\nb",
        "a\tb",
        "x" * 300,
        "<<",
        "\x85",
        "\u2028",
    ],
)
def test_texts_that_look_like_something_else(write_config: Callable[..., Path], text: str) -> None:
    config = dataclasses.replace(require(bind(load_config(write_config()), TorchConfig)), save_dir=text)
    assert again(config).save_dir == text


# ------------------------------------------------------------------------------------------------------ random configs
def values_of(kind: Any, bounds: Range | None) -> st.SearchStrategy[Any]:
    """Any value a declared type allows."""
    origin = get_origin(kind)
    if origin is Annotated and (registered := next((mark for mark in get_args(kind) if isinstance(mark, Registered)), None)):
        return st.sampled_from(registered.registry.names())
    if origin in (types.UnionType, typing.Union):
        members = [member for member in get_args(kind) if not hasattr(member, "names")]  # of classes with open names there is no list
        return st.one_of(*(values_of(member, bounds) for member in members))
    if origin is Literal:
        return st.sampled_from(get_args(kind))
    if origin is dict:
        return st.dictionaries(st.sampled_from(["some_key", "another"]), st.integers() | st.booleans(), max_size=2)
    if origin is tuple:
        members = get_args(kind)
        if not members:
            return st.just(())
        if len(members) == 2 and members[1] is Ellipsis:
            return st.lists(values_of(members[0], bounds), max_size=4).map(tuple)
        return st.tuples(*(values_of(member, bounds) for member in members))
    if dataclasses.is_dataclass(kind):
        return configs(kind)  # type: ignore[arg-type]
    low, high = (bounds.low, bounds.high) if bounds is not None else (None, None)
    if kind is int:
        return st.integers(*(None if edge is None else int(edge) for edge in (low, high))).filter(
            lambda value: bounds is None or value in bounds
        )
    if kind is float:
        return st.floats(low, high, allow_nan=False, allow_infinity=False).filter(lambda value: bounds is None or value in bounds)
    return {bool: st.booleans(), str: st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12), type(None): st.none()}[kind]


def _field(info: FieldInfo, classes: int) -> st.SearchStrategy[Any]:
    return st.just(classes) if info.shared or info.key == "num_classes" else values_of(info.type, info.range)


@functools.cache
def configs(cls: type[Any], classes: int = 6) -> st.SearchStrategy[Any]:
    """Any object of a declared class, which may hold others of it; what is shared is the same everywhere."""
    return st.deferred(lambda: st.builds(cls, **{info.attribute: _field(info, classes) for info in field_infos(cls)}))


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(configs(TorchConfig))
def test_any_config_survives_the_round_trip(config: TorchConfig) -> None:
    assert again(config) == config


SWITCHES: dict[str, list[Any]] = {
    "TrainReader.batch_size": [1, 7],
    "max_iters": [3, None],
    "epoch": [2, None],
    "snapshot_epoch": [3],
    "LearningRate.schedulers.0.gamma": [0.5, [0.1], 1e-4],
    "LearningRate.schedulers.1": ["!LinearWarmup {steps: 3}", {"name": "LinearWarmup"}],
    "LearningRate.schedulers": ["[!CosineDecay {}]", "[!CosineDecay, !LinearWarmup [] ]"],
    "OptimizerBuilder.optimizer.type": ["AdamW", "Adam", "Momentum"],
    "OptimizerBuilder.optimizer": ["!Momentum {momentum: 0.5}", {"type": "Adam", "beta1": 0.8}],
    "OptimizerBuilder.regularizer": [None, {"type": "L1"}],
    "FCOS.backbone": ["MobileNetV3", "ResNet"],
    "ResNet.return_idx": [[1], [0, 1]],
    "num_classes": [2, 80],
    "pretrain_weights": ["a b'c.pth", None],
    "TrainReader.sample_transforms.1": [{"RandomFlip": {"prob": 0.1}}, "RandomFlip"],
    "eval_iou_thresholds": [[0.33], []],
    "trackers": [["visualdl", "tensorboard"]],
}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(SWITCHES)).flatmap(lambda key: st.tuples(st.just(key), st.sampled_from(SWITCHES[key]))), max_size=6))
def test_valid_overrides_in_any_order_survive_the_round_trip(write_config: Callable[..., Path], chosen: list[tuple[str, Any]]) -> None:
    texts = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in chosen]
    try:
        tree = apply_overrides(load_config(write_config()), texts)
    except InputError as error:  # an index of a list that an earlier override made shorter, or two that exclude each other
        assert "LearningRate.schedulers" in dict(chosen) or "exclude each other" in str(error)
        return
    bound = bind(tree, TorchConfig)
    if bound.value is None:
        assert bound.problems
        return
    assert again(bound.value) == bound.value


def test_plain_trees_hold_no_tags(write_config: Callable[..., Path]) -> None:
    plain = to_plain(canonical(require(bind(load_config(write_config()), TorchConfig))))
    assert plain["LearningRate"]["schedulers"][0]["name"] == "PiecewiseDecay"
    assert require(bind(from_plain(plain, HERE), TorchConfig)).learning_rate.schedulers[0] == schema.PiecewiseDecay(
        gamma=(0.1,), milestone_iters=(30,)
    )
