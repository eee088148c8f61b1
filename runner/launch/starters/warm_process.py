"""Main of a warm process: it imports modules, then waits for a task. `runner.launch.starters.warm` starts and controls it.

    python -P -m runner.launch.starters.warm_process fork|standby NUMBER MODULE…

Over the socket NUMBER it reports how the import went. A task comes as one message (see `Request`) with three descriptors: the task's log;
a pipe to report on; and a pipe with one byte in it, which either the process that is to run the task takes, or the launcher at a
timeout, so that no task runs twice. A standby process becomes the task. A parent stays, and keeps one child ready for the next
task, so that no task waits for the fork. It forks twice: the grandchild, an orphan at once, is adopted by the launcher, which
thus has a child like any other.

A fork costs the memory that is touched: the modules' objects are kept from the garbage collector, and at its end a task does what
Python does at exit except taking all the modules down object by object (with torch: a second).
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.core.process import PARENT_VARIABLE, die_with_parent, exit_status

MAX_MESSAGE_BYTES = 1 << 16
DESCRIPTORS = 3
STARTED = b"started\n"
_WAIT_FOR_ADOPTION_S = 0.0005
_MANY_TASKS = 4
"""Tasks after which it pays to prepare for more."""
_LARGE_PAGES_WITHIN_S = 1.5
_LARGE_BYTES = 2 << 20
_PIECE_BYTES = 32 << 20
_MADV_COLLAPSE = 25
_NOT_FLUSHED = 120  # Python's own


@dataclass(frozen=True, slots=True)
class Request:
    """A task, as it is sent.

    Args:
        module: to run as ``python -m`` would.
        arguments: its `sys.argv[1:]`.
        cwd: the folder it starts in.
        environment: variables to set (or, if None, to remove) that this process did not start with.
    """

    module: str
    arguments: Sequence[str]
    cwd: str
    environment: dict[str, str | None]


def main() -> None:
    """Import, wait, and return as the task's process."""
    mode, number, *modules = sys.argv[1:]
    die_with_parent()
    control = socket.socket(fileno=int(number))
    problem = _import(modules)
    if mode == "fork":
        problem = problem or _cannot_fork()
        _keep_finalizers()
    control.send(json.dumps({"problem": problem}).encode())
    if problem:
        os._exit(1)
    taken = _fork_ahead(control) if mode == "fork" else None
    message, descriptors, _, _ = socket.recv_fds(control, MAX_MESSAGE_BYTES, DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    if not message:
        os._exit(0)  # the launcher has closed, and nothing is to be tidied up
    log, report, right = descriptors
    if taken is not None:
        os.setsid()
        os.write(report, f"{os.getpid()}\n".encode())
        os.close(taken)
    control.close()
    request = Request(**json.loads(message))
    _become(request, log)
    if not os.read(right, 1):
        os._exit(1)  # it took too long: another process has the task
    os.write(report, STARTED)
    os.close(report)
    os.close(right)
    _forget(request.module)
    status = 0
    try:
        runpy.run_module(request.module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = exit_status(ended.code)
    except KeyboardInterrupt:
        raise  # Python reports it and dies of SIGINT
    except BaseException:  # noqa: BLE001 - as Python itself
        sys.excepthook(*sys.exc_info())
        status = 1
    _exit(status)


def _import(modules: Sequence[str]) -> str:
    """Import the modules; return what went wrong, or an empty text."""
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a module raises: the task, in a fresh process, reports it in full
            return f"import {name}: {type(error).__name__}: {error}"
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)  # else each child would write what libraries have left in their buffers
    gc.collect()
    gc.freeze()
    return ""


def _keep_finalizers() -> None:
    """Keep the modules' cleanup at exit in this process instead of each task (with torch: 40 ms, its operators)."""
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        finalizer.atexit = False


def _cannot_fork() -> str:
    """Return what would not survive a fork; empty if everything does."""
    threads = len(os.listdir("/proc/self/task")) - 1
    if threads:
        return f"importing started {threads} threads"
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(link)
        except FileNotFoundError:  # the listing's own
            continue
        if target.startswith(("/dev/nvidia", "/dev/kfd", "/dev/xpu")):
            return f"importing opened {target}"
    return ""


def _use_large_pages() -> None:
    """Move this process's own memory into pages of 2 MB, so that a fork copies 500 times fewer entries. With torch: a fork takes 17 ms of
    processor time, not 52, and this a second, once. A kernel older than Linux 6.1 does not do it, and nothing is lost."""
    libc = ctypes.CDLL(None)
    until = time.monotonic() + _LARGE_PAGES_WITHIN_S
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights, _, _, inode, *name = line.split(maxsplit=5)
        if not rights.startswith("rw-p") or inode != "0" or name not in ([], ["[heap]"]):
            continue
        start, end = (int(address, 16) // _LARGE_BYTES * _LARGE_BYTES for address in span.split("-"))
        for at in range(start + _LARGE_BYTES, end, _PIECE_BYTES):
            if time.monotonic() > until:
                return
            libc.madvise(ctypes.c_void_p(at), ctypes.c_size_t(min(end - at, _PIECE_BYTES)), _MADV_COLLAPSE)


def _fork_ahead(control: socket.socket) -> int:
    """Return in each child, with the descriptor to close when it has a task. This process stays here and then makes the next child."""
    tasks = 0
    while True:
        taken, end = os.pipe()
        if _fork():
            os.close(taken)
            return end
        os.close(end)
        os.read(taken, 1)  # nothing is ever written: it returns when the child has closed its end, or is gone
        os.close(taken)
        try:
            if not control.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                os._exit(0)  # the launcher has closed
        except BlockingIOError:
            pass
        tasks += 1
        if tasks == _MANY_TASKS:
            _use_large_pages()


def _fork() -> bool:
    """Return true in a child that the launcher has adopted, False in this process."""
    try:
        between = os.fork()
        if between:
            if os.waitpid(between, 0)[1] != 0:
                os._exit(1)
            return False
        between = os.getpid()
        if os.fork():
            os._exit(0)
    except OSError:  # no memory or no number left: the launcher sees its socket closed
        os._exit(1)
    while os.getppid() == between:
        time.sleep(_WAIT_FOR_ADOPTION_S)
    return True


def _become(request: Request, log: int) -> None:
    """Make this process what a fresh one would be before its first import."""
    for name, value in request.environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    depends_on = os.environ.get(PARENT_VARIABLE, "")
    die_with_parent()  # now and not when the task gets there; a standby process does already
    os.environ[PARENT_VARIABLE] = depends_on
    os.chdir(request.cwd)
    sys.argv[1:] = request.arguments
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # paddle handles it from its import on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()  # else every child would draw the same; Python's own generator looks after itself


def _forget(module: str) -> None:
    """`python -m` finds the module not yet imported (runpy warns of one that is)."""
    if not hasattr(sys.modules.get(module), "__path__"):
        sys.modules.pop(module, None)
    sys.modules.pop(f"{module}.__main__", None)


def _exit(status: int) -> None:
    """End as Python does, without taking the modules down."""
    for finish in (threading._shutdown, atexit._run_exitfuncs):  # type: ignore[attr-defined] # multiprocessing's children end so
        try:
            finish()
        except BaseException:  # noqa: BLE001 - as Python itself: reported, and the exit continues
            sys.excepthook(*sys.exc_info())
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # None, a full disk, closed
            status = status or _NOT_FLUSHED
    ctypes.CDLL(None).fflush(None)
    os._exit(status)


if __name__ == "__main__":
    main()
