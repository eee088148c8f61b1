"""Locks between processes: who holds one, what is left by a process that was killed, and folders that move."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.core import lock
from runner.core.lock import Held, Holder, holder, last_holder, take
from runner.core.values import shell_path

HOLD = """
import os, sys, time
from pathlib import Path
from runner.core.lock import take
lock = take(Path(sys.argv[1]))
if len(sys.argv) > 2 and os.fork() == 0:
    time.sleep(float(sys.argv[2]))
    os._exit(0)
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def another_process(path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    assert holder(path) is None
    with another_process(path) as process:
        found = holder(path)
        assert found is not None and found.pid == process.pid and found.host == platform.node() and found.is_alive and found.is_here
        with pytest.raises(Held, match=f"process {process.pid} on {platform.node()}"):
            take(path)
    assert holder(path) is None and (left := last_holder(path)) is not None and not left.is_alive  # it was killed
    mine = take(path)
    assert holder(path) is not None
    mine.release()
    assert holder(path) is None and last_holder(path) is None


def test_a_look_does_not_get_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    take(path).release()
    fcntl = pytest.importorskip("fcntl")
    looking = os.open(path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    with pytest.raises(Held):
        take(path, wait=False)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"]) as process:
        process.wait()
    os.close(looking)
    take(path).release()


def test_helpers_of_a_process_that_was_killed_are_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with another_process(path, "1.0") as process:
        process.kill()
        process.wait()
        began = time.monotonic()
        take(path).release()
        assert time.monotonic() - began < 4


def test_where_there_are_no_locks_the_process_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", None)
    path = tmp_path / "run.lock"
    mine = take(path)
    assert (found := holder(path)) is not None and found.pid == os.getpid()
    mine.release()
    assert holder(path) is None


def test_a_lock_knows_that_its_folder_is_gone(tmp_path: Path) -> None:
    folder, other = tmp_path / "a ü", tmp_path / "b"
    folder.mkdir()
    mine = take(folder / "run.lock")
    assert mine.is_there()
    folder.rename(other)
    assert not mine.is_there() and (not mine.moved_to() or Path(mine.moved_to()) == other)
    folder.mkdir()
    assert not mine.is_there()  # another folder in its place
    shutil.rmtree(other)
    assert not mine.moved_to()
    mine.release()


def test_a_lock_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.lock")
    with pytest.raises(OSError, match="a FIFO, expected a regular file"):
        take(tmp_path / "run.lock")
    holder(tmp_path / "run.lock")  # and does not wait for a writer
    (tmp_path / "torn.lock").write_text('{"pid": "x", "host": 1e999')
    assert last_holder(tmp_path / "torn.lock") is None


def test_another_machine(tmp_path: Path) -> None:
    there = Holder(1, f"not {platform.node()}", 0.0, "another-boot:5")
    assert not there.is_here and not there.is_alive
    assert str(Holder(0, "", 0.0)) == "another process"


def test_paths_for_a_shell() -> None:
    assert shell_path(Path("runs/a b")) == "'runs/a b'" and shell_path("-x") == "./-x" and shell_path("-a b") == "'./-a b'"
