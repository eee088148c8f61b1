"""Interpreter of each backend. A backend whose packages conflict with ours has an environment of its own, built by `runner backend install`
(see `install.py`) or by the user (config key `backend_python`). Nothing here imports a framework."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import runner
from runner.core.errors import InputError, Problem, how_to_install
from runner.core.files import atomic_write_json, read_json
from runner.core.importing import child_environment, find_program
from runner.core.typed import Name, build
from runner.environments.specs import SPECS, EnvironmentSpec

PLACE_VARIABLE = "RUNNER_ENVIRONMENTS"
_ANSWER_TIMEOUT_S = 30  # takes 0.1 s; a network file system may be slow
_OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Environment:
    """Interpreter of a backend.

    Args:
        python: absolute path; not resolved, since a virtual environment's is a link.
        origin: ``given`` by the user, ``this`` interpreter, or ``installed`` by `runner backend install`.
    """

    python: Path
    origin: Literal["given", "this", "installed"]


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """Content of ``NAME.json`` about an installed environment; replacing this file activates an environment.

    Args:
        directory: its folder's name, beside the file.
        wish: the request (see `install.wish_of`).
        gpu: whether it has a GPU build.
        versions: every distribution in it.
        made: time of installation, ISO 8601; seconds: its duration.
        check: result of the smoke test.
        linked: whether `runner` is a link there; else it is a copy.
    """

    directory: Name
    wish: dict[str, Any]
    gpu: bool
    versions: dict[str, str]
    made: str
    seconds: float
    check: dict[str, Any]
    linked: bool

    def write(self, path: Path) -> None:
        """Replace the previous record by this one."""
        atomic_write_json(path, asdict(self), indent=1)


@dataclass(frozen=True, slots=True)
class Installed:
    """Installed environment, and what is wrong with it (empty: nothing)."""

    folder: Path
    record: EnvironmentRecord | None
    problem: str

    @property
    def python(self) -> Path:
        """Its interpreter, by an absolute path."""
        return python_in(self.folder)


@dataclass(frozen=True, slots=True)
class _Answer:
    """Answer of an interpreter about itself. `distributions` has normalised names."""

    python: tuple[int, ...]
    distributions: dict[str, str]
    modules: tuple[str, ...]
    runner: str | None
    runner_folder: str


def interpreter(backend: str, given: str | None = None) -> Environment:
    """Find the interpreter for `backend`: `given`; this one, if it has the backend's packages or the backend needs none of its own; the
    installed one.

    Raises:
        InputError: there is none, or it cannot be used; the message says what to do.
    """
    spec = SPECS.get(backend)
    if given:
        return Environment(_given(backend, spec, given), "given")
    if spec is None or has_modules(spec.modules):
        return Environment(Path(sys.executable), "this")
    found = installed(backend)
    if found is None:
        how = f"runner backend install {backend} (about {spec.size_gib:g} GiB, {spec.minutes} minutes), or give backend_python"
        message = f"the backend {backend} needs an environment of its own: {how}"
        raise InputError(Problem(message, key="backend"))
    if found.problem:
        message = f"the environment of the backend {backend} is broken: {found.problem}; runner backend install {backend} makes it anew"
        raise InputError(Problem(message, key="backend"))
    return Environment(found.python, "installed")


def versions(python: Path, packages: Sequence[str]) -> dict[str, str]:
    """Map distribution to version for those of `packages` that `python` has; asked once per process.

    Raises:
        InputError: it does not start, or is not a Python interpreter.
    """
    found = _ask(python, ()).distributions if packages else {}
    return {name: found[key] for name in packages if (key := _normalised(name)) in found}


def folder() -> Path:
    """Return the folder of environments: ``$RUNNER_ENVIRONMENTS``, else ``share/runner/environments`` of this Python's prefix if that is
    writable, else the user's data folder."""
    return _places()[0]


def _places() -> list[Path]:
    if named := os.environ.get(PLACE_VARIABLE):
        return [Path(os.path.abspath(Path(named).expanduser()))]
    ours = Path(sys.prefix) / "share" / "runner" / "environments"
    users = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "runner" / "environments"
    return [ours] if os.access(sys.prefix, os.W_OK) else [users, ours]  # an administrator's installation can be used


def record_file(backend: str) -> Path:
    """Return the path of an environment's record: in the first place that has one, else in `folder`."""
    files = [place / f"{backend}.json" for place in _places()]
    return next((file for file in files if file.exists()), files[0])


