"""What the trackers write, read back with the viewers' own readers and compared with metrics.jsonl."""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.run_dirs import START_TIME, make_run_dir, sample

from runner.store.records import Record, RecordWriter
from runner.store.run_dir import RunDir
from runner.trackers import visualdl as visualdl_tracker
from runner.trackers.base import TrackerSet, final_metrics, rebuild_log
from runner.trackers.hparams import hyper_parameters
from runner.trackers.logfile import find_log

Points = dict[str, list[tuple[int, float, float]]]
"""Tag to (step, seconds since 1970, value)."""


def read_tensorboard(folder: Path) -> Points:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415 - 0.5 s

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(e.step, e.wall_time, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def read_visualdl(folder: Path) -> Points:
    from visualdl import LogReader  # noqa: PLC0415 - 0.6 s

    log = find_log(folder, visualdl_tracker.STEM)
    assert log is not None and visualdl_tracker.is_whole(log)
    reader = LogReader(file_path=str(log))
    tags = reader.get_tags().get("scalar", [])
    return {tag: [(i.id, i.timestamp / 1000, i.value) for i in reader.get_data("scalar", tag)] for tag in tags}


READERS: dict[str, Callable[[Path], Points]] = {"tensorboard": read_tensorboard, "visualdl": read_visualdl}
both = pytest.mark.parametrize("kind", sorted(READERS))


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return make_run_dir(tmp_path / "my sweep" / "0001-lr=0.02, 'é' [缺陷] #1", classes=("short", '50% "open"/缺陷'))


def expected(run: RunDir, kind: str) -> Points:
    points: Points = {}
    for record in run.records():
        for tag, value in record.values.items():
            shown = tag.replace("%", "％") if kind == "visualdl" else tag
            points.setdefault(shown, []).append((record.step, record.time, value))
    return points


def assert_same(found: Points, wanted: Points) -> None:
    assert set(found) == set(wanted)
    for tag, points in wanted.items():
        assert [step for step, _, _ in found[tag]] == [step for step, _, _ in points], tag
        for (_, time, value), (_, wanted_time, wanted_value) in zip(found[tag], points, strict=True):
            assert time == pytest.approx(wanted_time, abs=0.001)
            assert value == pytest.approx(wanted_value, rel=1e-6, nan_ok=True)


@both
def test_every_tag_of_every_record_is_there_once(run: RunDir, kind: str) -> None:
    TrackerSet([kind], run).close()
    assert_same(READERS[kind](run.tracker(kind)), expected(run, kind))


@both
def test_written_live_or_rebuilt_the_log_is_the_same(run: RunDir, tmp_path: Path, kind: str) -> None:
    """A live viewer goes on reading the same file after an attempt that ended in good order."""
    live = make_run_dir(tmp_path / "live", resumed_at=None, steps=0)
    with TrackerSet([kind], live) as trackers:
        writer = RecordWriter(live.metrics)
        for record in run.records():
            writer.write(record)
            trackers.write(record)
        writer.close()
    log = next(live.tracker(kind).iterdir())
    content = log.read_bytes()
    TrackerSet([kind], live).close()
    assert list(live.tracker(kind).iterdir()) == [log]
    assert log.read_bytes() == content


@both
def test_after_a_resume_no_step_stands_twice(tmp_path: Path, kind: str) -> None:
    run = make_run_dir(tmp_path / "r", resumed_at=None, steps=140)
    TrackerSet([kind], run).close()
    first = next(run.tracker(kind).iterdir())
    writer = RecordWriter(run.metrics)
    writer.write(Record(2, 100, 1.0, START_TIME + 900, resumed=True))
    with TrackerSet([kind], run) as trackers:
        for step in range(110, 201, 10):
            record = Record(2, step, step / 100, START_TIME + 1000 + step, {"train/loss": -float(step)})
            writer.write(record)
            trackers.write(record)
    writer.close()
    assert not first.exists() or first.stat().st_size == 0
    found = READERS[kind](run.tracker(kind))
    assert_same(found, expected(run, kind))
    assert [step for step, _, _ in found["train/loss"]] == list(range(10, 201, 10))


@both
def test_numbers_that_are_none_are_kept(tmp_path: Path, kind: str) -> None:
    run = make_run_dir(tmp_path / "r", resumed_at=None, steps=20)
    values = {"train/loss": math.nan, "a": math.inf, "b": -math.inf, "c": 1e300}
    with TrackerSet([kind], run) as trackers:
        trackers.write(Record(1, 30, 0.3, START_TIME, values))
        trackers.hparams({"lr": math.nan, "big": 1 << 80, "flag": True, "none": None}, {"bbox/AP": math.nan})
        assert trackers.active == [kind]
    found = READERS[kind](run.tracker(kind))
    assert math.isnan(found["train/loss"][-1][2])
    assert [found[tag][-1][2] for tag in "ab"] == [math.inf, -math.inf]
    assert math.isnan(found["final/bbox/AP"][-1][2])


@both
def test_a_metric_is_repeated_only_where_its_last_scalar_is_not_the_final_value(run: RunDir, kind: str) -> None:
    metrics = final_metrics(run.records())
    with TrackerSet([kind], run) as trackers:
        trackers.hparams(hyper_parameters(run), {**metrics, "bbox/best": 0.75, "bbox/AP": 0.25})
    found = READERS[kind](run.tracker(kind))
    assert {tag: points[0][2] for tag, points in found.items() if tag.startswith("final/")} == {
        "final/bbox/best": 0.75,
        "final/bbox/AP": 0.25,
    }
    assert found["final/bbox/best"][0][0] == 200


def test_visualdl_hparams_have_names_its_table_can_show(run: RunDir) -> None:
    from visualdl import LogReader  # noqa: PLC0415

    with TrackerSet(["visualdl"], run) as trackers:
        trackers.hparams({"seed": 1}, {})  # known at the start; must not take the place of the one with metrics
        metrics = {"bbox/AP@0.33": 0.9, **final_metrics(run.records())}
        trackers.hparams({"LearningRate.schedulers[0].gamma": 0.5}, metrics)
    log = find_log(run.tracker("visualdl"), "vdlrecords")
    records = LogReader(file_path=str(log)).get_data("hyper_parameters", "hparam")
    assert len(records) == 1
    assert [(info.name, info.float_value) for info in records[0].hparam.hparamInfos] == [("LearningRate·schedulers(0)·gamma", 0.5)]
    assert [info.name for info in records[0].hparam.metricInfos] == ["final/bbox/AP@0·33", "bbox/AP", "bbox/AP50"]


@both
def test_kill_while_writing_then_rebuild(tmp_path: Path, kind: str) -> None:
    run = make_run_dir(tmp_path / "a 'b' 日本", resumed_at=None, steps=50)
    code = f"""
import itertools
from pathlib import Path
from runner.store.records import Record, RecordWriter
from runner.store.run_dir import RunDir
from runner.trackers.base import TrackerSet
run = RunDir(Path({str(run.path)!r}))
writer = RecordWriter(run.metrics)
trackers = TrackerSet([{kind!r}], run)
for step in itertools.count(60):
    record = Record(1, step, step / 100, 1_780_000_000.0 + step, {{"train/loss": 1 / step, "train/lr": 0.1}})
    writer.write(record)
    trackers.write(record)
    trackers.image("samples/0", step, run.path / {sample(run, 50, 0).relative_to(run.path).as_posix()!r})
    if step == 70:
        print("ready", flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    process.wait()
    process.stdout.close()
    log = next(run.tracker(kind).iterdir())
    with open(log, "ab") as file:  # as if the machine had lost power half-way through a message
        file.write(b"\x50\0\0\0\0\0\0\0half")
    with TrackerSet([kind], run) as trackers:
        assert trackers.active == [kind]
    assert len([path for path in run.tracker(kind).iterdir() if path.stat().st_size]) == 1
    assert_same(READERS[kind](run.tracker(kind)), expected(run, kind))


@both
def test_a_run_without_the_tracker_is_rebuilt_elsewhere(run: RunDir, tmp_path: Path, kind: str) -> None:
    rebuild_log(kind, run, tmp_path / "view")
    found = READERS[kind](tmp_path / "view")
    assert_same({tag: points for tag, points in found.items() if not tag.startswith("final/")}, expected(run, kind))
    assert not run.tracker(kind).exists()
