"""Small commands for the launchers' contract: ``python -m runner.testing.tasks WORD ARGUMENT… [WORD ARGUMENT…]``,
done in order.

print TEXT · warn TEXT (to stderr) · exit STATUS · fail TEXT (an exception) · signal NUMBER (to itself) · sleep SECONDS
touch FILE · pid FILE (its process id) · append FILE TEXT · variable NAME FILE · folder FILE (its working directory)
die-with-parent · deaf (ignore SIGTERM) · child SECONDS FILE (a sleeping child of its own, its id in FILE)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from runner.core.process import die_with_parent


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
        case _:
            raise ValueError(f"no such word: {word!r}")


def _write(path: str, text: str) -> None:
    """In one step, so that whoever waits for the file finds it whole."""
    part = Path(f"{path}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    main(sys.argv[1:])
