"""The key `initial_distance` of the backends that have FCOS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from runner.config.schema import AddedLater, Doc, Range
from runner.core.errors import Problem

InitialDistance = Annotated[
    float,
    Doc(
        "ours, for FCOS with norm_reg_targets: distance to each side of a box, in strides, that a randomly initialised head starts at, "
        "such as 1; with 0, which is PaddleDetection's, one whose distances all start below zero gets no gradient through its ReLU"
    ),
    Range(0, 100),
    AddedLater(),
]
"""Type of the key."""


def check_initial_distance(distance: float, *, has_effect: bool) -> Iterator[Problem]:
    """Find an `initial_distance` that has no effect with this model."""
    if distance and not has_effect:
        text = f"{distance:g} has no effect: only FCOS with norm_reg_targets: true has a ReLU behind its distances; remove it"
        yield Problem(text, key="initial_distance")
