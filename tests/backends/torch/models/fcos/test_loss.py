"""The losses against a slow reference written from arXiv 1904.01355 with PaddleDetection's conventions."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from runner.backends.torch.models.fcos.head import HeadOutputs
from runner.backends.torch.models.fcos.loss import box_loss, fcos_loss, focal_loss
from runner.backends.torch.models.fcos.schema import FCOSLoss
from runner.backends.torch.models.fcos.targets import BACKGROUND, Targets


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def slow_box_loss(predicted: list[float], wanted: list[float], kind: str) -> float:
    """Of one location, from the corners of the two boxes with the location at (0, 0)."""

    def area(x0: float, y0: float, x1: float, y1: float) -> float:
        return (x1 - x0) * (y1 - y0)

    a, b = ((-left, -top, right, bottom) for left, top, right, bottom in (predicted, wanted))
    inter = area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    union = area(*a) + area(*b) - inter
    hull = area(min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])) + 1e-7
    iou = (inter + 1) / (union + 1)
    return {"iou": -math.log(iou), "linear_iou": 1 - iou, "giou": 1 - (iou - (hull - union) / hull)}[kind]


def slow_losses(outputs: HeadOutputs, targets: Targets, config: FCOSLoss, normalised: bool) -> dict[str, float]:
    """Sum up location by location, class by class."""
    cls = box = centerness = weights = 0.0
    positives = 0
    images, places, classes = outputs.logits.shape
    for image, place in product(range(images), range(places)):
        label = int(targets.classes[image, place])
        for index in range(classes):
            p = sigmoid(outputs.logits[image, place, index].item())
            if label == index:
                cls -= config.loss_alpha * (1 - p) ** config.loss_gamma * math.log(p)
            else:
                cls -= (1 - config.loss_alpha) * p**config.loss_gamma * math.log(1 - p)
        if label == BACKGROUND:
            continue
        positives += 1
        weight = targets.centerness[image, place].item()
        weights += weight
        raw = outputs.boxes[image, place].tolist()
        sides = [max(value, 0.0) for value in raw] if normalised else [math.exp(value) for value in raw]
        box += weight * slow_box_loss(sides, targets.boxes[image, place].tolist(), config.iou_loss_type)
        p = sigmoid(outputs.centerness[image, place].item())
        centerness -= weight * math.log(p) + (1 - weight) * math.log(1 - p)
    found = {
        "loss_cls": cls / max(positives, 1),
        "loss_box": config.reg_weights * box / (weights or 1),
        "loss_centerness": centerness / max(positives, 1),
    }
    return {"loss": sum(found.values()), **found}


def random_case(seed: int, share: float, images: int = 2, places: int = 40, classes: int = 3) -> tuple[HeadOutputs, Targets]:
    """Head outputs and targets of which about `share` are positive."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw) * 2

    positive = torch.rand(images, places, generator=draw) < share
    labels = torch.where(positive, torch.randint(0, classes, (images, places), generator=draw), BACKGROUND)
    centerness = torch.where(positive, torch.rand(images, places, generator=draw), 0.0)
    sides = torch.rand(images, places, 4, generator=draw) * 4 - 0.5 * ~positive.unsqueeze(2)
    outputs = HeadOutputs(
        normal(images, places, classes).requires_grad_(),
        normal(images, places, 4).requires_grad_(),
        normal(images, places).requires_grad_(),
        ((5, 8),),
    )
    return outputs, Targets(labels, sides, centerness)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("kind", ["giou", "iou", "linear_iou"])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_equals_the_slow_reference(kind: str, normalised: bool, share: float) -> None:
    config = FCOSLoss(iou_loss_type=kind)  # type: ignore[arg-type]
    for seed in range(3):
        outputs, targets = random_case(seed, share)
        found = fcos_loss(outputs, targets, config, normalised=normalised)
        expected = slow_losses(outputs, targets, config, normalised)
        assert list(found) == ["loss", "loss_cls", "loss_box", "loss_centerness"]
        for name, value in expected.items():
            assert found[name].shape == ()
            assert found[name].item() == pytest.approx(value, rel=2e-5, abs=1e-6), name


