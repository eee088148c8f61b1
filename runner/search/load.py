"""Reading a sweep file."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from runner.config.bind import bind
from runner.config.load import load_config, missing_file
from runner.config.node import Node
from runner.config.overrides import apply_overrides
from runner.core.errors import InputError, Problem
from runner.core.values import format_value
from runner.search.spec import SweepSpec


def load_sweep(path: Path, changes: Iterable[str] = ()) -> SweepSpec:
    """The sweep in `path`, each ``KEY=VALUE`` of `changes` applied to it, checked by itself (not yet against its
    config).

    Raises:
        InputError: with everything that is wrong, each with its file and line.
    """
    read = load_config(path)
    tree = apply_overrides(read, changes)
    if read.get("architecture") and not read.get("config"):
        raise InputError(Problem(f"this is a config; run: runner train -c {shlex.quote(str(path))}", where=str(path)))
    bound = bind(tree, SweepSpec)
    if bound.value is None:
        raise InputError([_explain(tree, problem) for problem in bound.problems])
    found = bound.value.check()
    config = bound.value.config_path(path)
    if not os.path.isfile(config):
        found.append(Problem(missing_file(config), key="config"))
    problems = [replace(problem, where=_place(tree, problem.key)) for problem in found]
    if problems:
        raise InputError(problems)
    return bound.value


def _explain(tree: Node, problem: Problem) -> Problem:
    """A single value under `vary`, the commonest slip, with what to write instead."""
    place, _, name = problem.key.partition(".")
    vary = tree.get("vary")
    node = (vary.mapping or {}).get(name) if place == "vary" and vary is not None else None
    if node is None or node.mapping is not None or node.items is not None or node.tag is not None:
        return problem
    value = format_value(node.value)
    return replace(problem, message=f"expected a list of values, [{value}], or {{values: [{value}], label: …}}, got {value}")


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
