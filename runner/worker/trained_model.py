"""A trained model that is ready to predict: that of a run's checkpoint, or an exported file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from runner.backends.base import Backend, Predictor
from runner.backends.exported import is_exported, open_exported
from runner.config.dump import canonical, to_plain
from runner.core.errors import InputError, Problem
from runner.core.text import say
from runner.core.values import shell_path
from runner.data.coco import load_coco
from runner.evaluation.result import BEST_F1, BEST_F1_THRESHOLD
from runner.store.run_dir import RunDir, trained_run
from runner.worker.main import load_run
from runner.worker.samples import SCORE_THRESHOLD

Which = Literal["last", "best"]


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model that is loaded.

    Args:
        predictor: the model.
        classes: names in the order of its outputs.
    """

    predictor: Predictor
    classes: Sequence[str]


def backend_of(path: Path) -> tuple[str, str | None]:
    """Return a run's backend and the interpreter that its config gives, if any.

    Raises:
        InputError: no run directory.
    """
    backend, config = load_run(trained_run(path))
    return backend.name, config.backend_python


def load_trained(path: Path, checkpoint: Which, *, batch_size: int | None = None) -> TrainedModel:
    """Load a run's model, to predict on images as its TestReader prepares them, or its EvalReader if it has none; or an exported file,
    which takes one image at a time.

    Raises:
        InputError: no run directory, no checkpoint, or one that is damaged.
    """
    if is_exported(path):
        model = open_exported(path)
        return TrainedModel(model, model.facts.classes)
    run_dir = trained_run(path)
    backend, config = load_run(run_dir)
    weights = checkpoint_file(run_dir, checkpoint, backend)
    reader = "TestReader" if to_plain(canonical(config)).get("TestReader") is not None else "EvalReader"
    predictor = backend.predictor(for_this_machine(backend, config), weights, reader=reader, batch_size=batch_size)
    return TrainedModel(predictor, class_names(backend, weights, run_dir, config))


def model_file(path: Path, checkpoint: Which) -> Path:
    """Return the file that `load_trained` reads the model from. Raises InputError: see there."""
    if is_exported(path):
        return path
    run_dir = trained_run(path)
    return checkpoint_file(run_dir, checkpoint, load_run(run_dir)[0])


def default_threshold(path: Path) -> tuple[float, str]:
    """Return the score threshold for a run's detections, and where it comes from: the best F1 of the run's evaluation, else 0.3."""
    if is_exported(path):
        return open_exported(path).facts.score_threshold, "that of the exported file"
    metrics = (trained_run(path).results() or {}).get("metrics") or {}
    threshold, f1 = metrics.get(BEST_F1_THRESHOLD), metrics.get(BEST_F1)
    if isinstance(threshold, float) and isinstance(f1, float):
        return threshold, f"that of the best F1 ({f1:.2f}) in the run's evaluation"
    return SCORE_THRESHOLD, "since the run has no evaluation with a best F1"


def checkpoint_file(run_dir: RunDir, which: Which, backend: Backend) -> Path:
    """Return the file of a run's checkpoint. Raises InputError: there is none."""
    path = run_dir.checkpoints / f"{which}{backend.checkpoint_suffix}"
    if not path.is_file():
        others = sorted(file.name for file in run_dir.checkpoints.glob(f"*{backend.checkpoint_suffix}"))
        there = (
            f"there are {', '.join(others)}" if others else f"there is none yet; continue the run: runner resume {shell_path(run_dir.path)}"
        )
        raise InputError(Problem(f"checkpoint does not exist; {there}", where=str(path)))
    return path


def for_this_machine(backend: Backend, config: Any) -> Any:
    """Return the run's config, set to the CPU if it was trained on a GPU that this machine lacks."""
    if not config.use_gpu or backend.probe().gpus:
        return config
    print_note("trained on a GPU, predicting on the CPU")
    return replace(config, use_gpu=False)


def print_note(text: str) -> None:
    """Print a note for the user to stderr."""
    say(f"note: {text}", error=True)


def class_names(backend: Backend, weights: Path, run_dir: RunDir, config: Any) -> Sequence[str]:
    """Return the class names by index: those of the checkpoint; of an older one as the run's evaluation recorded them, else from the
    annotations. Raises InputError: these are missing."""
    if names := backend.class_names(weights):
        return names
    recorded = (run_dir.results() or {}).get("classes")
    if recorded:
        return [str(name) for name in recorded]
    data = config.eval_dataset
    folder = Path(data.dataset_dir)
    return list(load_coco(folder / data.anno_path, folder / data.image_dir, allow_empty=True, check_images=False).class_names)
