"""The losses of the library, as terms that sum to what is minimised."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

LibraryLoss = Callable[..., tuple[Tensor, dict[str, Tensor], Any]]

_LAYER = re.compile(r"((_aux|_dn)?_\d+|_enc)$")
_WEIGHTS = {"loss_ce": "class_loss_coefficient", "loss_bbox": "bbox_loss_coefficient", "loss_giou": "giou_loss_coefficient"}
"""Maps terms of DETR and its kin to the keys of their weights; one that a model has not is 1. The library leaves out ``cardinality_error``,
which has no gradient. RT-DETR and its kin have weighted their terms already."""


def in_float32(loss: LibraryLoss) -> LibraryLoss:
    """Make the matcher and the losses compute in float32, also where autocast has made the outputs half as wide. Outputs that are not
    finite give a loss that is not (the library would raise ValueError, since such boxes have no corners)."""

    def compute(logits: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, dict[str, Tensor], Any]:
        with torch.autocast(logits.device.type, enabled=False):
            logits, args, kwargs = _float32(logits), tuple(map(_float32, args)), {name: _float32(value) for name, value in kwargs.items()}
            try:
                return loss(logits, *args, **kwargs)
            except ValueError:
                outputs = [value for value in (logits, *args, *kwargs.values()) if isinstance(value, Tensor) and value.requires_grad]
                if all(bool(value.isfinite().all()) for value in outputs):
                    raise
                lost = logits.sum() * torch.nan
                return lost, {"loss_ce": lost}, None

    return compute


def _float32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value


def weighted_terms(found: Mapping[str, Tensor], config: Any, *, is_weighted: bool) -> dict[str, Tensor]:
    """Sum the library's losses by kind: those of all decoder layers, of the encoder's choice and of the denoising queries together.

    Args:
        found: the library's ``loss_dict``.
        config: the library's config object.
        is_weighted: the weights are in `found` already.

    Returns:
        Float[] by name (``loss_vfl``, ``loss_bbox``, …), and their sum, which is the library's ``loss``, as ``loss``.
    """
    terms: dict[str, Tensor] = {}
    for name, value in found.items():
        kind = _LAYER.sub("", name)
        if not kind.startswith("loss_"):
            continue
        if not is_weighted and kind in _WEIGHTS:
            value = value * getattr(config, _WEIGHTS[kind], 1)
        terms[kind] = terms[kind] + value if kind in terms else value
    return {"loss": torch.stack(list(terms.values())).sum(), **terms}
