"""Checks that every backend shares: the length of training and the data sets. Imports no framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from runner.core.errors import InputError, Missing, Problem, Remark
from runner.core.files import similar_name
from runner.core.values import counted
from runner.data.annotations import Fault, Tables
from runner.data.boxes import boxes_as_shares, boxes_outside, negative_sizes, notes
from runner.data.coco import CocoSet, load_coco
from runner.data.headers import other_sizes
from runner.training.common_config import CommonConfig


def check_length(config: CommonConfig) -> Iterator[Problem]:
    """Check that the length of training is given exactly once."""
    if config.epoch is None and config.max_iters is None:
        yield Problem("missing; expected the length of training: set epoch or max_iters", key="epoch")
    if config.epoch is not None and config.max_iters is not None:
        yield Problem(f"{config.max_iters} excludes epoch ({config.epoch}); remove one (-o epoch=null)", key="max_iters")


def check_data(config: CommonConfig, steps_per_epoch: Callable[[int], int], *, upright: bool = False) -> Iterator[Problem]:
    """Check that both data sets exist, are valid and have the same classes, and that they suffice for a step.

    Args:
        steps_per_epoch: for a number of training images; raises InputError if there are too few.
        upright: the backend turns every image as its EXIF data says, so the annotations have to mean the upright one.
    """
    train_set, problems = _load("TrainDataset", config.train_dataset, evaluation=False, upright=upright)
    yield from problems
    eval_set, problems = _load("EvalDataset", config.eval_dataset, evaluation=True, upright=upright)
    yield from problems
    if train_set is not None:
        yield from _classes(config, train_set, "TrainDataset")
        try:
            steps_per_epoch(len(train_set.images))
        except InputError as error:
            yield from error.problems
    if eval_set is not None:
        yield from _classes(config, eval_set, "EvalDataset")
    if train_set is not None and eval_set is not None and train_set.categories != eval_set.categories:
        yield Problem(f"classes {_named(eval_set)} differ from those of TrainDataset, {_named(train_set)}", key="EvalDataset.anno_path")


def _load(key: str, dataset: Any, *, evaluation: bool, upright: bool) -> tuple[CocoSet | None, list[Problem]]:
    anno_path, image_dir = Path(dataset.dataset_dir, dataset.anno_path), Path(dataset.dataset_dir, dataset.image_dir)
    problems: list[Problem] = []
    if not dataset.anno_path:
        problems.append(Problem("missing; expected a data set (dataset: NAME) or a COCO file", key=f"{key}.anno_path"))
    elif not anno_path.is_file():
        problems.append(Missing(f"file {anno_path} does not exist{similar_name(anno_path)}; {_PREPARE}", key=f"{key}.anno_path"))
    if not image_dir.is_dir():
        problems.append(Missing(f"folder {image_dir} does not exist{similar_name(image_dir)}; {_PREPARE}", key=f"{key}.image_dir"))
    if problems:
        return None, problems
    allow_empty, empty_ratio = (True, 1.0) if evaluation else (dataset.allow_empty, dataset.empty_ratio)

    remarks: list[Problem] = []

    def examine(tables: Tables) -> list[Fault]:
        remarks.extend(Remark(note) for note in notes(tables, anno_path, evaluated=evaluation))
        faults = [*(negative_sizes(tables) if evaluation else ()), *boxes_outside(tables), *boxes_as_shares(tables)]
        return faults + other_sizes(image_dir, tables.file_names, tables.sizes, upright=upright)

    try:
        found = load_coco(
            anno_path, image_dir, allow_empty=allow_empty, sample_num=dataset.sample_num, empty_ratio=empty_ratio, examine=examine
        )
        return found, remarks
    except InputError as error:
        return None, [
            Problem(problem.message, problem.where or str(anno_path), problem.key or f"{key}.anno_path") for problem in error.problems
        ]


_PREPARE = "`runner data prepare NAME` makes one, or correct the path"


def _classes(config: CommonConfig, data: CocoSet, key: str) -> Iterator[Problem]:
    if len(data.categories) != config.num_classes:
        yield Problem(
            f"{counted(config.num_classes, 'class')} configured, but {data.anno_path} ({key}) has {len(data.categories)}: {_named(data)}",
            key="num_classes",
        )


def _named(data: CocoSet) -> str:
    names = list(data.class_names)
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
