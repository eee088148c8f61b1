"""Cleanup after a launcher whose process was killed: ends every process with its mark, children of children too.

    python -I -S guard.py MARK

A worker dies with the launcher by itself (`runner.core.process.die_with_parent`); what it has started may not. `LocalLauncher` starts this
on Linux and holds the other end of its stdin: a byte means that the launcher has closed and nothing is left, the end of the file that its
process is gone. Then every process whose environment held MARK when it began (``NAME=VALUE``) is killed. Loads nothing of the package.
"""

from __future__ import annotations

import os
import signal
import sys
import time

_INTERVAL_S = 0.05
_ROUNDS = 600
_CLEAN_ROUNDS = 3
"""Rounds without a find after which it is done: a process that is just becoming another shows no environment for a moment."""


def main(mark: str) -> None:
    """Wait for the launcher's end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when the launcher ends
    if os.read(0, 1):
        return
    clean = 0
    for _ in range(_ROUNDS):
        clean = 0 if _kill_all(mark.encode()) else clean + 1
        if clean == _CLEAN_ROUNDS:
            break
        time.sleep(_INTERVAL_S)


def _kill_all(mark: bytes) -> bool:
    """Kill every process with the mark; return whether there was one."""
    found = False
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if mark in file.read().split(b"\0"):
                    os.kill(int(name), signal.SIGKILL)
                    found = True
        except OSError:
            pass  # another user's, or gone
    return found


if __name__ == "__main__":
    main(sys.argv[1])
