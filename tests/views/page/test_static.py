"""The page's own scripts and style sheet, as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.views.page import STATIC, TABS

OWN = sorted(path for path in STATIC.rglob("*") if path.suffix in (".js", ".css") and "vendor" not in path.parts)
LONGEST = 140


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_no_line_is_longer_than_a_screen(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(("//", "/*")), "a module begins with a comment that says what it is"
    assert [line for line in lines if len(line) > LONGEST] == []


def test_the_tabs_are_those_that_a_frozen_file_may_open_with() -> None:
    shown = re.search(r"export const TABS = \[(.*?)\]", (STATIC / "tabs.js").read_text(encoding="utf-8"))
    assert shown is not None and shown[1] == ", ".join(f"{tab}Tab" for tab in TABS)
    for tab in TABS:
        assert f'id: "{tab}",' in (STATIC / "tabs" / f"{tab}.js").read_text(encoding="utf-8")


def test_every_rule_of_the_style_sheet_is_closed() -> None:
    """A brace too few or too many would drop the rules behind it without a word."""
    text = re.sub(r'/\*.*?\*/|"[^"\n]*"', "", (STATIC / "style.css").read_text(encoding="utf-8"), flags=re.DOTALL)
    depth = 0
    for line in text.splitlines():
        assert depth == 0 or not line.startswith(("@", ".", ":")), f"a rule before {line!r} is not closed"
        depth += line.count("{") - line.count("}")
        assert 0 <= depth <= 2, line
    assert depth == 0


def test_every_variable_is_defined_and_the_dark_theme_is_the_same_chosen_or_by_itself() -> None:
    text = (STATIC / "style.css").read_text(encoding="utf-8")
    automatic, chosen = re.findall(r"\[data-theme=\"(?:light\"\]\)|dark\"\]) \{(.*?)\}", text, re.DOTALL)
    assert automatic.split() == chosen.split()
    scripts = "".join(path.read_text(encoding="utf-8") for path in OWN if path.suffix == ".js")
    used, defined = set(re.findall(r"var\((--[\w-]+)\)", text)), set(re.findall(r"(--[\w-]+):", text))
    defined.update(re.findall(r'"(--[\w-]+)"', scripts))
    assert len(used) > 10
    assert used <= defined
