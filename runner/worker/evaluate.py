"""Evaluation of a trained model outside of training."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from runner.backends.base import Backend, ImageRef
from runner.backends.exported import open_exported
from runner.core.errors import InputError, Problem
from runner.core.files import atomic_write_json, read_bytes, read_json, similar_name
from runner.core.text import say
from runner.core.values import counted
from runner.core.values import listed as listed_first
from runner.data.classes import listed, match_classes, read_names
from runner.data.manifest import IMAGE_DIR, read_manifest
from runner.data.proposal import prepare_again
from runner.evaluation.pictures import write_pictures
from runner.resolve import resolve
from runner.store.run_dir import RunDir, trained_run
from runner.worker.main import load_run
from runner.worker.scoring import Scorer
from runner.worker.trained_model import Which, checkpoint_file, for_this_machine, print_note

EvalSplit = Literal["val", "test"]
Progress = Callable[[int, int, str], None]

_MAX_PREDICTIONS_BYTES = 1 << 31
"""Largest size of predictions.json: COCO's 5,000 validation images with 100 boxes each take about 60 MB."""


def needs_backend(path: Path, checkpoint: Which | None) -> bool:
    """Return whether `evaluate_run` has to predict."""
    return checkpoint is not None or not RunDir(path).predictions.is_file()


def evaluate_run(
    path: Path,
    *,
    checkpoint: Which | None,
    progress: Progress,
    split: EvalSplit = "val",
    pictures: Path | None = None,
    save_predictions: bool = False,
) -> dict[str, Any]:
    """Evaluate a run and return the numbers in the form of eval.json; nothing in the run directory changes unless asked for.

    Args:
        checkpoint: predict anew with it; None: compute from the run's own predictions, or predict with the last checkpoint if there are
            none, or for the test split. Where the data for that is not here, the numbers that the run recorded are returned.
        split: ``val``: the run's own EvalDataset; ``test``: the test split of the prepared set that it is part of.
        pictures: folder for pictures of the evaluation; None: none are drawn.
        save_predictions: predict with the last checkpoint and write the run's predictions.json, which it must not have.

    Raises:
        InputError: no run directory, no checkpoint, missing data, no test split, or predictions that cannot be saved.
    """
    run_dir = trained_run(path)
    backend, config = load_run(run_dir)
    if save_predictions:
        _check_unpredicted(run_dir)
    if split == "test":
        checkpoint = checkpoint or "last"
    has_to_predict = needs_backend(path, checkpoint)
    may_recall = checkpoint is None and not save_predictions
    if may_recall and not _has_data(config, images=has_to_predict) and (recorded := run_dir.results()) and "metrics" in recorded:
        if config.eval_dataset is not None:
            print_note(f"the evaluation set is not at {config.eval_dataset.dataset_dir}: these are the numbers that the run recorded")
        if pictures is not None:
            _draw(recorded, pictures, run_dir.name, None, ())
        return recorded
    scorer = _scorer(config, split, check_images=has_to_predict)
    if has_to_predict:
        weights = checkpoint_file(run_dir, checkpoint or "last", backend)
        predictions: Any = _predict(backend, for_this_machine(backend, config), weights, scorer, progress)
        if save_predictions:
            _save_predictions(run_dir, scorer, predictions)
    else:
        predictions = _own_predictions(run_dir, scorer)
    step = {} if checkpoint else {"step": run_dir.status().step}
    result = {**step, **_split_named(split), **scorer.evaluate(predictions).to_json()}
    if pictures is not None:
        _draw(result, pictures, f"{run_dir.name} on {split}", scorer, predictions)
    return result


def _check_unpredicted(run_dir: RunDir) -> None:
    """Raise InputError where a run has predictions, or has not ended with an evaluation that they would belong to."""
    if os.path.lexists(run_dir.predictions):
        raise InputError(Problem("exists already and is not overwritten; leave out --save-predictions", where=str(run_dir.predictions)))
    if run_dir.status().state != "done" or run_dir.results() is None:
        text = "is not done, or has no evaluation; predictions are saved for a run that has finished"
        raise InputError(Problem(text, where=str(run_dir.path)))


