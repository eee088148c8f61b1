"""Config of a detector of the library transformers. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from runner.config.schema import Doc, Form, Range

ModelName = Literal[
    "rt_detr",
    "rt_detr_v2",
    "d_fine",
    "deimv2",
    "detr",
    "conditional_detr",
    "deformable_detr",
    "dab_detr",
    "lw_detr",
    "rf_detr",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformersDetector:
    """A detector of the library transformers, by that library's definition (docs/transformers.md)."""

    form: ClassVar[Form] = "section"
    model: Annotated[ModelName, Doc("the library's name of the model")]
    config: Annotated[
        dict[str, Any], Doc("keys of the model's config class, as the installed transformers declares it; the others have its defaults")
    ] = field(default_factory=dict)
    backbone_lr_mult: Annotated[
        float, Doc("learning rate factor of the backbone: 0.1 (all reference recipes) suits pretrained weights, 1 random ones"), Range(0)
    ] = 0.1
    norm_decay: Annotated[bool, Doc("weight decay also reaches the scale and shift of norm layers")] = False
    bias_decay: Annotated[bool, Doc("weight decay also reaches the biases of the other layers")] = True
