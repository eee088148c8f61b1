"""The parts `gallery` and `image`: what two trials find, for every score; images that only the annotations can name."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.detectors import make_detector, make_truth

from runner.core.errors import InputError
from runner.sweep.session_results import read_report
from runner.views.page.data import SnapshotData
from runner.views.page.part import ask, find_part

BOX, OTHER = (10.0, 10.0, 20.0, 20.0), (50.0, 40.0, 16.0, 16.0)
BOXES = {f"{name}.png": [(0, BOX), (1, OTHER)] for name in "abcd"} | {"empty.png": []}
ALARM = (70.0, 5.0, 12.0, 12.0)

A = {"a.png": [(0, BOX, 0.9), (1, OTHER, 0.8)], "b.png": [(0, BOX, 0.7)], "empty.png": [(0, ALARM, 0.95)]}
B = {"a.png": [(0, BOX, 0.9), (0, OTHER, 0.8)], "b.png": [(0, BOX, 0.7), (1, OTHER, 0.95)], "c.png": [(0, BOX, 0.9), (1, OTHER, 0.9)]}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two trials of three seeds each; one seed of the second finds less."""
    data = make_truth(tmp_path / "boards", BOXES)
    for seed in range(3):
        make_detector(tmp_path / "sweep", data, A, 0, seed)
        make_detector(tmp_path / "sweep", data, {**B, "c.png": B["c.png"][: 2 - (seed == 2)]}, 1, seed, label="lr")
    return tmp_path / "sweep"


def page(folder: Path) -> SnapshotData:
    return SnapshotData([folder], read_report)


def answer(data: SnapshotData, part: str = "gallery", **query: str) -> Any:
    return json.loads(ask(data, part, query).body)


def boxes_by_image(view: Any, columns: Any) -> dict[tuple[str, int], int]:
    return {(view["images"][image][1], label): at for at, (image, label) in enumerate(zip(columns["image"], columns["label"], strict=True))}


def test_every_true_box_has_a_score_for_every_run(sweep: Path) -> None:
    view = answer(page(sweep))
    assert (view["reason"], view["iou"], view["classes"]) == ("", 0.5, ["hole", "short"])
    truth = view["truth"]
    at = boxes_by_image(view, truth)
    assert len(at) == 8
    scores = {key: ([row[index] for row in truth["a"]["found"]], [row[index] for row in truth["b"]["found"]]) for key, index in at.items()}
    assert scores["a.png", 0] == ([900] * 3, [900] * 3)
    assert scores["a.png", 1] == ([800] * 3, [0] * 3)
    assert scores["b.png", 1] == ([0] * 3, [950] * 3)
    assert scores["c.png", 1] == ([0] * 3, [900, 900, 0])
    assert [row[at["a.png", 1]] for row in truth["b"]["confused"]] == [800] * 3
    assert [row[at["a.png", 1]] for row in truth["b"]["confused_as"]] == [0] * 3
    assert truth["a"]["box"][at["b.png", 0]] == [10, 10, 20, 20]
    assert truth["a"]["box"][at["d.png", 0]] is None
    alarms = view["alarms"]
    assert [view["images"][image][1] for image in alarms["image"]] == ["empty.png"]
    assert alarms["score"] == [[950]] * 3 + [[0]] * 3
    assert alarms["box"] == [[70, 5, 12, 12]]


def test_the_first_score_is_that_of_the_best_f1(sweep: Path) -> None:
    files = [json.loads(path.read_text()) for path in sweep.glob("runs/*/eval.json")]
    expected = np.mean([each["metrics"]["bbox/best_f1_threshold"] for each in files])
    assert answer(page(sweep))["score"] == pytest.approx(expected, abs=0.006)


def test_a_stricter_overlap(tmp_path: Path) -> None:
    data = make_truth(tmp_path / "boards", {"a.png": [(0, BOX)]})
    moved = {"a.png": [(0, (13.0, 10.0, 20.0, 20.0), 0.9)]}  # IoU 17/23
    for trial in range(2):
        make_detector(tmp_path / "sweep", data, moved, trial, 0, label=f"t{trial}")
    loose, strict = answer(page(tmp_path / "sweep")), answer(page(tmp_path / "sweep"), iou="0.75")
    assert loose["truth"]["a"]["found"] == [[900]]
    assert loose["truth"]["a"]["overlap"] == [[739]]
    assert strict["truth"]["a"]["found"] == [[0]]
    assert len(strict["alarms"]["image"]) == 1


