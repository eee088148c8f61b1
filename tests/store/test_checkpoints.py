"""The folder of checkpoints: what a kill, a full disk or a damaged file leave of it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from runner.core.errors import InputError
from runner.store import checkpoints as checkpoint_folder
from runner.store.checkpoints import CheckpointFolder, locate


def content(text: str) -> Callable[[IO[bytes]], None]:
    def write(file: IO[bytes]) -> None:
        file.write(text.encode())

    return write


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "lauf é" / "checkpoints", keep=1)


@pytest.fixture(autouse=True)
def parent(tmp_path: Path) -> None:
    (tmp_path / "lauf é").mkdir()


def test_last_best_and_one_older_are_kept(folder: CheckpointFolder) -> None:
    for step, metric in ((1, 0.1), (2, 0.5), (3, 0.2), (4, None), (5, 0.4)):
        folder.save(content(f"state {step}"), step, step / 2, metric=metric)
    assert [(entry.step, entry.best) for entry in folder.entries()] == [(2, True), (4, False), (5, False)]
    assert sorted(file.name for file in folder.path.iterdir()) == [
        "best.pt",
        "index.json",
        "last.pt",
        "step-00000002.pt",
        "step-00000004.pt",
        "step-00000005.pt",
    ]
    assert (folder.path / "last.pt").read_text() == "state 5"
    assert (folder.path / "best.pt").read_text() == "state 2"
    assert all(folder.is_whole(entry) for entry in folder.entries())


def test_a_tie_goes_to_the_newer(folder: CheckpointFolder) -> None:
    for step in (1, 2):
        folder.save(content("x"), step, 0.0, metric=0.5)
    best = folder.best()
    assert best is not None and best.step == 2


def test_the_best_is_the_lowest_where_that_is_the_goal(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "checkpoints", keep=0, goal="minimize")
    for step, metric in ((1, 0.4), (2, 0.2), (3, 0.3), (4, 0.2), (5, float("nan"))):
        folder.save(content("x"), step, 0.0, metric=metric)
    assert [(entry.step, entry.best) for entry in folder.entries()] == [(4, True), (5, False)]


def test_finishing_scores_the_last(folder: CheckpointFolder) -> None:
    folder.save(content("one"), 1, 0.0, metric=0.3)
    entry = folder.save(content("two"), 2, 0.0)
    folder.finish(entry, 0.4)
    last = folder.last()
    assert last is not None and last.finished and last.best and last.metric == 0.4
    assert (folder.path / "best.pt").read_text() == "two"


def test_a_step_saved_again_supersedes_what_came_after(folder: CheckpointFolder) -> None:
    for step in (1, 2, 3):
        folder.save(content("x"), step, 0.0)
    folder.save(content("again"), 2, 0.0)
    assert [entry.step for entry in folder.entries()] == [1, 2] or [entry.step for entry in folder.entries()] == [2]
    assert not (folder.path / "step-00000003.pt").exists()


def test_a_changed_file_is_not_whole(folder: CheckpointFolder) -> None:
    entry = folder.save(content("state"), 1, 0.0)
    (folder.path / entry.file).write_text("stata")
    assert not folder.is_whole(entry)
    (folder.path / entry.file).unlink()
    assert not folder.is_whole(entry)


@pytest.mark.parametrize("place", ["write", "index", "link"])
def test_a_kill_anywhere_leaves_the_older_one_whole(folder: CheckpointFolder, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    folder.save(content("one"), 1, 0.0)

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    if place == "index":
        monkeypatch.setattr(checkpoint_folder, "atomic_write_json", die)
    if place == "link":
        monkeypatch.setattr(checkpoint_folder, "_link", die)
    with pytest.raises(Killed):
        folder.save(die if place == "write" else content("two"), 2, 0.0)
    monkeypatch.undo()
    _, candidates = locate(folder.path)
    assert folder.is_whole(candidates[0])
    assert candidates[-1].step == 1
    folder.save(content("three"), 3, 0.0)
    assert not [file for file in folder.path.iterdir() if file.name.startswith(".")]


def test_a_full_disk_is_named_and_leaves_the_older_one(folder: CheckpointFolder) -> None:
    folder.save(content("one"), 1, 0.0)

    class FullDisk:
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def write(file: IO[bytes]) -> None:
        file._file = FullDisk()  # type: ignore[attr-defined]
        assert file.write(b"0123") == 4  # torch's archive writer must not see the error
        file.write(b"4567")

    with pytest.raises(InputError, match="lauf é/checkpoints: the disk is full"):
        folder.save(write, 2, 0.0)
    last = folder.last()
    assert last is not None and last.step == 1 and folder.is_whole(last)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot save a checkpoint in .*file/checkpoints"):
        CheckpointFolder(tmp_path / "file" / "checkpoints").prepare()
    if os.geteuid() != 0:
        (tmp_path / "lauf é").chmod(0o500)
        with pytest.raises(InputError, match="cannot be written"):
            CheckpointFolder(tmp_path / "lauf é" / "checkpoints").prepare()


def test_locating(folder: CheckpointFolder, tmp_path: Path) -> None:
    for step, metric in ((1, 0.9), (2, 0.5), (3, 0.2)):
        folder.save(content(str(step)), step, 0.0, metric=metric)
    for path in (folder.path, folder.path.parent, folder.path / "last.pt", folder.path / "step-00000003.pt"):
        assert [entry.step for entry in locate(path)[1]] == [3, 2, 1]
    assert [entry.step for entry in locate(folder.path / "best.pt")[1]] == [1]
    (tmp_path / "foreign.pt").write_text("x")
    assert [entry.file for entry in locate(tmp_path / "foreign.pt")[1]] == ["foreign.pt"]
    for missing in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(InputError, match="there is no checkpoint"):
            locate(missing)


@pytest.mark.parametrize("damage", ["", "{", json.dumps({"checkpoints": 3})])
def test_without_an_index_the_names_tell(folder: CheckpointFolder, damage: str) -> None:
    for step in (1, 2):
        folder.save(content(str(step)), step, 0.0)
    (folder.path / "index.json").write_text(damage)
    assert [entry.step for entry in locate(folder.path)[1]] == [2, 1]


@pytest.mark.parametrize("file", ["../../precious.pt", "/precious.pt", "..", "", 7])
def test_an_index_does_not_lead_out_of_its_folder(tmp_path: Path, file: object) -> None:
    folder = CheckpointFolder(tmp_path / "checkpoints")
    folder.prepare()
    folder.save(lambda out: out.write(b"one"), 5, 0.5)
    index = folder.path / "index.json"
    data = json.loads(index.read_text())
    data["checkpoints"].insert(0, {**data["checkpoints"][0], "file": file})
    index.write_text(json.dumps(data))
    assert [entry.file for entry in folder.entries()] == ["step-00000005.pt"]
