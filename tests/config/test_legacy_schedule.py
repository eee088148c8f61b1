"""The learning rate of every iteration is 0.x's, written down here from PaddleDetection's release/0.4 and fluid's operators."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from runner.backends.torch.schedule import learning_rate, total_steps
from runner.backends.torch.schema import TorchConfig
from runner.config.bind import bind, require
from runner.config.legacy import as_newer_dialect
from runner.config.load import load_config, parse
from runner.config.node import Source
from runner.config.overrides import assign

FCOS_1X = Path(__file__).parent / "legacy_configs" / "fcos_1x.yml"
STEPS_PER_EPOCH = 297
"""Of 593 images in batches of 2; none of the numbers may depend on it."""


def bound(schedulers: str, base_lr: float, max_iters: int) -> TorchConfig:
    """The FCOS of the tests with another schedule, translated and bound."""
    tree = load_config(FCOS_1X)
    text = f"base_lr: {base_lr}\nschedulers: {schedulers}\n"
    tree = tree.with_key("LearningRate", parse(text, lambda line: Source("old.yml", line)))
    tree, _ = as_newer_dialect(assign(tree, "max_iters", parse(str(max_iters), lambda _line: Source("old.yml"))))
    return require(bind(tree, TorchConfig))


def warmed(rate: float, step: int, base: float, steps: int, factor: float) -> float:
    """fluid's linear_lr_warmup: from base x factor to base over `steps`, then `rate`."""
    return base * factor + (base - base * factor) * step / steps if step < steps else rate


def piecewise(step: int, base: float, milestones: list[int], gammas: list[float]) -> float:
    """fluid's piecewise_decay: the value before the first milestone that lies beyond the step."""
    for value, milestone in zip([base, *(base * gamma for gamma in gammas)], milestones, strict=False):
        if step < milestone:
            return value
    return base * gammas[-1]


@pytest.mark.parametrize(
    ("schedule", "milestones", "gammas", "warmup"),
    [
        ("gamma: 0.1, milestones: [2372, 3261]", [2372, 3261], [0.1, 0.01], (500, 1 / 3)),
        ("gamma: [0.5, 0.1], milestones: [600, 1001]", [600, 1001], [0.5, 0.1], (7, 0.0)),
        ("milestones: [900, 901]", [900, 901], [0.1, 0.1], (500, 1 / 3)),
        ("gamma: 0.1, milestones: [2372, 3261]", [2372, 3261], [0.1, 0.01], None),
    ],
)
def test_steps_down_at_the_same_iterations(
    schedule: str, milestones: list[int], gammas: list[float], warmup: tuple[int, float] | None
) -> None:
    base, length = 0.00125, 3558
    second = f", !LinearWarmup {{steps: {warmup[0]}, start_factor: {warmup[1]}}}" if warmup else ""
    config = bound(f"[!PiecewiseDecay {{{schedule}}}{second}]", base, length)
    assert total_steps(config, 593) == length and config.epoch is None
    for step in range(length):
        expected = piecewise(step, base, milestones, gammas)
        if warmup is not None:
            expected = warmed(expected, step, base, *warmup)
        assert learning_rate(config, step, STEPS_PER_EPOCH) == pytest.approx(expected, rel=1e-12), step


def test_a_whole_old_config_keeps_its_schedule() -> None:
    tree, _ = as_newer_dialect(load_config(FCOS_1X))
    config = require(bind(tree, TorchConfig))
    assert (config.max_iters, config.snapshot_iter, config.log_iter) == (3558, 593, 10)
    for step in range(3558):
        expected = warmed(piecewise(step, 0.00125, [2372, 3261], [0.1, 0.01]), step, 0.00125, 500, 1 / 3)
        assert learning_rate(config, step, STEPS_PER_EPOCH) == pytest.approx(expected, rel=1e-12), step


def test_a_cosine_without_warmup_is_the_same() -> None:
    config = bound("[!CosineDecay {max_iters: 800}]", 0.01, 800)
    for step in range(800):
        expected = 0.01 * 0.5 * (math.cos(step * math.pi / 800) + 1)
        assert learning_rate(config, step, STEPS_PER_EPOCH) == pytest.approx(expected, rel=1e-12), step


def test_how_far_a_cosine_with_warmup_is_off_is_said() -> None:
    schedulers = "[!CosineDecay {max_iters: 800}, !LinearWarmup {steps: 100, start_factor: 0}]"
    old = f"LearningRate: {{base_lr: 0.01, schedulers: {schedulers}}}\nTrainReader: {{bufsize: 1}}"
    _, changes = as_newer_dialect(parse(old, lambda line: Source("old.yml", line)))
    (why,) = [change.why for change in changes if "cosine" in change.why]
    config = bound(schedulers, 0.01, 800)
    rates = [
        (learning_rate(config, step, STEPS_PER_EPOCH), warmed(0.01 * 0.5 * (math.cos(step * math.pi / 800) + 1), step, 0.01, 100, 0))
        for step in range(800)
    ]
    gap = max(abs(ours - theirs) for ours, theirs in rates) / 0.01
    assert why.endswith(f"at most {gap:.2%} of base_lr")
