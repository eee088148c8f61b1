"""Location of each backend without an interpreter in the config, for display."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from runner.backends.base import BACKENDS
from runner.core.errors import InputError
from runner.environments import interpreters as environments
from runner.environments.specs import SPECS


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """Location of a backend.

    Args:
        state: ``this interpreter``, ``installed``, ``broken`` or ``not installed``.
        python: its interpreter, None if there is none.
        folder: the installed environment, if there is one.
        versions: of its packages.
        gpu: whether the framework is a GPU build; None where that is not known without starting it.
        problem: what is wrong with it and what to do; empty if nothing is.
    """

    state: str
    python: Path | None = None
    folder: Path | None = None
    versions: dict[str, str] = field(default_factory=dict)
    gpu: bool | None = None
    problem: str = ""


def backend_status(backend: str) -> BackendStatus:
    """Find the interpreter of a backend. Starts one interpreter at most and loads no framework."""
    spec = SPECS.get(backend)
    this = Path(sys.executable)
    if spec is None:
        return _in_this(backend, this)
    if environments.has_modules(spec.modules):
        found = environments.versions(this, spec.shown)
        return BackendStatus("this interpreter", this, versions=found, gpu=any(name.endswith("-gpu") for name in found))
    installed = environments.installed(backend)
    if installed is None:
        return BackendStatus("not installed")
    home = installed.folder if installed.record else None
    if installed.problem or installed.record is None:
        return BackendStatus("broken", None, home, problem=f"{installed.problem}; runner backend install {backend} makes it anew")
    found = environments.versions(installed.python, spec.shown)
    return BackendStatus("installed", installed.python, home, found, installed.record.gpu)


def _in_this(backend: str, this: Path) -> BackendStatus:
    try:
        packages = BACKENDS.get(backend).packages[:2]  # the framework comes first
        found = environments.versions(this, packages)
    except InputError as error:  # a third party's that cannot be loaded
        return BackendStatus("broken", problem=str(error))
    return BackendStatus("this interpreter", this, versions=found) if found or not packages else BackendStatus("not installed")
