"""Prediction on a user's images and videos: what is written, what a second call does, and what is said of unusable files."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runner.backends.base import ImageRef
from runner.core.errors import InputError
from runner.data.images import read_image
from runner.worker import predict
from runner.worker.predict import PredictionSummary, predict_images
from runner.worker.prediction_files import PredictionFiles, Settings
from runner.worker.trained_model import TrainedModel

EVERYTHING = ("images", "json", "csv", "yolo")


class WhiteFinder:
    """A model that finds the white rectangle of an image, as class 1, and counts what it is given."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.largest_call = 0
        self.stop_after: int | None = None

    def predict(self, images: Sequence[ImageRef], progress: Any = None) -> list[dict[str, Any]]:
        self.largest_call = max(self.largest_call, len(images))
        results = []
        for image in images:
            pixels = read_image(image.path) if image.pixels is None else image.pixels
            self.seen.append(image.path.name)
            if self.stop_after is not None and len(self.seen) > self.stop_after:
                raise KeyboardInterrupt
            rows, columns = np.nonzero(pixels[:, :, 0] > 128)
            if len(rows):
                left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                bbox = [float(left), float(top), float(right - left), float(bottom - top)]
                results += [{"image_id": image.id, "category_id": 1, "bbox": bbox, "score": score} for score in (0.75, 0.1)]
        progress(len(images), len(images))
        return results


def write_image(file: Path, *, size: tuple[int, int] = (120, 80), x: int = 30) -> Path:
    pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    pixels[20:40, x : x + 30] = 255
    Image.fromarray(pixels).save(file)
    return file


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    (tmp_path / "photos ü").mkdir()
    return [write_image(tmp_path / "photos ü" / f"{number}.png", x=10 * number) for number in range(5)]


def call(model: WhiteFinder, images: Sequence[Path], output: Path, /, *, force: bool = False, **settings: Any) -> PredictionSummary:
    files = PredictionFiles(output, Settings(**{"model": "a", "score_threshold": 0.5, **settings}), images, force=force)
    return predict_images(TrainedModel(model, ("hole", "short")), images, files, progress=lambda *_: None)


