"""FCOS, the anchor-free one-stage detector (arXiv 1904.01355), as PaddleDetection 2.6 defines it. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from runner.backends.torch.models.base import DetectorModel
from runner.backends.torch.models.fcos.checks import check_fcos
from runner.backends.torch.models.fcos.schema import FCOS, Gt2FCOSTarget
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import Problem


class FCOSModel(DetectorModel):
    """See `DetectorModel`."""

    schema = FCOS
    network = "runner.backends.torch.models.fcos.network:build"
    batch_transforms = (Gt2FCOSTarget,)
    honoured_keys = frozenset({"gradient_checkpointing", "initial_distance", "OptimizerBuilder.layer_decay"})

    def check(self, config: TorchConfig) -> Sequence[Problem]:
        """Find what does not fit together."""
        return check_fcos(config)
