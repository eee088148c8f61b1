"""Start of tasks in processes that have already imported their modules (see `Task.warm`). Linux; elsewhere tasks are spawned."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from runner.core.files import open_regular
from runner.core.process import PARENT_VARIABLE
from runner.launch.base import Task
from runner.launch.starters.spawn import Process, environment_of, kill_group, reap_session, spawn
from runner.launch.starters.warm_process import MAX_MESSAGE_BYTES, STARTED, Request

ANSWER_WITHIN_S = 5.0
IMPORT_WITHIN_S = 120.0
TRIES = 3
"""Number of warm processes of a kind that may fail before tasks of this kind are always spawned."""
KINDS = 3
"""Kinds of warm processes kept at a time; each may hold half a gigabyte."""
_CLOSE_INTERVAL_S = 0.001
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_GPUS = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_READ_LATE = (*_THREADS, *_GPUS, PARENT_VARIABLE)
"""Variables in which the children of one parent may differ, besides those of the slots."""


class Trouble(Exception):
    """Failure of a warm process; the message says which."""


class Hopeless(Trouble):
    """Failure that the next warm process would repeat."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Kind of a warm process: everything that its imports could depend on."""

    mode: str
    python: str
    preload: tuple[str, ...]
    environment: frozenset[tuple[str, str]]


