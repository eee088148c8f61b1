"""The NVIDIA driver, asked without a framework."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.backends import probe


def test_drivers_file(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version: gcc"
    monkeypatch.setattr(probe, "find_program", lambda _: None)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    assert probe.driver_version() == "550.54.15"
