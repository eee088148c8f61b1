"""`runner config show | check | diff`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from runner.cli.options import add_config, add_overrides, expect_option, missing_lines
from runner.core.text import say


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("config", help="show, check or compare resolved configs")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    show = actions.add_parser("show", help="print the resolved config: bases merged, overrides applied, auto replaced")
    add_config(show)
    show.add_argument("--format", choices=("yaml", "json"), default="yaml")
    show.add_argument(
        "--explain",
        action="store_true",
        help="print what was translated from PaddleDetection's older dialect (0.x) and why, then the translated config",
    )
    expect_option(show)
    show.set_defaults(run=_show)
    check = actions.add_parser("check", help="report every error in a config, and list what a run would also need")
    add_config(check)
    expect_option(check)
    check.set_defaults(run=_check)
    diff = actions.add_parser("diff", help="print the keys in which two resolved configs differ")
    diff.add_argument("first", type=Path, metavar="A")
    diff.add_argument("second", type=Path, metavar="B")
    add_overrides(diff)
    diff.set_defaults(run=_diff)


def _show(args: argparse.Namespace) -> int:
    if args.explain:
        return _explain(args)
    from runner.config.dump import to_json  # noqa: PLC0415
    from runner.config.length import training_length  # noqa: PLC0415
    from runner.resolve import resolve, training_images  # noqa: PLC0415 - kept out of `runner --help`

    resolved = resolve(args.config, args.opt, to_run=False)
    print(resolved.yaml if args.format == "yaml" else to_json(resolved.tree), end="" if args.format == "yaml" else "\n")
    length = training_length(resolved.plain, training_images(resolved.config))
    if length is not None:
        say(f"length of training: {length}", error=True)
    for line in missing_lines(resolved.missing):
        say(line, error=True)
    return 0


def _explain(args: argparse.Namespace) -> int:
    """Print the translated config, not resolved, and what was changed: as comments above the YAML, which is a config of its own."""
    from runner.config.bind import open_value  # noqa: PLC0415
    from runner.config.dump import to_json, to_yaml  # noqa: PLC0415
    from runner.config.legacy import as_newer_dialect, explain  # noqa: PLC0415
    from runner.config.load import load_config  # noqa: PLC0415

    tree, changes = as_newer_dialect(load_config(args.config), args.opt)
    if args.format == "json":
        print(to_json({"changes": [asdict(change) for change in changes], "config": open_value(tree)}))
        return 0
    for line in explain(changes, args.config):
        say(f"# {line}".rstrip())
    print(to_yaml(open_value(tree)), end="")
    return 0


def _check(args: argparse.Namespace) -> int:
    from runner.core.values import counted  # noqa: PLC0415
    from runner.resolve import resolve, warnings_of  # noqa: PLC0415

    resolved = resolve(args.config, args.opt, to_run=False)
    warnings = warnings_of(resolved)
    for note in resolved.notes:
        say(f"note: {note}")
    for warning in warnings:
        say(f"warning: {warning}")
    for line in missing_lines(resolved.missing):
        say(line)
    found = f", {counted(len(warnings), 'warning')}" if warnings else ""
    say(f"{args.config}: valid{found}")
    return 0


def _diff(args: argparse.Namespace) -> int:
    from runner.config.node import flatten  # noqa: PLC0415
    from runner.core.values import format_value, same_value  # noqa: PLC0415
    from runner.resolve import resolve  # noqa: PLC0415

    first, second = (dict(flatten(resolve(path, args.opt, to_run=False).plain)) for path in (args.first, args.second))
    for key in dict.fromkeys([*first, *second]):
        if key not in first or key not in second or not same_value(first[key], second[key]):
            before, after = (format_value(tree[key]) if key in tree else "(not there)" for tree in (first, second))
            say(f"{key}: {before} → {after}")
    return 0
