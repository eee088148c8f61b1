"""The same weights, images and YAML in PaddleDetection and in the torch backend give the same inputs, outputs, losses and steps.

One process of the Paddle environment computes the reference for all cases (see `ppdet_side`); everything else happens here.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml

from runner.backends.torch import reader
from runner.backends.torch.batch import Batch
from runner.backends.torch.models.base import build_model
from runner.backends.torch.models.fcos import head
from runner.backends.torch.models.fcos.head import HeadOutputs, distances
from runner.backends.torch.models.fcos.locations import Locations, locate
from runner.backends.torch.models.fcos.network import FCOSDetector
from runner.backends.torch.models.fcos.schema import Gt2FCOSTarget
from runner.backends.torch.models.fcos.targets import assign
from runner.backends.torch.models.fcos.weights import paddle_names
from runner.backends.torch.models.pretrained import load_pretrained
from runner.backends.torch.samples import PackedBatch
from runner.backends.torch.schedule import learning_rate
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.step import TrainStep
from runner.config.bind import bind, require
from runner.config.load import load_config
from runner.config.overrides import apply_overrides

ROOT = Path(__file__).resolve().parents[3]
STEPS = 2  # as in ppdet_side
CPU = torch.device("cpu")
LOSSES = {"loss": "loss", "loss_cls": "loss_cls", "loss_box": "loss_box", "loss_centerness": "loss_quality"}
"""Our name → PaddleDetection's."""

pytestmark = pytest.mark.slow

CONFIG = """
architecture: FCOS
pretrain_weights: null
num_classes: 3
backend: torch
use_gpu: false
cpu_threads: 2
worker_num: 0
epoch: 12
trackers: []
TrainDataset: !COCODataSet {dataset_dir: DATA, image_dir: images, anno_path: train.json, data_fields: [image, gt_bbox, gt_class, is_crowd]}
EvalDataset: !COCODataSet {dataset_dir: DATA, image_dir: images, anno_path: train.json, allow_empty: true}
FCOS: {backbone: ResNet, neck: FPN, fcos_head: FCOSHead}
ResNet: {depth: 50, variant: b, norm_type: bn, freeze_norm: true, freeze_at: 0, return_idx: [1, 2, 3], num_stages: 4,
         lr_mult_list: [1.0, 1.0, 1.0, 1.0], norm_decay: 0.0}
FPN: {out_channel: 256, spatial_scales: [0.125, 0.0625, 0.03125], extra_stage: 2, has_extra_convs: true, use_c5: false,
      norm_type: null, relu_before_extra_convs: true}
FCOSHead:
  fcos_feat: {name: FCOSFeat, feat_in: 256, feat_out: 256, num_convs: 4, norm_type: gn, use_dcn: false}
  fpn_stride: [8, 16, 32, 64, 128]
  prior_prob: 0.01
  norm_reg_targets: true
  centerness_on_reg: true
  num_shift: 0.5
  sqrt_score: false
  fcos_loss: {name: FCOSLoss, loss_alpha: 0.25, loss_gamma: 2.0, iou_loss_type: giou, reg_weights: 1.0}
  nms: {name: MultiClassNMS, nms_top_k: 1000, keep_top_k: 100, score_threshold: 0.025, nms_threshold: 0.6}
TrainReader:
  sample_transforms:
    - Decode: {}
    - Resize: {target_size: [96, 128], keep_ratio: true, interp: 1}
    - NormalizeImage: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], is_scale: true}
    - RandomFlip: {prob: 0.0}
  batch_transforms:
    - Permute: {}
    - PadBatch: {pad_to_stride: 32}
    - Gt2FCOSTarget: {object_sizes_boundary: [32, 64, 128, 256], center_sampling_radius: 1.5, downsample_ratios: [8, 16, 32, 64, 128],
                      norm_reg_targets: true}
  batch_size: 2
  shuffle: false
  drop_last: true
EvalReader:
  sample_transforms:
    - Decode: {}
    - Resize: {target_size: [96, 128], keep_ratio: true, interp: 1}
    - NormalizeImage: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], is_scale: true}
    - Permute: {}
  batch_transforms:
    - PadBatch: {pad_to_stride: 32}
  batch_size: 2
LearningRate:
  base_lr: 0.01
  schedulers:
    - !PiecewiseDecay {gamma: 0.1, milestones: [8, 11]}
    - !LinearWarmup {start_factor: 0.3333333333333333, steps: 4}
OptimizerBuilder: {optimizer: {type: Momentum, momentum: 0.9}, regularizer: {type: L2, factor: 0.0001}}
"""
"""The article's FCOS R50 on small images; each case changes some of it. Every case has every key: PaddleDetection merges configs that one
process loads."""


