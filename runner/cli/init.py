"""`runner init`: writes a config for a data set and this machine."""

from __future__ import annotations

import argparse
import math
import shlex
from pathlib import Path

from runner.core.text import say


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "init",
        help="write a config that suits a data set and this machine",
        description="Write a config that suits a data set and this machine. Trains a few steps to measure it; the data must be prepared.",
    )
    parser.add_argument("--data", required=True, metavar="NAME", help="name of a prepared data set, or path of its data spec")
    parser.add_argument("--minutes", type=_minutes, default=10.0, metavar="N", help="time for training and evaluation; default: 10")
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto", help="default: the GPU if a usable one is found")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="file of the config; default: NAME.yml in the current folder")
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.advice.advise import AdviceRequest, advise  # noqa: PLC0415 - kept out of `runner --help`
    from runner.advice.written import BASE  # noqa: PLC0415
    from runner.core.files import atomic_write_text  # noqa: PLC0415
    from runner.core.values import shell_path  # noqa: PLC0415
    from runner.data.choice import dataset_choice  # noqa: PLC0415
    from runner.resolve import resolve, warnings_of  # noqa: PLC0415
    from runner.sweep.session_train import make_dataset  # noqa: PLC0415

    file = _free_file(args.output or Path(f"{dataset_choice(args.data).name}.yml"), force=args.force)
    gpu = {"auto": "auto", "cpu": "false", "gpu": "true"}[args.device]
    base = resolve(BASE, [f"dataset={args.data}", f"use_gpu={gpu}"], make_dataset=make_dataset, to_train=False)
    request = AdviceRequest(args.data, "gpu" if base.config.use_gpu else "cpu", args.minutes, _command(args))
    advice = advise(request, dataset_choice(args.data), lambda line: say(line, error=True))
    atomic_write_text(file, advice.config)
    for note in advice.notes:
        say(f"note: {note}", error=True)
    for warning in warnings_of(resolve(file)):
        say(f"warning: {warning}", error=True)
    print(advice.config, end="")
    say(f"wrote {file}; next: runner train -c {shell_path(file)}")
    return 0


def _free_file(file: Path, *, force: bool) -> Path:
    """Return the file to write. Raises InputError where something is there that must not be replaced, or it has no folder."""
    from runner.core.errors import InputError, Problem  # noqa: PLC0415

    if not file.parent.is_dir():
        raise InputError(Problem(f"folder {file.parent} does not exist; create it, or give another -o FILE", where=str(file)))
    if file.is_dir():
        raise InputError(Problem("is a folder; give the path of a file: -o FILE", where=str(file)))
    if file.exists() and not force:
        raise InputError(Problem("exists already; give another -o FILE, or --force to replace it", where=str(file)))
    return file


def _command(args: argparse.Namespace) -> str:
    return shlex.join(["runner", "init", "--data", args.data, "--minutes", f"{args.minutes:g}", "--device", args.device])


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of minutes above 0, got {text!r}")
    return value
