"""What the torch backend understands of a PaddleDetection config: every module, key, type, range and default. Imports no torch.

Defaults are PaddleDetection 2.6's where it has the key. A value typed as a Literal of what changes nothing is known there and not honoured
here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from runner.config.schema import Doc, Form, Key, Neutral, Range, Shared
from runner.training.common_config import COCODataSetKeys, CommonConfig, InitialDistance

Positive = Range(0, open_low=True)
Fraction = Range(0, 1)


# ---------------------------------------------------------------------------------------------------------------- model
@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet:
    """ResNet backbone (torchvision's, which is variant b: the stride is in the 3x3 convolution)."""

    form: ClassVar[Form] = "section"
    depth: Annotated[Literal[18, 34, 50, 101], Doc("number of layers")] = 50
    variant: Annotated[Literal["b"], Doc("only b; torchvision has no a, c, d")] = "b"
    norm_type: Annotated[Literal["bn", "sync_bn"], Doc("sync_bn shares statistics over GPUs; the same as bn on one")] = "bn"
    freeze_norm: Annotated[bool, Doc("keep batch norm at its loaded statistics, scale and shift")] = True
    freeze_at: Annotated[int, Doc("freeze the stem and the stages up to this index (0 is res2); -1 freezes nothing"), Range(-1, 3)] = 0
    return_idx: Annotated[tuple[int, ...], Doc("stages handed to the neck, 0 is res2 (stride 4)"), Range(0, 3)] = (0, 1, 2, 3)
    num_stages: Annotated[int, Doc("stages built"), Range(1, 4)] = 4
    norm_decay: Annotated[float, Doc("weight decay of the norm layers' scale and shift"), Range(0)] = 0.0
    lr_mult_list: Annotated[tuple[float, ...], Doc("learning rate factor of each stage"), Range(0)] = (1.0, 1.0, 1.0, 1.0)
    groups: Annotated[Literal[1], Doc("grouped convolution is not supported")] = 1
    base_width: Annotated[Literal[64], Doc("only 64")] = 64
    dcn_v2_stages: Annotated[tuple[()], Doc("deformable convolution is not supported: give []")] = ()
    std_senet: Annotated[Literal[False], Doc("squeeze and excitation is not supported")] = False
    first_shortcut: Annotated[
        Literal["identity", "projection"],
        Doc("ours: shortcut of the first block at depth 18 and 34: projection (PaddleDetection) or identity (torchvision, the paper)"),
    ] = "projection"


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV3:
    """MobileNetV3 backbone (torchvision's)."""

    form: ClassVar[Form] = "section"
    scale: Annotated[float, Doc("width multiplier"), Positive] = 1.0
    model_name: Annotated[Literal["large", "small"], Doc("which of the two")] = "large"
    feature_maps: Annotated[
        tuple[int, ...],
        Doc("layers handed to the neck, counted as PaddleDetection does: 1 is the stem (large: 6, 12, 15 are strides 8, 16, 32)"),
        Range(2, 16),
    ] = (6, 12, 15)
    norm_type: Annotated[Literal["bn", "sync_bn"], Doc("see ResNet")] = "bn"
    freeze_norm: Annotated[bool, Doc("see ResNet")] = False
    norm_decay: Annotated[float, Doc("see ResNet"), Range(0)] = 0.0
    lr_mult_list: Annotated[tuple[float, ...], Doc("learning rate factor of each three blocks; the fifth is for all that remain")] = (
        1.0,
        1.0,
        1.0,
        1.0,
        1.0,
    )
    conv_decay: Annotated[float, Doc("weight decay of its convolutions, in place of the regulariser's"), Range(0)] = 0.0
    multiplier: Annotated[float, Doc("only 1"), Range(1, 1)] = 1.0
    with_extra_blocks: Annotated[Literal[False], Doc("SSD's extra blocks are not supported")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FPN:
    """Feature pyramid (arXiv 1612.03144) on torchvision's FeaturePyramidNetwork."""

    form: ClassVar[Form] = "section"
    out_channel: Annotated[int, Doc("channels of every level"), Range(1)] = 256
    spatial_scales: Annotated[tuple[float, ...], Doc("1 / stride of each backbone level used"), Positive] = (0.25, 0.125, 0.0625, 0.03125)
    extra_stage: Annotated[int, Doc("levels added above the backbone's"), Range(0, 4)] = 1
    has_extra_convs: Annotated[bool, Doc("make the added levels by stride-2 convolution (else by subsampling)")] = False
    use_c5: Annotated[bool, Doc("the first added level comes from the backbone (else from the pyramid)")] = True
    relu_before_extra_convs: Annotated[bool, Doc("ReLU before the second and later added convolutions")] = True
    norm_type: Annotated[Literal["bn", "gn", "sync_bn"] | None, Doc("norm after each convolution")] = None
    norm_decay: Annotated[float, Doc("weight decay of that norm"), Range(0)] = 0.0
    freeze_norm: Annotated[Literal[False], Doc("not supported in the neck")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FCOSFeat:
    """The two towers of the head, shared by all levels."""

    form: ClassVar[Form] = "name"
    feat_in: Annotated[int, Doc("channels from the neck"), Range(1)] = 256
    feat_out: Annotated[int, Doc("channels of the towers"), Range(1)] = 256
    num_convs: Annotated[int, Doc("convolutions a tower"), Range(0, 16)] = 4
    norm_type: Annotated[Literal["bn", "sync_bn", "gn"], Doc("norm after each convolution (gn: 32 groups)")] = "bn"
    use_dcn: Annotated[Literal[False], Doc("deformable convolution is not supported")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FCOSLoss:
    """Focal loss, IoU loss weighted by centre-ness, and centre-ness (arXiv 1904.01355)."""

    form: ClassVar[Form] = "name"
    loss_alpha: Annotated[float, Doc("focal loss: weight of positives"), Fraction] = 0.25
    loss_gamma: Annotated[float, Doc("focal loss: focusing exponent"), Range(0)] = 2.0
    iou_loss_type: Annotated[Literal["giou", "iou", "linear_iou"], Doc("loss of the boxes")] = "giou"
    reg_weights: Annotated[float, Doc("weight of the box loss"), Range(0)] = 1.0
    quality: Annotated[Literal["centerness"], Doc("only centerness")] = "centerness"


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiClassNMS:
    """Non-maximum suppression, class by class."""

    form: ClassVar[Form] = "name"
    score_threshold: Annotated[float, Doc("boxes below it are dropped"), Fraction] = 0.05
    nms_top_k: Annotated[int, Doc("best boxes of a class that enter; -1 is all"), Range(-1)] = -1
    keep_top_k: Annotated[int, Doc("boxes kept an image; -1 is all"), Range(-1)] = 100
    nms_threshold: Annotated[float, Doc("IoU above which the lesser box goes"), Fraction] = 0.5
    normalized: Annotated[Literal[True], Doc("only true (no +1 in widths)")] = True
    nms_eta: Annotated[float, Doc("only 1: adaptive NMS is not supported"), Range(1, 1)] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FCOSHead:
    """FCOS head with a learned scale a level (PaddleDetection's definition)."""

    form: ClassVar[Form] = "section"
    num_classes: Annotated[int, Doc("classes, without background"), Range(1), Shared()] = 80
    fcos_feat: FCOSFeat = field(default_factory=FCOSFeat)
    fpn_stride: Annotated[tuple[int, ...], Doc("stride of each pyramid level in pixels"), Range(1)] = (8, 16, 32, 64, 128)
    prior_prob: Annotated[float, Doc("score every location starts with, below 1"), Range(0, 1, open_low=True)] = 0.01
    multiply_strides_reg_targets: Annotated[Literal[False], Doc("not supported")] = False
    norm_reg_targets: Annotated[bool, Doc("regress distances in strides (ReLU), else pixels (exp)")] = True
    centerness_on_reg: Annotated[bool, Doc("centre-ness from the box tower, else the class tower")] = True
    num_shift: Annotated[float, Doc("offset of a location inside its cell, in strides"), Fraction] = 0.5
    sqrt_score: Annotated[bool, Doc("score is sqrt(class * centre-ness), else their product")] = False
    fcos_loss: FCOSLoss = field(default_factory=FCOSLoss)
    nms: MultiClassNMS = field(default_factory=MultiClassNMS)
    trt: Annotated[Literal[False], Doc("TensorRT is not supported")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FCOS:
    """FCOS, the anchor-free one-stage detector (arXiv 1904.01355)."""

    form: ClassVar[Form] = "section"
    backbone: ResNet | MobileNetV3
    neck: FPN
    fcos_head: FCOSHead


# --------------------------------------------------------------------------------------------------------- transforms
@dataclass(frozen=True, slots=True, kw_only=True)
class Decode:
    """Read the image as RGB."""

    form: ClassVar[Form] = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """Resize image and boxes."""

    form: ClassVar[Form] = "key"
    target_size: Annotated[
        int | tuple[int, int], Doc("[height, width], or one number for both; with keep_ratio [shorter, longer] at most"), Range(1)
    ]
    keep_ratio: Annotated[bool, Doc("keep the aspect ratio")]
    interp: Annotated[Literal[0, 1, 2, 3, 4], Doc("OpenCV's: 0 nearest, 1 linear, 2 cubic, 3 area, 4 Lanczos")] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomResize:
    """Resize to a size drawn a sample."""

    form: ClassVar[Form] = "key"
    target_size: Annotated[
        tuple[int, ...] | tuple[tuple[int, int], ...], Doc("sizes to draw from; with random_range the two ends of a range"), Range(1)
    ]
    keep_ratio: Annotated[bool, Doc("keep the aspect ratio")] = True
    interp: Annotated[Literal[0, 1, 2, 3, 4], Doc("see Resize")] = 1
    random_range: Annotated[bool, Doc("draw the shorter side between the two target sizes")] = False
    random_size: Annotated[bool, Doc("draw from target_size")] = True
    random_interp: Annotated[bool, Doc("draw the interpolation too")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomFlip:
    """Mirror left to right."""

    form: ClassVar[Form] = "key"
    prob: Annotated[float, Doc("probability"), Fraction] = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalizeImage:
    """(pixel / 255 - mean) / std a channel, RGB."""

    form: ClassVar[Form] = "key"
    mean: Annotated[tuple[float, ...], Doc("mean a channel")] = (0.485, 0.456, 0.406)
    std: Annotated[tuple[float, ...], Doc("standard deviation a channel"), Positive] = (0.229, 0.224, 0.225)
    is_scale: Annotated[bool, Doc("divide by 255 first")] = True
    norm_type: Annotated[Literal["mean_std", "none"], Doc("none: only the division")] = "mean_std"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permute:
    """Height-width-channel to channel-height-width."""

    form: ClassVar[Form] = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class PadBatch:
    """Pad the images of a batch with zeros, right and below, to one size."""

    form: ClassVar[Form] = "key"
    pad_to_stride: Annotated[int, Doc("a multiple of this many pixels; 0 is the largest image's size"), Range(0)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gt2FCOSTarget:
    """What each location must learn. Computed on the device, for the whole batch."""

    form: ClassVar[Form] = "key"
    object_sizes_boundary: Annotated[
        tuple[float, ...], Doc("largest distance to a side, in pixels, that each level but the last is for"), Positive
    ]
    center_sampling_radius: Annotated[
        float, Doc("locations within this many strides of the centre are positive; 0: everywhere in the box"), Range(0)
    ]
    downsample_ratios: Annotated[tuple[int, ...], Doc("stride of each level; must equal FCOSHead.fpn_stride"), Range(1)]
    num_shift: Annotated[float, Doc("must equal FCOSHead.num_shift"), Fraction] = 0.5
    multiply_strides_reg_targets: Annotated[Literal[False], Doc("not supported")] = False
    norm_reg_targets: Annotated[bool, Doc("must equal FCOSHead.norm_reg_targets")] = True


SampleTransform = Decode | Resize | RandomResize | RandomFlip | NormalizeImage | Permute
BatchTransform = Permute | NormalizeImage | PadBatch | Gt2FCOSTarget


# ------------------------------------------------------------------------------------------------------------ readers
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReader:
    """How training batches are made."""

    form: ClassVar[Form] = "section"
    sample_transforms: tuple[SampleTransform, ...]
    batch_transforms: tuple[BatchTransform, ...]
    batch_size: Annotated[int, Doc("images a step (a GPU)"), Range(1)] = 1
    shuffle: Annotated[bool, Doc("a new order every epoch")] = True
    drop_last: Annotated[bool, Doc("leave out the last, smaller batch of an epoch")] = True
    collate_batch: Annotated[bool, Doc("no effect here: boxes are always collated")] = True
    use_shared_memory: Annotated[bool, Doc("no effect here: workers always share memory")] = False
    num_classes: Annotated[int, Doc("the top-level num_classes"), Range(1), Shared()] = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalReader:
    """How evaluation batches are made."""

    form: ClassVar[Form] = "section"
    sample_transforms: tuple[SampleTransform, ...]
    batch_transforms: tuple[BatchTransform, ...] = ()
    batch_size: Annotated[int, Doc("images a step"), Range(1)] = 1
    shuffle: Annotated[Literal[False], Doc("evaluation is never shuffled")] = False
    drop_last: Annotated[Literal[False], Doc("evaluation leaves no image out")] = False
    use_shared_memory: Annotated[bool, Doc("no effect here")] = False
    num_classes: Annotated[int, Doc("the top-level num_classes"), Range(1), Shared()] = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReader:
    """How images are read for `runner predict`."""

    __test__: ClassVar[bool] = False  # not a pytest class
    form: ClassVar[Form] = "section"
    sample_transforms: tuple[SampleTransform, ...]
    batch_transforms: tuple[BatchTransform, ...] = ()
    batch_size: Annotated[int, Doc("images a step"), Range(1)] = 1
    shuffle: Annotated[Literal[False], Doc("never shuffled")] = False
    drop_last: Annotated[Literal[False], Doc("no image is left out")] = False
    fuse_normalize: Annotated[bool, Doc("no effect here (an export setting)")] = False
    use_shared_memory: Annotated[bool, Doc("no effect here")] = False
    inputs_def: Annotated[None, Doc("an export setting, not supported")] = None
    num_classes: Annotated[int, Doc("the top-level num_classes"), Range(1), Shared()] = 80


# ------------------------------------------------------------------------------------------- learning rate, optimiser
@dataclass(frozen=True, slots=True, kw_only=True)
class PiecewiseDecay:
    """Multiply the base learning rate by the next gamma at each milestone. A single gamma becomes gamma / 10**i (PaddleDetection's
    arithmetic)."""

    form: ClassVar[Form] = "tag"
    gamma: Annotated[float | tuple[float, ...], Doc("factor of the base rate"), Range(0)] = (0.1, 0.01)
    milestones: Annotated[tuple[int, ...] | None, Doc("in epochs (each times the whole steps of an epoch); default [8, 11]"), Range(0)] = (
        None
    )
    milestone_iters: Annotated[tuple[int, ...] | None, Doc("ours: in iterations, in place of milestones"), Range(0)] = None
    values: Annotated[tuple[float, ...] | None, Doc("the learning rates themselves, one more than milestones"), Range(0)] = None
    use_warmup: Annotated[bool, Doc("the second scheduler warms up")] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineDecay:
    """Half a cosine from the base learning rate down."""

    form: ClassVar[Form] = "tag"
    max_epochs: Annotated[
        int | None,
        Doc("length in epochs; default: PaddleDetection's 1000 if `epoch` is the length of training, all of max_iters if that is"),
        Range(1),
    ] = None
    max_iters: Annotated[int | None, Doc("ours: length in iterations, in place of max_epochs"), Range(1)] = None
    use_warmup: Annotated[bool, Doc("the second scheduler warms up")] = True
    min_lr_ratio: Annotated[float, Doc("lowest rate as a fraction of the base rate"), Fraction] = 0.0
    last_plateau_epochs: Annotated[int, Doc("stay at the lowest rate for the last epochs"), Range(0)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearWarmup:
    """Raise the learning rate linearly from start_factor times the base rate."""

    form: ClassVar[Form] = "tag"
    steps: Annotated[int, Doc("length in iterations"), Range(0)] = 500
    start_factor: Annotated[float, Doc("first factor of the base rate"), Range(0)] = 1 / 3
    epochs: Annotated[int | None, Doc("length in epochs; goes before steps if epochs_first"), Range(0)] = None
    epochs_first: Annotated[bool, Doc("epochs goes before steps where both are given")] = True


Scheduler = PiecewiseDecay | CosineDecay | LinearWarmup


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRate:
    """schedulers[0] decays, [1] warms up."""

    form: ClassVar[Form] = "section"
    base_lr: Annotated[float, Doc("learning rate after the warm-up"), Positive] = 0.01
    schedulers: Annotated[tuple[Scheduler, ...], Doc("the decay, then the warm-up")] = field(
        default_factory=lambda: (PiecewiseDecay(), LinearWarmup())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Momentum:
    """Stochastic gradient descent with momentum."""

    form: ClassVar[Form] = "type"
    momentum: Annotated[float, Doc("momentum"), Range(0, 1)] = 0.9
    use_nesterov: Annotated[bool, Doc("Nesterov's")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam:
    """Adam (arXiv 1412.6980); the regulariser is added to the gradient."""

    form: ClassVar[Form] = "type"
    beta1: Annotated[float, Doc("decay of the first moment"), Fraction] = 0.9
    beta2: Annotated[float, Doc("decay of the second moment"), Fraction] = 0.999
    epsilon: Annotated[float, Doc("added to the denominator"), Positive] = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """Adam with decoupled weight decay (arXiv 1711.05101); the regulariser does not apply."""

    form: ClassVar[Form] = "type"
    beta1: Annotated[float, Doc("decay of the first moment"), Fraction] = 0.9
    beta2: Annotated[float, Doc("decay of the second moment"), Fraction] = 0.999
    epsilon: Annotated[float, Doc("added to the denominator"), Positive] = 1e-8
    weight_decay: Annotated[float, Doc("decoupled weight decay"), Range(0)] = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Regularizer:
    """Weight decay added to the gradient."""

    form: ClassVar[Form] = "plain"
    type: Annotated[Literal["L2", "L1"], Doc("which norm")] = "L2"
    factor: Annotated[float, Doc("coefficient"), Range(0)] = 0.0001


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerBuilder:
    """The optimiser, its regulariser and gradient clipping."""

    form: ClassVar[Form] = "section"
    optimizer: Momentum | Adam | AdamW = field(default_factory=Momentum)
    regularizer: Regularizer | None = field(default_factory=Regularizer)
    clip_grad_by_norm: Annotated[float | None, Doc("clip the norm of all gradients together"), Positive] = None
    clip_grad_by_value: Annotated[float | None, Doc("clip each element"), Positive] = None


# ---------------------------------------------------------------------------------------------------------- data sets
@dataclass(frozen=True, slots=True, kw_only=True)
class COCODataSet(COCODataSetKeys):
    """Images and COCO annotations. Other formats: `runner data prepare`."""

    data_fields: Annotated[tuple[str, ...], Doc("no effect here"), Neutral()] = ("image", "gt_bbox", "gt_class", "is_crowd")
    load_crowd: Annotated[Literal[False], Doc("crowd boxes are never trained on")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """Images without annotations, for prediction; anno_path gives the class names."""

    form: ClassVar[Form] = "tag"
    dataset_dir: Annotated[str, Doc("folder the other two are relative to")] = ""
    image_dir: Annotated[str, Doc("folder of the images")] = ""
    anno_path: Annotated[str | None, Doc("a COCO file or a list of class names")] = None


# ----------------------------------------------------------------------------------------------------- the whole tree
@dataclass(frozen=True, slots=True, kw_only=True)
class TorchConfig(CommonConfig):
    """The whole resolved config of a torch run: top-level keys, PaddleDetection's and ours. No `auto` is left in it."""

    not_used: ClassVar[dict[str, str]] = {"export": "settings for exporting a Paddle model"}
    # what is trained
    architecture: FCOS
    pretrain_weights: Annotated[
        str | None,
        Doc(
            "null, a file of weights (.pt, .pth, PaddleDetection's .pdparams), or a torchvision weights name"
            " (ResNet50_Weights.IMAGENET1K_V1)"
        ),
    ] = None
    # on what
    train_dataset: Annotated[COCODataSet, Key("TrainDataset")]
    eval_dataset: Annotated[COCODataSet, Key("EvalDataset")]
    test_dataset: Annotated[ImageFolder | COCODataSet | None, Key("TestDataset"), Neutral()] = None
    metric: Annotated[Literal["COCO"], Doc("only COCO")] = "COCO"
    train_reader: Annotated[TrainReader, Key("TrainReader")]
    eval_reader: Annotated[EvalReader, Key("EvalReader")]
    test_reader: Annotated[TestReader | None, Key("TestReader"), Neutral()] = None
    # how
    initial_distance: InitialDistance = 0.0
    learning_rate: Annotated[LearningRate, Key("LearningRate")] = field(default_factory=LearningRate)
    optimizer_builder: Annotated[OptimizerBuilder, Key("OptimizerBuilder")] = field(default_factory=OptimizerBuilder)
    gradient_accumulation: Annotated[int, Doc("ours: batches whose gradients are averaged into one step"), Range(1)] = 1
    amp_level: Annotated[Literal["O1"], Doc("only O1")] = "O1"
    channels_last: Annotated[bool, Doc("ours: memory layout of the convolutions; changes speed and rounding")] = False
    sync_bn: Annotated[Literal[False], Doc("give norm_type: sync_bn instead")] = False
    find_unused_parameters: Annotated[bool, Doc("no effect here"), Neutral()] = False
    # where
    backend: Annotated[Literal["torch"], Doc("ours: who trains")] = "torch"
    use_xpu: Annotated[Literal[False], Doc("not supported")] = False
    use_mlu: Annotated[Literal[False], Doc("not supported")] = False
    use_npu: Annotated[Literal[False], Doc("not supported")] = False
    print_flops: Annotated[Literal[False], Doc("not supported")] = False
    print_params: Annotated[Literal[False], Doc("not supported")] = False