def _save_predictions(run_dir: RunDir, scorer: Scorer, predictions: Any) -> None:
    """Write predictions.json. Raises InputError: the annotations have other classes or ids than when the run was evaluated."""
    recorded, data = run_dir.results() or {}, scorer.data
    known = {"classes": list(data.class_names), "category_ids": [category.id for category in data.categories]}
    if any(recorded.get(key) not in (None, value) for key, value in known.items()):
        text = "has changed its classes or their ids since the run was evaluated; predictions made now would not belong to eval.json"
        raise InputError(Problem(text, where=str(data.anno_path)))
    atomic_write_json(run_dir.predictions, predictions)
    print_note(f"{run_dir.predictions} was written")


def evaluate_weights(
    config_file: Path, overrides: Sequence[str], *, progress: Progress, split: EvalSplit = "val", pictures: Path | None = None
) -> dict[str, Any]:
    """Evaluate ``weights`` on a config's evaluation set, or on the test split beside it (see `evaluate_run`).

    Raises:
        InputError: the config names no weights, or they do not fit.
    """
    resolved = resolve(config_file, overrides, to_train=False)
    config = resolved.config
    if not config.weights:
        raise InputError(
            Problem(
                f"not set; give -o weights=FILE (a checkpoint such as RUN/checkpoints/last{resolved.backend.checkpoint_suffix})",
                where=str(config_file),
                key="weights",
            )
        )
    scorer = _scorer(config, split)
    predictions = _predict(resolved.backend, config, Path(config.weights), scorer, progress)
    result = {**_split_named(split), **scorer.evaluate(predictions).to_json()}
    if pictures is not None:
        _draw(result, pictures, f"{Path(config.weights).name} on {split}", scorer, predictions)
    return result


def evaluate_exported(
    file: Path,
    config_file: Path,
    overrides: Sequence[str],
    *,
    progress: Progress,
    split: EvalSplit = "val",
    pictures: Path | None = None,
) -> dict[str, Any]:
    """Evaluate a file of `runner export` on a config's evaluation set, or on the test split beside it (see `evaluate_run`).

    Raises:
        InputError: the file cannot be used, or has other classes than the data.
    """
    model = open_exported(file)
    scorer = _scorer(resolve(config_file, overrides, to_train=False).config, split)
    classes = _matched(model.facts.classes, scorer, file)
    results = model.predict(_refs(scorer), lambda done, total: progress(done, total, "images"))
    predictions = scorer.results(results, classes)
    result = {**_split_named(split), **scorer.evaluate(predictions).to_json()}
    if pictures is not None:
        _draw(result, pictures, f"{file.name} on {split}", scorer, predictions)
    return result


def _has_data(config: Any, *, images: bool) -> bool:
    """Return whether the annotations of the evaluation set are here, and if asked its images too; False for a backend without images."""
    data = config.eval_dataset
    if data is None:
        return False
    folder = Path(data.dataset_dir)
    return (folder / data.anno_path).is_file() and (not images or (folder / data.image_dir).is_dir())


def _draw(result: Mapping[str, Any], folder: Path, title: str, scorer: Scorer | None, predictions: Any) -> None:
    """Write the pictures of an evaluation, and say which files there are and which images could not be read."""
    if isinstance(predictions, Path):
        predictions = read_json(predictions, _MAX_PREDICTIONS_BYTES)
    files, unreadable = write_pictures(result, folder, title, scorer.data if scorer is not None else None, predictions)
    say(f"pictures: {folder}: {', '.join(file.name for file in files)}", error=True)
    if scorer is None:
        print_note("without the annotations the worst images cannot be found; their sheets were not written")
    elif unreadable:
        tiles = "its tile shows" if len(unreadable) == 1 else "their tiles show"
        print_note(f"{counted(len(unreadable), 'image')} cannot be read, so {tiles} boxes alone: {listed_first(unreadable, 3)}")


