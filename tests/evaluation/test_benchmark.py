"""The benchmark itself, on little data: it runs, compares and says what it found."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks import evaluation


def test_it_compares_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["evaluation", "--pairs", "2", "--images", "30", "--detections", "900"])
    for _ in range(2):  # the second time on the files the first left
        evaluation.main()
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("pair ") for line in lines) == 4
    assert "largest difference of the twelve numbers: 0.0e+00 (allowed 1e-09)" in lines
    assert lines[-1].startswith("times as fast as pycocotools")
    assert len(list(tmp_path.glob("*/predictions.json"))) == 1


def test_the_exit_code_tells(capsys: pytest.CaptureFixture[str]) -> None:
    fast = {"pycocotools": [50.0], "ours, summary": [1.0], "ours, full": [2.0]}
    assert evaluation.report(fast, worst=0.0) == 0
    assert evaluation.report(fast, worst=1e-8) == 1
    assert evaluation.report({**fast, "pycocotools": [39.0]}, worst=0.0) == 1
    assert "39.0" in capsys.readouterr().out
