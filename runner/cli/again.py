"""Commands for the user to paste: the one that goes on with a sweep, wherever its directory is now."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from runner.core.values import shell_path

if TYPE_CHECKING:
    from runner.sweep.sweep_dir import SweepDir


def again(sweep: SweepDir) -> str:
    """The command that goes on with a sweep: that which made it, as it is to be given from this folder, with ``--dir`` where the sweep is
    not in its default place."""
    from runner.cli.main import build_parser  # noqa: PLC0415 - which imports the commands, and they this

    plan = sweep.plan()
    given, folder = plan.get("command") or [], shell_path(sweep.path)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            args = build_parser().parse_args(given)
        file, changes, settings = Path(args.file), list(args.opt), list(args.set)
    except (SystemExit, AttributeError, TypeError):  # made by something else, or by a version with other options
        return f"runner sweep SWEEP.yml --dir {folder}"
    words = ["runner sweep", shell_path(_from_here(file, str(plan.get("cwd") or "")))]
    for option, values in (("-o", changes), ("--set", settings)):
        if values:
            words += [option, *map(shlex.quote, values)]
    if args.launcher != "local":
        words += ["--launcher", args.launcher]
    if os.path.realpath(sweep.path) != os.path.realpath(Path("runs") / file.stem):
        words += ["--dir", folder]
    return " ".join(words)


def _from_here(file: Path, cwd: str) -> Path:
    """A sweep file that was given in the folder `cwd`, as it is called from this one. Where it is not any more: as it was given."""
    there = Path(cwd) / file
    if not cwd or file.is_absolute() or os.path.realpath(cwd) == os.path.realpath(os.curdir) or not there.exists():
        return file
    relative = os.path.relpath(there)
    return there if relative.startswith(os.pardir) else Path(relative)
