"""`runner compare` and `runner dashboard`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from runner.views.search_table import View

VIEWS: Final = ("best", "importances", "pareto", "slice", "parallel")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare both commands."""
    parser = commands.add_parser("compare", help="which change made it better, and how sure that is")
    parser.add_argument("paths", nargs="+", type=Path, metavar="DIR", help="sweep or run directories")
    parser.add_argument("--metric", metavar="TAG", help="what decides, for example bbox/AP50; default: what the sweep file says")
    parser.add_argument("--goal", choices=("maximize", "minimize"), help="which way is better; default: what the sweep file says")
    parser.add_argument(
        "--images",
        action=argparse.BooleanOptionalAction,
        help="bootstrap the images of two checkpoints of one seed; default: where a trial has a single seed",
    )
    parser.add_argument("--view", choices=VIEWS, help="of an Optuna sweep; default: the best trials and what mattered")
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
    from runner.core.errors import InputError  # noqa: PLC0415
    from runner.results.collect import collect  # noqa: PLC0415
    from runner.results.compare import SHOWN_METRICS, compare  # noqa: PLC0415
    from runner.results.export import to_csv, to_json, to_markdown  # noqa: PLC0415
    from runner.sweep.sweep_dir import SweepDir, metric_of  # noqa: PLC0415
    from runner.views.table import render_comparison  # noqa: PLC0415
    from runner.views.terminal import Terminal  # noqa: PLC0415

    plans = [SweepDir(path).plan() for path in args.paths]
    if len(plans) == 1 and (plans[0].get("spec") or {}).get("design") == "optuna" and args.format in ("table", "json"):
        return _compare_search(args)
    if args.view:
        raise InputError("--view is of a single sweep with `design: optuna`, as a table: leave it out for the comparison of trials")
    metric = metric_of(args.paths)
    also = [other.name for path in args.paths for other in SweepDir(path).metrics()]
    comparison = compare(
        collect(args.paths),
        args.metric or metric.name,
        args.goal or metric.goal,
        [*also, *SHOWN_METRICS],
        looks=_looks(plans),
        warnings=list(dict.fromkeys(str(text) for plan in plans for text in plan.get("warnings") or [])),
        images=args.images,
    )
    if args.format == "table":
        Terminal().print(render_comparison(comparison))
    else:
        print({"csv": to_csv, "json": to_json, "md": to_markdown}[args.format](comparison).rstrip("\n"))
    return 0


def _looks(plans: list[dict[str, Any]]) -> tuple[int, ...]:
    """Seeds a trial at each look, where one of the sweeps raced its seeds."""
    from runner.stats.sequential import looks  # noqa: PLC0415

    found = [(len(spec["seeds"]), int(spec["racing"]["max_seeds"])) for plan in plans if (spec := plan.get("spec") or {}).get("racing")]
    return looks(min(first for first, _ in found), max(most for _, most in found)) if found else ()


def _compare_search(args: argparse.Namespace) -> int:
    """Of a sweep whose trials were proposed: its best was picked among many, which a table of differences would hide."""
    from runner.results.search.export import to_json  # noqa: PLC0415
    from runner.sweep.session_results import load_search  # noqa: PLC0415
    from runner.views.search_table import render  # noqa: PLC0415
    from runner.views.terminal import Terminal  # noqa: PLC0415

    results = load_search(args.paths[0], args.metric, args.goal)
    if args.format == "json":
        print(to_json(results).rstrip("\n"))
        return 0
    views: list[View] = [args.view] if args.view else ["best", "importances"]
    if len(results.metrics) > 1 and not args.view:
        views.append("pareto")
    for view in views:
        Terminal().print(render(results, view))
    return 0


def _dashboard(args: argparse.Namespace) -> int:
    from runner.core.errors import InputError  # noqa: PLC0415
    from runner.store.run_dir import find_runs  # noqa: PLC0415
    from runner.views.viewers.processes import start_viewer  # noqa: PLC0415

    runs = list(find_runs(args.paths))
    if not runs:
        raise InputError(f"there is no run in {', '.join(map(str, args.paths))}; `runner ls` lists the runs")
    with start_viewer(args.viewer, runs, port=args.port, language=args.language) as viewer:
        print(f"{args.viewer} shows {len(runs)} runs at {viewer.url} (Ctrl-C ends it)", flush=True)
        viewer.wait()
    return 0
