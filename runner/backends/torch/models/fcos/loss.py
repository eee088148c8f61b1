"""The three losses of FCOS (arXiv 1904.01355) by PaddleDetection's definition (FCOSLoss)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from runner.backends.torch.models.fcos.head import HeadOutputs, distances
from runner.backends.torch.models.fcos.schema import FCOSLoss
from runner.backends.torch.models.fcos.targets import BACKGROUND, Targets


def fcos_loss(outputs: HeadOutputs, targets: Targets, config: FCOSLoss, *, normalised: bool) -> dict[str, Tensor]:
    """Compute ``loss_cls``, ``loss_box``, ``loss_centerness`` and ``loss``, their sum: scalars.

    Focal loss and centre-ness are divided by the number of positive locations of the batch, the box loss by the sum of
    their centre-ness. PaddleDetection 2.6 differs in two points: it divides by zero if no location is positive (here by
    one, so that such a batch teaches the background), and it drops loss_alpha, loss_gamma and reg_weights for 0.25, 2
    and 1 (here they count). Nothing waits for the device.

    Args:
        outputs: what the head says.
        targets: what it should say.
        config: weights and kinds of loss.
        normalised: boxes are in strides (norm_reg_targets), else in pixels.
    """
    positive = targets.classes != BACKGROUND
    count = positive.sum().clamp(min=1)
    weight_sum = targets.centerness.sum()
    weight_sum = torch.where(weight_sum > 0, weight_sum, 1.0)

    cls = focal_loss(outputs.logits, targets.classes, alpha=config.loss_alpha, gamma=config.loss_gamma) / count

    # The background is taken out before exp and not after: infinity times the gradient 0 would be NaN.
    mask = positive.unsqueeze(2)
    predicted = distances(torch.where(mask, outputs.boxes, 0.0), normalised)
    box = box_loss(predicted, torch.where(mask, targets.boxes, 0.0), config.iou_loss_type)
    box = (torch.where(positive, box, 0.0) * targets.centerness).sum() / weight_sum * config.reg_weights

    centerness = F.binary_cross_entropy_with_logits(outputs.centerness, targets.centerness, reduction="none")
    centerness = torch.where(positive, centerness, 0.0).sum() / count
    return {"loss": cls + box + centerness, "loss_cls": cls, "loss_box": box, "loss_centerness": centerness}


def focal_loss(logits: Tensor, classes: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Sum the sigmoid focal loss (arXiv 1708.02002) over all places and classes, a scalar.

    The same as torchvision's sigmoid_focal_loss of one-hot targets, in half the passes over memory.

    Args:
        logits: Float[..., C].
        classes: Int64[...], 0-based; no class elsewhere.
        alpha: weight of a place's own class; every other class weighs 1 - alpha.
        gamma: exponent of the probability of being wrong.
    """
    own = classes.unsqueeze(-1) == torch.arange(logits.shape[-1], device=logits.device)
    wrong = torch.where(own, -logits, logits)  # logit of the wrong answer: -log(1 - sigmoid(x)) is softplus(x)
    return (torch.where(own, alpha, 1.0 - alpha) * wrong.sigmoid() ** gamma * F.softplus(wrong)).sum()


def box_loss(predicted: Tensor, wanted: Tensor, kind: str) -> Tensor:
    """Compute Float[...]: iou ``-log(IoU)``, linear_iou ``1 - IoU`` or giou ``1 - GIoU`` (arXiv 1902.09630) of boxes around the
    same location.

    PaddleDetection's IoU has 1 added to both areas, in whatever unit they are, and so has the IoU inside its GIoU.

    Args:
        predicted: Float[..., 4], distances to left, top, right, bottom, none negative.
        wanted: the same, in the same unit.
        kind: as in FCOSLoss.iou_loss_type.
    """
    left, top, right, bottom = torch.minimum(predicted, wanted).unbind(-1)
    inter = (left + right) * (top + bottom)
    union = _area(predicted) + _area(wanted) - inter
    iou = (inter + 1.0) / (union + 1.0)
    if kind == "iou":
        return -torch.log(iou)
    if kind == "linear_iou":
        return 1.0 - iou
    left, top, right, bottom = torch.maximum(predicted, wanted).unbind(-1)
    hull = (left + right) * (top + bottom) + 1e-7
    return 1.0 - (iou - (hull - union) / hull)


def _area(sides: Tensor) -> Tensor:
    left, top, right, bottom = sides.unbind(-1)
    return (left + right) * (top + bottom)
