from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.data.choice import dataset_choice
from runner.data.coco import load_coco
from runner.data.formats.base import Loaded, make_item
from runner.data.manifest import read_manifest
from runner.data.prepare import _locked, ensure_synthetic, prepare
from runner.data.sources import silent

COUNTS = {"images": 36, "boxes": 72, "val": 6}
Build = Callable[..., Path]


def _files(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*")}


def _names(root: Path, name: str, side: str) -> list[str]:
    document = json.loads((root / name / "annotations" / f"{side}.json").read_text())
    return [image["file_name"] for image in document["images"]]


def test_pcb_from_class_folders(pcb_source: Build, root: Path) -> None:
    source = pcb_source()
    steps: list[tuple[int, int, str]] = []
    manifest = prepare("pcb", source, root, options=COUNTS, progress=lambda *step: steps.append(step))
    assert (manifest.splits["train"].images, manifest.splits["val"].images) == (30, 6)
    assert manifest.classes[0] == "missing_hole" and not manifest.reused and steps
    data = load_coco(root / "pcb" / "annotations" / "train.json", root / "pcb" / "images")
    assert data.categories[0].id == 1 and data.images[0].boxes.tolist()[0] == [2, 3, 12, 14]
    name = data.images[0].file_name
    assert os.path.samefile(source / "images" / name, root / "pcb" / "images" / name)  # linked, not copied
    assert sorted(path.name for path in root.iterdir()) == ["pcb"]


def test_the_random_split_depends_on_names_and_seed_alone(pcb_source: Build, root: Path, tmp_path: Path) -> None:
    prepare("pcb", pcb_source(), root, options=COUNTS)
    first = _names(root, "pcb", "val")
    moved = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "PCB_DATASET", moved / "deep" / "PCB")
    prepare("pcb", moved, tmp_path / "other", options=COUNTS)
    assert _names(tmp_path / "other", "pcb", "val") == first
    prepare("pcb", moved, tmp_path / "other", options={**COUNTS, "seed": 1}, force=True)
    assert _names(tmp_path / "other", "pcb", "val") != first
    # pinned: a change of the split is a change of everybody's figures
    assert first[:2] == ["Missing_hole/01_missing_hole_01.jpg", "Missing_hole/04_missing_hole_02.jpg"]


def test_wrong_counts_say_what_was_found(pcb_source: Build, root: Path) -> None:
    with pytest.raises(InputError) as caught:
        prepare("pcb", pcb_source(), root)
    text = str(caught.value)
    assert "36 images and 72 boxes" in text and "693 and 2,953" in text and "missing_hole 12" in text
    assert not (root / "pcb").exists() and not list(root.glob(".pcb.preparing-*"))


def test_pcb_by_board_keeps_boards_together(pcb_source: Build, root: Path) -> None:
    prepare("pcb_by_board", pcb_source(), root, options={**COUNTS, "val": 10})
    sides = (_names(root, "pcb_by_board", side) for side in ("train", "val"))
    boards = [{re.findall(r"/(\d+)_", name)[0] for name in names} for names in sides]
    assert boards[0] | boards[1] == {"01", "04", "05"} and not boards[0] & boards[1]
    assert len(_names(root, "pcb_by_board", "val")) == 12


def test_the_articles_own_folder_keeps_its_split_and_by_board_splits_anew(pcb_source: Build, root: Path, tmp_path: Path) -> None:
    prepare("pcb", pcb_source(), root, options=COUNTS)
    article = tmp_path / "article"
    (article / "Annotations").mkdir(parents=True)
    shutil.copytree(root / "pcb" / "images", article / "images")
    for side, other in (("train", "val"), ("val", "train")):  # sides swapped, so that it shows whose split it is
        shutil.copy(root / "pcb" / "annotations" / f"{side}.json", article / "Annotations" / f"{other}.json")
    other_root = tmp_path / "other"
    manifest = prepare("pcb", article, other_root, options=COUNTS)
    assert (manifest.splits["train"].images, manifest.splits["val"].images) == (6, 30)
    manifest = prepare("pcb_by_board", article, other_root, options={**COUNTS, "val": 10})
    assert manifest.splits["val"].images == 12


