"""The terminal that views write to: names, reasons and tags are plain text there."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from runner.core.text import printable, printable_lines


class Terminal(Console):
    """A `rich` console that reads no markup in texts, and shows what cannot be printed as escapes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render(self, *arguments: Any, **options: Any) -> Iterator[Segment]:
        """Render as `Console.render` does, and escape what cannot be printed."""
        for segment in super().render(*arguments, **options):
            text, style, control = segment
            yield segment if control else Segment(printable_lines(text), style)


def progress_console(*, quiet: bool = False) -> Console:
    """Return where progress is shown: standard error; in a notebook standard output, as plain lines and without IPython's display.

    Args:
        quiet: show nothing.
    """
    if quiet:
        return Terminal(file=io.StringIO(), force_terminal=False, force_jupyter=False)
    if type(sys.stdout).__module__.startswith("ipykernel"):  # it has set FORCE_COLOR, and is no terminal
        return Terminal(force_terminal=False, force_jupyter=False)
    return Terminal(stderr=True)


def plain(text: str, style: str = "", **options: Any) -> Text:
    """Return a one-line text for a cell or a sentence; markup in it is not interpreted, wherever it is printed."""
    return Text(printable(text), style, **options)
