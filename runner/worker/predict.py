"""Use of a trained model outside of training: evaluation, and prediction on a user's images."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from runner.backends.base import Backend, ImageRef
from runner.config.dump import canonical, to_plain
from runner.core.errors import InputError, Problem
from runner.core.files import atomic_write_json, blocked_by, read_bytes, read_json, similar_name
from runner.core.text import say
from runner.core.values import counted, shell_path
from runner.core.values import listed as listed_first
from runner.data.classes import listed, match_classes, read_names
from runner.data.coco import load_coco
from runner.data.images import read_image
from runner.data.manifest import IMAGE_DIR, read_manifest
from runner.data.proposal import prepare_again
from runner.evaluation.draw import draw_boxes
from runner.evaluation.pictures import write_pictures
from runner.evaluation.result import BEST_F1, BEST_F1_THRESHOLD
from runner.resolve import resolve
from runner.store.run_dir import RunDir, trained_run
from runner.worker.main import load_run
from runner.worker.samples import SCORE_THRESHOLD
from runner.worker.scoring import Scorer

Which = Literal["last", "best"]
EvalSplit = Literal["val", "test"]
Progress = Callable[[int, int, str], None]
Found = tuple[str, float, tuple[float, float, float, float]]
"""Class name, score, and box as xywh in pixels."""

_MAX_PREDICTIONS_BYTES = 1 << 31
"""Largest size of predictions.json: COCO's 5,000 validation images with 100 boxes each take about 60 MB."""


def backend_of(path: Path) -> tuple[str, str | None]:
    """Return a run's backend and the interpreter that its config gives, if any.

    Raises:
        InputError: no run directory.
    """
    backend, config = load_run(trained_run(path))
    return backend.name, config.backend_python


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
            _print_note(f"the evaluation set is not at {config.eval_dataset.dataset_dir}: these are the numbers that the run recorded")
        if pictures is not None:
            _draw(recorded, pictures, run_dir.name, None, ())
        return recorded
    scorer = _scorer(config, split, check_images=has_to_predict)
    if has_to_predict:
        weights = _checkpoint(run_dir, checkpoint or "last", backend)
        predictions: Any = _predict(backend, _for_this_machine(backend, config), weights, scorer, progress)
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
    _print_note(f"{run_dir.predictions} was written")


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


def default_threshold(path: Path) -> tuple[float, str]:
    """Return the score threshold for a run's detections, and where it comes from: the best F1 of the run's evaluation, else 0.3."""
    metrics = (trained_run(path).results() or {}).get("metrics") or {}
    threshold, f1 = metrics.get(BEST_F1_THRESHOLD), metrics.get(BEST_F1)
    if isinstance(threshold, float) and isinstance(f1, float):
        return threshold, f"that of the best F1 ({f1:.2f}) in the run's evaluation"
    return SCORE_THRESHOLD, "since the run has no evaluation with a best F1"


def predict_images(
    path: Path, images: Sequence[Path], output: Path, *, checkpoint: Which, score_threshold: float, progress: Progress, force: bool = False
) -> dict[Path, list[Found]]:
    """Predict on images with a run's model: pictures with boxes and ``predictions.json`` in `output`.

    Raises:
        InputError: an image cannot be read, or a file in `output` would be overwritten (unless `force`).
    """
    run_dir = trained_run(path)
    backend, config = load_run(run_dir)
    targets = _targets(images, output, force)
    refs = [ImageRef(number, image) for number, image in enumerate(images)]
    reader = "TestReader" if to_plain(canonical(config)).get("TestReader") is not None else "EvalReader"
    weights = _checkpoint(run_dir, checkpoint, backend)
    config = _for_this_machine(backend, config)
    results = backend.predict(config, weights, refs, reader=reader, progress=lambda done, total: progress(done, total, "images"))
    names = backend.class_names(weights) or _class_names(run_dir, config)
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for item in results:
        if item["score"] >= score_threshold:
            by_image[item["image_id"]].append(item)
    found: dict[Path, list[Found]] = {}
    try:
        output.mkdir(parents=True, exist_ok=True)
        for ref in refs:
            boxes = sorted(by_image[ref.id], key=lambda item: -item["score"])
            picture = Image.fromarray(draw_boxes(read_image(ref.path), [], boxes, names, score_threshold))
            picture.save(targets[ref.path], format="PNG")
            found[ref.path] = [(names[item["category_id"]], item["score"], tuple(item["bbox"])) for item in boxes]
        listed = {
            str(image): [{"class": name, "score": score, "bbox": box} for name, score, box in boxes] for image, boxes in found.items()
        }
        atomic_write_json(output / "predictions.json", listed, indent=1)
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror}", where=str(output))) from error
    return found


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
        _print_note("without the annotations the worst images cannot be found; their sheets were not written")
    elif unreadable:
        tiles = "its tile shows" if len(unreadable) == 1 else "their tiles show"
        _print_note(f"{counted(len(unreadable), 'image')} cannot be read, so {tiles} boxes alone: {listed_first(unreadable, 3)}")


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
    data = scorer.data
    classes = backend.class_names(_weights(weights))
    if classes:
        match_classes(classes, data.class_names, weights, key="weights")
        if classes != data.class_names:
            _print_note(f"{weights} lists the classes in another order than {data.anno_path}: matched by name")
    else:
        _print_note(f"{weights} names no classes (a checkpoint of an older version): taken in the order of {data.anno_path}")
    refs = [ImageRef(image.id, data.path(image), (image.width, image.height)) for image in data.images]
    return scorer.results(backend.predict(config, weights, refs, progress=lambda done, total: progress(done, total, "images")), classes)


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
    _print_note(f"{data.anno_path} has changed since the run: the classes of {run_dir.predictions} are matched by name")
    now = {str(then): here[name] for then, name in zip(ids, names, strict=True)}
    return [{**item, "category_id": now.get(str(item.get("category_id")))} if isinstance(item, dict) else item for item in results]


