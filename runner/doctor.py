"""Report on this machine and environment: what `runner` finds, what is missing, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from runner.backends.base import BACKENDS, DEFAULT_BACKEND
from runner.backends.status import backend_status
from runner.backends.torch.models.base import MODELS
from runner.core.errors import RunnerError, how_to_install
from runner.core.registry import Registry
from runner.core.values import GIB
from runner.data.choice import dataset_choice
from runner.data.formats import FORMATS
from runner.data.spec import data_root, spec_names
from runner.environments.specs import EXTRAS, SPECS
from runner.launch.base import LAUNCHERS
from runner.launch.machine import available_cores
from runner.resolve.autos import probe_backend
from runner.search.base import DESIGNS
from runner.trackers.base import TRACKERS
from runner.views.page.cache_file import cache_folder
from runner.views.page.server import PACKAGES, REQUIREMENT
from runner.views.renderers.base import RENDERERS

_NEEDING_PACKAGES: tuple[Registry[Any], ...] = (DESIGNS, TRACKERS)
_REGISTRIES: tuple[Registry[Any], ...] = (BACKENDS, MODELS, LAUNCHERS, TRACKERS, DESIGNS, FORMATS, RENDERERS)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of the report. `good` is False for what keeps the default config from training, and for what is there and broken."""

    what: str
    text: str
    good: bool = True


def findings() -> Iterator[Requirement]:
    """Look at the interpreter, the machine, each backend and viewer, the data. Loads the framework, in a process of its own."""
    yield Requirement("python", f"{platform.python_version()} on {platform.platform()}")
    yield Requirement("cores", f"{available_cores()} usable of {os.cpu_count()}")
    free_gib = shutil.disk_usage(Path.cwd()).free / GIB
    yield Requirement("disk", f"{free_gib:.0f} GiB free here" + ("" if free_gib > 1 else ": too little for checkpoints"), good=free_gib > 1)
    yield Requirement(
        "writable",
        f"{Path.cwd()}" + ("" if os.access(Path.cwd(), os.W_OK) else " cannot be written: runs go to ./runs"),
        os.access(Path.cwd(), os.W_OK),
    )
    yield from _default_backend()
    for name in SPECS:
        yield from _own_environment(name)
    for registry in _NEEDING_PACKAGES:
        for _, plugin in registry.usable():
            for package in plugin.packages:
                yield _package(package, plugin.requirement)
    for package in PACKAGES:
        yield _package(package, REQUIREMENT)
    yield _page_cache()
    for registry in _REGISTRIES:
        for problem in registry.problems():
            yield Requirement("plug-in", problem, good=False)
    for name in spec_names():
        choice = dataset_choice(name)
        yield Requirement(
            f"data set {name}", "prepared" if choice.prepared else "made at first use" if choice.made_on_first_use else "not prepared"
        )
    yield Requirement("data folder", str(data_root()))


def _default_backend() -> Iterator[Requirement]:
    try:
        probe = probe_backend(DEFAULT_BACKEND, Path(sys.executable))
    except RunnerError as error:
        yield Requirement(f"backend {DEFAULT_BACKEND}", f"{error}; {how_to_install(EXTRAS[DEFAULT_BACKEND])}", good=False)
        return
    yield Requirement(f"backend {DEFAULT_BACKEND}", ", ".join(f"{name} {version}" for name, version in probe.versions.items() if version))
    yield Requirement("gpu", ", ".join(probe.gpus) + f" (driver {probe.driver})" if probe.gpus else f"none: {probe.gpu_problem}")


def _own_environment(name: str) -> Iterator[Requirement]:
    """Yield a backend that has an environment of its own."""
    label = f"backend {name}"
    found = backend_status(name)
    if found.problem:
        yield Requirement(label, f"broken: {found.problem}", good=False)
    elif found.python is None:
        yield Requirement(label, f"not installed (optional): runner backend install {name}")
    else:
        try:
            probe = probe_backend(name, found.python)
        except RunnerError as error:
            yield Requirement(label, f"{found.python}: {error}", good=False)
            return
        yield Requirement(label, f"{', '.join(f'{package} {version}' for package, version in found.versions.items())} in {found.python}")
        yield Requirement(f"gpu for {name}", ", ".join(probe.gpus) or f"none: {probe.gpu_problem}")


def _page_cache() -> Requirement:
    """Return what the page remembers of runs, which may be deleted at any time."""
    folder = cache_folder()
    files = [file for file in folder.glob("*") if file.is_file()]
    size_mib = sum(file.stat().st_size for file in files) / 2**20
    return Requirement("cache of the page", f"{size_mib:.1f} MiB in {folder}" if files else f"empty: {folder}")


def _package(package: str, requirement: str) -> Requirement:
    try:
        return Requirement(package, metadata.version(package))
    except metadata.PackageNotFoundError:
        return Requirement(package, f"not installed (optional): {how_to_install(requirement)}")
