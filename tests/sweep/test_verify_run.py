"""Files that `runner verify --repair` writes again."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import runner
from runner.store.lock import hold
from runner.store.run_dir import PrimaryMetric, RunDir
from runner.sweep.sweep_dir import SweepDir
from runner.sweep.verify import verify

CONFIG = {"backend": "fake", "max_iters": 4, "parameters": {"lr": 0.1}, "metrics": {"seg/mIoU": "parameters.lr + 0.01 * noise"}}


def test_a_rebuilt_identity_stays_in_its_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fake.yml").write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "rates.yml").write_text("{config: fake.yml, vary: {parameters.lr: [0.2]}, seeds: [0, 1]}")
    assert runner.open_sweep("rates.yml").run(progress=False).done == 4
    sweep = SweepDir(tmp_path / "runs" / "rates")
    run = RunDir(sweep.runs / "0001-lr=0.2-s1")
    before = run.identity()
    assert before is not None and before.trial_keys and before.varied == ["parameters.lr"]
    run.identity_file.unlink()
    with hold(sweep.lock):
        assert [finding.repaired for finding in verify(sweep, repair=True)] == [True]
    after = run.identity()
    assert after is not None and (after.key, after.trial_keys, after.facts["data"]) == (before.key, before.trial_keys, before.facts["data"])
    assert after.varied == before.varied and after.metric == PrimaryMetric("seg/mIoU")
    assert [len(trial.counted) for trial in runner.compare("runs/rates").trials] == [2, 2]
