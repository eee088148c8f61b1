"""Keys of real processes on real terminals: what is pressed arrives, and the terminal is as it was afterwards, whatever happens."""

from __future__ import annotations

import contextlib
import json
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
from runner.views.keys import Keys, _split

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60.0

fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")  # not on Windows

READ_KEYS = """
    import json, os, sys, time
    from runner.views.keys import Keys
    with Keys() as keys:
        print(f"reason={keys.reason!r} redraw={keys.redraw}", flush=True)
        while True:
            for key in keys.read():
                print(f"key={json.dumps(key)};", flush=True)
                if key == "q": sys.exit(7)
                if key == "x": raise RuntimeError("oh")
            if keys.redraw:
                keys.redraw = False
                print("redraw;", flush=True)
            time.sleep(0.01)
"""
# A shell in small: starts the program in a group of its own in the foreground, tells when it has stopped, and brings it back.
SHELL = """
    import os, signal, sys, termios
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
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

    def is_cbreak(self) -> bool:
        local = termios.tcgetattr(self.slave)[3]
        return not local & (termios.ICANON | termios.ECHO) and bool(local & termios.ISIG)

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


def test_keys_arrive_and_the_terminal_is_as_it_was(terminal: Callable[..., Terminal]) -> None:
    one = terminal(READ_KEYS)
    one.wait_for("reason=''")
    assert one.is_cbreak()
    for keys, name in (("p", '"p"'), ("\x1b[A", '"up"'), ("\x1bOB", '"down"'), ("\r", '"enter"'), ("\x1b", '"escape"'), ("é", '"\\u00e9"')):
        one.press(keys)
        one.wait_for(f"key={name};")
    one.press("qstray keys")
    assert one.process.wait(LIMIT_S) == 7
    assert one.is_as_before()
    one.read()
    assert "stray" not in one.text  # nothing was echoed, and nothing is left for the shell
    os.set_blocking(one.slave, False)
    one.press("\n")
    assert os.read(one.slave, 100) == b"\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_ends_it_leaves_the_terminal_as_it_was(terminal: Callable[..., Terminal], number: signal.Signals) -> None:
    one = terminal(READ_KEYS)
    one.wait_for("reason=''")
    one.process.send_signal(number)
    assert one.process.wait(LIMIT_S) == -number
    assert one.is_as_before()


def test_an_exception_leaves_the_terminal_as_it_was(terminal: Callable[..., Terminal]) -> None:
    one = terminal(READ_KEYS)
    one.wait_for("reason=''")
    one.press("x")
    assert one.process.wait(LIMIT_S) == 1
    assert one.is_as_before()


def test_ctrl_c_is_a_signal(terminal: Callable[..., Terminal]) -> None:
    one = terminal(READ_KEYS)
    one.wait_for("reason=''")
    one.press("\x03")
    one.process.wait(LIMIT_S)
    one.read()
    assert one.is_as_before() and "KeyboardInterrupt" in one.text


def test_ctrl_z_and_back(terminal: Callable[..., Terminal]) -> None:
    one = terminal(SHELL, textwrap.dedent(READ_KEYS))
    one.wait_for("reason=''")
    for times in (1, 2):
        one.wait_for(one.is_cbreak)
        one.press("\x1a")
        one.wait_for("stopped=True;", times)  # lines again, as the shell wants them
        one.press("\n")
        one.wait_for("redraw;", times)
        one.press("p")
        one.wait_for('key="p";', times)
    one.press("q")
    one.wait_for("ended=7;")
    assert one.is_as_before()


def test_in_the_background_nothing_is_read(terminal: Callable[..., Terminal]) -> None:
    """Reading from the terminal there would stop the whole sweep."""
    one = terminal(SHELL.replace("os.tcsetpgrp(0, os.getpgrp())\n        signal", "signal"), textwrap.dedent(READ_KEYS))
    one.wait_for("reason=''")
    one.press("p\n")
    time.sleep(0.3)
    one.read()
    assert "key=" not in one.text and "stopped" not in one.text and one.is_as_before()


@pytest.mark.parametrize(
    ("streams", "reason"), [("0</dev/null", "standard input is no terminal"), ("2>/dev/null", "standard error is no terminal")]
)
def test_without_a_terminal_there_are_no_keys(terminal: Callable[..., Terminal], streams: str, reason: str) -> None:
    code = textwrap.dedent(READ_KEYS).replace("    while True:", "    while not keys.reason:")
    number, file = streams[0], streams[2:]
    one = terminal(f"import os; os.dup2(os.open({file!r}, os.O_RDWR), {number})\n{code}")
    assert one.process.wait(LIMIT_S) == 0
    one.read()
    assert f"reason={reason!r}" in one.text and one.is_as_before()


def test_closed_streams_are_no_terminal() -> None:
    keys = Keys(stdin=-1, stderr=-1)
    keys.open()
    assert keys.reason and keys.read() == []
    keys.close()


def test_bytes_are_split_into_keys() -> None:
    assert _split(b"\x1b[A\x1b[15~p\x1bq\x7f") == (["up", "other", "p", "escape", "q", "backspace"], b"")
    assert _split(b"j\x1b") == (["j"], b"\x1b")
    assert _split(b"\x1b[1") == ([], b"\x1b[1")
    assert _split("ü\xff".encode("latin-1"))[1] == b""


SWEEP = """
    import json, sys, time
    from pathlib import Path
    from rich.console import Console
    from runner.store.commands import Situation
    from runner.store.run_dir import RunDir, Status
    from runner.views.progress import Watcher
    folder = Path(sys.argv[1])
    runs = [RunDir(folder / f"000{number}-lr={number}-s0") for number in range(4)]
    paused = ""
    with Watcher(runs, Console(stderr=True), title="rates", known={}) as watcher:
        for step in range(1, 100_000):
            for run in runs[:3]:
                run.path.mkdir(exist_ok=True)
                run.write_status(Status("running", None, 1, step, 1000, 1.0, time.time(), 1, {}, "training"))
            watcher.update(Situation(3, 3, paused, "0000 lr=0: bbox/AP 0.412", runs[:3], by_hand=bool(paused)))
            for command in watcher.commands():
                with open(folder / "asked", "a") as file:
                    file.write(json.dumps([command.action, command.run]) + "\\n")
                paused = {"pause": "paused by hand", "resume": ""}.get(command.action, paused)
                if command.action == "quit":
                    sys.exit(3)
            time.sleep(0.02)