@pytest.mark.parametrize(
    "config", [FCOSLoss(loss_alpha=0.6), FCOSLoss(loss_gamma=1.0), FCOSLoss(loss_gamma=0.0), FCOSLoss(reg_weights=2.5)]
)
def test_weights_count(config: FCOSLoss) -> None:
    outputs, targets = random_case(7, 0.3)
    found = fcos_loss(outputs, targets, config, normalised=True)
    for name, value in slow_losses(outputs, targets, config, True).items():
        assert found[name].item() == pytest.approx(value, rel=2e-5), name
    assert found["loss"].item() != pytest.approx(fcos_loss(outputs, targets, FCOSLoss(), normalised=True)["loss"].item())


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("kind", ["giou", "iou", "linear_iou"])
def test_without_positives_losses_and_gradients_are_finite(kind: str, normalised: bool) -> None:
    outputs, targets = random_case(1, 0.0)
    with torch.no_grad():
        outputs.boxes[0, 0] = 200.0  # exp overflows
    found = fcos_loss(outputs, targets, FCOSLoss(iou_loss_type=kind), normalised=normalised)  # type: ignore[arg-type]
    found["loss"].backward()  # type: ignore[no-untyped-call]
    assert found["loss_box"] == 0 and found["loss_centerness"] == 0 and found["loss_cls"] > 0
    for tensor in (outputs.logits, outputs.boxes, outputs.centerness):
        assert tensor.grad is not None and tensor.grad.isfinite().all()
    assert outputs.logits.grad is not None and outputs.logits.grad.abs().sum() > 0


def test_one_badly_centred_positive_is_divided_by_its_own_centerness() -> None:
    outputs, targets = random_case(2, 0.0)
    targets.classes[0, 3], targets.centerness[0, 3] = 1, 0.01
    found = fcos_loss(outputs, targets, FCOSLoss(), normalised=True)
    expected = slow_box_loss(outputs.boxes[0, 3].clamp(min=0).tolist(), targets.boxes[0, 3].tolist(), "giou")
    assert found["loss_box"].item() == pytest.approx(expected, rel=1e-4)


def test_known_box_losses() -> None:
    same = torch.tensor([[1.0, 2, 3, 4]])
    for kind in ("iou", "linear_iou", "giou"):
        assert box_loss(same, same, kind).item() == pytest.approx(0, abs=1e-6)
    nothing, box = torch.zeros(1, 4), torch.ones(1, 4)  # areas 0 and 4: IoU (0 + 1) / (4 + 1), hull 4
    assert box_loss(nothing, box, "linear_iou").item() == pytest.approx(0.8)
    assert box_loss(nothing, box, "iou").item() == pytest.approx(math.log(5))
    assert box_loss(nothing, box, "giou").item() == pytest.approx(0.8)


@pytest.mark.parametrize("gamma", [2.0, 1.5, 0.0])
def test_focal_loss_and_its_gradient_equal_torchvisions(gamma: float) -> None:
    logits = torch.cat((torch.randn(60, 5) * 8, torch.tensor([[90.0, -90, 0, 40, -40]] * 5)))
    classes = torch.randint(-1, 5, (65,))
    one_hot = torch.zeros(65, 6).scatter(1, classes.unsqueeze(1) + 1, 1.0)[:, 1:]
    mine, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    found = focal_loss(mine, classes, alpha=0.25, gamma=gamma)
    expected = sigmoid_focal_loss(theirs, one_hot, alpha=0.25, gamma=gamma, reduction="sum")
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    found.backward()  # type: ignore[no-untyped-call]
    expected.backward()
    assert mine.grad is not None and theirs.grad is not None and mine.grad.isfinite().all()
    assert torch.allclose(mine.grad, theirs.grad.nan_to_num(), rtol=1e-4, atol=1e-5)
