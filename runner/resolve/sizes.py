"""Completion of a config by its `image_size` and `levels`."""

from __future__ import annotations

from runner.config import image_size, levels
from runner.resolve.resolution import Resolution


def fill_sizes(resolution: Resolution) -> None:
    """Complete what the config leaves to `image_size` and `levels`; add problems where it contradicts them, and notes."""
    resolution.tree, problems, notes = image_size.fill(resolution.tree)
    resolution.tree, more = levels.fill(resolution.tree)
    resolution.problems += [*problems, *more]
    resolution.notes += notes
