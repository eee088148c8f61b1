"""The answer of a search: the verdict on its winner, its config, and the next command."""

from __future__ import annotations

from typing import Any

import pytest
from support.search_runs import AP, MEMORY, found, run

from runner.results.answer import SweepFacts
from runner.results.notes import paragraphs
from runner.results.search.answer import answer_search, verdict
from runner.results.search.report import search_report


def facts(**changes: Any) -> SweepFacts:
    def with_seeds(seeds: Any, runs: int, trial: Any) -> str:
        return f"sweep {list(seeds)} {runs} {trial}"

    known: dict[str, Any] = {"folder": "runs/s", "runs": 9, "left": 0, "proceed": "runner resume runs/s", "first_fresh": 4}
    known |= {"fresh_folder": "runs/s-confirm", "is_made": False, "with_seeds": with_seeds}
    return SweepFacts(**{**known, **changes})


def answered(*runs: Any, sweep: SweepFacts | None = None, **options: Any) -> tuple[str, list[str]]:
    parts = list(paragraphs(answer_search(found(*runs, **options), runs, facts() if sweep is None else sweep)))
    return " ".join(text for text, _ in parts if text), [command for _, command in parts if command]


BASE = [run(0, 0.40 + seed / 100, seed=seed) for seed in range(4)]
POINT = {"rate": 0.1}


@pytest.mark.parametrize(
    ("fresh", "word", "text"),
    [
        (
            (0.60, 0.61, 0.62),
            "better",
            "The winner, trial 1, is better than the baseline in bbox/AP on 3 new seeds: +0.195, 95 % interval [+0.",
        ),
        (
            (0.20, 0.21, 0.22),
            "worse",
            "The winner, trial 1, is worse than the baseline in bbox/AP on 3 new seeds: −0.205, 95 % interval [−0.",
        ),
        (
            (0.42, 0.43, 0.44),
            "cannot tell",
            "The winner, trial 1, is the best guess, but not shown to be better than the baseline in bbox/AP on 3 ",
        ),
    ],
)
def test_a_winner_with_new_seeds_gets_a_verdict(fresh: tuple[float, ...], word: str, text: str) -> None:
    runs = [*BASE, run(1, 0.7, point=POINT), *(run(1, value, seed=seed, point=POINT) for seed, value in enumerate(fresh, 1))]
    results = found(*runs, seeds=(0,))
    assert verdict(results) == word and search_report(results).data()["verdict"] == word
    shown, commands = answered(*runs, seeds=(0,))
    assert shown.startswith(text) and commands[0] == "runner train -c sweeps/one/runs/0001-s0/config.yml"
    if word == "cannot tell":
        assert "new seeds, judged alone" in shown
        assert (
            commands[1].startswith("sweep [4, 5, 6") and commands[1].endswith("[{'rate': 0.1}]") and commands[2].endswith("runs/s-confirm")
        )
    else:
        assert len(commands) == 1


def test_a_winner_without_new_seeds_gets_none(capsys: pytest.CaptureFixture[str]) -> None:
    shown, commands = answered(BASE[0], run(1, 0.7, point=POINT), seeds=(0,))
    assert shown.startswith("Trial 1 is the best of 2 trials in bbox/AP (0.700), without a verdict: ")
    assert "For a verdict: 3 new seeds, judged alone (6 runs)." in shown and commands[1] == "sweep [4, 5, 6] 6 [{'rate': 0.1}]"
    results = found(BASE[0], run(1, 0.7, point=POINT), run(1, 0.7, seed=1, point=POINT), seeds=(0,))
    assert verdict(results) is None
    assert "there are too few seeds for a verdict" in " ".join(note.text for note in answer_search(results))


def test_the_baseline_wins_or_nothing_does() -> None:
    shown, commands = answered(run(0, 0.8), run(1, 0.7, point=POINT))
    assert shown.startswith("No trial is better than the baseline in bbox/AP: of the 2 that are ranked it is the best (0.800).")
    assert commands == ["runner train -c sweeps/one/runs/0000-s0/config.yml"]
    assert answered(run(0, state="failed"))[0] == "No answer: no trial has finished."
    assert answered(run(0, 0.8))[0].startswith("No answer: only trial 0 has finished")


def test_an_unfinished_search_and_several_metrics() -> None:
    shown, commands = answered(run(0, 0.5), run(1, 0.7, point=POINT), run(2, state="running", point=POINT), sweep=facts(left=2))
    assert shown == "No answer yet: 7 of 9 runs have ended; so far the best guess is trial 1." and commands == ["runner resume runs/s"]
    both = [run(0, {AP.name: 0.5, MEMORY.name: 1.0}), run(1, {AP.name: 0.7, MEMORY.name: 2.0}, point=POINT)]
    shown, commands = answered(*both, metrics=(AP, MEMORY))
    assert "the Pareto front has 2 trials, and trial 1 the best bbox/AP" in shown and "0001-s0" in commands[0]
