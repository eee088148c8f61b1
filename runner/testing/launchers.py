"""The contract of `runner.launch.base.Launcher` as tests. Subclass `LauncherContract` and give it a `launcher` fixture.

class TestMyLauncher(LauncherContract):
    plugin = MyLauncher

    @pytest.fixture
    def launcher(self):
        launcher = MyLauncher.open(Demand(concurrency=2))
        yield launcher
        launcher.close()
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from runner.core.conformance import protocol_faults
from runner.launch.base import Demand, Exit, Launcher, Task, TaskResources

HOSTILE_NAMES = ("with space", "quo\"te's", "日本語-ünï", "-leading-dash", "new\nline", "a=b,c;$HOME", "%s{}")
LONG_S = 60.0
"""Duration of tasks that a test stops."""


def task(name: str, folder: Path, *words: str | Path, log: Path | None = None) -> Task:
    """Return a task that does what `words` say (see `runner.testing.tasks`), in `folder`."""
    root = Path(__file__).resolve().parents[2]
    argv = [sys.executable, "-P", "-m", "runner.testing.tasks", *map(str, words)]
    search_path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    return Task(name, argv, cwd=folder, log=log or folder / f"{name}.log", env={"PYTHONPATH": search_path})


def collect(launcher: Launcher, count: int, *, within_s: float = 30.0) -> list[Exit]:
    """Poll until `count` tasks have ended; fails after `within_s`."""
    ended: list[Exit] = []
    deadline = time.monotonic() + within_s
    while len(ended) < count:
        assert time.monotonic() < deadline, f"after {within_s} s only {ended} of {count}"
        ended += launcher.poll(0.1)
    return ended


def wait_until(condition: Callable[[], bool], *, within_s: float = 15.0) -> None:
    """Wait for `condition`; fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {within_s} s"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Return whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


