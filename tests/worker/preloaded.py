"""Not a test: a process that has imported the framework once and forks a worker for each line it is given, as warm parents will.

stdin:  {"run_dir": PATH, "signal": NUMBER or null, "after_s": SECONDS, "twice": BOOL}, one a line
stdout: {"returncode": as subprocess has it, "seconds": …}, one a line

The signal is sent `after_s` after the fork (and once more right away if "twice"), unless the worker has ended before.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import runner.backends.torch.loop  # noqa: F401 - what a worker would import
import runner.backends.torch.predict
import runner.evaluation
import runner.trackers.tensorboard
import runner.trackers.visualdl  # noqa: F401
from runner.worker import main


def child(command: dict[str, Any]) -> None:
    """Be the worker; never returns."""
    os.setsid()
    log = os.open(os.path.join(command["run_dir"], "worker.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 70
    try:
        code = main.main([command["run_dir"]])
    finally:
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Answer each line."""
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            child(command)
        deadline = started + command["after_s"] if command["signal"] else float("inf")
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() >= deadline:
                for _ in range(2 if command.get("twice") else 1):
                    os.kill(pid, command["signal"])
                    time.sleep(0.05 if command.get("twice") else 0)
                deadline = float("inf")
            time.sleep(0.002)
        print(json.dumps({"returncode": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - started}), flush=True)


if __name__ == "__main__":
    serve()
