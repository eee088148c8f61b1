"""The answer of a comparison, in every case that it has to be right for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.finished import make_run

from runner.core.errors import InputError
from runner.results.answer import SweepFacts
from runner.results.collect import collect
from runner.results.compare import compare
from runner.results.comparison import Comparison
from runner.results.notes import ReportNote, note, paragraphs
from runner.views.renderers.json_file import JsonRenderer
from runner.views.renderers.markdown import MarkdownRenderer

RATES = {1: 0.001, 2: 0.004, 3: 0.008}


def facts(**changes: Any) -> SweepFacts:
    def with_seeds(seeds: Any, runs: int, trial: Any) -> str:
        return f"runner sweep lr.yml {list(seeds)} {runs}"

    known: dict[str, Any] = {"folder": "runs/lr", "runs": 9, "left": 0, "proceed": "runner resume runs/lr", "first_fresh": 3}
    known |= {"fresh_folder": "runs/lr-confirm", "is_made": False, "with_seeds": with_seeds}
    return SweepFacts(**{**known, **changes})


def rates(sweep: Path, values: Mapping[int, list[float]], **how: Any) -> Path:
    """A sweep of `base_lr`, the baseline (base_lr 0.002): trial number to the AP of each seed."""
    for number, results in values.items():
        point = {"overrides": {"LearningRate.base_lr": RATES[number]}, "base_lr": RATES[number]} if number else {}
        for seed, value in enumerate(results):
            label = f"base_lr={RATES[number]}" if number else "baseline"
            make_run(sweep, number, seed, ap=value, label=label, **point, **how)
    return sweep


def answered(found: Comparison) -> tuple[str, list[str]]:
    """The sentences and the commands."""
    parts = list(paragraphs(found.answer))
    return " ".join(text for text, _ in parts if text), [command for _, command in parts if command]


def of(sweep: Path, known: SweepFacts | None = None, **options: Any) -> tuple[str, list[str]]:
    return answered(compare(collect([sweep]), sweep=facts() if known is None else known, **options))


def test_nothing_is_shown_and_what_would_show_it(tmp_path: Path) -> None:
    text, commands = of(rates(tmp_path / "lr", {0: [0.40, 0.42, 0.44], 1: [0.38, 0.40, 0.42], 2: [0.43, 0.45, 0.47]}))
    assert text == (
        "No base_lr is shown to be better than the baseline (base_lr 0.002) in bbox/AP; base_lr 0.004 is the best guess "
        "(+0.030, 95 % interval [−0.017, +0.077]). With 3 seeds per trial only differences above 0.062 bbox/AP are detectable. "
        "To settle it, if the difference is as large as it seems: 10 new seeds, judged alone (30 runs, about 30:00 one after the other)."
    )
    assert commands == [f"runner sweep lr.yml {list(range(3, 13))} 30", "runner compare runs/lr-confirm"]


def test_a_difference_too_small_for_twenty_seeds(tmp_path: Path) -> None:
    text, commands = of(rates(tmp_path / "lr", {0: [0.40, 0.42, 0.44], 1: [0.401, 0.422, 0.442], 2: [0.2, 0.21, 0.22]}))
    assert "base_lr 0.001 is the best guess (+0.002, " in text and " Worse: base_lr 0.004." in text
    assert "Even 20 new seeds, judged alone, detect only differences above 0.0" in text and "range" not in text
    assert commands[0] == f"runner sweep lr.yml {list(range(3, 23))} 60"


def test_the_baseline_is_the_best_guess(tmp_path: Path) -> None:
    text, commands = of(rates(tmp_path / "lr", {0: [0.40, 0.42, 0.44], 1: [0.39, 0.41, 0.43], 2: [0.2, 0.21, 0.22]}))
    assert text.startswith(
        "No base_lr is shown to be better than the baseline (base_lr 0.002) in bbox/AP, which is also the best guess: the nearest is "
        "base_lr 0.001 "
    )
    assert "10 new seeds, judged alone, detect differences above" in text and commands[0].endswith(" 30")


def test_everything_is_worse(tmp_path: Path) -> None:
    sweep = rates(tmp_path / "lr", {0: [0.50, 0.51, 0.52], 1: [0.3, 0.31, 0.32], 2: [0.2, 0.21, 0.22]})
    text, commands = of(sweep)
    assert text.startswith(
        "Every other base_lr is worse than the baseline (base_lr 0.002) in bbox/AP; the nearest is base_lr 0.001 (−0.200, "
    )
    assert commands == [f"runner train -c {sweep}/runs/0000-baseline-s0/config.yml"]
    text, _ = of(rates(tmp_path / "one", {0: [0.50, 0.51, 0.52], 1: [0.3, 0.31, 0.32]}))
    assert text.startswith("base_lr 0.001 is worse than the baseline (base_lr 0.002) in bbox/AP: −0.200, 95 % interval [")
    assert of(sweep, goal="minimize")[0].startswith(
        "base_lr 0.004 is the best guess of the 2 that are better than the baseline (base_lr 0.002)"
    )


def test_one_is_better_and_what_it_costs(tmp_path: Path) -> None:
    sweep = tmp_path / "sw"
    for seed in range(3):
        make_run(sweep, 0, seed, ap=0.40 + seed / 100)
        longer: dict[str, Any] = {"label": "schedule=600", "max_iters": 600, "steps": 600, "overrides": {"max_iters": 600}}
        make_run(sweep, 1, seed, ap=0.60 + seed / 100, seconds=120.0, **longer)
        batch: dict[str, Any] = {"label": "batch_size=16", "batch_size": 16, "overrides": {"TrainReader.batch_size": 16}}
        make_run(sweep, 2, seed, ap=0.40 + seed / 100, **batch)
    text, commands = of(sweep)
    assert text == (
        "Trial 1 (schedule=600) is better than the baseline in bbox/AP: +0.200, 95 % interval [+0.177, +0.223]. "
        "It takes 2.0 times the time and 1.2 times the memory of the baseline. To train trial 1 (schedule=600) again, by its config:"
    )
    assert commands == [f"runner train -c {sweep}/runs/0001-schedule=600-s0/config.yml"]


def test_several_are_better_and_can_or_cannot_be_told_apart(tmp_path: Path) -> None:
    base = {0: [0.10, 0.11, 0.12]}
    text, commands = of(rates(tmp_path / "apart", {**base, 1: [0.50, 0.51, 0.52], 2: [0.30, 0.31, 0.32]}))
    assert "base_lr 0.001 is the best guess of the 2 that are better than the baseline (base_lr 0.002)" in text
    assert "It is also better than base_lr 0.004." in text and len(commands) == 1 and "0001-base_lr=0.001-s0/config.yml" in commands[0]
    text, commands = of(rates(tmp_path / "near", {**base, 1: [0.50, 0.51, 0.52], 2: [0.51, 0.52, 0.53], 3: [0.3, 0.31, 0.32]}))
    assert "Whether base_lr 0.004 is better than base_lr 0.001 cannot be told; it is better than base_lr 0.008." in text
    assert commands[1] == "runner compare runs/lr-confirm --against 2"
    values = {0: [0.10, 0.11, 0.12], 1: [0.50, 0.51, 0.52], 2: [0.52, 0.53, 0.54]}  # apart by two standard deviations
    looks = of(rates(tmp_path / "raced", values), looks=(3, 5))
    assert "Whether base_lr 0.004 is better than base_lr 0.001 cannot be told." in looks[0]


def test_a_single_seed_and_a_single_trial(tmp_path: Path) -> None:
    text, commands = of(rates(tmp_path / "lr", {0: [0.4], 1: [0.5], 2: [0.3]}), images=False)
    assert text == (
        "Nothing is shown with a single seed per trial; base_lr 0.001 is the best guess (+0.100 bbox/AP), but another seed may order the "
        "trials otherwise. For a verdict: 3 new seeds, judged alone (9 runs, about 9:00 one after the other)."
    )
    assert commands[0] == "runner sweep lr.yml [3, 4, 5] 9"
    assert "the baseline (base_lr 0.002) is the best guess, but" in of(rates(tmp_path / "worse", {0: [0.4], 1: [0.3]}), images=False)[0]
    text, commands = of(rates(tmp_path / "alone", {0: [0.40, 0.42]}))
    assert text == (
        "There is one trial only, so nothing is compared: bbox/AP is 0.410 ± 0.014 (2 seeds). To compare changes, list them in a sweep "
        "file (`runner sweep`). To see how much the seed alone changes the result:"
    )
    assert commands == [f"runner train -c {tmp_path}/alone/runs/0000-baseline-s0/config.yml -o seed=2"]


def test_no_baseline_and_no_noise_and_other_data(tmp_path: Path) -> None:
    rates(tmp_path / "lr", {1: [0.5, 0.51]})
    make_run(tmp_path / "lr", 0, state="failed", reason="crashed")
    text, commands = of(tmp_path / "lr")
    assert text == "No answer: the baseline (base_lr 0.002) has no finished run to compare with." and commands == [
        "runner retry runs/lr --failed"
    ]
    assert "gave the same value" in of(rates(tmp_path / "flat", {0: [0.4, 0.4], 1: [0.5, 0.5]}))[0]
    rates(tmp_path / "data", {0: [0.4, 0.41]})
    for seed in range(2):
        make_run(tmp_path / "data", 1, seed, label="b", overrides={"LearningRate.base_lr": 0.1}, base_lr=0.1, evaluated_on="other.json")
    assert "evaluated on other data than the baseline" in of(tmp_path / "data")[0]
    rates(tmp_path / "failed", {0: [0.4, 0.41]})
    make_run(tmp_path / "failed", 1, state="failed", overrides={"LearningRate.base_lr": 0.1}, base_lr=0.1)
    assert of(tmp_path / "failed")[0] == "No answer: no other trial has a finished run with the metric."


def test_an_unfinished_sweep_is_continued_first(tmp_path: Path) -> None:
    sweep = rates(tmp_path / "lr", {0: [0.1, 0.11, 0.12], 1: [0.5, 0.51, 0.52]})
    text, commands = of(sweep, facts(left=1))
    assert text == "No answer yet: 8 of 9 runs have ended; so far the best guess is base_lr 0.001."
    assert commands == ["runner resume runs/lr"]
    worse = rates(tmp_path / "worse", {0: [0.5, 0.51, 0.52], 1: [0.1, 0.11, 0.12]})
    assert of(worse, facts(left=1))[0].endswith("so far the best guess is the baseline (base_lr 0.002).")


def test_fresh_seeds_that_were_run_and_a_command_that_is_not_known(tmp_path: Path) -> None:
    sweep = rates(tmp_path / "lr", {0: [0.40, 0.42, 0.44], 1: [0.42, 0.44, 0.46]})
    text, commands = of(sweep, facts(is_made=True))
    assert text.endswith("A sweep with new seeds is in runs/lr-confirm; judge it alone.") and commands == ["runner compare runs/lr-confirm"]
    text, commands = of(sweep, facts(with_seeds=None))
    assert "There is no command for that: the sweep file or its config is missing" in text and commands == []
    text, commands = answered(compare(collect([sweep])))
    assert text.endswith("new seeds per trial, judged alone, as a sweep (`runner sweep`).") and commands == []


def test_another_reference(tmp_path: Path) -> None:
    sweep = rates(tmp_path / "lr", {0: [0.40, 0.42, 0.44], 1: [0.20, 0.21, 0.23], 2: [0.42, 0.44, 0.46]})
    found = compare(collect([sweep]), against=2, sweep=facts())
    assert [(trial.number, trial.is_baseline, trial.verdict) for trial in found.trials] == [
        (2, True, None),
        (0, False, "cannot tell"),
        (1, False, "worse"),
    ]
    text, commands = answered(found)
    assert text.startswith(
        "No base_lr is shown to be better than base_lr 0.004 in bbox/AP, which is also the best guess: the nearest is the"
    )
    assert commands[-1] == "runner compare runs/lr-confirm --against 2"
    assert "trial 2 is the reference in the place of the baseline" in " ".join(each.text for each in found.notes)
    assert json.loads(JsonRenderer().render(found))["against"] == 2
    assert found.reference == "trial 2" and "| reference |" in MarkdownRenderer().render(found)
    swapped = compare(collect([sweep]), against=0)
    assert [trial.effects for trial in swapped.trials] == [trial.effects for trial in compare(collect([sweep])).trials]
    with pytest.raises(InputError, match=r"--against 7: no trial has this number; expected one of 0 \(baseline\), 1 \(base_lr=0.001\), 2 "):
        compare(collect([sweep]), against=7)


def test_an_answer_is_data_and_every_renderer_shows_it(tmp_path: Path) -> None:
    found = compare(collect([rates(tmp_path / "lr", {0: [0.40, 0.42, 0.44], 1: [0.42, 0.44, 0.46]})]), sweep=facts())
    data = json.loads(JsonRenderer().render(found))["answer"]
    assert [each["id"] for each in data] == ["answer-none-better", "answer-detectable", "answer-fresh", "command", "command"]
    assert data[0]["arguments"]["best"] == "base_lr 0.001"
    lines = MarkdownRenderer().render(found).splitlines()
    sentence, commands = answered(found)
    assert sentence in lines and all(f"    {command}" in lines for command in commands)


def test_sentences_are_joined_between_commands() -> None:
    notes: list[ReportNote] = [note("answer-no-noise"), note("answer-no-noise"), note("command", command="a"), note("answer-no-noise")]
    one = notes[0].text
    assert list(paragraphs(notes)) == [(f"{one} {one}", ""), ("", "a"), (one, "")]
