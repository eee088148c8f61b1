"""Imports what a worker of the torch backend will need (see `runner.launch.base.Task.preload`). Opens no GPU, starts no thread.

The module of a network is imported besides, by those that need it (`TorchBackend.model_modules`): the libraries of some take seconds.
"""

from runner.backends.torch import backend, loop
from runner.backends.torch.schema import TorchConfig
from runner.evaluation import compute, draw
from runner.training.common_config import rehearse

__all__ = ["backend", "compute", "draw", "loop"]

rehearse(TorchConfig)