def python_in(environment: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return environment / "bin" / "python"


def installed(backend: str) -> Installed | None:
    """Check the environment that `runner backend install` built; None if there is none. Takes about 0.1 s."""
    file = record_file(backend)
    if backend not in SPECS or not file.exists():
        return None
    record = build(EnvironmentRecord, read_json(file))
    if record is None:
        return Installed(file.parent, None, f"{file} is damaged")
    home = file.parent / record.directory
    return Installed(home, record, _what_is_wrong(home, record, SPECS[backend]))


def _what_is_wrong(home: Path, record: EnvironmentRecord, spec: EnvironmentSpec) -> str:
    if not python_in(home).exists():
        return f"{python_in(home)} is gone"
    try:
        answer = _ask(python_in(home), spec.modules)
    except InputError as error:
        return str(error)
    lost = [name for name in record.versions if name not in answer.distributions]
    lost += [name for name in spec.modules if name not in answer.modules]
    if lost:
        return f"no longer in {home}: {', '.join(lost)}"
    if answer.runner is None:
        return f"runner can no longer be imported in {home}"
    if answer.runner != runner.__version__:
        return f"{home} has runner {answer.runner}, this is {runner.__version__}"
    if record.linked and Path(answer.runner_folder).resolve() != package_folder():
        return f"{home} belongs to the runner in {answer.runner_folder}, this is the one in {package_folder()}"
    return ""


def package_folder() -> Path:
    """Return the folder of the running `runner` package."""
    return Path(runner.__file__).resolve().parent


def has_modules(modules: Sequence[str]) -> bool:
    """Return whether this interpreter could import all of `modules`; none is imported."""
    specs = map(importlib.util.find_spec, modules)
    return all(spec is not None and spec.origin is not None for spec in specs)  # a mere folder of that name has no origin


def _given(backend: str, spec: EnvironmentSpec | None, text: str) -> Path:
    """Check the interpreter that the user named."""
    path = Path(os.path.abspath(Path(text).expanduser()))
    if os.sep not in text and not path.exists():
        path = Path(find_program(text) or path)
    if not path.exists():
        raise InputError(Problem(f"{path} does not exist; give the path of a Python interpreter", key="backend_python"))
    if path.is_dir():
        inside = f": {python_in(path)}" if python_in(path).exists() else ""
        raise InputError(Problem(f"{path} is a folder; give the path of a Python interpreter{inside}", key="backend_python"))
    try:
        answer = _ask(path, spec.modules if spec else ())
    except InputError as error:
        raise InputError(Problem(str(error), key="backend_python")) from error
    if reasons := list(_unfit(backend, spec, answer)):
        raise InputError(Problem(f"{path} {reason}", key="backend_python") for reason in reasons)
    return path


def _unfit(backend: str, spec: EnvironmentSpec | None, answer: _Answer) -> list[str]:
    found = ".".join(map(str, answer.python))
    if spec is not None and answer.python[:2] != spec.python:
        wanted = ".".join(map(str, spec.python))
        return [f"is Python {found}; the backend {backend} needs Python {wanted}: {spec.why_python}"]
    if answer.python[:2] < _OLDEST_PYTHON:
        return [f"is Python {found}; runner needs {'.'.join(map(str, _OLDEST_PYTHON))} or newer"]
    advice = f"{how_to_install(f'.[{backend}]')} {runner.__version__}, by that Python"
    lacking = [name for name in (spec.modules if spec else ()) if name not in answer.modules]
    reasons = [f"has no {' and no '.join(lacking)}: {advice}"] if lacking else []
    if answer.runner is None:
        reasons.append(f"has no runner: {advice}")
    elif answer.runner != runner.__version__:
        reasons.append(f"has runner {answer.runner or 'of another kind'}, this is {runner.__version__}: {advice}")
    return reasons


_QUESTION = """
import json, sys
answer = {"python": list(sys.version_info[:3])}
if sys.version_info >= (3, 8):
    sys.path[:] = [place for place in sys.path if place]
    import os
    from importlib import metadata, util
    answer["distributions"] = {one.metadata["Name"] or "": one.version for one in reversed(list(metadata.distributions()))}
    specs = {name: util.find_spec(name) for name in sys.argv[1:]}
    answer["modules"] = [name for name, spec in specs.items() if spec is not None and spec.origin is not None]
    try:
        import runner
        answer["runner"] = str(getattr(runner, "__version__", ""))
        answer["runner_folder"] = os.path.dirname(runner.__file__ or "")
    except ImportError:
        pass
print(json.dumps(answer))
"""


@functools.lru_cache(maxsize=32)
def _ask(python: Path, modules: tuple[str, ...]) -> _Answer:
    """Start `python` once and let it describe itself.

    It may be too old to know ``-P``, so it starts in the root folder, which is not the user's.

    Raises:
        InputError: it does not start, or is not a Python interpreter.
    """
    try:
        command = [str(python), "-c", _QUESTION, *modules]
        done = subprocess.run(
            command,
            cwd=python.anchor,
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=_ANSWER_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{python} is not a Python interpreter, or hangs: it did not answer within {_ANSWER_TIMEOUT_S} s") from error
    except OSError as error:
        raise InputError(f"{python} does not start: {error.strerror}") from error
    try:
        data = json.loads(done.stdout)
        return _Answer(
            python=tuple(data["python"]),
            distributions={_normalised(name): version for name, version in data.get("distributions", {}).items()},
            modules=tuple(data.get("modules", ())),
            runner=data.get("runner"),
            runner_folder=data.get("runner_folder", ""),
        )
    except (ValueError, TypeError, KeyError) as error:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1][:200]
        raise InputError(f"{python} is not a working Python interpreter: {said}") from error


def python_version(python: Path) -> tuple[int, ...]:
    """Return (major, minor, micro) of an interpreter.

    Raises:
        InputError: it does not start, or is not a Python interpreter.
    """
    return _ask(python, ()).python


def distributions(python: Path) -> dict[str, str]:
    """Map every distribution that `python` has, by normalised name, to its version.

    Raises:
        InputError: it does not start, or is not a Python interpreter.
    """
    return dict(_ask(python, ()).distributions)


def forget() -> None:
    """Clear the cached answers, because an environment was changed."""
    _ask.cache_clear()


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
