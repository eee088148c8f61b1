"""Length of training and learning rate of each step. Pure functions, no torch.

The arithmetic is PaddleDetection 2.6's (ppdet/optimizer/optimizer.py on paddle.optimizer.lr.PiecewiseDecay), in
closed form instead of its lists of one value per step. A `step` is an optimiser step counted from 0; with gradient
accumulation several batches make one.
"""

from __future__ import annotations

import math

from runner.backends.torch.schema import CosineDecay, Decay, ExpWarmup, LinearWarmup, OneCycle, PiecewiseDecay, TorchConfig, Warmup
from runner.core.errors import InputError, Problem, TooFewImages


def steps_per_epoch(config: TorchConfig, n_images: int) -> int:
    """Count the optimiser steps of an epoch over `n_images` training images (each counted `repeat` times).

    The epoch's order is divided into groups of batch_size * gradient_accumulation; drop_last leaves out the last one if
    it is smaller. So accumulating 4 batches of 2 takes as many steps as batches of 8.

    Raises:
        InputError: fewer images than one such group and drop_last: an epoch would have no step.
    """
    n_samples = n_images * config.train_dataset.repeat
    group = config.train_reader.batch_size * config.gradient_accumulation
    if not config.train_reader.drop_last:
        return max(1, math.ceil(n_samples / group))
    if n_samples < group:
        raise InputError(
            TooFewImages(
                f"{n_samples} training images do not fill one step of {group} (batch_size {config.train_reader.batch_size} x "
                f"gradient_accumulation {config.gradient_accumulation}), and drop_last leaves out what does not: "
                "use a smaller batch or drop_last: false",
                key="TrainReader.batch_size",
            )
        )
    return n_samples // group


def total_steps(config: TorchConfig, n_images: int) -> int:
    """Count the optimiser steps of the whole training: max_iters itself, or epoch times the steps of an epoch.

    Raises:
        InputError: neither or both are given, or an epoch would have no step.
    """
    an_epoch = steps_per_epoch(config, n_images)
    if (config.epoch is None) == (config.max_iters is None):
        raise InputError(Problem("give exactly one of epoch and max_iters", key="epoch"))
    return config.max_iters if config.max_iters is not None else (config.epoch or 0) * an_epoch


