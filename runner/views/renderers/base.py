"""Interface and registry of renderers. Other distributions add theirs by the entry point group `runner.renderers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from rich.console import RenderableType

from runner.core.errors import InputError, nearest
from runner.core.registry import Registry


class Report(Protocol):
    """Data about runs that a renderer shows: a `Comparison`, a `SearchReport` or a `StatusReport`."""

    subject: ClassVar[str]
    """``comparison``, ``search`` or ``status``."""
    views: ClassVar[tuple[str, ...]]
    """Names of its parts where a renderer may show one alone; empty where it is always shown whole."""

    def data(self) -> dict[str, Any]:
        """Return the report as mappings, lists and scalars that JSON knows."""


class Renderer(Protocol):
    """A form of reports. Its class is called without arguments."""

    subjects: ClassVar[tuple[str, ...]]
    """Subjects of the reports that it renders."""

    def render(self, report: Any, views: Sequence[str] = ()) -> str | RenderableType:
        """Return the report as text, or as a `rich` renderable where the text depends on the terminal's width.

        Args:
            report: a `Report` with one of `subjects`.
            views: the parts to show, some of `Report.views`; empty: the parts that are shown unless others are asked for.
        """


RENDERERS: Registry[type[Renderer]] = Registry(
    "renderer",
    {
        "csv": "runner.views.renderers.csv_file:CsvRenderer",
        "json": "runner.views.renderers.json_file:JsonRenderer",
        "md": "runner.views.renderers.markdown:MarkdownRenderer",
        "table": "runner.views.renderers.table:TableRenderer",
    },
    Renderer,
)


def render_report(report: Report, format: str, views: Sequence[str] = ()) -> str | RenderableType:
    """Render a report by the renderer of that name.

    Raises:
        InputError: no such renderer, or it does not render such a report, or the report has no such view.
    """
    for view in views:
        if view not in report.views:
            allowed = nearest(view, report.views) or f"allowed: {', '.join(report.views)}"
            raise InputError(f"Unknown view {view!r}; {allowed if report.views else f'a {report.subject} has no views: omit --view'}")
    renderer = RENDERERS.get(format)()
    if report.subject not in renderer.subjects:
        raise InputError(f"Format {format!r} cannot show a {report.subject}; it shows: {', '.join(sorted(renderer.subjects))}")
    return renderer.render(report, views)
