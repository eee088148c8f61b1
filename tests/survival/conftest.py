"""Sweeps of the scripted trainer (`runner.sweep.fake_sweep`) that tests do harm to."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.sharing import made_once

from runner.sweep.fake_sweep import FakeSweep
from runner.sweep.verify import verify


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[FakeSweep]:
    """In a folder with a name that is not easy."""
    stage = FakeSweep(tmp_path / "a 'sweep' ü")
    yield stage
    stage.close()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> FakeSweep:
    """Run to its end once. Copy it before changing anything."""

    def finish(folder: Path) -> None:
        stage = FakeSweep(folder)
        stage.write()
        ended = stage.finish()
        assert ended.code == 0, ended.err
        assert verify(stage.sweep) == []

    return FakeSweep(made_once(tmp_path_factory, "undisturbed", finish))


@pytest.fixture
def copied(undisturbed: FakeSweep, tmp_path: Path) -> Iterator[FakeSweep]:
    """A copy of it."""
    shutil.copytree(undisturbed.folder, tmp_path / "copy")
    stage = FakeSweep(tmp_path / "copy")
    yield stage
    stage.close()


@pytest.fixture(scope="session")
def check() -> Callable[[FakeSweep], None]:
    """Checks that every run is done and that nothing is wrong with the directory."""

    def check(stage: FakeSweep) -> None:
        states = stage.states()
        assert states and states == dict.fromkeys(states, "done")
        assert [str(finding) for finding in verify(stage.sweep) if finding.wrong] == []

    return check
