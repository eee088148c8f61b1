"""torchvision's detectors, by torchvision's names and definitions. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from runner.backends.torch.models.base import DetectorModel
from runner.backends.torch.models.torchvision_detector.checks import check_torchvision
from runner.backends.torch.models.torchvision_detector.schema import TorchvisionDetector
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import Problem


class TorchvisionModel(DetectorModel):
    """See `DetectorModel`."""

    schema = TorchvisionDetector
    network = "runner.backends.torch.models.torchvision_detector.network:build"

    def check(self, config: TorchConfig) -> Sequence[Problem]:
        """Find what does not fit together, and arguments that the installed torchvision does not have."""
        return check_torchvision(config)
