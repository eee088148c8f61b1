"""Loader of plain YAML from others (data specs, a YOLO data.yaml, options): PyYAML's safe loader, with limits on time and memory."""

from __future__ import annotations

import re
from typing import Any

import yaml

MAX_NODES = 100_000
"""Largest number of values in a text, with each alias replaced by its value. PaddleDetection's largest config has some 2,000; an alias bomb
has millions."""
MAX_DEPTH = 100
MAX_BITS = 4096


_SURROGATE = re.compile("[\ud800-\udfff]")
"""Lone surrogates, which escapes such as ``\\ud83d`` can write and no file or terminal accepts."""


class BeyondLimits(yaml.MarkedYAMLError):
    """Text that is too deeply nested, has too many values, or a character that cannot be written."""


def compose(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> yaml.Node | None:
    """Return the nodes of a YAML text; None for an empty one. Raises yaml.YAMLError: not YAML, or beyond the limits."""
    check_limits(text, loader)
    node: yaml.Node | None = yaml.compose(text, Loader=loader)
    return node


def load(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """Return the value of a YAML text as `yaml.safe_load` does. Raises yaml.YAMLError: not YAML, or beyond the limits."""
    check_limits(text, loader)
    try:
        return yaml.load(text, Loader=loader)
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, the 31st of February
        raise yaml.YAMLError(str(error)) from error


def check_number(value: Any) -> Any:
    """Return a scalar's value. Raises ValueError for an integer that is too long to print, as one in hex or base 60 may be."""
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ValueError(f"an integer of more than {MAX_BITS} bits")
    return value


def check_limits(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> None:
    """Refuse deep nesting, which PyYAML recurses on, and alias bombs. Raises yaml.YAMLError."""
    try:
        _count(text, getattr(yaml, "CSafeLoader", loader))  # in C it takes a hundredth of the time
    except BeyondLimits:
        raise
    except yaml.YAMLError:
        _count(text, loader)  # for its messages, and because the one in C refuses more


def _count(text: str, loader: Any) -> None:
    sizes: dict[str | None, int] = {}  # anchor to its number of values
    around: list[tuple[str | None, int]] = []  # anchor of each enclosing collection, and the number of values before it
    count = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = around.pop()
            sizes[anchor] = count - before
        elif isinstance(event, yaml.AliasEvent):
            count += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.CollectionStartEvent | yaml.ScalarEvent):
            if isinstance(event, yaml.CollectionStartEvent):
                around.append((event.anchor, count))
            count += 1
        mark: Any = event.start_mark
        if isinstance(event, yaml.ScalarEvent) and _SURROGATE.search(event.value):
            raise BeyondLimits(problem=f"{event.value!a} contains half a character (a lone surrogate)", problem_mark=mark)
        if len(around) > MAX_DEPTH:
            raise BeyondLimits(problem=f"nested more than {MAX_DEPTH} levels deep", problem_mark=mark)
        if count > MAX_NODES:
            raise BeyondLimits(problem=f"more than {MAX_NODES:,} values, aliases included", problem_mark=mark)
