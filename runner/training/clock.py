"""The clock of a window between two records."""

from __future__ import annotations

import time


class Clock:
    """Counts training only: `pause` before an evaluation or a save, `go_on` after it."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._since: float | None = None

    def go_on(self) -> None:
        """Start the clock."""
        self._since = time.perf_counter()

    def pause(self) -> None:
        """Stop the clock."""
        if self._since is not None:
            self._seconds += time.perf_counter() - self._since
            self._since = None
