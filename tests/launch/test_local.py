"""The local launcher: slots, refilling, and no process left behind, with real processes and real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from runner.launch import local
from runner.launch.base import Exit, MeasuresMemory
from runner.launch.local import LocalLauncher
from runner.testing.launchers import LONG_S, collect, is_alive, task, wait_until

ROOT = Path(__file__).resolve().parents[2]

DRIVER = """
import sys, threading, time
from pathlib import Path
from runner.launch.local import LocalLauncher
from runner.testing.launchers import task
folder = Path(sys.argv[1])
launcher = LocalLauncher(3)
for index in range(4):
    words = ["stray", folder / f"stray{index}", "away", folder / f"away{index}", "child", "60", folder / f"child{index}"]
    launcher.submit(task(f"t{index}", folder, "die-with-parent", "deaf", *words, "pid", folder / f"pid{index}", "sleep", "60"))
while True:
    launcher.poll(0.1)
"""


@pytest.fixture
def launcher() -> Iterator[LocalLauncher]:
    launcher = LocalLauncher(3, close_grace_s=1)
    yield launcher
    launcher.close()


def test_no_more_than_slots_run_at_a_time(launcher: LocalLauncher, tmp_path: Path) -> None:
    for index in range(9):
        words = ("append", tmp_path / "log", "+", "sleep", "0.15", "append", tmp_path / "log", "-")
        launcher.submit(task(f"t{index}", tmp_path, *words))
    collect(launcher, 9)
    running, most = 0, 0
    for mark in (tmp_path / "log").read_text():
        running += 1 if mark == "+" else -1
        most = max(most, running)
    assert (running, most) == (0, 3)


def test_poll_does_not_wait_unless_told_to(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(task("one", tmp_path, "sleep", str(LONG_S)))
    started = time.monotonic()
    assert launcher.poll() == []
    assert time.monotonic() - started < 0.1
    assert launcher.poll(0.3) == []
    assert 0.25 < time.monotonic() - started < 1.0


def test_poll_returns_as_soon_as_a_task_ends(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(task("one", tmp_path, "sleep", "0.2"))
    started = time.monotonic()
    assert launcher.poll(20) == [Exit("one", 0)]
    assert time.monotonic() - started < 10


def test_a_freed_slot_is_refilled_before_poll_returns(tmp_path: Path) -> None:
    launcher = LocalLauncher(1)
    launcher.submit(task("one", tmp_path, "exit", "0"))
    launcher.submit(task("two", tmp_path, "sleep", str(LONG_S)))
    assert launcher.poll(20) == [Exit("one", 0)]
    assert launcher.free() == 0
    launcher.cancel("two")
    assert [ended.signal for ended in launcher.poll(20)] == [signal.SIGTERM]
    launcher.close()


def state_of(pid: int) -> str:
    """The kernel's letter for a process: R, S, T (stopped), Z, …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_stopped_task_dies_after_its_grace(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(task("one", tmp_path, "pid", tmp_path / "pid", "sleep", str(LONG_S)))
    wait_until((tmp_path / "pid").exists)
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state_of(pid) == "T")  # else SIGTERM, the lower number, may be delivered before it
    launcher.cancel("one", grace_s=0.2)
    assert collect(launcher, 1)[0].signal == signal.SIGKILL


def test_a_stopped_task_cannot_write_its_trace_and_dies(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(task("one", tmp_path, "tracing", "pid", tmp_path / "pid", "sleep", str(LONG_S)))
    wait_until((tmp_path / "pid").exists)
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state_of(pid) == "T")
    launcher.cancel("one", grace_s=0.2, trace=True)
    assert collect(launcher, 1)[0].signal == signal.SIGKILL


