"""Where a system lacks what Linux has: the package loads, and every task is spawned, watched and killed all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.testing.launchers import is_alive, wait_until

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import os, select, signal, subprocess, sys, threading, time
import multiprocessing, psutil, selectors, shutil, socket  # they have adapted to this system already
from pathlib import Path
{lacks}
from runner.launch.base import Demand, Exit, TaskResources
from runner.launch.local import LocalLauncher
from runner.launch.machine import read_machine
from runner.launch.slots import plan_slots
from runner.testing.launchers import collect, task
from dataclasses import replace
import runner.worker.main

folder = Path(sys.argv[1])
assert plan_slots(read_machine(), Demand(concurrency="auto")).slots
launcher = LocalLauncher([{{"RUNNER_TEST": "a"}}, {{"RUNNER_TEST": "b"}}], close_grace_s=1)
launcher.submit(replace(task("one", folder, "variable", "RUNNER_TEST", folder / "slot", "exit", "3"), warm="fork", preload=("json",)))
assert collect(launcher, 1) == [Exit("one", 3)]
assert (folder / "slot").read_text() == "a"
greedy = task("greedy", folder, "child", "60", folder / "helper", "hold", "300", "sleep", "60")
launcher.submit(replace(greedy, resources=TaskResources(memory_gib=0.2)))
(ended,) = collect(launcher, 1)
assert ended.over_memory_gib > 0.2 and ended.signal == 9, ended
launcher.submit(task("asked", folder, "touch", folder / "up", "sleep", "60"))
while not (folder / "up").exists():
    launcher.poll(0.05)
assert launcher.held_gib()["asked"] > 0
launcher.cancel("asked")
assert collect(launcher, 1)[0].signal == 15
launcher.submit(task("deaf", folder, "deaf", "touch", folder / "up2", "sleep", "60"))
while not (folder / "up2").exists():
    launcher.poll(0.05)
launcher.cancel("deaf", grace_s=0.1, trace=True)
assert collect(launcher, 1)[0].signal in (9, 10)
launcher.close()
assert psutil.Process().children() == []
assert threading.active_count() == 1
"""
MACOS = """
sys.platform = "darwin"
for name in ("pidfd_open", "waitid", "sched_getaffinity"):
    delattr(os, name)
"""
WINDOWS = """
sys.platform = "win32"
for name in ("pidfd_open", "waitid", "sched_getaffinity", "killpg", "WNOHANG", "sysconf"):
    delattr(os, name)
del select.poll, signal.SIGUSR1
sys.modules["fcntl"] = None
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pretends to be elsewhere")
@pytest.mark.parametrize("lacks", [MACOS, WINDOWS], ids=["macos", "windows"])
def test_it_works_without_what_linux_has(tmp_path: Path, lacks: str) -> None:
    program = PROGRAM.format(lacks=lacks)
    command = [sys.executable, "-W", "error", "-c", program, str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not is_alive(int((tmp_path / "helper").read_text())))
