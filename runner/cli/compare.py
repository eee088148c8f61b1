"""`runner compare` and `runner dashboard`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare both commands."""
    parser = commands.add_parser("compare", help="which change made it better, and how sure that is")
    parser.add_argument("paths", nargs="+", type=Path, metavar="DIR", help="sweep or run directories")
    parser.add_argument("--metric", metavar="TAG", help="what decides, for example bbox/AP50; default: what the sweep file says")
    parser.add_argument("--goal", choices=("maximize", "minimize"), help="which way is better; default: what the sweep file says")
    form = parser.add_mutually_exclusive_group()
    for name, text in (("csv", "a row a run"), ("json", "everything"), ("md", "the table in Markdown")):
        form.add_argument(f"--{name}", dest="format", action="store_const", const=name, help=f"print {name.upper()}: {text}")
    parser.set_defaults(run=_compare, format="table")

    dashboard = commands.add_parser("dashboard", help="start a viewer on runs: loss curves over one another")
    dashboard.add_argument("paths", nargs="+", type=Path, metavar="DIR", help="sweep or run directories")
    dashboard.add_argument("--with", dest="viewer", choices=("visualdl", "tensorboard"), default="visualdl", help="which viewer")
    dashboard.add_argument("--port", type=int, metavar="N", help="default: a free one")
    dashboard.add_argument("--language", choices=("en", "zh"), default="en", help="of the VisualDL page")
    dashboard.set_defaults(run=_dashboard)


def _compare(args: argparse.Namespace) -> int:
    from rich.console import Console  # noqa: PLC0415 - kept out of `runner --help`

    from runner.results.collect import collect  # noqa: PLC0415
    from runner.results.compare import compare  # noqa: PLC0415
    from runner.results.export import to_csv, to_json, to_markdown  # noqa: PLC0415
    from runner.sweepdir import metric_of  # noqa: PLC0415
    from runner.views.table import render_comparison  # noqa: PLC0415

    runs = collect(args.paths)
    metric = metric_of(args.paths)
    comparison = compare(runs, args.metric or metric.name, args.goal or metric.goal)
    if args.format == "table":
        Console().print(render_comparison(comparison))
    else:
        print({"csv": to_csv, "json": to_json, "md": to_markdown}[args.format](comparison).rstrip("\n"))
    return 0


def _dashboard(args: argparse.Namespace) -> int:
    from runner.core.errors import InputError  # noqa: PLC0415
    from runner.core.rundir import find_runs  # noqa: PLC0415
    from runner.views.dashboard.viewers import start_viewer  # noqa: PLC0415

    runs = list(find_runs(args.paths))
    if not runs:
        raise InputError(f"there is no run in {', '.join(map(str, args.paths))}; `runner ls` lists the runs")
    with start_viewer(args.viewer, runs, port=args.port, language=args.language) as viewer:
        print(f"{args.viewer} shows {len(runs)} runs at {viewer.url} (Ctrl-C ends it)", flush=True)
        viewer.wait()
    return 0