def other_definitions(config: dict[str, Any]) -> None:
    """A trained ResNet-18, distances in pixels, centre-ness beside the classes, other losses, scores and norms."""
    config["ResNet"] |= {"depth": 18, "freeze_norm": False, "freeze_at": -1, "lr_mult_list": [0.5, 0.5, 1.0, 2.0], "norm_decay": 0.001}
    config["FPN"] |= {"norm_type": "bn", "use_c5": True, "relu_before_extra_convs": False}
    config["FCOSHead"] |= {"norm_reg_targets": False, "centerness_on_reg": False, "num_shift": 0.25, "sqrt_score": True}
    config["FCOSHead"]["fcos_feat"] |= {"norm_type": "bn", "num_convs": 2}
    config["FCOSHead"]["fcos_loss"]["iou_loss_type"] = "linear_iou"  # its iou gives NaN: log(0) of the background, times 0
    target = config["TrainReader"]["batch_transforms"][-1]["Gt2FCOSTarget"]
    target |= {"norm_reg_targets": False, "num_shift": 0.25, "center_sampling_radius": 0}
    config["OptimizerBuilder"]["optimizer"] = {"type": "Momentum", "momentum": 0.9, "use_nesterov": True}


def one_level(config: dict[str, Any]) -> None:
    """configs/fcos_tiny.yml but for the towers' width, which PaddleDetection fixes at 256: one level of stride 8, AdamW."""
    config["ResNet"] |= {"depth": 18, "freeze_norm": False, "freeze_at": -1, "num_stages": 2, "return_idx": [1]}
    config["ResNet"] |= {"lr_mult_list": [1.0, 1.0, 1.0, 1.0], "norm_decay": 0.0}
    config["FPN"] |= {"out_channel": 64, "spatial_scales": [0.125], "extra_stage": 0, "has_extra_convs": False}
    config["FCOSHead"] |= {"fpn_stride": [8]}
    config["FCOSHead"]["fcos_feat"] |= {"feat_in": 64, "num_convs": 2}
    for name in ("TrainReader", "EvalReader"):
        config[name]["sample_transforms"][1]["Resize"] = {"target_size": [128, 128], "keep_ratio": False, "interp": 1}
        config[name]["batch_transforms"][1 if name == "TrainReader" else 0]["PadBatch"]["pad_to_stride"] = 8
    target = config["TrainReader"]["batch_transforms"][-1]["Gt2FCOSTarget"]
    target |= {"object_sizes_boundary": [], "downsample_ratios": [8]}
    config["LearningRate"]["schedulers"][0] = Tagged("CosineDecay", {"max_epochs": 12})
    groups = [{"params": ["backbone"], "learning_rate": 0.1, "weight_decay": 0.05}]  # each is clipped by its own norm
    optimizer = {"type": "AdamW", "weight_decay": 0.01, "param_groups": groups}
    config["OptimizerBuilder"] = {"optimizer": optimizer, "regularizer": None, "clip_grad_by_norm": 10.0}


CASES = {"article": lambda config: None, "other definitions": other_definitions, "one level": one_level}


@dataclass
class Tagged:
    """``!name {…}``."""

    name: str
    content: dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Keeps tags."""


class _Dumper(yaml.SafeDumper):
    """Writes them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Loader.add_multi_constructor("!", lambda loader, name, node: Tagged(name, loader.construct_mapping(node, deep=True)))
