"""`runner stop`: saves and ends a sweep or a run that is active, or stops one trial for good."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from runner.core.text import say
from runner.core.values import shell_path

_LOOK_INTERVAL_S = 0.2


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("stop", help="save and end a running sweep, or stop one trial of it for good")
    parser.add_argument("dir", type=Path, metavar="DIR", help="directory of a sweep, or of a run")
    parser.add_argument("trial", nargs="?", metavar="TRIAL", help="only this trial (number) or run (name), for good: it counts as pruned")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.core.errors import InputError, Problem, nearest  # noqa: PLC0415
    from runner.core.lock import holder  # noqa: PLC0415
    from runner.store.commands import Command  # noqa: PLC0415
    from runner.store.control import send  # noqa: PLC0415
    from runner.store.run_dir import FINISHED, RunDir  # noqa: PLC0415
    from runner.sweep.sweep_dir import driven_sweep  # noqa: PLC0415 - kept out of `runner --help`

    run_dir = RunDir(args.dir)
    if run_dir.exists() and args.trial is None:
        if args.dir.absolute().parent.name != "runs" or not (args.dir.absolute().parent.parent / "plan.json").exists():
            run_dir.request("stop", "asked to stop (runner stop)")
            say("stop requested: the run saves and ends")
            return 0
        identity = run_dir.identity()
        args.dir, args.trial = args.dir.absolute().parent.parent, identity.id if identity else args.dir.absolute().name
    sweep = driven_sweep(args.dir)
    if args.trial is None:
        send(sweep.control, Command("quit"))
        print("stop requested: every run saves and ends", flush=True)
        while holder(sweep.lock) is not None:
            time.sleep(_LOOK_INTERVAL_S)
        say(f"ended; continue: runner resume {shell_path(sweep.path)}")
        return 0
    identities = sweep.identities()
    names = sorted(identities.runs)
    numbers = {str(int(name.partition("-")[0])) for name in names if name.partition("-")[0].isdecimal()}
    trial = str(int(args.trial)) if args.trial.isdecimal() else args.trial
    trial = next((run for run, name in identities.renamed.items() if name == trial), trial)
    if trial not in numbers and trial not in names:
        hint = nearest(args.trial, names) or f"trials: {', '.join(sorted(numbers, key=int)[:20])}"
        raise InputError(Problem(f"unknown trial or run {args.trial!r}: {hint}", where=str(sweep.path)))
    of_trial = [name for name in names if name.partition("-")[0].lstrip("0") == trial.lstrip("0")]
    expected = len((sweep.plan().get("spec") or {}).get("seeds") or ()) if trial not in names else 1
    meant = [identities.run_dir(name).status() for name in ([trial] if trial in names else of_trial)]
    if len(meant) >= expected and all(status.state in FINISHED for status in meant):
        raise InputError(Problem(f"{args.trial} has ended already", where=str(sweep.path)))
    send(sweep.control, Command("stop", trial))
    say(f"stop of {trial} requested; watch it: runner status {shell_path(sweep.path)}")
    return 0
