"""Renderer of tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.text import Text

from runner.monitor.status_report import StatusReport
from runner.results.comparison import Comparison
from runner.results.search.report import SearchReport
from runner.views.search_table import render_search
from runner.views.status import render_status
from runner.views.table import render_comparison


class TableRenderer:
    """Tables as wide as the terminal, 60 columns or more. Nothing is conveyed by colour alone."""

    subjects: ClassVar[tuple[str, ...]] = ("comparison", "search", "status")

    def render(self, report: Comparison | SearchReport | StatusReport, views: Sequence[str] = ()) -> RenderableType:
        """Return the table with its warnings and notes."""
        if isinstance(report, StatusReport):
            return _status(report)
        return render_search(report, views) if isinstance(report, SearchReport) else render_comparison(report)


def _status(report: StatusReport) -> RenderableType:
    several = len(report.places) > 1
    shown = [render_status(place.overview, str(place.driver or ""), brief=several) for place in report.places]
    return Group(*(part for index, each in enumerate(shown) for part in ([Text(), each] if index else [each])))
