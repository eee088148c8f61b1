"""An evaluation on the terminal, whatever its metrics are called."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest
from rich.console import Console

from runner.views.evaluation import print_evaluation


def printed(metrics: Mapping[str, float]) -> list[str]:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    print_evaluation({"metrics": metrics, "step": 7}, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().split()


@pytest.mark.parametrize(
    ("metrics", "heads", "values"),
    [
        ({"bbox/AP": 0.5, "bbox/AP@0.33": 0.25, "bbox/AP/short": 0.125}, ["AP", "AP50", "AP@0.33"], ["0.500", "0.250", "–"]),
        ({"seg/mIoU": 0.5, "seg/error": 0.25}, ["seg/mIoU", "seg/error"], ["0.500", "0.250"]),
        ({}, ["AP", "AR100"], ["–"]),
    ],
)
def test_the_metrics_of_any_backend_are_shown(metrics: Mapping[str, float], heads: list[str], values: list[str]) -> None:
    text = printed(metrics)
    assert set(heads) | set(values) | {"7"} <= set(text)
    assert "0.125" not in text and ("AP50" in text) == (not metrics or "bbox/AP" in metrics)
