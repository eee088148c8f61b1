"""Installation and removal of backend environments. A new one is built in a folder of its own, checked, and activated by replacing one
small file (`EnvironmentRecord`); a killed installation leaves the old one in use, and a folder that the next call deletes."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from runner.core.errors import InputError, Problem, RunnerError, how_to_install, nearest
from runner.core.files import open_regular, read_json
from runner.core.importing import find_program
from runner.core.values import GIB
from runner.environments import interpreters as environments
from runner.environments.build import Builder, Progress, constraints
from runner.environments.interpreters import EnvironmentRecord, installed
from runner.environments.source_copy import SourceCheckout, read_checkout
from runner.environments.specs import EXTRAS, SPECS, EnvironmentSpec

_RANDOM = "?" * 8  # what tempfile.mkdtemp adds to a prefix
_SPARE = 1.5  # what pip downloads and unpacks lies beside what it installs


@dataclass(frozen=True, slots=True)
class Outcome:
    """Environment that is ready. `fresh` is False if it existed already."""

    folder: Path
    record: EnvironmentRecord
    fresh: bool


def install(
    backend: str,
    *,
    gpu: bool = False,
    index: str = "",
    python: str = "",
    source: Path | None = None,
    force: bool = False,
    progress: Progress = lambda _stage, _seconds: None,
) -> Outcome:
    """Build the environment of `backend`, check it, and activate it; do nothing if the same one exists and is intact.

    Args:
        gpu: install the framework's GPU build.
        index: address of a further package index, which has a newer GPU build.
        python: interpreter to build it from; default: this one or ``python3.11``, whichever has the required version.
        source: checkout of the package that the backend's models come from; default: its release on the package index.
        force: build it anew in any case.

    Raises:
        InputError: it cannot be built as requested; nothing was changed.
        RunnerError: a step failed; the previous one is still in use.
    """
    spec = _spec_of(backend)
    if index and not gpu:
        raise InputError("--index needs --gpu: it names the index of a newer GPU build")
    checkout = _checkout_of(backend, spec, source)
    wish = wish_of(spec, gpu=gpu, index=index, checkout=checkout)
    place = environments.folder()
    with _locked(place, backend):
        sweep(place, backend)
        present = installed(backend)
        if present and present.record and not present.problem and present.record.wish == wish and not force:
            return Outcome(present.folder, present.record, fresh=False)
        base = find_python(backend, spec, python)
        _require_space(place, spec.gpu_size_gib if gpu else spec.size_gib)
        home = Path(tempfile.mkdtemp(prefix=f"{backend}-", suffix=f"-{checkout.version}" if checkout else "", dir=place))
        try:
            home.chmod(place.stat().st_mode)  # mkdtemp's is for its owner alone
            record = Builder(backend, spec, home, _log(place, backend), progress).build(base, wish, index, checkout)
            record.write(place / f"{backend}.json")
        except OSError as error:
            shutil.rmtree(home, ignore_errors=True)
            raise RunnerError(f"the environment of {backend} could not be built: {error.strerror}: {error.filename or home}") from error
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            raise
        environments.forget()
        sweep(place, backend)
    return Outcome(home, record, fresh=True)


def remove(backend: str) -> tuple[Path, int]:
    """Delete the environment of `backend`.

    Returns:
        Its folder and its size in bytes.

    Raises:
        InputError: it does not exist, is in use, or cannot be deleted.
    """
    _spec_of(backend)
    file = environments.record_file(backend)
    if not file.parent.is_dir():
        raise InputError(f"no environment of {backend} to remove (looked in {file.parent})")
    with _locked(file.parent, backend):
        present = installed(backend)
        if present is None:
            sweep(file.parent, backend)
            raise InputError(f"no environment of {backend} to remove (looked in {file.parent})")
        if present.record and (users := _users(present.folder)):
            raise InputError(Problem(f"in use by {_processes(users)}; end them first", str(present.folder)))
        size = size_bytes(present.folder) if present.record else 0
        file.unlink()
        sweep(file.parent, backend)
        _log(file.parent, backend).unlink(missing_ok=True)
        environments.forget()
    return present.folder, size


def sweep(place: Path, backend: str) -> None:
    """Delete the folders of killed installations and those no longer in use. The caller holds the lock."""
    data = read_json(place / f"{backend}.json")
    kept = data.get("directory") if isinstance(data, dict) else None
    for left in _folders(place, backend):
        if left.name != kept and not left.is_symlink() and not _users(left):
            shutil.rmtree(left, ignore_errors=True)


def tidy(backend: str) -> None:
    """Clean up as `sweep` does, unless an installation is running or nothing can be written."""
    place = environments.folder()
    if any(_folders(place, backend)):
        try:
            with _locked(place, backend):
                sweep(place, backend)
        except InputError:
            return


def _folders(place: Path, backend: str) -> Iterator[Path]:
    """Yield the folders of environments of `backend`, whole or not: named by a random word, and the version of a checkout."""
    for pattern in (f"{backend}-{_RANDOM}/", f"{backend}-{_RANDOM}-[0-9]*/"):
        yield from place.glob(pattern)


def _checkout_of(backend: str, spec: EnvironmentSpec, folder: Path | None) -> SourceCheckout | None:
    if folder is None:
        return None
    if spec.source is None:
        raise InputError(f"the backend {backend} takes nothing from a checkout")
    return read_checkout(folder, spec.source)


def wish_of(spec: EnvironmentSpec, *, gpu: bool, index: str, checkout: SourceCheckout | None = None) -> dict[str, Any]:
    """Describe the requested environment, for comparison with the existing one. An index is kept without user and password."""
    parts = urlsplit(index)
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    framework = spec.newer_gpu if index else spec.gpu if gpu else spec.cpu
    pins = [line for line in constraints(spec).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    digest = hashlib.sha256("\n".join(sorted(pins)).encode()).hexdigest()
    packages = [*spec.packages, *(checkout.spec.packages if checkout else spec.bare)]
    source = {"source": f"{checkout.spec.distribution} {checkout.version}"} if checkout else {}
    return {"framework": framework, "packages": packages, "gpu": gpu, "index": shown, "pins": digest, **source}


def find_python(backend: str, spec: EnvironmentSpec, given: str = "") -> Path:
    """Find an interpreter of the version that the spec needs: `given`, else this one, else the one of that name on PATH.

    Raises:
        InputError: there is none; the message lists the ones that were checked.
    """
    wanted = ".".join(map(str, spec.python))
    on_path = find_program(f"python{wanted}")
    candidates = {given: given} if given else {"this interpreter": sys.executable, f"python{wanted} on PATH": on_path}
    looked = []
    for what, name in candidates.items():
        path = Path(os.path.abspath(Path((os.sep not in name and find_program(name)) or name).expanduser())) if name else None
        try:
            version = environments.python_version(path) if path else ()
        except InputError as error:
            looked.append(f"{what} ({error})")
            continue
        if path is not None and version[:2] == spec.python:
            return path
        looked.append(f"{what} ({'.'.join(map(str, version)) or 'not found'})")
    message = f"the backend {backend} needs Python {wanted} ({spec.why_python}); checked: {', '.join(looked)}."
    raise InputError(f"{message} Install it, or give its path: --python /path/to/python{wanted}")


def size_bytes(folder: Path) -> int:
    """Sum the sizes of the files below `folder`."""
    total = 0
    for home, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(home, name)).st_size
            except OSError:
                continue  # deleted meanwhile
    return total


def _log(place: Path, backend: str) -> Path:
    """Return the path of the log of the latest installation."""
    return place / f"{backend}-install.log"


def _spec_of(backend: str) -> EnvironmentSpec:
    if backend in SPECS:
        return SPECS[backend]
    if backend in EXTRAS:
        raise InputError(f"the backend {backend} runs in this interpreter's environment: {how_to_install(EXTRAS[backend])}")
    raise InputError(f"no environment to install for {backend!r}; {nearest(backend, list(SPECS))}".rstrip("; "))


def _require_space(place: Path, size_gib: float) -> None:
    free_gib = shutil.disk_usage(place).free / GIB
    if free_gib < size_gib * _SPARE:
        message = f"only {free_gib:.1f} GiB free, {size_gib * _SPARE:.1f} GiB needed; free some space, or set {environments.PLACE_VARIABLE}"
        raise InputError(Problem(message, str(place)))


def _users(home: Path) -> list[int]:
    """List the processes that run this environment's interpreter."""
    import psutil  # noqa: PLC0415 - only here

    start = f"{home / 'bin'}{os.sep}"
    found = ((process.pid, process.info["cmdline"]) for process in psutil.process_iter(["cmdline"]))
    return [pid for pid, words in found if words and words[0].startswith(start)]


