"""Tables of a data set's numbers."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group
from rich.table import Table

from runner.core.values import counted
from runner.data.stats import QUANTILES, SplitStats
from runner.views.terminal import plain


def render_stats(sides: Mapping[str, SplitStats]) -> Group:
    """Render counts and box sizes of each split side by side, and the boxes of each class."""
    counts = Table()
    classes = Table()
    counts.add_column("")
    classes.add_column("boxes per class")
    for name in sides:
        counts.add_column(plain(name), justify="right")
        classes.add_column(plain(name), justify="right")
    splits = list(sides.values())
    for label, attribute in (("images", "images"), ("without objects", "without_objects"), ("boxes", "boxes"), ("crowd regions", "crowd")):
        counts.add_row(label, *(str(getattr(split, attribute)) for split in splits))
    for label in ("small", "medium", "large"):
        counts.add_row(f"{label} boxes (COCO)", *(str(getattr(split, label)) for split in splits))
    for index, quantile in enumerate(QUANTILES):
        counts.add_row(f"√area, {quantile:.0%} of boxes", *(f"{split.side_px[index]:.0f} px" if split.side_px else "–" for split in splits))
    counts.add_row("image sizes", *(", ".join(f"{w}×{h}: {n}" for (w, h), n in split.image_sizes.items()) for split in splits))
    for name in splits[0].per_class:
        classes.add_row(
            plain(name), *(f"{split.per_class.get(name, 0)} in {counted(split.images_per_class.get(name, 0), 'image')}" for split in splits)
        )
    return Group(counts, classes)
