"""The set of trackers: what it tells them, whom it drops, where their folders are."""

import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.run_dirs import make_run_dir, png_bytes, sample

from runner.core.errors import InputError
from runner.store.media import MediaWriter
from runner.store.records import Record
from runner.store.run_dir import RunDir
from runner.trackers import base
from runner.trackers.base import (
    Scalar,
    Target,
    TrackedImage,
    TrackedRun,
    TrackerSet,
    as_scalar,
    final_metrics,
    history_of,
    shared_folder,
)


class Spy:
    """A tracker that fails in the method named by `fail`."""

    fail = ""
    packages = ()
    requirement = "nothing"
    automatic = False
    viewer = None
    switch_key = None
    folder_key = None

    def __init__(self) -> None:
        self.calls: list[str] = []

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if name == Spy.fail:
            raise OSError(28, "No space left on device")

    def open(self, target: Target, history: TrackedRun) -> None:
        self._note("open")

    def write(self, record: Record) -> None:
        self._note("write")

    def image(self, tag: str, step: int, png: Path) -> None:
        self._note("image")

    def hparams(self, params: Mapping[str, Scalar], metrics: Mapping[str, float]) -> None:
        self._note("hparams")

    def close(self) -> None:
        self._note("close")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return make_run_dir(tmp_path / "my sweep" / "runs" / "0000-basé 'line'-s1")


@pytest.mark.parametrize("fail", ["open", "write", "image", "hparams", "close"])
def test_a_failing_tracker_warns_once_and_the_others_go_on(
    run: RunDir, fail: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Spy, "fail", fail)
    monkeypatch.setitem(base.TRACKERS._builtin, "spy", f"{__name__}:Spy")
    with caplog.at_level(logging.WARNING):
        trackers = TrackerSet(["spy", "visualdl"], run)
        for step in (210, 220, 230):
            trackers.write(Record(2, step, step / 100, 1.0, {"train/loss": 0.1}))
            trackers.image("samples/0", step, sample(run, 200, 0))
        trackers.hparams({"seed": 1}, {"bbox/AP": 0.5})
        assert trackers.active == ["visualdl"] if fail != "close" else ["spy", "visualdl"]
        trackers.close()
        trackers.close()
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "spy" in warnings[0] and "No space left" in warnings[0]


def test_a_viewer_that_is_not_installed_warns_and_names_the_extra(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("runner.trackers.visualdl.importlib.util.find_spec", lambda name: None)
    with TrackerSet(["visualdl"], run) as trackers:
        assert trackers.active == []
    assert "pip install '.[visualdl]' in a checkout of runner" in caplog.text


def test_a_folder_that_cannot_be_written_warns(run: RunDir, caplog: pytest.LogCaptureFixture) -> None:
    run.tracker("tensorboard").write_text("a file stands where the folder should be")
    with TrackerSet(["tensorboard", "visualdl"], run) as trackers:
        assert trackers.active == ["visualdl"]
    assert caplog.text.count("tracker tensorboard failed") == 1


def test_an_unknown_name_is_the_users_error(run: RunDir) -> None:
    with pytest.raises(InputError, match="did you mean 'tensorboard'"):
        TrackerSet(["tensorbord"], run)


def test_no_tracker_is_fine(tmp_path: Path) -> None:
    with TrackerSet([], RunDir(tmp_path / "nowhere")) as trackers:
        trackers.write(Record(1, 1, 0.1, 1.0, {"train/loss": 1.0}))


def test_history_leaves_out_what_does_not_count(run: RunDir) -> None:
    media = MediaWriter(run.path)
    media.add("image", "samples/0", png_bytes(8, 8, 1), suffix=".png", step=250)  # beyond the last record: superseded
    media.add("text", "notes", b"nothing to see", suffix=".txt", step=200)
    media.close()
    history = history_of(run)
    steps = [record.step for record in history.records if "train/loss" in record.values]
    assert steps == list(range(10, 201, 10))
    assert [(sample.step, sample.tag) for sample in history.samples] == [
        (step, f"samples/{number}") for step in (50, 100, 150, 200) for number in (0, 1)
    ]


def test_events_put_a_sample_behind_the_records_of_its_step() -> None:
    records = [Record(1, step, 0.0, 0.0, {}) for step in (1, 2, 2, 3)]
    samples = [TrackedImage("s", step, Path("x")) for step in (0, 2, 3, 9)]
    events = TrackedRun("n", records, samples).events()
    order = [("r" if isinstance(event, Record) else "s") + str(event.step) for event in events]
    assert order == ["s0", "r1", "r2", "r2", "s2", "r3", "s3", "s9"]


def test_two_runs_of_one_name_share_a_log_folder_without_mixing(tmp_path: Path) -> None:
    parent = tmp_path / "vdl dir" / "scalar"
    runs = [make_run_dir(tmp_path / sweep / "runs" / "0000-s1", seed=seed) for seed, sweep in enumerate(("a", "b"))]
    (parent / "0000-s1").parent.mkdir(parents=True)
    (parent / "vdlrecords.1700000000.log").write_bytes(b"another program's")
    for _attempt in range(2):
        for run in runs:
            with TrackerSet(["visualdl"], run, {"visualdl": parent}) as trackers:
                assert trackers.active == ["visualdl"]
    folders = sorted(path.name for path in parent.iterdir() if path.is_dir())
    assert len(folders) == 2
    assert folders[0] == "0000-s1" and folders[1].startswith("0000-s1-")
    assert [len(list((parent / folder).iterdir())) for folder in folders] == [1, 1]
    assert (parent / "vdlrecords.1700000000.log").read_bytes() == b"another program's"
    assert shared_folder(parent, runs[0])[0].name == "0000-s1"
    assert not run.tracker("visualdl").exists()


def test_final_metrics_are_those_of_the_whole_evaluation(run: RunDir) -> None:
    metrics = final_metrics(run.records())
    assert set(metrics) == {"bbox/AP", "bbox/AP50"}
    assert metrics["bbox/AP"] == [r.values["bbox/AP"] for r in run.records() if "bbox/AP" in r.values][-1]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, True), (3, 3), (0.5, 0.5), ("a", "a"), (None, "null"), ([1, "é"], '[1, "é"]'), (float("nan"), "nan")],
)
def test_as_scalar(value: object, shown: Scalar) -> None:
    assert as_scalar(value) == shown


def test_importing_the_trackers_loads_no_viewer() -> None:
    code = (
        "import sys, runner.trackers.tensorboard, runner.trackers.visualdl, runner.views.viewers.processes as v; "
        "print(sorted({'tensorboard', 'visualdl', 'torch', 'cv2', 'numpy', 'google.protobuf'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