def _scorer(config: Any, split: EvalSplit, *, check_images: bool = True) -> Scorer:
    """Make the scorer of a split; all of test is used, even if the config evaluates on the first images only.

    Raises:
        InputError: there is no test split, or it is no longer what was prepared.
    """
    dataset = config.eval_dataset
    if split == "val" or dataset is None:
        return Scorer(config, check_images=check_images)
    folder = Path(dataset.dataset_dir)
    manifest = read_manifest(folder)
    if manifest is None or (facts := manifest.splits.get("test")) is None:
        text = (
            "has no test split: only a set prepared by `runner data prepare` from a source with a list of that name has one; other data: "
            "runner eval -c RUN/config.yml -o weights=CHECKPOINT -o EvalDataset.anno_path=FILE"
        )
        raise InputError(Problem(text, where=str(folder)))
    path = folder / facts.annotations
    if _sha256(path) != facts.sha256:
        raise InputError(
            Problem(f"has changed since the set was prepared; prepare it again: {prepare_again(manifest.name, manifest)}", where=str(path))
        )
    return Scorer(replace(config, eval_dataset=replace(dataset, anno_path=facts.annotations, image_dir=IMAGE_DIR, sample_num=-1)))


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", where=str(path))) from error


def _split_named(split: EvalSplit) -> dict[str, str]:
    return {"split": split} if split != "val" else {}


def _predict(backend: Backend, config: Any, weights: Path, scorer: Scorer, progress: Progress) -> list[dict[str, Any]]:
    classes = _matched(backend.class_names(_weights(weights)), scorer, weights, key="weights")
    results = backend.predictor(config, weights).predict(_refs(scorer), lambda done, total: progress(done, total, "images"))
    return scorer.results(results, classes)


def _matched(classes: tuple[str, ...], scorer: Scorer, weights: Path, *, key: str = "") -> tuple[str, ...]:
    """Return the class names of weights, after a note where they are in another order than the data's. Raises InputError: they differ."""
    data = scorer.data
    if not classes:
        print_note(f"{weights} names no classes (a checkpoint of an older version): taken in the order of {data.anno_path}")
    elif classes != data.class_names:
        match_classes(classes, data.class_names, weights, key=key)
        print_note(f"{weights} lists the classes in another order than {data.anno_path}: matched by name")
    return classes


def _refs(scorer: Scorer) -> list[ImageRef]:
    data = scorer.data
    return [ImageRef(image.id, data.path(image), (image.width, image.height)) for image in data.images]


def _own_predictions(run_dir: RunDir, scorer: Scorer) -> Any:
    """Read the run's predictions.json; where the annotations have changed since, its results get the current category ids, by name.

    Raises:
        InputError: the annotations name other classes, or the run did not record the numbers that its classes had.
    """
    recorded, data = run_dir.results() or {}, scorer.data
    names, ids = read_names(recorded.get("classes")), recorded.get("category_ids")
    here = {category.name: category.id for category in data.categories}
    if not names or (names == data.class_names and ids in (None, list(here.values()))):
        return run_dir.predictions
    match_classes(names, data.class_names, run_dir.predictions)
    results = read_json(run_dir.predictions, _MAX_PREDICTIONS_BYTES)
    if not isinstance(ids, list) or [type(number) for number in ids] != [int] * len(names) or not isinstance(results, list):
        text = f"was made when {data.anno_path} listed its classes in another order ({listed(names)}); predict anew: --checkpoint last"
        raise InputError(Problem(text, where=str(run_dir.predictions)))
    print_note(f"{data.anno_path} has changed since the run: the classes of {run_dir.predictions} are matched by name")
    now = {str(then): here[name] for then, name in zip(ids, names, strict=True)}
    return [{**item, "category_id": now.get(str(item.get("category_id")))} if isinstance(item, dict) else item for item in results]


def _weights(path: Path) -> Path:
    if not path.is_file():
        raise InputError(Problem(f"checkpoint does not exist{similar_name(path)}", where=str(path)))
    return path
