"""Export of a run's model to a file that other programs run, checked against the run's own detections before it gets its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner import __version__
from runner.backends.base import ImageRef
from runner.backends.exported import open_exported
from runner.core.errors import InputError, Problem, RunnerError
from runner.core.text import say
from runner.core.values import counted
from runner.store.run_dir import trained_run
from runner.worker.evaluate import Progress
from runner.worker.main import load_run
from runner.worker.scoring import load_dataset
from runner.worker.trained_model import Which, checkpoint_file, class_names, default_threshold

IMAGES = 16
"""Validation images that a file is compared on."""
MAX_BOX_PX, MAX_SCORE = 0.5, 1e-3
"""Largest difference of a side of a box in pixels of the image, and of a score."""
MAX_UNMATCHED = 1e-3
"""Share of the boxes that may have no counterpart: rounding may decide which of two boxes suppresses the other."""
_GENERATED_IMAGES, _GENERATED_SIDE_PX = 4, 320


@dataclass(frozen=True, slots=True)
class Agreement:
    """Comparison of an exported file with the model that it was made from.

    Args:
        boxes: detections of the model.
        unmatched: detections of either without a counterpart.
        box_px, score: largest difference of the others.
    """

    boxes: int
    unmatched: int
    box_px: float
    score: float

    @property
    def is_close(self) -> bool:
        """The file computes what the model does."""
        return self.unmatched <= MAX_UNMATCHED * self.boxes

    def __str__(self) -> str:
        text = f"{counted(self.boxes, 'box')}, largest difference {self.box_px:.2g} px and {self.score:.1g} in a score"
        return text + (f", {self.unmatched} without a counterpart" if self.unmatched else "")


def export_run(path: Path, to: str, file: Path, *, checkpoint: Which, progress: Progress) -> None:
    """Write a run's model to `file`, and say on what it was checked.

    Raises:
        InputError: no run directory, no checkpoint, or a model that cannot be exported.
        RunnerError: the file's detections are not those of the model; it is removed.
    """
    run_dir = trained_run(path)
    backend, config = load_run(run_dir)
    weights = checkpoint_file(run_dir, checkpoint, backend)
    if to not in backend.export_formats and backend.export_formats:
        raise InputError(f"the backend {backend.name} exports {' and '.join(backend.export_formats)}, not {to}")
    config = replace(config, use_gpu=False)
    about = {"run": run_dir.name, "checkpoint": checkpoint, "runner": __version__}
    facts = {
        "classes": tuple(class_names(backend, weights, run_dir, config)),
        "score_threshold": default_threshold(path)[0],
        "about": about,
    }
    part = file.with_name(f".{file.stem[:100]}.part{file.suffix}")
    try:
        backend.export(config, weights, to, part, facts)
        model = open_exported(part)
        images, where = _check_images(config)
        expected = backend.predictor(config, weights, batch_size=1).predict(images, lambda done, total: progress(done, total, "model"))
        found = model.predict(images, lambda done, total: progress(done, total, to))
        agreement = compare(expected, found)
        if not agreement.is_close:
            raise RunnerError(f"the {to} file does not find what the model does ({where}: {agreement}); it was not kept")
        part.replace(file)
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror}", where=str(file))) from error
    finally:
        part.unlink(missing_ok=True)
    say(f"{file}: {file.stat().st_size / 1e6:.1f} MB; checked on {where}: {agreement}")


def compare(expected: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> Agreement:
    """Compare COCO results image by image: each box with the nearest one of its class, within `MAX_BOX_PX` and `MAX_SCORE`."""
    unmatched, box_px, score = 0, 0.0, 0.0
    groups = [_by_image_and_class(results) for results in (expected, found)]
    for key in {**groups[0], **groups[1]}:
        ours, theirs = (_rows(group.get(key, ())) for group in groups)
        far = np.abs(ours[:, None, :4] - theirs[None, :, :4]).max(axis=2)
        apart = np.abs(ours[:, None, 4] - theirs[None, :, 4])
        cost = far / MAX_BOX_PX + apart / MAX_SCORE
        close = np.argwhere((far <= MAX_BOX_PX) & (apart <= MAX_SCORE))
        rows, columns = set(range(len(ours))), set(range(len(theirs)))
        for row, column in close[np.argsort(cost[close[:, 0], close[:, 1]], kind="stable")].tolist():  # the nearest first
            if row in rows and column in columns:
                rows.remove(row)
                columns.remove(column)
                box_px, score = max(box_px, float(far[row, column])), max(score, float(apart[row, column]))
        unmatched += len(rows) + len(columns)
    return Agreement(len(expected), unmatched, box_px, score)


def _by_image_and_class(results: Iterable[Mapping[str, Any]]) -> dict[tuple[int, int], list[Mapping[str, Any]]]:
    groups: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for item in results:
        groups.setdefault((item["image_id"], item["category_id"]), []).append(item)
    return groups


def _rows(items: Iterable[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Return Float64[N, 5]: xyxy and score."""
    rows = [(x, y, x + width, y + height, item["score"]) for item in items for x, y, width, height in [item["bbox"]]]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 5)


def _check_images(config: Any) -> tuple[list[ImageRef], str]:
    """Return images to compare on, and what they are: of the validation set, evenly spaced, or generated where it is not here."""
    try:
        data = load_dataset(config.eval_dataset, evaluation=True)
    except InputError:
        say("note: the evaluation set is not here; the file is checked on generated images, on which a model may find little", error=True)
        generator = np.random.default_rng(0)
        refs = []
        for number in range(_GENERATED_IMAGES):
            coarse = generator.integers(0, 256, (_GENERATED_SIDE_PX // 16, _GENERATED_SIDE_PX // 16, 3), dtype=np.uint8)
            refs.append(ImageRef(number, Path("generated"), pixels=coarse.repeat(16, axis=0).repeat(16, axis=1)))
        return refs, counted(len(refs), "generated image")
    images = data.images[:: max(1, len(data.images) // IMAGES)][:IMAGES]
    return [ImageRef(image.id, data.path(image), (image.width, image.height)) for image in images], counted(len(images), "validation image")
