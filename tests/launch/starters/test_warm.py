"""Warm starts: the task finds what a fresh process finds, trouble ends in a fresh process, and no process is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from runner.launch import leftovers as guard
from runner.launch.base import Exit, Task, Warm
from runner.launch.local import LocalLauncher
from runner.launch.starters import warm
from runner.testing.launchers import LONG_S, collect, is_alive, task, wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere every task is spawned")
ROOT = Path(__file__).resolve().parents[3]
MODES: tuple[Warm, ...] = ("fork", "standby")
both = pytest.mark.parametrize("mode", MODES)
WRITES_ITS_NUMBER = "import os, pathlib; pathlib.Path(__file__).with_suffix('.pids').open('a').write(f'{os.getpid()}\\n')\n"
"""A module that tells which processes have imported it."""

DRIVER = """
import sys
from dataclasses import replace
from pathlib import Path
from runner.launch.local import LocalLauncher
from runner.testing.launchers import task
folder, mode = Path(sys.argv[1]), sys.argv[2]
launcher = LocalLauncher(2)
for index in range(3):
    one = task(f"t{index}", folder, "deaf", "pid", folder / f"pid{index}", "sleep", "60")
    launcher.submit(replace(one, warm=mode, preload=("json",)))
while True:
    launcher.poll(0.1)
"""


BEFORE: set[int] = set()
"""Processes from before the test: those of other tests, which live as long as the session."""


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    BEFORE.clear()
    BEFORE.update(process.pid for process in psutil.Process().children(recursive=True))
    yield
    assert started() == []


def started() -> list[psutil.Process]:
    """All processes under this one, zombies too, but not those from before nor theirs: a browser of the session starts some at any time."""
    found = psutil.Process().children(recursive=True)
    theirs = set(BEFORE)
    for process in found:  # parents come before their children
        if process.ppid() in theirs:
            theirs.add(process.pid)
    return [process for process in found if process.pid not in theirs]


@pytest.fixture
def launcher() -> Iterator[LocalLauncher]:
    launcher = LocalLauncher(2, close_grace_s=1)
    yield launcher
    launcher.close()


def warm_task(mode: Warm, name: str, folder: Path, *words: str | Path, module: str = WRITES_ITS_NUMBER) -> Task:
    """A task that is started with a module preloaded; `module` is its text."""
    ahead = folder / "ahead.py"
    if not ahead.exists() or ahead.read_text() != module:  # a process may be importing it right now
        ahead.write_text(module)
    given = task(name, folder, *words)
    path = f"{folder}{os.pathsep}{given.env['PYTHONPATH']}"
    return replace(given, warm=mode, preload=("ahead",), env={**given.env, "PYTHONPATH": path})


def importers(folder: Path) -> list[int]:
    """The processes that have imported the module so far."""
    return [int(line) for line in (folder / "ahead.pids").read_text().split()]


def below() -> list[psutil.Process]:
    """The processes of `started`, but not the launchers' guards."""
    return [process for process in started() if not is_guard(process)]


def is_guard(process: psutil.Process) -> bool:
    """Whether it is what kills the tasks of a launcher that was killed."""
    try:
        return guard.__file__ in process.cmdline()
    except psutil.Error:  # a zombie
        return False


def polls_until(launcher: LocalLauncher, condition: Callable[[], bool]) -> list[Exit]:
    """Poll until a condition holds; the exits on the way."""
    ended: list[Exit] = []

    def holds() -> bool:
        ended.extend(launcher.poll(0.02))
        return condition()

    wait_until(holds, within_s=60)
    return ended


@both
def test_the_module_is_imported_ahead(launcher: LocalLauncher, tmp_path: Path, mode: Warm) -> None:
    for index in range(4):
        launcher.submit(warm_task(mode, f"t{index}", tmp_path, "pid", tmp_path / f"pid{index}"))
        collect(launcher, 1)
        assert (tmp_path / f"t{index}.log").read_text() == ""
    pids = [int((tmp_path / f"pid{index}").read_text()) for index in range(4)]
    assert len(set(pids)) == 4
    if mode == "fork":
        assert len(importers(tmp_path)) == 1 and importers(tmp_path)[0] not in pids
    else:
        assert importers(tmp_path)[:4] == pids


