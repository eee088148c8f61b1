"""Mistakes in `TransformersDetector` are found before anything is built, by the key and with what to do."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support.transformers_models import BASIC, small_config

from runner.backends.torch import schema
from runner.backends.torch.models.base import build_model
from runner.backends.torch.models.transformers_detector import TransformersModel
from runner.backends.torch.models.transformers_detector.checks import check_transformers
from runner.backends.torch.transforms import schema as transforms
from runner.core.errors import InputError, Remark
from runner.core.importing import child_environment

CONFIG = "TransformersDetector.config"
READER = (transforms.Decode(), transforms.Resize(target_size=(64, 64), keep_ratio=False), transforms.NormalizeImage(), transforms.Permute())


def found(model: str, config: Mapping[str, Any]) -> str:
    return "\n".join(map(str, check_transformers(small_config(model, config))))


@pytest.mark.parametrize(
    ("model", "config", "text"),
    [
        ("rt_detr_v2", {"num_querys": 10}, "num_querys: unknown key; did you mean 'num_queries'?"),
        ("rt_detr_v2", {"num_queries": "ten"}, "num_queries: expected an integer (at least 1), got 'ten', a string"),
        ("rt_detr_v2", {"num_queries": 0}, "num_queries: expected an integer (at least 1), got 0"),
        ("rt_detr_v2", {"decoder_in_channels": [32, "x", 32]}, "decoder_in_channels.1: expected an integer"),
        ("rt_detr_v2", {"activation_function": "silly"}, "did you mean 'silu'"),
        ("rt_detr_v2", {"num_labels": 3}, "num_labels: cannot be set: num_classes says how many"),
        ("rt_detr_v2", {"backbone": "resnet50"}, "backbone: cannot be set: building a model downloads nothing"),
        ("rt_detr_v2", {"use_pretrained_backbone": True}, "use_pretrained_backbone: cannot be set"),
        ("rt_detr_v2", {"anchor_image_size": [64, 64]}, "anchor_image_size: cannot be set: the reader resizes"),
        ("rt_detr_v2", {"output_attentions": True}, "output_attentions: cannot be set"),
        ("rt_detr_v2", {"dtype": "float16"}, "dtype: cannot be set"),
        ("rt_detr_v2", {"eos_coefficient": 0.1}, "eos_coefficient: cannot be set: transformers does not read it"),
        ("rt_detr_v2", {"d_model": 33}, "d_model: is 33; expected a multiple of decoder_attention_heads 2"),
        ("rt_detr_v2", {"num_feature_levels": 2, "decoder_n_levels": 2}, "num_feature_levels: is 2, but there are 3 levels"),
        ("rt_detr_v2", {"decoder_n_levels": 4}, "decoder_n_levels: is 4, but num_feature_levels is 3"),
        ("rt_detr_v2", {"decoder_in_channels": [32, 32, 64]}, "every level of the encoder has encoder_hidden_dim 32 channels"),
        ("rt_detr_v2", {"learn_initial_query": True}, "learn_initial_query: is true, with which the installed transformers fails"),
        ("rt_detr_v2", {"matcher_class_cost": 0, "matcher_bbox_cost": 0, "matcher_giou_cost": 0}, "are all 0"),
        ("rt_detr_v2", {"backbone_config": "resnet"}, "backbone_config: expected a mapping, got 'resnet'"),
        ("rt_detr_v2", {"backbone_config": {"model_type": "resnett"}}, "unknown backbone 'resnett'; did you mean 'resnet'?"),
        ("rt_detr_v2", {"backbone_config": {**BASIC, "depth": 3}}, "backbone_config.depth: unknown key; did you mean 'depths'?"),
        ("rt_detr_v2", {"backbone_config": {**BASIC, "num_channels": 1}}, "num_channels: cannot be set: images have three channels"),
        ("rt_detr_v2", {"backbone_config": {**BASIC, "depths": [1, 1]}}, "hidden_sizes: has 4 values, depths has 2: one per stage"),
        ("rt_detr_v2", {"backbone_config": {**BASIC, "layer_type": "basick"}}, "layer_type: expected 'basic' or 'bottleneck'"),
        ("rt_detr_v2", {"backbone_config": {**BASIC, "out_indices": [3, 4]}}, "has 3 strides, but backbone_config hands on 2 levels"),
        (
            "rt_detr_v2",
            {"backbone_config": {**BASIC, "out_indices": [1, 2, 3]}},
            "have the strides [4, 8, 16]",
        ),
        ("rt_detr_v2", {"backbone_config": {**BASIC, "out_indices": [1, 3, 4]}}, "each must be half as large as the one before"),
        ("rt_detr_v2", {"backbone_config": {**BASIC, "out_indices": [2, 3, 9]}}, "out_indices from 0 to 4"),
        ("rt_detr_v2", {"backbone_config": {"model_type": "timm_backbone", "backbone": "hf-hub:a/b"}}, "which would be downloaded"),
        ("d_fine", {"backbone_config": {"stage_out_channels": [8, 8, 8, 8]}}, "stage_in_channels: is [48, 128, 512, 1024]; the stem"),
        ("d_fine", {"eval_idx": 2}, "eval_idx: is 2; decoder_layers is 2"),
        ("d_fine", {"activation_dropout": 0.1}, "activation_dropout: cannot be set"),
        ("detr", {"class_cost": 1.5}, "class_cost: expected an integer (at least 0), got 1.5"),
        ("detr", {"two_stage": True}, "two_stage: unknown key"),
        ("detr", {"dilation": True}, "dilation: has no effect with a backbone_config"),
        ("detr", {"position_embedding_type": "cosine"}, "expected 'sine' or 'learned'"),
        ("conditional_detr", {"cls_loss_coefficient": 1}, "cls_loss_coefficient: cannot be set"),
        ("deformable_detr", {"two_stage": True}, "two_stage: is true, which needs with_box_refine: true"),
        ("deformable_detr", {"d_model": 48}, "d_model: is 48; expected a multiple of 32 (groups of its norms)"),
        ("dab_detr", {"query_dim": 2}, "query_dim: is 2; a query is a box: 4"),
    ],
)
def test_mistakes_are_named(model: str, config: Mapping[str, Any], text: str) -> None:
    problems = found(model, config)
    assert text in problems and all(line.startswith(CONFIG) for line in problems.splitlines())


def test_all_mistakes_are_found_at_once() -> None:
    problems = found("rt_detr_v2", {"num_querys": 10, "num_labels": 3, "dropout": 2, "backbone_config": {"depht": [1]}})
    assert problems.count("\n") == 3 and "from 0 to 1" in problems and "did you mean 'depths'?" in problems


def test_more_queries_than_locations() -> None:
    reader = schema.TrainReader(sample_transforms=READER, batch_transforms=(), num_classes=3)
    (problem,) = check_transformers(small_config("rt_detr_v2", {"num_queries": 100}, train_reader=reader))
    assert "images of TrainReader, 64 x 64, have 84 locations" in str(problem)


@pytest.mark.parametrize(("package", "model"), [("transformers", "rt_detr_v2"), ("scipy", "detr"), ("timm", "detr")])
def test_a_missing_library_is_one_message_with_the_extra(package: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == package else there(name, *rest))
    config = {"backbone_config": None} if package == "timm" else {}
    (problem,) = check_transformers(small_config(model, config))
    extra = "timm" if package == "timm" else "transformers"
    assert package in str(problem) and f"pip install '.[{extra}]'" in str(problem)


def test_checking_keys_imports_neither_torch_nor_the_library() -> None:
    code = (
        "import sys; from runner.backends.torch.models.transformers_detector.schema import TransformersDetector\n"
        "from runner.backends.torch.models.transformers_detector.keys import all_keys, key_problems\n"
        "detector = TransformersDetector(model='d_fine', config={'num_queries': 7})\n"
        "assert not list(key_problems(detector)) and all_keys(detector)['num_queries'] == 7\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-P", "-c", code], env=child_environment(), check=True)


def test_what_the_checks_miss_the_library_refuses_in_one_message() -> None:
    config = small_config("rt_detr_v2", {"backbone_config": {**BASIC, "embedding_size": 1}})
    assert not TransformersModel().check(config)
    with pytest.raises(InputError, match="transformers cannot build rt_detr_v2 from these values") as caught:
        build_model(config)
    assert str(caught.value).startswith(CONFIG) and "\n" not in str(caught.value)


def test_random_weights_that_are_never_trained_are_a_remark() -> None:
    backbone = {"backbone_config": {"model_type": "resnet", **BASIC}}
    (remark,) = check_transformers(small_config("detr", backbone))
    assert isinstance(remark, Remark) and "freezes all of a resnet in detr" in str(remark)
    assert not any(
        value.requires_grad for name, value in build_model(small_config("detr", backbone)).named_parameters() if "backbone" in name
    )
    assert check_transformers(small_config("dab_detr", backbone)) == []
