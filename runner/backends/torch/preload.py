"""Imports what a worker of the torch backend will need (see `runner.launch.base.Task.preload`). Opens no GPU, starts no thread."""

from runner.backends.torch import backend, loop
from runner.backends.torch.models.base import import_networks
from runner.backends.torch.schema import TorchConfig
from runner.evaluation import compute, draw
from runner.training.common_config import rehearse

__all__ = ["backend", "compute", "draw", "loop"]

import_networks()
rehearse(TorchConfig)
