"""Several processes as one attempt: supervisor and ranks as real processes, without a framework."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from runner.store.run_dir import RunDir

LAUNCH = """
import os, subprocess, sys
from runner.core.process import PARENT_VARIABLE, die_with_parent
die_with_parent()
os.environ[PARENT_VARIABLE] = str(os.getpid())
script, count = sys.argv[1], int(sys.argv[2])  # the worker's own command line comes after these
ranks = [subprocess.Popen([sys.executable, script], env={**os.environ, "NUMBER": str(i)}, start_new_session=True) for i in range(count)]
failed = False
while any(rank.poll() is None for rank in ranks):
    if not failed and any(rank.poll() for rank in ranks):
        failed = True
        for rank in ranks:
            rank.kill()
    try:
        next(rank for rank in ranks if rank.poll() is None).wait(0.05)
    except (subprocess.TimeoutExpired, StopIteration):
        pass
sys.exit(max(abs(rank.returncode) for rank in ranks))
"""
"""Stands for a framework's launcher: ends all when one has failed."""

RANK = """
import faulthandler, os, pathlib, signal, sys, time
from runner.core.errors import RunnerError
from runner.core.process import die_with_parent
from runner.worker.ending import Ending
from runner.worker.ranks import Member
faulthandler.register(signal.SIGUSR1, file=2)  # as the worker does
die_with_parent()
member = Member.from_environment()
assert "RUNNER_RANKS" not in os.environ and Member.from_environment() is None
rank, folder = member.rank, pathlib.Path(os.environ["FOLDER"])
(folder / f"pid-{rank}").write_text(str(os.getpid()))
asked = []
if rank == 0:
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
try:
    BODY
    member.end(Ending("done", 0))
except RunnerError as error:
    (folder / f"lost-{rank}").write_text(str(error))
    member.end(Ending("failed", error.exit_code, str(error), error.cause))
    end = time.monotonic() + 10
    while rank and not (folder / "lost-0").exists() and time.monotonic() < end:
        time.sleep(0.01)  # the launcher kills the first one as soon as one has exited
    sys.exit(1)
"""

SUPERVISE = """
import faulthandler, logging, signal, sys
from pathlib import Path
from runner.backends.base import Ranks
from runner.core.process import die_with_parent
from runner.store.run_dir import RunDir
from runner.worker.supervisor import supervise
from runner.worker.stop import StopRequests
faulthandler.register(signal.SIGUSR1, file=2)
die_with_parent()
logging.basicConfig(level=logging.INFO)
run = RunDir(sys.argv[1])
stop = StopRequests(run.control)
stop.install()
sys.exit(supervise(run, Ranks(3, (sys.executable, sys.argv[2], sys.argv[3], "3"), "NUMBER"), stop))
"""


@dataclass
class Attempt:
    """A supervisor that works with three ranks."""

    run: RunDir
    folder: Path
    process: subprocess.Popen[bytes]

    def wait(self) -> int:
        return self.process.wait(timeout=60)

    def pids(self) -> list[int]:
        files = [self.folder / f"pid-{rank}" for rank in range(3)]
        wait_for(lambda: all(file.exists() and file.read_text() for file in files))
        return [int(file.read_text()) for file in files]

    def below(self) -> list[psutil.Process]:
        """Everything it has started."""
        self.pids()
        found = psutil.Process(self.process.pid).children(recursive=True)
        assert len(found) == 4
        return found


