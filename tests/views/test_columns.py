"""Columns that fit a terminal."""

from __future__ import annotations

import pytest
from rich.text import Text

from runner.views.columns import columns_that_fit, longest_line, table_width, widened


@pytest.mark.parametrize(("width", "expected"), [(100, "abc"), (26, "abc"), (25, "ab"), (14, "ab"), (13, "a"), (1, "a")])
def test_columns_go_in_their_order(width: int, expected: str) -> None:
    widths = {"a": 6, "b": 4, "c": 10}
    assert table_width(widths.values()) == 26
    assert "".join(columns_that_fit(widths, ("c", "b", "x"), width)) == expected


def test_free_width_goes_to_the_first_columns() -> None:
    assert widened({"a": 6, "b": 4}, {"a": 10, "b": 9}, 20) == {"a": 10, "b": 6}
    assert widened({"a": 6, "b": 4}, {"a": 10, "b": 9}, 5) == {"a": 6, "b": 4}


def test_the_longest_line_counts_wide_characters() -> None:
    assert longest_line([Text("ab\nabcd"), Text("孔孔孔"), Text("")]) == 6
