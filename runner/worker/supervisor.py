"""Rank supervisor of an attempt with several processes: starts the ranks, serves all-gather, forwards stop requests, records the end.

It is the attempt's first process and not one of those that train. The ranks end when it ends, for whatever reason.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

from runner.backends.base import Ranks
from runner.core.importing import child_environment
from runner.core.lock import Lock
from runner.core.process import PARENT_VARIABLE
from runner.store.run_dir import RunDir
from runner.worker.ending import Ending
from runner.worker.ranks import VARIABLE, RankGroup
from runner.worker.stop import StopRequests

log = logging.getLogger("runner.worker")

_LOOK_INTERVAL_S = 0.2
_END_GRACE_S = 30.0
"""Time in which the other ranks have to end after one has failed. Paddle's launcher takes 1 to 7 s."""
_LONGEST_TMPDIR = 80  # a socket's path has at most 107 bytes


@dataclass
class _Rank:
    """Supervisor's view of one rank."""

    channel: socket.socket
    number: int = -1
    pid: int = 0
    rest: bytes = b""
    """Beginning of an incomplete line."""
    end: Ending | None = None
    gone: bool = False
    waiting_with: list[Any] = field(default_factory=list)
    """Value with which it waits for the others; empty while it does not wait."""


def supervise(run_dir: RunDir, ranks: Ranks, stop: StopRequests, lock: Lock | None = None) -> int:
    """Run an attempt with several processes.

    Args:
        lock: the run's; the ranks' launcher inherits it and so keeps it as long as they live.

    Returns:
        The exit code for `runner.worker.main.main`. The end is recorded in status.json.

    Raises:
        OSError: they cannot be started.
    """
    number = run_dir.status().attempt + 1
    log.info("attempt %d at %s, with %d processes", number, run_dir.name, ranks.count)
    scratch = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(prefix="runner-", dir=scratch if len(scratch) <= _LONGEST_TMPDIR else "/tmp") as folder:
        path = str(Path(folder) / "supervisor")
        group = RankGroup(path, ranks.count, ranks.number_in, number, run_dir.checkpoints.is_dir(), stop.offset)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(ranks.count)
            command = [*ranks.command, sys.executable, "-P", "-m", "runner.worker", str(run_dir.path)]
            environment = child_environment({VARIABLE: group.text(), PARENT_VARIABLE: str(os.getpid())})
            inherited = [lock.descriptor] if lock is not None else []
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, pass_fds=inherited)
            supervisor = RankSupervisor(process, listener, ranks.count, stop)
            with supervisor.forwarding_trace_requests():
                supervisor.serve()
    return supervisor.conclude(run_dir, number)


