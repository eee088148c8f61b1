"""Weights and predictions on data whose annotations list the classes in another order than at training."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from runner.core.errors import InputError
from runner.data.manifest import Manifest, SplitFacts, write_manifest
from runner.evaluation.pictures import FILES
from runner.resolve import resolve
from runner.store.run_dir import RunDir
from runner.worker.evaluate import evaluate_run, evaluate_weights
from runner.worker.predict import predict_images
from runner.worker.prediction_files import PredictionFiles, Settings
from runner.worker.trained_model import load_trained


def quiet(*_: Any) -> None:
    """No progress."""


def relist(folder: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Rewrite the categories of both annotation files; `change` gets (id, name) entries, and boxes keep the class they name."""
    for name in ("train.json", "val.json"):
        document = json.loads((folder / name).read_text(encoding="utf-8"))
        names = {category["id"]: category["name"] for category in document["categories"]}
        document["categories"] = change(document["categories"])
        numbers = {category["name"]: category["id"] for category in document["categories"]}
        for box in document["annotations"]:
            box["category_id"] = numbers.get(names[box["category_id"]], box["category_id"])
        (folder / name).write_text(json.dumps(document), encoding="utf-8")


def reverse(categories: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same numbers, given to the names in the other order."""
    return [{**entry, "name": other["name"]} for entry, other in zip(categories, reversed(categories), strict=True)]


def renumber(categories: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same order under other numbers, of which one was the other class's."""
    return [{**entry, "id": number} for entry, number in zip(categories, (7, 8), strict=True)]


def rename(categories: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [categories[0], {**categories[1], "name": "spur"}]


@pytest.fixture
def data(coco: Path, tmp_path: Path) -> Path:
    """A copy of the data that may be changed."""
    return Path(shutil.copytree(coco, tmp_path / "data"))


@pytest.fixture
def run(trained: Any, data: Path, tmp_path: Path) -> Path:
    """A copy of the run, made on that copy, with predictions of both classes whatever four steps have taught it."""
    path = Path(shutil.copytree(trained.run, tmp_path / "run"))
    text = (path / "config.yml").read_text(encoding="utf-8")
    text, count = re.subn(r"dataset_dir: .*?(?=,?\s+image_dir: )", lambda _: f"dataset_dir: {json.dumps(str(data))}", text, flags=re.DOTALL)
    assert count == 2
    (path / "config.yml").write_text(re.sub(r"score_threshold: [0-9.]+", "score_threshold: 0.0", text), encoding="utf-8")
    truth = json.loads((data / "val.json").read_text(encoding="utf-8"))
    found = [{key: box[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9} for box in truth["annotations"]]
    (path / "predictions.json").write_text(json.dumps(found), encoding="utf-8")
    return path


def evaluate(run: Path, checkpoint: Any = None) -> dict[str, Any]:
    metrics: dict[str, Any] = evaluate_run(run, checkpoint=checkpoint, progress=quiet)["metrics"]
    return metrics


@pytest.mark.slow
def test_a_run_without_its_data_has_the_numbers_it_recorded(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    computed, recorded = evaluate(run), json.loads((run / "eval.json").read_text())
    image = next(path for path in data.rglob("*") if path.suffix in (".png", ".jpg"))
    image.unlink()
    assert evaluate(run) == computed, "its predictions need no images"
    shutil.rmtree(data)
    capsys.readouterr()
    assert evaluate_run(run, checkpoint=None, progress=quiet) == recorded != {}
    assert f"the evaluation set is not at {data}" in capsys.readouterr().err
    with pytest.raises(InputError, match="val.json"):
        evaluate(run, "last")
    (run / "eval.json").unlink()
    with pytest.raises(InputError, match="val.json"):
        evaluate(run)


@pytest.mark.slow
def test_missing_predictions_are_made_with_the_last_checkpoint(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "predictions.json").read_bytes()
    with pytest.raises(InputError, match=r"predictions\.json: exists already and is not overwritten"):
        evaluate_run(run, checkpoint=None, progress=quiet, save_predictions=True)
    assert (run / "predictions.json").read_bytes() == before
    (run / "predictions.json").unlink()
    others = {file: file.stat().st_mtime_ns for file in run.rglob("*") if file.is_file()}
    made = evaluate_run(run, checkpoint=None, progress=quiet, save_predictions=True)
    assert f"{run / 'predictions.json'} was written" in capsys.readouterr().err
    assert evaluate(run) == made["metrics"]
    assert {file: file.stat().st_mtime_ns for file in others} == others


@pytest.mark.slow
def test_predictions_that_would_not_belong_to_the_evaluation_are_not_saved(run: Path, data: Path) -> None:
    (run / "predictions.json").unlink()
    relist(data, renumber)
    with pytest.raises(InputError, match="would not belong to eval.json"):
        evaluate_run(run, checkpoint=None, progress=quiet, save_predictions=True)
    (run / "eval.json").unlink()
    with pytest.raises(InputError, match="is not done, or has no evaluation"):
        evaluate_run(run, checkpoint=None, progress=quiet, save_predictions=True)
    assert not (run / "predictions.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("change", [reverse, renumber])
def test_a_runs_own_predictions_are_matched_by_name(run: Path, data: Path, change: Any, capsys: pytest.CaptureFixture[str]) -> None:
    before = evaluate(run)
    assert before["bbox/AP"] == pytest.approx(1.0)
    relist(data, change)
    assert evaluate(run) == before
    assert "matched by name" in capsys.readouterr().err


@pytest.mark.slow
def test_predictions_without_recorded_numbers_are_refused_in_another_order(run: Path, data: Path) -> None:
    relist(data, reverse)
    evaluation = json.loads((run / "eval.json").read_text(encoding="utf-8"))
    assert evaluation.pop("category_ids") == [3, 7]
    (run / "eval.json").write_text(json.dumps(evaluation), encoding="utf-8")
    with pytest.raises(InputError, match="in another order .*--checkpoint last"):
        evaluate(run)


@pytest.mark.slow
def test_a_checkpoint_is_evaluated_by_name(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = evaluate(run, "last")
    relist(data, reverse)
    assert evaluate(run, "last") == before
    assert "in another order" in capsys.readouterr().err
    weights = [f"weights={run / 'checkpoints' / 'last.pt'}"]
    assert evaluate_weights(run / "config.yml", weights, progress=quiet)["metrics"] == before


@pytest.mark.slow
def test_an_evaluation_needs_no_full_batch_of_training_images(run: Path) -> None:
    options = [f"weights={run / 'checkpoints' / 'last.pt'}", "TrainReader.batch_size=1000", "TrainReader.drop_last=true"]
    assert evaluate_weights(run / "config.yml", options, progress=quiet)["metrics"] == evaluate(run, "last")
    with pytest.raises(InputError, match="training images do not fill one step of 1000"):
        resolve(run / "config.yml", options)


@pytest.mark.slow
def test_weights_of_other_classes_are_refused_by_name(run: Path, data: Path) -> None:
    relist(data, rename)
    for checkpoint in (None, "last"):
        with pytest.raises(InputError, match="only in the file: open circuit; only in the data: spur"):
            evaluate(run, checkpoint)
    with pytest.raises(InputError, match="weights: .*only in the file: open circuit"):
        evaluate_weights(run / "config.yml", [f"weights={run / 'checkpoints' / 'best.pt'}"], progress=quiet)


@pytest.mark.slow
def test_images_are_labelled_by_the_weights_own_names(run: Path, data: Path, tmp_path: Path) -> None:
    image = next(iter((data / "images").iterdir()))

    def found(folder: str) -> Any:
        files = PredictionFiles(tmp_path / folder, Settings("x", 0.0), [image])
        return predict_images(load_trained(run, "last"), [image], files, progress=quiet).shown[0][1]

    before = found("one")
    assert before
    (run / "eval.json").unlink()
    relist(data, reverse)
    other = found("other")
    assert [(box.name, box.score, box.bbox) for box in other] == [(box.name, box.score, box.bbox) for box in before]


@pytest.mark.slow
def test_a_checkpoint_without_names_is_taken_in_the_datas_order(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = evaluate(run, "last")
    checkpoint = RunDir(run).checkpoints / "old.pt"
    state = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    assert state.pop("classes") == ["short", "open circuit"]
    torch.save(state, checkpoint)
    assert evaluate_weights(run / "config.yml", [f"weights={checkpoint}"], progress=quiet)["metrics"] == before
    assert "names no classes" in capsys.readouterr().err


@pytest.mark.slow
def test_the_test_split_is_evaluated_on_request_and_changes_nothing(run: Path, data: Path) -> None:
    with pytest.raises(InputError, match="has no test split"):
        evaluate_run(run, checkpoint=None, progress=quiet, split="test")
    (data / "annotations").mkdir()
    document = json.loads((data / "val.json").read_text(encoding="utf-8"))
    document["images"] = document["images"][:1]
    document["annotations"] = [box for box in document["annotations"] if box["image_id"] == document["images"][0]["id"]]
    path = data / "annotations" / "test.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    facts = SplitFacts(1, len(document["annotations"]), "annotations/test.json", hashlib.sha256(path.read_bytes()).hexdigest())
    write_manifest(data, Manifest("x", ("short", "open circuit"), {"test": facts}, "", "", "", "x"))
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    result = evaluate_run(run, checkpoint=None, progress=quiet, split="test")
    assert result["split"] == "test" and sum(entry["boxes"] for entry in result["per_class"]) == len(document["annotations"])
    assert "bbox/AP" in result["metrics"] and "split" not in evaluate_run(run, checkpoint=None, progress=quiet)
    weights = [f"weights={run / 'checkpoints' / 'last.pt'}"]
    assert evaluate_weights(run / "config.yml", weights, progress=quiet, split="test")["metrics"] == result["metrics"]
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    with pytest.raises(InputError, match="has changed since the set was prepared"):
        evaluate_run(run, checkpoint=None, progress=quiet, split="test")


@pytest.mark.slow
def test_pictures_of_a_run_are_drawn_with_what_is_left_of_its_data(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def drawn(folder: str) -> tuple[list[str], str]:
        evaluate_run(run, checkpoint=None, progress=quiet, pictures=tmp_path / folder)
        return sorted(path.name for path in (tmp_path / folder).iterdir()), capsys.readouterr().err

    files, said = drawn("all")
    assert files == sorted(FILES) and "note: " not in said and f"pictures: {tmp_path / 'all'}: confusion.png" in said
    recorded = json.loads((run / "predictions.json").read_text(encoding="utf-8"))
    (run / "predictions.json").write_text(json.dumps(recorded[1:]), encoding="utf-8")
    shutil.rmtree(data / "images")
    files, said = drawn("no images")
    assert files == sorted(FILES) and "note: 1 image cannot be read, so its tile shows boxes alone" in said
    (data / "val.json").unlink()
    files, said = drawn("no annotations")
    assert files == ["confusion.png", "errors.png", "pr_curves.png"] and "their sheets were not written" in said
