"""Files of weights that are on this machine already: in a folder they were carried to, and in the caches of torch, Paddle and the hub."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import InputError, Problem
from runner.core.values import shell_path
from runner.weights.download import Expected
from runner.weights.formats import suffix_of
from runner.weights.names import WeightsName
from runner.weights.store import digest_of

_MOST_FILES = 20_000
"""Files that are looked at below a folder, at most."""
_SNAPSHOT = re.compile(r"/snapshots/([0-9a-f]{40})/")
_FULL_DIGEST = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """File to look for.

    Args:
        name: of the weights.
        file_name: that their publisher gives the file.
        expected: what is known of its content.
    """

    name: WeightsName
    file_name: str
    expected: Expected


def find_carried(folder: Path, wanted: Wanted) -> Path:
    """Find the file below a folder: by its digest if that is known, otherwise by its name.

    Raises:
        InputError: it is not there, is another file, or there are several.
    """
    if not folder.is_dir():
        raise InputError(Problem("is not a folder; give the one that the files were copied to", where=str(folder), key="--offline-from"))
    try:
        return _find(folder, wanted)
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", where=str(error.filename or folder))) from error


def _find(folder: Path, wanted: Wanted) -> Path:
    files = list(_files(folder, suffix_of(wanted.file_name)))
    named = [file for file in files if _is_named(file, folder, wanted)]
    fitting = {digest_of(file): file for file in named if _fits(file, wanted.expected)}
    if not fitting and len(wanted.expected.sha256) == _FULL_DIGEST:
        fitting = {digest_of(file): file for file in files if file not in named and _fits(file, wanted.expected)}
    if len(fitting) > 1:
        listed = ", ".join(shell_path(file.relative_to(folder)) for file in fitting.values())
        raise InputError(Problem(f"has several files for {wanted.name.text} ({listed}); leave one", where=str(folder)))
    if fitting:
        return next(iter(fitting.values()))
    if named:
        text = f"is not {wanted.name.text}: its SHA-256 begins with {digest_of(named[0])[:16]}, expected {wanted.expected.sha256[:16]}"
        raise InputError(Problem(f"{text}; copy it again", where=str(named[0])))
    raise InputError(Problem(f"has no file for {wanted.name.text}; expected {_expectation(wanted)}", where=str(folder)))


def find_cached(wanted: Wanted) -> Path | None:
    """Find the file in the caches of other programs; None if it is not there, or its digest is not known: then it could be any file."""
    if not wanted.expected.sha256:
        return None
    torch, hub, paddle = cache_folders()
    if wanted.name.kind == "hub":
        owner, model = _owner_and_model(wanted)
        candidates = sorted((hub / f"models--{owner}--{model}" / "snapshots").glob(f"*/{wanted.file_name}"))
    else:
        candidates = [torch / wanted.file_name, paddle / wanted.file_name]
    try:
        return next((file for file in candidates if file.is_file() and _fits(file, wanted.expected)), None)
    except OSError:
        return None


def cache_folders() -> tuple[Path, ...]:
    """Return the folders in which torch, the Hugging Face hub and Paddle keep their downloads; they need not exist."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    torch = os.environ.get("TORCH_HOME") or f"{cache}/torch"
    hub = os.environ.get("HF_HUB_CACHE") or f"{os.environ.get('HF_HOME') or f'{cache}/huggingface'}/hub"
    places = (f"{torch}/hub/checkpoints", hub, "~/.cache/paddle/weights")
    return tuple(Path(place).expanduser() for place in places)


def commit_of(file: Path) -> str:
    """Return the commit of a file in the hub's cache; empty for another place."""
    found = _SNAPSHOT.search(file.as_posix())
    return found[1] if found else ""


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    count = 0
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            count += 1
            if count > _MOST_FILES:
                raise InputError(Problem(f"has more than {_MOST_FILES:,} files; give the folder that has the weights", where=str(folder)))
            if suffix_of(name) == suffix and os.path.isfile(os.path.join(parent, name)):
                yield Path(parent, name)


def _is_named(file: Path, folder: Path, wanted: Wanted) -> bool:
    """Return whether a file has the name that its publisher gives it. All models of the hub have the same: there a folder says which."""
    if wanted.name.kind != "hub":
        return file.name == wanted.file_name
    owner, model = _owner_and_model(wanted)
    names = {model, f"{owner}--{model}", f"models--{owner}--{model}"}
    parts = (*folder.parts[-1:], *file.relative_to(folder).parts[:-1])
    return file.stem in names or (file.name == wanted.file_name and not names.isdisjoint(parts))


def _owner_and_model(wanted: Wanted) -> tuple[str, str]:
    owner, _, model = wanted.name.text.partition("@")[0].partition("/")
    return owner, model


def _fits(file: Path, expected: Expected) -> bool:
    size = file.stat().st_size
    return expected.size_bytes in (None, size) and digest_of(file).startswith(expected.sha256)


def _expectation(wanted: Wanted) -> str:
    if wanted.name.kind != "hub":
        return wanted.file_name
    _, model = _owner_and_model(wanted)
    return f"{model}/{wanted.file_name} or {model}.safetensors"
