"""A place where nothing is prepared, a small data set with a name, and what the machine seems to have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.resolving import copy_source, prepared

import runner.resolve.autos
from runner.backends.base import Probe


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, where nothing is prepared."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNNER_DATA", raising=False)


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Probe], list[str]]:
    """Sets what the machine has; gives the list of backends that were asked."""

    def set_probe(probe: Probe) -> list[str]:
        asked: list[str] = []
        monkeypatch.setattr(runner.resolve.autos, "probe_backend", lambda name, python: asked.append(name) or probe)
        return asked

    return set_probe


@pytest.fixture
def small(coco: Path, tmp_path: Path) -> str:
    """The name of a prepared data set."""
    prepared("small", copy_source(coco, tmp_path / "source"))
    return "small"
