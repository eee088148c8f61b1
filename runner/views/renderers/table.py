"""Renderer of tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.console import RenderableType

from runner.results.comparison import Comparison
from runner.results.search.report import SearchReport
from runner.views.search_table import render_search
from runner.views.table import render_comparison


class TableRenderer:
    """Tables as wide as the terminal, 80 columns or more. Nothing is said by colour alone."""

    subjects: ClassVar[tuple[str, ...]] = ("comparison", "search")

    def render(self, report: Comparison | SearchReport, views: Sequence[str] = ()) -> RenderableType:
        """Return the table with its warnings and notes."""
        return render_search(report, views) if isinstance(report, SearchReport) else render_comparison(report)
