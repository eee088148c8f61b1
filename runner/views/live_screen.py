"""The part of a terminal that is drawn anew while the lines above it stay."""

from __future__ import annotations

import signal
from contextlib import suppress
from types import FrameType
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live


class LiveScreen:
    """A screen below the lines that were printed; there is none where the output is no terminal. Call `close` at the end."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._size = console.size
        self._was_stopped = False
        self._handler: Any = None
        if console.is_terminal and not console.is_dumb_terminal:
            self._start()
            self._notice_continuation()

    @property
    def is_on(self) -> bool:
        """True while there is a screen."""
        return self._live is not None

    def draw(self, screen: RenderableType) -> None:
        """Replace the screen."""
        if self._live is not None:
            self._live.update(screen, refresh=True)

    def clear_if_disturbed(self) -> bool:
        """Clear the terminal if it has another size, or another program has used it; return whether."""
        if self.console.size == self._size and not self._was_stopped:
            return False
        self._size, self._was_stopped = self.console.size, False
        if self._live is not None:
            self._live.stop()
            self.console.clear()
            self._start()
        return True

    def close(self) -> None:
        """Remove the screen. Idempotent."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._handler is not None:
            signal.signal(signal.SIGCONT, self._handler)
            self._handler = None

    def _start(self) -> None:
        self._live = Live(console=self.console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._live.start()
        self.console.show_cursor(True)  # nothing has to be restored, however this process ends

    def _notice_continuation(self) -> None:
        """Draw anew after Ctrl-Z and `fg`."""

        def notice(_number: int, _frame: FrameType | None) -> None:
            self._was_stopped = True

        if hasattr(signal, "SIGCONT"):
            with suppress(ValueError):  # signals reach the main thread alone
                self._handler = signal.signal(signal.SIGCONT, notice)
