"""The fake backend passes the contract."""

from __future__ import annotations

from pathlib import Path

import yaml

from runner.testing.backends import BackendContract


class TestFake(BackendContract):
    backend = "fake"
    framework = ("torch", "paddle", "numpy")

    @classmethod
    def write_config(cls, folder: Path) -> Path:
        keys = {"backend": "fake", "max_iters": 8, "snapshot_iter": 2, "eval_at_snapshot": True, "log_iter": 1, "step_s": 0.1, "seed": 3}
        (folder / "fake.yml").write_text(yaml.safe_dump({**keys, "metrics": {"bbox/AP": "0.5 + 0.01 * noise + step / 100"}}))
        return folder / "fake.yml"
