"""Stop requests: by a signal or by the driver's control.jsonl."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

from runner.core.files import parse_json
from runner.core.tail import Tail
from runner.core.typed import build

_CONTROL_INTERVAL_S = 0.5
_REASONS: dict[int, str] = {
    signal.SIGTERM: "asked to stop (SIGTERM)",  # also where Ctrl-C reached the driver, which asks its workers so
    signal.SIGINT: "Ctrl-C",
}


@dataclass(frozen=True, slots=True)
class _Request:
    """A line of control.jsonl that the attempt obeys."""

    action: Literal["stop", "prune"]
    reason: str


class StopRequests:
    """Stop requests by SIGTERM and SIGINT: the first asks the run to save and end, a second SIGINT ends the process at once.

    Args:
        control: the run's control.jsonl; a ``stop`` or ``prune`` in it counts.
        offset: from which byte on; default: what is newer than this object.
    """

    def __init__(self, control: Path, offset: int | None = None) -> None:
        self._tail = Tail(control, offset)
        self.signal: int | None = None
        """First signal received."""
        self._next_look = 0.0
        self._reason: str | None = None
        self.action: Literal["stop", "prune"] = "stop"

    @property
    def offset(self) -> int:
        """Position up to which the control file was read."""
        return self._tail.offset

    def install(self) -> None:
        """Handle the signals from now on. Outside the main thread Python delivers none: the control file alone is read there."""
        if threading.current_thread() is not threading.main_thread():
            return
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def reason(self) -> str | None:
        """Return the reason why the run should save and end, or None. Reads the control file at most twice per second."""
        if self._reason is None and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _CONTROL_INTERVAL_S
            self._read_control()
        return self._reason

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._reason is not None and number == signal.SIGINT:
            os._exit(130)  # Ctrl-C was pressed twice: no saving, no waiting
        self._reason, self.signal = self._reason or _REASONS[number], self.signal or number

    def _read_control(self) -> None:
        for line in self._tail.read():
            try:
                request = build(_Request, parse_json(line))
            except ValueError:
                continue
            if request is not None:  # a torn or unknown line is ignored
                self.action, self._reason = request.action, request.reason
