from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.data.formats.base import Loaded, SourceList, make_item
from runner.data.spec import SplitRule, find_spec
from runner.data.split import Division, divide


def _divide(
    folder: Path, own: Mapping[str, tuple[int, ...]], count: int = 8, missing: Mapping[str, tuple[str, ...]] | None = None, **split: Any
) -> Division:
    """Divide `count` images, by lists of indices; files i and i + 100 are the same one."""
    paths = []
    for number in range(count):
        path = folder / f"{number}.jpg"
        path.touch()
        paths.append(path)
    entries = {name: SourceList((f"{name}.txt",), members, (missing or {}).get(name, ())) for name, members in own.items()}
    loaded = Loaded(("a",), tuple(make_item(path, (4, 4), []) for path in paths), entries)
    spec = dataclasses.replace(find_spec("voc"), split=SplitRule(**{"by": "random", "val": 0.25, **split}))
    return divide(spec, loaded, [path.name for path in paths])


def test_train_val_and_test_by_their_names(tmp_path: Path) -> None:
    found = _divide(tmp_path, {"train": (0, 1), "valid": (2,), "test": (3, 4), "trainval": (0, 1, 2)}, 6)
    assert found.sides == {"train": [0, 1], "val": [2], "test": [3, 4]}
    assert found.lists == {"train": ("train.txt",), "val": ("valid.txt",), "test": ("test.txt",)}
    assert {(note.kind, note.what, note.count, note.example) for note in found.notes} == {
        ("left out", "lists of the source that are not used", 1, "trainval.txt"),
        ("left out", "images in none of the lists that are used", 1, "5.jpg"),
    }


@pytest.mark.parametrize("train", ["trainval", "train"])
def test_test_never_becomes_validation_by_itself(tmp_path: Path, train: str) -> None:
    found = _divide(tmp_path, {train: (0, 1, 2, 3), "test": (4, 5)}, 6)
    assert found.sides["test"] == [4, 5] and len(found.sides["val"]) == 1
    assert sorted(found.sides["train"] + found.sides["val"]) == [0, 1, 2, 3]
    assert "val" not in found.lists and "split at random (seed 0): 3 for train, 1 for val" in str(found.notes[-1])
    with pytest.raises(InputError, match=r"no lists for train and val \(its lists: .*test \(2 images\)\).*split\.lists"):
        _divide(tmp_path, {train: (0, 1, 2, 3), "test": (4, 5)}, 6, by="source")


def test_the_spec_chooses_among_the_lists(tmp_path: Path) -> None:
    lists = {"trainval": (0, 1, 2, 3), "test": (4, 5), "extra": (6,)}
    found = _divide(tmp_path, lists, by="source", lists={"train": ("trainval", "extra"), "val": ("test",)})
    assert found.sides == {"train": [0, 1, 2, 3, 6], "val": [4, 5]}
    found = _divide(tmp_path, lists, by="random", val=2, lists={"train": ("trainval",), "test": ("extra",)})
    assert found.sides["test"] == [6] and len(found.sides["val"]) == 2
    with pytest.raises(InputError, match="has no list 'tset'; its lists: trainval, test, extra"):
        _divide(tmp_path, lists, lists={"train": ("trainval",), "val": ("tset",)})


def test_only_test_or_only_val(tmp_path: Path) -> None:
    found = _divide(tmp_path, {"test": (0, 1)})
    assert found.sides["test"] == [0, 1] and len(found.sides["train"]) + len(found.sides["val"]) == 6
    found = _divide(tmp_path, {"val": (0, 1)})
    assert len(found.sides["train"]) + len(found.sides["val"]) == 8
    assert "lists of the source that are not used: 1, e.g. val.txt" in str(found.notes[0])


def test_without_respect_all_is_split_anew(tmp_path: Path) -> None:
    found = _divide(tmp_path, {"train": (0, 1, 2, 3, 4), "val": (5, 6, 7)}, respect_source=False)
    assert len(found.sides["train"]) == 6 and not found.lists


