"""Paddle backend as the worker calls it. Importing this module and `check` load no Paddle."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.backends.base import Ranks
from runner.backends.paddle.config_rules import check
from runner.backends.paddle.schema import PaddleConfig
from runner.core.errors import InputError, Problem
from runner.evaluation import MetricSet, box_metrics
from runner.training.context import RunContext

if TYPE_CHECKING:
    from runner.backends.base import Predictor, Probe

log = logging.getLogger("runner.backends.paddle")


class PaddleBackend:
    """See `runner.backends.base.Backend`."""

    name = "paddle"
    config_class: type[Any] = PaddleConfig
    numerics_version = 1
    packages = ("paddlepaddle", "paddlepaddle-gpu", "paddledet", "numpy", "opencv-python", "opencv-python-headless", "hotcoco")
    preload = "runner.backends.paddle.preload"
    open_gpu_on_import: tuple[str, ...] = ("paddlepaddle-gpu",)
    checkpoint_suffix = ".pdparams"
    export_formats: tuple[str, ...] = ()

    def check(self, config: PaddleConfig) -> Sequence[Problem]:
        """Find the problems of the config and of the files it names. Loads no Paddle."""
        return check(config)

    def metrics(self, config: PaddleConfig) -> MetricSet:
        """Return COCO's metrics of boxes."""
        return box_metrics(config.eval_iou_thresholds)

    def probe(self) -> Probe:
        """Find the versions of Paddle and of its foundations, and the GPUs."""
        from runner.backends.paddle import device  # noqa: PLC0415 - Paddle is loaded only where it is used

        return device.probe()

    def ranks(self, config: PaddleConfig) -> Ranks | None:
        """Return the command of Paddle's launcher, see `runner.backends.paddle.launch`."""
        if config.processes == 1:
            return None
        where = "gpu" if config.use_gpu else "cpu"
        command = (sys.executable, "-P", "-m", "runner.backends.paddle.launch", str(config.processes), where)
        return Ranks(config.processes, command, number_in="PADDLE_TRAINER_ID")

    def train(self, config: PaddleConfig, run: RunContext) -> None:
        """Train in one attempt, see `runner.backends.paddle.training`."""
        _use_threads(max(1, config.cpu_threads // run.ranks))
        from runner.backends.paddle.training import PaddleTrainer  # noqa: PLC0415 - Paddle is loaded only where it is used

        PaddleTrainer(config, run).run()

    def class_names(self, weights: Path) -> tuple[str, ...]:
        """Read the class names of a checkpoint, see `runner.backends.paddle.state`."""
        from runner.backends.paddle.state import read_class_names  # noqa: PLC0415 - Paddle is loaded only where it is used

        return read_class_names(weights)

    def export(self, config: PaddleConfig, weights: Path, to: str, file: Path, facts: Mapping[str, Any]) -> None:
        """Raise InputError: it exports nothing yet."""
        raise InputError(
            f"{config.architecture} of the backend paddle cannot be exported by runner yet; tools/export_model.py in a checkout of "
            f"PaddleDetection reads {weights}"
        )

    def predictor(self, config: PaddleConfig, weights: Path, *, reader: str = "EvalReader", batch_size: int | None = None) -> Predictor:
        """Load the model in `weights`, see `runner.backends.paddle.predict`."""
        _use_threads(config.cpu_threads)
        from runner.backends.paddle.predict import PaddlePredictor  # noqa: PLC0415 - Paddle is loaded only where it is used

        return PaddlePredictor(config, weights, reader=reader, batch_size=batch_size, say=log.info)


def _use_threads(count: int) -> None:
    """Set Paddle's number of threads in this thread of this process, also in one forked from a parent that loaded Paddle for one thread.

    The call changes OpenMP's and MKL's number; ppdet's own entry point leaves it at 1 unless OMP_NUM_THREADS says otherwise.
    """
    from runner.backends.paddle.ppdet import load_ppdet  # noqa: PLC0415 - Paddle is loaded only where it is used

    load_ppdet()
    from paddle.base import core  # noqa: PLC0415

    core.set_num_threads(count)
