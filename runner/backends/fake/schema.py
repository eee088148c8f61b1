"""Schema of the fake backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from runner.config.schema import AddedLater, Doc, Form, Formerly, Neutral, Range, Registered
from runner.trackers.base import TRACKERS
from runner.training.common_config import CommonConfig

_NO_IMAGES = "the fake backend has no images"
Step = Range(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Recorded learning curves: a CSV file whose first column is ``step`` and each other one a curve by its name."""

    form: ClassVar[Form] = "plain"
    file: Annotated[str, Doc("the CSV file")]
    curve: Annotated[str | int, Doc("column that this run follows; interpolated linearly between recorded steps")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Faults; each happens before its step is counted as done."""

    form: ClassVar[Form] = "plain"
    crash_at: Annotated[int | None, Doc("step at which the process is killed by SIGKILL"), Step] = None
    error_at: Annotated[int | None, Doc("step at which an unexpected exception is raised"), Step] = None
    hang_at: Annotated[int | None, Doc("step at which the run hangs and ignores SIGTERM"), Step] = None
    nan_at: Annotated[int | None, Doc("step at which the loss is NaN"), Step] = None
    oom_at: Annotated[int | None, Doc("step at which memory runs out"), Step] = None
    exit_at: Annotated[int | None, Doc("step at which the process exits without recording it"), Step] = None
    exit_code: Annotated[int, Doc("with this exit status"), Range(0, 255)] = 3
    only_attempt: Annotated[int | None, Doc("only in the attempt with this number; null: in every attempt"), Range(1)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeConfig(CommonConfig):
    """The whole resolved config of a fake run."""

    # what is trained
    backend: Annotated[Literal["fake"], Doc("ours: who trains")] = "fake"
    parameters: Annotated[dict[str, bool | int | float | str], Doc("any keys: what a sweep varies (`parameters.lr`) and formulas use")] = (
        field(default_factory=dict)
    )
    metrics: Annotated[dict[str, Annotated[str, Doc("a formula")]], Doc("tag to the formula of its value in an evaluation")] = field(
        default_factory=lambda: {"bbox/AP": "0.5 * (1 - exp(-3 * step / steps))"}
    )
    goal: Annotated[Literal["maximize", "minimize"], Doc("the better direction of the first of `metrics`, which decides"), AddedLater()] = (
        "maximize"
    )
    loss: Annotated[str, Doc("formula of train/loss")] = "exp(-3 * step / steps)"
    table: Annotated[Table | None, Doc("learning curves for formulas with `curve`")] = None
    # how long
    max_iters: Annotated[int, Doc("steps"), Range(1)] = 100
    epoch: Annotated[None, Doc("there are no epochs; give max_iters")] = None
    snapshot_iter: Annotated[int | None, Doc("steps between checkpoints; null: only when a run is stopped"), Range(1)] = None
    step_s: Annotated[float, Doc("seconds that each step sleeps"), Neutral(), Range(0)] = 0.0
    startup_s: Annotated[float, Doc("seconds it sleeps before the first step of an attempt"), Neutral(), Range(0)] = 0.0
    memory_gib: Annotated[
        float, Formerly("memory_gb", is_read=True), Doc("memory it holds beside its own, in GiB (2**30 bytes)"), Neutral(), Range(0)
    ] = 0.0
    faults: Annotated[Faults | None, Doc("what goes wrong")] = None
    # without images, on no GPU
    train_dataset: None = None
    eval_dataset: None = None
    dataset: Annotated[None, Doc(_NO_IMAGES), Neutral()] = None
    num_classes: Annotated[Literal[1], Doc(_NO_IMAGES), Neutral()] = 1
    pretrain_weights: Annotated[None, Doc("there are no weights"), Neutral()] = None
    eval_iou_thresholds: Annotated[tuple[()], Doc(_NO_IMAGES), Neutral()] = ()
    use_gpu: Annotated[Literal[False], Doc("it computes nothing"), Neutral()] = False
    cpu_threads: Annotated[Literal[1], Doc("it computes nothing"), Neutral()] = 1
    amp: Annotated[Literal[False], Doc("it computes nothing"), Neutral()] = False
    use_ema: Annotated[Literal[False], Doc("there are no weights"), Neutral()] = False
    worker_num: Annotated[Literal[0], Doc(_NO_IMAGES), Neutral()] = 0
    sample_images: Annotated[Literal[0], Doc(_NO_IMAGES), Neutral()] = 0
    trackers: Annotated[tuple[Annotated[str, Registered(TRACKERS)], ...], Doc("viewers' logs to write"), Neutral()] = ()
