"""Schema of the paddle backend: the top level and the data sets. Modules (FCOSHead, TrainReader, …) are ppdet's own: what
they take is in its module registry (`runner.backends.paddle.module_registry`). Imports no Paddle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from runner.backends.initial_distance import InitialDistance
from runner.config.schema import Doc, Form, Key, Neutral, Range, Rest
from runner.training.common_config import COCODataSetKeys, CommonConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class COCODataSet(COCODataSetKeys):
    """Images and COCO annotations. Other formats: `runner data prepare`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """Images without annotations, for prediction."""

    form: ClassVar[Form] = "tag"
    dataset_dir: Annotated[str, Doc("folder the other two are relative to")] = ""
    image_dir: Annotated[str, Doc("folder of the images")] = ""
    anno_path: Annotated[str | None, Doc("a COCO file or a list of class names")] = None
    sample_num: Annotated[int, Doc("use the first n images; -1 is all"), Range(-1)] = -1
    use_default_label: Annotated[bool | None, Doc("class names of the data set that the metric is of")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaddleConfig(CommonConfig):
    """The whole resolved config of a paddle run: PaddleDetection's top-level keys and ours, and its modules as they are."""

    not_used: ClassVar[dict[str, str]] = {
        "export": "settings for exporting a model",
        "classwise": "the evaluation has every class anyway",
        "map_type": "the evaluation is COCO's",
        "multi_scale_eval": "the evaluation is COCO's",
        "output_eval": "predictions go to the run directory",
        "save_prediction_only": "predictions are always saved",
        "EvalMOTDataset": "this program does not track",
        "TestMOTDataset": "this program does not track",
        "channels_last": "a memory layout of the torch backend",
    }
    architecture: Annotated[str, Doc("one of ppdet's architectures")]
    pretrain_weights: Annotated[
        str | None, Doc("null, a .pdparams file, or the address of one (https://…, ppdet://…) that weights.lock has")
    ] = None
    # on what
    train_dataset: Annotated[COCODataSet, Key("TrainDataset")]
    eval_dataset: Annotated[COCODataSet, Key("EvalDataset")]
    test_dataset: Annotated[ImageFolder | COCODataSet | None, Key("TestDataset"), Neutral()] = None
    metric: Annotated[Literal["COCO"], Doc("only COCO; other annotations: `runner data prepare`")] = "COCO"
    bias: Annotated[Literal[0, 1], Doc("added to the width and height of predicted boxes")] = 0
    # how
    initial_distance: InitialDistance = 0.0
    cycle_epoch: Annotated[int, Doc("start the moving average anew every so many snapshots; -1 never"), Range(-1)] = -1
    ema_black_list: Annotated[tuple[str, ...] | None, Doc("parts of names of weights that are not averaged")] = None
    ema_filter_no_grad: Annotated[bool, Doc("do not average weights that are not trained")] = False
    amp_level: Annotated[Literal["O1", "O2"], Doc("how much of the model computes in half precision")] = "O1"
    custom_white_list: Annotated[tuple[str, ...] | None, Doc("operators that amp computes in half precision too")] = None
    custom_black_list: Annotated[tuple[str, ...] | None, Doc("operators that amp leaves in single precision")] = None
    init_loss_scaling: Annotated[float, Doc("amp's first loss scaling"), Range(0, open_low=True)] = 1024
    master_grad: Annotated[bool, Doc("ppdet 2.7: with amp, keep gradients in single precision")] = False
    reset_norm_param_attr: Annotated[
        bool, Doc("ppdet 2.7: reset the settings of norm layers' parameters, for OptimizerBuilder's groups")
    ] = False
    to_static: Annotated[bool, Doc("compile the model to a static graph")] = False
    find_unused_parameters: Annotated[bool, Doc("for several processes: some weights are not used in every step")] = False
    use_fused_allreduce_gradients: Annotated[bool, Doc("for several processes: gather gradients at once")] = False
    gradient_accumulation: Annotated[Literal[1], Doc("ppdet has none")] = 1
    processes: Annotated[int, Doc("ours: processes that train together, one per GPU; batch_size is per process"), Range(1, 64)] = 1
    # where
    backend: Annotated[Literal["paddle"], Doc("ours: who trains")] = "paddle"
    use_xpu: Annotated[Literal[False], Doc("not supported")] = False
    use_mlu: Annotated[Literal[False], Doc("not supported")] = False
    use_npu: Annotated[Literal[False], Doc("not supported")] = False
    print_flops: Annotated[Literal[False], Doc("not supported")] = False
    print_params: Annotated[Literal[False], Doc("not supported")] = False
    slim: Annotated[None, Doc("compression is not supported")] = None
    unstructured_prune: Annotated[Literal[False, None], Doc("compression is not supported")] = None
    ssod_method: Annotated[None, Doc("semi-supervised training is not supported")] = None
    fleet: Annotated[Literal[False], Doc("not supported")] = False
    save_proposals: Annotated[Literal[False], Doc("not supported")] = False
    use_wandb: Annotated[Literal[False], Doc("not supported; see trackers")] = False
    modules: Annotated[dict[str, Any], Doc("every other top-level key: ppdet's modules, and the keys they share"), Rest()] = field(
        default_factory=dict
    )
