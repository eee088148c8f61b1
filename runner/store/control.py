"""What other terminals ask of a sweep that runs: lines of its control.jsonl."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from runner.core.files import open_lines, parse_json
from runner.core.tail import Tail
from runner.core.typed import build
from runner.store.commands import Command


def send(path: Path, command: Command) -> None:
    """Ask the driver that reads `path`. Raises OSError if it cannot be written."""
    with open_lines(path) as file:
        file.write(json.dumps({**asdict(command), "time": time.time()}, ensure_ascii=False).encode() + b"\n")


class Inbox:
    """The commands that come while a sweep runs; what was asked of an earlier driver does not count."""

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path)

    def read(self) -> Sequence[Command]:
        """The new ones. A torn or foreign line asks for nothing."""
        commands = []
        for line in self._tail.read():
            with suppress(ValueError):
                commands.append(build(Command, parse_json(line)))
        return [command for command in commands if command is not None]
