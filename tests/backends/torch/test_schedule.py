"""The closed forms against a slow simulation of the lists PaddleDetection builds, and against rates computed by hand."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from runner.backends.torch import schedule
from runner.backends.torch.schema import CosineDecay, ExpWarmup, LearningRate, LinearWarmup, OneCycle, PiecewiseDecay, TorchConfig
from runner.core.errors import InputError

Config = Callable[..., TorchConfig]


def paddle_piecewise(boundaries: list[int], values: list[float], step: int) -> float:
    """paddle.optimizer.lr.PiecewiseDecay: the value of the first boundary beyond the step, else the last value."""
    return next((value for boundary, value in zip(boundaries, values, strict=False) if step < boundary), values[-1])


def warmup_lists(base: float, steps: int, start: float) -> tuple[list[int], list[float]]:
    return list(range(1, steps + 1)), [base * (start * (1 - i / steps) + i / steps) for i in range(steps + 1)]


def rates(config: TorchConfig, steps: int, per_epoch: int) -> list[float]:
    return [schedule.learning_rate(config, step, per_epoch) for step in range(steps)]


@pytest.mark.parametrize("gamma", [0.1, (0.1, 0.01), 0.5])
@pytest.mark.parametrize("warm", [1, 5, 23, 45])
def test_piecewise_with_warmup_is_paddles_list(config: Config, gamma: float | tuple[float, ...], warm: int) -> None:
    per_epoch, base, milestones = 11, 0.02, (2, 4)
    boundaries, values = warmup_lists(base, warm, 0.25)
    boundaries += [per_epoch * milestone for milestone in milestones]
    factors = gamma if isinstance(gamma, tuple) else [gamma / 10**i for i in range(2)]
    values += [base * factor for factor in factors]
    schedulers = (PiecewiseDecay(gamma=gamma, milestones=milestones), LinearWarmup(steps=warm, start_factor=0.25))
    here = rates(config(learning_rate=LearningRate(base_lr=base, schedulers=schedulers)), 70, per_epoch)
    assert here == [paddle_piecewise(boundaries, values, step) for step in range(70)]


def test_a_single_gamma_is_divided_by_ten_each_time(config: Config) -> None:
    schedulers = (PiecewiseDecay(gamma=0.1, milestones=(1, 2), use_warmup=False),)
    here = rates(config(learning_rate=LearningRate(base_lr=1.0, schedulers=schedulers)), 31, 10)
    assert here[9:11] == [1.0, 0.1]
    assert here[19:21] == [0.1, pytest.approx(0.01)]


@pytest.mark.parametrize(
    ("warm", "epochs", "plateau", "ratio"), [(7, 4, 0, 0.0), (7, 4, 1, 0.1), (50, 4, 0, 0.1), (1, 3, 2, 0.0), (12, 1, 1, 0.5)]
)
def test_cosine_with_warmup_is_paddles_list(config: Config, warm: int, epochs: int, plateau: int, ratio: float) -> None:
    per_epoch, base = 10, 0.02
    boundaries, values = warmup_lists(base, warm, 0.1)
    length, flat, lowest = epochs * per_epoch, plateau * per_epoch, base * ratio
    for i in range(warm, length):
        boundaries.append(i)
        angle = (i - warm) * math.pi / (length - warm - flat) if i < length - flat else math.pi
        values.append(lowest + (base - lowest) * 0.5 * (math.cos(angle) + 1) if i < length - flat else lowest)
    schedulers = (
        CosineDecay(max_epochs=epochs, min_lr_ratio=ratio, last_plateau_epochs=plateau),
        LinearWarmup(steps=warm, start_factor=0.1),
    )
    here = rates(config(learning_rate=LearningRate(base_lr=base, schedulers=schedulers)), 60, per_epoch)
    assert here == pytest.approx([paddle_piecewise(boundaries, values, step) for step in range(60)], rel=1e-12)


def test_cosine_without_warmup_is_paddles_recursion(config: Config) -> None:
    base, length = 0.5, 30
    there = [base]
    for step in range(1, length):
        there.append((1 + math.cos(math.pi * step / length)) / (1 + math.cos(math.pi * (step - 1) / length)) * there[-1])
    schedulers = (CosineDecay(max_epochs=3, use_warmup=False),)
    assert rates(config(learning_rate=LearningRate(base_lr=base, schedulers=schedulers)), length, 10) == pytest.approx(there, rel=1e-9)


def test_cosine_takes_the_length_of_a_training_given_in_iterations(config: Config) -> None:
    schedulers = (CosineDecay(use_warmup=False),)
    here = config(epoch=None, max_iters=40, learning_rate=LearningRate(base_lr=1.0, schedulers=schedulers))
    assert schedule.learning_rate(here, 20, 7) == pytest.approx(0.5)
    by_epoch = replace(here, epoch=3, max_iters=None)
    assert schedule.learning_rate(by_epoch, 20, 7) == pytest.approx(0.5 * (1 + math.cos(math.pi * 20 / 7000)))


@pytest.mark.parametrize(
    ("warmup", "steps"),
    [(LinearWarmup(steps=9), 9), (LinearWarmup(steps=9, epochs=2), 14), (LinearWarmup(steps=9, epochs=2, epochs_first=False), 9)],
)
def test_length_of_the_warmup(config: Config, warmup: LinearWarmup, steps: int) -> None:
    assert schedule.warmup_steps(config(learning_rate=LearningRate(schedulers=(PiecewiseDecay(), warmup))), 7) == steps


@pytest.mark.parametrize("warmup", [ExpWarmup(steps=9), ExpWarmup(steps=100, epochs=1, power=3), ExpWarmup(steps=0)])
def test_exponential_warmup_is_a_power(config: Config, warmup: ExpWarmup) -> None:
    steps = {9: 9, 100: 7, 0: 1}[warmup.steps]
    here = config(learning_rate=LearningRate(base_lr=2.0, schedulers=(PiecewiseDecay(gamma=0.1, milestones=(2, 3)), warmup)))
    expected = [2.0 * (step / steps) ** warmup.power for step in range(steps)]
    assert rates(here, 14, 7) == expected + [2.0] * (14 - steps)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize(("length", "start", "three_phase"), [(40, 0.3, False), (41, 0.3, True), (7, 0.0, False), (1, 0.3, False)])
def test_one_cycle_is_torchs(config: Config, length: int, start: float, strategy: str, three_phase: bool) -> None:
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    there = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=0.02,
        total_steps=length,
        pct_start=start,
        anneal_strategy=strategy,
        cycle_momentum=False,
        three_phase=three_phase,
        final_div_factor=100.0,
    )
    expected = []
    for _ in range(length):
        expected.append(there.get_last_lr()[0])
        optimizer.step()
        if len(expected) < length:
            there.step()
    cycle = OneCycle(pct_start=start, anneal_strategy=strategy, three_phase=three_phase, final_div_factor=100.0)  # type: ignore[arg-type]
    rate = LearningRate(base_lr=0.02, schedulers=(cycle,))
    assert rates(config(epoch=None, max_iters=length, learning_rate=rate), length, 7) == pytest.approx(expected, rel=1e-9)
    if length == 7:
        assert rates(config(epoch=1, learning_rate=rate), length, 7) == pytest.approx(expected, rel=1e-9)


def test_a_warmup_of_nothing_still_gives_the_first_step_the_start_factor(config: Config) -> None:
    here = config(learning_rate=LearningRate(base_lr=1.0, schedulers=(PiecewiseDecay(), LinearWarmup(steps=0, start_factor=0.5))))
    assert rates(here, 3, 10) == [0.5, 1.0, 1.0]


def test_the_articles_schedule_is_exact(config: Config) -> None:
    schedulers = (PiecewiseDecay(gamma=0.1, milestone_iters=(2372, 3261)), LinearWarmup(steps=500, start_factor=1 / 3))
    here = config(epoch=None, max_iters=3558, learning_rate=LearningRate(base_lr=0.00125, schedulers=schedulers))
    assert schedule.total_steps(here, 593) == 3558
    per_epoch = schedule.steps_per_epoch(here, 593)
    rate = {step: schedule.learning_rate(here, step, per_epoch) for step in (0, 250, 499, 500, 2371, 2372, 3260, 3261, 3557)}
    assert rate == pytest.approx(
        {
            0: 0.00125 / 3,
            250: 0.00125 * 2 / 3,
            499: 0.00125 * (1 - 2 / 1500),
            500: 0.00125,
            2371: 0.00125,
            2372: 0.000125,
            3260: 0.000125,
            3261: 0.0000125,
            3557: 0.0000125,
        },
        rel=1e-12,
    )


def test_values_are_taken_as_they_stand(config: Config) -> None:
    schedulers = (PiecewiseDecay(values=(3.0, 2.0, 1.0), milestones=(1, 2), use_warmup=False),)
    assert rates(config(learning_rate=LearningRate(schedulers=schedulers)), 7, 3) == [3, 3, 3, 2, 2, 2, 1]


@pytest.mark.parametrize(
    ("batch", "times", "drop_last", "steps"),
    [(4, 1, True, 5), (4, 1, False, 6), (2, 2, True, 5), (2, 2, False, 6), (8, 1, True, 2), (2, 4, True, 2)],
)
def test_steps_of_an_epoch(config: Config, batch: int, times: int, drop_last: bool, steps: int) -> None:
    here = config()
    here = replace(here, gradient_accumulation=times, train_reader=replace(here.train_reader, batch_size=batch, drop_last=drop_last))
    assert schedule.steps_per_epoch(here, 23) == steps
    assert schedule.total_steps(replace(here, epoch=3), 23) == 3 * steps


def test_fewer_images_than_a_batch(config: Config) -> None:
    with pytest.raises(InputError, match="3 training images do not fill one step of 4"):
        schedule.steps_per_epoch(config(), 3)


def test_it_loads_no_torch() -> None:
    code = "import sys, runner.backends.torch.backend; sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
