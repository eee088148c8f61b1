"""A progress bar for counted work, such as images that are checked. Nothing is shown without a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runner.core.text import printable
from runner.views.terminal import progress_console


@contextmanager
def count_progress() -> Iterator[Callable[[int, int, str], None]]:
    """Yield a callback (done, total, what); each `what` has a bar of its own on stderr, which is removed at the end."""
    console = progress_console()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks = {}

        def show(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(printable(what), total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show
