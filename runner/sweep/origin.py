"""Origin of a config that is a run's own ``config.yml``: the file that the run was made from, and what the run changed in it.

A run that repeats another so is listed beside it, under the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner.core.values import is_name
from runner.store.run_dir import Identity, RunDir
from runner.sweep.trial_source import key_and_value


def original_file(config: Path) -> Path:
    """Return the file that a config was given in: for a run's ``config.yml`` that of the run, else `config`."""
    identity = _identity(config)
    recorded = identity.facts.get("config_file") if identity is not None else None
    return Path(recorded) if isinstance(recorded, str) and is_name(Path(recorded).stem) else config


def all_changes(config: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the overrides, dotted key to value, that lead from the original file to a run of `config` with `overrides`, in this order.

    Raises:
        InputError: one of `overrides` is not ``KEY=VALUE``.
    """
    new = dict(key_and_value(text) for text in overrides)
    identity = _identity(config)
    former = identity.overrides if identity is not None else {}
    return {key: value for key, value in former.items() if not any(f"{key}.".startswith(f"{each}.") for each in new)} | new


def _identity(config: Path) -> Identity | None:
    """Return the identity of the run whose ``config.yml`` it is."""
    run_dir = RunDir(config.absolute().parent)
    return run_dir.identity() if config.name == run_dir.config.name else None
