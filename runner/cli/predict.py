"""`runner predict`: detections of a run's model on images."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.cli.options import fraction
from runner.core.text import say
from runner.core.values import counted, shell_path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("predict", help="draw the detections of a run's model on images")
    parser.add_argument("run_dir", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="an image, a folder of images, or a pattern in quotes: 'photos/**/*.jpg'"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("predictions"),
        metavar="DIR",
        help="folder for the drawn images and predictions.json; default: predictions/",
    )
    parser.add_argument("--checkpoint", choices=("last", "best"), default="last")
    parser.add_argument(
        "--score-threshold",
        type=fraction,
        metavar="S",
        help="lowest score of a drawn box; default: that of the best F1 in the run's evaluation",
    )
    parser.add_argument("--force", action="store_true", help="overwrite the output of an earlier predict")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.cli.backend_process import run_where_backend_is  # noqa: PLC0415
    from runner.core.errors import InputError, Problem  # noqa: PLC0415
    from runner.data.image_files import find_images  # noqa: PLC0415
    from runner.store.run_dir import RunDir  # noqa: PLC0415
    from runner.views.counting import count_progress  # noqa: PLC0415 - kept out of `runner --help`
    from runner.worker.predict import backend_of, default_threshold, predict_images  # noqa: PLC0415

    if not RunDir(args.run_dir).exists() and (runs := [path for path in args.images if RunDir(path).exists()]):
        swapped = [runs[0], args.run_dir, *(path for path in args.images if path != runs[0])]
        raise InputError(f"the run comes first; did you mean: runner predict {' '.join(map(shell_path, swapped))}")
    if (args.output / "run.json").exists():
        raise InputError(Problem("is the directory of a run; give another --output", where=str(args.output)))
    images = find_images(args.images)
    inside = [image for image in images if image.resolve().parent == args.output.resolve()]
    if inside and (args.force or args.output in args.images):  # the picture of a.png is called a.png
        raise InputError([Problem("lies in the output folder; give another --output", where=str(image)) for image in inside])
    run_where_backend_is(*backend_of(args.run_dir))
    threshold, reason = args.score_threshold, ""
    if threshold is None:
        threshold, reason = default_threshold(args.run_dir)
    with count_progress() as progress:
        found = predict_images(
            args.run_dir, images, args.output, checkpoint=args.checkpoint, score_threshold=threshold, progress=progress, force=args.force
        )
    for path, boxes in found.items():
        say(f"{path}: {counted(len(boxes), 'box')}")
        for name, score, (x, y, width, height) in boxes:
            say(f"  {name:20} {score:.2f}  x {x:.0f} y {y:.0f} w {width:.0f} h {height:.0f}")
    if reason:
        say(f"score threshold: {threshold:g}, {reason}; another: --score-threshold")
    say(f"pictures: {args.output}")
    return 0
