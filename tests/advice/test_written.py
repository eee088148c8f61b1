from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.measured import measured, measured_images

from runner.advice.choices import Speed, first_choice
from runner.advice.measures import Measures
from runner.advice.written import Plan, expectation, to_config
from runner.config.load import load_config
from runner.config.node import Node

PHOTOS = measured([(100, 100), (40, 40)] * 10)
MIXED = measured_images([(110, 110), (230, 230)] * 20, [(300, 400), (400, 300)] * 10)


def written(tmp_path: Path, data: Measures = PHOTOS, dataset: str = "photos") -> tuple[str, Node]:
    choice = replace(first_choice(data, "cpu"), steps=700)
    text = to_config(Plan(dataset, data, choice, "runner init", "Expected: soon.", "", 10))
    (tmp_path / "made.yml").write_text(text, encoding="utf-8")
    return text, load_config(tmp_path / "made.yml")


def test_images_of_several_shapes_keep_theirs_in_both_readers(tmp_path: Path) -> None:
    text, tree = written(tmp_path, MIXED)
    for reader in ("TrainReader", "EvalReader"):
        transforms = tree.get(f"{reader}.sample_transforms").plain()  # type: ignore[union-attr]
        assert {"Resize": {"keep_ratio": True, "interp": 3}} in transforms
        assert ({"RandomFlip": {}} in transforms) == (reader == "TrainReader")
    assert "no image is distorted" in text and len(text.splitlines()) <= 30


def test_sided_classes_are_not_mirrored(tmp_path: Path) -> None:
    text, tree = written(tmp_path, measured([(40, 40)] * 4, names="left_hand"))
    assert "RandomFlip" not in str(tree.get("TrainReader.sample_transforms").plain())  # type: ignore[union-attr]
    assert "# no RandomFlip: flipped horizontally, left_hand would be" in text


def test_the_schedule_spans_the_training(tmp_path: Path) -> None:
    _, tree = written(tmp_path)
    assert tree.plain()["max_iters"] == 700 and tree.plain()["snapshot_iter"] == 175
    decay, warmup = tree.get("LearningRate.schedulers").plain()  # type: ignore[union-attr]
    assert "CosineDecay" in str(decay) and "70" in str(warmup)


@pytest.mark.parametrize(
    ("side", "size", "reason"),
    [
        (7, (384, 512), "larger than the images are, to give these boxes 8 px"),
        (14, (360, 480), "the images' own size"),
        (24, (360, 480), "about 16 px are enough for them, if the time allows it"),
        (200, (360, 480), "224 px are the least that show what tells classes apart"),
    ],
)
def test_the_size_has_its_reason(tmp_path: Path, side: int, size: tuple[int, int], reason: str) -> None:
    text, _ = written(tmp_path, measured([(side, side)] * 20, size=size))
    (line,) = (line for line in text.splitlines() if line.startswith("image_size"))
    assert line.endswith(f": {reason}")


def test_tiny_sets_get_sizes_and_words_that_hold(tmp_path: Path) -> None:
    for device in ("cpu", "gpu"):
        for size in ((32, 32), (20, 20), (8, 8)):
            data = measured([(6, 6)] * 6, size=size, images=6, names="dot")
            choice = replace(first_choice(data, device), steps=1)  # type: ignore[arg-type]
            assert min(choice.size) >= 32 and choice.batch_size == 6
            text = to_config(Plan("tiny", data, choice, "runner init", "", "", 1))
            assert "6 images of" in text and "6 boxes, 1 class." in text and "1 min: 6 images seen" in text
            assert "# the whole training set" in text and "minutes" not in text
    text, _ = written(tmp_path, measured([(12, 12)], size=(20, 20), images=1, names="dot"))
    assert "for 1 image of 20×20" in text and "1 box, 1 class." in text
    assert "the images' own size, rounded up to a multiple of 32" in text
    once = replace(first_choice(PHOTOS, "cpu"), steps=1)
    assert "(1 step of 1 s," in expectation(once, Speed(1.0, 0.1, 10.0, 1.0), 6)


@pytest.mark.parametrize("name", ["photos", "no", "7", "my-set_2", "datasets/a b: c.yml", 'quote"#x.yml'])
def test_any_name_of_a_data_set_is_kept(tmp_path: Path, name: str) -> None:
    assert written(tmp_path, dataset=name)[1].plain()["dataset"] == name


def test_the_expectation_adds_up() -> None:
    choice = replace(first_choice(PHOTOS, "cpu"), steps=600)
    text = expectation(choice, Speed(0.5, 0.1, 10.0, 1.25), 200)
    assert text == ("Expected on this machine's CPU: 5.5 min (600 steps of 0.5 s, start 10 s, evaluation 20 s) and 1.2 GiB of memory.")
