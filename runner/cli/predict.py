"""`runner predict`: detections of a run's model on images and videos."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runner.cli.options import fraction, positive
from runner.core.text import say
from runner.core.values import counted, shell_path

if TYPE_CHECKING:
    from runner.worker.predict import PredictionSummary

_SAVED = ("images", "json", "csv", "yolo")
_MOST_PROBLEMS = 20


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("predict", help="find objects in images and videos with a run's model")
    parser.add_argument("run_dir", type=Path, metavar="RUN", help="a run directory, or a file of `runner export`")
    parser.add_argument(
        "images",
        nargs="+",
        type=Path,
        metavar="IMAGE",
        help="an image, a folder of images, a pattern in quotes ('photos/**/*.jpg'), or a video",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("predictions"), metavar="DIR", help="folder for the results; default: predictions/"
    )
    parser.add_argument(
        "--save",
        type=_kinds,
        action="extend",
        metavar="KINDS",
        help="what to write, separated by commas: images (drawn boxes), json, csv, yolo (labels); default: images,json",
    )
    parser.add_argument("--checkpoint", choices=("last", "best"), help="default: last")
    parser.add_argument(
        "--score-threshold",
        type=fraction,
        metavar="S",
        help="lowest score of a box; default: that of the best F1 in the run's evaluation",
    )
    parser.add_argument("--tile", type=positive, metavar="PX", help="predict on tiles of PX x PX pixels, for small objects in large images")
    parser.add_argument(
        "--overlap",
        type=_overlap,
        default=0.2,
        metavar="SHARE",
        help="share of a tile that the next one repeats; default: 0.2",
    )
    parser.add_argument("--batch", type=positive, metavar="N", help="images per step; default: the config's")
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="use each N-th frame of a video")
    parser.add_argument("--force", action="store_true", help="begin anew, and overwrite the output of an earlier predict")
    parser.set_defaults(run=_run)


def _kinds(text: str) -> list[str]:
    """Read names separated by commas. Raises argparse.ArgumentTypeError for one that is unknown."""
    kinds = text.split(",")
    for kind in kinds:
        if kind not in _SAVED:
            raise argparse.ArgumentTypeError(f"unknown kind {kind!r}; expected some of {', '.join(_SAVED)}, separated by commas")
    return kinds


def _overlap(text: str) -> float:
    """Read a share from 0 to 0.9. Raises argparse.ArgumentTypeError for anything else."""
    from runner.data.tiles import MAX_OVERLAP  # noqa: PLC0415 - kept out of `runner --help`

    share = fraction(text)
    if share > MAX_OVERLAP:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to {MAX_OVERLAP:g}, got {text!r}")
    return share


def _run(args: argparse.Namespace) -> int:
    from runner.backends.exported import is_exported, open_exported  # noqa: PLC0415
    from runner.cli.backend_process import run_where_backend_is  # noqa: PLC0415
    from runner.core.errors import InputError, Problem  # noqa: PLC0415
    from runner.data.image_files import find_images  # noqa: PLC0415
    from runner.store.checkpoints import file_sha256  # noqa: PLC0415
    from runner.store.run_dir import RunDir  # noqa: PLC0415
    from runner.views.counting import count_progress  # noqa: PLC0415 - kept out of `runner --help`
    from runner.worker.predict import predict_images  # noqa: PLC0415
    from runner.worker.prediction_files import PredictionFiles, Settings  # noqa: PLC0415
    from runner.worker.trained_model import backend_of, default_threshold, load_trained, model_file  # noqa: PLC0415

    if not RunDir(args.run_dir).exists() and (runs := [path for path in args.images if RunDir(path).exists()]):
        swapped = [runs[0], args.run_dir, *(path for path in args.images if path != runs[0])]
        raise InputError(f"the run comes first; did you mean: runner predict {' '.join(map(shell_path, swapped))}")
    if (args.output / "run.json").exists():
        raise InputError(Problem("is the directory of a run; give another --output", where=str(args.output)))
    images = find_images(args.images)
    inside = [image for image in images if image.resolve().parent == args.output.resolve()]
    if inside:  # the picture of a.png is called a.png
        raise InputError(
            [Problem("lies in the output folder; give another --output", where=str(image)) for image in inside[:_MOST_PROBLEMS]]
        )
    if is_exported(args.run_dir):
        if args.checkpoint is not None or args.batch is not None:
            raise InputError("--checkpoint and --batch are for a run; an exported file is one model, and takes one image at a time")
        open_exported(args.run_dir)
    else:
        run_where_backend_is(*backend_of(args.run_dir))
    checkpoint: Literal["last", "best"] = args.checkpoint or "last"
    threshold, reason = args.score_threshold, ""
    if threshold is None:
        threshold, reason = default_threshold(args.run_dir)
    settings = Settings(
        model=file_sha256(model_file(args.run_dir, checkpoint)),
        score_threshold=threshold,
        tile_px=args.tile,
        overlap=args.overlap if args.tile is not None else 0.0,
        every=args.every,
        save=tuple(kind for kind in _SAVED if kind in (args.save or ("images", "json"))),
    )
    files = PredictionFiles(args.output, settings, images, force=args.force)
    with count_progress() as progress:
        found = predict_images(load_trained(args.run_dir, checkpoint, batch_size=args.batch), images, files, progress=progress)
    _print(found, args.output)
    if reason:
        say(f"score threshold: {threshold:g}, {reason}; another: --score-threshold")
    if found.problems:
        left = len(found.problems) - _MOST_PROBLEMS
        more = [Problem(f"and {counted(left, 'more problem')}")] if left > 0 else []
        raise InputError([*found.problems[:_MOST_PROBLEMS], *more])
    return 0


def _print(found: PredictionSummary, output: Path) -> None:
    for path, boxes in found.shown:
        say(f"{path}: {counted(len(boxes), 'box')}")
        for box in boxes:
            x, y, width, height = box.bbox
            say(f"  {box.name:20} {box.score:.2f}  x {x:.0f} y {y:.0f} w {width:.0f} h {height:.0f}")
    if found.images > len(found.shown):
        say(f"and {counted(found.images - len(found.shown), 'more image')}")
    parts = [counted(found.images, "image")] if found.images or not found.frames else []
    parts += [counted(found.frames, "frame")] if found.frames else []
    earlier = f"; {counted(found.earlier, 'file')} done before" if found.earlier else ""
    say(f"{', '.join(parts)}: {counted(found.boxes, 'box')}{earlier}")
    if found.images or found.frames or found.earlier:
        say(f"results: {output}")
