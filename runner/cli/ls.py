"""`runner ls`: a list of runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.cli.options import positive
from runner.core.text import say


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("ls", help="list runs: config, what was varied, state, metric")
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("runs")], metavar="DIR", help="default: runs/")
    parser.add_argument("--best", type=positive, metavar="N", help="only the N runs with the best value of the metric, the best first")
    parser.add_argument("--metric", metavar="TAG", help="metric to show, for example bbox/AP50; default: each run's primary metric")
    parser.add_argument("--goal", choices=("maximize", "minimize"), help="better direction; default: that of the primary metric")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.results.collect import check_metrics, collect, with_memory  # noqa: PLC0415
    from runner.results.ranking import best_runs  # noqa: PLC0415
    from runner.store.run_dir import find_runs  # noqa: PLC0415
    from runner.views.runs_table import render_runs  # noqa: PLC0415
    from runner.views.terminal import Terminal  # noqa: PLC0415

    if args.paths == [Path("runs")] and not any(find_runs(args.paths)):
        say("no runs yet; start one: runner train -c configs/fcos_tiny.yml")
        return 0
    runs = collect(args.paths)
    if args.metric is not None:
        check_metrics(runs, [args.metric])
        runs = with_memory(runs, [args.metric])
    if args.best is not None:
        runs = best_runs(runs, args.best, args.metric, args.goal)
    Terminal().print(render_runs(runs, args.metric))
    return 0
