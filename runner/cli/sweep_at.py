"""The sweep that a command is about, given by its directory."""

from __future__ import annotations

import os
from pathlib import Path

from runner.core.errors import InputError, Problem
from runner.core.lock import holder
from runner.sweep.sweep_dir import SweepDir


def sweep_at(path: Path) -> SweepDir:
    """The sweep in `path`. Raises InputError if there is none."""
    sweep = SweepDir(path)
    if not path.is_dir():
        raise InputError(Problem("there is no such directory", where=str(path)))
    if not os.path.lexists(sweep.plan_file) and not os.path.lexists(sweep.journal):
        raise InputError(Problem("this is no directory of a sweep (it has no plan.json): `runner sweep` makes them", where=str(path)))
    return sweep


def clear_sweep(path: Path) -> SweepDir:
    """The sweep in `path`. Raises InputError if there is none, or if several directories are the same run of it."""
    sweep = sweep_at(path)
    if problems := sweep.identities().problems():
        raise InputError([Problem(line) for line in problems])
    return sweep


def driven_sweep(path: Path) -> SweepDir:
    """The sweep in `path`, which somebody is working on now. Raises InputError if nobody is."""
    sweep = clear_sweep(path)
    if holder(sweep.lock) is None:
        raise InputError(Problem("nobody is working on this sweep now: there is nothing to stop", where=str(path)))
    return sweep
