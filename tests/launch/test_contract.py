"""Every launcher of ours passes the contract."""

from collections.abc import Iterator

import pytest

from runner.launch.base import LAUNCHERS, Launcher
from runner.launch.inline import InlineLauncher
from runner.launch.local import LocalLauncher
from runner.testing.launchers import LauncherContract


class TestLocal(LauncherContract):
    @pytest.fixture(params=[1, 2])
    def launcher(self, request: pytest.FixtureRequest) -> Iterator[Launcher]:
        launcher = LocalLauncher(request.param, close_grace_s=3)
        yield launcher
        launcher.close()


class TestLocalWithoutPidfd(LauncherContract):
    @pytest.fixture
    def launcher(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Launcher]:
        monkeypatch.delattr("os.pidfd_open", raising=False)
        launcher = LocalLauncher(2, close_grace_s=3)
        yield launcher
        launcher.close()


class TestInline(LauncherContract):
    isolates = False

    @pytest.fixture
    def launcher(self) -> Iterator[Launcher]:
        launcher = InlineLauncher()
        yield launcher
        launcher.close()


def test_the_registry_knows_them() -> None:
    assert LAUNCHERS.get("local") is LocalLauncher
    assert LAUNCHERS.get("inline") is InlineLauncher
