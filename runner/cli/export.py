"""`runner export`: a run's model as a file that other programs run."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.cli.options import check_output, output_file


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("export", help="write a run's model to an ONNX or TorchScript file")
    parser.add_argument("run_dir", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument("--format", choices=("onnx", "torchscript"), default="onnx", help="default: onnx")
    parser.add_argument(
        "-o", "--output", type=output_file, metavar="FILE", help="the file; default: the run's name with the format's suffix"
    )
    parser.add_argument("--checkpoint", choices=("last", "best"), default="last")
    parser.add_argument("--force", action="store_true", help="overwrite FILE if it is an exported model")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from runner.backends.exported import SUFFIXES, is_exported  # noqa: PLC0415
    from runner.cli.backend_process import run_where_backend_is  # noqa: PLC0415
    from runner.core.errors import InputError, Problem  # noqa: PLC0415
    from runner.store.run_dir import trained_run  # noqa: PLC0415
    from runner.views.counting import count_progress  # noqa: PLC0415
    from runner.worker.export import export_run  # noqa: PLC0415
    from runner.worker.trained_model import backend_of  # noqa: PLC0415

    suffix = SUFFIXES[args.format]
    output = args.output or Path(f"{trained_run(args.run_dir).name}{suffix}")
    if output.suffix.lower() != suffix:
        raise InputError(Problem(f"expected a name that ends in {suffix}, by which the format is recognised", where=str(output)))
    check_output(output, force=args.force, is_earlier=is_exported)
    run_where_backend_is(*backend_of(args.run_dir))
    with count_progress() as progress:
        export_run(args.run_dir, args.format, output, checkpoint=args.checkpoint, progress=progress)
    return 0
