"""A comparison as a pandas table."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
from support.finished import make_run

import runner


@pytest.fixture
def comparison(tmp_path: Path) -> Any:
    for seed, ap in ((0, 0.4), (1, 0.42)):
        make_run(tmp_path / "sw", 0, seed, ap=ap)
        make_run(tmp_path / "sw", 1, seed, ap=ap + 0.1, base_lr=0.1, overrides={"LearningRate.base_lr": 0.1}, label="base_lr=0.1")
    return runner.compare(tmp_path / "sw")


def test_a_row_per_trial(comparison: Any) -> None:
    pytest.importorskip("pandas")
    frame = comparison.to_pandas()
    assert list(frame["label"]) == ["baseline", "base_lr=0.1"] and list(frame["is_baseline"]) == [True, False]
    assert list(frame["seeds"]) == [2, 2] and frame["LearningRate.base_lr"][1] == 0.1
    assert list(frame["bbox/AP"].round(6)) == [0.41, 0.51] and frame["bbox/AP_std"].notna().all()
    assert (
        frame["delta"].round(6)[1] == 0.1
        and frame["low"][1] < 0.1 < frame["high"][1]
        and frame["verdict"][1] == comparison.trials[1].verdict
    )
    assert frame["delta"].round(6)[1] == 0.1 and frame["delta"].isna()[0]
    assert frame["low"][1] < 0.1 < frame["high"][1] and frame["verdict"][1] == comparison.trials[1].verdict


def test_without_pandas_the_error_says_so(comparison: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(runner.RunnerError, match="pip install pandas"):
        comparison.to_pandas()