@pytest.mark.parametrize("trace", [False, True])
def test_cancel_of_a_task_that_has_just_ended(launcher: LocalLauncher, tmp_path: Path, trace: bool) -> None:
    launcher.submit(task("one", tmp_path, "pid", tmp_path / "pid", "exit", "3"))
    wait_until((tmp_path / "pid").exists)
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: state_of(pid) == "Z")
    launcher.cancel("one", trace=trace)
    assert collect(launcher, 1) == [Exit("one", 3)]


def test_who_does_not_answer_the_trace_dies_of_it(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(task("one", tmp_path, "touch", tmp_path / "up", "sleep", str(LONG_S)))
    wait_until((tmp_path / "up").exists)
    launcher.cancel("one", trace=True)
    assert collect(launcher, 1)[0].signal == signal.SIGUSR1


def test_tasks_spread_over_the_gpus(tmp_path: Path) -> None:
    launcher = LocalLauncher([{"CUDA_VISIBLE_DEVICES": gpu} for gpu in "0011"], close_grace_s=1)
    gpus = []
    try:
        for index in range(6):
            if index == 4:
                launcher.cancel("t0")  # on GPU 0, and so is t2
                launcher.cancel("t2")
                collect(launcher, 2)
            file = tmp_path / f"gpu{index}"
            launcher.submit(task(f"t{index}", tmp_path, "variable", "CUDA_VISIBLE_DEVICES", file, "sleep", str(LONG_S)))
            wait_until(file.exists, within_s=60)
            gpus.append(file.read_text())
    finally:
        launcher.close()
    assert gpus == ["0", "1", "0", "1", "0", "0"]


def test_what_running_tasks_hold_is_told(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(task("one", tmp_path, "hold", "100", "touch", tmp_path / "up", "sleep", str(LONG_S)))
    launcher.submit(task("two", tmp_path, "touch", tmp_path / "up2", "sleep", str(LONG_S)))
    wait_until(lambda: (tmp_path / "up").exists() and (tmp_path / "up2").exists())
    held = launcher.held_gib()
    assert held.keys() == {"one", "two"}
    assert 100 / 1024 < held["one"] < 200 / 1024 and 0 < held["two"] < 50 / 1024
    assert isinstance(launcher, MeasuresMemory)


def test_no_limit_no_measuring(launcher: LocalLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "sessions", lambda leaders: pytest.fail("measured"))
    launcher.submit(task("one", tmp_path, "sleep", "0.2"))
    assert collect(launcher, 1) == [Exit("one", 0)]


def test_a_kill_by_the_kernel_is_told_from_others(launcher: LocalLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter([False, True])
    monkeypatch.setattr(launcher._oom_kills, "lately", lambda now: next(said))
    launcher.submit(task("one", tmp_path, "signal", "9"))
    assert collect(launcher, 1) == [Exit("one", -9, 9)]
    launcher.submit(task("two", tmp_path, "signal", "9"))
    assert collect(launcher, 1) == [Exit("two", -9, 9, oom_killed=True)]
    launcher.submit(task("three", tmp_path, "touch", tmp_path / "up", "deaf", "sleep", str(LONG_S)))
    wait_until((tmp_path / "up").exists)
    launcher.cancel("three", grace_s=0)  # ours: it is not asked to save
    assert collect(launcher, 1)[0].oom_killed is False


def test_a_second_cancel_shortens_the_grace(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(task("one", tmp_path, "deaf", "touch", tmp_path / "up", "sleep", str(LONG_S)))
    wait_until((tmp_path / "up").exists)
    launcher.cancel("one", grace_s=LONG_S)
    launcher.cancel("one", grace_s=0)
    launcher.cancel("one", grace_s=LONG_S)
    assert collect(launcher, 1)[0].signal == signal.SIGKILL


def test_helpers_a_task_leaves_behind_are_killed(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(task("one", tmp_path, "child", str(LONG_S), tmp_path / "child", "exit", "4"))
    assert collect(launcher, 1) == [Exit("one", 4)]
    wait_until(lambda: not is_alive(int((tmp_path / "child").read_text())))


def test_a_killed_task_is_told_within_a_second(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(task("one", tmp_path, "pid", tmp_path / "pid", "sleep", str(LONG_S)))
    wait_until((tmp_path / "pid").exists)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    started = time.monotonic()
    assert launcher.poll(20) == [Exit("one", -9, 9)]
    assert time.monotonic() - started < 1.0


def test_close_kills_who_does_not_listen(tmp_path: Path) -> None:
    launcher = LocalLauncher(2, close_grace_s=0.2)
    for name in ("one", "two"):
        launcher.submit(task(name, tmp_path, "deaf", "pid", tmp_path / name, "sleep", str(LONG_S)))
    launcher.submit(task("three", tmp_path, "touch", tmp_path / "three"))
    wait_until(lambda: (tmp_path / "one").exists() and (tmp_path / "two").exists())
    launcher.close()
    assert not any(is_alive(int((tmp_path / name).read_text())) for name in ("one", "two"))
    assert not (tmp_path / "three").exists()


def test_no_descriptor_is_leaked(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(task("first", tmp_path, "exit", "0"))
    collect(launcher, 1)
    before = len(os.listdir("/proc/self/fd"))
    for index in range(6):
        launcher.submit(task(f"t{index}", tmp_path, "exit", "0"))
    collect(launcher, 6)
    assert len(os.listdir("/proc/self/fd")) == before
    launcher.close()
    assert len(os.listdir("/proc/self/fd")) == before - 1  # the guard's


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere it takes a second")
def test_no_process_outlives_a_driver_that_is_killed(tmp_path: Path) -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        files = [tmp_path / f"{name}{index}" for index in range(3) for name in ("pid", "child", "stray", "away")]
        wait_until(lambda: all(file.exists() for file in files), within_s=60)
        everybody = [process.pid for process in psutil.Process(driver.pid).children(recursive=True)]
        assert len(everybody) == 1 + len(files)  # and the guard; the strays were adopted
        assert {int(file.read_text()) for file in files} < set(everybody)
    finally:
        driver.kill()
        driver.wait()
    wait_until(lambda: not any(map(is_alive, everybody)), within_s=10)
    assert not (tmp_path / "pid3").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there are no guards elsewhere")
def test_without_its_guard_a_launcher_works_on(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(task("one", tmp_path, "exit", "0"))
    collect(launcher, 1)
    assert launcher._orphans.guard is not None
    guard = psutil.Process(launcher._orphans.guard.pid)
    guard.kill()
    wait_until(lambda: guard.status() == psutil.STATUS_ZOMBIE)
    launcher.submit(task("two", tmp_path, "exit", "4"))
    assert collect(launcher, 1) == [Exit("two", 4)]
    launcher.close()
    assert not psutil.pid_exists(guard.pid)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere only the process group is known")
def test_strays_in_the_session_end_with_the_task(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(task("one", tmp_path, "stray", tmp_path / "stray", "exit", "4"))
    assert collect(launcher, 1) == [Exit("one", 4)]
    stray = int((tmp_path / "stray").read_text())
    wait_until(lambda: not launcher.poll() and not psutil.pid_exists(stray))  # reaped, too


def test_a_child_whose_parent_is_gone_already_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "runner.testing.tasks", "die-with-parent", "touch", str(tmp_path / "ran")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RUNNER_PARENT_PID": "1"}  # 1 is not who starts it
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and "is gone" in ended.stderr
    assert not (tmp_path / "ran").exists()


def test_without_a_launcher_nothing_is_done(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "runner.testing.tasks", "die-with-parent", "touch", str(tmp_path / "ran")]
    environment = {name: value for name, value in os.environ.items() if name != "RUNNER_PARENT_PID"}
    subprocess.run(command, env={**environment, "PYTHONPATH": str(ROOT)}, check=True)
    assert (tmp_path / "ran").exists()


def test_slots_must_be_positive() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        LocalLauncher(0)
