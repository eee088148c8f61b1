"""Collecting: from directories alone, whole or not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.finished import START, make_run

from runner.core.errors import InputError
from runner.results.collect import collect, read_run
from runner.results.compare import read_problems
from runner.store.records import Record, RecordWriter
from runner.store.run_dir import Override, RunDir, Status


def test_a_done_run(tmp_path: Path) -> None:
    make_run(
        tmp_path / "sw",
        1,
        2,
        label="batch_size=16",
        overrides={"TrainReader.batch_size": 16},
        ap=0.42,
        batch_size=16,
        evaluations=[(100, 0.1), (200, 0.5)],
        seconds=90,
    )
    (run,) = collect([tmp_path])
    assert (run.id, run.sweep, run.trial, run.seed, run.label) == ("0001-batch_size=16-s2", "sw", 1, 2, "batch_size=16")
    assert (run.state, run.reason, run.problem, run.step, run.steps, run.attempts) == ("done", None, "", 300, 300, 1)
    assert dict(run.metrics) == {"bbox/AP": 0.42, "bbox/AP50": pytest.approx(0.72)}
    assert run.best("bbox/AP", "maximize") == (200, 0.5)
    assert run.best("bbox/AP", "minimize") == (100, 0.1)
    assert run.best("bbox/none", "maximize") is None
    assert run.latest("bbox/AP") == 0.42
    assert run.time_s == pytest.approx(90)
    assert run.images_per_s == 41.0 and run.memory_gib == pytest.approx(1.3) and run.gpu_memory_gib is None
    assert run.config["TrainReader.batch_size"] == 16
    assert run.config["LearningRate.schedulers.0.name"] == "CosineDecay"
    assert run.config["TrainReader.sample_transforms.1.Resize.target_size"] == [128, 128]


def test_a_run_that_is_not_done_has_no_final_metrics(tmp_path: Path) -> None:
    make_run(tmp_path, state="running", evaluations=[(100, 0.2)], step=120)
    (run,) = collect([tmp_path])
    assert dict(run.metrics) == {} and run.latest("bbox/AP") == 0.2 and (run.step, run.steps) == (120, 300)


def test_without_eval_json_the_last_evaluation_counts(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path, ap=0.3, evaluations=[(100, 0.9)])
    run_dir.evaluation.write_text('{"metrics": {"bbox/AP": 0.')
    assert read_run(run_dir).metrics["bbox/AP"] == 0.3


def test_numbers_that_are_none_are_set_apart(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path, metrics={"bbox/AP": float("nan"), "bbox/APs": float("inf")}))
    assert set(run.undefined) == {"bbox/AP", "bbox/APs"} and set(run.metrics) == {"bbox/AP50"}


def test_time_counts_what_counts_over_all_attempts(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path, state="pending")
    writer = RecordWriter(run_dir.metrics)
    writer.write(Record(1, 0, 0.0, START, resumed=True))
    for step in (10, 20, 30):
        writer.write(Record(1, step, 0.0, START + step, {"train/loss": 1.0}))
    writer.write(Record(2, 20, 0.0, START + 1000, resumed=True))  # step 30 was lost with the first attempt
    writer.write(Record(2, 30, 0.0, START + 1012, {"train/loss": 1.0}))
    writer.write(Record(2, 40, 0.0, START + 900, {"train/loss": 1.0}))  # the clock was set back
    writer.close()
    assert read_run(run_dir).time_s == pytest.approx(20)
    run_dir.metrics.write_bytes(run_dir.metrics.read_bytes().replace(str(START + 900).encode(), str(START + 1022).encode()))
    assert read_run(run_dir).time_s == pytest.approx(20 + 22)


def test_an_override_is_the_state(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path, state="running", step=120)
    run_dir.write_override(Override("failed", "killed by SIGKILL", 1, START))
    run = read_run(run_dir)
    assert (run.state, run.reason) == ("failed", "killed by SIGKILL")


@pytest.mark.parametrize("name", ["config.yml", "run.json", "status.json", "eval.json", "metrics.jsonl"])
def test_any_file_may_be_missing_or_cut(tmp_path: Path, name: str) -> None:
    run_dir = make_run(tmp_path, evaluations=[(100, 0.2)])
    file = run_dir.path / name
    whole = file.read_bytes()
    for cut in range(0, len(whole), max(1, len(whole) // 40)):
        file.write_bytes(whole[:cut])
        read_run(run_dir)
    file.unlink()
    run = read_run(run_dir)
    assert bool(run.problem) == (name in ("config.yml", "run.json", "eval.json"))


def test_a_run_that_is_done_without_its_result_is_told(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "sw")
    run_dir.evaluation.unlink()
    (run,) = collect([tmp_path])
    assert (run.problem, run.metrics["bbox/AP"]) == ("eval.json is missing", 0.4)  # that of the last evaluation's record
    warnings = [note.text for note in read_problems([run])]
    assert warnings[0] == f"{run_dir.path}: eval.json is missing"
    assert warnings[1].startswith(f"`runner verify {tmp_path / 'sw'}` says what of this can be repaired")
    assert not read_run(make_run(tmp_path / "other", state="running")).problem


@pytest.mark.parametrize("name", ["run.json", "status.json", "eval.json"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    run_dir = make_run(tmp_path)
    for content in ('{"a": 1', "", "[1]"):
        (run_dir.path / name).write_text(content)
        assert read_run(run_dir).problem == f"{name} is damaged"


def test_a_config_with_code_is_not_run(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path)
    run_dir.config.write_text(f"a: !!python/object/apply:os.mkdir ['{tmp_path}/hacked']")
    assert "is not allowed" in read_run(run_dir).problem and not (tmp_path / "hacked").exists()


def test_labels_outside_a_sweep(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path, name="my first run", overrides={"TrainReader.batch_size": 4, "seed": 1})
    identity = json.loads(run_dir.identity_file.read_text())
    run_dir.identity_file.write_text(json.dumps({**identity, "sweep": None}))
    assert read_run(run_dir).label == "batch_size=4"
    run_dir.identity_file.write_text(json.dumps({**identity, "sweep": None, "overrides": {}}))
    assert read_run(run_dir).label == "my first run"


def test_order_and_hostile_names(tmp_path: Path) -> None:
    for name in ("b run", "a'\"日本", "c"):
        make_run(tmp_path / "sweep with space", name=name)
    assert [run.path.name for run in collect([tmp_path, tmp_path / "sweep with space"])] == ["a'\"日本", "b run", "c"]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run in"):
        collect([tmp_path])
    with pytest.raises(InputError, match="no such directory"):
        collect([tmp_path / "missing"])


def test_an_empty_run_directory_is_pending(tmp_path: Path) -> None:
    run = read_run(RunDir(tmp_path / "nothing"))
    assert run.state == "pending" and run.trial == -1 and run.time_s is None and Status().state == "pending"


def labelled(folder: Path, overrides: dict[str, Any], keys: list[str] | None, *, label: str = "", sweep: str | None = "sw") -> RunDir:
    run = make_run(folder, len(list(folder.rglob("run.json"))), overrides=overrides)
    identity = run.identity()
    assert identity is not None
    facts = {"config_file": "configs/mine.yml"}
    run.write_identity(replace(identity, sweep=sweep, overrides=overrides, label=label, trial_keys=keys, facts=facts))
    return run


def test_a_label_names_only_keys_that_identify_a_trial(tmp_path: Path) -> None:
    keys = ["LearningRate", "max_iters", "TrainReader.sample_transforms"]
    size = {"TrainReader.sample_transforms.1.Resize.target_size": [64, 64]}
    labelled(tmp_path / "a", {"save_dir": "x", "LearningRate.base_lr": 0.1}, keys, label="save_dir=x, rate=0.1")
    labelled(tmp_path / "b", {"LearningRate.base_lr": 0.1, "save_dir": "a, b"}, keys, label="base_lr=0.1, save_dir=a, b")
    labelled(tmp_path / "c", {"save_dir": "x", **size, "seed": 3}, keys, sweep=None)
    labelled(tmp_path / "d", {"save_dir": "x"}, keys, sweep=None)
    labelled(tmp_path / "e", {"dataset": "boards", "save_dir": "x", "OldName.width": 3}, keys, sweep=None)
    found = [run.label for run in collect([tmp_path])]
    assert found == ["rate=0.1", "base_lr=0.1", "target_size=[64, 64]", "mine", "dataset=boards, width=3"]


def test_a_key_that_identifies_one_trial_is_named_in_all(tmp_path: Path) -> None:
    labelled(tmp_path / "a", {"max_iters": 600}, ["max_iters"], label="schedule=600")
    labelled(tmp_path / "b", {"max_iters": 300}, ["LearningRate"], label="max_iters=300")  # at the default of a key that was added later
    assert [run.label for run in collect([tmp_path])] == ["schedule=600", "max_iters=300"]