def learning_rate(config: TorchConfig, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of `step` (0 is the first), before the factors of single parameters.

    PaddleDetection writes the warm-up's W + 1 rates and the decay's behind each other and takes the first whose
    boundary lies beyond the step. So steps 0 to W - 1 warm up, step W already has the decay's rate, and a milestone m
    takes effect at step m itself.
    """
    base = config.learning_rate.base_lr
    decay = config.learning_rate.schedulers[0]
    if isinstance(decay, OneCycle):
        length = config.max_iters if config.max_iters is not None else (config.epoch or 0) * steps_per_epoch
        return base * one_cycle(decay, step, length)
    if not isinstance(decay, Decay):
        raise InputError(
            Problem("the first scheduler decays (PiecewiseDecay or CosineDecay), the second warms up", key="LearningRate.schedulers")
        )
    warmup = warmup_steps(config, steps_per_epoch)
    if step < warmup:
        return _warming(config, step, warmup)
    if isinstance(decay, PiecewiseDecay):
        return _piecewise(decay, base, step, steps_per_epoch)
    return _cosine(decay, base, step, steps_per_epoch, warmup, config.max_iters)


def warmup_steps(config: TorchConfig, steps_per_epoch: int) -> int:
    """Return the number of warm-up steps; 0 if the decay has use_warmup: false."""
    schedulers = config.learning_rate.schedulers
    if not isinstance(schedulers[0], Decay) or not schedulers[0].use_warmup:
        return 0
    warmup = schedulers[1] if len(schedulers) > 1 else None
    if not isinstance(warmup, Warmup):
        text = "use_warmup: true needs a LinearWarmup or ExpWarmup as the second scheduler"
        raise InputError(Problem(text, key="LearningRate.schedulers"))
    in_epochs = warmup.epochs is not None and (isinstance(warmup, ExpWarmup) or warmup.epochs_first)
    steps = (warmup.epochs or 0) * steps_per_epoch if in_epochs else warmup.steps
    return max(steps, 1)  # PaddleDetection's: a warm-up of 0 steps still gives step 0 the start factor


def gammas(decay: PiecewiseDecay) -> tuple[float, ...]:
    """Return the factor of the base rate after each milestone; a single gamma g means g, g / 10, g / 100, …"""
    if isinstance(decay.gamma, tuple):
        return decay.gamma
    return tuple(decay.gamma / 10**i for i in range(len(milestones(decay))))


def milestones(decay: PiecewiseDecay) -> tuple[int, ...]:
    """Return the milestones as given: iterations if there are milestone_iters, else epochs (PaddleDetection's default is 8,
    11).
    """
    if decay.milestone_iters is not None:
        return decay.milestone_iters
    return decay.milestones if decay.milestones is not None else (8, 11)


def one_cycle(cycle: OneCycle, step: int, length: int) -> float:
    """Return the factor of the base rate at `step` of a training of `length` steps: torch.optim.lr_scheduler.OneCycleLR's, whose max_lr is
    the base rate (arXiv 1708.07120). Like torch's, it ends a phase at a fraction of a step.
    """
    first = 1 / cycle.div_factor
    last = first / cycle.final_div_factor
    risen = cycle.pct_start * length - 1
    phases = [(risen, first, 1.0), (length - 1, 1.0, last)]
    if cycle.three_phase:
        phases[1:] = [(2 * cycle.pct_start * length - 2, 1.0, first), (length - 1, first, last)]
    begin = 0.0
    for end, start_factor, end_factor in phases:
        if step <= end:
            share = (step - begin) / (end - begin) if end > begin else 1.0
            if cycle.anneal_strategy == "cos":
                return end_factor + (start_factor - end_factor) / 2 * (1 + math.cos(math.pi * share))
            return start_factor + (end_factor - start_factor) * share
        begin = end
    return last


def _warming(config: TorchConfig, step: int, warmup: int) -> float:
    scheduler = config.learning_rate.schedulers[1]
    alpha = step / warmup
    if isinstance(scheduler, ExpWarmup):
        return float(config.learning_rate.base_lr * alpha**scheduler.power)
    start = scheduler.start_factor if isinstance(scheduler, LinearWarmup) else 1.0
    return config.learning_rate.base_lr * (start * (1 - alpha) + alpha)


def _piecewise(decay: PiecewiseDecay, base: float, step: int, steps_per_epoch: int) -> float:
    unit = 1 if decay.milestone_iters is not None else steps_per_epoch
    rates = decay.values if decay.values is not None else (base, *(base * gamma for gamma in gammas(decay)))
    for rate, milestone in zip(rates, milestones(decay), strict=False):
        if step < milestone * unit:
            return rate
    return rates[-1]


def _cosine(decay: CosineDecay, base: float, step: int, steps_per_epoch: int, warmup: int, run_iters: int | None) -> float:
    if decay.max_iters is not None:
        length = decay.max_iters
    elif decay.max_epochs is None and run_iters is not None:
        length = run_iters
    else:
        length = (decay.max_epochs if decay.max_epochs is not None else 1000) * steps_per_epoch
    plateau = decay.last_plateau_epochs * steps_per_epoch
    lowest = base * decay.min_lr_ratio
    if warmup == 0 and plateau == 0:  # paddle's CosineAnnealingDecay, which rises again after its length
        return lowest + (base - lowest) * 0.5 * (math.cos(math.pi * step / length) + 1)
    if length <= warmup:
        return base  # nothing is appended to the warm-up's list, whose last rate stays
    step = min(step, length - 1)  # the last rate of the list stays
    if step >= length - plateau:
        return lowest
    return lowest + (base - lowest) * 0.5 * (math.cos((step - warmup) * math.pi / (length - warmup - plateau)) + 1)
