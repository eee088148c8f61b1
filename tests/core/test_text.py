"""Text that may come from a file, made fit to be shown."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.config.dump import to_yaml
from runner.core.text import is_printable, json_text, printable, printable_lines, printable_output, say


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b-ü 缺陷 \u0645\u06cc\u200c\u062e €…→", None),
        ("👩\u200d🔧 e\u0301\u00a0x", None),
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x9b31m\x7f\x85", "\\x9b31m\\x7f\\x85"),
        ("\u202egnp.exe\u2066\u200b\ufeff\u2028", "\\u202egnp.exe\\u2066\\u200b\\ufeff\\u2028"),
        ("\udc80\U000e0041", "\\udc80\\U000e0041"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text: str, shown: str | None) -> None:
    assert printable(text) == (text if shown is None else shown)
    assert is_printable(text) == (shown is None)


def test_line_ends_are_kept_where_lines_are_meant() -> None:
    assert printable_lines("a\n\tb\x1b\r") == "a\n\tb\\x1b\\r"


@given(st.text())
def test_json_stays_json_and_yaml_stays_yaml(text: str) -> None:
    written = json_text({text: [text]})
    assert json.loads(written) == {text: [text]} and printable_lines(written) == written
    if not any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        written = to_yaml({"key": text, "more": [text]})
        assert yaml.safe_load(written) == {"key": text, "more": [text]} and printable_lines(written) == written


def test_streams_are_made_printable_and_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with printable_output():
        print("a\x1b[2J\nb")
        sys.stderr.writelines(["c\x9b", "\n"])
        say("d\ne", error=True)
        assert not sys.stdout.isatty()
    assert sys.stdout is before
    assert capsys.readouterr() == ("a\\x1b[2J\nb\n", "c\\x9b\nd\\ne\n")


def test_an_exception_is_shown_printable() -> None:
    code = "from runner.core.text import printable_output\nwith printable_output():\n    raise ValueError('\\x1b[2J')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.endswith("ValueError: \\x1b[2J\n") and "\x1b" not in done.stderr


def test_a_stream_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with printable_output():
        print("nothing happens")


def test_an_encoding_that_lacks_a_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii"))
    with printable_output():
        print("ü → 1", flush=True)
    assert raw.getvalue() == b"\\xfc \\u2192 1\n"
