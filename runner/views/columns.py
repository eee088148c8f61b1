"""Widths of tables: a narrow terminal drops columns in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.text import Text

_GAP, _EDGES = 2, 2
"""Blanks between two columns of `runner.views.table.plain_table`, and those at its two edges together."""


def table_width(widths: Iterable[int]) -> int:
    """Return the width of a table of columns that are as wide as this."""
    every = list(widths)
    return sum(every) + _GAP * (len(every) - 1) + _EDGES


def columns_that_fit(widths: Mapping[str, int], dropped_first: Sequence[str], width: int) -> list[str]:
    """Return the columns to show, in their order.

    Args:
        widths: column to the width it needs: that of its longest cell, or less for one that may be folded.
        dropped_first: the columns that may be dropped, the first to go first.
        width: of the terminal.
    """
    shown = list(widths)
    for name in dropped_first:
        if table_width(widths[column] for column in shown) <= width:
            break
        if name in shown:
            shown.remove(name)
    return shown


def widened(widths: Mapping[str, int], wanted: Mapping[str, int], width: int) -> dict[str, int]:
    """Return the widths of columns, the first ones widened to what they want, as far as the terminal's `width` goes."""
    result = dict(widths)
    for name in result:
        result[name] += max(0, min(wanted[name] - result[name], width - table_width(result.values())))
    return result


def longest_line(cells: Iterable[Text]) -> int:
    """Return the width of the longest line of any of the cells."""
    return max(line.cell_len for cell in cells for line in cell.split("\n", allow_blank=True))
