"""Atomic writes: a reader finds the old content or the new one, and nothing is left lying about."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from runner.core.files import atomic_open, atomic_write_json, atomic_write_text, read_json


def test_replaces_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a 'b' ü.json"
    for value in ({"a": 1}, [2], "é 板"):
        atomic_write_json(path, value)
        assert read_json(path) == value
    assert os.listdir(tmp_path) == [path.name]


def test_has_the_permissions_of_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    atomic_write_text(tmp_path / "atomic", "x")
    assert stat.S_IMODE((tmp_path / "atomic").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_failing_writer_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    atomic_write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_open(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a"]


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    atomic_write_text(path, "old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic_write_text(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a"]


def test_numbers_json_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        atomic_write_json(tmp_path / "a", float("nan"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1', b"\xff", b"nonsense"])
def test_read_json_of_what_is_not_whole(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert read_json(tmp_path / "a") is None
    assert read_json(tmp_path / "missing") is None and read_json(tmp_path / "a" / "below") is None


def test_a_reader_never_meets_half_of_it(tmp_path: Path) -> None:
    path, ended = tmp_path / "a", threading.Event()
    atomic_write_json(path, [0] * 1000)

    def write() -> None:
        for number in range(200):
            atomic_write_json(path, [number] * 1000, durable=False)
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    looks = 0
    while not ended.is_set() or looks < 10:
        value = json.loads(path.read_bytes())
        assert len(set(value)) == 1 and len(value) == 1000
        looks += 1
    thread.join()
