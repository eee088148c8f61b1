"""The paired bootstrap over images: its AP is the evaluator's, its spread that of drawing whole images anew, its words no verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np
import pytest
from support.finished import make_run

from benchmarks.coverage import _detectors, image_coverage
from runner.evaluation import evaluate
from runner.results.collect import read_run
from runner.results.compare import compare
from runner.results.images import IOUS, _ap, _matched, bootstrap, compare_on_images
from runner.store.run_dir import RunDir

BATCH: dict[str, Any] = {"label": "batch_size=16", "batch_size": 16, "overrides": {"TrainReader.batch_size": 16}}


def scene(folder: Path, images: int = 40) -> Path:
    """Annotations: three boxes of two classes an image, one of all a crowd region, the last image without any."""
    rng = np.random.default_rng(1)
    boxes = [[*rng.uniform(0, 200, 2), *rng.uniform(20, 60, 2)] for _ in range(3 * (images - 1))]
    truth = {
        "images": [{"id": 7 * image, "width": 320, "height": 320, "file_name": f"{image}.png"} for image in range(images)],
        "categories": [{"id": 3, "name": "short"}, {"id": 5, "name": "spur"}],
        "annotations": [
            {"id": i, "image_id": 7 * (i // 3), "category_id": (3, 5)[i % 2], "bbox": box, "area": box[2] * box[3], "iscrowd": int(i == 4)}
            for i, box in enumerate(boxes)
        ],
    }
    path = folder / "val.json"
    path.write_text(json.dumps(truth))
    return path


def predict(annotations: Path, noise_px: float, seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    entries = json.loads(annotations.read_text())["annotations"]
    shifted = [(e, (np.array(e["bbox"]) + [*rng.normal(0, noise_px, 2), 0, 0]).tolist()) for e in entries]
    found = [
        {"image_id": e["image_id"], "category_id": e["category_id"], "bbox": box, "score": round(rng.uniform(), 2)} for e, box in shifted
    ]
    return [*found, *({**one, "score": 0.3, "bbox": [5.0, 5.0, 40.0, 40.0]} for one in found[::3])]


def finish(run: RunDir, annotations: Path, predictions: list[dict[str, Any]], images: int = 40) -> RunDir:
    """The run as one that was evaluated on `annotations`."""
    run.predictions.write_text(json.dumps(predictions))
    text = run.config.read_text().replace("dataset_dir: data/boards", f"dataset_dir: {json.dumps(str(annotations.parent))}")
    run.config.write_text(text)
    results = json.loads(run.evaluation.read_text())
    run.evaluation.write_text(json.dumps({**results, "images": images}))
    return run


@pytest.mark.parametrize("metric", IOUS)
def test_its_ap_is_the_evaluators(tmp_path: Path, metric: str) -> None:
    annotations = scene(tmp_path)
    predictions = predict(annotations, 4.0)
    expected = evaluate(annotations, predictions, detail=False).metrics[metric]
    truth = hotcoco.COCO(str(annotations))
    images = sorted(truth.get_img_ids())
    found = _ap(_matched(truth, truth.load_res(predictions), images, IOUS[metric]), np.ones(len(images)))
    assert found == pytest.approx(expected, abs=1e-9)


def test_an_image_drawn_twice_counts_as_two(tmp_path: Path) -> None:
    annotations = scene(tmp_path, 12)
    predictions = predict(annotations, 4.0)
    drawn = np.random.default_rng(5).integers(0, 12, 12)
    truth = json.loads(annotations.read_text())
    copies = {"images": [], "annotations": [], "categories": truth["categories"]}
    copied = []
    for new, index in enumerate(sorted(drawn)):
        old = truth["images"][index]["id"]
        boxes = [entry for entry in truth["annotations"] if entry["image_id"] == old]
        copies["images"].append({**truth["images"][index], "id": new})
        copies["annotations"] += [{**entry, "image_id": new, "id": 100 * new + i} for i, entry in enumerate(boxes)]
        copied += [{**e, "image_id": new} for e in predictions if e["image_id"] == old]
    other = tmp_path / "copies.json"
    other.write_text(json.dumps(copies))
    expected = evaluate(other, copied, detail=False).metrics["bbox/AP"]
    coco = hotcoco.COCO(str(annotations))
    weights = np.bincount(drawn, minlength=12).astype(float)
    found = _ap(_matched(coco, coco.load_res(predictions), sorted(coco.get_img_ids()), IOUS["bbox/AP"]), weights)
    assert len(set(drawn)) < 12 and found == pytest.approx(expected, abs=1e-6)


def test_the_same_draws_each_time() -> None:
    detectors = _detectors(np.random.default_rng(0), 30, (3.0, 6.0))
    first = bootstrap(*detectors, IOUS["bbox/AP50"], 60)
    assert first == bootstrap(*detectors, IOUS["bbox/AP50"], 60)
    assert first.low is not None and first.high is not None and first.low < first.delta < first.high


def test_coverage_over_images() -> None:
    covered, told = image_coverage(25, 60, (4.0, 4.0), draws=60, metric="bbox/AP50")
    assert covered >= 0.8 and told == pytest.approx(1 - covered)


def test_a_single_seed_is_told_about_its_checkpoints_only(tmp_path: Path) -> None:
    annotations = scene(tmp_path)
    finish(make_run(tmp_path / "sw", 0, 0), annotations, predict(annotations, 1.0))
    worse = finish(make_run(tmp_path / "sw", 1, 0, ap=0.3, **BATCH), annotations, predict(annotations, 8.0, 1))
    found = compare([read_run(RunDir(path)) for path in sorted((tmp_path / "sw" / "runs").iterdir())])
    images = found.trials[1].images
    assert images is not None and images.difference is not None and (images.difference.high or 0) < 0 and images.images == 40
    assert found.trials[1].verdict is None and images.why_not == ""
    text = " ".join(note.text for note in found.notes)
    assert "the checkpoints of seed 0 differ significantly on these 40 images (bbox/AP −0." in text and "more seeds show whether" in text
    assert "better" not in text and "worse" not in text
    assert worse.predictions.is_file()
    assert compare([read_run(RunDir(path)) for path in sorted((tmp_path / "sw" / "runs").iterdir())], images=False).trials[1].images is None


def test_the_same_predictions_cannot_be_told_apart(tmp_path: Path) -> None:
    annotations = scene(tmp_path)
    runs = [read_run(finish(make_run(tmp_path / "sw", number, 0), annotations, predict(annotations, 3.0))) for number in (0, 1)]
    found = compare_on_images(runs[1], runs[0], "bbox/AP75")
    assert found.difference is not None and found.difference.is_open


def test_with_several_seeds_only_on_request(tmp_path: Path) -> None:
    annotations = scene(tmp_path)
    for seed in (1, 0):
        finish(make_run(tmp_path / "sw", 0, seed, ap=0.4 + seed / 100), annotations, predict(annotations, 2.0, seed))
        finish(make_run(tmp_path / "sw", 1, seed, ap=0.4, **BATCH), annotations, predict(annotations, 2.5, seed + 5))
    runs = [read_run(RunDir(path)) for path in sorted((tmp_path / "sw" / "runs").iterdir())]
    assert compare(runs).trials[1].images is None
    asked = compare(runs, images=True).trials[1].images
    assert asked is not None and asked.seed == 0 and asked.difference is not None


def test_why_it_cannot_be_had(tmp_path: Path) -> None:
    annotations = scene(tmp_path)
    one, other = (make_run(tmp_path / "sw", number, 0) for number in (0, 1))

    def why(metric: str = "bbox/AP") -> str:
        return compare_on_images(read_run(one), read_run(other), metric).why_not

    assert why().endswith("predictions.json is missing")
    assert compare([read_run(one), read_run(other)], images=True).trials[0].images is None
    for run in (one, other):
        finish(run, annotations, predict(annotations, 2.0))
    assert why() == "" and "unsupported metric bbox/AP/short" in why("bbox/AP/short")
    finish(other, annotations, [], images=39)
    assert "has 40 images, and the runs were evaluated on 39" in why()
    finish(one, annotations, [{"image_id": 0}])
    finish(other, annotations, [])
    assert "category_id None" in why()
    annotations.unlink()
    assert "the annotations file does not exist" in why()


def test_a_few_images_are_too_few(tmp_path: Path) -> None:
    annotations = scene(tmp_path, 19)
    runs = [read_run(finish(make_run(tmp_path / "sw", n, 0), annotations, predict(annotations, 2.0), images=19)) for n in (0, 1)]
    assert "too few" in compare_on_images(runs[1], runs[0], "bbox/AP").why_not
