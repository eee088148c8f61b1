"""Checks of `pretrain_weights` without reading it."""

from __future__ import annotations

from pathlib import Path

from support.weights import lock

from runner.backends.torch.models.weight_sources import check_weights, is_weights_name
from runner.core.errors import Missing
from runner.weights.locate import locked


def test_weights_that_can_be_used_are_no_problem(tmp_path: Path, store: Path) -> None:
    (tmp_path / "a b.pth").touch()
    assert check_weights(None) == check_weights(str(tmp_path / "a b.pth")) == []
    name = "ResNet50_Weights.IMAGENET1K_V1"
    (problem,) = check_weights(name)
    assert isinstance(problem, Missing) and problem.message.endswith(f"runner weights fetch {name}")
    lock(name, b"content", ".pth")
    assert check_weights(name) == check_weights(locked(name)) == []


def test_a_pinned_name_is_still_a_weights_name() -> None:
    pinned = f"ResNet18_Weights.IMAGENET1K_V1#sha256={'0' * 64}"
    assert is_weights_name(pinned) and not is_weights_name("a/b") and not is_weights_name("")


def test_a_weights_name_with_a_slip_gets_a_hint() -> None:
    assert "'ResNet50_Weights.IMAGENET1K_V1'" in str(check_weights("ResNet50-Weights.IMAGENET1K_V1")[0])
