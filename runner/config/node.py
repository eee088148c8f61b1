"""Config tree whose every value knows the file and line it was written at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Source:
    """Place at which a value was written.

    Args:
        file: path as the user can find it, ``-o`` for the command line, or what made the value (``dataset pcb``).
        line: 1-based; 0 without lines.
    """

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Node:
    """One value: a scalar, a list (tuple of nodes) or a mapping (dict of nodes; never changed in place).

    Args:
        value: its content.
        source: where it was written.
        tag: ``PiecewiseDecay`` for ``!PiecewiseDecay``, else None.
        former: given for a module that a later ``type`` or ``name`` has replaced.
        anchor: ``size`` where it was written as ``&size 640``, else None (also where it was written as ``*size``). An unknown key may exist
            only to define such a name.
        text: the unquoted text, where YAML reads it as something else than a string (``NO`` as false, ``1:30`` as 90); else None.
    """

    value: Scalar | tuple[Node, ...] | dict[str, Node]
    source: Source
    tag: str | None = None
    former: bool = False
    anchor: str | None = None
    text: str | None = field(default=None, compare=False)

    @property
    def mapping(self) -> dict[str, Node] | None:
        """The keys, or None if this is not a mapping."""
        return self.value if isinstance(self.value, dict) else None

    @property
    def items(self) -> tuple[Node, ...] | None:
        """The elements, or None if this is not a list."""
        return self.value if isinstance(self.value, tuple) else None

    def get(self, dotted: str) -> Node | None:
        """Return the node at a dotted key (list elements by index), or None."""
        node: Node | None = self
        for part in key_parts(dotted):
            if node is None:
                return None
            if node.mapping is not None:
                node = node.mapping.get(part)
            elif node.items is not None and part.isdecimal() and int(part) < len(node.items):
                node = node.items[int(part)]
            else:
                return None
        return node

    def with_node(self, dotted: str, node: Node) -> Node:
        """Return the same tree with `node` at a dotted key; mappings on the way that do not exist are made, list elements have to exist."""
        part, *more = key_parts(dotted)
        rest = ".".join(more)
        if self.items is not None:
            index = int(part)
            below = self.items[index].with_node(rest, node) if rest else node
            return replace(self, value=(*self.items[:index], below, *self.items[index + 1 :]))
        if not rest:
            return self.with_key(part, node)
        below = (self.mapping or {}).get(part, Node({}, node.source))
        return self.with_key(part, below.with_node(rest, node))

    def plain(self) -> Any:
        """Convert to dicts, lists and scalars. The tag of an object becomes its key ``name``."""
        if isinstance(self.value, dict):
            data = {key: node.plain() for key, node in self.value.items()}
            return data if self.tag is None else {"name": self.tag, **data}
        if isinstance(self.value, tuple):
            items = [node.plain() for node in self.value]
            return items if self.tag is None else {"name": self.tag, "args": items}
        return self.value if self.tag is None else {"name": self.tag}

    def with_key(self, key: str, node: Node) -> Node:
        """Return the same mapping with one key set."""
        return replace(self, value={**(self.mapping or {}), key: node})

    def without(self, *keys: str) -> Node:
        """Return the same mapping without some keys."""
        return replace(self, value={name: node for name, node in (self.mapping or {}).items() if name not in keys})


_DOT = re.compile(r"(?<!(?<![\w-])v2)\.")


def key_parts(dotted: str) -> list[str]:
    """Split a dotted key into its parts. The dot in a name such as ``v2.RandomIoUCrop`` (see `runner.config.schema.OpenNames`) splits
    nothing."""
    return _DOT.split(dotted)


def quoted(text: str) -> str:
    """Write `text` in double quotes, so that YAML reads it back."""
    return json.dumps(text, ensure_ascii=False)


def from_plain(value: Any, source: Source) -> Node:
    """Build a tree of nodes from dicts, lists and scalars, all of one source."""
    if isinstance(value, Mapping):
        return Node({str(key): from_plain(item, source) for key, item in value.items()}, source)
    if isinstance(value, list | tuple):
        return Node(tuple(from_plain(item, source) for item in value), source)
    return Node(value, source)


def flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, scalar or list of scalars) of every leaf of a plain tree; an empty mapping or list is a leaf."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from flatten(item, f"{prefix}{key}.")
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from flatten(item, f"{prefix}{index}.")
    else:
        yield prefix.removesuffix("."), value
