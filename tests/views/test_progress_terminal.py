"""The screen of a sweep on real terminals: it is drawn anew where that is needed, and the terminal is as it was, however it ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.launch.memory import sessions

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60.0

fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")  # not on Windows

# A shell in small: starts the program in a group of its own in the foreground, tells when it has stopped, and brings it back.
SHELL = """
    import os, signal, sys, termios
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(sys.executable, [sys.executable, "-c", *sys.argv[1:]])
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        os.tcsetpgrp(0, os.getpgrp())
        if not os.WIFSTOPPED(status):
            print(f"ended={os.waitstatus_to_exitcode(status)};", flush=True)
            sys.exit()
        print(f"stopped={bool(termios.tcgetattr(0)[3] & termios.ICANON)};", flush=True)
        sys.stdin.readline()
        os.tcsetpgrp(0, child)
        os.kill(child, signal.SIGCONT)
"""


class Terminal:
    """A process on a terminal of its own, which it is the first of."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.master, self.slave = os.openpty()
        self.resize(24, 80)
        self.before = termios.tcgetattr(self.slave)
        take = "import fcntl, signal, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        take += "signal.signal(2, signal.default_int_handler)\n"  # what started the tests may ignore them
        take += "for number in (1, 3): signal.signal(number, signal.SIG_DFL)\n"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        command = [sys.executable, "-c", take + textwrap.dedent(code), *arguments]
        streams = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave}
        self.process = subprocess.Popen(command, start_new_session=True, env=environment, **streams)  # type: ignore[call-overload]
        self.text = ""
        os.set_blocking(self.master, False)

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def read(self) -> None:
        try:
            while data := os.read(self.master, 1 << 16):
                self.text += data.decode()
        except BlockingIOError:
            pass

    def wait_for(self, what: str | Callable[[], bool], count: int = 1) -> None:
        deadline = time.monotonic() + LIMIT_S
        while self.text.count(what) < count if isinstance(what, str) else not what():
            assert time.monotonic() < deadline, (what, self.text)
            time.sleep(0.01)
            self.read()

    def is_as_before(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        for member in sessions([self.process.pid])[self.process.pid].pids:  # the shell's child too, which lives on in the background
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(code: str, *arguments: str) -> Terminal:
        opened.append(Terminal(code, *arguments))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


SWEEP = """
    import sys, time
    from pathlib import Path
    from rich.console import Console
    from runner.store.commands import Situation
    from runner.store.run_dir import RunDir, Status
    from runner.views.progress import ProgressDisplay
    folder = Path(sys.argv[1])
    runs = [RunDir(folder / f"000{number}-lr={number}-s0") for number in range(4)]
    with ProgressDisplay(runs, Console(stderr=True), title="rates", known={}) as display:
        for step in range(1, 100_000):
            for run in runs[:3]:
                run.path.mkdir(exist_ok=True)
                run.write_status(Status("running", None, 1, step, 1000, 1.0, time.time(), 1, {}, "training"))
            display.update(Situation(3, 3, "", "0000 lr=0: bbox/AP 0.412", runs[:3]))
            time.sleep(0.02)
"""


def drawn(text: str) -> list[str]:
    """The lines since the screen was last cleared."""
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.rpartition("\x1b[2J")[2]))


def test_another_size_is_drawn_anew(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    one = terminal(SWEEP, str(tmp_path))
    one.wait_for("Ctrl-C saves and ends")
    assert "3 running" in one.text and "best so far: 0000 lr=0" in one.text
    one.resize(10, 40)
    one.text = ""
    one.wait_for("\x1b[2J")
    one.wait_for("Ctrl-C saves")
    assert max(map(len, drawn(one.text))) <= 40


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGQUIT])
def test_a_signal_that_ends_it_leaves_the_terminal_as_it_was(
    terminal: Callable[..., Terminal], tmp_path: Path, number: signal.Signals
) -> None:
    one = terminal(SWEEP, str(tmp_path))
    one.wait_for("Ctrl-C saves and ends")
    one.process.send_signal(number)
    assert one.process.wait(LIMIT_S) == -number
    one.read()
    assert one.is_as_before() and one.text.rfind("\x1b[?25h") > one.text.rfind("\x1b[?25l"), "the cursor is shown"


def test_ctrl_c_takes_the_screen_away(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    one = terminal(SWEEP, str(tmp_path))
    one.wait_for("Ctrl-C saves and ends")
    one.press("\x03")
    one.process.wait(LIMIT_S)
    one.read()
    assert one.is_as_before() and "KeyboardInterrupt" in one.text


def test_ctrl_z_and_back(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    one = terminal(SHELL, textwrap.dedent(SWEEP), str(tmp_path))
    one.wait_for("Ctrl-C saves and ends")
    one.press("\x1a")
    one.wait_for("stopped=True;")
    assert one.text.rfind("\x1b[?25h") > one.text.rfind("\x1b[?25l"), "the cursor is shown"
    one.text = ""
    one.press("fg\n")
    one.wait_for("\x1b[2J")  # drawn anew
    one.wait_for("Ctrl-C saves and ends")
