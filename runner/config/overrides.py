"""Overrides (`-o a.b=c`): changes to a config from the command line, applied in the given order."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from runner.config.load import OVERRULED_BY, merge, parse, put_aside, put_replaced_aside
from runner.config.node import Node, Source, from_plain, key_parts, quoted
from runner.core.errors import InputError, Problem

_LONGEST_SHOWN = 80


def parse_override(text: str, option: str = "-o") -> tuple[str, Node]:
    """Parse ``a.b.c=VALUE`` into (dotted key, value); VALUE is YAML (``1e-4``, ``[1, 2]``, ``{a: 1}``, ``null``, ``"text"``). `option` is
    the option's name, for messages.

    Raises:
        InputError: no ``=``, an empty part in the key, or a value that is not YAML.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    source = Source(f"{option} {text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + '…'}")
    if not equals:
        raise InputError(Problem("expected KEY=VALUE, for example TrainReader.batch_size=8", where=str(source)))
    if not key or not all(key.split(".")):
        raise InputError(Problem(f"key {key!r} has an empty part; expected names joined by single dots", where=str(source)))
    try:
        node = parse(value, lambda _line: source)
    except InputError as error:
        hint = f"; for a string, use quotes: {quoted_override(option, key, value)}" if len(value) <= _LONGEST_SHOWN else ""
        raise InputError([replace(problem, message=problem.message + hint) for problem in error.problems]) from None
    shortened = (
        isinstance(node.value, str) and value.strip()[:1] not in ("'", '"', "|", ">") and node.value != value.strip()
    )  # by a comment
    return key, replace(node, text=value.strip()) if shortened or not isinstance(node.value, str) else node


def quoted_override(option: str, key: str, text: str) -> str:
    """Return what to type in a shell so that YAML reads `text` as a string: ``-o 'a.b="*.jpg"'``."""
    return f"{option} {shlex.quote(f'{key}={quoted(text.strip())}')}"


def apply_overrides(tree: Node, overrides: Iterable[str]) -> Node:
    """Apply each ``KEY=VALUE`` to `tree`; a later one wins.

    Raises:
        InputError: with a problem for every override that cannot be applied.
    """
    problems: list[Problem] = []
    given: list[tuple[str, Node]] = []
    for text in overrides:
        try:
            given.append(parse_override(text))
        except InputError as error:
            problems += error.problems
    tree, found = _apply_layer(tree, given)
    if problems or found:
        raise InputError([*problems, *found])
    return tree


def apply_mapping(tree: Node, overrides: Mapping[str, Any], source: Source) -> Node:
    """Set plain values at dotted keys of `tree` (a sweep's trial).

    Raises:
        InputError: one of them cannot be set, or two exclude each other.
    """
    given = [(key, value if isinstance(value, Node) else from_plain(value, source)) for key, value in overrides.items()]
    tree, problems = _apply_layer(tree, given)
    if problems:
        raise InputError(problems)
    return tree


def _apply_layer(tree: Node, given: Sequence[tuple[str, Node]]) -> tuple[Node, list[Problem]]:
    """Apply one layer to `tree`; return the new tree and the problems. Within a layer no key may drop another one."""
    problems: list[Problem] = []
    leaves: dict[str, Node] = {}
    tree = put_replaced_aside(tree, dict(given))
    for key, value in given:
        try:
            tree = assign(tree, key, value)
        except InputError as error:
            problems += error.problems
            continue
        leaves.pop(key, None)  # given again: the last one is used
        for lost in [other for other in leaves if tree.get(other) is None]:
            problems.append(_excluded(lost, leaves.pop(lost), key, value))
        leaves |= _leaves(key, value)
    for key, value in leaves.items():
        folder, _, name = key.rpartition(".")
        other = f"{folder}.{OVERRULED_BY[name]}" if name in OVERRULED_BY and f"{folder}.".startswith("LearningRate.") else ""
        if other in leaves:
            problems.append(_excluded(key, value, other, leaves[other]))
    return tree, problems


def _leaves(key: str, value: Node) -> dict[str, Node]:
    """Map the dotted key to the value of everything that an override sets. A null sets nothing."""
    if value.mapping and value.tag is None:
        parts = {f"{key}.{part}": below for part, below in value.mapping.items() if "." not in part}  # no dotted key finds a dot
        return {name: node for part, below in parts.items() for name, node in _leaves(part, below).items()}
    return {} if value.value is None and value.tag is None else {key: value}


def _excluded(key: str, value: Node, other: str, by: Node) -> Problem:
    where = value.source.file if value.source.file != by.source.file else str(value.source)
    and_by = f" ({by.source})" if by.source != value.source else ""
    return Problem(f"no effect beside {other}{and_by}, given with it: the two exclude each other; remove one", where=where, key=key)


def assign(tree: Node, dotted: str, value: Node) -> Node:
    """Set `value` at a dotted key of `tree`; a mapping is merged into a mapping, anything else (and any list element) is replaced.

    Parts of the key are names, or indices where the tree has a list. Missing mappings on the way are created; `runner.config.bind` checks
    whether the key is known.

    Raises:
        InputError: the key leads through a number or a string, or past the end of a list.
    """
    return _assign(tree, key_parts(dotted), value, ())


def _assign(node: Node, parts: list[str], value: Node, done: tuple[str, ...]) -> Node:
    if not parts:
        return merge(node, value)
    part, rest = parts[0], parts[1:]
    here = ".".join(done) or "the config"
    if node.items is not None:
        items = list(node.items)
        index = int(part) if part.isdecimal() else -1
        if not 0 <= index < len(items):
            there = f"with elements 0 to {len(items) - 1}" if items else "without elements"
            text = f"{here} has no element {part!r}: it is a list {there}; to set the whole list: {here}=[…]"
            raise InputError(Problem(text, where=str(value.source)))
        items[index] = _assign(items[index], rest, value, (*done, part)) if rest else value
        return replace(node, value=tuple(items))
    if node.mapping is None and node.value is not None:
        hint = f"; did you mean {'.'.join([node.value, *parts])}?" if isinstance(node.value, str) else ""
        raise InputError(Problem(f"{here} is {node.value!r} and has no keys{hint}", where=str(value.source), key=".".join((*done, *parts))))
    if not rest:
        node = put_aside(node, part, value)
    mapping = node.mapping or {}
    below = mapping.get(part)
    if below is None or below.former:
        below = Node({} if rest else None, value.source)
    return replace(node, value={**mapping, part: _assign(below, rest, value, (*done, part))})
