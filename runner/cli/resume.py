"""`runner resume`: continues a paused sweep, a sweep without a driver, or a run."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.core.text import say
from runner.core.values import shell_path

if TYPE_CHECKING:
    from runner.sweep.session_plan import SweepRequest
    from runner.sweep.sweep_dir import SweepDir


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "resume",
        help="continue a sweep that was paused or has no driver, or a run",
        description="Continue a sweep that was paused; a sweep without a driver, by the `runner sweep` command that made it, in the folder "
        "where it was given; or a run, as `runner train -r` does.",
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="directory of a sweep, or of a run")
    parser.set_defaults(run=_run, drives=True)


def _run(args: argparse.Namespace) -> int:
    from runner.core.lock import holder  # noqa: PLC0415 - kept out of `runner --help`
    from runner.store.commands import Command  # noqa: PLC0415
    from runner.store.control import send  # noqa: PLC0415
    from runner.store.run_dir import RunDir  # noqa: PLC0415
    from runner.sweep.sweep_dir import clear_sweep  # noqa: PLC0415

    if RunDir(args.path).exists():
        return _resume_run(args.path)
    sweep = clear_sweep(args.path)
    if (driver := holder(sweep.lock)) is not None:
        send(sweep.control, Command("resume"))
        say(f"resumed: {driver} starts runs again; watch it: runner status {shell_path(sweep.path)}")
        return 0
    return _resume_sweep(sweep)


def _resume_run(path: Path) -> int:
    from runner.cli.train import report_outcome  # noqa: PLC0415
    from runner.sweep.session_train import plan_resumed, run_one  # noqa: PLC0415
    from runner.views.terminal import progress_console  # noqa: PLC0415

    return report_outcome(run_one(plan_resumed(path), progress_console(), retry_failed=True))


def _resume_sweep(sweep: SweepDir) -> int:
    from runner.cli.sweep import run_request  # noqa: PLC0415

    request = recorded_request(sweep)
    cwd = str(sweep.plan().get("cwd") or "")
    folder = sweep.path.absolute()
    if cwd and os.path.realpath(cwd) != os.path.realpath(os.curdir) and os.path.isdir(cwd):
        say(f"note: in {cwd}, where the sweep was started", error=True)
        os.chdir(cwd)
        folder = folder.relative_to(cwd) if folder.is_relative_to(cwd) else folder
    else:
        folder = sweep.path
    return run_request(replace(request, folder=folder))


def recorded_request(sweep: SweepDir) -> SweepRequest:
    """Return the request of the command that made a sweep, as recorded in its plan.json.

    Raises:
        InputError: no such command is recorded, or its sweep file is missing.
    """
    from runner.cli.main import build_parser  # noqa: PLC0415 - which imports the commands, and so this one
    from runner.cli.sweep import request_of  # noqa: PLC0415
    from runner.config.load import find_file  # noqa: PLC0415
    from runner.core.errors import InputError, Problem  # noqa: PLC0415

    plan, again = sweep.plan(), f"runner sweep SWEEP.yml --dir {shell_path(sweep.path)}"
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            request = request_of(build_parser().parse_args(plan.get("command") or []))
    except (SystemExit, AttributeError):  # damaged, or of a version with other options
        text = f"the command that made this sweep is not recorded; expected it in plan.json; continue with: {again}"
        raise InputError(Problem(text, where=str(sweep.path))) from None
    file = Path(str(plan.get("cwd") or ""), request.file)
    if not os.path.lexists(file) and not os.path.lexists(find_file(request.file)):
        raise InputError(Problem(f"the sweep file is missing; put it back, or continue with another: {again}", where=str(file)))
    return request
