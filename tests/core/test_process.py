"""A process that dies with the one it depends on, with a kernel's help and without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.core.process import PARENT_VARIABLE, die_with_parent
from runner.testing.launchers import is_alive, wait_until

ROOT = Path(__file__).resolve().parents[2]

PARENT = """
import os, subprocess, sys, time
environment = {**os.environ, "RUNNER_PARENT_PID": str(os.getpid())}
subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]], env=environment)
time.sleep(60)
"""
CHILD = """
import os, sys, threading, time
from runner.core import process
{change}
assert process.die_with_parent() and not process.die_with_parent()
assert "RUNNER_PARENT_PID" not in os.environ
with open(sys.argv[1] + ".part", "w") as file:
    file.write(f"{{os.getpid()}} {{threading.active_count()}}")
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(60)
"""
CHANGES = {
    "linux": ("", 1),
    "elsewhere": ("sys.platform = 'darwin'", 2),
    "a kernel that refuses": ("process._PR_SET_PDEATHSIG = -1", 2),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pretends to be elsewhere")
@pytest.mark.parametrize("where", CHANGES)
def test_a_child_ends_with_its_parent(tmp_path: Path, where: str) -> None:
    change, threads = CHANGES[where]
    file = tmp_path / "child"
    command = [sys.executable, "-c", PARENT, CHILD.format(change=change), str(file)]
    parent = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        wait_until(file.exists, within_s=60)
        pid, count = map(int, file.read_text().split())
        assert count == threads
        assert is_alive(pid)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not is_alive(pid), within_s=30)


def test_no_process_depends_on_its_parent_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PARENT_VARIABLE, raising=False)
    assert not die_with_parent()
    monkeypatch.setenv(PARENT_VARIABLE, "no number")
    assert not die_with_parent()
