"""Names and folders that a viewer is started on."""

from pathlib import Path

import pytest
from support.run_dirs import make_run_dir

from runner.store.run_dir import RunDir
from runner.trackers.base import TrackerSet
from runner.trackers.logfile import find_log
from runner.trackers.visualdl import VisualDLViewer
from runner.views.viewers.layout import build_layout, display_names, varied_keys


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/runs/0-x", "a/runs/1-y"], ["0-x", "1-y"]),
        (["a/runs/0-x", "b/runs/0-x", "b/runs/1"], ["0-x (a)", "0-x (b)", "1"]),
        (["x/a/runs/0", "y/a/runs/0"], ["0 (x)", "0 (y)"]),
        (['s/a"b\\c\n.', "s/é, =%41'"], ["a”b⧵c�", "é, =%41'"]),
        (["s/0 (a)", "a/0", "b/0"], ["0 (a)", "0 (a) #2", "0 (b)"]),
    ],
)
def test_names_are_short_and_unique(tmp_path: Path, paths: list[str], names: list[str]) -> None:
    assert display_names([RunDir(tmp_path / path) for path in paths]) == names


def test_long_names_fit_a_file_system(tmp_path: Path) -> None:
    runs = [RunDir(tmp_path / folder / ("缺" * 85)) for folder in ("a", "b")]
    names = display_names(runs)
    assert len(set(names)) == 2
    assert all(len(name.encode()) <= 250 for name in names)


def test_a_log_is_linked_or_rebuilt(tmp_path: Path) -> None:
    logged, off, torn = (make_run_dir(tmp_path / "s" / name) for name in ("logged", "off", "torn"))
    for run in (logged, torn):
        TrackerSet(["visualdl"], run).close()
    log = find_log(torn.tracker("visualdl"), "vdlrecords")
    assert log is not None
    log.write_bytes(log.read_bytes()[:-3])
    folder = tmp_path / "view"
    folder.mkdir()
    assert build_layout("visualdl", VisualDLViewer(), [logged, off, torn], folder) == ["logged", "off", "torn"]
    assert (folder / "logged").resolve() == logged.tracker("visualdl").resolve()
    assert [(folder / name).is_symlink() for name in ("logged", "off", "torn")] == [True, False, False]
    assert not off.tracker("visualdl").exists()


def test_the_columns_are_what_any_of_the_runs_varies(tmp_path: Path) -> None:
    runs = [make_run_dir(tmp_path / "a", overrides={"max_iters": 800, "seed": 3}), make_run_dir(tmp_path / "b", overrides={"A.b": 1})]
    assert varied_keys(runs) == ["A.b", "max_iters"]
