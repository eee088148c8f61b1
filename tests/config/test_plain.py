"""Plain YAML of other people: alias bombs and deep nesting are refused before they cost anything."""

from __future__ import annotations

import time

import pytest
import yaml

from runner.config.plain import MAX_DEPTH, compose, load

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30))


@pytest.mark.parametrize("text", [BOMB, "a: " + "[" * 100_000, "[" * 300 + "]" * 300, "- " * 5000 + "x", "a: {b: " * 400])
def test_what_would_cost_too_much_is_refused(text: str) -> None:
    started = time.monotonic()
    for read in (load, compose):
        with pytest.raises(yaml.YAMLError):
            read(text)
    assert time.monotonic() - started < 5


def test_errors_of_values_are_errors_of_yaml() -> None:
    for text in ("9" * 5000, "2001-02-31"):
        with pytest.raises(yaml.YAMLError):
            load(text)


def test_ordinary_texts_are_read_as_ever() -> None:
    text = "names: [a, b]\nbase: &base {x: 1}\nother: *base\n"
    assert load(text) == yaml.safe_load(text)
    assert load("[" * MAX_DEPTH + "]" * MAX_DEPTH) == yaml.safe_load("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert load("") is None and compose("") is None


@pytest.mark.parametrize("text", ['names: ["a\\ud83d", b]', '{"a\\ud83d": 1}', '["\\ud83d\\ude00"]'])
def test_half_characters_are_refused(text: str) -> None:
    for read in (load, compose):
        with pytest.raises(yaml.YAMLError, match=r"'a?.ud83d.*' contains half a character"):
            read(text)
