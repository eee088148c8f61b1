"""TranslationLog of 0.x's learning rate, which counts in iterations."""

from __future__ import annotations

import math

from runner.config.legacy.keys import LEFT_OUT, Keys, TranslationLog, at, whole, wholes
from runner.config.node import Node
from runner.core.errors import nearest

_DECAYS = ("PiecewiseDecay", "CosineDecay")
_MILESTONES = [60000, 80000]
_COSINE_ITERS = 180000
_EXACT = "0.x counts iterations; our milestone_iters keeps each exact, where 2.x's milestones are epochs"


def learning_rate(top: Keys, sections: dict[str, Node], record: TranslationLog) -> None:
    """Translate the section LearningRate: the rate is the same at every iteration (nearly so for a cosine with warm-up)."""
    node = top.take("LearningRate")
    if node is None and top.node.get("max_iters") is None:
        return
    keys = Keys(node or Node({}, top.node.source), "LearningRate", record)
    keys.keep("base_lr")
    given = keys.take("schedulers")
    if given is None:
        default = [Node(None, keys.node.source, "PiecewiseDecay"), Node(None, keys.node.source, "LinearWarmup")]
        given = Node(tuple(default), keys.node.source)
        record.change("", "LearningRate.schedulers", LEFT_OUT, keys.node, given.plain())
    if given.items:
        keys.new["schedulers"] = Node(_schedulers(given, record), given.source)
    else:
        record.problem(f"expected a decay and its warm-up, got {given.plain()!r}", given, keys.old("schedulers"))
    sections["LearningRate"] = keys.done()


def _schedulers(given: Node, record: TranslationLog) -> tuple[Node, ...]:
    items = given.items or ()
    warmup = items[1] if len(items) > 1 else None
    decay = _decay(items[0], warmup, record)
    if warmup is None:
        return (decay,)
    path = "LearningRate.schedulers.1"
    if len(items) > 2 or warmup.tag != "LinearWarmup":  # noqa: PLR2004
        record.problem(f"expected one decay, then !LinearWarmup; got {given.plain()!r}", warmup, path)
        return (decay,)
    keys = Keys(warmup, path, record)
    keys.keep("steps", "start_factor")
    return decay, keys.done("LinearWarmup")


def _decay(node: Node, warmup: Node | None, record: TranslationLog) -> Node:
    path = "LearningRate.schedulers.0"
    if node.tag not in _DECAYS:
        hint = nearest(str(node.tag), _DECAYS)
        record.problem(f"expected a decay that is translated, got {node.plain()!r}" + (f"; {hint}" if hint else ""), node, path)
        return node
    keys = Keys(node, path, record)
    if node.tag == "PiecewiseDecay":
        keys.keep("gamma", "values")
        if keys.new.get("values", node).value is None:
            keys.new.pop("values", None)
        if "values" not in keys.new:
            keys.fill("gamma", [0.1, 0.1])
        keys.move("milestones", "milestone_iters", _EXACT, wholes)
        keys.fill("milestone_iters", _MILESTONES)
    else:
        length = keys.read("max_iters", whole, _COSINE_ITERS)
        given = node.get("max_iters")
        keys.new["max_iters"] = given or at(node, length)
        if given is None:
            record.change("", f"{path}.max_iters", LEFT_OUT, node, length)
        _say_how_cosines_differ(keys, length, warmup)
    if warmup is None:
        keys.add("use_warmup", False, "there is none; 2.x expects one otherwise")
    return keys.done(node.tag)


def _say_how_cosines_differ(keys: Keys, length: int, warmup: Node | None) -> None:
    steps = warmup.get("steps") if warmup is not None else None
    count = steps.value if steps is not None else 500
    if warmup is None or not isinstance(count, int) or not 0 < count < length:
        return
    gap = max(
        0.5 * abs(math.cos(math.pi * step / length) - math.cos(math.pi * (step - count) / (length - count)))
        for step in range(count, length, max(1, length // 1000))
    )
    why = f"2.x's cosine starts after the warm-up, 0.x's with it: the rates differ by at most {gap:.2%} of base_lr"
    keys.record.change(keys.path, keys.path, why, keys.node, keys.node.plain())
