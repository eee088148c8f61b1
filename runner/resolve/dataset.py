"""Expansion of ``dataset: NAME`` into its sections."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from runner.config.node import Node, Source, from_plain
from runner.core.errors import InputError, Problem, keep_one
from runner.core.values import format_value
from runner.data.choice import DatasetChoice, dataset_choice
from runner.data.manifest import read_manifest
from runner.resolve.resolution import AUTO, DATA_SECTIONS, Resolution


def with_absolute_folders(tree: Node) -> Node:
    """Make the folders of the data sections absolute, so that a run's config.yml means the same wherever it is read."""
    by_name = (name := tree.get("dataset")) is not None and name.value is not None  # then a section may leave the folder to the name
    for section in (*DATA_SECTIONS, "TestDataset"):
        node = tree.get(section)
        if node is not None and node.mapping is not None:
            folder = node.mapping.get("dataset_dir", Node("", node.source))
            if isinstance(folder.value, str) and (folder.value or not by_name):
                absolute = replace(folder, value=os.path.abspath(Path(folder.value).expanduser()))
                tree = tree.with_key(section, node.with_key("dataset_dir", absolute))
    return tree


def expand_dataset(resolution: Resolution, make: Callable[[str], None] | None) -> None:
    """Replace ``dataset: NAME`` by its sections; both may be given only if they agree.

    Args:
        make: called with the name of a generated data set that does not exist yet; without it such a set is only named.
    """
    node = resolution.tree.get("dataset")
    if node is None or node.value is None:
        return
    where = str(node.source)
    choice = _choose(resolution, node, make)
    if choice is None:
        resolution.has_data = False
        return
    if _is_prepared_elsewhere(resolution.tree, choice):
        return
    before = len(resolution.problems)
    is_needed = any(resolution.tree.get(f"{section}.dataset_dir") is None for section in DATA_SECTIONS)
    for key, value in _sections_of(choice).items():
        if not _set_section(resolution, key, value, choice.name):
            text = f"contradicts dataset: {choice.name} ({where}); {keep_one('dataset', is_needed)}"
            resolution.problems.append(Problem(text, where=str(given.source) if (given := resolution.tree.get(key)) else "", key=key))
    if not choice.prepared and choice.made_on_first_use:
        resolution.notes.append(f"dataset: made at first use: {choice.name}")
    elif not choice.prepared:
        resolution.missing.append(Problem(choice.message, where=where, key="dataset"))
    resolution.has_data = choice.prepared and len(resolution.problems) == before
    manifest = read_manifest(Path(choice.train.dataset_dir))
    if manifest is not None and manifest.options:
        options = ", ".join(f"{key} {value}" for key, value in manifest.options.items())
        resolution.notes.append(f"dataset: {choice.name} was prepared with {options}, not as its spec has it")


def _choose(resolution: Resolution, node: Node, make: Callable[[str], None] | None) -> DatasetChoice | None:
    """Find the data set of a name; None and problems if there is none."""
    where = str(node.source)
    if not isinstance(node.value, str):
        text = f"expected the name of a data set (see `runner data list`), got {format_value(node.plain())}"
        resolution.problems.append(Problem(text, where=where, key="dataset"))
        return None
    try:
        choice = dataset_choice(node.value)
        if not choice.prepared and choice.made_on_first_use and make is not None:
            make(node.value)
            choice = dataset_choice(node.value)
    except InputError as error:
        in_spec = [problem if problem.where else Problem(problem.message, where=where, key="dataset") for problem in error.problems]
        resolution.problems += in_spec
        return None
    return choice


def _set_section(resolution: Resolution, key: str, value: Any, name: str) -> bool:
    """Set one key, or complete its section, from the data set; return False where the config contradicts it."""
    given, source = resolution.tree.get(key), Source(f"dataset {name}")
    if given is None or given.plain() in (None, AUTO):
        resolution.tree = resolution.tree.with_key(key, from_plain(value, source))
    elif key != "eval_iou_thresholds" and not _agree(given.plain(), value):
        return False
    elif given.mapping is not None:
        resolution.tree = resolution.tree.with_key(key, _filled(given, from_plain(value, source)))
    return True


def _is_prepared_elsewhere(tree: Node, choice: DatasetChoice) -> bool:
    """Return whether the config's own sections lie in another folder with this very data set (a run's config.yml, another RUNNER_DATA)."""
    nodes = [tree.get(f"{section}.dataset_dir") for section in DATA_SECTIONS]
    folders = {str(node.value) for node in nodes if node is not None}
    if len(folders) != 1 or folders == {os.path.abspath(choice.train.dataset_dir)} or tree.get("num_classes") is None:
        return False
    manifest = read_manifest(Path(folders.pop()))
    return manifest is not None and manifest.name == choice.name


def _sections_of(choice: DatasetChoice) -> dict[str, Any]:
    folder = os.path.abspath(choice.train.dataset_dir)
    sections: dict[str, Any] = {
        "TrainDataset": {"name": "COCODataSet", **asdict(choice.train), "dataset_dir": folder},
        "EvalDataset": {"name": "COCODataSet", **asdict(choice.eval), "dataset_dir": folder, "allow_empty": True},
        "TestDataset": {"name": "ImageFolder", "dataset_dir": folder, "anno_path": choice.eval.anno_path},
    }
    if choice.num_classes is not None:
        sections["num_classes"] = choice.num_classes
    if choice.eval_iou_thresholds:
        sections["eval_iou_thresholds"] = list(choice.eval_iou_thresholds)
    return sections


def _filled(given: Node, meant: Node) -> Node:
    """Complete a section that says only part of it (``-o TrainDataset.sample_num=50``) by what the data set says."""
    own = {key: node for key, node in (given.mapping or {}).items() if node.value not in (None, "")}
    rest = {key: node for key, node in (meant.mapping or {}).items() if key != "name" or given.tag is None}
    return replace(given, value={**rest, **own})


def _agree(given: Any, meant: Any) -> bool:
    """Return whether a section of the config names the same data as the data set does; other keys (sample_num, …) are the config's own
    business."""
    if isinstance(given, Mapping) and isinstance(meant, Mapping):
        keys = ("name", "dataset_dir", "image_dir", "anno_path")
        return all(_agree(given[key], meant[key]) for key in keys if given.get(key) and key in meant)
    return bool(given == meant)
