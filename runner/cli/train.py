"""`runner train`: trains and evaluates one run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli.options import add_config, boolean, expect_option
from runner.core.text import say
from runner.core.values import shell_path

if TYPE_CHECKING:
    from runner.sweep.setup import RunOutcome


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("train", help="train and evaluate one run")
    add_config(parser, required=False)
    parser.add_argument("--eval", action="store_true", help="evaluate at every snapshot, not only at the end")
    parser.add_argument("-r", "--resume", type=Path, metavar="RUN", help="continue an interrupted or failed run (its directory)")
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="RUN",
        help="start a new run from the weights of this one; its config, or that of -c",
    )
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="run directory; default: the next one in SAVE_DIR/CONFIG/")
    parser.add_argument("--use_vdl", type=boolean, metavar="BOOL", help="write a VisualDL log; same as -o use_vdl=BOOL")
    parser.add_argument("--vdl_log_dir", metavar="DIR", help="folder of the VisualDL log; same as -o vdl_log_dir=DIR")
    parser.add_argument("--launcher", metavar="NAME", help="local (the default), or inline: in this process, for a debugger")
    expect_option(parser)
    parser.set_defaults(run=_run, drives=True)


def _run(args: argparse.Namespace) -> int:
    from runner.cli.backend_process import run_where_backend_is  # noqa: PLC0415 - kept out of `runner --help`
    from runner.core.errors import InputError  # noqa: PLC0415
    from runner.launch.base import DEFAULT_LAUNCHER, LAUNCHERS  # noqa: PLC0415
    from runner.sweep.session_train import plan_from, plan_resumed, plan_training, run_one  # noqa: PLC0415
    from runner.views.terminal import progress_console  # noqa: PLC0415

    launcher = args.launcher or DEFAULT_LAUNCHER
    runs_here = LAUNCHERS.get(launcher).in_process
    if args.resume and args.run_dir:
        raise InputError("--run-dir and -r exclude each other: a resumed run stays in its directory")
    if args.resume and args.source:
        raise InputError("-r and --from exclude each other: -r continues a run as it was, --from starts another one from its weights")
    if args.resume:
        run = plan_resumed(args.resume, args.config, _overrides(args))
    elif args.source:
        run = plan_from(args.source, args.config, _overrides(args), named_for=args.opt, run_dir=args.run_dir, launcher=launcher)
    elif args.config is None:
        raise InputError("no config: expected -c configs/fcos_tiny.yml, -r RUN to continue a run, or --from RUN to start from its weights")
    else:
        run = plan_training(args.config, _overrides(args), named_for=args.opt, run_dir=args.run_dir, launcher=launcher)
    if runs_here and run.resolved is not None:
        run_where_backend_is(run.resolved.backend.name, run.resolved.config.backend_python)
    return report_outcome(run_one(run, progress_console(), launcher=launcher, retry_failed=bool(args.resume)))


def _overrides(args: argparse.Namespace) -> list[str]:
    overrides = list(args.opt)
    if args.eval:
        overrides.append("eval_at_snapshot=true")
    if args.use_vdl is not None:
        overrides.append(f"use_vdl={str(args.use_vdl).lower()}")
    if args.vdl_log_dir is not None:
        overrides.append(f"vdl_log_dir={json.dumps(args.vdl_log_dir)}")  # quoted: a folder's name may hold anything
    return overrides


def report_outcome(outcome: RunOutcome | None) -> int:
    """Print the evaluation, or how to continue; the reason was printed when the run ended (see `runner.views.progress`).

    Returns:
        0: done; 130: interrupted by Ctrl-C, a signal or `runner stop`; 2: training found an unusable input; 1: otherwise, also for a worker
        that was killed, and for a full disk.
    """
    from runner.views.evaluation import print_evaluation  # noqa: PLC0415

    if outcome is None:
        return 130
    run_dir, status = outcome.run.run_dir, outcome.status
    if outcome.reused:
        say("note: this run had ended already; nothing was started", error=True)
    if status.state == "done":
        print_evaluation(run_dir.results() or {})
        say(f"run: {run_dir.path}")
        return 0
    if status.state == "interrupted":
        crashed = status.cause is not None  # otherwise it was asked to stop
        why = status.reason if crashed else "interrupted"
        say(f"runner: {why}; continue: runner resume {shell_path(run_dir.path)}", error=True)
        return 1 if crashed else 130
    say(f"runner: {run_dir.path}: {status.state}: {status.reason}; log: {run_dir.log}", error=True)
    return 2 if outcome.exit_code == 2 else 1
