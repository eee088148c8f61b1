"""Imports what a worker of the paddle backend will need (see `runner.launch.base.Task.preload`). The GPU build opens the GPU."""

from runner.backends.paddle.ppdet import load_ppdet

load_ppdet()

from runner.backends.paddle import backend, training  # noqa: E402 - Paddle is loaded by load_ppdet, in the order that works
from runner.backends.paddle.schema import PaddleConfig  # noqa: E402
from runner.evaluation import compute, draw  # noqa: E402
from runner.training.common_config import rehearse  # noqa: E402

__all__ = ["backend", "compute", "draw", "training"]

rehearse(PaddleConfig)