def test_images_in_two_lists(tmp_path: Path) -> None:
    found = _divide(tmp_path, {"train": (0, 1, 2, 3), "val": (3, 4), "test": (2, 4)}, 5)
    assert found.sides == {"train": [0, 1], "val": [3, 4], "test": [2, 4]}
    texts = [str(note) for note in found.notes]
    assert "left out: images of train that the source names for val too: 1, e.g. 3.jpg" in texts
    assert "left out: images of train that the source names for test too: 1, e.g. 2.jpg" in texts
    assert "read: images that are in val and in test: 1, e.g. 4.jpg" in texts
    everything = tuple(range(8))
    found = _divide(tmp_path, {"train": everything, "val": everything, "test": everything})
    assert len(found.sides["val"]) == 2 and "test" not in found.sides and found.lists == {"train": ("train.txt",)}
    assert "the source names the same images for train (train.txt) and val (val.txt)" in str(found.notes[0])
    with pytest.raises(InputError, match="no lists for train and val"):
        _divide(tmp_path, {"train": everything, "val": everything}, by="source")
    with pytest.raises(InputError, match=r"names all 2 images of train \(train.txt\) also for val \(val.txt\)"):
        _divide(tmp_path, {"train": (0, 1), "val": everything})


def test_entries_without_an_image_are_named_where_the_list_is_used(tmp_path: Path) -> None:
    lists = {"train": (0, 1), "val": (2,), "odd": (3,)}
    assert _divide(tmp_path, lists, missing={"odd": ("odd.txt:1: the entry 'x' matches no image",)}).sides["val"] == [2]
    with pytest.raises(InputError, match=r"val.txt:2: the entry 'p 9' matches no image"):
        _divide(tmp_path, lists, missing={"val": ("val.txt:2: the entry 'p 9' matches no image",)})


def test_an_empty_side_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leaves train empty: 0 for train, 8 for val"):
        _divide(tmp_path, {}, val=8)


@pytest.mark.parametrize("val", [1, 0.5, 3])
@pytest.mark.parametrize("by", ["random", "group"])
def test_entries_of_one_file_are_on_one_side(tmp_path: Path, val: float, by: str) -> None:
    """Of 4 files, each with two entries, `val` counts files."""
    files = [tmp_path / f"{number % 4}_{number // 4}.jpg" for number in range(8)]
    for file in files[:4]:
        file.touch()
    for file, same in zip(files[4:], files, strict=False):
        file.hardlink_to(same)
    loaded = Loaded(("a",), tuple(make_item(path, (4, 4), []) for path in files), {})
    spec = dataclasses.replace(find_spec("voc"), split=SplitRule(by=by, val=val, group="^([0-9])_"))  # type: ignore[arg-type]
    sides = divide(spec, loaded, [path.name for path in files]).sides
    wanted = round(4 * val) if val < 1 else int(val)
    assert len(sides["val"]) == 2 * wanted and len(sides["train"]) == 8 - 2 * wanted
    assert not {index % 4 for index in sides["val"]} & {index % 4 for index in sides["train"]}


def test_a_large_set_is_divided_in_no_time(tmp_path: Path) -> None:
    half = 5000
    path = tmp_path / "0.jpg"
    path.touch()
    items = tuple(make_item(path, (4, 4), []) for _ in range(2 * half))
    lists = {"train": SourceList(("t",), tuple(range(half))), "val": SourceList(("v",), tuple(range(half, 2 * half)))}
    names = [f"{number}.jpg" for number in range(2 * half)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runner.data.split._file_key", lambda _, index: (0, index if index < half or index % 10 else index - half))
        started = time.process_time()
        sides = divide(find_spec("voc"), Loaded(("a",), items, lists), names).sides
    assert len(sides["train"]) == half - half // 10 and len(sides["val"]) == half
    assert time.process_time() - started < 1  # took several seconds


def test_an_empty_list_is_called_empty(tmp_path: Path) -> None:
    found = _divide(tmp_path, {"train": (0, 1, 2, 3, 4, 5), "val": ()}, 6)
    assert ("left out", "lists of the source that are empty", "val.txt") in {(note.kind, note.what, note.example) for note in found.notes}
