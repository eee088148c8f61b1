"""`runner train`: one run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli.options import add_config, boolean
from runner.core.text import say
from runner.core.values import shell_path

if TYPE_CHECKING:
    from runner.sweep.plan import PlannedRun
    from runner.sweep.setup import RunOutcome


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("train", help="train and evaluate one run")
    add_config(parser, required=False)
    parser.add_argument("--eval", action="store_true", help="evaluate at every snapshot, not only at the end")
    parser.add_argument("-r", "--resume", type=Path, metavar="RUN", help="go on with a run that was interrupted (its directory)")
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="the run directory; default: the next one in SAVE_DIR/CONFIG/")
    parser.add_argument("--use_vdl", type=boolean, metavar="BOOL", help="write a VisualDL log; the same as -o use_vdl=BOOL")
    parser.add_argument("--vdl_log_dir", metavar="DIR", help="put the VisualDL log there; the same as -o vdl_log_dir=DIR")
    parser.add_argument(
        "--launcher", choices=("local", "inline"), default="local", help="inline trains in this very process (for a debugger)"
    )
    parser.set_defaults(run=_run, drives=True)


def _run(args: argparse.Namespace) -> int:
    from runner.cli.elsewhere import go_where_it_runs  # noqa: PLC0415 - kept out of `runner --help`
    from runner.sweep.session_run import run_one  # noqa: PLC0415

    run = _plan_resume(args) if args.resume else _plan_new(args)
    if args.launcher == "inline" and run.resolved is not None:
        go_where_it_runs(run.resolved.backend.name, run.resolved.config.backend_python)
    outcome = run_one(run, launcher=args.launcher, retry_failed=bool(args.resume))
    return _report(outcome) if outcome is not None else 130


def _plan_new(args: argparse.Namespace) -> PlannedRun:
    from runner.core.errors import InputError  # noqa: PLC0415
    from runner.resolve import resolve, warnings_of  # noqa: PLC0415
    from runner.store.run_dir import RunDir  # noqa: PLC0415
    from runner.sweep.plan import claim_run_dir, plan_single  # noqa: PLC0415
    from runner.sweep.session_run import make_dataset  # noqa: PLC0415

    if args.config is None:
        raise InputError("give a config: runner train -c configs/fcos_tiny.yml (or -r RUN to go on with a run)")
    _refuse_sweep(args.config)
    overrides = _overrides(args)
    resolved = resolve(args.config, overrides, make_dataset=make_dataset)
    for note in resolved.notes:
        say(f"note: {note}", error=True)
    for warning in warnings_of(resolved):
        say(f"warning: {warning}", error=True)
    run_dir = RunDir(args.run_dir) if args.run_dir else claim_run_dir(resolved, args.opt)
    if args.run_dir and run_dir.exists():
        on = f"runner train -r {shell_path(args.run_dir)}"
        raise InputError(f"{args.run_dir}: this run exists; go on with it by `{on}`, or give another --run-dir")
    return plan_single(resolved, run_dir, args.opt)


def _refuse_sweep(path: Path) -> None:
    from runner.config.load import load_config  # noqa: PLC0415
    from runner.core.errors import InputError, Problem  # noqa: PLC0415

    keys = load_config(path).mapping or {}
    if "config" in keys and "architecture" not in keys and any(key in keys for key in ("vary", "trials", "seeds")):
        raise InputError(Problem(f"this is a sweep file; run: runner sweep {shell_path(path)}", where=str(path)))


def _plan_resume(args: argparse.Namespace) -> PlannedRun:
    """The run in a directory, as it was planned. A config or overrides given beside it must come to the same run."""
    from runner.core.errors import InputError  # noqa: PLC0415
    from runner.store.run_dir import RunDir  # noqa: PLC0415
    from runner.sweep.plan import plan_again  # noqa: PLC0415

    run_dir = RunDir(args.resume)
    if not run_dir.exists():
        raise InputError(f"{args.resume}: this is no run directory (there is no run.json); `runner ls` lists the runs")
    if args.run_dir:
        raise InputError("--run-dir and -r exclude each other: a resumed run stays in its directory")
    run = plan_again(run_dir, args.config, _overrides(args))
    for note in run.resolved.notes if run.resolved is not None else ():
        say(f"note: {note}", error=True)
    return run


def _overrides(args: argparse.Namespace) -> list[str]:
    overrides = list(args.opt)
    if args.eval:
        overrides.append("eval_at_snapshot=true")
    if args.use_vdl is not None:
        overrides.append(f"use_vdl={str(args.use_vdl).lower()}")
    if args.vdl_log_dir is not None:
        overrides.append(f"vdl_log_dir={json.dumps(args.vdl_log_dir)}")  # quoted: a folder's name may hold anything
    return overrides


def _report(outcome: RunOutcome) -> int:
    """Print the evaluation, or how to go on. Why it ended was said when it ended (see `runner.views.progress`).

    Returns:
        0 done; 130 interrupted; 1 the disk is full; 2 training found that something it was given cannot be used; else 1.
    """
    from runner.views.evaluation import print_evaluation  # noqa: PLC0415

    run_dir, status = outcome.run.run_dir, outcome.status
    if outcome.reused:
        say("note: this run had ended already; nothing was started", error=True)
    if status.state == "done":
        print_evaluation(run_dir.results() or {})
        say(f"run: {run_dir.path}")
        return 0
    if status.state == "interrupted":
        say(f"runner: interrupted; go on with: runner train -r {shell_path(run_dir.path)}", error=True)
        return 1 if status.cause == "disk_full" else 130
    say(f"runner: {run_dir.path}: {status.state}: {status.reason}; log: {run_dir.log}", error=True)
    return 2 if outcome.exit_code == 2 else 1