class LauncherContract:
    """Contract suite of launchers."""

    plugin: ClassVar[type[Launcher]]
    limits_memory: ClassVar[bool] = True
    """It keeps `TaskResources.memory_gib`."""

    @property
    def isolates(self) -> bool:
        """True where each task is a process of its own, so that it may be killed."""
        return not self.plugin.in_process

    def with_slots(self, slots: Sequence[Mapping[str, str]]) -> Launcher:
        """Return a launcher whose slots give these variables. Only the tests of a launcher that has such slots override this."""
        del slots
        pytest.skip("has no slots that give variables")

    def test_the_facts_are_declared(self, launcher: Launcher) -> None:
        assert list(protocol_faults(self.plugin, Launcher)) == []
        assert isinstance(launcher, self.plugin)
        assert launcher.capacity().tasks >= launcher.free() >= 1

    @pytest.mark.parametrize("concurrency", [1, 3, "auto"])
    def test_it_opens_for_a_demand(self, concurrency: int | Literal["auto"], tmp_path: Path) -> None:
        launcher = self.plugin.open(Demand(TaskResources(cpus=1), concurrency))
        try:
            room = launcher.capacity()
            assert room.tasks == 1 if self.plugin.in_process or concurrency == 1 else room.tasks >= 1
            assert launcher.free() == room.tasks
            assert not room.is_measured or self.plugin.shares_machine
            launcher.submit(task("one", tmp_path, "exit", "4"))
            assert collect(launcher, 1) == [Exit("one", 4)]
        finally:
            launcher.close()

    @pytest.mark.parametrize("status", [0, 1, 3, 255])
    def test_exit_status_is_told(self, launcher: Launcher, tmp_path: Path, status: int) -> None:
        launcher.submit(task("one", tmp_path, "exit", str(status)))
        assert collect(launcher, 1) == [Exit("one", status)]

    def test_an_exception_is_status_one_and_in_the_log(self, launcher: Launcher, tmp_path: Path) -> None:
        launcher.submit(task("one", tmp_path, "fail", "what went wrong"))
        assert collect(launcher, 1) == [Exit("one", 1)]
        assert "RuntimeError: what went wrong" in (tmp_path / "one.log").read_text()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_is_told(self, launcher: Launcher, tmp_path: Path, number: int) -> None:
        launcher.submit(task("one", tmp_path, "signal", str(int(number))))
        (ended,) = collect(launcher, 1)
        assert (ended.returncode, ended.signal) == (-number, number)
        assert signal.Signals(number).name in str(ended)

    def test_sigkill_is_told(self, launcher: Launcher, tmp_path: Path) -> None:
        if not self.isolates:
            pytest.skip("would end this process")
        launcher.submit(task("one", tmp_path, "signal", "9"))
        assert str(collect(launcher, 1)[0]) == "killed by SIGKILL"

    def test_output_is_appended_to_the_log(self, launcher: Launcher, tmp_path: Path) -> None:
        log = tmp_path / "worker.log"
        log.write_text("from before\n")
        launcher.submit(task("one", tmp_path, "print", "größe", "warn", "careful", log=log))
        collect(launcher, 1)
        text = log.read_text(encoding="utf-8")
        assert text.startswith("from before\n") and "größe" in text and "careful" in text

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_folders_with_odd_names(self, launcher: Launcher, tmp_path: Path, name: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        launcher.submit(task(name, folder, "folder", folder / "here", "print", name, log=folder / "worker.log"))
        assert collect(launcher, 1) == [Exit(name, 0)]
        assert Path((folder / "here").read_text(encoding="utf-8")) == folder.resolve()
        assert (folder / "worker.log").read_text(encoding="utf-8") == f"{name}\n"

    def test_variables_reach_the_task_alone(self, launcher: Launcher, tmp_path: Path) -> None:
        given = task("one", tmp_path, "variable", "RUNNER_TEST", tmp_path / "value")
        launcher.submit(Task(given.name, given.argv, given.cwd, given.log, {**given.env, "RUNNER_TEST": "a b=c\n"}))
        collect(launcher, 1)
        assert (tmp_path / "value").read_text() == "a b=c\n"
        assert "RUNNER_TEST" not in os.environ

    def test_this_process_stays_as_it_was(self, launcher: Launcher, tmp_path: Path) -> None:
        before = (os.getcwd(), dict(os.environ), list(sys.argv), sys.stdout, signal.getsignal(signal.SIGTERM))
        launcher.submit(task("one", tmp_path, "fail", "oh"))
        collect(launcher, 1)
        assert (os.getcwd(), dict(os.environ), sys.argv, sys.stdout, signal.getsignal(signal.SIGTERM)) == before

    def test_many_tasks_are_each_answered_once(self, launcher: Launcher, tmp_path: Path) -> None:
        count = 20
        started = time.monotonic()
        for index in range(count):
            launcher.submit(task(f"t{index}", tmp_path, "exit", str(index)))
        assert time.monotonic() - started < 2.0, "submit waits"
        assert sorted((e.name, e.returncode) for e in collect(launcher, count, within_s=60)) == sorted(
            (f"t{index}", index) for index in range(count)
        )
        assert launcher.poll() == []

    def test_tasks_start_in_order(self, launcher: Launcher, tmp_path: Path) -> None:
        while launcher.free() > 1:  # leave one slot
            launcher.submit(task(f"fill{launcher.free()}", tmp_path, "sleep", str(LONG_S)))
        for index in range(4):
            launcher.submit(task(f"t{index}", tmp_path, "append", tmp_path / "order", str(index)))
        collect(launcher, 4)
        assert (tmp_path / "order").read_text() == "0123"

    def test_a_task_that_cannot_start_is_answered(self, launcher: Launcher, tmp_path: Path) -> None:
        missing = task("nowhere", tmp_path / "missing", "exit", "0", log=tmp_path / "log")
        no_log = task("no-log", tmp_path, "exit", "0", log=tmp_path / "missing" / "log")
        launcher.submit(missing)
        launcher.submit(no_log)
        launcher.submit(task("fine", tmp_path, "exit", "0"))
        ended = {e.name: e for e in collect(launcher, 3)}
        assert ended["fine"] == Exit("fine", 0)
        for name in ("nowhere", "no-log"):
            assert ended[name].returncode == 127 and "missing" in ended[name].error
            assert str(ended[name]).startswith("could not be started: ")

    def test_a_name_is_taken_while_its_task_is_unfinished(self, launcher: Launcher, tmp_path: Path) -> None:
        launcher.submit(task("one", tmp_path, "sleep", "0.3"))
        with pytest.raises(ValueError, match="'one'"):
            launcher.submit(task("one", tmp_path, "exit", "0"))
        collect(launcher, 1)
        launcher.submit(task("one", tmp_path, "exit", "7"))
        assert collect(launcher, 1) == [Exit("one", 7)]

    def test_free_counts_slots(self, launcher: Launcher, tmp_path: Path) -> None:
        slots = launcher.free()
        assert slots >= 1
        for index in range(slots + 1):
            launcher.submit(task(f"t{index}", tmp_path, "sleep", "0.2"))
            assert launcher.free() == max(0, slots - index - 1)
        collect(launcher, slots + 1)
        assert launcher.free() == slots

    def test_cancel_a_waiting_task(self, launcher: Launcher, tmp_path: Path) -> None:
        slots = launcher.free()
        for index in range(slots):
            launcher.submit(task(f"t{index}", tmp_path, "sleep", "0.2"))
        launcher.submit(task("late", tmp_path, "touch", tmp_path / "started"))
        launcher.cancel("late")
        ended = {e.name: e for e in collect(launcher, slots + 1)}
        assert ended["late"].signal == signal.SIGTERM
        assert not (tmp_path / "started").exists()

    def test_cancel_of_an_unknown_name_is_ignored(self, launcher: Launcher, tmp_path: Path) -> None:
        launcher.submit(task("one", tmp_path, "exit", "0"))
        collect(launcher, 1)
        launcher.cancel("one")
        launcher.cancel("never")
        assert launcher.poll() == []

    def test_cancel_a_running_task(self, launcher: Launcher, tmp_path: Path) -> None:
        if not self.isolates:
            pytest.skip("a task blocks this process, so cancel cannot be called")
        launcher.submit(task("one", tmp_path, "touch", tmp_path / "up", "sleep", str(LONG_S)))
        wait_until((tmp_path / "up").exists)
        started = time.monotonic()
        launcher.cancel("one")
        assert time.monotonic() - started < 0.5, "cancel waits"
        assert collect(launcher, 1)[0].signal == signal.SIGTERM

    def test_cancel_kills_after_the_grace_and_leaves_nobody(self, launcher: Launcher, tmp_path: Path) -> None:
        if not self.isolates:
            pytest.skip("a task blocks this process, so cancel cannot be called")
        words: Sequence[str | Path] = ("deaf", "child", str(LONG_S), tmp_path / "child", "sleep", str(LONG_S))
        launcher.submit(task("one", tmp_path, *words))
        wait_until((tmp_path / "child").exists)
        launcher.cancel("one", grace_s=0.3)
        assert launcher.poll(0.1) == []  # its grace is not over
        assert collect(launcher, 1)[0].signal == signal.SIGKILL
        wait_until(lambda: not is_alive(int((tmp_path / "child").read_text())))

    def test_a_slot_gives_its_task_variables(self, tmp_path: Path) -> None:
        launcher = self.with_slots([{"CUDA_VISIBLE_DEVICES": "4,5", "RUNNER_TEST": "ours"}])
        try:
            for index in range(2):  # the second takes the slot the first has left
                given = task(f"t{index}", tmp_path, "variable", "CUDA_VISIBLE_DEVICES", tmp_path / f"gpus{index}")
                words = [*given.argv, "variable", "RUNNER_TEST", str(tmp_path / f"other{index}")]
                launcher.submit(replace(given, argv=words, env={**given.env, "RUNNER_TEST": "the task's"}))
            collect(launcher, 2)
        finally:
            launcher.close()
        assert [(tmp_path / f"gpus{index}").read_text() for index in range(2)] == ["4,5", "4,5"]
        assert [(tmp_path / f"other{index}").read_text() for index in range(2)] == ["ours", "ours"]
        assert "RUNNER_TEST" not in os.environ

    def test_a_trace_comes_before_the_end(self, launcher: Launcher, tmp_path: Path) -> None:
        if not self.isolates:
            pytest.skip("a task blocks this process, so cancel cannot be called")
        launcher.submit(task("one", tmp_path, "tracing", "touch", tmp_path / "up", "sleep", str(LONG_S)))
        wait_until((tmp_path / "up").exists)
        launcher.cancel("one", trace=True)
        assert launcher.poll() == []
        assert collect(launcher, 1)[0].signal == signal.SIGTERM
        log = (tmp_path / "one.log").read_text()
        assert "most recent call first" in log and "tasks.py" in log

    def test_a_trace_is_no_way_to_survive(self, launcher: Launcher, tmp_path: Path) -> None:
        if not self.isolates:
            pytest.skip("a task blocks this process, so cancel cannot be called")
        launcher.submit(task("one", tmp_path, "tracing", "deaf", "touch", tmp_path / "up", "sleep", str(LONG_S)))
        wait_until((tmp_path / "up").exists)
        launcher.cancel("one", grace_s=0.2, trace=True)
        launcher.cancel("one", grace_s=LONG_S, trace=True)
        assert collect(launcher, 1)[0].signal == signal.SIGKILL

    def test_who_holds_too_much_memory_is_killed(self, launcher: Launcher, tmp_path: Path) -> None:
        if not self.limits_memory:
            pytest.skip("keeps no limit")
        greedy = task("one", tmp_path, "helpers", "2", "150", tmp_path / "helpers", "sleep", str(LONG_S))
        launcher.submit(replace(greedy, resources=TaskResources(memory_gib=0.2)))
        (ended,) = collect(launcher, 1)
        assert ended.signal == signal.SIGKILL and ended.over_memory_gib is not None and ended.over_memory_gib > 0.2
        assert "GiB of memory" in str(ended)
        helpers = [int(pid) for pid in (tmp_path / "helpers").read_text().split()]
        assert len(helpers) == 2
        wait_until(lambda: not any(map(is_alive, helpers)))

    def test_who_stays_below_the_limit_goes_on(self, launcher: Launcher, tmp_path: Path) -> None:
        modest = task("one", tmp_path, "hold", "50", "sleep", "1.5", "exit", "3")
        launcher.submit(replace(modest, resources=TaskResources(memory_gib=0.2)))
        assert collect(launcher, 1) == [Exit("one", 3)]

    def test_close_ends_it(self, launcher: Launcher, tmp_path: Path) -> None:
        if self.isolates:
            launcher.submit(task("one", tmp_path, "pid", tmp_path / "pid", "sleep", str(LONG_S)))
            wait_until((tmp_path / "pid").exists)
        launcher.close()
        launcher.close()
        assert launcher.poll() == [] and launcher.free() == 0
        with pytest.raises(RuntimeError):
            launcher.submit(task("two", tmp_path, "exit", "0"))
        if self.isolates:
            assert not is_alive(int((tmp_path / "pid").read_text()))
