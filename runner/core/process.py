"""Process lifetime: a child that must not outlive its parent, and identities that survive reused process ids."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
import threading
import time

PARENT_VARIABLE = "RUNNER_PARENT_PID"
"""Environment variable by which a launcher passes its process id to a child that depends on it."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_WATCH_INTERVAL_S = 1.0


def die_with_parent() -> bool:
    """Make the kernel kill this process once the launcher that started it is gone. Call it first thing in a child.

    The child asks for it itself, since code run between fork and exec (`preexec_fn`) can deadlock in a threaded
    parent. A parent that died before the call is noticed by its process id, so there is no gap. Where the kernel is not Linux or
    does not do it, a thread checks once per second.

    Returns:
        Whether this process now depends on another: False if no launcher asked for it (then nothing was done).
    """
    text = os.environ.pop(PARENT_VARIABLE, "")  # it is meant for this process, not for the children it may start
    if not text.isdigit():
        return False
    parent = int(text)
    if not _ask_kernel():
        threading.Thread(target=_watch, args=(parent,), daemon=True, name="die-with-parent").start()
    if os.getppid() != parent:
        print("runner: the process that started this one is gone: ending", file=sys.stderr, flush=True)
        os._exit(1)
    return True


def adopt_orphans(adopt: bool = True) -> None:
    """Become the parent of processes below this one whose own parent ends, instead of init, and so reap them; or no longer. Linux only.

    Raises:
        OSError: the kernel does not do it.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, int(adopt))


def process_mark(pid: int) -> str:
    """Return what distinguishes the process with the id `pid` from all others that had or will have this id, whatever the clock does.

    It is the start time in the kernel's ticks, and the boot of the machine. Empty if there is no such process, if it has ended and is only
    not reaped yet, and on systems other than Linux.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, *rest = file.read().rpartition(b")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return "" if state in (b"Z", b"X") else f"{boot}:{int(rest[18])}"
    except (OSError, ValueError, IndexError):
        return ""


def ran_here(host: str, mark: str) -> bool:
    """Return whether a process with this host and `process_mark` ran on this host or under this kernel (in a container of another name)."""
    boot = mark.partition(":")[0]
    return host == platform.node() or (boot != "" and boot == process_mark(os.getpid()).partition(":")[0])


def exit_status(code: object) -> int:
    """Return the exit status of a process after `sys.exit(code)`; a text is printed."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _ask_kernel() -> bool:
    """Ask the kernel to kill this process when its parent ends; return whether it will."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    except OSError:  # a sandbox
        return False
    return True


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_INTERVAL_S)
    os._exit(1)
