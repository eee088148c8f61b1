"""Reader of sweep files."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from runner.config.bind import bind, field_infos
from runner.config.load import load_config, missing_file
from runner.config.node import Node
from runner.config.overrides import assign, parse_override
from runner.core.errors import InputError, Problem
from runner.core.values import format_value
from runner.search.spec import COMPONENTS, DURATIONS, Budget, Racing, Resources, SweepSpec
from runner.search.spec_rules import check_spec
from runner.store import legacy

_FORMER: Final = frozenset((*legacy.SPEC_KEYS, *(f"resources.{key}" for key in legacy.RESOURCE_KEYS)))
_KEYED: Final = ("vary", "space", "derive")
DURATION: Final = r"(?=.)" + r"\s*".join(rf"(?:(\d+(?:\.\d+)?)\s*{unit})?" for unit in "dhms")
"""A duration as a text: days, hours, minutes and seconds in this order, each optional."""
_SECTION_KEYS: Final = {
    name: f"{section}.{info.key}"
    for section, keys in {"budget": Budget, "racing": Racing, "resources": Resources}.items()
    for info in field_infos(keys)
    for name in (info.key, *([info.formerly.name] if info.formerly else []))
}
"""Key, or former key, of a section of the sweep file to its dotted key."""

_OPTUNA_LIMITS: Final = {
    "n_trials": "a sweep is limited by its runs (trials times seeds, with the baseline's): `budget: {runs: …}`",
    "timeout": "a sweep is limited by `budget: {runs: …}` or `budget: {hours: …}`, an attempt of a run by `resources: {timeout: …}`",
}
"""Arguments of Optuna's `optimize` to what a sweep file has in their place."""


def load_sweep(path: Path, changes: Iterable[str] = ()) -> SweepSpec:
    """Read the sweep in `path`, apply each ``KEY=VALUE`` of `changes`, and check it without its config.

    Raises:
        InputError: with everything that is wrong, each with its file and line.
    """
    read = load_config(path)
    if path.name == "sweep.yml" and os.path.lexists(path.with_name("plan.json")):  # that of a sweep directory
        read = _upgraded(read)
    tree = _changed(read, changes)
    if read.get("architecture") and not read.get("config"):
        raise InputError(Problem(f"this is a config; run: runner train -c {shlex.quote(str(path))}", where=str(path)))
    tree = _in_full(tree)
    bound = bind(tree, SweepSpec)
    if bound.value is None:
        raise InputError([_explain(tree, problem, path) for problem in bound.problems])
    found = check_spec(bound.value)
    config = bound.value.config_path(path)
    if not os.path.isfile(config):
        found.append(Problem(missing_file(config), key="config"))
    problems = [replace(problem, where=_written_at(tree, problem.key)) for problem in found]
    if problems:
        raise InputError(problems)
    return bound.value


def meant_for_sweep(problem: Problem) -> Problem:
    """Explain an override of the config (``-o``) whose key is one of the sweep file, today's or a former one, or of a data spec."""
    option, _, given = problem.where.partition(" ")
    if option != "-o" or not problem.message.startswith("unknown key"):
        return problem
    setting = legacy.upgrade_setting(given)
    first = re.split("[.=]", setting, maxsplit=1)[0]
    if first in ("cut", "split"):
        return replace(problem, message="unknown key of the config; it is a key of data specs (datasets/NAME.yml), called `split`")
    key = first if first in {info.key for info in field_infos(SweepSpec)} else _SECTION_KEYS.get(first, "")
    if not key:
        return problem
    setting = key + setting[len(first) :]
    shown = f"{setting.partition('=')[0]}=VALUE" if setting.endswith("…") else shlex.quote(setting)
    return replace(problem, message=f"unknown key of the config; it is a key of sweep files: --set {shown}")


def _upgraded(tree: Node) -> Node:
    """Return the tree of the sweep file in a sweep directory, which an older version may have written, in today's words."""
    tree = _renamed(tree, legacy.SPEC_KEYS)
    if (resources := tree.get("resources")) is not None:
        tree = tree.with_key("resources", _renamed(resources, legacy.RESOURCE_KEYS))
    if (constraints := tree.get("constraints")) is not None and constraints.items is not None:
        texts = [replace(node, value=legacy.upgrade_constraint(node.value)) for node in constraints.items if isinstance(node.value, str)]
        upgraded = texts if len(texts) == len(constraints.items) else constraints.items
        tree = tree.with_key("constraints", replace(constraints, value=tuple(upgraded)))
    metrics = (metric := tree.get("metric")) and metric.items or ()
    for key in ("metric", "metric.name", *(f"metric.{index}.name" for index in range(len(metrics)))):
        node = tree.get(key)
        if node is not None and isinstance(node.value, str) and node.value in legacy.RESOURCE_TAGS:
            tree = assign(tree, key, replace(node, value=legacy.RESOURCE_TAGS[node.value]))
    return tree


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    return node if node.mapping is None else replace(node, value={names.get(key, key): item for key, item in node.mapping.items()})


