"""Reading a sweep file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from runner.config.bind import bind
from runner.config.load import load_config
from runner.config.node import Node
from runner.config.overrides import apply_overrides
from runner.core.errors import InputError
from runner.search.spec import SweepSpec


def load_sweep(path: Path, changes: Iterable[str] = ()) -> SweepSpec:
    """The sweep in `path`, each ``KEY=VALUE`` of `changes` applied to it, checked by itself (not yet against its
    config).

    Raises:
        InputError: with everything that is wrong, each with its file and line.
    """
    tree = apply_overrides(load_config(path), changes)
    bound = bind(tree, SweepSpec)
    if bound.value is None:
        raise InputError(bound.problems)
    problems = [replace(problem, where=_place(tree, problem.key)) for problem in bound.value.check()]
    if problems:
        raise InputError(problems)
    return bound.value


def _place(tree: Node, key: str) -> str:
    """Where `key` is written, or the nearest thing around it. Keys of the config, which have dots themselves, are
    matched too."""
    node, rest = tree, key
    while rest:
        if node.items is not None:
            index, _, rest = rest.partition(".")
            node = node.items[int(index)]
            continue
        fitting = [name for name in node.mapping or {} if f"{rest}.".startswith(f"{name}.")]
        if not fitting:
            break
        name = max(fitting, key=len)
        node, rest = (node.mapping or {})[name], rest[len(name) + 1 :]
    return str(node.source)
