"""Keys as they are pressed, without waiting for Return; and a terminal that is as it was before, however this process ends.

Only `Keys.read` looks at the keyboard: there is no thread. Ctrl-C, Ctrl-Z and Ctrl-\\ stay signals.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
import threading
from types import FrameType
from typing import Any

_SHOW_CURSOR = b"\x1b[?25h"
_NAMES = {
    b"\x1b[A": "up",
    b"\x1b[B": "down",
    b"\x1bOA": "up",
    b"\x1bOB": "down",
    b"\x1b": "escape",
    b"\r": "enter",
    b"\n": "enter",
    b"\x7f": "backspace",
    b"\x08": "backspace",
}
_DEADLY = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name))


class Keys:
    """Reads single keys from the terminal that `stdin` is; use as a context manager, or `open` and `close`.

    Where it is none, `reason` says why and there are no keys. While the process is in the background it reads nothing and leaves the
    terminal alone; brought to the foreground again it goes on.

    Args:
        stdin: file descriptor of the keyboard.
        stderr: file descriptor of what is written to; must be a terminal too.
    """

    def __init__(self, stdin: int = 0, stderr: int = 2) -> None:
        self._stdin = stdin
        self._stderr = stderr
        self.reason = self._why_not()
        """Why there are no keys; empty if there are."""
        self.redraw = False
        """The process was stopped and goes on: what it has drawn may be gone. Whoever draws again takes it back."""
        self._before: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._is_raw = False
        self._rest = b""
        self._pid = os.getpid()

    def open(self) -> None:
        """Take the keys, from now on."""
        if self.reason or self._before is not None or sys.platform == "win32":
            return
        import termios  # noqa: PLC0415 - there is none on Windows

        try:
            self._before = termios.tcgetattr(self._stdin)
        except termios.error as error:
            self.reason = f"the terminal does not give them ({error.args[-1]})"
            return
        self._take()
        atexit.register(self.close)
        if threading.current_thread() is threading.main_thread():
            wanted = {signal.SIGTSTP: self._on_stop, signal.SIGCONT: self._on_continue, **dict.fromkeys(_DEADLY, self._on_death)}
            for number, handler in wanted.items():
                if signal.getsignal(number) is signal.SIG_DFL:
                    self._handlers[number] = signal.signal(number, handler)

    def close(self) -> None:
        """Give the terminal back as it was; what was typed and not read is dropped. Idempotent."""
        if self._before is None or os.getpid() != self._pid or sys.platform == "win32":
            return
        import termios  # noqa: PLC0415

        self._give_back()
        if self._in_foreground():
            try:
                termios.tcflush(self._stdin, termios.TCIFLUSH)
            except termios.error:
                pass  # it is gone
        self._before = None
        atexit.unregister(self.close)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def __enter__(self) -> Keys:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> list[str]:
        """The keys pressed since the last call: a character, or ``up``, ``down``, ``enter``, ``escape``, ``backspace``. Never waits."""
        if self._before is None or not self._in_foreground():
            self._is_raw = False
            return []
        if not self._is_raw:
            self._take()
        data = b""
        try:
            while select.select([self._stdin], [], [], 0)[0]:
                got = os.read(self._stdin, 1024)
                if not got:
                    self.close()
                    self.reason = "the terminal is gone"
                    break
                data += got
        except OSError:
            pass  # it hung up; SIGHUP follows
        if self._rest == b"\x1b" and not data:  # nothing followed: it was the key itself
            self._rest = b""
            return ["escape"]
        keys, self._rest = _split(self._rest + data)
        return keys

    def _why_not(self) -> str:
        if sys.platform == "win32":
            return "not on Windows"
        if not os.isatty(self._stdin):
            return "standard input is no terminal"
        return "" if os.isatty(self._stderr) else "standard error is no terminal"

    def _in_foreground(self) -> bool:
        """A process in the background that reads from its terminal, or changes it, is stopped by the kernel."""
        try:
            return os.tcgetpgrp(self._stdin) == os.getpgrp()
        except OSError:
            return False

    def _take(self) -> None:
        if sys.platform == "win32" or self._before is None or not self._in_foreground():
            return
        import termios  # noqa: PLC0415

        mode = [*self._before[:6], list(self._before[6])]
        mode[3] &= ~(termios.ECHO | termios.ICANON)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        try:
            termios.tcsetattr(self._stdin, termios.TCSANOW, mode)
            self._is_raw = True
        except termios.error:
            pass  # tried again at the next look

    def _give_back(self) -> None:
        """Only calls that are safe in a signal handler, whatever was going on."""
        if sys.platform == "win32" or self._before is None or not self._in_foreground():
            return
        import termios  # noqa: PLC0415

        try:
            termios.tcsetattr(self._stdin, termios.TCSANOW, self._before)
            os.write(self._stderr, _SHOW_CURSOR)
        except (termios.error, OSError):
            pass  # the terminal is gone
        self._is_raw = False

    # ------------------------------------------------------------------------------------------------------- signals
    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: stop as any program does, but with the terminal as it was. Returns when it goes on."""
        if os.getpid() == self._pid:
            self._give_back()
            self._write(b"\r\n")
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._on_stop)
        if os.getpid() == self._pid:
            self._on_continue(number, None)

    def _on_continue(self, _number: int, _frame: FrameType | None) -> None:
        self.redraw = True
        if os.getpid() == self._pid:
            self._take()

    def _on_death(self, number: int, _frame: FrameType | None) -> None:
        """A signal that ends the process does so, after the terminal is as it was. (A conductor takes SIGTERM for itself.)"""
        if os.getpid() == self._pid:
            self._give_back()
            self._write(b"\r\n")
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _write(self, text: bytes) -> None:
        if self._in_foreground():
            try:
                os.write(self._stderr, text)
            except OSError:
                pass  # the terminal is gone


def _split(data: bytes) -> tuple[list[str], bytes]:
    """(keys, what may be the beginning of one): the bytes of an arrow key may come in two parts."""
    keys: list[str] = []
    while data:
        if data[:1] == b"\x1b" and data[1:2] in (b"[", b"O"):
            end = next((index for index in range(2, len(data)) if 0x40 <= data[index] <= 0x7E), None)
            if end is None:
                return keys, data
            keys.append(_NAMES.get(data[: end + 1], "other"))
            data = data[end + 1 :]
        elif data == b"\x1b":
            return keys, data
        elif data[:1] in _NAMES:
            keys.append(_NAMES[data[:1]])
            data = data[1:]
        else:
            length = 1 if data[0] < 0x80 else (2 if data[0] < 0xE0 else (3 if data[0] < 0xF0 else 4))
            keys.append(data[:length].decode("utf-8", "replace"))
            data = data[length:]
    return keys, b""
