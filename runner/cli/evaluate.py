"""`runner eval`: the metrics of a run, or of weights or an exported file on a config's evaluation set."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.cli.options import add_config, folder


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("eval", help="print the metrics of a run, or of weights on a config")
    parser.add_argument("run_dir", nargs="?", type=Path, metavar="RUN", help="a run directory; with -c a file of `runner export`")
    add_config(parser, required=False)
    parser.add_argument(
        "--checkpoint", choices=("last", "best"), help="predict again with this checkpoint; default: use the run's predictions"
    )
    parser.add_argument(
        "--split",
        choices=("val", "test"),
        default="val",
        help="test: evaluate on the test split of the prepared data set, which training and selection never use; the run does not change",
    )
    parser.add_argument(
        "--pictures",
        type=folder,
        metavar="DIR",
        help="folder for pictures: confusion matrix, precision-recall curves, error types, and the worst images",
    )
    parser.add_argument(
        "--save-predictions",
        action="store_true",
        help="write the run's predictions.json with its last checkpoint, where it is missing; the page's gallery needs it",
    )
    parser.add_argument("--force", action="store_true", help="overwrite the pictures of an earlier evaluation")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:

    from runner.backends.exported import is_exported  # noqa: PLC0415
    from runner.cli.backend_process import run_where_backend_is  # noqa: PLC0415
    from runner.core.errors import InputError  # noqa: PLC0415
    from runner.evaluation.pictures import check_folder  # noqa: PLC0415
    from runner.resolve import backend_in  # noqa: PLC0415
    from runner.views.counting import count_progress  # noqa: PLC0415
    from runner.worker.evaluate import evaluate_run, evaluate_weights, needs_backend  # noqa: PLC0415
    from runner.worker.trained_model import backend_of  # noqa: PLC0415

    if args.run_dir is not None and is_exported(args.run_dir):
        return _evaluate_file(args)
    if (args.run_dir is None) == (args.config is None):
        raise InputError("expected either a run (runner eval RUN) or a config with weights (runner eval -c CONFIG -o weights=FILE)")
    if args.run_dir is None:
        run_where_backend_is(*backend_in(args.config, args.opt))
    elif args.split == "test" or needs_backend(args.run_dir, args.checkpoint):
        run_where_backend_is(*backend_of(args.run_dir))
    if args.run_dir is not None and args.opt:
        raise InputError("-o requires -c: a run is evaluated as it was configured")
    if args.save_predictions and (args.run_dir is None or args.split != "val" or args.checkpoint is not None):
        raise InputError("--save-predictions is for a run, without --split and --checkpoint: runner eval RUN --save-predictions")
    if args.pictures is not None:
        check_folder(args.pictures, args.force)
    with count_progress() as progress:
        if args.run_dir is not None:
            result = evaluate_run(
                args.run_dir,
                checkpoint=args.checkpoint,
                progress=progress,
                split=args.split,
                pictures=args.pictures,
                save_predictions=args.save_predictions,
            )
        else:
            result = evaluate_weights(args.config, args.opt, progress=progress, split=args.split, pictures=args.pictures)
    _show(result, as_json=args.json)
    return 0


def _evaluate_file(args: argparse.Namespace) -> int:
    from runner.core.errors import InputError, Problem  # noqa: PLC0415
    from runner.evaluation.pictures import check_folder  # noqa: PLC0415
    from runner.views.counting import count_progress  # noqa: PLC0415
    from runner.worker.evaluate import evaluate_exported  # noqa: PLC0415

    if args.config is None:
        text = "is an exported model, which needs a config that names the data: runner eval FILE.onnx -c RUN/config.yml"
        raise InputError(Problem(text, where=str(args.run_dir)))
    if args.save_predictions or args.checkpoint is not None:
        raise InputError("--save-predictions and --checkpoint are for a run, not for an exported file")
    if args.pictures is not None:
        check_folder(args.pictures, args.force)
    with count_progress() as progress:
        result = evaluate_exported(args.run_dir, args.config, args.opt, progress=progress, split=args.split, pictures=args.pictures)
    _show(result, as_json=args.json)
    return 0


def _show(result: Mapping[str, Any], *, as_json: bool) -> None:
    from runner.core.text import json_text  # noqa: PLC0415
    from runner.views.evaluation import print_evaluation  # noqa: PLC0415

    if as_json:
        print(json_text(result))
    else:
        print_evaluation(result)
