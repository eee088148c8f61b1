"""Log of a translation, and the translation of the keys of one 0.x mapping into a 2.x mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from runner.config.node import Node, Source
from runner.core.errors import Problem, nearest
from runner.core.values import is_number, same_value

T = TypeVar("T")

LEFT_OUT = "0.x's default; 2.x has another one"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a translation.

    Args:
        key_before: dotted key in the 0.x config; empty for a value that only 2.x needs written out.
        key_after: dotted key in the 2.x config; empty if it has no counterpart there.
        why: the reason, a sentence without its full stop.
        where: the user's file and line.
        value_before, value_after: the values in dicts, lists and scalars, a module's without its name; None where there is no key.
    """

    key_before: str
    key_after: str
    why: str
    where: Source
    value_before: Any = None
    value_after: Any = None


@dataclass
class TranslationLog:
    """Log of one translation: its changes and problems so far."""

    changes: list[Change] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def change(self, before: str, after: str, why: str, node: Node, new: Any = None) -> None:
        """TranslationLog a change to `node`; with an empty `before` only the place is that of `node`, not the value."""
        old = replace(node, tag=None).plain() if before else None
        self.changes.append(Change(before, after, why, node.source, old, new))

    def problem(self, message: str, node: Node, key: str) -> None:
        """TranslationLog what cannot be translated."""
        self.problems.append(Problem(message, where=str(node.source), key=key))


class Odd(Exception):
    """Value of another kind than its key takes; the message is the expected kind."""


class Keys:
    """Keys of one 0.x mapping. Each method takes keys out of it; `done` reports the remaining ones.

    Args:
        node: the mapping; anything but a mapping or nothing is a problem.
        path: its dotted key in the 0.x config.
        record: where changes and problems go.
        to: its dotted key in the 2.x config; default: the same.
        kind: the class of the module whose keys they are; default: the last part of `path`.
    """

    def __init__(self, node: Node, path: str, record: TranslationLog, to: str | None = None, kind: str = "") -> None:
        self.node, self.path, self.record = node, path, record
        self.to, self.kind = path if to is None else to, kind or path.rpartition(".")[2]
        self.new: dict[str, Node] = {}
        self.left = dict(node.mapping or {})
        self._known: list[str] = []
        if node.mapping is None and node.value is not None:
            record.problem(f"expected keys, got {node.plain()!r}", node, path)

    def take(self, key: str) -> Node | None:
        """Take the value of `key` for the caller to place; None if it is not given."""
        self._known.append(key)
        return self.left.pop(key, None)

    def keep(self, *keys: str) -> None:
        """Keep keys that mean the same in 2.x."""
        for key in keys:
            if (node := self.take(key)) is not None:
                self.new[key] = node

    def read(self, key: str, convert: Callable[[Node], T], default: T) -> T:
        """Convert the value of `key` for the caller to place; `default` if it is not given, or odd (a problem)."""
        node = self.take(key)
        if node is None:
            return default
        try:
            return convert(node)
        except Odd as odd:
            self.record.problem(f"expected {odd}, got {node.plain()!r}", node, self.old(key))
            return default

    def move(self, key: str, to: str, why: str, convert: Callable[[Node], Any] | None = None) -> None:
        """Rename `key` to `to`; `convert` makes the 2.x value of the node, or raises `Odd`."""
        node = self.node.get(key)
        value = self.take(key) if convert is None else self.read(key, convert, None)
        if node is None or value is None:
            return
        self.new[to] = at(node, value)
        if to != key or self.new[to].plain() != node.plain():
            self.record.change(self.old(key), self.name(to), why, node, self.new[to].plain())

    def drop(self, why: str, *keys: str) -> None:
        """Drop keys that have no counterpart and need none."""
        for key in keys:
            if (node := self.take(key)) is not None:
                self.record.change(self.old(key), "", why, node)

    def only(self, key: str, allowed: tuple[Any, ...], why: str, *, default: Any = None) -> None:
        """Drop `key` if it has a value of `allowed`, the only ones that 2.x supports (messages name the first); else report a problem.

        Args:
            default: 0.x's default of the key; None if it is one of `allowed`.
        """
        node = self.take(key)
        if node is None:
            if default is not None and default not in allowed:
                self.record.problem(f"defaults to {default!r} in 0.x; {why}: set {allowed[0]!r}", self.node, self.old(key))
        elif any(same_value(node.plain(), value) for value in allowed):
            self.record.change(self.old(key), "", why, node)
        else:
            self.record.problem(f"cannot translate {node.plain()!r}; {why}: only {allowed[0]!r} is supported", node, self.old(key))

    def fill(self, key: str, value: Any, why: str = LEFT_OUT) -> None:
        """Write out 0.x's default of a missing key, where 2.x has another one."""
        if key not in self.new:
            self.add(key, value, why)

    def add(self, key: str, value: Any, why: str, node: Node | None = None) -> None:
        """Add a key that 0.x lacks or leaves to its default; `node` is its origin."""
        source = node or self.node
        self.new[key] = at(source, value)
        self.record.change("", self.name(key), why, source, self.new[key].plain())

    def done(self, tag: str | None = None) -> Node:
        """Return the 2.x mapping; every remaining key is a problem."""
        for key, node in self.left.items():
            hint = nearest(key, self._known)
            text = f"unknown key of {self.path} in PaddleDetection 0.x, or one without a counterpart in 2.x"
            self.record.problem(text + (f"; {hint}" if hint else ""), node, self.old(key))
        return Node(dict(self.new), self.node.source, tag)

    def old(self, key: str) -> str:
        """Return the dotted key in the 0.x config."""
        return f"{self.path}.{key}".lstrip(".")

    def name(self, key: str) -> str:
        """Return the dotted key in the 2.x config."""
        return f"{self.to}.{key}".lstrip(".")


