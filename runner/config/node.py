"""A config as a tree of nodes, in which every value remembers where it was written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value was written.

    Args:
        file: path as the user can find it, ``-o`` for the command line, or what made the value (``dataset pcb``).
        line: 1-based; 0 where there are no lines.
    """

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Node:
    """One value: a scalar, a list (tuple of nodes) or a mapping (dict of nodes; never changed in place).

    Args:
        value: what it holds.
        source: where it was written.
        tag: ``PiecewiseDecay`` for ``!PiecewiseDecay``, else None.
        former: given for a module that a later ``type`` or ``name`` has replaced by another.
        anchor: ``size`` where it was written as ``&size 640``, else None (also where ``*size`` stands for it). A key that nobody knows
            may be there for the sake of this name alone.
        text: what was typed, unquoted, where YAML takes it for something else than a text (``NO`` for false, ``1:30`` for 90); else None.
    """

    value: Scalar | tuple[Node, ...] | dict[str, Node]
    source: Source
    tag: str | None = None
    former: bool = False
    anchor: str | None = None
    text: str | None = field(default=None, compare=False)

    @property
    def mapping(self) -> dict[str, Node] | None:
        """The keys, or None if this is no mapping."""
        return self.value if isinstance(self.value, dict) else None

    @property
    def items(self) -> tuple[Node, ...] | None:
        """The elements, or None if this is no list."""
        return self.value if isinstance(self.value, tuple) else None

    def get(self, dotted: str) -> Node | None:
        """The node at a dotted key (list elements by index), or None."""
        node: Node | None = self
        for part in dotted.split("."):
            if node is None:
                return None
            if node.mapping is not None:
                node = node.mapping.get(part)
            elif node.items is not None and part.isdecimal() and int(part) < len(node.items):
                node = node.items[int(part)]
            else:
                return None
        return node

    def plain(self) -> Any:
        """Dicts, lists and scalars. The tag of an object becomes its key ``name``."""
        if isinstance(self.value, dict):
            data = {key: node.plain() for key, node in self.value.items()}
            return data if self.tag is None else {"name": self.tag, **data}
        if isinstance(self.value, tuple):
            items = [node.plain() for node in self.value]
            return items if self.tag is None else {"name": self.tag, "args": items}
        return self.value if self.tag is None else {"name": self.tag}

    def with_key(self, key: str, node: Node) -> Node:
        """The same mapping with one key set."""
        return replace(self, value={**(self.mapping or {}), key: node})

    def without(self, *keys: str) -> Node:
        """The same mapping without some keys."""
        return replace(self, value={name: node for name, node in (self.mapping or {}).items() if name not in keys})


def quoted(text: str) -> str:
    """`text` in double quotes, as YAML reads it back."""
    return json.dumps(text, ensure_ascii=False)


def from_plain(value: Any, source: Source) -> Node:
    """A tree of nodes from dicts, lists and scalars, all of one source."""
    if isinstance(value, Mapping):
        return Node({str(key): from_plain(item, source) for key, item in value.items()}, source)
    if isinstance(value, list | tuple):
        return Node(tuple(from_plain(item, source) for item in value), source)
    return Node(value, source)


def flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, scalar or list of scalars) of every leaf of a plain tree; an empty mapping or list is a leaf."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from flatten(item, f"{prefix}{key}.")
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from flatten(item, f"{prefix}{index}.")
    else:
        yield prefix.removesuffix("."), value
