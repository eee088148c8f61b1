from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import runner.advice.probe
from runner.advice.probe import ProbeFailed, _free_core_s, _run, _speed, probe
from runner.store.records import Record


def record(step: int, seconds: float, gib: float = 1.0, **options: object) -> Record:
    return Record(1, step, 0.0, 1000.0 + seconds, {"resource/memory_gib": gib}, **options)  # type: ignore[arg-type]


def test_costs_from_the_records() -> None:
    records = [
        Record(1, 0, 0.0, 1000.0, resumed=True),
        record(1, 10.0),
        record(2, 10.1),  # the first steps are not counted, whether they are slow or fast
        record(3, 20.0),
        record(4, 20.5),
        record(5, 25.0),  # while another process was busy
        record(6, 29.0),
        record(7, 29.5, 1.5),
        Record(1, 8, 0.0, 1032.0, {"bbox/AP": 0.0}, kind="evaluation"),
        record(8, 32.1),
    ]
    speed = _speed(records, 1000.0, 4)
    assert (speed.step_s, speed.eval_image_s, speed.start_s, speed.memory_gib) == (0.5, 0.5, 10.0, 1.5)


def test_a_config_that_cannot_be_trained_is_reported_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProbeFailed, match="max_itrs") as failed:
        probe("_BASE_: configs/fcos_small.yml\nuse_gpu: false\nmax_itrs: 3\n", 8)
    assert not failed.value.out_of_memory and failed.value.exit_code == 1


def test_other_processes_take_from_the_free_time_of_the_cores_and_own_ones_do_not() -> None:
    free, own = _free_core_s(), os.times()
    subprocess.run([sys.executable, "-c", "sum(range(5_000_000))"], check=True)
    worked = os.times().children_user - own.children_user
    assert worked > 0 and _free_core_s() - free >= worked - 0.05  # both are counted in hundredths of a second


def test_a_probe_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.advice.probe, "_TIMEOUT_S", 0.5)
    start = time.monotonic()
    with pytest.raises(ProbeFailed, match="less busy"):
        _run([sys.executable, "-c", "import time; time.sleep(60)"])
    assert time.monotonic() - start < 30
