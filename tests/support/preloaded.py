"""A process that has imported a framework once and forks a worker for each line it is given, so that each test does not pay for importing.

    python -P tests/support/preloaded.py MODULE…

stdin:  {"run_dir": PATH, "signal": NUMBER or null, "after_s": SECONDS, "twice": BOOL, "file_limit": BYTES or null}, one a line
stdout: {"returncode": as subprocess has it, "seconds": …}, one a line

The signal is sent `after_s` after the fork (and once more right away if "twice"), unless the worker has ended before.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from runner.core.importing import child_environment
from runner.store.run_dir import RunDir


class Preloaded:
    """The process, and a worker of it for each call.

    Args:
        python: the interpreter.
        modules: what it imports.
        cwd: where it stands.
        env: variables on top of this process's.
    """

    def __init__(self, python: Path | str, modules: Sequence[str], cwd: Path, env: dict[str, str] | None = None) -> None:
        self.cwd = cwd
        argv = [str(python), "-P", __file__, *modules]
        merged = child_environment({"OMP_NUM_THREADS": "1"}, env or {})
        self._process = subprocess.Popen(argv, cwd=cwd, env=merged, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._read() == {"ready": True}

    def __call__(
        self, run: RunDir, *, number: int | None = None, after_s: float = 0.0, twice: bool = False, file_limit: int | None = None
    ) -> int:
        """Work on a run. Returns what `subprocess` would have.

        Args:
            number: a signal sent `after_s` after the start, and once more right away if `twice`.
            file_limit: no file may grow beyond so many bytes, as on a full disk.
        """
        assert self._process.stdin is not None
        command = {"run_dir": str(run.path), "signal": number, "after_s": after_s, "twice": twice, "file_limit": file_limit}
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        self.seconds: float = answer["seconds"]
        code: int = answer["returncode"]
        return code

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(timeout=60) == 0
        self._process.stdout.close()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the preloaded process has died"
        return json.loads(line)


def _child(command: dict[str, Any]) -> None:
    """Be the worker; never returns."""
    os.setsid()
    log = os.open(os.path.join(command["run_dir"], "worker.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if command.get("file_limit"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (command["file_limit"], command["file_limit"]))
    code = 70
    try:
        from runner.worker.main import main  # noqa: PLC0415 - after the fork

        code = main([command["run_dir"]])
    finally:
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    """Answer each line."""
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _child(command)
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
    with redirect_stdout(sys.stderr):  # some print while they are imported
        for name in sys.argv[1:]:
            importlib.import_module(name)
    _serve()
