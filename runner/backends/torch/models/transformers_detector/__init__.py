"""Detectors of the library transformers, by that library's definitions (docs/transformers.md). Imports neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Sequence

from runner.backends.torch.models.base import DetectorModel
from runner.backends.torch.models.transformers_detector.checks import check_transformers
from runner.backends.torch.models.transformers_detector.schema import TransformersDetector
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import Problem


class TransformersModel(DetectorModel):
    """See `DetectorModel`."""

    schema = TransformersDetector
    network = "runner.backends.torch.models.transformers_detector.network:build"
    packages = ("transformers", "scipy")

    def check(self, config: TorchConfig) -> Sequence[Problem]:
        """Find what the installed library does not declare, and values that do not fit together."""
        return check_transformers(config)