class Start:
    """Starts a supervisor whose ranks do `body`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []

    def __call__(self, body: str) -> Attempt:
        run = RunDir(self.folder / "a run 'ü'")
        run.path.mkdir()
        for name, text in (
            ("supervise.py", SUPERVISE),
            ("launch.py", LAUNCH),
            ("rank.py", RANK.replace("BODY", body.replace("\n", "\n    "))),
        ):
            (self.folder / name).write_text(text)
        scripts = [str(self.folder / name) for name in ("supervise.py", "launch.py", "rank.py")]
        environment = {**os.environ, "FOLDER": str(self.folder), "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        command = [sys.executable, scripts[0], str(run.path), *scripts[1:]]
        with open(run.log, "wb") as log:
            self.started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        return Attempt(run, self.folder, self.started[-1])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    start = Start(tmp_path)
    yield start
    for process in start.started:
        process.kill()
        process.wait()


def wait_for(condition: Any, timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_they_meet_as_often_as_they_like(start: Start) -> None:
    attempt = start(
        "for step in range(100): assert member.all_gather([step, rank]) == [[step, other] for other in range(3)]\n"
        "words = member.all_gather({'sum': 0.1 * rank, 'text': 'é' * 100000})\n"
        "assert [word['sum'] for word in words] == [0.0, 0.1, 0.2] and member.ranks == 3\n"
        "assert member.all_gather(float('nan'))[0] != 0"
    )
    assert attempt.wait() == 0, attempt.run.log.read_text()


def test_the_reason_is_that_of_the_one_that_failed_first(start: Start) -> None:
    attempt = start("if rank == 1: raise RunnerError('no memory left')\nif rank == 2: time.sleep(60)\nmember.all_gather(None)")
    assert attempt.wait() == 1
    status = attempt.run.status()
    assert (status.state, status.reason, status.attempt) == ("failed", "rank 1 of 3: no memory left", 1)
    assert (attempt.folder / "lost-0").read_text() == "rank 1 of 3 is gone: no memory left"


def test_the_first_one_speaks_for_itself(start: Start) -> None:
    attempt = start("if rank == 0: raise RunnerError('cut off')\nmember.all_gather(None)")
    assert attempt.wait() == 1
    assert attempt.run.status().reason == "cut off"


def test_why_it_failed_is_passed_on(start: Start) -> None:
    attempt = start(
        "from runner.core.errors import OutOfMemory\nif rank == 2: raise OutOfMemory('8 GiB are not enough')\nmember.all_gather(None)"
    )
    assert attempt.wait() == 1
    assert (attempt.run.status().cause, attempt.run.status().state) == ("out_of_memory", "failed")


def test_no_room_is_no_failure(start: Start) -> None:
    attempt = start(
        "if rank == 1:\n    member.end(Ending('interrupted', 74, 'the disk is full: 0 bytes left', 'disk_full'))\n    sys.exit(1)\n"
        "member.all_gather(None)"
    )
    assert attempt.wait() == 74
    status = attempt.run.status()
    assert (status.state, status.cause, status.reason) == ("interrupted", "disk_full", "rank 1 of 3: the disk is full: 0 bytes left")


def test_all_tell_where_they_hang(start: Start) -> None:
    attempt = start("member.all_gather(None)\ndef hangs_here():\n    member.all_gather(None)\n    time.sleep(60)\nhangs_here()")
    attempt.pids()
    log = attempt.run.log
    wait_for(lambda: "with 3 processes" in log.read_text())

    def asked() -> int:
        attempt.process.send_signal(signal.SIGUSR1)
        time.sleep(0.2)
        return log.read_text().count("in hangs_here")

    wait_for(lambda: asked() >= 3, 60)
    assert attempt.process.poll() is None and "in serve" in log.read_text()


def test_one_that_ended_early_is_not_waited_for(start: Start) -> None:
    attempt = start("if rank < 2: member.all_gather(None)")
    assert attempt.wait() == 1
    assert (attempt.folder / "lost-0").read_text() == "rank 2 of 3 is gone: it has ended"


@pytest.mark.parametrize("rank", [0, 2])
def test_one_killed_takes_all_with_it(start: Start, rank: int) -> None:
    attempt = start("member.all_gather(None)\nif rank != 1: time.sleep(60)\nmember.all_gather(None)")
    below, pid = attempt.below(), attempt.pids()[rank]
    os.kill(pid, signal.SIGKILL)
    assert attempt.wait() == 1
    reason = attempt.run.status().reason
    assert reason is not None and reason.startswith(f"process {pid} (rank {rank} of 3) was killed or crashed; log: ")
    assert all(is_gone(process) for process in below)


def test_a_launcher_that_fails_is_told(start: Start) -> None:
    attempt = start("")
    attempt.wait()
    (attempt.folder / "launch.py").write_text("raise SystemExit(7)")
    command = [sys.executable, *(str(attempt.folder / name) for name in ("supervise.py", "a run 'ü'", "launch.py", "rank.py"))]
    assert subprocess.run(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}, check=False).returncode == 1
    reason = attempt.run.status().reason
    assert reason is not None and "could not be started, or one ended without a message (exit status 7)" in reason


def test_a_stop_goes_to_the_first_one(start: Start) -> None:
    attempt = start("while not any(member.all_gather(len(asked))): time.sleep(0.01)\n(folder / f'saved-{rank}').touch()")
    attempt.pids()
    attempt.process.send_signal(signal.SIGTERM)
    assert attempt.wait() == 0, attempt.run.log.read_text()
    assert sorted(path.name for path in attempt.folder.glob("saved-*")) == ["saved-0", "saved-1", "saved-2"]


def test_no_rank_outlives_the_supervisor(start: Start) -> None:
    attempt = start("member.all_gather(None)\ntime.sleep(60)")
    below = attempt.below()
    attempt.process.kill()
    attempt.wait()
    wait_for(lambda: all(is_gone(process) for process in below), 5.0)


def test_no_rank_outlives_the_launcher(start: Start) -> None:
    attempt = start("member.all_gather(None)\nif rank: member.all_gather(None)\ntime.sleep(60)")
    below = attempt.below()
    launcher = next(process for process in below if process.pid not in attempt.pids())
    launcher.kill()
    assert attempt.wait() == 1
    assert all(is_gone(process) for process in below)
    assert attempt.run.status().state == "failed"
    assert json.loads(attempt.run.status_file.read_text())["attempt"] == 1
