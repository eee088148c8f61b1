"""What a worker says of its end: why it failed, when there is no room, where it hangs. Scripted runs, in processes of their own."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.core.errors import InputError, Interrupted, OutOfMemory
from runner.core.files import disk_is_full, says_disk_full
from runner.core.process import PARENT_VARIABLE
from runner.resolve import resolve
from runner.store.run_dir import RunDir
from runner.sweep.plan import plan_single
from runner.sweep.runs import prepare_run_dir
from runner.worker.ending import Ending, ending_of

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def fake_run(tmp_path: Path) -> Callable[..., RunDir]:
    """Makes the directory of a scripted run."""

    def make(**changes: Any) -> RunDir:
        config, run = tmp_path / "fake.yml", RunDir(tmp_path / "a run 'ü'")
        config.write_text(yaml.safe_dump({"backend": "fake", "max_iters": 10, "snapshot_iter": 4, "log_iter": 1, **changes}))
        prepare_run_dir(plan_single(resolve(config), run))
        return run

    return make


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a worker as a launcher does; `most_bytes` is the longest a file of it may get."""
    with ExitStack() as stack:

        def begin(run: RunDir, most_bytes: int | None = None) -> subprocess.Popen[bytes]:
            def limit() -> None:
                if most_bytes is not None:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

            environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", PARENT_VARIABLE: str(os.getpid())}
            with open(run.log, "ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "runner.worker", str(run.path)], env=environment, stdout=log, stderr=log, preexec_fn=limit
                )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield begin


def wait_for(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_where_it_hangs_is_in_the_log(fake_run: Callable[..., RunDir], start: Start) -> None:
    run = fake_run(faults={"hang_at": 3})
    process = start(run)
    wait_for(lambda: run.status().state == "running")

    def asked() -> bool:
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.1)
        return "in _go_wrong" in run.log.read_text()

    wait_for(asked)
    assert "training.py" in run.log.read_text() and process.poll() is None


def test_no_room_for_the_records(fake_run: Callable[..., RunDir], start: Start) -> None:
    run = fake_run(max_iters=100, snapshot_iter=100)
    assert start(run, most_bytes=4096).wait(60) == 74
    status = run.status()
    assert (status.state, status.cause) == ("interrupted", "disk_full")
    assert status.reason is not None and status.reason.startswith("the disk is full: OSError: [Errno 27] File too large")
    assert "can be resumed when there is space" in run.log.read_text()
    assert start(run).wait(60) == 0
    status = run.status()
    assert (status.state, status.cause, status.reason, status.attempt) == ("done", None, None, 2)


def test_no_room_for_a_checkpoint_nor_to_say_so(fake_run: Callable[..., RunDir], start: Start) -> None:
    run = fake_run(log_iter=100, snapshot_iter=None)
    assert start(run, most_bytes=300).wait(60) == 74  # a status has about so many bytes, and more with a reason
    assert run.status().state in ("pending", "running")
    assert start(run).wait(60) == 0
    assert run.status().state == "done"


def test_what_a_failure_means(tmp_path: Path) -> None:
    def ending(error: Exception, action: Any = "stop") -> Ending:
        return ending_of(error, tmp_path, tmp_path / "worker.log", action)

    assert ending(Interrupted("Ctrl-C")) == Ending("interrupted", 130, "Ctrl-C")
    assert ending(Interrupted("too slow"), "prune") == Ending("pruned", 130, "too slow")
    assert ending(InputError("no such file")) == Ending("failed", 2, "no such file", "input")
    assert ending(OutOfMemory("8 GiB")) == Ending("failed", 1, "8 GiB", "out_of_memory")
    assert ending(MemoryError()).cause == "out_of_memory"
    assert ending(ZeroDivisionError("0 / 0")).cause == "crash"
    assert ending(PermissionError(errno.EACCES, "no")).cause == "crash"
    wrapped = InputError("cannot save")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert ending(wrapped) == Ending("interrupted", 74, "the disk is full: cannot save", "disk_full")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_is_full_whatever_the_exception_says(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from runner.worker.ending import ending_of\n"
        "folder = Path(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))\n"
        "print(ending_of(RuntimeError('unexpected pos 64 vs 0'), folder, folder / 'log', 'stop').cause)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "disk_full\n"
    assert list(tmp_path.iterdir()) == [] and not disk_is_full(tmp_path) and not disk_is_full(tmp_path / "nowhere")


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__context__, other.__context__ = other, one
    assert not says_disk_full(one)
    other.__cause__ = OSError(errno.EDQUOT, "quota")
    assert says_disk_full(one)
