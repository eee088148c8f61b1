"""The list of PaddleDetection's names against the module registry."""

from __future__ import annotations

from pathlib import Path

from runner.backends.paddle.config_rules import OTHER_TASKS
from runner.backends.paddle.module_registry import module_registry
from runner.backends.paddle.ppdet_names import NAMES


def test_every_name_is_known_to_ppdet(paddle_python: Path) -> None:
    known = module_registry(paddle_python)
    groups = (known.modules, known.transforms, known.optimizers, known.schedulers)
    assert sorted(NAMES - {name for group in groups for name in group}) == []


def test_no_name_is_for_another_task() -> None:
    assert len(NAMES) >= 150 and {"YOLOv3", "RandomCrop", "PPYOLOE", "SGD"} <= NAMES
    assert NAMES.isdisjoint(name for names in OTHER_TASKS.values() for name in names)
