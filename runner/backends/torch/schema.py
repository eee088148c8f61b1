"""Config of the torch backend but for its architectures and transforms: every module, key, type, range and default. Imports no torch.

Defaults are PaddleDetection 2.6's where it has the key. A value typed as a Literal of what changes nothing is known there and not honoured
here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from runner.backends.initial_distance import InitialDistance
from runner.backends.paddle import ppdet_names
from runner.backends.torch.models.base import architecture_classes, why_unusable
from runner.backends.torch.transforms.schema import BatchTransform, SampleTransform
from runner.config.schema import AddedLater, Auto, Doc, Form, Fraction, FromPlugins, Key, Neutral, Positive, Range, Shared
from runner.training.common_config import COCODataSetKeys, CommonConfig


# ------------------------------------------------------------------------------------------------------------ readers
@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """Choice of the images of an epoch."""

    form: ClassVar[Form] = "plain"
    type: Annotated[Literal["class_balanced"], Doc("images of rare classes are shown more often, by LVIS's repeat factors")]
    oversample_thresh: Annotated[
        float,
        Doc("share of the images from which on a class is not rare; one on a share f of them is shown sqrt(oversample_thresh / f) times"),
        Range(0, 1, open_low=True),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReader:
    """Reader of training batches."""

    form: ClassVar[Form] = "section"
    sample_transforms: tuple[SampleTransform, ...]
    batch_transforms: tuple[BatchTransform, ...]
    batch_size: Annotated[int, Doc("images per step (per GPU), or auto: measured before training, once per sweep"), Range(1)] = 1
    shuffle: Annotated[bool, Doc("a new order every epoch")] = True
    sampler: Annotated[Sampler | None, Doc("ours: which images an epoch has; default: each one once"), AddedLater()] = None
    drop_last: Annotated[bool, Doc("leave out the last, smaller batch of an epoch")] = True
    mixup_epoch: Annotated[
        int | None, Doc("Mixup is applied in the epochs before this one; 0: in all, -1 or null: in none"), Range(-1), AddedLater()
    ] = None
    mosaic_epoch: Annotated[
        int | None, Doc("Mosaic is applied in the epochs before this one; 0: in all, -1 or null: in none"), Range(-1), AddedLater()
    ] = None
    collate_batch: Annotated[bool, Doc("no effect here: boxes are always collated")] = True
    use_shared_memory: Annotated[bool, Doc("no effect here: workers always share memory")] = False
    num_classes: Annotated[int, Doc("the top-level num_classes"), Range(1), Shared()] = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalReader:
    """Reader of evaluation batches."""

    form: ClassVar[Form] = "section"
    sample_transforms: tuple[SampleTransform, ...]
    batch_transforms: tuple[BatchTransform, ...] = ()
    batch_size: Annotated[int, Doc("images per step"), Range(1)] = 1
    shuffle: Annotated[Literal[False], Doc("evaluation is never shuffled")] = False
    drop_last: Annotated[Literal[False], Doc("evaluation leaves no image out")] = False
    use_shared_memory: Annotated[bool, Doc("no effect here")] = False
    num_classes: Annotated[int, Doc("the top-level num_classes"), Range(1), Shared()] = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReader:
    """Reader of images for `runner predict`."""

    __test__: ClassVar[bool] = False  # not a pytest class
    form: ClassVar[Form] = "section"
    sample_transforms: tuple[SampleTransform, ...]
    batch_transforms: tuple[BatchTransform, ...] = ()
    batch_size: Annotated[int, Doc("images per step"), Range(1)] = 1
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpWarmup:
    """Raise the learning rate from 0 by a power of the share of the warm-up that is done."""

    form: ClassVar[Form] = "tag"
    steps: Annotated[int, Doc("length in iterations"), Range(0)] = 1000
    epochs: Annotated[int | None, Doc("length in epochs; goes before steps"), Range(0)] = None
    power: Annotated[float, Doc("exponent"), Positive] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OneCycle:
    """Raise the learning rate to the base rate, then lower it until the training ends (ours; torch's OneCycleLR, momentum constant)."""

    form: ClassVar[Form] = "tag"
    pct_start: Annotated[float, Doc("share of the training in which the rate rises"), Fraction] = 0.3
    anneal_strategy: Annotated[Literal["cos", "linear"], Doc("form of rise and fall")] = "cos"
    div_factor: Annotated[float, Doc("base rate / first rate"), Positive] = 25.0
    final_div_factor: Annotated[float, Doc("first rate / last rate"), Positive] = 10000.0
    three_phase: Annotated[bool, Doc("fall to the first rate in as many steps as the rise took, then to the last one")] = False


Decay = PiecewiseDecay | CosineDecay
Warmup = LinearWarmup | ExpWarmup
Scheduler = Decay | Warmup | OneCycle


@dataclass(frozen=True, slots=True, kw_only=True)
class RateReference:
    """Learning rate that is known to suit a batch size."""

    form: ClassVar[Form] = "plain"
    batch_size: Annotated[int, Doc("images per step, those of accumulated batches together"), Range(1)]
    base_lr: Annotated[float, Doc("learning rate"), Positive]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRate:
    """schedulers[0] decays, [1] warms up; a OneCycle does both."""

    form: ClassVar[Form] = "section"
    base_lr: Annotated[float, Doc("learning rate after the warm-up, or auto: that of `reference`, scaled to the batch size"), Positive] = (
        0.01
    )
    reference: Annotated[RateReference | None, Doc("ours, for base_lr: auto: a batch size and its rate"), Neutral()] = None
    scaling: Annotated[
        Literal["linear", "sqrt"],
        Doc("ours, for base_lr: auto: the rate is proportional to the batch size (suits Momentum), or to its square root (Adam, AdamW)"),
        Neutral(),
    ] = "linear"
    schedulers: Annotated[tuple[Scheduler, ...], Doc("the decay, then the warm-up")] = field(
        default_factory=lambda: (PiecewiseDecay(), LinearWarmup())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamGroup:
    """Parameters that are trained in a way of their own. Where there are groups, the architecture's own factors and (but for AdamW)
    regularisers do not count, as in PaddleDetection."""

    form: ClassVar[Form] = "plain"
    params: Annotated[tuple[str, ...], Doc("parts of names, PaddleDetection's or torch's; a parameter with one of them is in the group")]
    learning_rate: Annotated[float, Doc("factor of the learning rate"), Range(0)] = 1.0
    weight_decay: Annotated[
        float | None, Doc("coefficient of L2, with AdamW of the decoupled decay; default: the optimiser's"), Range(0)
    ] = None


ParamGroups = Annotated[tuple[ParamGroup, ...], Doc("parameters that are trained in a way of their own"), AddedLater()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Momentum:
    """Stochastic gradient descent with momentum."""

    form: ClassVar[Form] = "type"
    momentum: Annotated[float, Doc("momentum"), Range(0, 1)] = 0.9
    use_nesterov: Annotated[bool, Doc("Nesterov's")] = False
    param_groups: ParamGroups = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam:
    """Adam (arXiv 1412.6980); the regulariser is added to the gradient."""

    form: ClassVar[Form] = "type"
    beta1: Annotated[float, Doc("decay of the first moment"), Fraction] = 0.9
    beta2: Annotated[float, Doc("decay of the second moment"), Fraction] = 0.999
    epsilon: Annotated[float, Doc("added to the denominator"), Positive] = 1e-8
    param_groups: ParamGroups = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """Adam with decoupled weight decay (arXiv 1711.05101); the regulariser does not apply."""

    form: ClassVar[Form] = "type"
    beta1: Annotated[float, Doc("decay of the first moment"), Fraction] = 0.9
    beta2: Annotated[float, Doc("decay of the second moment"), Fraction] = 0.999
    epsilon: Annotated[float, Doc("added to the denominator"), Positive] = 1e-8
    weight_decay: Annotated[float, Doc("decoupled weight decay"), Range(0)] = 0.01
    param_groups: ParamGroups = ()


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
    layer_decay: Annotated[
        float,
        Doc("ours: factor of the learning rate from each layer of the backbone to the one before it, the last layer's included"),
        Range(0, 1, open_low=True),
        AddedLater(),
    ] = 1.0


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

    @staticmethod
    def elsewhere(name: str) -> str:
        """Say of an architecture, a module, a transform or an optimiser that PaddleDetection has it; else nothing."""
        return "the backend paddle has it (-o backend=paddle)" if name in ppdet_names.NAMES else ""

    # what is trained
    architecture: Annotated[Any, FromPlugins(architecture_classes, why_unusable)]
    pretrain_weights: Annotated[
        str | None,
        Doc(
            "null, a file of weights (.pt, .pth, .safetensors, PaddleDetection's .pdparams), or published weights that weights.lock has:"
            " a torchvision name (ResNet50_Weights.IMAGENET1K_V1), a model of the hub (PekingU/rtdetr_r18vd), a URL;"
            " {file: …, sha256: …} pins one"
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
    amp_dtype: Annotated[
        Literal["float16", "bfloat16"] | None,
        Doc(
            "ours: number format of amp; auto: on a GPU bfloat16 if it has it, else float16; on a CPU bfloat16 if it has it and that is"
            " faster, else amp is off; null without amp"
        ),
        Auto(),
        AddedLater(),
    ] = None
    gradient_checkpointing: Annotated[
        bool, Doc("ours: keep less during a step and compute the backbone twice instead: less memory, the same numbers"), Neutral()
    ] = False
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
