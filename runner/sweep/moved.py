"""Data of an interrupted run: whether it is still where the run's config says, and where else it may be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from runner.config.node import Node
from runner.core.errors import InputError, Problem
from runner.core.values import shell_path
from runner.data.choice import dataset_choice
from runner.resolve import Resolved
from runner.store.run_dir import RunDir


def lost_data(tree: Node) -> dict[str, Path]:
    """Section to its annotation file or image folder, of the data sets of a resolved config that are not where it says."""
    lost: dict[str, Path] = {}
    for section in ("TrainDataset", "EvalDataset"):
        folder, anno_path, image_dir = (tree.get(f"{section}.{key}") for key in ("dataset_dir", "anno_path", "image_dir"))
        for part in (image_dir, anno_path):
            path = Path(str(folder.value if folder else ""), str(part.value if part else ""))
            if part is not None and not path.exists():
                lost[section] = path
    return lost


def moved_data(tree: Node, run_dir: RunDir) -> dict[str, Any]:
    """Find where the lost data of a run is now: in the prepared set of its name. Raises InputError if that does not exist either."""
    lost = lost_data(tree)
    name = tree.get("dataset")
    choice, broken = None, []
    if name is not None and isinstance(name.value, str):
        try:
            choice = dataset_choice(name.value)
        except InputError as error:
            broken = [problem for problem in error.problems if problem.where]  # in the data spec; without a file: no such data set
    if choice is not None and choice.prepared and choice.train.annotations.is_file() and choice.train.annotations not in lost.values():
        folder = os.path.abspath(choice.train.dataset_dir)
        return {f"{section}.dataset_dir": folder for section in (*lost, "TestDataset") if tree.get(f"{section}.dataset_dir") is not None}
    raise InputError(broken or [_lost(section, path, run_dir) for section, path in lost.items()])  # a broken spec cannot say where it is


def _lost(section: str, path: Path, run_dir: RunDir) -> Problem:
    what, key = ("annotation file", "anno_path") if path.suffix == ".json" else ("image folder", "image_dir")
    advice = (
        f"put it back, or give the new location of the same data: runner train -r {shell_path(run_dir.path)} "
        f"-o {section}.dataset_dir=FOLDER, or RUNNER_DATA for a prepared data set"
    )
    return Problem(f"the {what} {path} is missing; {advice}", where=str(run_dir.config), key=f"{section}.{key}")


def data_of(resolved: Resolved) -> dict[str, Any]:
    """Return where the data of a resolved config lies, as values for another one."""
    config, keys = resolved.config, ("dataset_dir", "image_dir", "anno_path")
    sections = {"TrainDataset": config.train_dataset, "EvalDataset": config.eval_dataset}
    return {f"{section}.{key}": getattr(data, key) for section, data in sections.items() if data is not None for key in keys}
