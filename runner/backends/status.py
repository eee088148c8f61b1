"""Location of each backend without an interpreter in the config, for display."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from runner.backends.base import BACKENDS
from runner.core.errors import InputError
from runner.environments import interpreters as environments
from runner.environments.specs import RECIPES


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Location of a backend.

    Args:
        where: ``this interpreter``, ``installed``, ``broken`` or ``not installed``.
        python: its interpreter, None if there is none.
        folder: the installed environment, if there is one.
        versions: of its packages.
        gpu: whether the framework is a GPU build; None where nobody knows without starting it.
        problem: what is wrong with it and what to do; empty if nothing is.
    """

    where: str
    python: Path | None = None
    folder: Path | None = None
    versions: dict[str, str] = field(default_factory=dict)
    gpu: bool | None = None
    problem: str = ""


def whereabouts(backend: str) -> Whereabouts:
    """Look; at most one interpreter is started, no framework is loaded."""
    recipe = RECIPES.get(backend)
    this = Path(sys.executable)
    if recipe is None:
        return _in_this(backend, this)
    if environments.has_modules(recipe.modules):
        found = environments.versions(this, recipe.shown)
        return Whereabouts("this interpreter", this, versions=found, gpu=any(name.endswith("-gpu") for name in found))
    installed = environments.installed(backend)
    if installed is None:
        return Whereabouts("not installed")
    home = installed.folder if installed.record else None
    if installed.problem or installed.record is None:
        return Whereabouts("broken", None, home, problem=f"{installed.problem}; runner backend install {backend} makes it anew")
    found = environments.versions(installed.python, recipe.shown)
    return Whereabouts("installed", installed.python, home, found, installed.record.gpu)


def _in_this(backend: str, this: Path) -> Whereabouts:
    try:
        packages = BACKENDS.get(backend).packages[:2]  # the framework comes first
        found = environments.versions(this, packages)
    except InputError as error:  # a third party's that cannot be loaded
        return Whereabouts("broken", problem=str(error))
    return Whereabouts("this interpreter", this, versions=found) if found or not packages else Whereabouts("not installed")
