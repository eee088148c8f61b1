"""`runner stop`: saves and ends a sweep or a run that is active, or stops one trial for good."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from runner.core.text import say
from runner.core.values import shell_path

if TYPE_CHECKING:
    from runner.store.run_dir import RunDir
    from runner.sweep.sweep_dir import SweepDir

_LOOK_INTERVAL_S = 0.2
_MOST_TRIALS = 20


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("stop", help="save and end a running sweep, or stop one trial of it for good")
    parser.add_argument("dir", type=Path, metavar="DIR", help="directory of a sweep, or of a run")
    parser.add_argument("trial", nargs="?", metavar="TRIAL", help="only this trial (number) or run (name), for good: it counts as pruned")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.store.run_dir import RunDir  # noqa: PLC0415
    from runner.sweep.sweep_dir import driven_sweep  # noqa: PLC0415 - kept out of `runner --help`

    run_dir = RunDir(args.dir)
    if run_dir.exists() and args.trial is None:
        folder = args.dir.absolute()
        if folder.parent.name != "runs" or not (folder.parent.parent / "plan.json").exists():
            return _stop_run(run_dir)
        identity = run_dir.identity()
        args.dir, args.trial = folder.parent.parent, identity.id if identity else folder.name
    sweep = driven_sweep(args.dir)
    return _stop_sweep(sweep) if args.trial is None else _stop_trial(sweep, args.trial)


def _stop_run(run_dir: RunDir) -> int:
    """Stop a run by itself. Raises InputError if no process works on it."""
    from runner.core.errors import InputError, Problem  # noqa: PLC0415
    from runner.monitor.progress import is_worked_on, run_status  # noqa: PLC0415
    from runner.store.run_dir import FINISHED  # noqa: PLC0415

    status = run_status(run_dir)
    if not is_worked_on(run_dir, status):
        more = "" if status.state in FINISHED else f"; continue it: runner resume {shell_path(run_dir.path)}"
        raise InputError(Problem(f"no process works on this run, which is {status.state}{more}", where=str(run_dir.path)))
    run_dir.request("stop", "asked to stop (runner stop)")
    say("stop requested: the run saves and ends")
    return 0


def _stop_sweep(sweep: SweepDir) -> int:
    """Stop a sweep and wait for the end of its driver."""
    from runner.core.lock import holder  # noqa: PLC0415
    from runner.store.commands import Command  # noqa: PLC0415
    from runner.store.control import send  # noqa: PLC0415

    send(sweep.control, Command("quit"))
    print("stop requested: every run saves and ends", flush=True)
    while holder(sweep.lock) is not None:
        time.sleep(_LOOK_INTERVAL_S)
    say(f"ended; continue: runner resume {shell_path(sweep.path)}")
    return 0


def _stop_trial(sweep: SweepDir, given: str) -> int:
    """Stop a trial or a run, planned or active, for good. Raises InputError if there is none of that name, or if it has ended."""
    from runner.core.errors import InputError, Problem, nearest  # noqa: PLC0415
    from runner.search.base import trial_number  # noqa: PLC0415
    from runner.store.commands import Command  # noqa: PLC0415
    from runner.store.control import send  # noqa: PLC0415
    from runner.store.run_dir import FINISHED  # noqa: PLC0415

    identities, plan = sweep.identities(), sweep.plan()
    names = sorted({*identities.runs, *(entry["id"] for entry in plan.get("runs") or ())})
    numbers = {number for name in names if (number := trial_number(name)).isdecimal()}
    trial = str(int(given)) if given.isdecimal() else given
    trial = next((run for run, name in identities.renamed.items() if name == trial), trial)
    if trial not in numbers and trial not in names:
        known = f"trials: {', '.join(sorted(numbers, key=int)[:_MOST_TRIALS])}" + (", …" if len(numbers) > _MOST_TRIALS else "")
        hint = known if given.isdecimal() else nearest(given, names) or known
        raise InputError(Problem(f"unknown trial or run {given!r}: {hint}", where=str(sweep.path)))
    meant = [trial] if trial in names else [name for name in names if trial_number(name) == trial]
    expected = 1 if trial in names else len((plan.get("spec") or {}).get("seeds") or ())
    if len(meant) >= expected and all(identities.run_dir(name).status().state in FINISHED for name in meant):
        raise InputError(Problem(f"{given} has ended already", where=str(sweep.path)))
    send(sweep.control, Command("stop", trial))
    say(f"stop of {trial} requested; watch it: runner status {shell_path(sweep.path)}")
    return 0
