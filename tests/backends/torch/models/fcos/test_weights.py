"""PaddleDetection's names for an FCOS: each of its tensors has one, and a file of PaddleDetection's is loaded by them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runner.backends.torch.models.fcos import schema as fcos
from runner.backends.torch.models.fcos.network import FCOSDetector
from runner.backends.torch.models.fcos.schema import Gt2FCOSTarget
from runner.backends.torch.models.fcos.weights import paddle_names
from runner.backends.torch.models.layers import schema as layers
from runner.backends.torch.models.layers.weight_names import other_network, renamed
from runner.backends.torch.models.pretrained import load_pretrained
from runner.core.errors import InputError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "wei ghts 'é'").mkdir()
    return tmp_path / "wei ghts 'é'" / "model.pdparams"


def detector(resnet: dict[str, Any] | None = None, neck: dict[str, Any] | None = None, feat: dict[str, Any] | None = None) -> FCOSDetector:
    """A narrow FCOS at random weights."""
    fpn = layers.FPN(
        **{
            "out_channel": 32,
            "spatial_scales": (1 / 8, 1 / 16, 1 / 32),
            "extra_stage": 2,
            "has_extra_convs": True,
            "use_c5": False,
            **(neck or {}),
        }
    )
    backbone = layers.ResNet(**{"depth": 18, "return_idx": (1, 2, 3), "first_shortcut": "projection", **(resnet or {})})
    strides = tuple(8 * 2**level for level in range(len(fpn.spatial_scales) + fpn.extra_stage))
    tower = fcos.FCOSFeat(**{"feat_in": 32, "feat_out": 32, "num_convs": 1, "norm_type": "gn", **(feat or {})})
    config = fcos.FCOS(backbone=backbone, neck=fpn, fcos_head=fcos.FCOSHead(num_classes=3, fcos_feat=tower, fpn_stride=strides))
    return FCOSDetector(config, Gt2FCOSTarget(object_sizes_boundary=(), center_sampling_radius=1.5, downsample_ratios=strides))


def strides_of(model: FCOSDetector) -> tuple[int, ...]:
    return model.config.fcos_head.fpn_stride


def paddle_state(model: FCOSDetector) -> dict[str, np.ndarray]:
    """Weights as PaddleDetection would have saved them."""
    own = model.state_dict()
    return {there: own[key].numpy().copy() for key, there in paddle_names(own, strides_of(model)).items()}


Save = Callable[[dict[str, np.ndarray]], str]


@pytest.fixture
def save(file: Path) -> Save:
    def write(arrays: dict[str, np.ndarray]) -> str:
        table = {name: f"param_{index}" for index, name in enumerate(arrays)}
        file.write_bytes(pickle.dumps({**arrays, "StructuredToParameterName@@": table}, protocol=4))
        return str(file)

    return write


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("backbone.conv1.weight", "backbone.conv1.conv1.conv.weight"),
        ("backbone.bn1.running_var", "backbone.conv1.conv1.norm._variance"),
        ("backbone.layer1.0.conv2.weight", "backbone.res2.res2a.branch2b.conv.weight"),
        ("backbone.layer2.0.downsample.0.weight", "backbone.res3.res3a.short.conv.weight"),
        ("backbone.layer2.0.downsample.1.running_mean", "backbone.res3.res3a.short.norm._mean"),
        ("backbone.layer4.2.bn3.bias", "backbone.res5.res5c.branch2c.norm.bias"),
        ("backbone.layer3.22.conv1.weight", "backbone.res4.res4b22.branch2a.conv.weight"),
        ("backbone.layer3.0.conv1.weight", "backbone.res4.res4a.branch2a.conv.weight"),
        ("backbone.layer2.3.conv1.weight", "backbone.res3.res3d.branch2a.conv.weight"),
        ("neck.fpn.inner_blocks.0.0.weight", "neck.fpn_inner_res3_sum_lateral.weight"),
        ("neck.fpn.inner_blocks.2.0.bias", "neck.fpn_inner_res5_sum.bias"),
        ("neck.fpn.layer_blocks.1.0.weight", "neck.fpn_res4_sum.weight"),
        ("neck.fpn.extra_blocks.convs.1.0.bias", "neck.fpn_7.bias"),
        ("fcos_head.fcos_feat.cls_subnet_convs.0.conv.bias", "fcos_head.fcos_feat.fcos_head_cls_tower_conv_0.conv.bias"),
        ("fcos_head.fcos_feat.reg_subnet_convs.0.norm.weight", "fcos_head.fcos_feat.fcos_head_reg_tower_conv_0.norm.weight"),
        ("fcos_head.fcos_head_centerness.weight", "fcos_head.fcos_head_centerness.weight"),
        ("fcos_head.scales_regs.4", "fcos_head.p7_feat.scale_reg"),
    ],
)
def test_names(ours: str, theirs: str) -> None:
    with torch.device("meta"):
        model = detector({"depth": 101})
    assert paddle_names(model.state_dict(), strides_of(model))[ours] == theirs


@pytest.mark.parametrize(
    ("resnet", "neck", "feat", "sign"),
    [
        ({}, {}, {}, "neck.fpn_6.weight"),
        ({"depth": 34}, {"norm_type": "bn"}, {"norm_type": "bn"}, "neck.fpn_6.norm._mean"),
        ({"depth": 50, "first_shortcut": "identity"}, {"norm_type": "gn"}, {}, "neck.fpn_inner_res4_sum_lateral.conv.weight"),
        ({"depth": 101}, {"extra_stage": 1, "has_extra_convs": False}, {"num_convs": 0}, "fcos_head.p6_feat.scale_reg"),
        (
            {"num_stages": 2, "return_idx": (1,)},
            {"spatial_scales": (1 / 8,), "extra_stage": 0},
            {"norm_type": "bn"},
            "neck.fpn_inner_res5_sum.weight",
        ),
    ],
)
def test_every_tensor_has_a_name_and_comes_back(resnet: Any, neck: Any, feat: Any, sign: str) -> None:
    with torch.device("meta"):
        model = detector(resnet, neck, feat)
    own = {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    names = paddle_names(own, strides_of(model))
    there = {names[key]: value for key, value in own.items()}
    assert sign in there and len(there) == len(own)
    assert renamed(there, names) == own
    assert renamed({"fc.weight": 1, "backbone.res9.x": 2}, names) == {"fc.weight": 1, "backbone.res9.x": 2}


def test_other_networks() -> None:
    assert "variant c or d" in str(other_network(["conv1.conv1_1.conv.weight"]))
    assert "deformable" in str(other_network(["backbone.res4.res4a.branch2b.conv_offset.weight"]))
    assert "first_shortcut: projection" in str(other_network(["res2.res2a.short.conv.weight"]))
    assert other_network(["fc.weight", "res5.res5a.branch2a.conv.weight"]) is None


# -------------------------------------------------------------------------------------------- pretrain_weights on torch
def test_an_fcos_of_paddledetection(save: Save) -> None:
    theirs, model, said = detector(), detector(), list[str]()
    report = load_pretrained(model, save(paddle_state(theirs)), said.append)
    tensors = {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in tensors.items())
    assert not report.missing and not report.misfit and not report.unused
    assert len(said) == 1 and said[0].endswith(f"{len(tensors)} of {len(model.state_dict())} tensors loaded")


def test_another_number_of_classes_starts_anew(save: Save) -> None:
    arrays = paddle_state(detector())
    arrays["fcos_head.fcos_head_cls.weight"] = np.zeros((80, 32, 3, 3), dtype=np.float32)
    model, said = detector(), list[str]()
    report = load_pretrained(model, save(arrays), said.append)
    assert [name for name, _, _ in report.misfit] == ["fcos_head.fcos_head_cls.weight"]
    assert "fcos_head.fcos_head_cls.weight starts anew: its shape is [80, 32, 3, 3] in the file and [3, 32, 3, 3] in the model" in said[1]


def test_a_classification_network_goes_into_the_backbone(save: Save) -> None:
    theirs, model, said = detector(), detector(), list[str]()
    arrays = {name.removeprefix("backbone."): array for name, array in paddle_state(theirs).items() if name.startswith("backbone.")} | {
        "fc.weight": np.zeros((512, 1000), dtype=np.float32),
        "fc.bias": np.zeros(1000, dtype=np.float32),
    }
    report = load_pretrained(model, save(arrays), said.append)
    assert torch.equal(model.get_parameter("backbone.layer4.1.conv2.weight"), theirs.get_parameter("backbone.layer4.1.conv2.weight"))
    assert not any(name.startswith("backbone.") for name in report.missing) and report.unused == ("fc.weight", "fc.bias")
    assert said[1].startswith("pretrain_weights: not in the file, start anew: neck.fpn (16 tensors), fcos_head.fcos_feat (8 tensors), ")
    assert said[2] == "pretrain_weights: in the file but not in the model, left out: fc.weight, fc.bias"


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"backbone.conv1.conv1_1.conv.weight": np.zeros((32, 3, 3, 3), dtype=np.float32)}, "variant c or d"),
        ({"backbone.res5.res5a.branch2b.conv_offset.weight": np.zeros((27, 512, 3, 3), dtype=np.float32)}, "deformable convolution"),
        ({"backbone.res2.res2a.branch2c.conv.weight": np.zeros((256, 64, 1, 1), dtype=np.float32)}, "50 layers or more"),
    ],
)
def test_weights_of_a_network_that_only_looks_alike(extra: dict[str, np.ndarray], words: str, save: Save) -> None:
    model = detector()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=words) as caught:
        load_pretrained(model, save(paddle_state(detector()) | extra), lambda _: None)
    assert [problem.key for problem in caught.value.problems] == ["pretrain_weights"]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_first_shortcut_that_the_model_has_not(save: Save) -> None:
    source = save(paddle_state(detector()))
    with pytest.raises(InputError, match="set ResNet.first_shortcut: projection"):
        load_pretrained(detector({"first_shortcut": "identity"}), source, lambda _: None)
    with pytest.raises(InputError, match="nothing in .* fits the model"):
        load_pretrained(detector(), save({"encoder.weight": np.zeros(3, dtype=np.float32)}), lambda _: None)
