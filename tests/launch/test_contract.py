"""Every launcher of ours passes the contract."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from runner.launch.base import LAUNCHERS, Launcher, Task, Warm
from runner.launch.inline import InlineLauncher
from runner.launch.local import LocalLauncher
from runner.testing.launchers import LauncherContract


class WarmLauncher(LocalLauncher):
    """Starts every task warm."""

    def __init__(self, slots: int | Sequence[Mapping[str, str]], warm: Warm) -> None:
        super().__init__(slots, close_grace_s=3)
        self.warm: Warm = warm

    def submit(self, task: Task) -> None:
        super().submit(replace(task, warm=self.warm, preload=("json", "argparse")))


class TestLocal(LauncherContract):
    plugin = LocalLauncher

    def with_slots(self, slots: Sequence[Mapping[str, str]]) -> Launcher:
        return LocalLauncher(slots, close_grace_s=3)

    @pytest.fixture(params=[1, 2])
    def launcher(self, request: pytest.FixtureRequest) -> Iterator[Launcher]:
        launcher = LocalLauncher(request.param, close_grace_s=3)
        yield launcher
        launcher.close()


class TestLocalWithoutPidfd(LauncherContract):
    plugin = LocalLauncher

    def with_slots(self, slots: Sequence[Mapping[str, str]]) -> Launcher:
        return LocalLauncher(slots, close_grace_s=3)

    @pytest.fixture
    def launcher(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Launcher]:
        monkeypatch.delattr("os.pidfd_open", raising=False)
        launcher = LocalLauncher(2, close_grace_s=3)
        yield launcher
        launcher.close()


class TestFork(LauncherContract):
    plugin = LocalLauncher

    def with_slots(self, slots: Sequence[Mapping[str, str]]) -> Launcher:
        return WarmLauncher(slots, "fork")

    @pytest.fixture(params=[1, 3])
    def launcher(self, request: pytest.FixtureRequest) -> Iterator[Launcher]:
        launcher = WarmLauncher(request.param, "fork")
        yield launcher
        launcher.close()


class TestStandby(LauncherContract):
    plugin = LocalLauncher

    def with_slots(self, slots: Sequence[Mapping[str, str]]) -> Launcher:
        return WarmLauncher(slots, "standby")

    @pytest.fixture
    def launcher(self) -> Iterator[Launcher]:
        launcher = WarmLauncher(2, "standby")
        yield launcher
        launcher.close()


class TestInline(LauncherContract):
    plugin = InlineLauncher
    limits_memory = False

    def with_slots(self, slots: Sequence[Mapping[str, str]]) -> Launcher:
        return InlineLauncher(slots)

    @pytest.fixture
    def launcher(self) -> Iterator[Launcher]:
        launcher = InlineLauncher()
        yield launcher
        launcher.close()


def test_the_registry_knows_them() -> None:
    assert LAUNCHERS.get("local") is LocalLauncher
    assert LAUNCHERS.get("inline") is InlineLauncher
