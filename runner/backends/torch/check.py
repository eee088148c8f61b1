"""Checks of a config: what does not fit together in the architecture, the schedule, the readers, the data sets. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from runner.backends.initial_distance import check_initial_distance
from runner.backends.torch import schedule, schema
from runner.backends.torch.models.base import DetectorModel, model_of
from runner.backends.torch.models.weight_sources import check_weights
from runner.backends.torch.schema import TorchConfig
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
    problems += [*check_length(config), *_learning_rate(config.learning_rate), *_optimizer(config), *_readers(config, model)]
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


# ------------------------------------------------------------------------------------------------------------ readers
def _readers(config: TorchConfig, model: DetectorModel) -> Iterator[Problem]:
    readers: list[tuple[str, schema.TrainReader | schema.EvalReader | schema.TestReader | None]] = [
        ("TrainReader", config.train_reader),
        ("EvalReader", config.eval_reader),
        ("TestReader", config.test_reader),
    ]
    for name, reader in readers:
        if reader is None:
            continue
        if reader.num_classes != config.num_classes:
            yield Problem(
                f"is {reader.num_classes}, num_classes is {config.num_classes}: left out, it is the same", key=f"{name}.num_classes"
            )
        yield from _order(name, reader, model)
        for index, transform in enumerate(reader.sample_transforms):
            if isinstance(transform, schema.RandomResize):
                yield from _random_resize(transform, f"{name}.sample_transforms.{index}")
    for own in _of_architectures(config.train_reader):
        if not isinstance(own, model.batch_transforms):
            text = f"{type(own).__name__} is for another architecture than {model.schema.__name__}; take it out"
            yield Problem(text, key="TrainReader.batch_transforms")
    for name, reader in readers[1:]:
        for own in _of_architectures(reader) if reader is not None else ():
            text = f"{type(own).__name__} makes what training learns from; take it out here"
            yield Problem(text, key=f"{name}.batch_transforms")


def _of_architectures(reader: schema.TrainReader | schema.EvalReader | schema.TestReader) -> list[object]:
    """Return the batch transforms that only some architectures take."""
    return [transform for transform in reader.batch_transforms if not isinstance(transform, schema.SHARED_BATCH_TRANSFORMS)]


def _order(name: str, reader: schema.TrainReader | schema.EvalReader | schema.TestReader, model: DetectorModel) -> Iterator[Problem]:
    """Find transforms in the wrong order: as in PaddleDetection they are applied as given, and most expect something of the image."""
    key = f"{name}.sample_transforms"
    transforms = [*reader.sample_transforms, *reader.batch_transforms]
    names = [type(transform).__name__ for transform in transforms]
    for once in ("Decode", "Permute", "NormalizeImage", "PadBatch", *(cls.__name__ for cls in model.batch_transforms)):
        if names.count(once) > 1:
            yield Problem(f"{once} is given {names.count(once)} times; keep one", key=key)
    if names[:1] != ["Decode"]:
        yield Problem("must begin with Decode: {}", key=key)
    if "Permute" not in names:
        yield Problem("Permute: {} is missing; the model takes channels first", key=key)
    else:
        late = [one for one in names[names.index("Permute") + 1 :] if one in ("Resize", "RandomResize", "RandomFlip", "NormalizeImage")]
        if late:
            yield Problem(f"{', '.join(late)} must come before Permute, which puts the channels first", key=key)
    if "PadBatch" in names:
        behind = transforms[names.index("PadBatch") + 1 :]
        late = [type(one).__name__ for one in behind if isinstance(one, schema.SHARED_BATCH_TRANSFORMS)]
        if late:
            yield Problem(f"{', '.join(late)} must come before PadBatch", key=f"{name}.batch_transforms")
    elif reader.batch_size > 1 and not _fixed_size(reader.sample_transforms):
        yield Problem(f"images of different sizes cannot form a batch of {reader.batch_size}: add PadBatch", key=f"{name}.batch_transforms")
    for transform in transforms:
        if isinstance(transform, schema.NormalizeImage) and (len(transform.mean) != 3 or len(transform.std) != 3):
            yield Problem("NormalizeImage needs three means and three standard deviations, one per channel", key=key)


def _random_resize(transform: schema.RandomResize, key: str) -> Iterator[Problem]:
    sizes = transform.target_size
    pairs = all(isinstance(size, tuple) for size in sizes)
    if not sizes:
        yield Problem("is empty: give at least one size", key=f"{key}.target_size")
    elif transform.random_range:
        if len(sizes) != 2 or not pairs or sizes[0][0] > sizes[1][0]:  # type: ignore[index]
            yield Problem("random_range needs two sizes, [[shortest, longer side], [longest, longer side]]", key=f"{key}.target_size")
    elif not transform.random_size and (len(sizes) != 2 or pairs):
        yield Problem("random_size: false needs one size, [height, width]", key=f"{key}.target_size")


def _fixed_size(transforms: Sequence[schema.SampleTransform]) -> bool:
    resizes = [one for one in transforms if isinstance(one, schema.Resize | schema.RandomResize)]
    return bool(resizes) and isinstance(resizes[-1], schema.Resize) and not resizes[-1].keep_ratio
