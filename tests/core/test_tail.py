"""Lines that are appended to a file while it is watched."""

from __future__ import annotations

import os
from pathlib import Path

from runner.core.tail import Tail


def test_a_line_that_is_not_whole_yet_waits(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    tail = Tail(path)
    assert list(tail.read()) == []
    path.write_bytes(b"one\n\ntwo\nthr")
    assert list(tail.read()) == [b"one", b"two"] and list(tail.read()) == []
    with open(path, "ab") as file:
        file.write(b"ee\n")
    assert list(tail.read()) == [b"three"]
    os.truncate(path, 3)
    assert list(tail.read()) == []


def test_begins_at_the_present_end_or_where_it_is_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"old\n")
    now, start = Tail(path), Tail(path, 0)
    with open(path, "ab") as file:
        file.write(b"new\n")
    assert (list(now.read()), list(start.read())) == ([b"new"], [b"old", b"new"])


def test_a_line_too_long_is_left_out_though_it_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    tail = Tail(path, 0, limit=10)
    for piece in (b"x" * 11, b"x" * 3, b"x" * 30):
        with open(path, "ab") as file:
            file.write(piece)
        assert list(tail.read()) == []
    with open(path, "ab") as file:
        file.write(b"x\nwhole\n")
    assert list(tail.read()) == [b"whole"]


def test_what_is_no_file_has_no_lines(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert list(Tail(tmp_path / "fifo").read()) == [] == list(Tail(tmp_path, 0).read())