class RankSupervisor:
    def __init__(self, process: subprocess.Popen[bytes], listener: socket.socket, count: int, stop: StopRequests) -> None:
        self._process, self._count, self._stop = process, count, stop
        self._ranks: dict[int, _Rank] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener.accept()[0]))
        self._failed: _Rank | None = None
        """First rank that failed."""
        self._lost: _Rank | None = None
        """First rank that failed or ended early. Ranks that fail afterwards because of it are not the root cause."""
        self._kill_at = float("inf")
        self._stop_forwarded = False

    def serve(self) -> None:
        """Serve the ranks until all of them have ended."""
        while self._process.poll() is None or self._any_alive():
            for key, _ in self._selector.select(_LOOK_INTERVAL_S):
                handle: Callable[[], None] = key.data
                handle()
            self._answer_all_gather()
            self._forward_stop()
            if (self._failed is not None or self._process.poll() is not None) and self._kill_at == float("inf"):
                self._kill_at = time.monotonic() + _END_GRACE_S
            if time.monotonic() > self._kill_at:
                self._kill()

    def conclude(self, run_dir: RunDir, number: int) -> int:
        """Record the end if the first rank could not; return the exit code of the attempt."""
        first = self._ranks.get(0)
        if self._failed is None and len(self._ranks) == self._count and first is not None and first.end is not None:
            return first.end.exit_code
        ending = self._ending(run_dir)
        log.error("%s", ending.reason)
        status = run_dir.status()
        if self._failed is not first or first is None or status.attempt != number or status.state != ending.state:
            ended = replace(status, state=ending.state, reason=ending.reason, cause=ending.cause, attempt=number)
            run_dir.write_status(replace(ended, phase="ended", heartbeat=time.time()), durable=True)
        return ending.exit_code

    def _ending(self, run_dir: RunDir) -> Ending:
        failed = self._failed
        if failed is None:
            code = self._process.returncode
            text = f"its ranks could not be started, or one ended without a message (exit status {code}); log: {run_dir.log}"
            return Ending("failed", 1, text, "crash")
        if failed.end is None:
            text = f"process {failed.pid} (rank {failed.number} of {self._count}) was killed or crashed; log: {run_dir.log}"
            return Ending("failed", 1, f"{text} (`dmesg` shows whether memory ran out)", "crash")
        place = f"rank {failed.number} of {self._count}: " if failed.number else ""
        return replace(failed.end, reason=f"{place}{failed.end.reason}")

    # ------------------------------------------------------------------------------------------------ what they say
    def _accept(self, channel: socket.socket) -> None:
        """Accept a connection; the first line names the rank."""
        rank = _Rank(channel)
        self._selector.register(channel, selectors.EVENT_READ, lambda: self._read_messages(rank))

    def _read_messages(self, rank: _Rank) -> None:
        """Read the pending messages of a rank."""
        try:
            while data := rank.channel.recv(1 << 16, socket.MSG_DONTWAIT):
                *lines, rank.rest = (rank.rest + data).split(b"\n")
                for line in lines:
                    self._handle_message(rank, json.loads(line))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass  # as good as closed
        if rank.channel in self._selector.get_map():
            self._selector.unregister(rank.channel)
            if not hasattr(os, "pidfd_open"):
                self._handle_end(rank)

    def _handle_message(self, rank: _Rank, message: Mapping[str, Any]) -> None:
        if "rank" in message:
            rank.number, rank.pid = int(message["rank"]), int(message["pid"])
            self._ranks[rank.number] = rank
            if hasattr(os, "pidfd_open"):  # its channel is not enough: a process that reads images for it may keep it open
                try:
                    pidfd = os.pidfd_open(rank.pid)
                except ProcessLookupError:  # it has ended, and its launcher has noticed
                    self._handle_end(rank)
                    return
                self._selector.register(pidfd, selectors.EVENT_READ, lambda: self._handle_end(rank, pidfd))
        elif "all_gather" in message:
            rank.waiting_with = [message["all_gather"]]
        else:
            rank.end = Ending(**message["end"])
            if rank.end.is_trouble:
                self._failed = self._failed or rank

    def _handle_end(self, rank: _Rank, pidfd: int | None = None) -> None:
        """Handle the end of a rank. Its last message may still be pending."""
        if pidfd is not None:
            self._selector.unregister(pidfd)
            os.close(pidfd)
            self._read_messages(rank)
        rank.gone = True
        if rank.end is None:
            self._failed = self._failed or rank

    def _answer_all_gather(self) -> None:
        """Answer the waiting ranks once all have arrived, or once one never will."""
        waiting = [rank for rank in self._ranks.values() if rank.waiting_with]
        if len(waiting) == self._count:
            answer: dict[str, Any] = {"values": [self._ranks[number].waiting_with[0] for number in range(self._count)]}
        elif lost := self._first_lost():
            why = lost.end.reason if lost.end is not None and lost.end.reason else "it has ended"
            answer = {"lost": f"rank {lost.number} of {self._count} is gone: {why}"}
        else:
            return
        for rank in waiting:
            rank.waiting_with = []
            try:
                rank.channel.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:
                pass  # it has ended, which will be noticed

    def _first_lost(self) -> _Rank | None:
        if self._lost is None:
            self._lost = self._failed or next((rank for rank in self._ranks.values() if rank.end is not None or rank.gone), None)
        return self._lost

    # -------------------------------------------------------------------------------------------------- their ends
    @contextmanager
    def forwarding_trace_requests(self) -> Iterator[None]:
        """Forward a request for stack traces to the ranks, which a hung attempt is asked for."""

        def ask_all(_number: int, _frame: FrameType | None) -> None:
            faulthandler.dump_traceback(sys.stderr.fileno())
            for rank in self._ranks.values():
                if not rank.gone:
                    with suppress(ProcessLookupError):
                        os.kill(rank.pid, signal.SIGUSR1)

        faulthandler.unregister(signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, ask_all)
        try:
            yield
        finally:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # a late request must not kill this process while it ends

    def _forward_stop(self) -> None:
        """Forward a stop signal to the first rank, which saves the state and shares the request at the next all-gather."""
        first = self._ranks.get(0)
        if self._stop.signal is not None and first is not None and not first.gone and not self._stop_forwarded:
            self._stop_forwarded = True
            os.kill(first.pid, self._stop.signal)

    def _any_alive(self) -> bool:
        return time.monotonic() <= self._kill_at and any(not rank.gone for rank in self._ranks.values())

    def _kill(self) -> None:
        """Kill the ranks' launcher, and the ranks with it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
