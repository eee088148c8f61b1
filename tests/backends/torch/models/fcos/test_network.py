"""The whole detector: it learns, it is deterministic, it names its parameters and says how each is treated."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from runner.backends.torch import schema
from runner.backends.torch.batch import Batch
from runner.backends.torch.models.base import build_model
from runner.backends.torch.models.detector import ParameterSetting
from runner.backends.torch.models.layers import schema as layers
from runner.core.errors import InputError

MakeConfig = Callable[..., schema.TorchConfig]
MakeBatch = Callable[..., Batch]

BOX = [[10.0, 8.0, 58.0, 52.0]]


def test_learns_one_image(make_config: MakeConfig, make_batch: MakeBatch) -> None:
    model = build_model(make_config(feat={"num_convs": 1})).train()
    batch = make_batch(boxes=[[*BOX, [64.0, 20.0, 92.0, 60.0]]], classes=[[1, 2]])
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        out = model(batch)
        out["loss"].backward()
        optimizer.step()
        losses.append({name: value.item() for name, value in out.items()})
    first, last = losses[0], losses[-1]
    assert first["loss"] == pytest.approx(first["loss_cls"] + first["loss_box"] + first["loss_centerness"])
    assert last["loss"] < 0.55 * first["loss"] and last["loss_cls"] < 0.3 * first["loss_cls"]
    assert last["loss_box"] < 0.7 * first["loss_box"]


def test_predicts_in_stored_pixels_and_leaves_the_mode(make_config: MakeConfig, make_batch: MakeBatch) -> None:
    model = build_model(make_config(nms={"score_threshold": 0.0, "keep_top_k": 10})).train()
    batch = make_batch(boxes=[[], []])
    state = {name: value.clone() for name, value in model.state_dict().items()}
    found = model.predict(batch)
    assert model.training and len(found) == 2
    for image in found:
        assert image.boxes.shape == (10, 4) and image.scores.shape == image.classes.shape == (10,)
        assert not image.boxes.requires_grad
        assert (image.scores[:-1] >= image.scores[1:]).all() and set(image.classes.tolist()) <= {0, 1, 2}
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    halved = Batch(batch.images, batch.boxes, batch.classes, batch.scales * 2, batch.sizes, batch.ids, batch.names)
    again = build_model(make_config(nms={"score_threshold": 0.0, "keep_top_k": -1, "nms_threshold": 1.0}))
    again.load_state_dict(model.state_dict())
    assert torch.allclose(again.predict(batch)[0].boxes, again.predict(halved)[0].boxes * 2)


@pytest.mark.parametrize("norm_type", ["bn", "gn", "sync_bn"])
def test_a_single_small_image_trains(norm_type: str, make_config: MakeConfig, make_batch: MakeBatch) -> None:
    """Its upper levels are a single cell, of which batch norm has no variance."""
    config = make_config(feat={"norm_type": norm_type}, neck={"norm_type": "bn"})
    model = build_model(config).train()
    empty: list[list[float]] = []
    for boxes in (BOX, empty):
        out = model(make_batch(33, 47, boxes=[boxes]))
        out["loss"].backward()
        assert out["loss"].isfinite()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert all(value.isfinite().all() for value in model.state_dict().values())


@pytest.mark.parametrize("backbone", [layers.MobileNetV3(), layers.MobileNetV3(model_name="small", feature_maps=(4, 9, 12))])
def test_mobilenet_trains(backbone: layers.MobileNetV3, make_config: MakeConfig, make_batch: MakeBatch) -> None:
    model = build_model(make_config(backbone=backbone)).train()
    out = model(make_batch(boxes=[BOX, []]))
    out["loss"].backward()
    assert out["loss"].isfinite() and all(parameter.grad is not None for parameter in model.parameters())


def test_same_seed_same_bits(make_config: MakeConfig, make_batch: MakeBatch) -> None:
    def run() -> list[torch.Tensor]:
        torch.manual_seed(4)
        model = build_model(make_config()).train()
        out = model(make_batch(boxes=[BOX, BOX]))
        out["loss"].backward()
        return [out["loss"], *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)]

    assert all(torch.equal(first, second) for first, second in zip(run(), run(), strict=True))


def test_channels_last_computes_the_same(make_config: MakeConfig, make_batch: MakeBatch) -> None:
    model = build_model(make_config()).train()
    batch = make_batch(boxes=[BOX, BOX])
    expected = model(batch)
    model = model.to(memory_format=torch.channels_last)
    found = model(replace(batch, images=batch.images.contiguous(memory_format=torch.channels_last)))
    for name in expected:
        assert found[name].item() == pytest.approx(expected[name].item(), rel=1e-4)


def test_mixed_precision_gives_single_precision_losses(make_config: MakeConfig, make_batch: MakeBatch) -> None:
    model = build_model(make_config()).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(make_batch(boxes=[BOX]))
    assert all(value.dtype == torch.float32 and value.isfinite() for value in out.values())


def test_parameter_settings_of_a_resnet(make_config: MakeConfig) -> None:
    backbone = layers.ResNet(
        depth=18,
        return_idx=(1, 2, 3),
        freeze_at=0,
        freeze_norm=False,
        norm_decay=0.5,
        lr_mult_list=(1.0, 0.1, 0.2, 0.3),
    )
    model = build_model(make_config(backbone=backbone, neck={"norm_type": "gn"}))
    found = model.parameter_settings()
    assert list(found) and set(found) == {name for name, _ in model.named_parameters()}
    expected = {
        "backbone.conv1.weight": ParameterSetting(),
        "backbone.bn1.weight": ParameterSetting(decay=0.5),
        "backbone.layer2.0.conv1.weight": ParameterSetting(lr_mult=0.1),
        "backbone.layer2.0.bn1.bias": ParameterSetting(lr_mult=0.1, decay=0.5),
        "backbone.layer3.0.downsample.0.weight": ParameterSetting(lr_mult=0.2),
        "backbone.layer4.0.downsample.1.weight": ParameterSetting(lr_mult=0.3, decay=0.5),
        "neck.fpn.inner_blocks.0.0.weight": ParameterSetting(),
        "neck.fpn.inner_blocks.0.1.weight": ParameterSetting(decay=False),
        "neck.fpn.extra_blocks.convs.1.1.bias": ParameterSetting(decay=False),
        "fcos_head.fcos_feat.cls_subnet_convs.0.conv.weight": ParameterSetting(),
        "fcos_head.fcos_feat.cls_subnet_convs.0.conv.bias": ParameterSetting(lr_mult=2.0),
        "fcos_head.fcos_feat.reg_subnet_convs.1.conv.bias": ParameterSetting(lr_mult=2.0),
        "fcos_head.fcos_feat.reg_subnet_convs.1.norm.bias": ParameterSetting(decay=False),
        "fcos_head.fcos_head_cls.bias": ParameterSetting(),
        "fcos_head.scales_regs.0": ParameterSetting(),
    }
    assert {name: found[name] for name in expected} == expected
    assert not model.get_parameter("backbone.conv1.weight").requires_grad


def test_parameter_settings_of_a_mobilenet(make_config: MakeConfig) -> None:
    backbone = layers.MobileNetV3(lr_mult_list=(0.1, 0.2, 0.3, 0.4, 0.5), norm_decay=0.01)
    found = build_model(make_config(backbone=backbone)).parameter_settings()
    factors = {name.split(".")[2]: setting.lr_mult for name, setting in found.items() if name.startswith("backbone.")}
    # The stem, then three blocks a factor.
    assert list(factors.values()) == [0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.3, 0.3, 0.3, 0.4, 0.4, 0.4, 0.5, 0.5]
    assert found["backbone.features.1.block.0.0.weight"] == ParameterSetting(lr_mult=0.1, decay=False)
    assert found["backbone.features.1.block.0.1.weight"] == ParameterSetting(lr_mult=0.1, decay=0.01)


def test_names_of_the_state_dict_are_stable(make_config: MakeConfig) -> None:
    """Checkpoints hold these names."""
    model = build_model(make_config())
    assert sorted({".".join(name.split(".")[:2]) for name in model.state_dict()}) == [
        "backbone.bn1",
        "backbone.conv1",
        "backbone.layer1",
        "backbone.layer2",
        "backbone.layer3",
        "backbone.layer4",
        "fcos_head.fcos_feat",
        "fcos_head.fcos_head_centerness",
        "fcos_head.fcos_head_cls",
        "fcos_head.fcos_head_reg",
        "fcos_head.scales_regs",
        "neck.fpn",
    ]
    heads_and_neck = [name for name in model.state_dict() if not name.startswith("backbone.")]
    assert [name for name in heads_and_neck if ".0." in name and name.endswith("weight")] == [
        "neck.fpn.inner_blocks.0.0.weight",
        "neck.fpn.inner_blocks.1.0.weight",
        "neck.fpn.inner_blocks.2.0.weight",
        "neck.fpn.layer_blocks.0.0.weight",
        "neck.fpn.layer_blocks.1.0.weight",
        "neck.fpn.layer_blocks.2.0.weight",
        "neck.fpn.extra_blocks.convs.0.0.weight",
        "neck.fpn.extra_blocks.convs.1.0.weight",
        "fcos_head.fcos_feat.cls_subnet_convs.0.conv.weight",
        "fcos_head.fcos_feat.cls_subnet_convs.0.norm.weight",
        "fcos_head.fcos_feat.reg_subnet_convs.0.conv.weight",
        "fcos_head.fcos_feat.reg_subnet_convs.0.norm.weight",
    ]


def test_a_config_that_does_not_fit_is_refused(make_config: MakeConfig) -> None:
    with pytest.raises(InputError) as caught:
        build_model(make_config(feat={"feat_in": 64}, targets={"num_shift": 0.0}))
    assert [problem.key for problem in caught.value.problems] == [
        "FCOSFeat.feat_in",
        "TrainReader.batch_transforms.Gt2FCOSTarget.num_shift",
    ]


def test_names_of_the_state_are_those_of_every_checkpoint_so_far(make_config: MakeConfig) -> None:
    own = build_model(make_config(feat={"num_convs": 1})).state_dict()
    groups = sorted({".".join(name.split(".")[:2]) for name in own})
    assert groups == [
        *("backbone.bn1", "backbone.conv1", "backbone.layer1", "backbone.layer2", "backbone.layer3", "backbone.layer4"),
        *("fcos_head.fcos_feat", "fcos_head.fcos_head_centerness", "fcos_head.fcos_head_cls", "fcos_head.fcos_head_reg"),
        *("fcos_head.scales_regs", "neck.fpn"),
    ]
    digest = hashlib.sha256("\n".join(own).encode()).hexdigest()
    assert digest == "75dccf0e1feee58fbd96feceeb160a2b8f524747f8955d886ebb0d272ad5bee6", "checkpoints of earlier versions would not load"
