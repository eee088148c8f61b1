"""Small commands for the launchers' contract: ``python -P -m runner.testing.tasks WORD ARGUMENT… [WORD ARGUMENT…]``,
done in order.

print TEXT · warn TEXT (to stderr) · exit STATUS · fail TEXT (an exception) · signal NUMBER (to itself) · sleep SECONDS
touch FILE · pid FILE (its process id) · append FILE TEXT · variable NAME FILE · folder FILE (its working directory)
die-with-parent · deaf (ignore SIGTERM) · child SECONDS FILE (a sleeping child of its own, its id in FILE)
hold MB (memory, touched) · helpers COUNT MB FILE (forked children that hold so much more each and sleep; their ids in FILE)
tracing (answers SIGUSR1 with a stack trace) · stray FILE (an orphan that sleeps in a process group of its own; its id in FILE)
away FILE (the same in a session of its own)
interrupt (Ctrl-C) · leave TEXT (sys.exit with it) · lose-stdout (it cannot be flushed)
at-exit TEXT (a thread prints it a moment after the end, and an exit function says "exit")
describe FILE (what this process finds around it, as JSON) · draw FILE (random numbers, as JSON)
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from runner.core.process import die_with_parent

_HELD: list[bytes] = []
_STRAY = """
import pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], {argument})
part = pathlib.Path({file!r} + ".part")
part.write_text(str(child.pid))
part.rename({file!r})
child.returncode = 0  # no process waits for it
"""


def main(arguments: list[str]) -> None:
    """Do what the words say."""
    words = iter(arguments)
    for word in words:
        _do(word, words)


def _do(word: str, words: Iterator[str]) -> None:
    match word:
        case "print":
            print(next(words))
        case "warn":
            print(next(words), file=sys.stderr)
        case "exit":
            sys.exit(int(next(words)))
        case "fail":
            raise RuntimeError(next(words))
        case "signal":
            os.kill(os.getpid(), int(next(words)))
            time.sleep(1)  # the signal may take a moment
        case "sleep":
            time.sleep(float(next(words)))
        case "touch":
            Path(next(words)).touch()
        case "pid":
            _write(next(words), str(os.getpid()))
        case "append":
            with open(next(words), "a", encoding="utf-8") as file:
                file.write(next(words))
        case "variable":
            name = next(words)
            _write(next(words), os.environ.get(name, "(not set)"))
        case "folder":
            _write(next(words), os.getcwd())
        case "die-with-parent":
            die_with_parent()
        case "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case "child":
            child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({float(next(words))})"])
            _write(next(words), str(child.pid))
        case "hold":
            _HELD.append(b"x" * (int(next(words)) << 20))
        case "helpers":
            count, size, place = int(next(words)), int(next(words)), next(words)
            pids = [pid for _ in range(count) if (pid := _helper(size))]
            _write(place, " ".join(map(str, pids)))
        case "tracing":
            faulthandler.register(signal.SIGUSR1, all_threads=True)
        case "stray":
            subprocess.run([sys.executable, "-c", _STRAY.format(argument="process_group=0", file=next(words))], check=True)
        case "away":
            subprocess.run([sys.executable, "-c", _STRAY.format(argument="start_new_session=True", file=next(words))], check=True)
        case "interrupt":
            raise KeyboardInterrupt
        case "leave":
            sys.exit(next(words))
        case "lose-stdout":
            sys.stdout = open("/dev/full", "w")  # noqa: SIM115 - left to the exit
            print("x")
        case "at-exit":
            text = next(words)
            atexit.register(print, "exit")
            threading.Timer(0.2, print, [text]).start()
        case "describe":
            _write(next(words), json.dumps(_surroundings()))
        case "draw":
            import numpy  # noqa: PLC0415 - for this word alone

            _write(next(words), json.dumps([random.random(), *numpy.random.rand(2)]))
        case _:
            raise ValueError(f"no such word: {word!r}")


def _helper(size_mb: int) -> int:
    """Return a child that holds so much and sleeps; its number. (Never returns in the child.)"""
    pid = os.fork()
    if not pid:
        held = b"x" * (size_mb << 20)
        time.sleep(60)
        os._exit(len(held) & 1)
    return pid


def _surroundings() -> dict[str, object]:
    main = sys.modules["__main__"]
    return {
        "argv": sys.argv,
        "main": [__name__, main.__dict__ is globals(), main.__spec__.name if main.__spec__ else None, main.__file__],
        "import path": sys.path,
        "folder": os.getcwd(),
        "variables": dict(sorted(os.environ.items())),
        "descriptors": {name: _target(name) for name in os.listdir("/proc/self/fd") if _target(name)},
        "handlers": {number: str(signal.getsignal(number)) for number in signal.valid_signals()},
        "masked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "leads": [os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid()],
        "parent": os.getppid(),
        "threads": threading.active_count(),
        "streams": [str(stream) for stream in (sys.stdout, sys.stderr)],
    }


def _target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:  # of the listing itself
        return ""


def _write(path: str, text: str) -> None:
    """Write the file in one step, so that a waiting process finds it whole."""
    part = Path(f"{path}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    main(sys.argv[1:])
