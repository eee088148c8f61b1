"""The pool: what it tells the launcher, and what it measures."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.fake_launcher import FakeClock, FakeLauncher, fake_task

from runner.launch.base import TaskResources
from runner.search.base import Trial
from runner.store.run_dir import Identity, RunDir, Status
from runner.sweep.plan import PlannedRun
from runner.sweep.policy import Policy
from runner.sweep.pool import TaskPool
from runner.sweep.queue import OpenTrial
from runner.sweep.setup import LoopOptions


class Limit:
    """A limit on concurrency that keeps what it is told."""

    def __init__(self, most: int = 9) -> None:
        self.most = most
        self.seen: list[tuple[str, float, float, bool]] = []

    def observe(self, name: str, memory_gib: float, gpu_memory_gib: float, *, settled: bool) -> None:
        self.seen.append((Path(name).name, memory_gib, gpu_memory_gib, settled))

    def room(self, running: int) -> bool:
        return running < self.most


class Measuring(FakeLauncher):
    """A launcher that measures; each time takes a while."""

    def __init__(self, slots: int, clock: FakeClock, took_s: float = 0.01) -> None:
        super().__init__(slots, {"a": ["slow"], "b": ["slow"], "c": ["slow"]}, clock)
        self.clock, self.took_s = clock, took_s

    def held_gib(self) -> dict[str, float]:
        self.clock.seconds += self.took_s
        return {name: 1.5 for name in self._active}


def planned(folder: Path, name: str, trial: int = 0) -> PlannedRun:
    run_dir = RunDir(folder / name)
    run_dir.path.mkdir()
    identity = Identity(name, "s", trial, 0, {}, "")
    run_dir.write_identity(identity)
    resolved: Any = SimpleNamespace(yaml="")
    return PlannedRun(run_dir, Trial(trial, {}, name), 0, resolved, identity)


def pool_of(launcher: FakeLauncher, clock: FakeClock, **options: Any) -> TaskPool:
    return TaskPool(launcher, lambda run: fake_task(run.run_dir), LoopOptions(**options), clock)


def test_room_is_the_launchers_and_the_limits(tmp_path: Path) -> None:
    clock = FakeClock()
    pool = pool_of(Measuring(2, clock), clock, packing=Limit(1))
    assert pool.has_room()
    pool.start(planned(tmp_path, "a"), 0)
    assert not pool.has_room()
    pool = pool_of(Measuring(2, clock), clock)
    pool.start(planned(tmp_path, "b"), 0)
    assert pool.has_room()
    pool.start(planned(tmp_path, "c"), 0)
    assert not pool.has_room()


def test_a_task_has_the_resources_of_the_policy_and_is_warm_where_that_pays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, submitted = FakeClock(), []
    for keep_warm in (False, True):
        launcher = Measuring(2, clock)
        monkeypatch.setattr(launcher, "submit", submitted.append)
        options = {"policy": Policy(resources=TaskResources(gpus=2)), "keep_warm": keep_warm}
        pool = TaskPool(launcher, lambda run: fake_task(run.run_dir, "fork"), LoopOptions(**options), clock)  # type: ignore[arg-type]
        pool.start(planned(tmp_path, f"r{keep_warm}"), 0)
    assert [task.warm for task in submitted] == ["no", "fork"] and submitted[0].resources == TaskResources(gpus=2)


def test_memory_is_measured_now_and_then(tmp_path: Path) -> None:
    clock, limit = FakeClock(), Limit()
    launcher = Measuring(2, clock, took_s=1.0)
    pool = pool_of(launcher, clock, packing=limit)
    pool.start(planned(tmp_path, "a"), 0)
    pool.supervise(is_stopping=False)
    assert limit.seen == [("a", 1.5, 0.0, False)]  # its status has not been read yet
    for _ in range(40):
        pool.take(pool.wait(0.2))
        pool.supervise(is_stopping=False)
    assert len(limit.seen) == 1  # measuring takes at most a twentieth of the time
    clock.sleep(12)
    pool.supervise(is_stopping=False)
    assert limit.seen[1:] == [("a", 1.5, 0.0, True)]


def test_the_end_of_a_run_is_observed(tmp_path: Path) -> None:
    limit, clock = Limit(), FakeClock()
    status = Status("failed", values={"resource/gpu_memory_gib": 3.0})
    pool_of(FakeLauncher(1, {}, clock), clock, packing=limit).observe_end(planned(tmp_path, "a"), status)
    pool_of(FakeLauncher(1, {}, clock), clock).observe_end(planned(tmp_path, "b"), status)
    assert limit.seen == [("a", 0.0, 3.0, True)]


def test_pruning_asks_by_a_file_and_else_by_a_signal(tmp_path: Path) -> None:
    clock = FakeClock()
    launcher = Measuring(2, clock)
    pool = pool_of(launcher, clock)
    first, second = planned(tmp_path, "a", 1), planned(tmp_path, "b", 2)
    pool.start(first, 0)
    pool.start(second, 0)
    second.run_dir.control.mkdir()  # nothing can be written there
    for run in (first, second, second):
        pool.prune_trial(OpenTrial(run.trial, 1, pruned="no hope"))
    assert "no hope" in first.run_dir.control.read_text() and launcher.cancelled == [("b", 60.0)]
    assert [task.early_end is not None for task in pool.running.values()] == [True, True]


def test_what_does_not_end_when_it_is_asked_is_killed(tmp_path: Path) -> None:
    clock = FakeClock()
    launcher = FakeLauncher(1, {"a": ["hang"]}, clock)
    pool = pool_of(launcher, clock)
    pool.start(planned(tmp_path, "a"), 0)
    assert pool.prune("no hope", lambda run: True) == 1
    clock.sleep(59)
    pool.supervise(is_stopping=False)
    assert launcher.cancelled == []
    clock.sleep(2)
    pool.supervise(is_stopping=False)
    pool.supervise(is_stopping=False)
    assert launcher.cancelled == [("a", 5.0)]
    clock.sleep(5)
    ((task, ended),) = pool.take(pool.wait(0.0))
    assert ended.signal == 9 and task.run.run_dir.name == "a" and not pool.running


def test_nothing_is_ended_for_a_limit_while_everything_ends(tmp_path: Path) -> None:
    clock = FakeClock()
    launcher = FakeLauncher(1, {"a": ["hang"]}, clock)
    pool = pool_of(launcher, clock, policy=Policy(timeout_s=1.0))
    pool.start(planned(tmp_path, "a"), 0)
    clock.sleep(5)
    pool.supervise(is_stopping=True)
    assert launcher.cancelled == []
    pool.supervise(is_stopping=False)
    assert launcher.cancelled == [("a", 5.0)]
