"""What processes hold, and whose fault a SIGKILL is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.launch import memory
from runner.launch.base import Exit, TaskResources
from runner.launch.local import LocalLauncher
from runner.launch.memory import Gauge, Members, OomKills, pss_gib, sessions
from runner.testing.launchers import LONG_S, collect, task, wait_until

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere RSS is all there is")


@pytest.fixture
def launcher() -> Iterator[LocalLauncher]:
    launcher = LocalLauncher(3, close_grace_s=1)
    yield launcher
    launcher.close()


@linux
def test_what_is_shared_with_a_warm_parent_counts_once(launcher: LocalLauncher, tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text("held = b'x' * (200 << 20)")
    given = task("one", tmp_path, "helpers", "3", "5", tmp_path / "helpers", "sleep", "2.5", "exit", "3")
    path = f"{tmp_path}{os.pathsep}{given.env['PYTHONPATH']}"
    given = replace(given, warm="fork", preload=("large",), resources=TaskResources(memory_gib=0.3), env={**given.env, "PYTHONPATH": path})
    launcher.submit(given)
    wait_until(lambda: not launcher.poll(0.02) and (tmp_path / "helpers").exists(), within_s=60)
    (leader,) = [child.process.pid for child in launcher._children.values() if child.process]
    members = sessions([leader])[leader]
    assert len(members.pids) == 4 and members.rss_gib > 0.8
    assert 0.13 < pss_gib(members.pids) < 0.3
    assert collect(launcher, 1) == [Exit("one", 3)]
    assert (tmp_path / "one.log").read_text() == ""


def test_pss_is_read_only_where_rss_leaves_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"pss": 0.6}
    asked = []
    monkeypatch.setattr(memory, "pss_gib", lambda pids: asked.append(pids) or held["pss"])
    gauge = Gauge(1.0)

    def over(rss_gib: float, now: float) -> float | None:
        return gauge.over_gib(Members([7], rss_gib), now)

    assert over(0.9, 0) is None and asked == []
    assert over(1.1, 1) is None and len(asked) == 1
    assert over(1.4, 2) is None and len(asked) == 1  # 0.3 more at most: 0.9
    assert over(1.6, 3) is None and len(asked) == 2
    assert over(1.6, 4) is None and len(asked) == 2
    held["pss"] = 1.05  # others have ended that shared its pages
    assert over(1.6, 12) is None and len(asked) == 2
    assert over(1.6, 13.1) == 1.05 and len(asked) == 3


@linux
def test_a_process_with_an_odd_name_is_found(tmp_path: Path, launcher: LocalLauncher) -> None:
    program = tmp_path / "a ) S 1 (b"
    program.symlink_to(sys.executable)
    given = task("one", tmp_path, "touch", tmp_path / "up", "sleep", str(LONG_S))
    launcher.submit(replace(given, argv=[str(program), *given.argv[1:]], env={**given.env, "PYTHONHOME": sys.base_prefix}))
    wait_until((tmp_path / "up").exists)
    assert launcher.held_gib()["one"] > 0


def test_where_there_is_no_proc_the_family_is_measured(tmp_path: Path, launcher: LocalLauncher, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher.submit(task("one", tmp_path, "helpers", "2", "40", tmp_path / "helpers", "sleep", str(LONG_S)))
    wait_until((tmp_path / "helpers").exists)
    (leader,) = [child.process.pid for child in launcher._children.values() if child.process]
    wait_until(lambda: memory._family(leader).rss_gib > 80 / 1024)
    members = memory._family(leader)
    assert len(members.pids) == 3 and members.pids[0] == leader
    assert memory._family(2**22 + 1).pids == []
    monkeypatch.setattr(memory, "_PROC", str(tmp_path / "nowhere"))
    assert sessions([leader])[leader].pids == members.pids
    assert pss_gib(members.pids) > 80 / 1024


@pytest.mark.parametrize(
    ("line", "place", "text"),
    [
        ("0::/a/b", "a/b/memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill {}\n"),
        ("4:memory:/c", "memory/c/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"),
    ],
)
def test_the_kernels_kills_are_counted(tmp_path: Path, line: str, place: str, text: str) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text(f"9:name=systemd:/x\n{line}\n")
    (tmp_path / "vmstat").write_text("nr_free_pages 1\noom_kill 100\n")
    file = tmp_path / "groups" / place
    file.parent.mkdir(parents=True)
    file.write_text(text.format(2))
    kills = OomKills(tmp_path, tmp_path / "groups")
    assert not kills.lately(10)
    file.write_text(text.format(3))
    assert kills.lately(20) and kills.lately(20.5) and not kills.lately(21.1)
    file.unlink()
    assert not kills.lately(30)


def test_the_machines_kills_count_where_there_is_no_cgroup(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("oom_kill 100\n")
    kills = OomKills(tmp_path, tmp_path / "groups")
    (tmp_path / "vmstat").write_text("oom_kill 101\n")
    assert kills.lately(10)
    assert not OomKills(tmp_path / "nowhere", tmp_path).lately(10)
