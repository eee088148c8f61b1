"""The config reference: what it makes of a declaration, and its command."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest

from runner.config.reference import main, reference, table
from runner.config.schema import Doc, Form, Key, Neutral, Range, Rest, Shared


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """What the inside is
    about.

    A second paragraph is left out.
    """

    form: ClassVar[Form] = "tag"
    rate: Annotated[float, Doc("a rate | of <something>"), Range(0, open_low=True)]
    size: Annotated[int, Shared()] = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """Nothing to set."""

    form: ClassVar[Form] = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    """The whole."""

    form: ClassVar[Form] = "section"
    inner: Annotated[Inner, Key("InnerKey")]
    kinds: tuple[Inner | Empty, ...] = ()
    either: Inner | Empty = field(default_factory=Empty)
    word: Annotated[Literal["a", "b"] | None, Neutral()] = None
    text: str = ""
    anything: dict[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Keys of somebody else's."""

    form: ClassVar[Form] = "section"
    model: str
    arguments: Annotated[dict[str, Any], Doc("every other key"), Rest()] = field(default_factory=dict)


def row_of(text: str, key: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| `{key}` |"))
    return [cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")]


def test_a_row_tells_key_value_default_and_purpose() -> None:
    text = table(Inner)
    assert row_of(text, "rate") == ["`rate`", "a number (more than 0)", "required", "a rate ¦ of &lt;something>"]
    assert row_of(text, "size")[2:] == ["`3`", "*(shared)*"]


def test_the_keys_that_a_field_collects_are_not_named_after_it() -> None:
    assert table(Open).splitlines()[-1] == "| … | any value | none | every other key |"


def test_modules_are_linked_and_their_summaries_shown_where_there_is_one() -> None:
    text = table(Outer)
    assert row_of(text, "InnerKey") == ["`InnerKey`", "[Inner](#inner)", "required", "What the inside is about."]
    assert row_of(text, "kinds") == ["`kinds`", "a list (each [Inner](#inner) or [Empty](#empty))", "`[]`", ""]
    assert row_of(text, "either")[1:] == ["[Inner](#inner) or [Empty](#empty)", "`Empty`", ""]


def test_defaults_are_written_as_in_yaml() -> None:
    text = table(Outer)
    assert row_of(text, "word")[1:] == ["one of 'a', 'b' or null", "`null`", "*(neutral)*"]
    assert row_of(text, "text")[2] == '`""`'
    assert row_of(text, "anything")[2] == "`{}`"


def test_the_page_has_every_module_once_and_says_how_it_is_written() -> None:
    text = reference(Outer, "the command")
    assert text.count("\n## ") == 3
    assert "## Inner\n\nWhat the inside is about. Written `!Inner {…}`." in text
    assert "## Empty\n\nNothing to set. Written `Empty: {…}`.\n\nIt has no keys." in text
    assert "the command" in text


def test_the_command_prints_a_table_or_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "runner.search.spec:Metric"
    assert main([name]) == 0
    assert "| `goal` |" in capsys.readouterr().out
    file = tmp_path / "a page.md"
    assert main([name, str(file)]) == 0
    assert file.read_text(encoding="utf-8").startswith("# Config reference")
