"""`runner data list | prepare | check | stats`."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.cli.options import add_config
from runner.core.text import say
from runner.core.values import counted

_OPTIONS = {
    "size": "image width and height in pixels (generated sets)",
    "train": "number of training images (generated sets)",
    "val": "validation images; of a set that is split at random also a share, 0.2",
    "seed": "seed of the generator, or of the split",
    "images": "number of images the source must have, instead of the spec's verified count",
    "boxes": "number of boxes the source must have, instead of the spec's verified count",
}
_RULES = (
    ("boxes_outside", ("clip", "drop"), "handling of boxes that exceed their image by more than a pixel"),
    ("boxes_empty", ("drop",), "handling of boxes without width or height"),
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("data", help="prepare, check and describe data sets")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    actions.add_parser("list", help="list data sets, and which of them are prepared").set_defaults(run=_list)
    prepare = actions.add_parser("prepare", help="prepare a data set (nothing is ever downloaded)")
    prepare.add_argument("name", help="name of a data set or a format (coco, voc, yolo, deeppcb), or path of a data spec")
    prepare.add_argument("--source", type=Path, metavar="DIR_OR_ARCHIVE", help="folder or archive of the data, or YOLO's data.yaml")
    prepare.add_argument("--name", dest="called", metavar="NAME", help="a name of its own for this set; writes datasets/NAME.yml")
    prepare.add_argument("--force", action="store_true", help="replace a set that was prepared from another source")
    for option, text in _OPTIONS.items():
        prepare.add_argument(f"--{option}", type=_number if option == "val" else int, metavar="N", help=text)
    for option, values, text in _RULES:
        prepare.add_argument(f"--{option.replace('_', '-')}", choices=values, help=text)
    prepare.set_defaults(run=_prepare)
    check = actions.add_parser("check", help="report missing, damaged and contradictory images and boxes")
    check.add_argument("name")
    check.set_defaults(run=_check)
    stats = actions.add_parser("stats", help="print counts and box sizes, and draw a picture")
    stats.add_argument("name", nargs="?", help="name of a data set; with -c it may be left out")
    stats.add_argument("--picture", type=Path, metavar="FILE.png", help="file of the picture; default: beside the data")
    stats.add_argument("--augmented", action="store_true", help="draw the first training batch instead, as the model sees it")
    add_config(stats, required=False)
    stats.set_defaults(run=_stats)


def _list(_args: argparse.Namespace) -> int:
    from runner.data.choice import dataset_choice  # noqa: PLC0415
    from runner.data.spec import find_spec, spec_names  # noqa: PLC0415

    for name in spec_names():
        choice = dataset_choice(name)
        state = "prepared" if choice.prepared else "made at first use" if choice.made_on_first_use else "not prepared"
        say(f"{name:16} {state:18} {find_spec(name).title}")
    return 0


def _prepare(args: argparse.Namespace) -> int:
    from runner.data.prepare import prepare  # noqa: PLC0415
    from runner.data.spec import data_root, find_spec  # noqa: PLC0415
    from runner.views.counting import count_progress  # noqa: PLC0415

    options = {key: value for key in (*_OPTIONS, *(rule[0] for rule in _RULES)) if (value := getattr(args, key)) is not None}
    with count_progress() as progress:
        manifest = prepare(args.name, args.source, data_root(), progress=progress, options=options, force=args.force, called=args.called)
    say(f"{manifest.name}: {'already there' if manifest.reused else 'ready'} in {data_root() / manifest.name}")
    for side, split in manifest.splits.items():
        lists = f" (from {', '.join(split.lists)})" if split.lists else ""
        only = ", read only by `runner eval RUN --split test`" if side == "test" else ""
        say(f"  {side}: {counted(split.images, 'image')}, {counted(split.boxes, 'box')}{lists}{only}")
    say(f"  classes: {', '.join(manifest.classes)}")
    for note in manifest.notes:
        say(f"  {note}")
    if args.called:
        say(f"  spec: {find_spec(args.called).file}; in a config: dataset: {args.called}")
    return 0


def _check(args: argparse.Namespace) -> int:
    from runner.data.choice import dataset_choice  # noqa: PLC0415
    from runner.data.inspection import inspect_set  # noqa: PLC0415
    from runner.views.counting import count_progress  # noqa: PLC0415

    choice = dataset_choice(args.name)
    with count_progress() as progress:
        findings = inspect_set(choice, progress=progress)
    for finding in findings:
        examples = f" ({', '.join(finding.examples)}{', …' if finding.count > len(finding.examples) else ''})" if finding.examples else ""
        say(f"{finding.severity}: {finding.file}: {finding.what}: {finding.count}{examples}")
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = sum(finding.severity == "warning" for finding in findings)
    found = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}" if errors or warnings else "fine"
    say(f"{choice.name}: {found}")
    return 1 if errors else 0


def _stats(args: argparse.Namespace) -> int:
    if args.augmented:
        return _augmented(args)
    from runner.advice.hints import size_hints  # noqa: PLC0415
    from runner.advice.measures import measure  # noqa: PLC0415
    from runner.advice.written import BASE  # noqa: PLC0415
    from runner.core.errors import InputError  # noqa: PLC0415
    from runner.data.choice import dataset_choice  # noqa: PLC0415
    from runner.data.picture import write_picture  # noqa: PLC0415
    from runner.data.spec import data_root  # noqa: PLC0415
    from runner.data.stats import load_sides, stats  # noqa: PLC0415
    from runner.resolve import resolve  # noqa: PLC0415
    from runner.views.data import render_stats  # noqa: PLC0415
    from runner.views.terminal import Terminal  # noqa: PLC0415

    if args.name is None or args.config is not None or args.opt:
        raise InputError("expected the name of a data set: runner data stats NAME; -c and -o are for --augmented")
    choice = dataset_choice(args.name)
    sides = load_sides(choice)
    Terminal().print(render_stats(stats(sides)))
    picture = args.picture or data_root() / choice.name / "stats.png"
    write_picture(sides, picture, choice.name)
    say(f"picture: {picture}")
    small = resolve(BASE, [f"dataset={args.name}", "use_gpu=false"], to_run=False)
    for hint in size_hints(small.plain, measure(sides["train"])):
        say(f"hint, with {BASE}: {hint}")
    say(f"for a config that suits this data: runner init --data {args.name}")
    return 0


def _augmented(args: argparse.Namespace) -> int:
    """Draw the first batch that a training with the config reads."""
    from runner.advice.written import BASE  # noqa: PLC0415
    from runner.backends.base import ShowsBatches  # noqa: PLC0415
    from runner.cli.backend_process import run_where_backend_is  # noqa: PLC0415
    from runner.core.errors import InputError, Problem  # noqa: PLC0415
    from runner.evaluation.batch_picture import write_batch  # noqa: PLC0415
    from runner.resolve import backend_in, resolve  # noqa: PLC0415
    from runner.sweep.session_train import make_dataset  # noqa: PLC0415

    if args.name is None and args.config is None:
        raise InputError("expected a config or the name of a data set: runner data stats --augmented -c CONFIG")
    path = args.config or BASE
    overrides = [*args.opt, *([f"dataset={args.name}"] if args.name else []), "use_gpu=false", "worker_num=0", "pretrain_weights=null"]
    run_where_backend_is(*backend_in(path, overrides))
    resolved = resolve(path, overrides, make_dataset=make_dataset)
    if not isinstance(resolved.backend, ShowsBatches):
        raise InputError(Problem(f"the backend {resolved.backend.name} cannot show its batches; torch can", key="backend"))
    images, names = resolved.backend.first_batch(resolved.config)
    picture = args.picture or Path(resolved.config.train_dataset.dataset_dir, "augmented.png")
    write_batch(images, names, picture)
    boxes = sum(len(image.boxes) for image in images)
    say(f"{counted(len(images), 'image')}, {counted(boxes, 'box')}: {picture}")
    return 0


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)
