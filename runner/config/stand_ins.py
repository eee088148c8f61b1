"""Keys of ours that stand for many others: `image_size` and `levels`. One line here is all that the rest of the program knows of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runner.config import image_size, levels
from runner.config.node import Node
from runner.core.errors import Problem


@dataclass(frozen=True, slots=True)
class StandIn:
    """Rules of a key that stands for others.

    Args:
        put_aside: prepares a config for a later layer with this value of the key, which replaces what the config says of the same thing.
        fill: completes a whole config by the key; returns it, what contradicts the key, and notes.
        follows: tells whether a dotted key is one of those that it stands for.
        value_in: finds its value in a flattened config that may lack it; None where there is none.
    """

    put_aside: Callable[[Node, Node | None], Node]
    fill: Callable[[Node], tuple[Node, list[Problem], list[str]]]
    follows: Callable[[str], bool]
    value_in: Callable[[Mapping[str, Any]], Any]


STAND_INS: Final[Mapping[str, StandIn]] = {
    image_size.KEY: StandIn(image_size.put_sizes_aside, image_size.fill, image_size.follows, image_size.size_in),
    levels.KEY: StandIn(levels.put_levels_aside, levels.fill, levels.follows, levels.levels_in),
}
"""Key to its rules, in the order in which they are applied."""