def test_each_way_finds_the_same(launcher: LocalLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("WITH SPACE", "größe\n")
    modes: tuple[Warm, ...] = ("no", *MODES)
    found: dict[str, dict[str, Any]] = {}
    folder = tmp_path / "its own"
    folder.mkdir()
    for mode in modes:
        given = warm_task(mode, "one", tmp_path, "describe", tmp_path / "around")
        launcher.submit(replace(given, cwd=folder))
        assert collect(launcher, 1) == [Exit("one", 0)]
        found[mode] = json.loads((tmp_path / "around").read_text())
        assert importers(tmp_path) if mode != "no" else not (tmp_path / "ahead.pids").exists()
    assert found["no"]["descriptors"].keys() == {"0", "1", "2"} and found["no"]["parent"] == os.getpid()
    assert found["no"]["variables"]["OMP_NUM_THREADS"] == "3"
    assert found["fork"] == found["no"]
    assert found["standby"] == found["no"]


@both
def test_random_numbers_differ(launcher: LocalLauncher, tmp_path: Path, mode: Warm) -> None:
    for index in range(3):
        given = warm_task(mode, f"t{index}", tmp_path, "draw", tmp_path / f"drawn{index}", module="import numpy.random, random")
        launcher.submit(replace(given, env={**given.env, "OPENBLAS_NUM_THREADS": "1"}))
    assert {ended.returncode for ended in collect(launcher, 3)} == {0}
    drawn = [number for index in range(3) for number in json.loads((tmp_path / f"drawn{index}").read_text())]
    assert len(set(drawn)) == 9


def test_gpus_are_given_out_by_one_parent(launcher: LocalLauncher, tmp_path: Path) -> None:
    for index in range(3):
        given = warm_task("fork", f"t{index}", tmp_path, "variable", "CUDA_VISIBLE_DEVICES", tmp_path / f"gpu{index}")
        launcher.submit(replace(given, env={**given.env, "CUDA_VISIBLE_DEVICES": str(index)}))
    collect(launcher, 3)
    assert [(tmp_path / f"gpu{index}").read_text() for index in range(3)] == ["0", "1", "2"]
    assert len(importers(tmp_path)) == 1


def test_slots_give_their_variables_to_the_children_of_one_parent(tmp_path: Path) -> None:
    with contextlib.closing(LocalLauncher([{"RUNNER_TEST": "a"}, {"RUNNER_TEST": "b"}], close_grace_s=1)) as launcher:
        for index in range(2):
            words = ("variable", "RUNNER_TEST", tmp_path / f"slot{index}", "sleep", "0.5")
            launcher.submit(warm_task("fork", f"t{index}", tmp_path, *words))
        assert {ended.returncode for ended in collect(launcher, 2)} == {0}
    assert [(tmp_path / f"slot{index}").read_text() for index in range(2)] == ["a", "b"]
    assert len(importers(tmp_path)) == 1


def test_a_process_stands_by_for_each_slot(tmp_path: Path) -> None:
    slots = [{"CUDA_VISIBLE_DEVICES": str(index)} for index in range(warm.KINDS + 1)]
    with contextlib.closing(LocalLauncher(slots, close_grace_s=1)) as launcher:
        for name in ("first", "second"):
            for index in range(len(slots)):
                file = tmp_path / f"{name}{index}"
                launcher.submit(warm_task("standby", file.name, tmp_path, "variable", "CUDA_VISIBLE_DEVICES", file, "sleep", "1"))
            collect(launcher, len(slots), within_s=60)
            polls_until(launcher, lambda: len(below()) == len(slots))
    assert len(importers(tmp_path)) <= 3 * len(slots)
    assert sorted((tmp_path / f"second{index}").read_text() for index in range(len(slots))) == [str(index) for index in range(len(slots))]


@both
@pytest.mark.parametrize(
    ("words", "ended", "said"),
    [
        (["exit", "300"], Exit("one", 44), ""),
        (["fail", "what went wrong"], Exit("one", 1), "RuntimeError: what went wrong"),
        (["interrupt"], Exit("one", -signal.SIGINT, signal.SIGINT), "KeyboardInterrupt"),
        (["leave", "good bye"], Exit("one", 1), "good bye"),
        (["at-exit", "thread"], Exit("one", 0), "thread\nexit\n"),
        (["lose-stdout"], Exit("one", 120), ""),
    ],
)
def test_it_ends_as_a_fresh_process_does(
    launcher: LocalLauncher, tmp_path: Path, mode: Warm, words: list[str], ended: Exit, said: str
) -> None:
    for name, given in (("fresh", warm_task("no", "one", tmp_path, *words)), ("warm", warm_task(mode, "one", tmp_path, *words))):
        launcher.submit(replace(given, log=tmp_path / f"{name}.log"))
        assert collect(launcher, 1) == [ended]
        text = (tmp_path / f"{name}.log").read_text()
        assert said in text and (said or not text or words == ["lose-stdout"])


def test_what_a_module_cleans_up_is_not_the_tasks_to_clean_up(launcher: LocalLauncher, tmp_path: Path) -> None:
    module = f"import tempfile; folder = tempfile.TemporaryDirectory(dir={str(tmp_path)!r}, prefix='scratch')"
    for index in range(2):
        launcher.submit(warm_task("fork", f"t{index}", tmp_path, "exit", "0", module=module))
        assert collect(launcher, 1) == [Exit(f"t{index}", 0)]
    assert len(list(tmp_path.glob("scratch*"))) == 1  # its parent's, whose other children use it


@pytest.mark.parametrize(("mode", "count"), [("fork", 30), ("standby", 10), pytest.param("fork", 300, marks=pytest.mark.exhaustive)])
def test_many_tasks_in_a_row(launcher: LocalLauncher, tmp_path: Path, mode: Warm, count: int) -> None:
    launcher.submit(warm_task(mode, "first", tmp_path, "exit", "0"))
    collect(launcher, 1)
    before = len(os.listdir("/proc/self/fd"))
    for index in range(count):
        launcher.submit(warm_task(mode, f"t{index}", tmp_path, "child", str(LONG_S), tmp_path / "child", "exit", str(index % 200)))
        assert collect(launcher, 1) == [Exit(f"t{index}", index % 200)]
        assert (tmp_path / f"t{index}.log").read_text() == ""
    if mode == "fork":
        assert len(importers(tmp_path)) == 1
    assert len(os.listdir("/proc/self/fd")) == before
    left = 2 if mode == "fork" else 1  # a parent and the child ahead, or who stands by; helpers that were killed are reaped
    polls_until(launcher, lambda: len(below()) == left)


@both
def test_more_tasks_than_the_socket_holds(tmp_path: Path, mode: Warm) -> None:
    launcher = LocalLauncher(150)
    for index in range(150 if mode == "fork" else 4):
        launcher.submit(warm_task(mode, f"t{index}", tmp_path, "exit", str(index), "print", "x" * 5000))
    count = 150 if mode == "fork" else 4
    ended = collect(launcher, count, within_s=60)
    assert {(one.name, one.returncode) for one in ended} == {(f"t{index}", index) for index in range(count)}
    assert not any((tmp_path / f"t{index}.log").read_text() for index in range(count))
    launcher.close()
    assert below() == []


@both
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_killed_task_is_told(launcher: LocalLauncher, tmp_path: Path, mode: Warm, number: int) -> None:
    launcher.submit(warm_task(mode, "one", tmp_path, "pid", tmp_path / "pid", "sleep", str(LONG_S)))
    wait_until((tmp_path / "pid").exists)
    os.kill(int((tmp_path / "pid").read_text()), number)
    assert collect(launcher, 1) == [Exit("one", -number, number)]


def test_tasks_outlive_their_warm_parent(launcher: LocalLauncher, tmp_path: Path) -> None:
    launcher.submit(warm_task("fork", "one", tmp_path, "touch", tmp_path / "up", "sleep", "1", "exit", "5"))
    wait_until((tmp_path / "up").exists)
    os.kill(importers(tmp_path)[0], signal.SIGKILL)
    wait_until(lambda: not is_alive(importers(tmp_path)[0]))
    for index in range(3):  # the first is the child's that was ahead, the second finds no parent, the third has a new parent
        launcher.submit(warm_task("fork", f"t{index}", tmp_path, "exit", "6"))
        assert Exit(f"t{index}", 6) in polls_until(launcher, lambda: launcher.free() == 1)
    assert "ended before the task began" in (tmp_path / "t1.log").read_text()
    assert (tmp_path / "t0.log").read_text() == (tmp_path / "t2.log").read_text() == ""
    assert collect(launcher, 1) == [Exit("one", 5)]
    assert len(importers(tmp_path)) == 2


@both
def test_one_that_dies_while_importing_is_replaced(launcher: LocalLauncher, tmp_path: Path, mode: Warm) -> None:
    launcher.submit(warm_task(mode, "one", tmp_path, "append", tmp_path / "ran", "+", module="import os; os._exit(1)"))
    assert collect(launcher, 1) == [Exit("one", 0)]
    assert (tmp_path / "ran").read_text() == "+"
    assert "ended while it imported" in (tmp_path / "one.log").read_text()


@both
def test_it_is_abandoned_where_it_never_works(launcher: LocalLauncher, tmp_path: Path, mode: Warm) -> None:
    for index in range(warm.TRIES + 2):
        module = f"{WRITES_ITS_NUMBER}\nos._exit(1)"
        launcher.submit(warm_task(mode, f"t{index}", tmp_path, "exit", "0", module=module))
        assert collect(launcher, 1) == [Exit(f"t{index}", 0)]
    assert len(importers(tmp_path)) == warm.TRIES


@pytest.mark.parametrize(
    ("mode", "module", "said"),
    [
        ("fork", "raise ValueError('no such thing')", "import ahead: ValueError: no such thing"),
        ("standby", "import no_such_module", "No module named 'no_such_module'"),
        ("fork", "import threading, time; threading.Thread(target=time.sleep, args=[60], daemon=True).start()", "started 1 threads"),
        ("fork", "import os; os.dup2(os.open('/dev/null', 0), 50)", ""),
    ],
)
def test_what_cannot_be_preloaded_is_told_once(launcher: LocalLauncher, tmp_path: Path, mode: Warm, module: str, said: str) -> None:
    for index in range(2):
        launcher.submit(warm_task(mode, f"t{index}", tmp_path, "print", "ran", module=module))
        assert collect(launcher, 1) == [Exit(f"t{index}", 0)]
    log = (tmp_path / "t0.log").read_text()
    assert said in log and log.endswith("ran\n")
    assert (tmp_path / "t1.log").read_text() == "ran\n"


HANGS = {
    "after the fork": "import os, time; os.register_at_fork(after_in_child=lambda: time.sleep(60))",
    "before the task": "import numpy.random, time; numpy.random.seed = lambda: time.sleep(60)",
}


@pytest.mark.parametrize("where", HANGS)
@both
def test_one_that_is_silent_is_replaced(
    launcher: LocalLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Warm, where: str
) -> None:
    if (mode, where) == ("standby", "after the fork"):
        pytest.skip("does not fork")
    monkeypatch.setattr(warm, "ANSWER_WITHIN_S", 0.7)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    launcher.submit(warm_task(mode, "one", tmp_path, "append", tmp_path / "ran", "+", "exit", "3", module=HANGS[where]))
    assert collect(launcher, 1) == [Exit("one", 3)]
    assert (tmp_path / "ran").read_text() == "+"
    assert "silent for 0.7 s" in (tmp_path / "one.log").read_text()
    polls_until(launcher, lambda: below() == [])


@both
def test_one_that_wakes_up_late_does_not_run_the_task_again(
    launcher: LocalLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Warm
) -> None:
    monkeypatch.setattr(warm, "ANSWER_WITHIN_S", 0.5)
    launcher.submit(warm_task(mode, "first", tmp_path, "exit", "0"))
    collect(launcher, 1)
    polls_until(launcher, lambda: len(importers(tmp_path)) == (1 if mode == "fork" else 2))
    waiting = importers(tmp_path)[-1]
    time.sleep(0.3)  # it imports
    os.killpg(waiting, signal.SIGSTOP)
    launcher.submit(warm_task(mode, "one", tmp_path, "append", tmp_path / "ran", "+"))
    with monkeypatch.context() as patched:
        patched.setattr(warm._WarmProcess, "kill", lambda self: os.killpg(self.process.pid, signal.SIGCONT))
        ended = collect(launcher, 1)
        time.sleep(0.5)
    with contextlib.suppress(ProcessLookupError):  # one that stands by has ended
        os.killpg(waiting, signal.SIGKILL)
    assert ended == [Exit("one", 0)]
    assert (tmp_path / "ran").read_text() == "+"
    assert "silent for 0.5 s" in (tmp_path / "one.log").read_text()


def test_an_import_that_takes_too_long_is_not_waited_for(launcher: LocalLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "IMPORT_WITHIN_S", 0.5)
    launcher.submit(warm_task("fork", "one", tmp_path, "exit", "0", module="import time; time.sleep(60)"))
    assert collect(launcher, 1, within_s=10) == [Exit("one", 0)]
    assert "within 0.5 s" in (tmp_path / "one.log").read_text()


@both
@pytest.mark.parametrize("wait_s", [0.0, 0.005, 0.03, 0.1, 0.3])
def test_cancel_on_the_way(launcher: LocalLauncher, tmp_path: Path, mode: Warm, wait_s: float) -> None:
    for index in range(3):
        launcher.submit(warm_task(mode, f"t{index}", tmp_path, "sleep", str(LONG_S)))
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            launcher.poll()
        launcher.cancel(f"t{index}")
        assert collect(launcher, 1) == [Exit(f"t{index}", -signal.SIGTERM, signal.SIGTERM)]
    launcher.submit(warm_task(mode, "last", tmp_path, "exit", "4"))
    assert collect(launcher, 1) == [Exit("last", 4)]
    launcher.close()
    assert below() == []


@both
@pytest.mark.parametrize("wait_s", [0.0, 0.03, 0.2])
def test_close_during_a_start_leaves_no_process(tmp_path: Path, mode: Warm, wait_s: float) -> None:
    launcher = LocalLauncher(3, close_grace_s=1)
    before = len(os.listdir("/proc/self/fd"))
    for index in range(5):
        launcher.submit(warm_task(mode, f"t{index}", tmp_path, "sleep", str(LONG_S)))
    launcher.poll(wait_s)
    launcher.close()
    assert below() == []
    assert len(os.listdir("/proc/self/fd")) == before


@both
def test_no_process_outlives_a_driver_that_is_killed(tmp_path: Path, mode: Warm) -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path), mode], env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        wait_until(lambda: all((tmp_path / f"pid{index}").exists() for index in range(2)))
        everybody = psutil.Process(driver.pid).children(recursive=True)
        assert len(everybody) >= 4
    finally:
        driver.kill()
        driver.wait()
    wait_until(lambda: not any(is_alive(process.pid) for process in everybody), within_s=10)
    assert not (tmp_path / "pid2").exists()


