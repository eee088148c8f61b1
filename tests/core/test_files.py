"""Atomic writes: a reader finds the old content or the new one, and nothing is left lying about."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from runner.core.files import (
    MAX_JSON_DEPTH,
    NO_FILE_THERE,
    atomic_open,
    atomic_write_json,
    atomic_write_text,
    blocked_by,
    open_lines,
    open_regular,
    parse_json,
    read_bytes,
    read_json,
    read_lines,
    similar_name,
)


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


REFUSED = {
    "infinity": b'{"step": 1e999}',
    "a constant": b"[NaN]",
    "a long integer": b"[" + b"9" * 5000 + b"]",
    "an integer of 100 digits": b"[" + b"9" * 100 + b"]",
    "deep nesting": b"[" * 100_000,
    "nesting that Python can still read": b"[" * 200 + b"]" * 200,
    "deep objects": b'{"a":' * 200 + b"1" + b"}" * 200,
    "half a character": rb'{"a": "\ud800"}',
    "half a character as a key": rb'{"\uDC00": 1}',
    "Latin-1": '{"a": "é"}'.encode("latin-1"),
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "NUL": b"\0" * 100,
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_no_reader_could_use_is_refused_with_one_kind_of_error(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the kind is what counts
        parse_json(text)
    (tmp_path / "a").write_bytes(text)
    assert read_json(tmp_path / "a") is None


def test_what_is_sound_is_read() -> None:
    flat = [[1.5e-300, -(2**63), 1e308, "\U0001f600"]] * 200
    assert parse_json(json.dumps(flat)) == flat  # many brackets, little depth; a pair of surrogates is one character
    deep = "[" * MAX_JSON_DEPTH + "]" * MAX_JSON_DEPTH
    assert json.dumps(parse_json(deep)) == deep
    assert parse_json(b"\xef\xbb\xbf{}") == {}


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "a", "wb") as file:
        file.truncate(1 << 40)  # takes no room
    assert read_json(tmp_path / "a") is None
    with pytest.raises(OSError, match="larger than 1 MiB"):
        read_bytes(tmp_path / "a", 1 << 20)


@pytest.fixture(params=["fifo", "socket", "device", "link to a fifo", "folder", "link to itself"])
def no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A path that leads to something that is no regular file."""
    path, target = tmp_path / "it", tmp_path / "target"
    match request.param:
        case "fifo":
            os.mkfifo(path)
        case "socket":
            monkeypatch.chdir(tmp_path)  # a socket's path may have 107 bytes
            with socket.socket(socket.AF_UNIX) as there:
                there.bind(path.name)
        case "device":
            path.symlink_to("/dev/zero")
        case "link to a fifo":
            os.mkfifo(target)
            path.symlink_to(target)
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to(path)
    return path


def test_only_regular_files_are_opened_and_nothing_waits(no_file: Path) -> None:
    for mode in ("rb", "ab", "r+b", "a+b"):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what counts
            open_regular(no_file, mode)  # type: ignore[arg-type]
        assert caught.value.errno in NO_FILE_THERE
    with pytest.raises(OSError):  # noqa: PT011
        open_lines(no_file)
    assert read_json(no_file) is None and list(read_lines(no_file)) == []


def test_lines_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\n\n" + b"x" * 100 + b"\ntwo\r\n" + b"y" * 35 + b"\n" + b"z" * 1000)
    assert list(read_lines(path, limit=10)) == [b"one", b"two"]
    path.write_bytes(b"0123456789\n0123456789a\nend")
    assert list(read_lines(path, limit=10)) == [b"0123456789", b"end"]
    assert list(read_lines(tmp_path / "missing")) == []


def test_a_missing_file_leads_to_one_of_a_similar_name(tmp_path: Path) -> None:
    (tmp_path / "val.json").touch()
    (tmp_path / "images").mkdir()
    assert similar_name(tmp_path / "valid.json") == "; did you mean 'val.json'?"
    assert similar_name(tmp_path / "image") == "; did you mean 'images'?"
    assert similar_name(tmp_path / "other.xml") == ""
    assert similar_name(tmp_path / "nowhere" / "val.json") == ""


def test_what_keeps_a_folder_from_being_made_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert blocked_by(tmp_path) is None and blocked_by(tmp_path / "new" / "folder") is None
    assert blocked_by(tmp_path / "file" / "x" / "y") == tmp_path / "file" == blocked_by(tmp_path / "file")