_Dumper.add_representer(Tagged, lambda dumper, data: dumper.represent_mapping("!" + data.name, data.content))


@dataclass
class Twin:
    """One case: what PaddleDetection gave, and the torch backend with the same weights."""

    folder: Path
    config: TorchConfig
    evaluation: Mapping[str, np.ndarray] = field(default_factory=dict)
    training: Mapping[str, np.ndarray] = field(default_factory=dict)

    def model(self) -> FCOSDetector:
        torch.manual_seed(0)
        model = build_model(self.config)
        said: list[str] = []
        report = load_pretrained(model, str(self.folder / "weights.pdparams"), said.append)
        assert not report.missing and not report.misfit and not report.unused and len(said) == 1
        return model


def write_data(folder: Path) -> None:
    """Two pictures of boards, in sizes that no resize divides, with objects of all three classes."""
    rng = np.random.default_rng(11)
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number, (height, width) in enumerate(((187, 233), (161, 141))):
        picture = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), (0, 0), 3)
        for index in range(5):
            w, h = (int(side) for side in rng.integers(12, 90, 2))
            x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
            cv2.rectangle(picture, (x, y), (x + w, y + h), tuple(int(c) for c in rng.integers(0, 256, 3)), -1)
            cv2.circle(picture, (x + w // 2, y + h // 2), min(w, h) // 4, (20, 200, 120), 2)
            box = [x + 0.25, y + 0.5, w - 0.75, h - 0.5]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 7,
                    "category_id": (2, 5, 9)[index % 3],
                    "bbox": box,
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
        cv2.imwrite(str(folder / "images" / f"board {number}.png"), picture)
        images.append({"id": number + 7, "file_name": f"board {number}.png", "width": width, "height": height})
    categories = [{"id": number, "name": name} for number, name in ((2, "short"), (5, "spur"), (9, "open"))]
    (folder / "train.json").write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


@pytest.fixture(scope="module", autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def twins(paddle_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Twin]:
    folder = tmp_path_factory.mktemp("twins")
    write_data(folder / "data")
    made, cases = {}, []
    for name, change in CASES.items():
        config = yaml.load(CONFIG.replace("DATA", str(folder / "data")), _Loader)  # noqa: S506 - a SafeLoader
        change(config)
        place = folder / name
        place.mkdir()
        file = place / "config.yml"
        file.write_text(yaml.dump(config, Dumper=_Dumper))
        tree = apply_overrides(load_config(file), ["ResNet.first_shortcut=projection"])
        twin = made[name] = Twin(place, require(bind(tree, TorchConfig)))
        weights = None
        if name == "one level":  # the other direction: weights of ours go to PaddleDetection
            torch.manual_seed(1)
            model = build_model(twin.config)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(torch.randn_like(parameter) * 0.05)
                for key, value in model.state_dict().items():
                    if key.endswith("running_mean"):
                        value.normal_(0.0, 0.1)
                    elif key.endswith("running_var"):
                        value.uniform_(0.5, 1.5)
                model.fcos_head.fcos_head_reg.bias.fill_(2.0)  # boxes with an area: of those without, Paddle's NMS drops more
            weights = place / "ours.npz"
            arrays = {key: value.numpy() for key, value in model.state_dict().items()}
            names = paddle_names(arrays, twin.config.architecture.fcos_head.fpn_stride)
            np.savez(weights, **{there: arrays[key] for key, there in names.items()})
        cases.append({"config": str(file), "folder": str(place), "weights": weights and str(weights)})
    (folder / "cases.json").write_text(json.dumps(cases))
    done = subprocess.run(
        [str(paddle_python), str(Path(__file__).with_name("ppdet_side.py")), str(folder / "cases.json")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    for twin in made.values():
        twin.evaluation, twin.training = dict(np.load(twin.folder / "eval.npz")), dict(np.load(twin.folder / "train.npz"))
    return made


@pytest.fixture(params=CASES)
def twin(request: pytest.FixtureRequest, twins: dict[str, Twin]) -> Twin:
    return twins[request.param]


def distance(here: Any, there: Any) -> float:
    """Largest difference, in units of the largest value there (at least 1)."""
    mine, theirs = np.asarray(here, dtype=np.float64), np.asarray(there, dtype=np.float64)
    assert mine.shape == theirs.shape, (mine.shape, theirs.shape)
    return float(np.abs(mine - theirs).max() / max(1.0, np.abs(theirs).max())) if mine.size else 0.0


def joined(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """The levels of an output of PaddleDetection's head (B, K, h, w) as the torch backend has them: (B, L, K)."""
    levels = [arrays[f"{name}{level}"] for level in range(sum(key.startswith(name) for key in arrays))]
    return np.concatenate([level.reshape(*level.shape[:2], -1).transpose(0, 2, 1) for level in levels], axis=1)


def evaluation_batch(config: TorchConfig) -> Batch:
    (packed,) = reader.inference_batches(config, config.eval_reader, reader.evaluation_images(config))
    return packed.to_batch(CPU)


def training_batch(config: TorchConfig) -> list[PackedBatch]:
    data = reader.load_training_data(config)
    with reader.training_steps(config, data, 0) as steps:
        return next(steps)


def look(model: FCOSDetector, images: torch.Tensor) -> tuple[HeadOutputs, Locations]:
    model.eval()
    with torch.no_grad():
        outputs = model.fcos_head(model.neck(model.backbone(images)))
    config = model.config.fcos_head
    return outputs, locate(outputs.shapes, config.fpn_stride, config.num_shift, CPU)


def test_the_images_are_the_same(twin: Twin) -> None:
    batch = evaluation_batch(twin.config)
    assert distance(batch.images, twin.evaluation["images"]) < 1e-6
    assert distance(batch.scales, twin.evaluation["scales"]) < 1e-6


def test_the_head_says_the_same(twin: Twin) -> None:
    outputs, locations = look(twin.model(), torch.from_numpy(twin.evaluation["images"]))
    assert distance(outputs.logits, joined(twin.evaluation, "logits")) < 1e-4
    assert distance(outputs.centerness.unsqueeze(2), joined(twin.evaluation, "centerness")) < 1e-4
    assert distance(outputs.boxes, joined(twin.evaluation, "raw_boxes")) < 1e-4
    normalised = twin.config.architecture.fcos_head.norm_reg_targets
    pixels = distances(outputs.boxes, normalised) * (locations.strides.view(1, -1, 1) if normalised else 1)
    assert distance(pixels, joined(twin.evaluation, "boxes")) < 1e-4


def test_the_detections_are_the_same(twin: Twin) -> None:
    found = twin.model().predict(evaluation_batch(twin.config))
    rest = twin.evaluation["found"]
    for image, count in zip(found, twin.evaluation["counts"], strict=True):
        theirs, rest = rest[:count], rest[count:]
        assert len(image.scores) == count > 5
        theirs = theirs[np.lexsort((theirs[:, 2], theirs[:, 0], -np.round(theirs[:, 1], 4)))]
        ours = np.column_stack([image.classes, image.scores, image.boxes])
        ours = ours[np.lexsort((ours[:, 2], ours[:, 0], -np.round(ours[:, 1], 4)))]
        assert (ours[:, 0] == theirs[:, 0]).all()
        assert distance(ours[:, 1], theirs[:, 1]) < 1e-4 and np.abs(ours[:, 2:] - theirs[:, 2:]).max() < 2e-3


def test_the_targets_are_the_same(twin: Twin) -> None:
    config = twin.config
    batch = training_batch(config)[0].to_batch(CPU)
    assert distance(batch.images, twin.training["image"]) < 1e-6
    strides = config.architecture.fcos_head.fpn_stride
    shapes = [twin.training[f"labels{level}"].shape[1:3] for level in range(len(strides))]
    locations = locate(shapes, strides, config.architecture.fcos_head.num_shift, CPU)
    setting = next(one for one in config.train_reader.batch_transforms if isinstance(one, Gt2FCOSTarget))
    targets = assign(locations, batch.boxes, batch.classes, setting)

    def flat(name: str) -> np.ndarray:
        levels = [twin.training[f"{name}{level}"] for level in range(len(strides))]
        return np.concatenate([level.reshape(level.shape[0], -1, level.shape[-1]) for level in levels], axis=1)

    positive = flat("labels")[..., 0] > 0
    assert positive.sum() > 20
    np.testing.assert_array_equal(targets.classes.numpy() + 1, flat("labels")[..., 0])
    assert distance(targets.boxes.numpy()[positive], flat("reg_target")[positive]) < 1e-6
    assert distance(targets.centerness, flat("centerness")[..., 0]) < 1e-6


def test_the_losses_are_the_same(twin: Twin) -> None:
    model = twin.model().train()
    losses = model(training_batch(twin.config)[0].to_batch(CPU))
    for ours, theirs in LOSSES.items():
        assert losses[ours].item() == pytest.approx(float(twin.training[f"single:{theirs}"]), rel=1e-4), ours


def test_gradients_and_steps_are_the_same(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    """In double precision, see `ppdet_side`; targets and box scales stay in single, which is what limits the agreement."""
    monkeypatch.setattr(head, "_flat", lambda level: level.flatten(2).transpose(1, 2))
    config, seen = twin.config, twin.training
    batches = [replace(batch, images=batch.images.double()) for batch in training_batch(config)]
    model = twin.model().double()
    names = paddle_names(model.state_dict(), config.architecture.fcos_head.fpn_stride)
    step = TrainStep(model, config, CPU)
    gradients = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.register_hook(lambda gradient, name=name: gradients.update({name: gradient.clone()}))
    last = {name: value.clone() for name, value in model.state_dict().items()}
    for number in range(STEPS):
        rate = learning_rate(config, number, reader.load_training_data(config).steps_per_epoch)
        assert rate == pytest.approx(float(seen[f"rate:{number}"]), rel=1e-6)
        losses = step(batches, rate).losses
        assert all(losses[ours].item() == pytest.approx(float(seen[f"{theirs}:{number}"]), rel=1e-5) for ours, theirs in LOSSES.items())
        assert {names[name] for name in gradients} == {key.split(":")[2] for key in seen if key.startswith(f"gradient:{number}:")}
        for name, gradient in gradients.items():
            expected = seen[f"gradient:{number}:{names[name]}"]
            assert np.abs(gradient.numpy() - expected).max() <= 1e-5 * np.abs(expected).max() + 1e-9, (number, name)
        for name, there in names.items():
            now, expected = model.state_dict()[name], seen[f"state:{number}:{there}"]
            if name.endswith("running_var"):
                continue
            moved = np.abs(expected - last[name].numpy()).max()
            error = np.abs(now.numpy() - expected)  # AdamW divides by the gradient: where that is nothing but rounding, so is the step
            assert np.quantile(error, 0.99) <= 1e-5 * moved + 1e-9 and error.max() <= 1e-2 * moved + 1e-9, (number, name, moved)
        last = {name: value.clone() for name, value in model.state_dict().items()}


def test_running_variances_differ_by_bessels_correction(twin: Twin) -> None:
    """Paddle's on a CPU follow the variance over n values, torch's the one over n - 1."""
    model = twin.model()
    names = paddle_names(model.state_dict(), twin.config.architecture.fcos_head.fpn_stride)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()(training_batch(twin.config)[0].to_batch(CPU))
    for name in ("backbone.bn1.running_var", "backbone.layer2.1.bn2.running_var"):
        share = (model.state_dict()[name] - 0.9 * before[name]).numpy() / (
            seen := twin.training[f"state:0:{names[name]}"] - 0.9 * before[name].numpy()
        )
        if twin.config.architecture.backbone.freeze_norm:
            assert np.allclose(share, 1)
        else:
            count = 1 / (share.mean() - 1) + 1
            assert np.ptp(share) < 1e-3 and count == pytest.approx(round(count), rel=0.05), (name, seen)