def _processes(pids: Sequence[int]) -> str:
    return f"process {pids[0]}" if len(pids) == 1 else f"processes {', '.join(map(str, pids))}"


@contextmanager
def _locked(place: Path, backend: str) -> Iterator[None]:
    """Hold the lock on the environments of `backend` in `place`; the system frees it if we are killed.

    Raises:
        InputError: another process holds it (says which), or `place` cannot be written.
    """
    path = place / f".{backend}.lock"
    try:
        place.mkdir(parents=True, exist_ok=True)
        file = _acquire(path)
    except BlockingIOError:
        who = read_json(path) or {}
        since = f" since {who['since']}" if "since" in who else ""
        message = f"process {who.get('pid', '?')} is changing the environment of {backend}{since}; wait until it has ended"
        raise InputError(Problem(message, str(place))) from None
    except OSError as error:
        raise InputError(Problem(f"environments cannot be kept here: {error.strerror}", str(place))) from error
    with file:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # while it is held: see _acquire


def _acquire(path: Path) -> IO[bytes]:
    """Open and lock `path` and write this process's id into it. Its name may have been removed, by its last holder, after it was opened."""
    while True:
        file = open_regular(path, "a+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                file.truncate(0)
                file.write(json.dumps({"pid": os.getpid(), "since": f"{datetime.now():%H:%M:%S}"}).encode())
                file.flush()
                return file
        except FileNotFoundError:
            pass
        except BaseException:
            file.close()
            raise
        file.close()