@pytest.mark.parametrize(
    ("query", "message"),
    [({"iou": "0.6"}, "iou is '0.6'; expected one of 0.5, 0.75"), ({"b": "t7"}, "no trial 't7'"), ({"x": ""}, "has no 'x'")],
)
def test_wrong_queries_are_refused(sweep: Path, query: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ask(page(sweep), "gallery", query)


def test_runs_without_predictions_are_left_out_and_named(sweep: Path) -> None:
    (sweep / "runs" / "0001-lr-s0" / "predictions.json").unlink()
    view = answer(page(sweep))
    assert (len(view["b"]["runs"]), len(view["b"]["missing"])) == (2, 1)
    assert view["b"]["commands"][0].startswith("runner eval ")
    assert len(view["truth"]["b"]["found"]) == 2
    for file in sweep.glob("runs/0001-*/predictions.json"):
        file.unlink()
    view = answer(page(sweep))
    assert (view["reason"], view["truth"], len(view["b"]["missing"])) == ("predictions", None, 3)


def test_other_evaluation_data_make_no_pairs(sweep: Path, tmp_path: Path) -> None:
    data = make_truth(tmp_path / "others", BOXES)
    make_detector(sweep, data, A, 2, 0, label="other")
    view = answer(page(sweep), a="t0", b="t2")
    assert (view["reason"], view["truth"]) == ("other-data", None)


def test_a_trial_alone_has_no_pairs(tmp_path: Path) -> None:
    data = make_truth(tmp_path / "boards", BOXES)
    make_detector(tmp_path / "sweep", data, A)
    assert answer(page(tmp_path / "sweep"))["reason"] == "one-trial"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data, run: (data / "val.json").unlink(), "not where the config says"),
        (lambda data, run: (data / "val.json").write_text("{"), "the annotations cannot be used"),
        (lambda data, run: make_truth(data, {"a.png": []}, images=False), "the annotations"),
        (lambda data, run: make_truth(data, BOXES, ("hole", "gap"), images=False), "have changed"),
        (lambda data, run: (run / "predictions.json").write_text("["), "predictions.json cannot be used"),
        (
            lambda data, run: (run / "predictions.json").write_text(
                '[{"image_id": 77, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}]'
            ),
            "id 77",
        ),
        (lambda data, run: os.truncate(run / "predictions.json", (128 << 20) + 1), "larger than 128 MiB"),
        (lambda data, run: os.truncate(data / "val.json", (128 << 20) + 1), "more than 128 MiB"),
    ],
)
def test_data_that_cannot_be_used_are_said(sweep: Path, tmp_path: Path, change: Any, problem: str) -> None:
    data = page(sweep)
    change(tmp_path / "boards", sweep / "runs" / "0000-baseline-s0")
    view = answer(data)
    assert view["reason"] == "data"
    assert problem in view["problem"]
    assert str(tmp_path) not in view["problem"]


def test_predictions_are_matched_by_the_names_of_their_classes(sweep: Path, tmp_path: Path) -> None:
    """The annotations list their classes in another order now, with other ids."""
    document = json.loads((tmp_path / "boards" / "val.json").read_text())
    before = answer(page(sweep))
    document["categories"] = [{"id": 5, "name": "short"}, {"id": 9, "name": "hole"}]
    for entry in document["annotations"]:
        entry["category_id"] = {1: 9, 2: 5}[entry["category_id"]]
    (tmp_path / "boards" / "val.json").write_text(json.dumps(document))
    after = answer(page(sweep))
    assert after["classes"] == ["short", "hole"]
    assert sorted(after["truth"]["a"]["found"][0]) == sorted(before["truth"]["a"]["found"][0])


def test_answers_name_no_path_of_this_machine(sweep: Path, tmp_path: Path) -> None:
    assert str(tmp_path).encode() not in ask(page(sweep), "gallery", {}).body


# ---------------------------------------------------------------------------------------------------------------------- images
def image_ids(view: Any) -> dict[str, str]:
    return {name: identifier for identifier, name, *_ in view["images"]}


def opened(body: bytes) -> Image.Image:
    return Image.open(io.BytesIO(body))


def test_images_of_the_data_set_are_drawn_anew(sweep: Path, tmp_path: Path) -> None:
    data = page(sweep)
    ids = image_ids(answer(data))
    assert all(identifier.startswith("g0-") for identifier in ids.values())
    small, whole = (ask(data, "image", {"id": ids["a.png"], **size}) for size in ({}, {"size": "whole"}))
    assert (small.media, whole.media) == ("image/png", "image/png")
    pixels = np.asarray(Image.open(tmp_path / "boards" / "images" / "a.png"))
    assert np.array_equal(np.asarray(opened(whole.body)), pixels)
    assert np.array_equal(np.asarray(opened(small.body)), pixels)


