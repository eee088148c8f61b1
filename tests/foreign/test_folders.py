"""Search for folders with logs, and the names of their runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.logs import write_tensorboard, write_visualdl

from runner.core.errors import InputError
from runner.foreign import folders
from runner.foreign.folders import find_log_folders

LOG = "events.out.tfevents.1700000000.host.1.0"


def log(folder: Path) -> Path:
    return write_tensorboard(folder / LOG, [("a", 1, 0, 1.0)])


def test_a_folder_and_those_below_it(tmp_path: Path) -> None:
    log(tmp_path / "logs")
    log(tmp_path / "logs" / "scalar3558_batchsize*2")
    log(tmp_path / "logs" / "a" / "b")
    write_visualdl(tmp_path / "logs" / "s10" / "vdlrecords.1.log", [("a", 1, 0, 1.0)])
    write_visualdl(tmp_path / "logs" / "s2" / "vdlrecords.1.log", [("a", 1, 0, 1.0)])
    (tmp_path / "logs" / "empty").mkdir()
    found = {each.label: (each.name, each.origin) for each in find_log_folders([tmp_path / "logs"])}
    assert found == {
        "logs": ("logs", "logs"),
        "s2": ("s2", "logs/s2"),
        "s10": ("s10", "logs/s10"),
        "scalar3558_batchsize*2": ("scalar3558_batchsize_2", "logs/scalar3558_batchsize*2"),
        "a/b": ("a_b", "logs/a/b"),
    }


def test_links_are_not_followed(tmp_path: Path) -> None:
    log(tmp_path / "elsewhere" / "x")
    log(tmp_path / "logs" / "y")
    (tmp_path / "logs" / "x").symlink_to(tmp_path / "elsewhere" / "x")
    (tmp_path / "logs" / "up").symlink_to(tmp_path)
    assert [each.label for each in find_log_folders([tmp_path / "logs"])] == ["y"]


def test_runs_of_ours_are_left_out(tmp_path: Path) -> None:
    log(tmp_path / "runs" / "r" / "tensorboard")
    (tmp_path / "runs" / "r" / "run.json").touch()
    log(tmp_path / "runs" / "theirs")
    assert [each.label for each in find_log_folders([tmp_path / "runs"])] == ["theirs"]
    with pytest.raises(InputError, match="is a run of this program already"):
        find_log_folders([tmp_path / "runs" / "r"])


def test_a_folder_given_twice_is_one(tmp_path: Path) -> None:
    log(tmp_path / "logs" / "x")
    assert len(find_log_folders([tmp_path / "logs", tmp_path / "logs" / "x", tmp_path / "logs"])) == 1


def test_runs_of_one_name_are_all_told(tmp_path: Path) -> None:
    for name in ("a/b", "a*b", "A_b"):
        log(tmp_path / "logs" / name)
    with pytest.raises(InputError, match="would all be named") as caught:
        find_log_folders([tmp_path / "logs"])
    assert all(name in str(caught.value) for name in ("a/b", "a*b", "A_b"))


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    log(tmp_path / "logs")
    with pytest.raises(InputError) as caught:
        find_log_folders([tmp_path / "empty", tmp_path / "missing", tmp_path / "logs" / LOG])
    assert [problem.message.split(";")[0] for problem in caught.value.problems] == ["no logs there or below", "no such folder", "is a file"]


def test_a_folder_that_cannot_be_searched_whole_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_MOST_ENTRIES", 3)
    for number in range(4):
        log(tmp_path / "logs" / str(number))
    with pytest.raises(InputError, match="has more than 3 files and folders"):
        find_log_folders([tmp_path / "logs"])


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("实验一", "实验一"),
        ("我的 <b>x", "我的_b_x"),
        ("Größe=8, नमूना", "Größe=8,नमूना"),
        ("e\u0301", "é"),
        ("a\nb", "a_b"),
        ("-x", "x"),
        ("'; rm -rf", "rm_-rf"),
        ("a\u202e\u200b/😀b", "a_b"),
        ("😀", "f0443a"),
    ],
)
def test_the_name_of_a_run_keeps_letters_of_any_script(tmp_path: Path, name: str, safe: str) -> None:
    log(tmp_path / "logs" / name)
    (found,) = find_log_folders([tmp_path / "logs"])
    assert found.name == safe


def test_bytes_that_are_no_text_and_long_names_get_a_name_too(tmp_path: Path) -> None:
    log(tmp_path / "logs" / os.fsdecode(b"\xff\xfe"))
    for end in "ab":
        log(tmp_path / "logs" / ("实" * 80 + end))
    odd, first, second = sorted(find_log_folders([tmp_path / "logs"]), key=lambda found: len(found.name))
    assert odd.name.isalnum() and odd.name.isascii()
    odd.label.encode()
    for found in (first, second):
        assert len(found.name.encode()) <= 100 and found.name.startswith("实" * 30 + "实-")
    assert first.name != second.name
