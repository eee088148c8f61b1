"""`runner predict`: detections of a run's model on images."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from runner.cli.options import fraction
from runner.core.text import say
from runner.core.values import counted


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("predict", help="draw the detections of a run's model on images")
    parser.add_argument("run_dir", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("predictions"),
        metavar="DIR",
        help="folder for the drawn images and predictions.json; default: predictions/",
    )
    parser.add_argument("--checkpoint", choices=("last", "best"), default="last")
    parser.add_argument("--score-threshold", type=fraction, default=0.3, metavar="S", help="lowest score of a drawn box; default: 0.3")
    parser.add_argument("--force", action="store_true", help="overwrite the output of an earlier predict")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.cli.backend_process import run_where_backend_is  # noqa: PLC0415
    from runner.core.errors import InputError, Problem  # noqa: PLC0415
    from runner.views.counting import count_progress  # noqa: PLC0415 - kept out of `runner --help`
    from runner.worker.predict import backend_of, predict_images  # noqa: PLC0415

    folders = [image for image in args.images if os.path.isdir(image)]
    if folders:
        raise InputError([Problem("is a folder; give its images", where=str(folder)) for folder in folders])
    if (args.output / "run.json").exists():
        raise InputError(Problem("is the directory of a run; give another --output", where=str(args.output)))
    inside = [image for image in args.images if image.resolve().parent == args.output.resolve()]
    if args.force and inside:  # the picture of a.png is called a.png
        raise InputError([Problem("lies in the output folder; give another --output", where=str(image)) for image in inside])
    run_where_backend_is(*backend_of(args.run_dir))
    with count_progress() as progress:
        found = predict_images(
            args.run_dir,
            args.images,
            args.output,
            checkpoint=args.checkpoint,
            score_threshold=args.score_threshold,
            progress=progress,
            force=args.force,
        )
    for path, boxes in found.items():
        say(f"{path}: {counted(len(boxes), 'box')}")
        for name, score, (x, y, width, height) in boxes:
            say(f"  {name:20} {score:.2f}  x {x:.0f} y {y:.0f} w {width:.0f} h {height:.0f}")
    say(f"pictures: {args.output}")
    return 0
