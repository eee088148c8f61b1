"""A throw-away architecture for tests: each cell of stride 8 says what has its centre there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from runner.backends.torch.models.base import DetectorModel
from runner.backends.torch.models.layers.checks import backbone_strides
from runner.backends.torch.models.layers.schema import ResNet
from runner.config.schema import Doc, Form, Range, Shared
from runner.core.errors import Problem

STRIDE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotHead:
    """One convolution."""

    form: ClassVar[Form] = "section"
    num_classes: Annotated[int, Doc("classes, without background"), Range(1), Shared()] = 80
    keep_top_k: Annotated[int, Doc("cells kept per image"), Range(1)] = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A detector without anchors, pyramid or suppression."""

    form: ClassVar[Form] = "section"
    backbone: ResNet
    head: SpotHead = field(default_factory=SpotHead)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotTarget:
    """Weights of what a cell learns."""

    form: ClassVar[Form] = "key"
    size_weight: Annotated[float, Doc("weight of the size loss"), Range(0)] = 1.0


class SpotModel(DetectorModel):
    """See `DetectorModel`."""

    schema = Spot
    network = "spot_network:build"
    batch_transforms = (SpotTarget,)

    def check(self, config: Any) -> Sequence[Problem]:
        """Find a backbone of another stride."""
        strides = backbone_strides(config.architecture.backbone)
        return (
            () if strides == (STRIDE,) else (Problem(f"gives the strides {list(strides)}; Spot needs [{STRIDE}]", key="ResNet.return_idx"),)
        )


class Splotch(DetectorModel):
    """Registered under another name than that of its schema, which is refused."""

    schema = Spot
    network = "spot_network:build"
