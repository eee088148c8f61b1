"""Hyper-parameters of a run for a viewer's table: one column per key of the config, with a value for every run, the baseline too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from runner.config import image_size
from runner.config.load import parse
from runner.config.node import Source, flatten
from runner.config.stand_ins import STAND_INS
from runner.core.errors import InputError
from runner.core.files import read_text
from runner.core.values import ABSENT
from runner.store.run_dir import RunDir

COMMON_KEYS: Final = (
    "backend",
    "architecture",
    "TrainReader.batch_size",
    "LearningRate.base_lr",
    "OptimizerBuilder.optimizer.type",
    "epoch",
    "max_iters",
)
"""Keys that are shown of every run that has them, besides those that its sweep varies, its own overrides and its seed."""


def hyper_parameters(run_dir: RunDir, also: Iterable[str] = ()) -> dict[str, Any]:
    """Return dotted key to value of the resolved config, and the seed.

    Args:
        also: further keys, such as those that other runs in the same table vary.
    """
    identity = run_dir.identity()
    overrides = {} if identity is None else dict(identity.overrides)
    tree = _read_config(run_dir)
    found = {key: value for key in COMMON_KEYS if (value := _look_up(tree, key)) not in (ABSENT, None)}
    for key in dict.fromkeys([*(identity.varied if identity is not None else ()), *overrides, *also]):
        value = _value(tree, key, overrides)
        if key == image_size.KEY and isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
            value = value[0]  # as it is written in most configs: a number, not a text, in a viewer's table
        if value is not ABSENT and key != "seed":
            found[key] = value
    return found | ({} if identity is None else {"seed": identity.seed})


def _value(tree: Any, key: str, overrides: Mapping[str, Any]) -> Any:
    """Return a key's value: the resolved one; where the config does not have the key, the override or what the key stands for."""
    value = _look_up(tree, key)
    if value is not ABSENT and not (key in STAND_INS and value is None):
        return value
    if key in overrides:
        return overrides[key]
    if key in STAND_INS and isinstance(tree, Mapping) and (stands_for := STAND_INS[key].value_in(dict(flatten(tree)))) is not None:
        return stands_for
    return ABSENT


def _read_config(run_dir: RunDir) -> Any:
    try:
        return parse(read_text(run_dir.config), lambda line: Source(str(run_dir.config), line)).plain()
    except (OSError, UnicodeDecodeError, InputError):
        return None  # only columns of a viewer's table stay empty


def _look_up(tree: Any, key: str) -> Any:
    for part in key.split("."):
        if isinstance(tree, Mapping) and part in tree:
            tree = tree[part]
        elif isinstance(tree, Sequence) and not isinstance(tree, str) and part.isdecimal() and int(part) < len(tree):
            tree = tree[int(part)]
        else:
            return ABSENT
    return tree