class Forked:
    """A `Process` that a warm parent forked and this process has adopted."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._returncode: int | None = None

    def send_signal(self, sig: int, /) -> None:
        """See `Process`."""
        if self._returncode is None:
            os.kill(self.pid, sig)

    def poll(self) -> int | None:
        """See `Process`."""
        return self._reap(os.WNOHANG)

    def wait(self) -> int:
        """See `Process`."""
        code = self._reap(0)
        assert code is not None
        return code

    def _reap(self, flags: int) -> int | None:
        if self._returncode is None:
            pid, status = os.waitpid(self.pid, flags)
            if pid:
                self._returncode = os.waitstatus_to_exitcode(status)
        return self._returncode


class _WarmProcess:
    """A process that imports modules and then waits for a task."""

    def __init__(self, kind: _Kind) -> None:
        self.kind = kind
        self.trouble = ""
        self.ready = False
        self.news_at = 0.0
        self._give_up_at = time.monotonic() + IMPORT_WITHIN_S
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self.process = subprocess.Popen(
                    [kind.python, "-P", "-m", "runner.launch.starters.warm_process", kind.mode, str(theirs.fileno()), *kind.preload],
                    env={**dict(kind.environment), PARENT_VARIABLE: str(os.getpid())},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except OSError:
                self.control.close()
                raise

    def is_ready(self) -> bool:
        """Return whether it has imported everything. Raises Trouble if it never will."""
        if self.trouble:
            raise Trouble(self.trouble)
        if not self.ready:
            message = _received(self.control)
            if message == b"":
                raise Trouble("the warm process ended while it imported")
            if message is None and time.monotonic() >= self._give_up_at:
                raise Trouble(f"the warm process has not imported everything within {IMPORT_WITHIN_S:g} s")
            if message:
                self.ready = True
                self.news_at = time.monotonic()
                if problem := json.loads(message)["problem"]:
                    raise Hopeless(problem)
        return self.ready

    def kill(self) -> None:
        """End it, with what it forked that is not a task yet. Never waits."""
        if self.process.returncode is None:
            kill_group(self.process.pid)

    def is_gone(self) -> bool:
        """Return whether nothing is left of it after `kill`."""
        if self.process.poll() is None:
            return False
        self.control.close()
        return reap_session(self.process.pid)


class WarmStart:
    """Start of a task in a warm process. If that fails the task is spawned, and its log says why.

    Raises:
        OSError: the log cannot be written.
    """

    def __init__(self, starter: WarmStarter, task: Task, warm: _WarmProcess) -> None:
        self._starter = starter
        self._task = task
        self._warm = warm
        self._log = open_regular(task.log, "ab")
        self._report, self._report_end = os.pipe()
        os.set_blocking(self._report, False)
        self._right, right_end = os.pipe()  # to run the task: the process that reads the byte has it
        os.write(right_end, b"!")
        os.close(right_end)
        self._asked = False
        self._news_at = 0.0
        self._heard = b""
        self._process: Forked | None = None

    def fileno(self) -> int:
        """Return a descriptor that can be read when `look` may have news; negative if it has."""
        return self._report if self._asked and self._warm.ready else self._warm.control.fileno()

    def look(self) -> Process | None:
        """Send the task, then poll its start; return its process once it is running.

        Raises:
            OSError, ValueError: the task had to be spawned, and that failed.
        """
        try:
            return self._poll_start()
        except (Trouble, OSError) as trouble:
            process = self.cancel()
            if process is None:
                self._starter.drop(self._warm, trouble)
                self._starter.log_trouble(self._task, trouble)
                process = spawn(self._task)
            return process

    def cancel(self) -> Process | None:
        """Cancel the start without waiting: the task will not run, unless it is running already; then return its process."""
        if not os.read(self._right, 1):
            self._read_report()  # its number was written before
            return self._running()
        if self._warm.kind.mode == "standby":
            self._starter.end(self._warm)
        self._starter.clear_later(self)
        return None

    def is_gone(self) -> bool:
        """Return whether nothing is left of it after `cancel`. Kills and reaps what is left."""
        gone = self._read_report() or not self._asked
        if process := self._forked():
            with contextlib.suppress(ChildProcessError):  # not adopted yet
                process.send_signal(signal.SIGKILL)
                gone = process.poll() is not None
        if gone:
            self._close()
        return gone

    def _poll_start(self) -> Process | None:
        is_ready = self._warm.is_ready()
        self._asked = self._asked or self._send_task()
        closed = self._read_report()
        if self._heard.endswith(STARTED):
            return self._running()
        if closed:
            raise self._ended()
        waits_since = self._news_at if self._heard else self._warm.news_at  # a parent may have others to fork first
        if is_ready and time.monotonic() >= waits_since + ANSWER_WITHIN_S:
            raise Trouble(f"the warm process was silent for {ANSWER_WITHIN_S:g} s")
        return None

    def _send_task(self) -> bool:
        """Send the task; return False if the socket is full."""
        (module, *arguments), wanted = _words_of(self._task), environment_of(self._task)
        late = {name: wanted.get(name) for name in self._starter.late}
        request = Request(module, arguments, os.fspath(self._task.cwd), late)
        message = json.dumps(asdict(request)).encode()
        if len(message) > MAX_MESSAGE_BYTES:
            raise Trouble("the command is too long for a message")
        try:
            socket.send_fds(self._warm.control, [message], [self._log.fileno(), self._report_end, self._right], socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except ConnectionError:
            raise self._ended() from None
        self._warm.news_at = time.monotonic()
        self._log.close()
        os.close(self._report_end)
        return True

    def _ended(self) -> Trouble:
        try:
            self._warm.is_ready()
        except Trouble as trouble:  # it has said why
            return trouble
        return Trouble("the warm process ended before the task began")

    def _read_report(self) -> bool:
        """Read the pending reports; return whether there will be no more."""
        with contextlib.suppress(BlockingIOError):
            while text := os.read(self._report, 100):
                self._heard += text
                self._news_at = self._warm.news_at = time.monotonic()
            return True
        return False

    def _forked(self) -> Forked | None:
        """Return the process that the warm parent has forked, as far as is known."""
        if self._process is None and self._warm.kind.mode == "fork" and b"\n" in self._heard:
            self._process = Forked(int(self._heard.partition(b"\n")[0]))
        return self._process

    def _running(self) -> Process:
        self._close()
        self._starter.started(self._warm)
        return self._forked() or self._warm.process

    def _close(self) -> None:
        if not self._asked:
            self._log.close()
            os.close(self._report_end)
        os.close(self._report)
        os.close(self._right)


class WarmStarter:
    """Keeps warm processes, started when they are first needed.

    Args:
        can_fork: this process adopts orphans (see `adopt_orphans`).
        slots: the variables that the launcher's slots give.
        standby: processes of a kind that are kept waiting, where each serves for one task.
    """

    def __init__(self, can_fork: bool, slots: Sequence[Mapping[str, str]] = (), standby: int = 1) -> None:
        self._can_fork = can_fork
        self.late = frozenset({*_READ_LATE, *(name for slot in slots for name in slot)})
        self._kinds = max(KINDS, 1 + len({frozenset(slot.items()) for slot in slots}))  # a standby process already has its slot's variables
        self._standby = standby
        self._waiting: dict[_Kind, list[_WarmProcess]] = {}  # the kind used last comes last
        self._failures: Counter[_Kind] = Counter()
        self._ending: list[WarmStart | _WarmProcess] = []

    def start(self, task: Task) -> WarmStart | None:
        """Begin the start of a task; return None if it has to be spawned.

        Raises:
            OSError: its log cannot be written.
        """
        kind = _kind_of(task, self.late)
        if kind is None or self._failures[kind] >= TRIES:
            return None
        if kind.mode == "fork" and not self._can_fork:
            return None
        waiting = self._waiting.pop(kind, [])
        self._waiting[kind] = waiting
        if not waiting:
            waiting.append(_WarmProcess(kind))
        start = WarmStart(self, task, waiting[0])
        if kind.mode == "standby":
            waiting.pop(0)
        while len(self._waiting) > self._kinds:
            for warm in self._waiting.pop(next(iter(self._waiting))):
                self.end(warm)
        return start

    def started(self, warm: _WarmProcess) -> None:
        """Replace the process that a started task has used; not earlier, so that two do not import at the same time."""
        waiting = self._waiting.get(warm.kind)
        if warm.kind.mode == "standby":
            warm.control.close()
            with contextlib.suppress(OSError):  # then the next task gets none
                while waiting is not None and len(waiting) < self._standby:
                    waiting.append(_WarmProcess(warm.kind))

    def drop(self, warm: _WarmProcess, trouble: Exception) -> None:
        """Drop a process that failed to start a task."""
        if warm.trouble:
            return  # another task has reported it
        warm.trouble = str(trouble)
        self._failures[warm.kind] += TRIES if isinstance(trouble, Hopeless) else 1
        waiting = self._waiting.get(warm.kind, [])
        if warm in waiting:
            waiting.remove(warm)
        self.end(warm)

    def end(self, warm: _WarmProcess) -> None:
        """End a process that is no longer needed."""
        warm.kill()
        self._ending.append(warm)

    def log_trouble(self, task: Task, trouble: Exception) -> None:
        """Write to a task's log why it starts late."""
        with contextlib.suppress(OSError), open_regular(task.log, "ab") as log:
            log.write(f"runner: started in a new process: {trouble}\n".encode())

    def clear_later(self, start: WarmStart) -> None:
        """Remember a cancelled start until it is gone."""
        self._ending.append(start)

    def tidy(self) -> None:
        """Reap what has ended, and kill what cancelled starts have left. Never waits."""
        self._ending = [one for one in self._ending if not one.is_gone()]

    def close(self) -> None:
        """End all processes that are not tasks, and wait until they are gone."""
        for waiting in self._waiting.values():
            for warm in waiting:
                self.end(warm)
        self._waiting.clear()
        while self._ending:
            self.tidy()
            time.sleep(_CLOSE_INTERVAL_S)


def _kind_of(task: Task, late: Collection[str]) -> _Kind | None:
    """Return the kind of process a task can start in, None if it must be spawned."""
    if task.warm == "no" or not _words_of(task) or not os.path.isdir(task.cwd) or sys.platform != "linux":
        return None
    environment = environment_of(task)
    if task.warm == "fork":
        for name in late:
            environment.pop(name, None)
        environment |= dict.fromkeys(_THREADS, "1")
    else:
        del environment[PARENT_VARIABLE]
    return _Kind(task.warm, task.argv[0], task.preload, frozenset(environment.items()))


def _words_of(task: Task) -> Sequence[str]:
    """Return the module of ``python [-P] -m MODULE …`` and its arguments; nothing for any other command."""
    _, *words = task.argv
    if words[:1] == ["-P"]:
        del words[0]
    return words[1:] if words[:1] == ["-m"] else ()


def _received(connection: socket.socket) -> bytes | None:
    """Return a message, b"" if there will be none any more, None if there is none yet."""
    while True:
        try:
            return connection.recv(MAX_MESSAGE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            pass  # it ended with our messages unread; reported once, before its own last messages
