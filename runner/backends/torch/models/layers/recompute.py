"""Gradient checkpointing: a part of a network keeps its input alone and is computed again when its gradient is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def recomputed(module: nn.Module, features: Tensor) -> Tensor:
    """Compute ``module(features)`` without keeping what is between them; outside training, compute it as usual.

    The numbers are the same bits on a CPU: the second time, batch norm normalises by the same batch and leaves its running statistics
    alone. For modules without random numbers of their own.
    """
    if not (module.training and torch.is_grad_enabled()):
        return module(features)  # type: ignore[no-any-return]

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(module)

    out: Tensor = checkpoint(module, features, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
    return out


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Have the batch norms in `module` that train normalise by their batch without counting it."""
    counting = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d) and layer.training and layer.track_running_stats]
    before = [(layer.momentum, layer.num_batches_tracked) for layer in counting]
    for layer in counting:
        layer.momentum, layer.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for layer, (momentum, batches) in zip(counting, before, strict=True):
            layer.momentum, layer.num_batches_tracked = momentum, batches
