"""Commands that need a backend in their own process run by the interpreter that has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from runner.core.importing import child_environment
from runner.environments.interpreters import interpreter

_MOVED = "RUNNER_MOVED"
"""Set for the process that `go_where_it_runs` starts, which does not go anywhere else."""


def go_where_it_runs(backend: str, backend_python: str | None) -> None:
    """Run this very command again by the interpreter whose environment has the backend, if that is another one. Does not return then.

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
