"""The learning rates of the torch backend against those of the installed PaddleDetection's schedulers, over whole trainings."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.backends.torch import schedule
from runner.backends.torch.schema import CosineDecay, ExpWarmup, LearningRate, LinearWarmup, PiecewiseDecay
from runner.config.dump import canonical, to_plain

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
STEPS, PER_EPOCH = 60, 11
SCHEDULES = [
    (PiecewiseDecay(gamma=0.1, milestones=(2, 4)), ExpWarmup(steps=7)),
    (PiecewiseDecay(gamma=(0.5, 0.1), milestones=(2, 4)), ExpWarmup(steps=7, epochs=1, power=3)),
    (CosineDecay(max_epochs=5, min_lr_ratio=0.05, last_plateau_epochs=1), ExpWarmup(epochs=2)),
    (CosineDecay(max_epochs=5), ExpWarmup(steps=0)),
    (PiecewiseDecay(gamma=0.1, milestones=(2, 4)), LinearWarmup(steps=7, start_factor=0.25)),
    (CosineDecay(max_epochs=4, use_warmup=False), LinearWarmup(steps=7)),
]
OURS = ("milestone_iters", "max_iters", "epochs_first")
THERE = """
import json, sys
from runner.backends.paddle.ppdet import load_ppdet
load_ppdet()
from ppdet.optimizer.optimizer import LearningRate
per_epoch, steps, cases = json.load(sys.stdin)
found = []
for schedulers in cases:
    rate = LearningRate(base_lr=0.02, schedulers=schedulers)(per_epoch)
    found.append([])
    for _ in range(steps):
        found[-1].append(rate())
        rate.step()
print(json.dumps(found))
"""


def test_rates_are_paddledetections(paddle_python: Path) -> None:
    cases = [to_plain(canonical(LearningRate(schedulers=schedulers)))["schedulers"] for schedulers in SCHEDULES]
    plain = [[{key: value for key, value in one.items() if key not in OURS} for one in case] for case in cases]
    command = [str(paddle_python), "-c", THERE]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    question = json.dumps([PER_EPOCH, STEPS, plain])
    done = subprocess.run(command, input=question, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    there = json.loads(done.stdout.splitlines()[-1])
    assert len(there) == len(SCHEDULES)
    for schedulers, expected in zip(SCHEDULES, there, strict=True):
        config = _config(LearningRate(base_lr=0.02, schedulers=schedulers))
        here = [schedule.learning_rate(config, step, PER_EPOCH) for step in range(min(STEPS, _defined(schedulers)))]
        assert here == pytest.approx(expected[: len(here)], rel=1e-7, abs=1e-12), schedulers


def _defined(schedulers: tuple[object, ...]) -> int:
    """A cosine without a warm-up rises again after its length, where Paddle's recursion loses digits."""
    decay = schedulers[0]
    return (decay.max_epochs or 0) * PER_EPOCH if isinstance(decay, CosineDecay) and not decay.use_warmup else STEPS


def _config(learning_rate: LearningRate) -> Any:
    return SimpleNamespace(learning_rate=learning_rate, max_iters=None, epoch=6)
