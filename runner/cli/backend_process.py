"""Commands that need a backend in their own process run by the interpreter that has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from runner.core.importing import child_environment
from runner.environments.interpreters import interpreter

_MOVED = "RUNNER_MOVED"
"""Set for the process that `run_where_backend_is` starts, which must not replace itself again."""


def run_where_backend_is(backend: str, backend_python: str | None) -> None:
    """Replace this process by the same command under the interpreter that has the backend, if that is another one.

    Raises:
        InputError: the backend has no environment.
    """
    place = interpreter(backend, backend_python)
    if place.origin == "this" or place.python == Path(sys.executable) or os.environ.get(_MOVED):
        return
    command, environment = [str(place.python), "-P", "-m", "runner", *sys.argv[1:]], child_environment({_MOVED: "1"})
    if os.name == "posix":
        os.execve(place.python, command, environment)
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)
