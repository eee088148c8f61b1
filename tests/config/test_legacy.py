"""The older dialect is recognised by any of its signs, and translated key by key: what each is called in 2.x, why, and where it stood."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.config.legacy import Translation, as_newer_dialect, older_dialect, translate
from runner.config.load import load_config, parse
from runner.config.node import Node, Source
from runner.core.errors import InputError

CONFIGS = sorted((Path(__file__).parent / "legacy_configs").glob("*[0-9a-z].yml"))
WHOLE = [path for path in sorted(CONFIGS) if "reader" not in path.name]

READER = """
TrainReader:
  inputs_def:
    fields: [image, im_id, gt_bbox, gt_class]
  dataset:
    !COCODataSet
    dataset_dir: dataset/pcb
    anno_path: train.json
    with_background: false
  sample_transforms:
  - !DecodeImage {to_rgb: true}
  - !ResizeImage {target_size: 800, max_size: 1333, interp: 1, use_cv2: true}
  - !Permute {channel_first: true}
  batch_size: 2
"""


def read(text: str) -> Node:
    return parse(text, lambda number: Source("old.yml", number))


def translated(text: str) -> Translation:
    result = translate(read(text))
    assert result.problems == (), result.problems
    return result


def value(text: str, key: str) -> Any:
    """What `key` is after the translation; KeyError if it is not there."""
    node = translated(text).tree.get(key)
    if node is None:
        raise KeyError(key)
    return node.plain()


# ----------------------------------------------------------------------------------------------------------- recognised
@pytest.mark.parametrize(
    ("text", "line", "sign"),
    [
        ("architecture: FCOS\nlog_smooth_window: 20\n", 2, "log_smooth_window"),
        ("architecture: FCOS\nFCOS: {fpn: FPN}\n_READER_: 'fcos_reader.yml'\n", 3, "_READER_"),
        (READER, 5, "dataset"),
        ("TrainReader:\n  inputs_def: {fields: [image]}\n", 2, "inputs_def.fields"),
        ("EvalReader:\n  bufsize: 16\n", 2, "bufsize"),
        ("TestReader:\n  sample_transforms:\n    - !ResizeImage {target_size: 800}\n", 3, "!ResizeImage"),
        ("TrainReader:\n  sample_transforms:\n    - Decode: {}\n    - !MixupImage\n", 4, "!MixupImage"),
        ("TrainReader: {use_process: true}\n", 1, "use_process"),
        ("EvalReader: {drop_empty: false}\n", 1, "drop_empty"),
    ],
)
def test_signs_of_the_older_dialect(text: str, line: int, sign: str) -> None:
    problem = older_dialect(read(text))
    assert problem is not None and problem.where == f"old.yml:{line}"
    assert "older dialect (0.x)" in problem.message and sign in problem.message


@pytest.mark.parametrize("name", ["fcos_r50_fpn_1x.yml", "fcos_tiny.yml"])
def test_the_newer_shape_is_no_older_dialect(name: str) -> None:
    tree = load_config(f"configs/{name}")
    assert older_dialect(tree) is None
    assert as_newer_dialect(tree) == (tree, ())


# ------------------------------------------------------------------------------------------------------------ key by key
FCOS = "architecture: FCOS\nFCOS: {backbone: ResNet, fpn: FPN, fcos_head: FCOSHead}\n"
RCNN = (
    "architecture: FasterRCNN\nFasterRCNN: {backbone: ResNet, fpn: FPN, rpn_head: FPNRPNHead, roi_extractor: FPNRoIAlign}\n"
    "BBoxHead: {head: TwoFCHead}\n"
)
C4 = (
    "architecture: FasterRCNN\nFasterRCNN: {backbone: ResNet, rpn_head: RPNHead, roi_extractor: RoIAlign}\nBBoxHead: {head: ResNetC5}\n"
    "ResNet: {feature_maps: 4}\n"
)
YOLO = "architecture: YOLOv3\nYOLOv3: {backbone: DarkNet}\n"
TRAIN = "TrainReader:\n  dataset: !COCODataSet {dataset_dir: d, with_background: false}\n"
SAMPLE = "TrainReader:\n  sample_transforms:\n  - !"
BATCH = "TrainReader:\n  batch_transforms:\n  - !"
EVAL = "EvalReader:\n  sample_transforms:\n  - !"


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        # top level
        ("max_iters: 3558", "max_iters", 3558),
        ("snapshot_iter: 1000", "snapshot_iter", 1000),
        ("use_fp16: true", "amp", True),
        ("use_ema: true\nema_decay: 0.9998", "ema_decay", 0.9998),
        ("map_type: 11point", "map_type", "11point"),
        ("our_own: 1", "our_own", 1),
        # classes
        (RCNN + "num_classes: 7", "num_classes", 6),
        (RCNN + "num_classes: 7\nTrainReader: {dataset: !COCODataSet {dataset_dir: d}}", "num_classes", 6),
        (FCOS + "num_classes: 6", "num_classes", 6),
        (FCOS + "num_classes: 6\n" + TRAIN, "num_classes", 6),
        (FCOS + "num_classes: 7\nTrainReader: {dataset: !COCODataSet {dataset_dir: d}}", "num_classes", 6),
        # ResNet
        (FCOS + "ResNet: {feature_maps: [3, 4, 5]}", "ResNet.return_idx", [1, 2, 3]),
        (C4, "ResNet.return_idx", [2]),
        (C4, "ResNet.num_stages", 3),
        (FCOS + "ResNet: {freeze_at: 2}", "ResNet.freeze_at", 0),
        (FCOS + "ResNet: {freeze_at: 0}", "ResNet.freeze_at", -1),
        (FCOS + "ResNet: {freeze_at: 4}", "ResNet.freeze_at", 2),
        (FCOS + "ResNet: {dcn_v2_stages: [3, 4, 5]}", "ResNet.dcn_v2_stages", [1, 2, 3]),
        (FCOS + "ResNet: {dcn_v2_stages: []}", "ResNet.dcn_v2_stages", []),
        (FCOS + "ResNet: {norm_type: affine_channel}", "ResNet.norm_type", "bn"),
        (FCOS, "ResNet.norm_type", "bn"),
        (FCOS + "ResNet: {norm_type: sync_bn}", "ResNet.norm_type", "sync_bn"),
        (FCOS + "backend: paddle\nResNet: {norm_type: sync_bn}", "norm_type", "sync_bn"),
        (RCNN + "ResNet: {norm_type: sync_bn}", "norm_type", "sync_bn"),
        (RCNN.replace("ResNet", "ResNeXt") + "ResNeXt: {depth: 101, group_width: 8}", "ResNet.base_width", 8),
        (RCNN.replace("ResNet", "ResNeXt") + "ResNeXt: {depth: 101}", "ResNet.variant", "a"),
        # FPN
        (FCOS, "FCOS.neck", "FPN"),
        (FCOS + "FPN: {num_chan: 128}", "FPN.out_channel", 128),
        (FCOS, "FPN.out_channel", 256),
        (FCOS + "FPN: {spatial_scale: [0.03125, 0.0625, 0.125]}", "FPN.spatial_scales", [0.125, 0.0625, 0.03125]),
        (
            FCOS + "FPN: {min_level: 3, max_level: 7, has_extra_convs: true, spatial_scale: [0.03125, 0.0625, 0.125]}",
            "FPN.extra_stage",
            2,
        ),
        (FCOS + "FPN: {min_level: 2, max_level: 6}", "FPN.extra_stage", 1),
        (FCOS + "FPN: {min_level: 2, max_level: 5}", "FPN.extra_stage", 0),
        # FCOS head
        (FCOS + "FCOSHead: {num_convs: 2}", "FCOSHead.fcos_feat.num_convs", 2),
        (FCOS + "FPN: {num_chan: 64}", "FCOSHead.fcos_feat.feat_in", 64),
        (FCOS + "FCOSHead: {norm_type: bn}", "FCOSHead.fcos_feat.norm_type", "bn"),
        (FCOS, "FCOSHead.fcos_feat.norm_type", "gn"),
        (FCOS + "FCOSHead: {use_dcn_in_tower: true}", "FCOSHead.fcos_feat.use_dcn", True),
        (FCOS, "FCOSHead.norm_reg_targets", False),
        (FCOS, "FCOSHead.centerness_on_reg", False),
        (FCOS + "FCOSHead: {fcos_loss: FCOSLoss}", "FCOSHead.fcos_loss", {"name": "FCOSLoss", "iou_loss_type": "iou"}),
        (FCOS + "FCOSLoss: {iou_loss_type: GIoU}\nFCOSHead: {fcos_loss: FCOSLoss}", "FCOSHead.fcos_loss.iou_loss_type", "giou"),
        (FCOS + "FCOSHead: {nms: {nms_threshold: 0.6}}", "FCOSHead.nms", {"name": "MultiClassNMS", "nms_threshold": 0.6}),
        (FCOS + "FCOSHead: {nms: !MatrixNMS {keep_top_k: 9}}", "FCOSHead.nms", {"name": "MatrixNMS", "keep_top_k": 9}),
        (FCOS, "FCOSHead.nms.nms_threshold", 0.45),
        # Faster R-CNN
        (RCNN + "FPNRPNHead: {anchor_start_size: 8}", "RPNHead.anchor_generator.anchor_sizes", [[8], [16], [32], [64], [128]]),
        (RCNN, "RPNHead.anchor_generator.strides", [4, 8, 16, 32, 64]),
        (RCNN + "FPNRPNHead: {rpn_target_assign: {rpn_fg_fraction: 0.4}}", "RPNHead.rpn_target_assign", {"fg_fraction": 0.4}),
        (RCNN + "FPNRPNHead: {train_proposal: {nms_thresh: 0.7}}", "RPNHead.train_proposal.post_nms_top_n", 1000),
        (RCNN, "RPNHead.train_proposal.post_nms_top_n", 2000),
        (RCNN, "RPNHead.test_proposal", {"pre_nms_top_n": 6000, "post_nms_top_n": 1000}),
        (C4 + "RPNHead: {anchor_generator: {stride: [16, 16], anchor_sizes: [32]}}", "RPNHead.anchor_generator.strides", [16]),
        (RCNN + "FPNRoIAlign: {box_resolution: 14}", "BBoxHead.roi_extractor.resolution", 14),
        (RCNN + "FPNRoIAlign: {box_resolution: 14}", "TwoFCHead.resolution", 14),
        (RCNN + "FPNRoIAlign: {min_level: 3, max_level: 5}", "BBoxHead.roi_extractor.start_level", 1),
        (C4 + "RoIAlign: {resolution: 14}", "BBoxHead.roi_extractor.resolution", 14),
        (C4, "BBoxHead.head", "Res5Head"),
        (C4, "BBoxHead.with_pool", True),
        (RCNN + "BBoxAssigner: {bg_thresh_hi: 0.4}", "BBoxAssigner.bg_thresh", 0.4),
        (RCNN + "BBoxAssigner: {shuffle_before_sample: false}", "BBoxAssigner.use_random", False),
        (RCNN + "BBoxAssigner: {bbox_reg_weights: [0.1, 0.1, 0.2, 0.2]}", "BBoxHead.bbox_weight", [10, 10, 5, 5]),
        (RCNN, "BBoxPostProcess.decode", {"name": "RCNNBox", "prior_box_var": [10, 10, 5, 5]}),
        (RCNN + "TwoFCHead: {mlp_dim: 512}", "TwoFCHead.out_channel", 512),
        (RCNN + TRAIN, "TrainReader.collate_batch", False),
        # YOLOv3
        (YOLO, "YOLOv3.neck", "YOLOv3FPN"),
        (YOLO + "YOLOv3Head: {spp: true, drop_block: true}", "YOLOv3.neck", "PPYOLOFPN"),
        (YOLO + "YOLOv3Head: {spp: true}", "PPYOLOFPN", {"spp": True}),
        (YOLO + "YOLOv3Head: {yolo_loss: YOLOv3Loss}", "YOLOv3Head.loss", "YOLOv3Loss"),
        (YOLO, "YOLOv3Loss.label_smooth", True),
        (YOLO + "YOLOv3Head: {nms: {score_threshold: 0.02}}", "BBoxPostProcess.decode.conf_thresh", 0.02),
        (YOLO + "YOLOv3Head: {scale_x_y: 1.05}", "BBoxPostProcess.decode.scale_x_y", 1.05),
        (YOLO + "YOLOv3Loss: {iou_loss: IouLoss}\nIouLoss: {max_height: 608, loss_weight: 2}", "IouLoss", {"loss_weight": 2}),
        (YOLO + "DarkNet: {freeze_at: 3}", "DarkNet.freeze_at", 2),
        (
            YOLO.replace("DarkNet", "MobileNetV3") + "MobileNetV3: {model_name: large, feature_maps: [1, 2, 3, 4, 6]}",
            "MobileNetV3.feature_maps",
            [7, 13, 16],
        ),
        (YOLO.replace("DarkNet", "MobileNet") + "MobileNet: {conv_group_scale: 1}", "MobileNet.scale", 1),
        (YOLO + TRAIN, "TrainReader.batch_transforms.0.Gt2YoloTarget.downsample_ratios", [32, 16, 8]),
        # learning rate
        (
            "LearningRate: {schedulers: [!PiecewiseDecay {milestones: [3, 4]}, !LinearWarmup {}]}",
            "LearningRate.schedulers.0.gamma",
            [0.1, 0.1],
        ),
        (
            "LearningRate: {schedulers: [!PiecewiseDecay {gamma: 0.5, milestones: [3, 4]}, !LinearWarmup {}]}",
            "LearningRate.schedulers.0.milestone_iters",
            [3, 4],
        ),
        ("LearningRate: {base_lr: 0.1}", "LearningRate.schedulers.0.milestone_iters", [60000, 80000]),
        ("max_iters: 5", "LearningRate.schedulers.0.gamma", [0.1, 0.1]),
        ("LearningRate: {schedulers: [!CosineDecay {max_iters: 500}]}", "LearningRate.schedulers.0.max_iters", 500),
        ("LearningRate: {schedulers: [!CosineDecay {}]}", "LearningRate.schedulers.0.max_iters", 180000),
        ("LearningRate: {schedulers: [!CosineDecay {max_iters: 500}]}", "LearningRate.schedulers.0.use_warmup", False),
        # data
        (TRAIN, "TrainDataset", {"name": "COCODataSet", "dataset_dir": "d", "data_fields": ["image", "gt_bbox", "gt_class", "is_crowd"]}),
        ("EvalReader: {drop_empty: false, dataset: !COCODataSet {dataset_dir: d}}", "EvalDataset.allow_empty", True),
        (
            "TestReader: {dataset: !ImageFolder {anno_path: a, use_default_label: true}}",
            "TestDataset",
            {"name": "ImageFolder", "anno_path": "a"},
        ),
        ("TrainReader: {dataset: !VOCDataSet {use_default_label: false}}", "TrainDataset.label_list", "label_list.txt"),
        ("TrainReader: {dataset: !VOCDataSet {dataset_dir: d}}", "TrainDataset.data_fields.3", "difficult"),
        ("dataset: pcb\n" + TRAIN, "TrainDataset", {"data_fields": ["image", "gt_bbox", "gt_class", "is_crowd"]}),
        # readers
        ("TrainReader: {worker_num: 3}\nEvalReader: {worker_num: 5}", "worker_num", 3),
        (TRAIN, "TrainReader.shuffle", False),
        (TRAIN, "TrainReader.drop_last", False),
        ("TrainReader: {mixup_epoch: 0}", "TrainReader.mixup_epoch", -1),
        ("TrainReader: {inputs_def: {fields: [image], num_max_boxes: 50}}", "TrainReader.inputs_def", {"num_max_boxes": 50}),
        ("TestReader: {inputs_def: {image_shape: [3, 608, 608]}}", "TestReader.inputs_def.image_shape", [3, 608, 608]),
        # operators
        (SAMPLE + "DecodeImage {to_rgb: true, with_mixup: true}", "TrainReader.sample_transforms.0", {"Decode": {}}),
        (SAMPLE + "RandomFlipImage {prob: 0.3, is_normalized: true}", "TrainReader.sample_transforms.0", {"RandomFlip": {"prob": 0.3}}),
        (
            SAMPLE + "ResizeImage {target_size: 800, max_size: 1333, interp: 2, use_cv2: true}",
            "TrainReader.sample_transforms.0",
            {"Resize": {"target_size": [800, 1333], "keep_ratio": True, "interp": 2}},
        ),
        (
            SAMPLE + "ResizeImage {target_size: [640, 800], max_size: 1333}",
            "TrainReader.sample_transforms.0",
            {"RandomResize": {"target_size": [[640, 1333], [800, 1333]], "keep_ratio": True}},
        ),
        (
            SAMPLE + "ResizeImage {target_size: 608}",
            "TrainReader.sample_transforms.0",
            {"Resize": {"target_size": [608, 608], "keep_ratio": False}},
        ),
        (
            SAMPLE + "ResizeImage {target_size: 900, max_size: 700}",
            "TrainReader.sample_transforms.0.Resize.target_size",
            [700, 700],
        ),
        (
            SAMPLE + "Resize {target_dim: 300, interp: random}",
            "TrainReader.sample_transforms.0",
            {"RandomResize": {"target_size": [[300, 300]], "keep_ratio": False, "random_interp": True}},
        ),
        (
            SAMPLE + "RandomInterpImage {target_size: 608, max_size: 0}",
            "TrainReader.sample_transforms.0",
            {"RandomResize": {"target_size": [[608, 608]], "keep_ratio": False, "random_interp": True}},
        ),
        (SAMPLE + "NormalizeImage {is_channel_first: false}", "TrainReader.sample_transforms.0", {"NormalizeImage": {"std": [1, 1, 1]}}),
        (SAMPLE + "Permute {to_bgr: false}", "TrainReader.sample_transforms.0", {"Permute": {}}),
        (SAMPLE + "ColorDistort {hue: [-18, 18, 0.5]}", "TrainReader.sample_transforms.0", {"RandomDistort": {"hue": [-18, 18, 0.5]}}),
        (SAMPLE + "MixupImage {alpha: 1.5}", "TrainReader.sample_transforms.0", {"Mixup": {"alpha": 1.5}}),
        (SAMPLE + "CutmixImage", "TrainReader.sample_transforms.0", {"Cutmix": {}}),
        (SAMPLE + "RandomExpand {ratio: 2, is_mask_expand: false}", "TrainReader.sample_transforms.0", {"RandomExpand": {"ratio": 2}}),
        (
            SAMPLE + "ExpandImage {max_ratio: 4, prob: 0.5, mean: [1, 2, 3]}",
            "TrainReader.sample_transforms.0",
            {"RandomExpand": {"prob": 0.5, "ratio": 4, "fill_value": [1, 2, 3]}},
        ),
        (SAMPLE + "RandomCrop {num_attempts: 3}", "TrainReader.sample_transforms.0", {"RandomCrop": {"num_attempts": 3}}),
        (SAMPLE + "AutoAugmentImage {autoaug_type: v1}", "TrainReader.sample_transforms.0", {"AutoAugment": {"autoaug_type": "v1"}}),
        (SAMPLE + "GridMaskOp {ratio: 0.5}", "TrainReader.sample_transforms.0", {"GridMask": {"ratio": 0.5}}),
        (SAMPLE + "RandomErasingImage {sl: 0.1}", "TrainReader.sample_transforms.0", {"RandomErasingImage": {"lower": 0.1}}),
        (
            BATCH + "RandomShape {sizes: [320, 352], random_inter: true}",
            "TrainReader.batch_transforms.0",
            {"BatchRandomResize": {"target_size": [320, 352], "random_size": True, "random_interp": True, "keep_ratio": False}},
        ),
        (BATCH + "RandomShape {sizes: [320]}", "TrainReader.batch_transforms.0.BatchRandomResize.interp", 0),
        (
            BATCH + "PadBatch {pad_to_stride: 32, use_padded_im_info: true}",
            "TrainReader.batch_transforms.0",
            {"PadBatch": {"pad_to_stride": 32}},
        ),
        (BATCH + "PadBatch {pad_to_stride: -1.}", "TrainReader.batch_transforms.0", {"PadBatch": {"pad_to_stride": 0}}),
        (BATCH + "Gt2FCOSTarget {center_sampling_radius: 1.5}", "TrainReader.batch_transforms.0.Gt2FCOSTarget.norm_reg_targets", False),
        (BATCH + "Gt2YoloTarget {iou_thresh: 1, num_classes: 3}", "TrainReader.batch_transforms.0", {"Gt2YoloTarget": {"iou_thresh": 1}}),
        (EVAL + "PadBox {num_max_boxes: 50}", "EvalReader.sample_transforms", []),
        (SAMPLE.replace("!", "Resize: {target_size: 9}"), "TrainReader.sample_transforms.0", {"Resize": {"target_size": 9}}),
    ],
)
def test_each_row_of_the_table(text: str, key: str, expected: Any) -> None:
    assert value(text, key) == expected


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("log_smooth_window: 20", "log_smooth_window"),
        ("_READER_: r.yml", "_READER_"),
        ("use_fine_grained_loss: true", "use_fine_grained_loss"),
        ("finetune_exclude_pretrained_params: [cls_score]", "finetune_exclude_pretrained_params"),
        ("save_prediction_only: true", "save_prediction_only"),
        (FCOS + "FCOSHead: {num_classes: 80}", "FCOSHead.num_classes"),
        (
            FCOS + "MultiClassNMS: {background_label: -1, normalized: false}\nFCOSHead: {nms: MultiClassNMS}",
            "FCOSHead.nms.background_label",
        ),
        (FCOS + "FCOSLoss: {loss_alpha: 0.5}\nFCOSHead: {fcos_loss: FCOSLoss}", "FCOSHead.fcos_loss.loss_alpha"),
        (RCNN + "FPNRPNHead: {rpn_target_assign: {rpn_straddle_thresh: 0.}}", "RPNHead.rpn_target_assign.rpn_straddle_thresh"),
        (YOLO + "YOLOv3Head: {norm_decay: 0.}", "YOLOv3Head.norm_decay"),
        (TRAIN, "TrainReader.dataset"),
        ("TrainReader: {bufsize: 4, use_process: true, memsize: 3G}", "TrainReader.bufsize"),
        ("TrainReader: {inputs_def: {fields: [image]}}", "TrainReader.inputs_def"),
    ],
)
def test_what_is_dropped_is_listed(text: str, key: str) -> None:
    result = translated(text)
    assert result.tree.get(key) is None
    assert any(change.key_before.endswith(key.rpartition(".")[2]) or change.key_before.endswith("fields") for change in result.changes)


def test_boxes_leave_pixels_after_all_that_moves_them() -> None:
    old = Path(__file__).parent / "legacy_configs" / "yolov3_darknet.yml"
    tree, _ = as_newer_dialect(load_config(old))
    samples, batches = ([next(iter(op)) for op in tree.get(f"TrainReader.{key}_transforms").plain()] for key in ("sample", "batch"))  # type: ignore[union-attr]
    assert samples == ["Decode", "Mixup", "RandomDistort"]
    assert batches == ["BatchRandomResize", "NormalizeBox", "PadBox", "BboxXYXY2XYWH", "NormalizeImage", "Permute", "Gt2YoloTarget"]
    ops = (
        "NormalizeBox",
        "RandomFlipImage {is_normalized: true}",
        "ResizeImage {target_size: 9}",
        "NormalizeImage {is_channel_first: false}",
    )
    text = "TrainReader:\n  sample_transforms:\n" + "".join(f"  - !{op}\n" for op in ops)
    assert [next(iter(op)) for op in value(text, "TrainReader.sample_transforms")] == [
        "RandomFlip",
        "Resize",
        "NormalizeBox",
        "NormalizeImage",
    ]


# --------------------------------------------------------------------------------------------------------------- weights
STORE = "https://paddle-imagenet-models-name.bj.bcebos.com"
NEW_STORE = "https://paddledet.bj.bcebos.com/models/pretrained"


@pytest.mark.parametrize(
    ("config", "given", "expected"),
    [
        (FCOS, f"{STORE}/ResNet50_cos_pretrained.tar", f"{NEW_STORE}/ResNet50_cos_pretrained.pdparams"),
        (FCOS + "backend: paddle\n", f"{STORE}/ResNet50_cos_pretrained.tar", f"{NEW_STORE}/ResNet50_cos_pretrained.pdparams"),
        (FCOS + "ResNet: {depth: 101}\n", f"{STORE}/ResNet101_pretrained.tar", f"{NEW_STORE}/ResNet101_pretrained.pdparams"),
        (FCOS + "ResNet: {depth: 34}\n", f"{STORE}/ResNet34_pretrained.tar", f"{NEW_STORE}/ResNet34_pretrained.pdparams"),
        (FCOS + "ResNet: {variant: d}\n", f"{STORE}/ResNet50_cos_pretrained.tar", f"{NEW_STORE}/ResNet50_cos_pretrained.pdparams"),
        (
            FCOS + "ResNet: {variant: d}\n",
            f"{STORE}/ResNet50_vd_ssld_pretrained.tar",
            f"{NEW_STORE}/ResNet50_vd_ssld_v2_pretrained.pdparams",
        ),
        (FCOS + "ResNet: {depth: 101}\n", f"{STORE}/ResNet50_cos_pretrained.tar", f"{NEW_STORE}/ResNet50_cos_pretrained.pdparams"),
        (YOLO, f"{STORE}/DarkNet53_pretrained.tar", f"{NEW_STORE}/DarkNet53_pretrained.pdparams"),
        (
            FCOS,
            "https://paddlemodels.bj.bcebos.com/object_detection/some_detector.tar",
            "https://paddlemodels.bj.bcebos.com/object_detection/some_detector.tar",
        ),
        (FCOS, "output/mine/model_final", "output/mine/model_final"),
        (FCOS, "null", None),
    ],
)
def test_weights_to_start_from(config: str, given: str, expected: str | None) -> None:
    result = translated(f"{config}pretrain_weights: {given}\n")
    assert result.tree.mapping is not None and result.tree.mapping["pretrain_weights"].value == expected
    changes = [change for change in result.changes if change.key_before == "pretrain_weights"]
    assert len(changes) == (".tar" in given)


# -------------------------------------------------------------------------------------------------------------- problems
@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("architecture: CascadeRCNN\n", 1, ["CascadeRCNN of PaddleDetection 0.x is not translated", "FCOS, FasterRCNN, YOLOv3"]),
        ("architecture: FasterRCN\n", 1, ["FasterRCN ", "did you mean 'FasterRCNN'?"]),
        (FCOS + "ResNet:\n  depth: 50\n  freezeat: 2\n", 5, ["ResNet.freezeat", "did you mean 'freeze_at'"]),
        (FCOS + "ResNet:\n  nonlocal_stages: [4]\n", 4, ["nonlocal_stages", "cannot"]),
        (FCOS + "ResNet: {norm_type: affine_channel,\n  freeze_norm: false}\n", 4, ["freeze_norm", "affine_channel"]),
        (FCOS.replace("ResNet", "HRNet"), 2, ["FCOS.backbone", "HRNet is not translated", "ResNet"]),
        (FCOS.replace("fpn: FPN", "fpn: BFP"), 2, ["FCOS.fpn", "BFP"]),
        (FCOS + "FCOSHead:\n  nms: MultiClassSoftNMS\n", 4, ["FCOSHead.nms", "MultiClassSoftNMS"]),
        (RCNN + "BBoxAssigner:\n  bg_thresh_lo: 0.1\n", 5, ["bg_thresh_lo", "0.1"]),
        (RCNN.replace("TwoFCHead}", "TwoFCHead,\n bbox_loss: DiouLoss}"), 4, ["bbox_loss", "DiouLoss"]),
        (YOLO + "YOLOv3Loss: {iou_loss: DiouLossYolo}\n", 3, ["iou_loss", "DiouLossYolo"]),
        (SAMPLE + "ResizeImag {target_size: 8}", 3, ["sample_transforms.0", "ResizeImag ", "did you mean 'ResizeImage'"]),
        (SAMPLE + "ResizeImage {target_size: 8,\n use_cv2: false}", 4, ["use_cv2", "OpenCV"]),
        (SAMPLE + "ResizeImage {target_siz: 8}", 3, ["target_siz", "did you mean 'target_size'?"]),
        (SAMPLE + "ResizeImage {target_size: [8, x]}", 3, ["target_size", "integers", "'x'"]),
        (SAMPLE + "ResizeImage {target_size: 0}", 3, ["sizes above 0"]),
        (SAMPLE + "Permute {}", 3, ["to_bgr", "RGB"]),
        (SAMPLE + "NormalizeImage {}", 3, ["is_channel_first", "before Permute"]),
        (SAMPLE + "MultiscaleTestResize {}", 3, ["MultiscaleTestResize is not translated"]),
        ("TrainReader:\n  class_aware_sampling: true\n", 2, ["class_aware_sampling"]),
        ("TrainReader:\n  batchsize: 2\n", 2, ["batchsize", "did you mean 'batch_size'"]),
        ("TrainReader:\n  dataset: !WIDERFaceDataSet {dataset_dir: d}\n", 2, ["TrainReader.dataset", "!COCODataSet"]),
        ("EvalReader:\n  drop_empty: maybe\n  dataset: !COCODataSet {dataset_dir: d}\n", 2, ["drop_empty", "true or false"]),
        ("LearningRate:\n  schedulers:\n  - !PolynomialDecay {max_iter: 9}\n", 3, ["schedulers.0", "PolynomialDecay"]),
        ("LearningRate:\n  schedulers:\n  - !LinearWarmup\n  - !PiecewiseDecay\n", 3, ["schedulers.0", "LinearWarmup"]),
        ("LearningRate:\n  schedulers:\n  - !PiecewiseDecay {milestones: soon}\n", 3, ["milestones", "integers", "'soon'"]),
        ("norm_type: gn\n", 1, ["norm_type", "in the sections"]),
        ("num_classes: 1\narchitecture: FasterRCNN\n", 1, ["num_classes", "background and at least one class"]),
    ],
)  # fmt: skip
def test_what_cannot_be_translated_is_named_with_its_place(text: str, line: int, words: list[str]) -> None:
    problems = [str(problem) for problem in translate(read(text)).problems]
    assert any(problem.startswith(f"old.yml:{line}: ") and all(word in problem for word in words) for problem in problems), problems


def test_all_problems_at_once_and_why_it_is_read_as_old() -> None:
    text = SAMPLE + "Foo {}\n  - !Bar {}\n  bufsize: 3\n" + FCOS + "ResNet: {dpth: 50}\n"
    with pytest.raises(InputError) as error:
        as_newer_dialect(read(text))
    first, *others = map(str, error.value.problems)
    assert (
        first
        == "old.yml:5: TrainReader.bufsize: a config in PaddleDetection's older dialect (0.x): the key bufsize in a reader belongs to it"
    )
    assert [word for word in ("Foo", "Bar", "dpth") if any(word in other for other in others)] == ["Foo", "Bar", "dpth"]


# ----------------------------------------------------------------------------------------------------- places, overrides
def places(node: Node) -> Iterator[Source]:
    yield node.source
    for item in node.mapping.values() if node.mapping is not None else node.items or ():
        yield from places(item)


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_whole_configs_leave_nothing_over_and_keep_their_places(path: Path) -> None:
    tree = load_config(path)
    before = copy.deepcopy(tree)
    assert older_dialect(tree) is not None
    result = translate(tree)
    assert result.problems == ()
    assert tree == before, "the translation changed its input"
    assert older_dialect(result.tree) is None, "something of the older dialect is left"
    known = set(places(tree))
    assert set(places(result.tree)) <= known
    assert {change.where for change in result.changes} <= known
    assert all(change.why and not change.why.endswith(".") for change in result.changes)
    return_idx = result.tree.get("ResNet.return_idx")
    if return_idx is not None:
        line = path.with_name(Path(return_idx.source.file).name).read_text().splitlines()[return_idx.source.line - 1]
        assert "feature_maps" in line


def test_a_reader_file_goes_under_the_config_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "reader.yml").write_text("TrainReader: {batch_size: 1, shuffle: true, bufsize: 3}\n")
    (tmp_path / "old.yml").write_text(FCOS + "_READER_: reader.yml\nTrainReader: {batch_size: 8}\n")
    tree, changes = as_newer_dialect(load_config(tmp_path / "old.yml"))
    assert tree.get("TrainReader.batch_size").value == 8 and tree.get("TrainReader.shuffle").value is True  # type: ignore[union-attr]
    assert tree.get("_READER_") is None and any(change.key_before == "_READER_" for change in changes)
    (tmp_path / "old.yml").write_text("architecture: FCOS\n_READER_: nowhere.yml\n")
    with pytest.raises(InputError, match=r"old.yml:2: _READER_: file .*nowhere.yml does not exist"):
        load_config(tmp_path / "old.yml")


def test_overrides_are_in_the_newer_keys() -> None:
    old = read(
        FCOS
        + f"pretrain_weights: {STORE}/ResNet50_cos_pretrained.tar\nmax_iters: 90\nlog_smooth_window: 20\nTrainReader: {{batch_size: 2}}\n"
    )
    tree, _ = as_newer_dialect(old, ["ResNet.return_idx=[1]", "TrainReader.batch_size=4", "max_iters=9"])
    assert [tree.get(key).plain() for key in ("ResNet.return_idx", "TrainReader.batch_size", "max_iters")] == [[1], 4, 9]  # type: ignore[union-attr]
    for on_paddle in (as_newer_dialect(old, ["backend=paddle"])[0], as_newer_dialect(old, backend="paddle")[0]):
        assert on_paddle.get("pretrain_weights").value == f"{NEW_STORE}/ResNet50_cos_pretrained.pdparams"  # type: ignore[union-attr]
    epochs, _ = as_newer_dialect(old, ["epoch=3", "LearningRate.schedulers.0.milestones=[1, 2]"])
    assert epochs.get("max_iters") is None and epochs.get("LearningRate.schedulers.0.milestone_iters") is None


# ---------------------------------------------------------------------------------------------------------------- robust
ODD: tuple[Any, ...] = (None, True, -1, 0, 1e300, float("nan"), float("inf"), "x", "", (), {}, "!tag")


def variants(node: Node) -> Iterator[Node]:
    """The tree with one value replaced by an odd one, or a tag taken off or changed, for every place and odd value."""
    for odd in ODD:
        yield replace(node, tag="Odd") if odd == "!tag" else Node(odd, node.source, node.tag)
    if node.tag is not None:
        yield replace(node, tag=None)
    if node.mapping is not None:
        for key, item in node.mapping.items():
            yield from (node.with_key(key, new) for new in variants(item))
            yield node.with_key(f"{key}x", item).without(key)
    for index, item in enumerate(node.items or ()):
        items = node.items or ()
        yield from (replace(node, value=(*items[:index], new, *items[index + 1 :])) for new in variants(item))


@pytest.mark.parametrize(
    "path", [WHOLE[0], *(pytest.param(path, marks=pytest.mark.exhaustive) for path in WHOLE[1:])], ids=lambda path: path.stem
)
def test_odd_values_are_problems_and_no_crashes(path: Path) -> None:
    tree = load_config(path)
    count = wrong = 0
    for odd in variants(tree):
        result = translate(odd)
        older_dialect(odd)
        assert all(problem.where and problem.message for problem in result.problems)
        count += 1
        wrong += bool(result.problems)
    assert count > 1500 and wrong > count / 10, (count, wrong)
