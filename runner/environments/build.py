"""Builder of a backend's environment: a virtual environment, its packages, `runner` itself, and a smoke test."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from runner.core.errors import RunnerError, how_to_install
from runner.core.process import PARENT_VARIABLE
from runner.core.shipped import shipped
from runner.environments import interpreters as environments
from runner.environments.interpreters import EnvironmentRecord, python_in
from runner.environments.source_copy import SourceCheckout
from runner.environments.specs import EnvironmentSpec

Progress = Callable[[str, float], None]
"""Callback, several times per second, with the stage and its seconds so far."""

_DISTRIBUTION = "detection-runner"
_SHOWN_LINES = 8
_SHOWN_LETTERS = 200  # of a line
_LOOK_INTERVAL_S = 0.2
_KILL_GRACE_S = 5.0
_RUN_MODULE = (
    "import runpy, sys; from runner.core.process import die_with_parent; die_with_parent(); del sys.argv[0]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


class Builder:
    """Builder of an environment in one new folder."""

    def __init__(self, backend: str, spec: EnvironmentSpec, home: Path, log: Path, progress: Progress) -> None:
        self._backend = backend
        self._spec = spec
        self._home = home
        self._log = log
        self._progress = progress

    def build(self, base: Path, wish: dict[str, Any], index: str, source: SourceCheckout | None = None) -> EnvironmentRecord:
        """Build the environment from the interpreter `base`, with a package from its source if there is one; return its record.

        Raises:
            RunnerError: a step failed; the caller deletes the folder.
        """
        started = time.time()
        self._log.write_bytes(b"")
        python = python_in(self._home)
        self._step("making the environment", [str(base), "-I", "-m", "venv", str(self._home)])
        site_packages = self._home / "lib" / f"python{'.'.join(map(str, self._spec.python))}" / "site-packages"
        linked = _put_runner(site_packages)
        pip = [str(python), "-I", "-c", _RUN_MODULE, "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
        pip += [f"--{name}={value}" for name, value in (("extra-index-url", index), ("constraint", constraints(self._spec))) if value]
        further = source.spec.packages if source is not None else ()
        self._step("installing packages", [*pip, wish["framework"], *self._spec.packages, *further, *own_requirements()])
        if source is not None:
            source.copy_to(site_packages)
        elif self._spec.bare:
            self._step("installing packages", [*pip, "--no-deps", *self._spec.bare])
        answer = self._home / "check.json"
        self._step("checking it with a training step", [str(python), "-I", "-c", _RUN_MODULE, self._spec.check, str(answer)])
        self._make_module_registry(python)
        return EnvironmentRecord(
            directory=self._home.name,
            wish=wish,
            gpu=wish["gpu"],
            versions=environments.distributions(python),
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(time.time() - started, 1),
            check=json.loads(answer.read_text(encoding="utf-8")),
            linked=linked,
        )

    def _make_module_registry(self, python: Path) -> None:
        module, _, function = self._spec.module_registry.partition(":")
        if module and importlib.util.find_spec(module) is not None:
            self._progress("reading what it can do", 0.0)
            getattr(importlib.import_module(module), function)(python)

    def _step(self, stage: str, command: Sequence[str]) -> None:
        """Run `command` in the new folder, in a process group that ends with this process; its output is written to the log."""
        started = time.monotonic()
        with self._log.open("ab") as log:
            start = log.tell()
            process = subprocess.Popen(
                command,
                cwd=self._home,
                env=_variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                while process.poll() is None:
                    self._progress(stage, time.monotonic() - started)
                    try:
                        process.wait(_LOOK_INTERVAL_S)
                    except subprocess.TimeoutExpired:
                        continue
            except BaseException:
                _end_group(process)
                raise
        if process.returncode != 0:
            raise RunnerError(self._failure(stage, process.returncode, start))

    def _failure(self, stage: str, code: int, start: int) -> str:
        with self._log.open("rb") as file:
            file.seek(start)
            text = file.read().decode("utf-8", "replace")
        reasons = {os.strerror(errno.ENOSPC): "the disk is full", "Retrying (Retry(": "a package index cannot be reached"}
        why = next((f": {reason}" for sign, reason in reasons.items() if sign in text), "")
        lines = [line for line in text.splitlines() if line.strip()][-_SHOWN_LINES:]
        head = f"the environment of {self._backend} could not be built: {stage} failed (exit code {code}){why}"
        return "\n".join([f"{head}; the last lines of {self._log}:", *(f"  {line[:_SHOWN_LETTERS]}" for line in lines)])


def own_requirements() -> list[str]:
    """Return the requirements of `runner` itself, without extras: from its installed metadata, or from pyproject.toml in a checkout that
    is not installed."""
    try:
        stated = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        project = environments.package_folder().parent / "pyproject.toml"
        if not project.is_file():
            raise RunnerError(f"the requirements of runner are not recorded; install it again: {how_to_install('.')}") from None
        stated = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [requirement for requirement in stated if "extra ==" not in requirement]


def _put_runner(site_packages: Path) -> bool:
    """Make the running `runner` importable there; return whether by a link (always the same code) or by a copy."""
    try:
        (site_packages / "runner").symlink_to(environments.package_folder(), target_is_directory=True)
    except OSError:  # a file system without links
        shutil.copytree(environments.package_folder(), site_packages / "runner", ignore=shutil.ignore_patterns("__pycache__"))
        return False
    return True


def _variables() -> dict[str, str]:
    """Return the variables for pip and the smoke test, without those that would redirect them to another environment."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX")}
    return {**kept, "PIP_USER": "0", "PYTHONNOUSERSITE": "1", PARENT_VARIABLE: str(os.getpid())}


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_KILL_GRACE_S)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
        return


def constraints(spec: EnvironmentSpec) -> Path:
    """Return the file of pins that comes with the program."""
    return shipped("constraints") / spec.constraints
