"""Launcher that runs tasks in this process, one after the other: for debuggers and profilers."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import signal
import sys
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import FrameType
from typing import ClassVar, TextIO

from runner.core.files import open_regular
from runner.core.importing import child_environment
from runner.core.process import PARENT_VARIABLE, exit_status
from runner.launch.base import NOT_STARTED, Capacity, Demand, Exit, Task, exit_of

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class InlineLauncher:
    """Runs the module of ``python -m MODULE …`` in this process, so that breakpoints, profilers and `pdb` reach it.

    A task runs inside `poll`; what it prints through `sys.stdout` and `sys.stderr` is shown and logged. Modules it
    imports stay imported, so a run is less independent of the one before than in a process of its own; they are found where this process
    imports from. A signal that
    would have killed it is answered as that signal, except SIGKILL and what else cannot be caught: that ends this
    process. Ctrl-C ends the task (as SIGINT), not the program. Limits on memory are not kept, and nothing asks for a trace.

    Args:
        slots: as for `runner.launch.local.LocalLauncher`; there is only this process, so the first is used.
    """

    in_process: ClassVar[bool] = True
    shares_machine: ClassVar[bool] = True

    def __init__(self, slots: int | Sequence[Mapping[str, str]] = 1) -> None:
        self._variables = {} if isinstance(slots, int) or not slots else dict(slots[0])
        self._waiting: deque[Task] = deque()
        self._running: str | None = None
        self._lock = threading.RLock()  # `cancel` may be called in a signal handler
        self._ended: list[Exit] = []
        self._closed = False

    @classmethod
    def open(cls, demand: Demand) -> InlineLauncher:
        """See `Launcher.open`. One task at a time, whatever the demand; it finds the GPUs that this process finds."""
        del demand
        return cls()

    def capacity(self) -> Capacity:
        """See `Launcher.capacity`."""
        return Capacity(1)

    def submit(self, task: Task) -> None:
        """See `Launcher.submit`. The task starts at the next `poll`."""
        if self._closed:
            raise RuntimeError("the launcher is closed")
        if any(task.name == other.name for other in self._waiting):
            raise ValueError(f"an unfinished task has the name {task.name!r}")
        self._waiting.append(task)

    def poll(self, timeout_s: float = 0.0) -> list[Exit]:
        """Run the next task to its end."""
        del timeout_s
        if not self._ended and self._waiting:
            task = self._waiting.popleft()
            self._ended.append(_run(replace(task, env={**task.env, **self._variables}), self._signalled(task.name)))
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, name: str, *, grace_s: float = 10.0, trace: bool = False) -> None:
        """See `Launcher.cancel`. A running task (if this is called from another thread or a signal handler) gets
        SIGTERM and no more; one that does not run in the main thread, which signals do not reach, gets nothing."""
        del grace_s, trace
        for task in self._waiting:
            if task.name == name:
                self._waiting.remove(task)
                self._ended.append(exit_of(name, -signal.SIGTERM))
                return
        with self._lock:
            if name == self._running:
                os.kill(os.getpid(), signal.SIGTERM)

    @contextlib.contextmanager
    def _signalled(self, name: str) -> Iterator[None]:
        """Let `cancel` send signals inside the context, if it is entered in the main thread."""
        self._running = name if threading.current_thread() is threading.main_thread() else None
        try:
            yield
        finally:
            with self._lock:  # a signal that is on its way arrives before the handlers are restored
                self._running = None

    def free(self) -> int:
        """Return 1 if no task waits, else 0."""
        return 0 if self._closed or self._waiting else 1

    def close(self) -> None:
        """See `Launcher.close`."""
        self._closed = True
        self._waiting.clear()
        self._ended.clear()


class _Terminated(BaseException):
    """SIGTERM reached a task that has no handler for it."""


class _Tee(io.TextIOBase):
    """Writes to the terminal and to the log; in everything else it is the terminal's stream."""

    def __init__(self, shown: TextIO, log: TextIO) -> None:
        self._shown = shown
        self._log = log

    def write(self, text: str, /) -> int:
        self._log.write(text)
        return self._shown.write(text)

    def flush(self) -> None:
        self._log.flush()
        self._shown.flush()

    def close(self) -> None:
        """Leave both streams open: they belong to others, and the interpreter closes what it collects."""

    def isatty(self) -> bool:
        return self._shown.isatty()

    def fileno(self) -> int:
        return self._shown.fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._shown.encoding


def _run(task: Task, signalled: contextlib.AbstractContextManager[None]) -> Exit:
    try:
        module, arguments = _module_of(task.argv)
        folder = os.getcwd()
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(io.TextIOWrapper(open_regular(task.log, "ab"), encoding="utf-8", line_buffering=True))
            os.chdir(task.cwd)
            stack.callback(os.chdir, folder)
            stack.enter_context(contextlib.redirect_stdout(_Tee(sys.stdout, log)))
            stack.enter_context(contextlib.redirect_stderr(_Tee(sys.stderr, log)))
            stack.enter_context(_environment(task))
            stack.enter_context(_signal_handlers())
            stack.enter_context(signalled)
            return exit_of(task.name, _run_module(module, arguments))
    except _Terminated:  # as it ended
        return exit_of(task.name, -signal.SIGTERM)
    except (OSError, ValueError) as error:
        return Exit(task.name, NOT_STARTED, error=str(error))


def _module_of(argv: Sequence[str]) -> tuple[str, list[str]]:
    """Return module and arguments of ``python -m MODULE ARGUMENT…``. Raises ValueError for any other command."""
    if "-m" not in argv[1:-1]:
        raise ValueError(f"the inline launcher runs `python -m MODULE …` only, not {' '.join(argv)!r}")
    place = list(argv).index("-m", 1)
    return argv[place + 1], list(argv[place + 2 :])


def _run_module(module: str, arguments: list[str]) -> int:
    """Run `module` as ``__main__``; return the exit code that it would have as its own process."""
    old_argv, sys.argv = sys.argv, [module, *arguments]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")  # the module is imported already
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        return 0
    except SystemExit as ended:
        return exit_status(ended.code)
    except _Terminated:
        return -signal.SIGTERM
    except KeyboardInterrupt:
        return -signal.SIGINT
    except Exception:  # noqa: BLE001 - a process would end with a traceback and status 1; so does this
        traceback.print_exc()
        return 1
    finally:
        sys.argv = old_argv


@contextlib.contextmanager
def _environment(task: Task) -> Iterator[None]:
    """Set the task's variables inside the context and restore the old ones after it."""
    before = dict(os.environ)
    os.environ.update(child_environment(dict(task.env)))
    os.environ.pop(PARENT_VARIABLE, None)  # this process must not die with itself
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _signal_handlers() -> Iterator[None]:
    """Handle SIGTERM and SIGINT as in a fresh process (SIGTERM as an exception) inside the context; restore the handlers after it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python delivers signals to the main thread alone
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated
