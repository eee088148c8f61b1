"""Trials whose numbers are provisional: planned seeds of theirs are still missing."""

from __future__ import annotations

from dataclasses import dataclass

from runner.views.page.data import PageData, unfinished


@dataclass(frozen=True, slots=True)
class Seeds:
    """Runs of a trial: those that are done, of those that were planned."""

    done: int
    planned: int


def provisional(data: PageData) -> dict[str, Seeds]:
    """Return trial id to its seeds, for each trial with runs that wait, run or were interrupted; failed ones are not waited for."""
    runs, found = data.runs(), {}
    for trial in data.trials().values():
        results = [result for run in trial.runs if not (result := runs[run].result).copy_of]
        if trial.waiting + unfinished(results):
            found[trial.id] = Seeds(sum(result.state == "done" for result in results), trial.waiting + len(results))
    return found