def at(node: Node, value: Any) -> Node:
    """Make a node of `value` (dicts, lists, scalars; nodes in it stay unchanged) with the place of `node`."""
    if isinstance(value, Node):
        return value
    if isinstance(value, Mapping):
        return Node({key: at(node, item) for key, item in value.items()}, node.source)
    if isinstance(value, list | tuple):
        return Node(tuple(at(node, item) for item in value), node.source)
    return Node(value, node.source)


def whole(node: Node) -> int:
    """Convert to an integer; ``800.0`` is one."""
    value = node.value
    if node.tag is None and is_number(value) and value == int_or_none(value):
        return int(value)
    raise Odd("an integer")


def int_or_none(value: float) -> int | None:
    """Convert to an integer; None for infinity and NaN."""
    try:
        return int(value)
    except (OverflowError, ValueError):
        return None


def number(node: Node) -> float:
    """Convert to a number."""
    if node.tag is None and is_number(node.value):
        return node.value
    raise Odd("a number")


def yes_or_no(node: Node) -> bool:
    """Convert to true or false."""
    if node.tag is None and isinstance(node.value, bool):
        return node.value
    raise Odd("true or false")


def word(node: Node) -> str:
    """Convert to a string."""
    if node.tag is None and isinstance(node.value, str):
        return node.value
    raise Odd("a string")


def wholes(node: Node) -> list[int]:
    """Convert one integer or several to a list; at least one."""
    try:
        return [whole(item) for item in elements(node)]
    except Odd:
        raise Odd("integers") from None


def numbers(node: Node) -> list[float]:
    """Convert to a list of numbers, not empty."""
    try:
        return [number(item) for item in elements(node)]
    except Odd:
        raise Odd("a list of numbers") from None


def elements(node: Node) -> tuple[Node, ...]:
    """Return the elements of a list, or the value alone; at least one."""
    items = (node,) if node.items is None else node.items
    if not items:
        raise Odd("at least one value")
    return items
