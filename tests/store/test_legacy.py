"""Files of older versions as today's readers see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.backends.fake.schema import FakeConfig
from runner.backends.paddle.schema import PaddleConfig
from runner.backends.torch.schema import TorchConfig
from runner.config.bind import field_infos
from runner.store.legacy import (
    ADDED_LATER,
    NEUTRAL_KEYS,
    VERDICT,
    override_file,
    trial_keys,
    upgrade_constraint,
    upgrade_plan,
    upgrade_values,
)
from runner.store.records import Record, evaluations_in
from runner.store.run_dir import Override, RunDir


def old_line(step: int, **values: float) -> bytes:
    return json.dumps({"attempt": 1, "step": step, "epoch": 0.5, "time": 1000.0, "values": values}).encode()


def test_a_record_without_a_kind_is_an_evaluation_by_its_tags() -> None:
    lines = [old_line(1, **{"train/loss": 0.5}), old_line(2, **{"bbox/AP": 0.25, "bbox/AP50": 0.5}), b'{"bbox/', old_line(3, bbox=1.0)]
    assert [record and record.kind for record in map(Record.from_line, lines)] == ["train", "evaluation", None, "train"]
    assert [record.step for record in evaluations_in(lines)] == [2]


@pytest.mark.parametrize("backend", [TorchConfig, PaddleConfig, FakeConfig])
def test_keys_that_did_not_identify_a_trial_are_those_the_backends_declare(backend: type[Any]) -> None:
    infos = field_infos(backend)
    name = next(info.default for info in infos if info.key == "backend")
    then = {name for info in infos if info.neutral for name in (info.key, *((info.formerly.name,) if info.formerly else ()))}
    assert then == NEUTRAL_KEYS[name]
    assert {info.key: info.default for info in infos if info.added_later}.items() <= ADDED_LATER.items()


def test_trial_keys_of_an_old_run() -> None:
    config = {
        "backend": "paddle",
        "find_unused_parameters": False,
        "initial_distance": 0,
        "log_iter": 20,
        "seed": 3,
        "TrainDataset.anno_path": "a.json",
        "TrainDataset.data_fields": [],
        "TrainDataset.sample_num": -1,
        "EvalDataset.anno_path": "b.json",
        "TestReader.batch_size": 1,
    }
    paddle = {"backend", "find_unused_parameters", "TrainDataset.data_fields", "TrainDataset.sample_num", "EvalDataset.anno_path"}
    assert set(trial_keys(config, {"TrainDataset"})) == paddle | {"TestReader.batch_size"}
    torch = {**config, "backend": "torch", "initial_distance": 1}
    assert set(trial_keys(torch, ())) == {
        *("backend", "initial_distance", "TrainDataset.anno_path", "TrainDataset.sample_num", "EvalDataset.anno_path")
    }
    assert trial_keys({"backend": ["x"], "step_s": 1, "log_iter": 2}, ()) == ["backend", "step_s"]


def test_old_memory_tags_are_in_gib() -> None:
    values = {"train/loss": 0.5, "resource/memory_gb": 1.073741824, "resource/gpu_memory_gb": 2.147483648}
    assert upgrade_values(values) == {"train/loss": 0.5, "resource/memory_gib": 1.0, "resource/gpu_memory_gib": 2.0}
    assert upgrade_values({"resource/memory_gb": "NaN"}) == {"resource/memory_gib": "NaN"}


def test_records_and_status_of_an_old_run(tmp_path: Path) -> None:
    run, values = RunDir(tmp_path), {"resource/memory_gb": 1.073741824}
    run.metrics.write_text(json.dumps({"attempt": 1, "step": 5, "epoch": 1, "time": 1, "values": values}) + "\n")
    run.status_file.write_text(json.dumps({"state": "running", "attempt": 1, "values": values}))
    (record,) = run.records()
    assert record.values == {"resource/memory_gib": 1.0} == run.status().values


def test_an_old_override_is_read_until_there_is_a_new_one(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert run.override() is None and override_file(run.override_file) == run.override_file
    (tmp_path / VERDICT).write_text('{"state": "failed", "reason": "killed", "attempt": 1, "time": 5.0}')
    assert run.override() == Override("failed", "killed", 1, 5.0) and run.status().state == "failed"
    run.write_override(Override("interrupted", "killed again", 2, 6.0))
    assert run.override() == Override("interrupted", "killed again", 2, 6.0) and override_file(run.override_file) == run.override_file


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_damaged_old_override_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / VERDICT).write_text(text)
    run = RunDir(tmp_path)
    assert run.override() is None and run.damaged() == [tmp_path / VERDICT]


def test_a_plan_is_in_todays_words() -> None:
    spec = {"couple": {"b": "base * a"}, "join_best": True, "confirm": 2, "resources": {"memory_gb": 2, "cpus": 1}, "seeds": [0]}
    command = [
        "sweep",
        "s.yml",
        "--set",
        "join_best=true",
        "--set=resources.memory_gb=3",
        "--set",
        "couple.b=a",
        "-o",
        "confirm=1",
        "--set",
        "seeds=[1]",
    ]
    upgraded = upgrade_plan({"spec": {**spec, "metric": [{"name": "resource/memory_gb"}]}, "command": command, "runs": []})
    assert upgraded["spec"] == {
        "derive": {"b": "base * a"},
        "combine_best": True,
        "confirm_seeds": 2,
        "resources": {"memory_gib": 2, "cpus": 1},
        "seeds": [0],
        "metric": [{"name": "resource/memory_gib"}],
    }
    options = ["--set", "combine_best=true", "--set=resources.memory_gib=3", "--set", "derive.b=a", "-o", "confirm=1", "--set", "seeds=[1]"]
    assert upgraded["command"] == ["sweep", "s.yml", *options]
    assert upgrade_plan(upgraded) == upgraded and upgrade_plan({"spec": 3, "command": None}) == {"spec": 3, "command": None}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("resource/memory_gb <= 8", "(resource/memory_gib * 1.073741824) <= 8"),
        ("1 > `resource/gpu_memory_gb`", "1 > (resource/gpu_memory_gib * 1.073741824)"),
        ("x/resource/memory_gb < 1", "x/resource/memory_gb < 1"),
        ("resource/memory_gb.x < 1", "resource/memory_gb.x < 1"),
        ("resource/memory_gib < 1", "resource/memory_gib < 1"),
    ],
)
def test_a_limit_in_the_former_unit_keeps_its_meaning(old: str, new: str) -> None:
    assert upgrade_constraint(old) == new
