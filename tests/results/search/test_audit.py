"""The harm audit on made-up curves: with crossing (harm), without (none), and with too little to tell."""

from __future__ import annotations

import random

import pytest
from scipy import stats
from support.search_runs import MEMORY, found, run

from runner.results.collect import RunResult
from runner.results.search.audit import audit_notes, audit_pruning


def rising(number: int, height: float, *, until: int = 100, crossing: bool = False) -> RunResult:
    """A run that reaches `height`. Without crossing it is ahead all the way; with it the higher it ends the later it rises."""
    curve = [(step, height * step / 100 if not crossing else height * (step / 100) ** (6 * height)) for step in (10, 30, 60, 100)]
    if until < 100:
        return run(number, state="pruned", point={"rate": number}, curve=[point for point in curve if point[0] <= until])
    return run(number, height, point={"rate": number}, curve=curve)


def test_curves_that_never_cross_show_no_harm() -> None:
    runs = [rising(number, 0.5 + number / 50) for number in range(12)]
    runs += [rising(20 + number, 0.1 + number / 100, until=30 if number % 2 else 10) for number in range(8)]
    audit = audit_pruning(found(*runs))
    assert audit is not None and (audit.finished, audit.pruned, audit.winner) == (12, 8, 11)
    assert [(rung.step, rung.pruned, rung.finished, rung.pairs, rung.disagreed, rung.winner_place) for rung in audit.rungs] == [
        (10, 4, 12, 66, 0, 1),
        (30, 4, 12, 66, 0, 1),
    ]
    assert all(rung.tau == pytest.approx(1.0) for rung in audit.rungs)
    assert audit.could_have_won == () and all(trial.rests_on == 12 for trial in audit.pruned_trials)
    text = "\n".join(map(str, audit_notes(audit)))
    statement = (
        "8 of 20 trials pruned, 12 finished; they took 68 % of the steps of unpruned trials; pruning has probably not cost a better winner "
        "than trial 11 (bbox/AP 0.720): none of 8 pruned trials would have reached it, and the order when they were pruned was that of the "
        "end in 132 of 132 pairs of finished trials"
    )
    assert text.splitlines()[0] == statement and "rough" not in text
    assert audit.steps_done == 12 * 100 + 4 * 10 + 4 * 30 and audit.steps_full == 2000


def test_crossing_curves_show_harm_and_name_who_could_have_won() -> None:
    heights = [0.3 + number / 40 for number in range(12)]
    runs = [rising(number, height, crossing=True) for number, height in enumerate(heights)]
    runs.append(rising(30, 0.62, until=30, crossing=True))  # behind nearly all at step 30, and would have won
    audit = audit_pruning(found(*runs))
    assert audit is not None
    [rung] = audit.rungs
    assert rung.disagreed > rung.pairs / 2 and rung.winner_place is not None and rung.winner_place > 6
    assert [trial.number for trial in audit.could_have_won] == [30]
    trial = audit.could_have_won[0]
    assert trial.high is not None and trial.low is not None and audit.winner_value is not None
    assert trial.low < 0.62 < trial.high and trial.high > audit.winner_value
    text = "\n".join(map(str, audit_notes(audit)))
    assert (
        "pruning may have cost a better winner than trial 11 (bbox/AP 0.575): 1 of 1 pruned trial could have reached it, and the order"
        in text
    )
    assert "trial 30 (rate=30)" in text
    assert "0 of 12 finished trials gained enough" in text and trial.enough == 0  # the range goes beyond what was seen


def test_tau_and_the_range_agree_with_scipy() -> None:
    dice = random.Random(1)
    early = [round(dice.random(), 1) for _ in range(20)]
    final = [value + dice.gauss(0.3, 0.2) for value in early]
    runs = [run(n, end, point={"rate": n}, curve=[(10, then)]) for n, (then, end) in enumerate(zip(early, final, strict=True))]
    audit = audit_pruning(found(*runs, run(50, state="pruned", point={"rate": 50}, curve=[(10, 0.2)])))
    assert audit is not None
    assert audit.rungs[0].tau == pytest.approx(stats.kendalltau(early, final).statistic)
    gains = [end - then for then, end in zip(early, final, strict=True)]
    low, high = stats.t(19, stats.tmean(gains), stats.tstd(gains) * (1 + 1 / 20) ** 0.5).interval(0.95)
    assert (audit.pruned_trials[0].low, audit.pruned_trials[0].high) == (pytest.approx(0.2 + low), pytest.approx(0.2 + high))


def test_the_range_holds_what_it_says() -> None:
    """Gains of another run of the same kind fall into the 95 % range in 93 to 97 % of 1,000 draws, by t and by order statistics."""
    dice = random.Random(2)
    for finished in (5, 45):
        hits = 0
        for _ in range(1000):
            gains = [dice.gauss(0.3, 0.1) for _ in range(finished + 1)]
            runs = [run(n, 0.1 + gain, point={"rate": n}, curve=[(10, 0.1)]) for n, gain in enumerate(gains[1:])]
            low, high = _range(runs)
            hits += low <= 0.1 + gains[0] <= high
        assert 0.93 <= hits / 1000 <= 0.97, finished


def _range(runs: list[RunResult]) -> tuple[float, float]:
    from runner.results.search.audit import _projected

    low, high = _projected(0.1, [item.metrics["bbox/AP"] - 0.1 for item in runs])
    assert low is not None and high is not None
    return low, high


def test_few_finished_trials_are_said_to_be_few() -> None:
    runs = [rising(1, 0.5), rising(2, 0.6), rising(3, 0.3, until=10), run(4, state="pruned", point={"rate": 4})]
    audit = audit_pruning(found(*runs))
    assert audit is not None and audit.pruned_trials[0].could_have_won is None and audit.unjudged == (4,)
    text = "\n".join(map(str, audit_notes(audit)))
    assert "whether pruning cost a better winner cannot be told" in text
    assert "cannot tell for trial 3: fewer than three finished trials" in text
    assert "only 2 trials finished: these figures are rough" in text and "before any evaluation, so nothing is known: trial 4" in text


def test_no_pruning_no_audit_and_nothing_finished() -> None:
    assert audit_pruning(found(rising(1, 0.5), run(2, state="failed"))) is None
    audit = audit_pruning(found(run(0, state="running"), rising(1, 0.5, until=30)))
    assert audit is not None and audit.winner is None and any("no trial finished" in line for line in map(str, audit_notes(audit)))


def test_a_metric_to_minimize_turns_it() -> None:
    runs = []
    for number in range(12):
        end = 1.0 + number / 10
        item = run(number, {MEMORY.name: end, "bbox/AP": 0.5}, point={"rate": number})
        runs.append(_with(item, [(10, 2 * end), (100, end)]))
    runs.append(_with(run(20, state="pruned", point={"rate": 20}), [(10, 9.0)]))
    runs.append(_with(run(21, state="pruned", point={"rate": 21}), [(10, 2.3)]))
    audit = audit_pruning(found(*runs, metrics=(MEMORY,)))
    assert audit is not None and audit.winner == 0
    assert [trial.number for trial in audit.could_have_won] == [21] and [trial.number for trial in audit.pruned_trials] == [21, 20]


def _with(item: RunResult, curve: list[tuple[int, float]]) -> RunResult:
    from dataclasses import replace

    return replace(item, evaluations=[(step, {MEMORY.name: value}) for step, value in curve])
