"""What a warm process does: imports modules, then waits for a task. `runner.launch.warm` starts and asks it.

    python -m runner.launch.warm_process fork|standby NUMBER MODULE…

Over the socket NUMBER it says how the import went. A task comes as one message (see `Request`) with three descriptors: the task's log;
a pipe to report on; and a pipe with one byte in it, which either the process that is to run the task takes, or the launcher when it has
lost patience, so that no task runs twice. A standby process becomes the task. A parent forks twice and stays: the grandchild, an orphan
at once, is adopted by the launcher, which so has a child like any other.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.core.process import PARENT_VARIABLE, die_with_parent

MAX_MESSAGE_BYTES = 1 << 16
DESCRIPTORS = 3
STARTED = b"started\n"
_WAIT_FOR_ADOPTION_S = 0.0005


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
    """Import, wait, and return as the task: what follows is its life."""
    mode, number, *modules = sys.argv[1:]
    die_with_parent()
    path_entry = sys.path[0]
    control = socket.socket(fileno=int(number))
    problem = _import(modules) or (_cannot_fork() if mode == "fork" else "")
    control.send(json.dumps({"problem": problem}).encode())
    if problem:
        os._exit(1)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MAX_MESSAGE_BYTES, DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        if not message:
            os._exit(0)  # the launcher has closed, and nothing is to be tidied up
        log, report, right = descriptors
        if mode == "standby" or _fork(report):
            break
        for descriptor in descriptors:
            os.close(descriptor)
    control.close()
    request = Request(**json.loads(message))
    _become(request, log, None if sys.flags.safe_path else path_entry)
    if not os.read(right, 1):
        os._exit(1)  # it took too long: the task has been given to another
    os.write(report, STARTED)
    os.close(report)
    os.close(right)
    _forget(request.module)
    runpy.run_module(request.module, run_name="__main__", alter_sys=True)


def _import(modules: Sequence[str]) -> str:
    """Import them; what went wrong."""
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a module raises: the task, in a fresh process, will tell it in full
            return f"import {name}: {type(error).__name__}: {error}"
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)  # else each child would write what libraries have left in their buffers
    return ""


def _cannot_fork() -> str:
    """What would not survive in a child, if there is something."""
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


def _fork(report: int) -> bool:
    """True in the child that is to run the task, False in this process."""
    try:
        between = os.fork()
        if between:
            os.waitpid(between, 0)
            return False
    except OSError:  # no memory or no number left: the launcher sees the report closed
        return False
    try:
        between = os.getpid()
        child = os.fork()
        if child:
            os.write(report, f"{child}\n".encode())
    except OSError:
        os._exit(1)
    if child:
        os._exit(0)
    os.setsid()
    while os.getppid() == between:
        time.sleep(_WAIT_FOR_ADOPTION_S)
    return True


def _become(request: Request, log: int, path_entry: str | None) -> None:
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
    if path_entry is not None:
        sys.path[sys.path.index(path_entry)] = os.getcwd()
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


if __name__ == "__main__":
    main()