def duration_s(text: str) -> float:
    """Return the seconds of ``90s``, ``10m``, ``2h``, ``1h30m``, ``1d``. Raises ValueError for anything else."""
    found = re.fullmatch(DURATION, text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a duration")
    return sum(float(number) * seconds for number, seconds in zip(found.groups(), (86400, 3600, 60, 1), strict=True) if number)


def _changed(tree: Node, changes: Iterable[str]) -> Node:
    """Apply each ``KEY=VALUE`` of ``--set`` to `tree`. Below `vary`, `space` and `derive` there are keys of the config, whose dots do not
    lead deeper: ``space.LearningRate.base_lr.low`` is the key `low` of ``LearningRate.base_lr``. An empty mapping for one of the three
    empties it."""
    problems: list[Problem] = []
    for text in changes:
        try:
            key, value = parse_override(text, "--set")
            section, _, name = key.partition(".")
            if section not in _KEYED or not name:
                tree = tree.with_key(key, value) if section in _KEYED and value.mapping == {} else assign(tree, key, value)
                continue
            below = tree.get(section) or Node({}, value.source)
            known = [other for other in below.mapping or {} if f"{name}.".startswith(f"{other}.")]
            own = max(known, key=len, default=name)
            inner = name[len(own) + 1 :]
            before = (below.mapping or {}).get(own)
            if before is not None and inner and before.mapping is None:
                text = f"has no keys: all of it is set by {section}.{own}=…"
                raise InputError(Problem(text, where=str(value.source), key=f"{section}.{own}"))
            after = value if before is None or not inner else assign(before, inner, value)
            tree = tree.with_key(section, replace(below, value={**(below.mapping or {}), own: after}))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return tree


def _in_full(tree: Node) -> Node:
    """Turn durations into seconds and bare names into mappings; anything else stays, for binding to refuse."""
    for key in DURATIONS:
        node = tree.get(key)
        if node is not None and isinstance(node.value, str):
            with contextlib.suppress(ValueError):
                tree = assign(tree, key, replace(node, value=duration_s(node.value)))
    for key in COMPONENTS:
        node = tree.get(key)
        if node is not None and isinstance(node.value, str):
            tree = tree.with_key(key, replace(node, value={"name": node}))
    return tree


def _explain(tree: Node, problem: Problem, path: Path) -> Problem:
    """Explain common mistakes by what to write: a key without its section, a single value where a list is expected, a former key."""
    if problem.key in _FORMER and problem.where.startswith(str(path)):
        where = shlex.quote(os.path.abspath(path))
        return replace(problem, message=f"{problem.message} in {where}, not in the copy that a sweep's directory has")
    place, _, name = problem.key.partition(".")
    if problem.message.startswith("unknown key") and problem.key in _OPTUNA_LIMITS:
        return replace(problem, message=f"unknown key; {_OPTUNA_LIMITS[problem.key]}")
    if problem.message.startswith("unknown key") and problem.key in _SECTION_KEYS:
        return replace(problem, message=f"unknown key; did you mean {_SECTION_KEYS[problem.key]!r}?")
    if problem.message.startswith("unknown key") and problem.key in ("cut", "split"):
        return replace(problem, message="unknown key; it is a key of data specs (datasets/NAME.yml), called `split`")
    if problem.key in DURATIONS:
        return replace(
            problem,
            message=problem.message.replace("expected a number", "expected a duration (90s, 10m, 2h, 1h30m, 1d) or seconds", 1),
        )
    section = tree.get(place)
    node = (section.mapping or {}).get(name) if section is not None else None
    if node is None or node.mapping is not None or node.items is not None or node.tag is not None:
        return problem
    value = format_value(node.value)
    example = "" if node.value is None else f", [{value}],"
    meant = {
        "vary": "a list of values" + (f"{example} or {{values: [{value}], label: …}}" if example else ""),
        "space": f"a list of choices{example} or {{low: …, high: …}}",
    }
    return replace(problem, message=f"expected {meant[place]}, got {value}") if place in meant else problem


def _written_at(tree: Node, key: str) -> str:
    """Return the place where `key` is written, or the nearest one around it. Keys of the config, which have dots themselves, are
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
