"""Renderer of JSON: everything that a report knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from runner.core.text import json_text
from runner.views.renderers.base import Report


class JsonRenderer:
    """JSON, with the form's version under ``format``. Views are ignored: it is always whole."""

    subjects: ClassVar[tuple[str, ...]] = ("comparison", "search", "status")

    def render(self, report: Report, views: Sequence[str] = ()) -> str:
        """Return the report's data as indented JSON."""
        del views
        return json_text(report.data(), allow_nan=False) + "\n"
