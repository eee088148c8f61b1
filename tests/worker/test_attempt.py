"""What an attempt notices about its own training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.store.run_dir import RunDir

Cli = Callable[..., Any]


@pytest.mark.parametrize(("loss", "warned"), [("1 + step / 1e6", True), ("exp(-step / steps)", False)])
def test_a_loss_that_does_not_move_is_warned_of(cli: Cli, tmp_path: Path, loss: str, warned: bool) -> None:
    (tmp_path / "fake.yml").write_text(f"backend: fake\nmax_iters: 40\nlog_iter: 2\nloss: {loss}\n", encoding="utf-8")
    result = cli("train", "-c", "fake.yml", "--run-dir", "run")
    result.fine()
    words = "hardly learned: loss 1 → 1"
    run = RunDir(tmp_path / "run")
    assert (words in run.log.read_text(encoding="utf-8")) == warned == (run.status().warning == words)
    assert (f"run: done, bbox/AP 0.475, {words}" in result.err) == warned, result.err
    for command in ("ls", "status"):
        assert ("hardly learned" in cli(command, "run").fine()) == warned
