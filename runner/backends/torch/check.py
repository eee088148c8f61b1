"""Checks of a config: what does not fit together in the architecture, the schedule, the readers, the data sets. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from runner.backends.initial_distance import check_initial_distance
from runner.backends.torch import schedule, schema
from runner.backends.torch.models.base import DetectorModel, model_of
from runner.backends.torch.models.weight_sources import check_weights
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.transforms.checks import check_readers
from runner.core.errors import Problem
from runner.training.checks import check_data, check_length


def check(config: TorchConfig) -> list[Problem]:
    """Find every problem in `config` and in the files it names; none if it can be trained."""
    model = model_of(config)
    problems = [*model.check(config), *_optional_keys(config, model)]
    if config.amp_dtype == "float16" and not config.use_gpu:
        text = "float16 needs a GPU, for its loss scaling; on a CPU give bfloat16, or auto to use it only where it is faster"
        problems.append(Problem(text, key="amp_dtype"))
    if config.pretrain_weights is not None:
        problems += check_weights(config.pretrain_weights)
    problems += [*check_length(config), *_learning_rate(config.learning_rate), *_optimizer(config), *check_readers(config, model)]
    return [*problems, *check_data(config, lambda images: schedule.steps_per_epoch(config, images))]


def _optional_keys(config: TorchConfig, model: DetectorModel) -> Iterator[Problem]:
    if "initial_distance" not in model.honoured_keys:
        yield from check_initial_distance(config.initial_distance, has_effect=False)
    if config.optimizer_builder.layer_decay != 1 and "OptimizerBuilder.layer_decay" not in model.honoured_keys:
        text = f"{model.schema.__name__} does not have it; remove the key, or give optimizer.param_groups factors"
        yield Problem(text, key="OptimizerBuilder.layer_decay")
    if config.gradient_checkpointing and "gradient_checkpointing" not in model.honoured_keys:
        yield Problem(f"{model.schema.__name__} does not have it; remove the key, or use a smaller batch", key="gradient_checkpointing")


def _learning_rate(config: schema.LearningRate) -> Iterator[Problem]:
    key = "LearningRate.schedulers"
    decay, rest = next(iter(config.schedulers), None), config.schedulers[1:]
    if isinstance(decay, schema.OneCycle):
        if rest:
            yield Problem("!OneCycle warms up by itself; take the others out", key=key)
        return
    if not isinstance(decay, schema.Decay):
        yield Problem("the first one decays: !PiecewiseDecay, !CosineDecay or !OneCycle", key=key)
        return
    if decay.use_warmup and (not rest or not isinstance(rest[0], schema.Warmup)):
        text = "use_warmup: true (the default) needs a !LinearWarmup or !ExpWarmup as the second one; else give use_warmup: false"
        yield Problem(text, key=key)
    if len(rest) > 1 or (rest and not isinstance(rest[0], schema.Warmup)):
        yield Problem(
            f"at most two are understood, a decay and a warm-up, not {', '.join(type(one).__name__ for one in config.schedulers)}",
            key=key,
        )
    if isinstance(decay, schema.PiecewiseDecay):
        yield from _piecewise(decay, f"{key}.0")
    elif isinstance(decay, schema.CosineDecay) and decay.max_epochs is not None and decay.max_iters is not None:
        yield Problem("max_epochs and max_iters are both given; take one out", key=f"{key}.0.max_iters")


def _piecewise(decay: schema.PiecewiseDecay, key: str) -> Iterator[Problem]:
    if decay.milestones is not None and decay.milestone_iters is not None:
        yield Problem("milestones and milestone_iters are both given; take one out", key=f"{key}.milestone_iters")
    milestones = schedule.milestones(decay)
    if any(later <= earlier for earlier, later in pairwise(milestones)):
        yield Problem(f"must rise, got {list(milestones)}", key=f"{key}.milestones")
    if decay.values is not None:
        if decay.use_warmup:
            yield Problem(
                "cannot be combined with a warm-up (PaddleDetection fails on it too): give use_warmup: false, or gamma", key=f"{key}.values"
            )
        if len(decay.values) != len(milestones) + 1:
            yield Problem(f"{len(milestones)} milestones need {len(milestones) + 1} values, got {len(decay.values)}", key=f"{key}.values")
    elif len(schedule.gammas(decay)) != len(milestones):
        yield Problem(
            f"{len(milestones)} milestones {list(milestones)} need as many factors, got {list(schedule.gammas(decay))}", key=f"{key}.gamma"
        )


def _optimizer(config: TorchConfig) -> Iterator[Problem]:
    builder = config.optimizer_builder
    if builder.clip_grad_by_norm is not None and builder.clip_grad_by_value is not None:
        yield Problem("clip_grad_by_norm is given too; take one out", key="OptimizerBuilder.clip_grad_by_value")
    if config.use_ema and config.ema_decay_type == "normal" and config.ema_decay == 1:
        yield Problem("1 would never include new weights; give a smaller value", key="ema_decay")