def _print_note(text: str) -> None:
    say(f"note: {text}", error=True)


def _checkpoint(run_dir: RunDir, which: Which, backend: Backend) -> Path:
    path = run_dir.checkpoints / f"{which}{backend.checkpoint_suffix}"
    if not path.is_file():
        others = sorted(file.name for file in run_dir.checkpoints.glob(f"*{backend.checkpoint_suffix}"))
        there = (
            f"there are {', '.join(others)}" if others else f"there is none yet; continue the run: runner resume {shell_path(run_dir.path)}"
        )
        raise InputError(Problem(f"checkpoint does not exist; {there}", where=str(path)))
    return path


def _weights(path: Path) -> Path:
    if not path.is_file():
        raise InputError(Problem(f"checkpoint does not exist{similar_name(path)}", where=str(path)))
    return path


def _for_this_machine(backend: Backend, config: Any) -> Any:
    """Return the run's config, set to the CPU if it was trained on a GPU that this machine lacks."""
    if not config.use_gpu or backend.probe().gpus:
        return config
    _print_note("trained on a GPU, predicting on the CPU")
    return replace(config, use_gpu=False)


def _class_names(run_dir: RunDir, config: Any) -> list[str]:
    """Return the class names by index: as the run's evaluation recorded them, else from the annotations (which may be missing here)."""
    recorded = (run_dir.results() or {}).get("classes")
    if recorded:
        return [str(name) for name in recorded]
    data = config.eval_dataset
    folder = Path(data.dataset_dir)
    return list(load_coco(folder / data.anno_path, folder / data.image_dir, allow_empty=True, check_images=False).class_names)


def _targets(images: Sequence[Path], output: Path, force: bool) -> dict[Path, Path]:
    """Map each image to its output file, ``a.png`` for ``a.jpg``, or ``a.jpg.png`` and ``a.tif.png`` where there are both.

    Raises:
        InputError: `output` cannot be written, two images would have one output file, or one exists (unless `force`).
    """
    images = list(dict.fromkeys(images))
    stems = Counter(image.stem for image in images)
    targets = {image: output / f"{image.stem if stems[image.stem] == 1 else image.name}.png" for image in images}
    sources: dict[Path, list[Path]] = defaultdict(list)
    for image, target in targets.items():
        sources[target].append(image)
    text = "the picture of each would be {}; predict them into different --output folders"
    same = [Problem(text.format(target), where=" and ".join(map(str, each))) for target, each in sources.items() if len(each) > 1]
    if same:
        raise InputError(same)
    if (blocking := blocked_by(output)) is not None:
        raise InputError(Problem("is not a folder that can be written; give another one to --output", where=str(blocking)))
    there = [str(path) for path in (*targets.values(), output / "predictions.json") if path.exists()]
    if there and not force:
        raise InputError(f"{', '.join(there[:3])} would be overwritten; give another --output folder, or --force")
    return targets
