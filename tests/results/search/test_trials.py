"""Trials of a search from its runs: states, parameters, ranking, and what new seeds say of the winner."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.finished import make_run
from support.search_runs import AP, MEMORY, found, run

from runner.core.errors import InputError
from runner.results.collect import collect
from runner.results.search.report import search_report
from runner.results.search.trials import search_results
from runner.search.spec import Metric
from runner.store.run_dir import RunDir
from runner.views.renderers.csv_file import CsvRenderer

RATE, KIND, MOMENTUM = "LearningRate.base_lr", "optimizer.type", "optimizer.momentum"


def test_a_trial_s_value_is_the_mean_over_the_search_s_seeds_and_fresh_ones_stand_apart() -> None:
    results = found(
        run(0, 0.5),
        run(0, 0.52, seed=1),
        run(1, 0.7, point={RATE: 0.1}),
        run(1, 0.6, seed=1, point={RATE: 0.1}),
        run(1, 0.58, seed=7, point={RATE: 0.1}),
        run(1, 0.56, seed=8, point={RATE: 0.1}),
        run(2, 0.9, point={RATE: 0.2}),
        seeds=(0, 1),
    )
    assert results.ranked == (1, 0)
    winner = results.winner
    assert winner is not None and winner.value(AP.name) == pytest.approx(0.65)
    assert winner.fresh[AP.name].mean == pytest.approx(0.57) and winner.fresh[AP.name].n == 2
    assert results.gain is not None and results.gain.delta == pytest.approx(0.06)
    assert results.gain.low is not None and results.gain.low < 0.06 < (results.gain.high or 0)
    # one lucky seed is no finished trial
    assert results.trial(2).state == "pending" and results.trial(2).value(AP.name) is None


def test_every_state_is_told() -> None:
    results = found(
        run(0, 0.5),
        run(1, state="failed", point={RATE: 0.1}),
        run(2, state="failed", cause="out_of_memory", point={RATE: 0.2}),
        run(3, state="pruned", point={RATE: 0.3}, curve=[(10, 0.1), (30, 0.2)]),
        run(4, state="running", point={RATE: 0.4}),
        run(5, state="interrupted", point={RATE: 0.5}),
        run(6, state="pending", point={RATE: 0.6}),
        run(7, {"bbox/AP50": 0.4}, point={RATE: 0.7}),
    )
    assert [trial.state for trial in results.trials] == [
        "done",
        "failed",
        "infeasible",
        "pruned",
        "running",
        "interrupted",
        "pending",
        "failed",
    ]
    assert results.trial(3).curve == ((10, 0.1), (30, 0.2)) and results.trial(3).step == 30 and results.trial(3).reason
    assert results.trial(7).reason == "bbox/AP is missing in its evaluation"
    assert results.states() == {"done": 1, "failed": 2, "infeasible": 1, "pruned": 1, "running": 1, "interrupted": 1, "pending": 1}
    assert results.ranked == (0,)


def test_a_pruned_trial_s_seeds_are_averaged_where_all_have_an_evaluation() -> None:
    results = found(
        run(0, 0.5, curve=[(10, 0.2), (50, 0.4)]),
        run(0, 0.6, seed=1, curve=[(10, 0.3), (50, 0.5)]),
        run(1, 0.4, point={RATE: 1}, curve=[(10, 0.1), (50, 0.3)]),
        run(1, state="pruned", seed=1, point={RATE: 1}, curve=[(10, 0.3)]),
        run(1, state="pruned", seed=2, point={RATE: 1}),
        seeds=(0, 1),
    )
    assert results.trial(0).curve == ((10, 0.25), (50, pytest.approx(0.45)), (100, pytest.approx(0.55)))
    assert results.trial(1).state == "pruned" and results.trial(1).curve == ((10, 0.2),)
    assert (results.trial(1).steps_done, results.trial(1).steps_full) == (110, 200)


def test_conditions_baseline_and_followers() -> None:
    """The baseline's parameters are its config's; a key that did not apply is absent; what `derive` sets is no parameter."""
    config = {RATE: 0.01, KIND: "Momentum", MOMENTUM: 0.9}
    adam = replace(run(2, 0.6, config=config), overrides={KIND: "AdamW", "warmup": 7}, proposal={"params": {RATE: 0.01, KIND: "AdamW"}})
    results = found(run(0, 0.5, config=config), run(1, 0.6, point={RATE: 0.1, KIND: "Momentum", MOMENTUM: 0.8}, config=config), adam)
    assert results.parameters == (RATE, KIND, MOMENTUM)
    assert results.trial(0).parameters == {RATE: 0.01, KIND: "Momentum", MOMENTUM: 0.9}
    assert results.trial(2).parameters == {RATE: 0.01, KIND: "AdamW"}
    assert results.short == {RATE: "base_lr", KIND: "type", MOMENTUM: "momentum"}
    # a proposed value that is the baseline's own is no override; a mapping stands in the config in parts
    same = replace(run(3, 0.6, config=config | {"aug.flip": True}), proposal={"params": {RATE: 0.01, "aug": '{"flip": true}'}})
    assert found(run(0, 0.5, config=config), same).trial(3).parameters == {RATE: 0.01, "aug": '{"flip": true}'}


def test_constraints_unrank() -> None:
    runs = [run(0, {AP.name: 0.5, "memory": 4.0}), run(1, {AP.name: 0.9, "memory": 9.0}, point={RATE: 0.1}), run(2, 0.8, point={RATE: 0.2})]
    results = found(*runs, constraints=["resource/memory_gib <= 8"])
    assert results.ranked == (0,)
    assert [trial.violated for trial in results.trials] == [(), ("resource/memory_gib <= 8",), ("resource/memory_gib <= 8",)]
    both = found(*runs, run(1, {AP.name: 0.9, "memory": 7.0}, seed=1, point={RATE: 0.1}), constraints=["resource/memory_gib <= 8"])
    assert both.ranked == (0,)  # it has to hold for each seed
    with pytest.raises(InputError, match="Invalid constraint"):
        found(*runs, constraints=["resource/memory_gib <="])


def test_minimizing_turns_the_order() -> None:
    runs = [run(number, {AP.name: 0.5, MEMORY.name: 9.0 - number}, point={RATE: number}) for number in range(3)]
    assert found(*runs, metrics=(MEMORY,)).ranked == (2, 1, 0)


def test_what_cannot_be_looked_at_is_refused() -> None:
    with pytest.raises(InputError, match="no runs"):
        found()
    with pytest.raises(InputError, match=r"'bbox/AQ'.*did you mean 'bbox/AP'"):
        found(run(0, 0.5), metrics=(Metric(name="bbox/AQ"),))
    with pytest.raises(InputError, match="of one sweep, got runs of 2"):
        found(run(0, 0.5), replace(run(1, 0.5), path=Path("other/runs/x")))


def test_from_real_directories_to_json(tmp_path: Path) -> None:
    sweep = tmp_path / "a 'sweep' ✓"
    make_run(sweep, 0, ap=0.4)
    for number in range(1, 13):
        rate = 0.001 * number
        made = make_run(sweep, number, ap=0.3 + 0.02 * number, overrides={RATE: rate}, label=f"base_lr={rate}", base_lr=rate)
        identity = made.identity()
        assert identity is not None
        RunDir(made.path).write_identity(replace(identity, proposal={"params": {RATE: rate}, "distributions": {}}))
    make_run(sweep, 13, state="pruned", step=100, evaluations=[(100, 0.1)], overrides={RATE: 0.5}, label="base_lr=0.5")
    results = search_results(collect([sweep]), (AP,), seeds=(0,))
    data = search_report(results).data()
    assert json.loads(json.dumps(data, allow_nan=False)) == data and data["format"] == 2
    assert data["ranked"][:2] == [12, 11] and len(data["trials"]) == 14
    assert data["trials"][0]["parameters"] == {RATE: 0.002}
    assert data["trials"][0]["values"] == {AP.name: {"n": 1, "mean": 0.4, "std": None, "values": [0.4]}}, "as a comparison has it"
    assert data["importances"][0]["parameters"][0]["share"] == 1.0
    assert data["pareto"]["front"] == [12] and data["slices"][0]["key"] == RATE
    assert len(data["parallel"][0]["lines"]) == 14 and data["audit"]["pruned"] == 1 and data["audit"]["notes"][0]["id"] == "audit"


def test_a_trial_that_is_evaluated_at_another_size_than_it_was_trained_at_is_a_warning() -> None:
    key = "TrainReader.sample_transforms.0.Resize.target_size"

    def config(size: int) -> dict[str, Any]:
        return {key: [size, size], "EvalReader.sample_transforms.0.Resize.target_size": [320, 320]}

    trials = [run(number, 0.4, point={key: size} if number else None, config=config(size)) for number, size in enumerate((320, 416))]
    (warning,) = found(*trials).warnings
    assert "416×416 in training, 320×320 in evaluation" in str(warning)
    assert [str(each) for each in found(*trials, warnings=["a and b change together"]).warnings] == [
        "a and b change together",
        str(warning),
    ]


def test_the_memory_used_ranks_and_is_listed() -> None:
    memory = Metric(name="resource/memory_gib", goal="minimize")
    runs = [run(number, {AP.name: 0.5, "memory": 9.0 - number}, point={RATE: number} if number else None) for number in range(3)]
    assert found(*runs, metrics=(memory,)).ranked == (2, 1, 0)
    second = found(*runs, metrics=(AP, memory))
    assert second.trial(1).value(memory.name) == 8.0 and second.trial(1).state == "done"
    without = found(*runs, run(3, 0.7, point={RATE: 3}), metrics=(AP, memory))
    assert without.trial(3).reason == "resource/memory_gib is missing in its records"
    with pytest.raises(InputError, match="'resource/memory_gb'.* is now called 'resource/memory_gib'"):
        found(*runs, metrics=(Metric(name="resource/memory_gb"),))


def test_derived_keys_are_beside_the_searched_ones() -> None:
    derived = {"max_iters": 200, f"{KIND}.args": 1}
    runs = [
        run(0, 0.5, config={RATE: 0.1, "max_iters": 100}),
        replace(run(1, 0.6, point={RATE: 0.2, KIND: {"args": 1}}), overrides={RATE: 0.2, **derived, "seed": 1}),
    ]
    results = found(*runs)
    assert (results.parameters, results.derived) == ((RATE, KIND), ("max_iters",))
    assert [trial.derived for trial in results.trials] == [{"max_iters": 100}, {"max_iters": 200}]
    rows = list(csv.DictReader(io.StringIO(CsvRenderer().render(search_report(results, runs)))))
    assert [row["max_iters"] for row in rows] == ["100", "200"]
    assert search_report(results).data()["trials"][1]["derived"] == {"max_iters": 200}
