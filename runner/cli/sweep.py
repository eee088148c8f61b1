"""`runner sweep`: the runs of a sweep file, those that are not finished yet."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli.options import add_overrides

if TYPE_CHECKING:
    from runner.plan import PlannedRun


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("sweep", help="run a sweep: a baseline and what is varied, over several seeds")
    parser.add_argument("file", type=Path, metavar="SWEEP.yml", help="for example sweeps/batchsize.yml")
    add_overrides(parser)
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="change a key of the sweep file: --set seeds=[0,1,2]"
    )
    parser.add_argument("--dir", type=Path, metavar="DIR", help="the sweep's directory; default: runs/NAME")
    parser.add_argument("--dry-run", action="store_true", help="print the runs and start none")
    parser.add_argument("--launcher", choices=("local", "inline"), default="local", help="inline: one after the other in this process")
    parser.add_argument("--retry-failed", action="store_true", help="start failed runs again")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.cli.running import make_dataset, run_all  # noqa: PLC0415 - kept out of `runner --help`
    from runner.config.load import find_file  # noqa: PLC0415
    from runner.plan import plan_sweep  # noqa: PLC0415
    from runner.resolve import available_cores  # noqa: PLC0415
    from runner.search.base import FixedDesign  # noqa: PLC0415
    from runner.search.load import load_sweep  # noqa: PLC0415
    from runner.sweepdir import write_plan  # noqa: PLC0415

    file = find_file(args.file)
    spec = load_sweep(file, args.set)
    folder = args.dir or Path("runs") / file.stem
    planned = plan_sweep(spec, file, folder, args.opt, make_dataset=None if args.dry_run else make_dataset, to_run=not args.dry_run)
    if args.dry_run:
        _print_plan(planned)
        return 0
    trials = {run.trial.number: run.trial for run in planned}
    runs = {number: [run for run in planned if run.trial.number == number] for number in trials}
    gpus = len(planned[0].resolved.probe.gpus) if planned[0].resolved.probe and planned[0].resolved.config.use_gpu else 0
    slots = 1 if args.launcher == "inline" else min(len(planned), spec.resources.slots(cores=available_cores(), gpus=gpus))
    write_plan(folder, file, spec, planned)
    search = FixedDesign(list(trials.values()))
    outcomes = run_all(search, runs, title=folder.name, launcher=args.launcher, slots=slots, retry_failed=args.retry_failed)
    done = sum(outcome.status.state == "done" for outcome in outcomes)
    for outcome in outcomes:
        if outcome.status.state != "done":
            print(f"runner: {outcome.run.run_dir.name}: {outcome.status.state}: {outcome.status.reason}", file=sys.stderr)
    print(f"{done} of {len(planned)} runs done; compare them: runner compare {shlex.quote(str(folder))}")
    if any(outcome.status.state == "interrupted" for outcome in outcomes):
        print("runner: interrupted; the same command goes on with it", file=sys.stderr)
        return 130
    return 0 if done == len(planned) else 1


def _print_plan(planned: Sequence[PlannedRun]) -> None:
    from rich.console import Console  # noqa: PLC0415

    from runner.config.node import flatten  # noqa: PLC0415
    from runner.views.table import PlannedRow, render_plan  # noqa: PLC0415

    states = {"done": "done", "pruned": "done", "failed": "failed", "pending": "to run"}
    rows = [
        PlannedRow(run.run_dir.name, run.seed, run.trial.overrides, states.get(run.run_dir.status().state, "to go on")) for run in planned
    ]
    Console().print(render_plan(rows, dict(flatten(planned[0].resolved.plain))))
