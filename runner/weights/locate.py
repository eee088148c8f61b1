"""Weights for a run: found by weights.lock and the store, checked by digest, never downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from runner.core.errors import InputError, Missing, Problem
from runner.weights.lockfile import find_entry, lock_path, read_lock
from runner.weights.names import KEY, WeightsName, parse_name
from runner.weights.store import digest_of, find_stored


def locked(text: str) -> str:
    """Return a value of `pretrain_weights` with the digest that weights.lock has for it; unchanged if it is a file, pinned already, or not
    in the lock.

    Raises:
        InputError: weights.lock is damaged.
    """
    name = parse_name(text)
    return text if not name.is_published or name.sha256 or not (sha256 := _digest(name)) else name.pinned(sha256)


def weights_problems(text: str, key: str = KEY) -> list[Problem]:
    """Find what keeps a run from using these weights: published ones that are not in weights.lock, not on this machine or damaged, or a
    file whose content is not the pinned one. Of a file without a pin nothing is checked."""
    try:
        _file_of(parse_name(text), key)
    except InputError as error:
        return list(error.problems)
    return []


def weights_file(text: str, key: str = KEY) -> Path:
    """Return the file of these weights; the content of published or pinned ones has been checked.

    Raises:
        InputError: see `weights_problems`.
    """
    return _file_of(parse_name(text), key)


def weights_fingerprint(text: str | None) -> str:
    """Return the SHA-256 of the content of initial weights, for the run key; what cannot be found is represented by its text."""
    if text is None:
        return ""
    name = parse_name(text)
    try:
        if name.is_published:
            return name.sha256 or text
        return digest_of(name.path) if name.path.is_file() else text
    except OSError:
        return text


def _file_of(name: WeightsName, key: str) -> Path:
    if not name.is_published:
        if name.sha256:
            _check_pinned_file(name, key)
        return name.path
    lock = lock_path()
    sha256 = name.sha256 or _digest(name)
    if not sha256:
        others = " (nor a file)" if name.kind == "hub" else ""
        text = f"{name.text} is not in {os.path.relpath(lock)}{others}, and a run downloads nothing: {name.command}"
        raise InputError(Missing(text, key=key))
    path = find_stored(sha256)
    if path is None:
        raise InputError(Missing(f"{name.text} is locked, but its file is not on this machine: {name.command}", key=key))
    try:
        is_intact = digest_of(path) == sha256
    except OSError as error:
        raise InputError(Missing(f"{name.text}: {path} cannot be read: {error.strerror}", key=key)) from error
    if not is_intact:
        raise InputError(Missing(f"{name.text}: the stored file {path} is damaged: {name.command}", key=key))
    return path


def _digest(name: WeightsName) -> str:
    entry = find_entry(read_lock(lock_path()), name)
    return entry.sha256 if entry else ""


def _check_pinned_file(name: WeightsName, key: str) -> None:
    try:
        found = digest_of(name.path)
    except OSError as error:
        raise InputError(Missing(f"file {name.text} cannot be read: {error.strerror}", key=key)) from error
    if found != name.sha256:
        text = f"{name.text} is not the pinned file: its SHA-256 is {found}, expected {name.sha256}; restore it, or change sha256"
        raise InputError(Problem(text, key=key))
