"""The answer of a report in a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from runner.results.notes import ReportNote, paragraphs
from runner.views.terminal import plain

_INDENT = "    "


class Answer:
    """Sentences, each of their commands on lines of its own that can be copied into a shell."""

    def __init__(self, notes: Sequence[ReportNote]) -> None:
        self._notes = notes

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for sentence, command in paragraphs(self._notes):
            if sentence:
                yield plain(sentence, "bold")
            for line in shell_lines(command, options.max_width):
                yield plain(line)
        if self._notes:
            yield Text()


def shell_lines(command: str, width: int) -> list[str]:
    """Write a command line in lines of at most `width`, as far as its words allow, each but the last continued by a backslash.

    Args:
        command: words, `&&` between two commands, and parentheses around all of it.
    """
    inner = command.removeprefix("(")
    is_subshell = inner != command
    words = [part if part == "&&" else shlex.quote(part) for part in shlex.split(inner.removesuffix(")") if is_subshell else inner)]
    if is_subshell:
        words[0], words[-1] = f"({words[0]}", f"{words[-1]})"
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) + 3 <= width:  # a space before it, and a backslash after it
            lines[-1] += f" {word}"
        else:
            lines.append(f"{_INDENT if lines else '  '}{word}")
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]