def test_idempotent_and_changes_are_refused(pcb_source: Build, root: Path) -> None:
    source = pcb_source()
    prepare("pcb", source, root, options=COUNTS)
    before = _files(root)
    assert prepare("pcb", source, root, options=COUNTS).reused
    assert prepare("pcb", None, root, options=COUNTS).reused
    assert _files(root) == before
    with pytest.raises(InputError, match="images=36.*--force"):
        prepare("pcb", source, root, options={**COUNTS, "seed": 3})
    (source / "images" / "Short" / "extra.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="--force"):
        prepare("pcb", source, root, options=COUNTS)
    assert _files(root) == before
    manifest = prepare("pcb", source, root, options=COUNTS, force=True)
    assert not manifest.reused and prepare("pcb", source, root, options=COUNTS).reused


def test_from_an_archive(pcb_source: Build, root: Path, tmp_path: Path) -> None:
    source = pcb_source()
    archive = Path(shutil.make_archive(str(tmp_path / "PCB ü"), "zip", source.parent, source.name))
    manifest = prepare("pcb", archive, root, options=COUNTS)
    assert manifest.splits["train"].images == 30
    assert (root / "pcb" / "images" / _names(root, "pcb", "train")[0]).is_file()
    assert prepare("pcb", archive, root, options=COUNTS).reused
    assert sorted(path.name for path in root.iterdir()) == ["pcb"]


def test_zip_slip_in_a_source(root: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        file.writestr("../../../evil.txt", "x")
    with pytest.raises(InputError, match="leads out"):
        prepare("voc", tmp_path / "evil.zip", root)
    assert not list(tmp_path.rglob("evil.txt"))
    assert list(root.iterdir()) == []


def test_what_cannot_be_a_source(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Peking University"):
        prepare("pcb", None, root)
    with pytest.raises(InputError, match="does not exist[\\s\\S]*Peking University"):
        prepare("pcb", tmp_path / "nowhere", root)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="expected: VOC XML"):
        prepare("pcb", tmp_path / "empty", root)
    with pytest.raises(InputError, match="is inside this source"):
        prepare("voc", tmp_path, root)
    with pytest.raises(InputError, match="generated"):
        prepare("synthetic_pcb", tmp_path, root)
    with pytest.raises(InputError, match="unknown data set 'nope'"):
        prepare("nope", tmp_path, root)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="neither a folder nor"):
        prepare("voc", tmp_path / "notes.txt", root)


def test_a_strangers_folder_is_never_touched(pcb_source: Build, root: Path) -> None:
    (root / "pcb").mkdir(parents=True)
    (root / "pcb" / "mine.txt").write_text("precious")
    for force in (False, True):
        with pytest.raises(InputError, match="was not made by runner"):
            prepare("pcb", pcb_source(), root, options=COUNTS, force=force)
    assert (root / "pcb" / "mine.txt").read_text() == "precious"


def test_a_root_that_is_a_file(pcb_source: Build, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written to"):
        prepare("pcb", pcb_source(), tmp_path / "file", options=COUNTS)


def test_a_full_disk(pcb_source: Build, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr("runner.data.convert.link_or_copy", full)
    with pytest.raises(InputError, match="No space left"):
        prepare("pcb", pcb_source(), root, options=COUNTS)
    assert list(root.iterdir()) == []


def test_voc_and_coco_without_lists_are_split_at_random_with_a_note(pcb_source: Build, root: Path) -> None:
    manifest = prepare("voc", pcb_source(), root)
    assert manifest.splits["val"].images == 7 and "split at random (seed 0)" in str(manifest.notes[-1])
    assert manifest.classes == tuple(sorted(manifest.classes))


def test_colliding_image_ids_are_renumbered(nasty: Path, root: Path, make_document: Any, make_picture: Any) -> None:
    (nasty / "annotations").mkdir()
    for side in ("train", "val"):
        document = make_document()
        for image in document["images"]:
            image["file_name"] = f"{side}/{image['file_name']}"
            make_picture(nasty / "images" / image["file_name"])
        (nasty / "annotations" / f"{side}.json").write_text(json.dumps(document))
    prepare("coco", nasty, root)
    ids = [
        image["id"]
        for side in ("train", "val")
        for image in json.loads((root / "coco" / "annotations" / f"{side}.json").read_text())["images"]
    ]
    assert ids == [1, 2, 3, 4, 5, 6]
    document = json.loads((root / "coco" / "annotations" / "train.json").read_text())
    assert [category["id"] for category in document["categories"]] == [7, 3]
    assert document["annotations"][-1]["iscrowd"] == 1


SCRIPT = """
import sys, time
from pathlib import Path
from runner.data.prepare import {function}
def progress(done, total, what):
    print(done, flush=True)
    time.sleep({pause})
{call}
"""


def _start(call: str, function: str, pause: float) -> subprocess.Popen[str]:
    script = SCRIPT.format(call=call, function=function, pause=pause)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)


def test_killed_in_the_middle_nothing_looks_prepared(pcb_source: Build, root: Path) -> None:
    source = pcb_source()
    call = f"prepare('pcb', Path({str(source)!r}), Path({str(root)!r}), progress=progress, options={COUNTS!r})"
    for lines in (2, 10, 30):
        process = _start(call, "prepare", 0.01)
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert read_manifest(root / "pcb") is None and not (root / "pcb").exists()
    assert list(root.glob(".pcb.preparing-*"))  # what the killed one left …
    assert prepare("pcb", source, root, options=COUNTS).splits["train"].images == 30
    assert not list(root.glob(".pcb.preparing-*"))  # … is cleared away


def test_two_processes_at_once_both_end_well(root: Path) -> None:
    made = f"m = prepare('synthetic_pcb', None, Path({str(root)!r}), progress=progress, options=dict(train=20, val=5))"
    call = f"{made}; print(m.content, m.reused)"
    processes = [_start(call, "prepare", 0.005) for _ in range(3)]
    ends = [process.communicate(timeout=120)[0].splitlines()[-1].split() for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert len({content for content, _ in ends}) == 1
    assert sorted(reused for _, reused in ends) == ["False", "True", "True"]


def test_one_lock_at_a_time_though_its_name_is_removed(root: Path) -> None:
    root.mkdir(exist_ok=True)
    counts = {"inside": 0, "most": 0, "done": 0}

    def work() -> None:
        for _ in range(50):
            with _locked(root, "x", silent):
                counts["inside"] += 1
                counts["most"] = max(counts["most"], counts["inside"])
                time.sleep(0.0002)
                counts["done"] += 1
                counts["inside"] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert counts == {"inside": 0, "most": 1, "done": 200} and list(root.iterdir()) == []


def test_ensure_synthetic_takes_what_is_there(root: Path) -> None:
    prepare("synthetic_pcb", None, root, options={"size": 64, "train": 4, "val": 2})
    before = _files(root)
    manifest = ensure_synthetic(root)
    assert manifest.reused and manifest.options == {"size": 64, "train": 4, "val": 2}
    assert _files(root) == before


def test_real_deeppcb(deeppcb_source: Path, root: Path) -> None:
    start = time.perf_counter()
    manifest = prepare("deeppcb", deeppcb_source, root)
    assert (manifest.splits["train"].images, manifest.splits["val"].images) == (789, 211)
    assert (manifest.splits["train"].boxes, manifest.splits["val"].boxes) == (5603, 1270)
    assert manifest.classes == ("open", "short", "mousebite", "spur", "copper", "pin-hole")
    assert prepare("deeppcb", deeppcb_source, root).reused
    assert time.perf_counter() - start < 60


def _coco(source: Path, names: list[str], make_document: Any, **files: Any) -> Path:
    """A COCO source with one annotation file per keyword (document changes), in a folder deep below `source`."""
    folder = source / "annotations"
    folder.mkdir(parents=True)
    for side in files or {"train": 0, "val": 0}:
        document = make_document(images=len(names))
        for image, name in zip(document["images"], names, strict=True):
            image["file_name"] = name
        (folder / f"{side}.json").write_text(json.dumps(document))
    return source


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("place", [0, 2])
def test_a_file_name_writes_nothing_outside_of_the_set(
    root: Path, tmp_path: Path, make_document: Any, make_picture: Any, archive: bool, place: int
) -> None:
    names = ["a.png", "b.png", "c.png"]
    names[place] = "../" * 5 + ".bashrc"
    source = tmp_path / "d1"
    _coco(source / "d2" / "d3", names, make_document)
    for name in ("a.png", "b.png", "c.png"):
        make_picture(source / "d2" / "d3" / "images" / name)
    for above in (source, tmp_path):
        (above / ".bashrc").write_text("mine")
    before = _files(tmp_path)
    if archive:
        packed = Path(shutil.make_archive(str(tmp_path / "evil"), "zip", source))
        before[packed.name] = packed.stat().st_mtime_ns
    with pytest.raises(InputError, match=r"leads out of the image folder") as caught:
        prepare("coco", packed if archive else source, root)
    assert ".preparing-" not in str(caught.value) and (not archive or "evil.zip/d2/d3/annotations/" in str(caught.value))
    after = _files(tmp_path)
    assert {name: after[name] for name in before if name != "data root"} == {name: before[name] for name in before if name != "data root"}
    assert list(root.iterdir()) == []


def test_a_format_of_another_package_cannot_lead_out_either(
    root: Path, tmp_path: Path, make_picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    make_picture(source / "a.png")
    outside = make_picture(tmp_path / "b.png")
    for path in (source / ".." / "b.png", outside):
        loaded = Loaded(("a",), tuple(make_item(one, (40, 30), []) for one in (source / "a.png", path)))
        monkeypatch.setattr("runner.data.convert._load", lambda *_, loaded=loaded: loaded)
        with pytest.raises(InputError, match="leads out of the source"):
            prepare("voc", source, root)


def test_images_that_are_links_to_another_disk(root: Path, tmp_path: Path, make_document: Any, make_picture: Any) -> None:
    source = _coco(tmp_path / "source", ["a.png", "b.png", "c.png"], make_document, alone=0)
    (source / "images").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (source / "images" / name).symlink_to(make_picture(tmp_path / "disk" / name))
    manifest = prepare("coco", source, root)
    assert any(note.count == 3 and "symbolic links out of the source" in note.what for note in manifest.notes)
    assert not any(path.is_symlink() for path in (root / "coco").rglob("*"))
    secret = tmp_path / "secret.txt"
    secret.write_text("no image")
    (source / "images" / "c.png").unlink()
    (source / "images" / "c.png").symlink_to(secret)
    with pytest.raises(InputError, match="unreadable image"):
        prepare("coco", source, root, force=True)


def test_file_names_that_are_no_utf8(root: Path, tmp_path: Path, make_xml: Any, make_picture: Any) -> None:
    source = tmp_path / "source"
    make_picture(source / "a.png")
    odd = os.fsdecode("电路.png".encode("gbk"))
    (source / "a.png").rename(source / odd)
    (source / os.fsdecode("电路.xml".encode("gbk"))).write_text(make_xml("x.png", [("a", 2, 2, 9, 9)]))
    with pytest.raises(InputError, match="is not UTF-8; rename the file"):
        prepare("voc", source, root)


def test_zip_with_names_in_gbk_gets_a_hint(root: Path, tmp_path: Path, make_document: Any, make_picture: Any) -> None:
    source = _coco(tmp_path / "source", ["电路0.png", "电路1.png", "电路2.png"], make_document, a=0)
    make_picture(source / "x.png")
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(source / "annotations" / "a.json", "annotations/a.json")
        for number in range(3):
            file.writestr(f"images/####{number}.png", (source / "x.png").read_bytes())
    archive.write_bytes(archive.read_bytes().replace(b"####", "电路".encode("gbk")))
    with pytest.raises(InputError) as caught:
        prepare("coco", archive, root)
    text = str(caught.value)
    assert f"{archive}/annotations/a.json: the image '电路0.png' is missing" in text and "unzip -O gbk set.zip" in text
    assert "preparing" not in text


def test_a_test_list_is_kept_aside_and_changes_nothing_else(root: Path, tmp_path: Path, make_document: Any, make_picture: Any) -> None:
    contents = []
    for files in ({"train": 0, "val": 0}, {"train": 0, "val": 0, "test": 0}):
        source = tmp_path / f"source{len(files)}"
        (source / "annotations").mkdir(parents=True)
        for number, side in enumerate(files):
            document = make_document()
            for image in document["images"]:
                image["id"] += number * 100 if side != "test" else 0
                image["file_name"] = f"{side}/{image['file_name']}"
                make_picture(source / "images" / image["file_name"], seed=number)
            for annotation in document["annotations"]:
                annotation["image_id"] += number * 100 if side != "test" else 0
            (source / "annotations" / f"{side}.json").write_text(json.dumps(document))
        contents.append(prepare("coco", source, root, force=True).content)
    manifest = read_manifest(root / "coco")
    assert manifest is not None and contents[0] == contents[1] == manifest.content
    assert manifest.splits["test"].images == 3 and manifest.splits["test"].lists == ("annotations/test.json",)
    assert manifest.splits["train"].lists == ("annotations/train.json",)
    assert _names(root, "coco", "test") == [f"test/im {number}.png" for number in range(3)]
    choice = dataset_choice("coco", root)
    assert choice.prepared and choice.test is not None and choice.test.annotations == root / "coco" / "annotations" / "test.json"


def test_a_manifest_that_points_elsewhere_is_none(root: Path) -> None:
    prepare("synthetic_pcb", None, root, options={"size": 64, "train": 2, "val": 1})
    path = root / "synthetic_pcb" / "dataset.json"
    path.write_text(path.read_text().replace("annotations/val.json", "../../val.json"))
    assert read_manifest(root / "synthetic_pcb") is None


def test_classes_that_look_alike_and_options_without_effect_are_noted(root: Path, tmp_path: Path, make_xml: Any, make_picture: Any) -> None:
    source = tmp_path / "source"
    (source / "ImageSets").mkdir(parents=True)
    for number, kind in enumerate(("Spur", "spur", "open  pin")):
        make_picture(source / f"{number}.png", seed=number)
        (source / f"{number}.xml").write_text(make_xml(f"{number}.png", [(kind, 2, 2, 9, 9)]))
    (source / "ImageSets" / "train.txt").write_text("0\n1\n")
    (source / "ImageSets" / "val.txt").write_text("2\n")
    (source / "3.xml").write_text(make_xml("3.png", [("open pin", 2, 2, 9, 9)]))
    make_picture(source / "3.png", seed=3)
    texts = [str(note) for note in prepare("voc", source, root, options={"val": 1, "seed": 3}).notes]
    assert any("spaces or Unicode form only: 'open  pin', 'open pin'" in text for text in texts)
    assert "note: these are 2 classes, though their names differ in case, spaces or Unicode form only: 'Spur', 'spur'" in texts
    assert any(text.startswith("note: val=1, seed=3 changes nothing") for text in texts)


@pytest.mark.parametrize("place", ["raw", "raw.zip", ""])
def test_a_source_within_the_set_is_never_deleted(root: Path, tmp_path: Path, make_xml: Any, make_picture: Any, place: str) -> None:
    source = tmp_path / "source"
    for name in ("a", "b"):
        make_picture(source / f"{name}.jpg")
        (source / f"{name}.xml").write_text(make_xml(f"{name}.jpg", [("x", 3, 4, 12, 14)]))
    prepare("voc", source, root, options={"val": 1})
    inner = root / "voc" / place
    if place == "raw":
        shutil.copytree(source, inner)
    elif place:
        shutil.make_archive(str(inner.with_suffix("")), "zip", source)
    before = sorted((root / "voc").rglob("*"))
    for force in (False, True):
        with pytest.raises(InputError, match="inside the set that would be made from it"):
            prepare("voc", inner, root, options={"val": 1}, force=force)
    assert sorted((root / "voc").rglob("*")) == before


def test_other_files_in_the_folder_of_a_set_are_never_deleted(root: Path, tmp_path: Path, make_xml: Any, make_picture: Any) -> None:
    source = tmp_path / "source"
    for name in ("a", "b"):
        make_picture(source / f"{name}.jpg")
        (source / f"{name}.xml").write_text(make_xml(f"{name}.jpg", [("x", 3, 4, 12, 14)]))
    prepare("voc", source, root, options={"val": 1})
    (root / "voc" / "stats.png").touch()
    prepare("voc", source, root, options={"val": 1}, force=True)
    (root / "voc" / "raw").mkdir()
    with pytest.raises(InputError, match="did not write, which --force would delete: raw; move them elsewhere"):
        prepare("voc", source, root, options={"val": 1}, force=True)
    assert (root / "voc" / "raw").is_dir()


def _yolo(folder: Path, make_picture: Any, boxes: int = 2) -> Path:
    (folder / "labels").mkdir(parents=True)
    for index in range(4):
        make_picture(folder / "images" / f"{index}.png", seed=index)
        (folder / "labels" / f"{index}.txt").write_text("0 .5 .5 .2 .2\n" * boxes)
    (folder / "data.yaml").write_text("names: [cell]\n")
    return folder


def test_the_file_that_describes_a_folder_stands_for_it(nasty: Path, root: Path, make_picture: Any) -> None:
    source = _yolo(nasty / "set", make_picture)
    manifest = prepare("yolo", source / "data.yaml", root)
    assert manifest.classes == ("cell",) and manifest.source == str(source.resolve())
    assert prepare("yolo", source, root).reused
    (source / "other.yaml").write_text("names: [x]\ntrain: images\n")
    with pytest.raises(InputError, match="data.yaml beside it may be read in its place"):
        prepare("yolo", source / "other.yaml", root, force=True)
    with pytest.raises(InputError, match="neither a folder nor"):
        prepare("yolo", source / "labels" / "0.txt", root, force=True)


def test_a_second_set_of_a_format_is_offered_a_name(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_picture: Any) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = _yolo(tmp_path / "first set", make_picture), _yolo(tmp_path / "second set", make_picture, boxes=1)
    prepare("yolo", first, root)
    with pytest.raises(InputError) as refused:
        prepare("yolo", second, root)
    command = f"runner data prepare yolo --source '{second}' --name NAME"
    assert f"for another data set, which needs a name of its own: {command}; --force replaces this one" in str(refused.value)
    assert not (tmp_path / "datasets").exists()

    manifest = prepare("yolo", second, root, options={"val": 1, "seed": 3}, called="blood")
    assert (manifest.name, manifest.splits["val"].images, manifest.options) == ("blood", 1, {})
    spec = (tmp_path / "datasets" / "blood.yml").read_text()
    assert "name: blood\n" in spec and "split: {by: random, val: 1, seed: 3}\n" in spec
    choice = dataset_choice("blood", root)  # as in a config, from any process that works here
    assert choice.prepared and choice.classes == ("cell",)
    assert prepare("blood", second, root).reused
    assert prepare("yolo", second, root, options={"val": 1, "seed": 3}, called="blood").reused
    assert prepare("yolo", first, root).reused  # as it was
    assert (tmp_path / "datasets" / "blood.yml").read_text() == spec
    with pytest.raises(InputError, match="is the spec of the name blood, and differs from .*yolo.yml"):
        prepare("yolo", second, root, called="blood")
    with pytest.raises(InputError, match="is the spec of the name coco, and differs"):
        prepare("yolo", second, root, called="coco")


def test_the_spec_of_a_named_set_is_only_written_once_it_is_prepared(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for source, name in (("empty", "blood"), ("nowhere", "blood"), ("empty", "a/b"), ("empty", "")):
        with pytest.raises(InputError):
            prepare("yolo", tmp_path / source, root, called=name)
    assert not (tmp_path / "datasets").exists()


def test_a_source_in_another_format_names_that_format(root: Path, tmp_path: Path, pcb_source: Build, make_picture: Any) -> None:
    yolo = _yolo(tmp_path / "my set", make_picture)
    with pytest.raises(InputError) as refused:
        prepare("voc", yolo, root)
    assert str(refused.value).endswith(f"\nIt is in yolo format: runner data prepare yolo --source '{yolo}'")
    with pytest.raises(InputError, match=r"\nIt is in voc format: runner data prepare voc"):
        prepare("yolo", pcb_source(), root)


def test_a_proposed_command_keeps_the_name_and_the_options(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_picture: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    yolo = _yolo(tmp_path / "my set", make_picture)
    archive = shutil.make_archive("an archive", "zip", yolo)
    options = {"val": 1, "boxes_outside": "clip"}
    kept = "--val 1 --boxes-outside clip --name q"
    with pytest.raises(InputError) as refused:
        prepare("coco", None, root, options=options, called="q")
    assert str(refused.value) == f"data set q needs a source: runner data prepare coco --source FOLDER_OR_ARCHIVE {kept}"
    for source in (yolo, Path(archive)):
        with pytest.raises(InputError) as refused:
            prepare("coco", source, root, options=options, called="q")
        (line,) = (line for line in str(refused.value).splitlines() if line.startswith("It is in yolo format: "))
        assert line == f"It is in yolo format: runner data prepare yolo --source '{source}' {kept}"
    prepare("yolo", yolo, root, options=options, called="q")
    other = _yolo(tmp_path / "other", make_picture, boxes=1)
    with pytest.raises(InputError, match=f"runner data prepare yolo --source {other} --val 1 --boxes-outside clip --name NAME; --force"):
        prepare("yolo", other, root, options=options, called="q")
    Path("datasets/q.yml").write_text(Path("datasets/q.yml").read_text().replace("seed: 0", "seed: 1"))
    assert dataset_choice("q", root).message.endswith(f"run: runner data prepare q --source '{yolo}' --force")
