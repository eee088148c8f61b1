"""The keys that mean the same with every backend, of the top level and of a data set. Each backend's classes add or narrow their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from runner.config.bind import bind, section_classes
from runner.config.load import parse
from runner.config.node import Source
from runner.config.schema import AddedLater, Auto, Doc, Form, Neutral, Range, Registered
from runner.trackers.base import TRACKERS
from runner.training.absent_keys import ABSENT_KEYS, EVERY_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStop:
    """Condition under which a training ends before its length."""

    form: ClassVar[Form] = "plain"
    metric: Annotated[
        str | None, Doc("tag of an evaluation's metric, which counts in the direction of the deciding one; default: that one")
    ] = None
    patience: Annotated[int, Doc("training ends after this many evaluations in a row without an improvement"), Range(1)]
    min_delta: Annotated[float, Doc("an improvement is larger than this"), Range(0)] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonConfig:
    """Part of a resolved config that the rest of the program reads, besides the data sets: `train_dataset` and `eval_dataset` with
    `dataset_dir`, `image_dir`, `anno_path`, `allow_empty`, `sample_num` and `empty_ratio`, and `pretrain_weights`."""

    form: ClassVar[Form] = "section"
    instead: ClassVar[Mapping[str, str]] = ABSENT_KEYS
    every_key: ClassVar[str] = EVERY_KEY
    train_dataset: Any
    eval_dataset: Any
    pretrain_weights: Any = None
    weights: Annotated[str | None, Doc("checkpoint that `runner eval -c` uses; not read by training"), Neutral()] = None
    num_classes: Annotated[int, Doc("classes, without background; auto: the categories of the training annotations"), Auto(), Range(1)] = 80
    # on what
    dataset: Annotated[str | None, Doc("ours: a data set by name, in place of Train/Eval/TestDataset and num_classes"), Neutral()] = None
    eval_iou_thresholds: Annotated[tuple[float, ...], Doc("ours: also report AP at these IoU thresholds"), Range(0, 1, open_low=True)] = ()
    image_size: Annotated[
        int | tuple[int, int] | None,
        Doc(
            "ours: [height, width] in pixels that every reader resizes to, or one number for both; with keep_ratio [shorter, longer]; in"
            " place of the sizes in the readers"
        ),
        Range(1),
        Neutral(),
    ] = None
    levels: Annotated[
        tuple[int, ...] | None,
        Doc("ours, for FCOS: stride in pixels of each pyramid level, in place of the keys of its sections and readers"),
        Range(1),
        Neutral(),
    ] = None
    worker_num: Annotated[int, Doc("processes that read images; 0 reads in the training process"), Neutral(), Range(0, 256)] = 2
    # how long, how
    epoch: Annotated[int | None, Doc("length of training in epochs"), Range(1)] = None
    max_iters: Annotated[int | None, Doc("ours: length of training in iterations, in place of epoch"), Range(1)] = None
    early_stop: Annotated[
        EarlyStop | None,
        Doc("ours: end training when a metric of its evaluations has stopped improving; the last checkpoint is compared, not the best"),
        AddedLater(),
    ] = None
    use_ema: Annotated[bool, Doc("evaluate and keep an exponential moving average of the weights")] = False
    ema_decay: Annotated[float, Doc("decay of the average"), Range(0, 1)] = 0.9998
    ema_decay_type: Annotated[Literal["threshold", "normal", "exponential"], Doc("growth of the decay at the start")] = "threshold"
    amp: Annotated[bool, Doc("automatic mixed precision")] = False
    # where
    backend_python: Annotated[
        str | None, Doc("ours: the Python interpreter whose environment the backend runs in; default: see docs/backends.md"), Neutral()
    ] = None
    use_gpu: Annotated[bool, Doc("train on a GPU; false: on the CPU; auto: on a GPU if one is usable"), Auto()] = True
    cpu_threads: Annotated[
        int, Doc("ours: threads of the numeric libraries; auto: the number of cores that a run may use"), Auto(), Range(1)
    ] = 1
    seed: Annotated[int, Doc("ours: seed of all randomness"), Range(0, 2**31 - 1)] = 0
    # what is kept and shown
    save_dir: Annotated[str, Doc("folder under which `runner train` makes run directories"), Neutral()] = "runs"
    snapshot_epoch: Annotated[int, Doc("epochs between checkpoints"), Range(1)] = 1
    snapshot_iter: Annotated[int | None, Doc("ours: iterations between checkpoints, in place of snapshot_epoch"), Range(1)] = None
    keep_checkpoints: Annotated[int, Doc("ours: older snapshots kept beside last and best"), Neutral(), Range(0)] = 1
    eval_at_snapshot: Annotated[bool, Doc("ours: evaluate at every snapshot, not only at the end (`--eval`)")] = False
    log_iter: Annotated[int, Doc("iterations between records, which contain the mean over them"), Neutral(), Range(1)] = 20
    sample_images: Annotated[int, Doc("ours: evaluation images drawn with their boxes at every evaluation"), Neutral(), Range(0, 64)] = 4
    trackers: Annotated[
        tuple[Annotated[str, Registered(TRACKERS)], ...],
        Doc("ours: viewers' logs to write; auto: all that are installed and need no server"),
        Auto(),
        Neutral(),
    ] = ()
    use_vdl: Annotated[bool | None, Doc("true adds visualdl to the trackers, false removes it"), Neutral()] = None
    vdl_log_dir: Annotated[str | None, Doc("folder of the VisualDL log, in place of the run directory's"), Neutral()] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class COCODataSetKeys:
    """Images and COCO annotations. Other formats: `runner data prepare`."""

    form: ClassVar[Form] = "tag"
    dataset_dir: Annotated[str, Doc("folder the other two are relative to"), Neutral()] = ""
    image_dir: Annotated[str, Doc("folder of the images"), Neutral()] = ""
    anno_path: Annotated[str, Doc("annotation file"), Neutral()] = ""
    data_fields: Annotated[tuple[str, ...], Doc("fields of a sample")] = ("image", "gt_bbox", "gt_class", "is_crowd")
    sample_num: Annotated[int, Doc("use the first n images; -1 is all"), Range(-1)] = -1
    load_crowd: Annotated[bool, Doc("train on crowd boxes too")] = False
    allow_empty: Annotated[bool, Doc("train on images without objects too")] = False
    empty_ratio: Annotated[
        float, Doc("with allow_empty: at most this many images without objects, as a ratio of all; 1 is no limit"), Range(0, 1)
    ] = 1.0
    repeat: Annotated[int, Doc("passes over the data per epoch"), Range(1)] = 1


def rehearse(config_class: type[Any]) -> None:
    """Bind a small YAML text to `config_class`, in the process that workers are forked from: its annotations are read once, and not by
    every worker, which saves each 10 to 40 ms (see benchmarks/LOG.md). Starts no thread."""
    section_classes(config_class)
    bind(parse("{seed: 0, log_iter: 1, use_gpu: false, trackers: [], save_dir: runs}", lambda line: Source("", line)), config_class)
