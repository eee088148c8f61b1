"""What other terminals ask of a sweep that runs: lines of its control.jsonl."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from runner.core.commands import Action, Command
from runner.core.files import open_lines


def send(path: Path, command: Command) -> None:
    """Ask the driver that reads `path`. Raises OSError if it cannot be written."""
    with open_lines(path) as file:
        file.write(json.dumps({**asdict(command), "time": time.time()}, ensure_ascii=False).encode() + b"\n")


class Lines:
    """What is appended to a file of JSON lines from now on, or from its beginning; lines that are not whole yet wait."""

    def __init__(self, path: Path, *, from_start: bool = False) -> None:
        self._path = path
        self._offset = 0 if from_start or not path.exists() else path.stat().st_size

    def read(self) -> list[bytes]:
        """The new lines."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                text = file.read()
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.splitlines()


class Inbox:
    """The commands that come while a sweep runs; what was asked of an earlier driver does not count."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)

    def read(self) -> Sequence[Command]:
        """The new ones. A torn or foreign line asks for nothing."""
        commands = []
        for line in self._lines.read():
            try:
                asked = json.loads(line)
                if asked["action"] in get_args(Action):
                    commands.append(Command(asked["action"], asked.get("run")))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
        return commands