def test_everything_that_can_be_saved(photos: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "found"
    summary = call(WhiteFinder(), photos, output, save=EVERYTHING)
    assert (summary.images, summary.boxes, summary.earlier, summary.problems) == (5, 5, 0, [])
    listed = json.loads((output / "predictions.json").read_text(encoding="utf-8"))
    assert listed == {
        str(photo): [{"class": "short", "score": 0.75, "bbox": [10 * number, 20, 30, 20]}] for number, photo in enumerate(photos)
    }
    with open(output / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [str(photo) for photo in photos]
    assert rows[2] == {
        **{"image": str(photos[2]), "frame": "", "time_s": "", "class": "short", "score": "0.75"},
        **{"x": "20.0", "y": "20.0", "width": "30.0", "height": "20.0"},
    }
    assert (output / "labels" / "2.txt").read_text() == "1 0.291667 0.375000 0.250000 0.250000\n"
    assert (output / "classes.txt").read_text() == "hole\nshort\n"
    assert all(read_image(output / f"{number}.png").any() for number in range(5))


def test_a_second_call_predicts_only_what_is_new_or_changed(photos: list[Path], tmp_path: Path) -> None:
    output, model = tmp_path / "found", WhiteFinder()
    call(model, photos[:4], output, save=EVERYTHING)
    before = (output / "predictions.json").read_bytes()
    model.seen.clear()
    assert call(model, photos[:4], output, save=EVERYTHING).earlier == 4 and model.seen == []
    assert (output / "predictions.json").read_bytes() == before
    write_image(photos[1], x=80)
    summary = call(model, photos, output, save=EVERYTHING)
    assert model.seen == ["1.png", "4.png"] and summary.earlier == 3
    listed = json.loads((output / "predictions.json").read_text(encoding="utf-8"))
    assert len(listed) == 5 and listed[str(photos[1])][0]["bbox"][0] == 80


def test_a_call_that_was_interrupted_is_continued(photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "_MOST_AT_ONCE", 2)
    output, model = tmp_path / "found", WhiteFinder()
    model.stop_after = 3
    with pytest.raises(KeyboardInterrupt):
        call(model, photos, output)
    assert not (output / "predictions.json").exists()
    with open(output / "predictions.jsonl", "ab") as file:
        file.write(b'{"image": "torn')
    model.stop_after, model.seen = None, []
    summary = call(model, photos, output)
    assert (summary.earlier, model.seen, model.largest_call) == (2, ["2.png", "3.png", "4.png"], 2)
    whole = tmp_path / "whole"
    call(WhiteFinder(), photos, whole)
    assert (output / "predictions.json").read_bytes() == (whole / "predictions.json").read_bytes()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"score_threshold": 0.6}, r"--score-threshold 0.5, now 0.6"),
        ({"model": "b"}, r"model a, now b"),
        ({"tile_px": 32}, r"--tile none, now 32"),
        ({"save": ("csv",)}, r"--save images,json, now csv"),
    ],
)
def test_other_settings_do_not_continue(photos: list[Path], tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    output, model = tmp_path / "found", WhiteFinder()
    call(model, photos, output)
    before = {file: file.read_bytes() for file in output.iterdir()}
    with pytest.raises(InputError, match=f"other settings .{words}.* --force"):
        call(model, photos, output, **settings)
    assert {file: file.read_bytes() for file in output.iterdir()} == before
    assert call(model, photos, output, force=True, **settings).images == 5


def test_an_unreadable_image_is_named_and_the_others_are_predicted(photos: list[Path], tmp_path: Path) -> None:
    photos[1].write_bytes(photos[1].read_bytes()[:60])
    photos[3].write_bytes(b"")
    for number, settings in enumerate(({}, {"tile_px": 64})):
        summary = call(WhiteFinder(), photos, tmp_path / f"found {number}", **settings)
        assert summary.images == 3 and sorted(problem.where for problem in summary.problems) == [str(photos[1]), str(photos[3])]
        assert len(json.loads((tmp_path / f"found {number}" / "predictions.json").read_text(encoding="utf-8"))) == 3
    write_image(photos[1])
    shutil.copy(photos[0], photos[3])
    assert call(WhiteFinder(), photos, tmp_path / "found 0").earlier == 3


def test_tiles_find_what_the_whole_image_has(tmp_path: Path) -> None:
    model, output = WhiteFinder(), tmp_path / "found"
    image = write_image(tmp_path / "large.png", size=(500, 300), x=130)
    summary = call(model, [image], output, tile_px=150, overlap=0.2, save=EVERYTHING)
    assert len(model.seen) == 12 and summary.images == 1
    assert json.loads((output / "predictions.json").read_text())[str(image)][0]["bbox"] == [130, 20, 30, 20]
    assert read_image(output / "large.png").shape == (300, 500, 3)
    assert (output / "labels" / "large.txt").read_text() == "1 0.290000 0.100000 0.060000 0.066667\n"


def test_a_video_is_predicted_frame_by_frame(photos: list[Path], tmp_path: Path) -> None:
    from runner.data.video import Video, VideoWriter

    clip = tmp_path / "clip.mp4"
    writer = VideoWriter(clip, 10)
    for number in range(20):
        pixels = np.zeros((80, 120, 3), dtype=np.uint8)
        pixels[20:40, 2 * number : 2 * number + 30] = 255
        writer.write(pixels)
    writer.close(keep=True)
    output, model = tmp_path / "found", WhiteFinder()
    summary = call(model, [photos[0], clip], output, every=5, save=EVERYTHING)
    assert (summary.images, summary.frames, summary.problems) == (1, 4, [])
    frames = json.loads((output / "predictions.json").read_text())[str(clip)]
    assert [(frame["frame"], frame["time_s"]) for frame in frames] == [(0, 0.0), (5, 0.5), (10, 1.0), (15, 1.5)]
    assert frames[2]["boxes"][0]["bbox"][0] == pytest.approx(20, abs=2)
    with Video(output / "clip.mp4") as drawn:
        assert len(list(drawn.frames())) == 4 and drawn.frames_per_s == pytest.approx(2)
    assert sorted(file.name for file in (output / "labels").iterdir()) == ["0.txt", *(f"clip_{n:06d}.txt" for n in (0, 5, 10, 15))]
    with open(output / "predictions.csv", newline="") as file:
        assert [row["frame"] for row in csv.DictReader(file)] == ["", "0", "5", "10", "15"]
    model.seen.clear()
    assert call(model, [photos[0], clip], output, every=5, save=EVERYTHING).earlier == 2 and model.seen == []


def test_an_unreadable_video_is_one_problem(photos: list[Path], tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"no video")
    summary = call(WhiteFinder(), [clip, photos[0]], tmp_path / "found")
    assert summary.images == 1 and [str(problem) for problem in summary.problems] == [
        f"{clip}: is no video that OpenCV can read: damaged, truncated, or of another format; restore it, or convert it to MP4 (H.264)"
    ]
