"""Units in which an x axis counts the steps of a run: images seen, percent of the planned steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from runner.config.load import parse
from runner.config.node import Source, flatten
from runner.core.errors import InputError
from runner.core.files import MAX_JSON_BYTES
from runner.store.run_dir import RunDir
from runner.views.page.curves import AXES, Axis, images_per_step
from runner.views.page.data import PageData, PageRun
from runner.views.page.run_files import read_inside
from runner.views.page.scan import Mark, file_mark

ALL_AXES: Final = frozenset(AXES)
UNKNOWN_OF_IMPORTED: Final[frozenset[Axis]] = frozenset({"relative", "epoch", "images"})

_COUNTED: Final[dict[Path, tuple[Mark | None, int | None]]] = {}
"""config.yml to its mark, and the images of a step that it says."""


def known_axes(run: PageRun) -> frozenset[Axis]:
    """Return the axes that a run probably has: what its config says is read when it is asked for (see `x_per_step`)."""
    result = run.result
    has_images = images_per_step(result.config, result.overrides) is not None or _config_path(run).is_file()
    return ALL_AXES - ({"images"} if not has_images else set()) - ({"relative"} if not result.steps else set())


def x_per_step(data: PageData, runs: Sequence[PageRun], axis: Axis) -> dict[str, float]:
    """Return run id to the x of one step, for axes that count steps in another unit; without the runs of which it is unknown."""
    if axis == "relative":
        return {run.id: 100 / run.result.steps for run in runs if run.result.steps}
    if axis != "images":
        return {}
    by_trial: dict[str, int | None] = {}  # the seeds of a trial share it
    for run in runs:
        if run.trial not in by_trial and not run.result.imported and _config_path(run).is_file():
            by_trial[run.trial] = _images(data, run)
    return {run.id: images for run in runs if (images := by_trial.get(run.trial)) is not None}


def _images(data: PageData, run: PageRun) -> int | None:
    """Return the images of one step of a run: as its config says, read once."""
    known = images_per_step(run.result.config, run.result.overrides)
    if known is not None:
        return known
    path = _config_path(run)
    mark = file_mark(str(path))
    if path not in _COUNTED or _COUNTED[path][0] != mark:
        root = next((root for root in data.roots if path.is_relative_to(root)), path.parent)
        try:
            text = read_inside(root, path.relative_to(root).parts, MAX_JSON_BYTES).decode()
            config = dict(flatten(parse(text, lambda line: Source("config.yml", line)).plain()))
        except (OSError, UnicodeDecodeError, InputError):
            config = {}  # the trials part lists the run with its problem
        _COUNTED[path] = (mark, images_per_step(config, run.result.overrides))
    return _COUNTED[path][1]


def _config_path(run: PageRun) -> Path:
    return RunDir(run.result.path).config
