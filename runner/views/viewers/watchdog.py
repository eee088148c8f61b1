"""Runs a viewer for as long as its owner lives: ``python watchdog.py FOLDER COMMAND…``, a pipe from the owner as stdin.

The pipe closes when the owner closes it or ends in any way, also by SIGKILL. The watchdog, which leads a process group of
its own, then ends the whole group (viewers start helpers) and removes FOLDER. Standard library only; run as a script.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

GRACE_S = 3.0
"""How long a viewer may take to end by itself before it is killed."""

_POLL_S = 0.1


def main(arguments: list[str]) -> int:
    """Start the command; wait until it ends, or until stdin or a SIGTERM says that it must.

    Returns the command's exit status. If it had to be ended, this does not return: the whole group ends, including this process.
    """
    folder, command = arguments[0], arguments[1:]
    told: list[str] = []
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: told.append("signal"))  # after the start, or the viewer would inherit it
    threading.Thread(target=lambda: told.append(f"pipe {os.read(0, 1)!r}"), daemon=True).start()
    while child.poll() is None and not told:
        time.sleep(_POLL_S)
    by_itself = not told  # looked up first: the signal below reaches this process too
    os.killpg(0, signal.SIGTERM)
    if by_itself:
        return child.wait()
    deadline = time.monotonic() + GRACE_S
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    shutil.rmtree(folder, ignore_errors=True)  # links in it are removed, not followed
    os.killpg(0, signal.SIGKILL)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
