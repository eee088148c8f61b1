"""Table of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from runner.views.terminal import Terminal, plain

_HEADLINE = ("bbox/AP", "bbox/AP50", "bbox/AP75", "bbox/APs", "bbox/APm", "bbox/APl", "bbox/AR100")
_BOXES = "bbox/"
_FURTHER = "bbox/AP@"
_MOST_OTHERS = 8
"""Metrics shown of a plug-in's that are not about boxes."""


def print_evaluation(result: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the headline numbers and a row per class.

    Args:
        result: what eval.json holds: "metrics" (tag to number) and "per_class" (one mapping per class), and where it is not the
            run's own evaluation set, "split".
    """
    console = console or Terminal()
    metrics: Mapping[str, float] = result.get("metrics", {})
    others = [tag for tag in metrics if not tag.startswith(_BOXES)]
    tags = [*_HEADLINE, *(tag for tag in metrics if tag.startswith(_FURTHER))] if len(others) < len(metrics) or not metrics else []
    tags += others[:_MOST_OTHERS]
    title = (
        "evaluation" + (f" on {result['split']}" if "split" in result else "") + (f" at step {result['step']}" if "step" in result else "")
    )
    head = Table(title=plain(title), title_justify="left")
    for tag in tags:
        head.add_column(plain(tag.removeprefix(_BOXES)), justify="right")
    head.add_row(*(_number(metrics.get(tag)) for tag in tags))
    console.print(head)
    classes = result.get("per_class") or []
    if classes:
        table = Table()
        table.add_column("class")
        for name in ("AP", "AP50", "AR100", "boxes"):
            table.add_column(name, justify="right")
        for entry in classes:
            row = [_number(entry.get(key)) for key in ("ap", "ap50", "ar100")]
            table.add_row(plain(str(entry["name"])), *row, plain(str(entry.get("boxes", ""))))
        console.print(table)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
