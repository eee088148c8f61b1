"""Requests to the driver while it runs: signals, and commands in the sweep's directory."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from runner.store.commands import Command, Unreadable
from runner.store.control import Inbox


@dataclass(frozen=True, slots=True)
class Interrupt:
    """SIGINT or SIGTERM. The first one asks to save and end, later ones to end at once."""

    is_first: bool


@dataclass
class SignalCounter:
    """A signal handler that counts."""

    count: int = 0

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


class Requests:
    """All requests to a driver.

    Args:
        inbox: the commands; None for a run by itself.
    """

    def __init__(self, signals: SignalCounter, inbox: Inbox | None) -> None:
        self._signals, self._inbox = signals, inbox
        self._handled = 0

    def read(self) -> Iterator[Command | Unreadable | Interrupt]:
        """Yield what has arrived since the last call."""
        if self._signals.count > self._handled:
            self._handled = self._signals.count
            yield Interrupt(is_first=self._handled == 1)
        if self._inbox is not None:
            yield from self._inbox.read()


@contextmanager
def counted_signals() -> Iterator[SignalCounter]:
    """Count SIGINT and SIGTERM instead of ending on them, in the main thread: Python delivers signals to no other.

    Closing the terminal (SIGHUP) ends nothing, as under nohup.
    """
    counter = SignalCounter()
    if threading.current_thread() is not threading.main_thread():
        yield counter
        return
    before = {number: signal.signal(number, counter) for number in (signal.SIGINT, signal.SIGTERM)}
    if hasattr(signal, "SIGHUP"):
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda number, frame: None)
    try:
        yield counter
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