def test_large_images_are_reduced(sweep: Path, tmp_path: Path) -> None:
    data = page(sweep)
    identifier = image_ids(answer(data))["a.png"]
    noise = np.random.default_rng(0).integers(0, 255, (900, 1800, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "boards" / "images" / "a.png")
    small = ask(data, "image", {"id": identifier})
    assert (small.media, opened(small.body).size) == ("image/webp", (640, 320))
    assert len(small.body) < 200_000
    assert opened(ask(data, "image", {"id": identifier, "size": "whole"}).body).size == (1800, 900)


def test_a_photo_of_too_many_pixels_is_reduced_if_that_takes_little_memory(
    sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.views.page.parts.image._MOST_PIXELS", 60_000)
    monkeypatch.setattr("runner.views.page.parts.image._MOST_DATA_BYTES", 1_000_000)
    data, file = page(sweep), tmp_path / "boards" / "images" / "a.png"
    query = {"id": image_ids(answer(data))["a.png"], "size": "whole"}
    photo = Image.linear_gradient("L").resize((900, 600)).convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6
    for size, exif in (((225, 150), None), ((150, 225), turned)):
        photo.save(file, "JPEG", **({} if exif is None else {"exif": exif}))
        drawn = ask(data, "image", query)
        assert (drawn.media, opened(drawn.body).size) == ("image/jpeg", size)
        middle = opened(drawn.body).convert("L").getpixel((size[0] // 2, size[1] // 2))
        assert isinstance(middle, int) and abs(middle - 128) < 10
    for options, kind in (({"format": "JPEG", "progressive": True}, "progressive JPEG"), ({"format": "PNG"}, "PNG")):
        photo.save(file, **options)
        with pytest.raises(InputError, match=f"it has 900 × 600 pixels, and a {kind} of more than 60000 would have to be decoded whole"):
            ask(data, "image", query)
    file.write_bytes(bytes(2_000_000))
    with pytest.raises(InputError, match="its file has 1 MiB"):
        ask(data, "image", query)


def test_a_frozen_file_holds_the_images_that_come_first(sweep: Path) -> None:
    data = page(sweep)
    names = {identifier: name for name, identifier in image_ids(answer(data)).items()}
    queries = list(find_part("image").frozen(data, {}))
    assert [names[query["id"]] for query in queries] == ["c.png", "a.png", "b.png", "empty.png"]
    assert all(ask(data, "image", query).media == "image/png" for query in queries)
    assert list(find_part("gallery").frozen(data, {})) == [{}, {"iou": "0.75"}]


@pytest.mark.parametrize(
    "identifier", ["g0-000000000000", "g9-000000000000", "g-", "g0-../../../etc/passwd", "r0-000000000000", "", "x" * 9999]
)
def test_ids_of_no_image_are_refused(sweep: Path, identifier: str) -> None:
    with pytest.raises(InputError, match="no image"):
        ask(page(sweep), "image", {"id": identifier})


def test_an_unknown_size_is_refused(sweep: Path) -> None:
    with pytest.raises(InputError, match="size is 'huge'; expected one of small, whole"):
        ask(page(sweep), "image", {"id": "g0-000000000000", "size": "huge"})


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "images/../../secret.png"])
def test_images_outside_of_their_folder_are_not_shown(tmp_path: Path, name: str) -> None:
    data = make_truth(tmp_path / "boards", {name: [(0, BOX)]}, images=False)
    (data / "images").mkdir()
    Image.new("RGB", (100, 80)).save(tmp_path / "secret.png")
    for trial in range(2):
        make_detector(tmp_path / "sweep", data, {name: [(0, BOX, 0.9)]}, trial, 0, label=f"t{trial}")
    found = page(tmp_path / "sweep")
    ((identifier, *_),) = answer(found)["images"]
    with pytest.raises(InputError, match="outside of their image folder"):
        ask(found, "image", {"id": identifier})


def _big(path: Path) -> None:
    Image.new("1", (30_000, 30_000)).save(path)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "cannot be read"),
        (lambda path: path.symlink_to("/etc/hostname"), "symbolic link"),
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: path.write_text("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"), "not an image"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50), "not an image"),
        (_big, "more than 178956970 pixels"),
        (lambda path: (path.write_bytes(b""), os.truncate(path, (1 << 27) + 1)), "its file has 128 MiB"),
    ],
)
def test_files_that_are_no_images_are_refused(sweep: Path, tmp_path: Path, make: Any, problem: str) -> None:
    data = page(sweep)
    identifier = image_ids(answer(data))["a.png"]
    path = tmp_path / "boards" / "images" / "a.png"
    path.unlink()
    make(path)
    with pytest.raises(InputError, match=problem) as error:
        ask(data, "image", {"id": identifier})
    assert str(tmp_path) not in str(error.value)