def test_another_kind_of_command_is_spawned(launcher: LocalLauncher, tmp_path: Path) -> None:
    given = warm_task("fork", "one", tmp_path, "exit", "0")
    launcher.submit(replace(given, argv=[given.argv[0], "-c", "import sys; print(sys.argv)", "a b"]))
    collect(launcher, 1)
    assert (tmp_path / "one.log").read_text() == "['-c', 'a b']\n"
    assert not (tmp_path / "ahead.pids").exists()


def test_elsewhere_it_is_spawned(launcher: LocalLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    launcher.submit(warm_task("fork", "one", tmp_path, "exit", "3"))
    assert collect(launcher, 1) == [Exit("one", 3)]
    assert not (tmp_path / "ahead.pids").exists()


@both
def test_an_interpreter_that_is_not_there(launcher: LocalLauncher, tmp_path: Path, mode: Warm) -> None:
    given = warm_task(mode, "one", tmp_path, "exit", "0")
    launcher.submit(replace(given, argv=[str(tmp_path / "no python"), *given.argv[1:]]))
    (ended,) = collect(launcher, 1)
    assert ended.returncode == 127 and "no python" in ended.error


@both
def test_an_interpreter_without_runner(launcher: LocalLauncher, tmp_path: Path, mode: Warm) -> None:
    (tmp_path / "alone.py").write_text("import sys; print('alone', sys.argv[1:]); sys.exit(9)")
    argv = [sys.executable, "-m", "alone", "x"]
    env = {"PYTHONPATH": str(tmp_path), "PYTHONNOUSERSITE": "1"}
    launcher.submit(Task("one", argv, tmp_path, tmp_path / "one.log", env, ("no_such_module",), mode))
    assert collect(launcher, 1) == [Exit("one", 9)]
    assert "alone ['x']" in (tmp_path / "one.log").read_text()


def test_few_kinds_are_kept(tmp_path: Path) -> None:
    launcher = LocalLauncher(1)
    for index in range(warm.KINDS + 3):
        given = warm_task("fork", f"t{index}", tmp_path, "exit", "0")
        launcher.submit(replace(given, env={**given.env, "DIFFERS": str(index)}))
        assert collect(launcher, 1) == [Exit(f"t{index}", 0)]
    polls_until(launcher, lambda: len(below()) == 2 * warm.KINDS)  # each a parent and the child ahead
    launcher.close()
    assert below() == []
