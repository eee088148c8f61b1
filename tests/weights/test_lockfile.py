"""weights.lock: found, read, written, merged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from runner.core.errors import InputError
from runner.weights.lockfile import LockEntry, change_lock, find_entry, lock_path, read_lock
from runner.weights.names import parse_name

ONE = LockEntry("a/b", 'https://example.org/"ü".safetensors', "0a" * 32, 5, "apache-2.0", "2026-11-29", "9b" * 20)
TWO = replace(ONE, name="https://example.org/z.pdparams", url="https://example.org/z.pdparams", commit="")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "weights.lock"
    assert read_lock(file) == ()
    change_lock(file, lambda entries: [TWO, ONE, *entries])
    assert read_lock(file) == (ONE, TWO)
    assert file.read_text(encoding="utf-8").startswith("# Written by `runner weights fetch`. Commit this file")
    change_lock(file, lambda entries: [entry for entry in entries if entry != ONE])
    assert read_lock(file) == (TWO,)
    before = file.stat().st_mtime_ns
    change_lock(file, lambda entries: entries)
    assert file.stat().st_mtime_ns == before


def test_entries_added_at_once_are_all_there(tmp_path: Path) -> None:
    file = tmp_path / "weights.lock"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: change_lock(file, lambda entries: [*entries, replace(ONE, name=f"a/{n}")]), range(20)))
    assert len(read_lock(file)) == 20


def test_it_lies_at_the_top_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "repo" / "configs" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    (tmp_path / "weights.lock").touch()
    assert lock_path() == below / "weights.lock"
    (tmp_path / "repo" / ".git").mkdir()
    assert lock_path() == tmp_path / "repo" / "weights.lock"
    (below.parent / "weights.lock").touch()
    assert lock_path() == below.parent / "weights.lock"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("<<<<<<< HEAD\n", "after a merge conflict keep the entries of both sides"),
        ("version = 2\n", "has version 2, expected 1"),
        ("", "has version None"),
        ("version = 1\nweights = 3\n", r"expected \[\[weights\]\] entries"),
        ("version = 1\nweights = [3]\n", "entry 1: expected keys"),
        ('version = 1\n[[weights]]\nname = "a"\nurl = "b"\nsha256 = "12"\n', "sha256 is missing or invalid"),
        (f'version = 1\n[[weights]]\nname = "a"\nurl = "b"\nsha256 = "{"0" * 64}"\nbytes = true\n', "bytes is missing or invalid"),
        (f'version = 1\n[[weights]]\nname = "a\\u001b"\nurl = "b"\nsha256 = "{"0" * 64}"\n', "name is missing or invalid"),
        (
            f'version = 1\n{f"""[[weights]]{chr(10)}name = "a"{chr(10)}url = "b"{chr(10)}sha256 = "{"0" * 64}"{chr(10)}""" * 2}',
            "two entries for a",
        ),
    ],
)
def test_a_damaged_one_is_named(text: str, word: str, tmp_path: Path) -> None:
    file = tmp_path / "weights.lock"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=word) as caught:
        read_lock(file)
    assert caught.value.problems[0].where == str(file)
    with pytest.raises(InputError, match=word):
        change_lock(file, lambda entries: [])
    assert file.read_text(encoding="utf-8") == text


def test_an_entry_is_found_by_name_or_address() -> None:
    assert find_entry([ONE, TWO], parse_name("a/b")) == ONE
    assert find_entry([ONE, replace(TWO, name="other")], parse_name(TWO.url)) is not None
    assert find_entry([ONE, TWO], parse_name("a/c")) is None
