"""What a run says about why it was asked to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.worker.stop import StopRequests


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "words"), [(signal.SIGTERM, "asked to stop (SIGTERM)"), (signal.SIGINT, "Ctrl-C")])
def test_the_reason_names_what_happened(tmp_path: Path, number: signal.Signals, words: str) -> None:
    stop = StopRequests(tmp_path / "control.jsonl")
    stop.install()
    assert stop.reason() is None
    signal.raise_signal(number)
    assert stop.reason() == words
    signal.raise_signal(signal.SIGTERM)  # a later one changes nothing
    assert stop.reason() == words and stop.action == "stop"
