"""Designs: the baseline first, nothing twice, names that are safe."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import InputError
from runner.core.values import format_value, safe_name, same_value, short_keys
from runner.search.base import FixedDesign, Trial, TrialResult, run_name
from runner.search.designs import ABSENT, design_trials
from runner.search.spec import Factor, SweepSpec

BASELINE = {
    "TrainReader.batch_size": 2,
    "LearningRate.base_lr": 0.01,
    "max_iters": 400,
    "use_ema": True,
    "milestones": [2, 3],
}


def trials(**spec: Any) -> list[Trial]:
    return design_trials(SweepSpec(config="c.yml", **spec), lambda key: BASELINE.get(key, ABSENT))


def test_one_at_a_time_changes_one_key_a_trial() -> None:
    found = trials(vary={"TrainReader.batch_size": (2, 4, 8), "max_iters": Factor(values=(400, 800), label="schedule")})
    assert [(t.number, t.overrides, t.label) for t in found] == [
        (0, {}, "baseline"),
        (1, {"TrainReader.batch_size": 4}, "batch_size=4"),
        (2, {"TrainReader.batch_size": 8}, "batch_size=8"),
        (3, {"max_iters": 800}, "schedule=800"),
    ]


def test_equal_means_equal_in_yaml() -> None:
    found = trials(vary={"TrainReader.batch_size": (2.0, True), "use_ema": (1, False), "milestones": ((2, 3), [2, 4])})
    assert [t.overrides for t in found[1:]] == [
        {"TrainReader.batch_size": True},
        {"use_ema": 1},
        {"use_ema": False},
        {"milestones": [2, 4]},
    ]


def test_a_key_the_baseline_does_not_have_is_always_new() -> None:
    assert [t.overrides for t in trials(vary={"clip": (None, 1.0)})[1:]] == [{"clip": None}, {"clip": 1.0}]


def test_grid_is_every_combination_and_the_baseline_once() -> None:
    found = trials(design="grid", vary={"TrainReader.batch_size": (2, 4), "LearningRate.base_lr": (0.01, 0.02)})
    assert [t.overrides for t in found] == [
        {},
        {"LearningRate.base_lr": 0.02},
        {"TrainReader.batch_size": 4},
        {"TrainReader.batch_size": 4, "LearningRate.base_lr": 0.02},
    ]
    assert found[3].label == "batch_size=4, base_lr=0.02"


def test_a_grid_without_the_baselines_values_has_it_nevertheless() -> None:
    found = trials(design="grid", vary={"TrainReader.batch_size": (4, 8), "LearningRate.base_lr": (0.02, 0.04)})
    assert len(found) == 5 and found[0].overrides == {}


def test_list_is_the_baseline_and_what_is_listed() -> None:
    found = trials(design="list", trials=({"TrainReader.batch_size": 4, "max_iters": 400}, {"max_iters": 800}))
    assert [t.overrides for t in found] == [{}, {"TrainReader.batch_size": 4}, {"max_iters": 800}]


def test_listed_trials_that_come_to_the_same_are_all_named() -> None:
    with pytest.raises(InputError) as caught:
        trials(design="list", trials=({"max_iters": 400}, {"max_iters": 800}, {"max_iters": 800, "use_ema": True}))
    assert [p.key for p in caught.value.problems] == ["trials.0", "trials.2"]


def test_fixed_design_hands_each_trial_out_once() -> None:
    planned = trials(vary={"TrainReader.batch_size": (4, 8)})
    search = FixedDesign(planned)
    search.tell(planned[1], TrialResult("done", {0: 0.4}))  # an earlier driver finished it
    assert list(search.planned()) == planned
    assert [search.ask(), search.ask(), search.ask(), search.ask()] == [planned[0], planned[2], None, None]
    search.tell(planned[0], TrialResult("failed", reason="out of memory"))
    search.tell(planned[0], TrialResult("failed", reason="out of memory"))
    assert search.ask() is None


def test_fixed_design_refuses_a_number_twice() -> None:
    with pytest.raises(ValueError, match="same number"):
        FixedDesign([Trial(0, {}, "a"), Trial(0, {}, "b")])


def test_run_name_is_the_one_of_the_design_document() -> None:
    assert run_name(Trial(3, {"TrainReader.batch_size": 8}, "batch_size=8"), 1) == "0003-batch_size=8-s1"
    assert run_name(Trial(0, {}, "baseline"), 0) == "0000-baseline-s0"
    assert run_name(Trial(12345, {}, "a=1, b=[2, 3]"), 7) == "12345-a=1,b=2,3-s7"


@pytest.mark.parametrize("value", ["../../etc/passwd", "a b", "q\"u'o", "日本語", "", "x" * 500, "new\nline", "~$HOME`", "C:\\x", "-rf"])
def test_run_names_are_safe(value: str) -> None:
    name = run_name(Trial(1, {}, f"pretrain_weights={value}"), 0)
    assert name.startswith("0001-pretrain_weights=") and name.endswith("-s0")
    assert len(name) <= 80 and not set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.=,+-_")


@given(st.text())
def test_safe_name_is_never_empty_and_stays_the_same(text: str) -> None:
    name = safe_name(text)
    assert 0 < len(name) <= 60 and name == safe_name(text) and name.isascii() and "/" not in name


def test_long_names_with_one_beginning_stay_apart() -> None:
    assert safe_name("x" * 100 + "a") != safe_name("x" * 100 + "b")


def test_short_keys_are_the_last_distinguishing_part() -> None:
    assert short_keys(["TrainReader.batch_size", "max_iters"]) == {
        "TrainReader.batch_size": "batch_size",
        "max_iters": "max_iters",
    }
    assert short_keys(["TrainReader.batch_size", "EvalReader.batch_size"]) == {
        "TrainReader.batch_size": "TrainReader.batch_size",
        "EvalReader.batch_size": "EvalReader.batch_size",
    }
    assert short_keys(["a.b.c", "b.c"]) == {"a.b.c": "a.b.c", "b.c": "b.c"}
    assert short_keys(["LearningRate.schedulers.0.milestones.1"]) == {"LearningRate.schedulers.0.milestones.1": "milestones.1"}
    assert short_keys(["x", "x"]) == {"x": "x"}


@given(st.lists(st.lists(st.sampled_from(["a", "b", "0"]), min_size=1, max_size=4).map(".".join), min_size=1, max_size=6))
def test_short_keys_never_collide(keys: list[str]) -> None:
    short = short_keys(keys)
    assert len(set(short.values())) == len(set(keys))


def test_values_in_words() -> None:
    shown = [format_value(v) for v in (True, None, 1e-4, 0.00125, [2, [3]], {"a": 1}, "x\ny", 3558)]
    assert shown == ["true", "null", "0.0001", "0.00125", "[2, [3]]", "{a: 1}", "x y", "3558"]


def test_same_value() -> None:
    assert same_value({"a": [1, 2]}, {"a": (1.0, 2)}) and same_value(None, None)
    assert not same_value(1, True) and not same_value([1], [1, 2]) and not same_value("1", 1) and not same_value(None, 0)