"""


def test_a_sweep_is_paused_and_stopped_by_keys(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    one = terminal(SWEEP, str(tmp_path))
    one.wait_for("q quit")
    assert "3 running" in one.text and "best so far: 0000 lr=0" in one.text
    for keys, expected in (
        ("p", "paused by hand"),
        ("p", "going on"),
        ("s", "stop which?"),
        ("\x1b[B", "▶  2 0001-lr=1-s0"),
        ("3", "▶  3 0002-lr=2-s0"),
        ("\r", "stop 0002-lr=2-s0 for good?"),
        ("y", "stopping 0002-lr=2-s0"),
        ("?", "Ctrl-Z"),
        ("?", "s stop one"),
        ("q", "end the sweep?"),
    ):
        one.text = ""
        one.press(keys)
        one.wait_for(expected)
    one.resize(10, 40)
    one.text = ""
    one.wait_for("\x1b[2J")  # drawn anew
    one.wait_for("end the sweep?")
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", one.text.rpartition("\x1b[2J")[2])
    assert max(map(len, re.split(r"[\r\n]+", drawn))) <= 40
    one.press("y")
    assert one.process.wait(LIMIT_S) == 3
    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert asked == [["pause", None], ["resume", None], ["stop", "0002-lr=2-s0"], ["quit", None]]
    one.read()
    assert one.is_as_before()
    assert one.text.endswith("\x1b[2K\x1b[?25h")  # the screen was taken away, and the cursor is back


def test_a_sweep_that_is_killed_by_sigterm_leaves_the_terminal_as_it_was(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    one = terminal(SWEEP, str(tmp_path))
    one.wait_for("q quit")
    assert one.is_cbreak()
    one.process.terminate()
    assert one.process.wait(LIMIT_S) == -signal.SIGTERM
    one.read()
    assert one.is_as_before() and one.text.rfind("\x1b[?25h") > one.text.rfind("\x1b[?25l")
