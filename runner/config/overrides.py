"""`-o a.b=c`: changes to a config from the command line, in the order they are given."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from runner.config.load import merge, parse, put_aside, put_data_aside
from runner.config.node import Node, Source, from_plain, quoted
from runner.core.errors import InputError, Problem

_LONGEST_SHOWN = 80


def parse_override(text: str, option: str = "-o") -> tuple[str, Node]:
    """(dotted key, value) of ``a.b.c=VALUE``; VALUE is YAML (``1e-4``, ``[1, 2]``, ``{a: 1}``, ``null``, ``"text"``). `option` is what it
    was given by, for messages.

    Raises:
        InputError: no ``=``, an empty part in the key, or a value that is no YAML.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    source = Source(f"{option} {text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + '…'}")
    if not equals:
        raise InputError(Problem("an override is KEY=VALUE, for example TrainReader.batch_size=8", where=str(source)))
    if not key or not all(key.split(".")):
        raise InputError(Problem(f"the key {key!r} has an empty part", where=str(source)))
    try:
        node = parse(value, lambda _line: source)
    except InputError as error:
        hint = f"; if a text is meant, put it in quotes: {quoted_override(option, key, value)}" if len(value) <= _LONGEST_SHOWN else ""
        raise InputError([replace(problem, message=problem.message + hint) for problem in error.problems]) from None
    cut = isinstance(node.value, str) and value.strip()[:1] not in ("'", '"', "|", ">") and node.value != value.strip()  # by a comment
    return key, replace(node, text=value.strip()) if cut or not isinstance(node.value, str) else node


def quoted_override(option: str, key: str, text: str) -> str:
    """What to type in a shell so that YAML takes `text` for a text: ``-o 'a.b="*.jpg"'``."""
    return f"{option} {shlex.quote(f'{key}={quoted(text.strip())}')}"


def apply_overrides(tree: Node, overrides: Iterable[str]) -> Node:
    """`tree` with each ``KEY=VALUE`` applied; a later one wins.

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
    tree = put_data_aside(tree, dict(given).get("dataset"))
    for key, value in given:
        try:
            tree = assign(tree, key, value)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return tree


def apply_mapping(tree: Node, overrides: Mapping[str, Any], source: Source) -> Node:
    """`tree` with plain values set at dotted keys (a sweep's trial)."""
    given = {key: value if isinstance(value, Node) else from_plain(value, source) for key, value in overrides.items()}
    tree = put_data_aside(tree, given.get("dataset"))
    for key, value in given.items():
        tree = assign(tree, key, value)
    return tree


def assign(tree: Node, dotted: str, value: Node) -> Node:
    """`tree` with `value` at a dotted key; a mapping is merged into a mapping, anything else (and any list element) is replaced.

    Parts of the key are names, or indices where the tree has a list. Mappings on the way that do not exist are made; whether the key is
    one that anybody knows is for `runner.config.bind` to say.

    Raises:
        InputError: the way leads through a number or a text, or past the end of a list.
    """
    return _assign(tree, dotted.split("."), value, ())


def _assign(node: Node, parts: list[str], value: Node, done: tuple[str, ...]) -> Node:
    if not parts:
        return merge(node, value)
    part, rest = parts[0], parts[1:]
    here = ".".join(done) or "the config"
    if node.items is not None:
        items = list(node.items)
        index = int(part) if part.isdecimal() else -1
        if not 0 <= index < len(items):
            there = f"with the elements 0 to {len(items) - 1}" if items else "without elements"
            text = f"{here} is a list {there}; there is no {part!r}; the whole list is set by {here}=[…]"
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
