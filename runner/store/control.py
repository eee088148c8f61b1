"""Requests from other terminals to the driver of a sweep: lines of the sweep's control.jsonl."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from runner.core.files import open_lines, parse_json
from runner.core.tail import Tail
from runner.core.typed import build
from runner.store.commands import Command, Unreadable

_SHOWN = 80


def send(path: Path, command: Command) -> None:
    """Send a command to the driver that reads `path`. Raises OSError if it cannot be written."""
    with open_lines(path) as file:
        file.write(json.dumps({**asdict(command), "time": time.time()}, ensure_ascii=False).encode() + b"\n")


class Inbox:
    """The commands that arrive while this driver runs; those sent to an earlier driver are left out."""

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path)

    def read(self) -> Sequence[Command | Unreadable]:
        """Return what has arrived since the last call."""
        return [_parse(line) for line in self._tail.read() if line.strip()]


def _parse(line: bytes) -> Command | Unreadable:
    try:
        command = build(Command, parse_json(line))
    except ValueError:
        command = None
    return command or Unreadable(line[:_SHOWN].decode(errors="replace"))
