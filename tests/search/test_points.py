"""Designs: the baseline first, nothing twice, names that are safe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import InputError
from runner.core.values import ABSENT, MOST_DIGITS, enough_digits, format_value, safe_name, same_value, short_keys
from runner.search.base import DESIGNS, WAIT, Baseline, FixedSearch, Trial, TrialResult, run_name
from runner.search.combine import CombineBest
from runner.search.confounded import confounded
from runner.search.points import baseline_values, derive_overrides
from runner.search.spec import Choice, Factor, Metric, Span, SweepSpec

BASELINE = {
    "TrainReader.batch_size": 2,
    "LearningRate.base_lr": 0.01,
    "max_iters": 400,
    "use_ema": True,
    "milestones": [2, 3],
}


def trials(**spec: Any) -> list[Trial]:
    return design_trials(SweepSpec(config="c.yml", **spec), lambda key: BASELINE.get(key, ABSENT))


def design_trials(spec: SweepSpec, baseline: Baseline) -> list[Trial]:
    return list(DESIGNS.get(spec.design)().trials(spec, baseline))


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


def test_zip_takes_one_value_of_each_key_at_a_time() -> None:
    found = trials(design="zip", vary={"TrainReader.batch_size": (2, 4, 8, 4), "LearningRate.base_lr": (0.01, 0.02, 0.04, 0.02)})
    assert [(t.number, t.overrides) for t in found] == [
        (0, {}),  # the first pair is the baseline
        (1, {"TrainReader.batch_size": 4, "LearningRate.base_lr": 0.02}),
        (2, {"TrainReader.batch_size": 8, "LearningRate.base_lr": 0.04}),
    ]
    assert found[2].label == "batch_size=8, base_lr=0.04"


def test_of_optunas_trials_only_the_baseline_is_known_in_advance() -> None:
    assert trials(design="optuna", space={"max_iters": (400, 800)}) == [Trial(0, {}, "baseline")]


def test_a_large_grid_is_made_at_once() -> None:
    found = trials(design="grid", vary={name: tuple(range(22)) for name in "abc"})
    assert len(found) == 22**3 + 1 and len({t.number for t in found}) == len(found)


COUPLE = {"LearningRate.base_lr": "base * TrainReader.batch_size / 2"}


def test_what_is_derived_follows_where_it_is_not_varied_itself() -> None:
    found = trials(vary={"TrainReader.batch_size": (4, 8), "LearningRate.base_lr": (0.005,), "max_iters": (800,)}, derive=COUPLE)
    assert [(t.overrides, t.label) for t in found[1:]] == [
        ({"TrainReader.batch_size": 4, "LearningRate.base_lr": 0.02}, "batch_size=4"),
        ({"TrainReader.batch_size": 8, "LearningRate.base_lr": 0.04}, "batch_size=8"),
        ({"LearningRate.base_lr": 0.005}, "base_lr=0.005"),
        ({"max_iters": 800}, "max_iters=800"),
    ]


def test_a_grid_holds_a_derived_key_where_it_says_so_itself() -> None:
    found = trials(design="grid", vary={"TrainReader.batch_size": (4,), "LearningRate.base_lr": (0.01, 0.03)}, derive=COUPLE)
    assert [t.overrides for t in found[1:]] == [{"TrainReader.batch_size": 4}, {"TrainReader.batch_size": 4, "LearningRate.base_lr": 0.03}]


def derive(point: dict[str, Any], **expressions: str) -> dict[str, Any]:
    spec = SweepSpec(config="c.yml", derive={key.replace("__", "."): text for key, text in expressions.items()})
    return derive_overrides(spec, point, lambda key: BASELINE.get(key, ABSENT))


def test_integers_stay_integers_where_the_result_is_whole() -> None:
    result = derive({"TrainReader.batch_size": 4}, max_iters="base * 2 / TrainReader.batch_size")
    assert result == {"TrainReader.batch_size": 4, "max_iters": 200} and type(result["max_iters"]) is int
    assert derive({"TrainReader.batch_size": 3}, max_iters="base * 2 / TrainReader.batch_size")["max_iters"] == pytest.approx(266.666667)
    result = derive({"TrainReader.batch_size": 200}, LearningRate__base_lr="base * TrainReader.batch_size / 2")
    assert result["LearningRate.base_lr"] == 1.0 and type(result["LearningRate.base_lr"]) is float


def test_what_follows_may_be_followed() -> None:
    follows = {"LearningRate__base_lr": "base * max_iters / 400", "max_iters": "base * 2 // TrainReader.batch_size"}
    assert derive({"TrainReader.batch_size": 8}, **follows) == {
        "TrainReader.batch_size": 8,
        "max_iters": 100,
        "LearningRate.base_lr": 0.0025,
    }
    assert derive({"use_ema": False}, **follows) == {"use_ema": False}
    assert derive({"TrainReader.batch_size": 2}, **follows) == {}  # as in the baseline: nothing moves


def test_what_follows_to_the_baselines_value_is_no_override() -> None:
    assert derive({"TrainReader.batch_size": 4}, max_iters="max(base, 100 * TrainReader.batch_size)") == {"TrainReader.batch_size": 4}


@pytest.mark.parametrize(
    ("expressions", "expected"),
    [
        ({"max_iters": "base / (TrainReader.batch_size - 4)"}, "has no value for TrainReader.batch_size=4: division of 400 by zero"),
        ({"max_iters": "base * TrainReader.batch_sise * TrainReader.batch_size"}, "the baseline has no TrainReader.batch_sise"),
        ({"clip": "base * TrainReader.batch_size"}, "the baseline has no clip"),
        ({"milestones": "base * TrainReader.batch_size"}, "'[2, 3]' is not a number"),
        ({"a": "b * TrainReader.batch_size", "b": "a"}, "depends on itself in a circle"),
    ],
)
def test_what_cannot_follow_is_named(expressions: dict[str, str], expected: str) -> None:
    with pytest.raises(InputError, match="^derive") as caught:
        derive({"TrainReader.batch_size": 4}, **expressions)
    assert expected in str(caught.value)


def test_all_values_that_cannot_be_followed_are_named() -> None:
    with pytest.raises(InputError) as caught:
        trials(vary={"TrainReader.batch_size": (4, 8)}, derive={"max_iters": "base / 0 * TrainReader.batch_size"})
    assert len(caught.value.problems) == 2


def test_the_baselines_values_by_any_key() -> None:
    value = baseline_values({"a": {"b": [{"c": 1}, [2, 3]]}, "max_iters": None})
    keys = ["a.b.0.c", "a.b.1.1", "a.b.1", "max_iters", "a.b.2", "a.b.c", "a.b.0.c.d", "max_iters.x"]
    assert [value(key) for key in keys] == [1, 3, [2, 3], None, ABSENT, ABSENT, ABSENT, ABSENT]


JOINED = SweepSpec(
    config="c.yml",
    vary={"TrainReader.batch_size": (4, 8), "max_iters": Factor(values=(400, 800), label="schedule"), "use_ema": (False,)},
    derive=COUPLE,
    combine_best=True,
    seeds=(0, 1),
    metric=Metric(name="bbox/AP"),
)


def lookup(key: str) -> Any:
    return BASELINE.get(key, ABSENT)


def join(spec: SweepSpec = JOINED) -> CombineBest:
    return CombineBest(spec, design_trials(spec, lookup), lookup)


def done(*values: float, tag: str = "bbox/AP") -> TrialResult:
    return TrialResult("done", {seed: {tag: value} for seed, value in enumerate(values)})


def run_fixed(search: CombineBest, results: dict[str, TrialResult]) -> None:
    asked = [search.ask() for _ in results]
    assert [trial.label for trial in asked if isinstance(trial, Trial)] == list(results)
    assert search.ask() is WAIT
    for trial in asked:
        assert isinstance(trial, Trial)
        search.tell(trial, results[trial.label])


RESULTS = {
    "baseline": done(0.30, 0.32),
    "batch_size=4": done(0.33, 0.33),
    "batch_size=8": done(0.36, 0.34),
    "schedule=800": done(0.50, 0.13),  # better by its mean, with one seed worse
    "use_ema=false": done(0.20, 0.40),
}


def test_the_last_trial_joins_the_best_values_and_what_follows_them() -> None:
    search = join()
    run_fixed(search, RESULTS)
    last = search.ask()
    assert last == Trial(5, {"TrainReader.batch_size": 8, "max_iters": 800, "LearningRate.base_lr": 0.04}, "batch_size=8, schedule=800")
    assert search.ask() is None
    search.tell(last, done(0.6, 0.6))
    assert search.ask() is None


def test_a_goal_to_minimize_is_joined_the_other_way_round() -> None:
    search = join(replace(JOINED, metric=Metric(name="loss", goal="minimize")))
    run_fixed(search, {label: done(*(tags["bbox/AP"] for tags in result.values.values()), tag="loss") for label, result in RESULTS.items()})
    assert search.ask() is None  # only use_ema=false is below the baseline


@pytest.mark.parametrize(
    "changed",
    [
        {"baseline": TrialResult("failed")},
        {"baseline": done()},
        {"schedule=800": TrialResult("failed", {0: {"bbox/AP": 0.9}})},
        {"schedule=800": done(0.31, 0.31)},
        {"schedule=800": TrialResult("infeasible")},
        {"schedule=800": TrialResult("done", {0: {"bbox/AP50": 0.9}})},
    ],
)
def test_nothing_is_joined_where_fewer_than_two_are_better(changed: dict[str, TrialResult]) -> None:
    search = join()
    run_fixed(search, RESULTS | changed)
    assert search.ask() is None


def test_the_last_trial_waits_for_every_result() -> None:
    search = join()
    asked = [search.ask() for _ in RESULTS]
    for trial in asked[:-1]:
        assert isinstance(trial, Trial)
        search.tell(trial, RESULTS[trial.label])
        assert search.ask() is WAIT


def test_a_later_driver_does_not_run_the_last_trial_again() -> None:
    first = join()
    run_fixed(first, RESULTS)
    last = first.ask()
    assert isinstance(last, Trial)
    for going_on in (False, True):
        second = join()
        for trial in second.planned():
            second.tell(trial, RESULTS[trial.label])
        if going_on:
            second.resume(last)
        else:
            second.tell(last, done(0.6, 0.6))
        assert second.ask() is None


def test_the_last_trial_gets_the_seeds_that_were_added_and_a_number_of_its_own() -> None:
    first = join()
    run_fixed(first, RESULTS)
    last = first.ask()
    assert isinstance(last, Trial)
    more = join(replace(JOINED, seeds=(0, 1, 2)))
    for trial in more.planned():
        more.tell(trial, RESULTS[trial.label])
    more.tell(replace(last, seeds=(0, 1)), done(0.6, 0.6))
    assert more.ask() == replace(last, seeds=(2,))
    other = join()
    for trial in other.planned():
        other.tell(trial, RESULTS[trial.label] if trial.label != "batch_size=8" else done(0.31, 0.1))
    other.tell(last, done(0.6, 0.6))
    new = other.ask()
    assert isinstance(new, Trial) and (new.number, new.label) == (6, "batch_size=4, schedule=800")


CONFIG = {
    "TrainReader": {"batch_size": 2},
    "LearningRate": {"base_lr": 0.01, "schedulers": [{"name": "PiecewiseDecay", "milestone_iters": [200, 300]}]},
    "max_iters": 400,
    "epoch": None,
}


def warnings(config: dict[str, Any] | None = None, **spec: Any) -> list[str]:
    return confounded(SweepSpec(config="c.yml", **spec), baseline_values(CONFIG if config is None else config))


BATCH = {"TrainReader.batch_size": (4,)}
HOLDS_IMAGES = {"max_iters": "round(base * 2 / TrainReader.batch_size)"}


def test_a_batch_size_by_itself_is_confounded_twice() -> None:
    rate, images = warnings(vary=BATCH)
    assert rate.startswith("TrainReader.batch_size is varied and LearningRate.base_lr stays at 0.01: ")
    assert rate.endswith('derive: {LearningRate.base_lr: "base * TrainReader.batch_size / 2"}')
    assert "max_iters stays at 400: a batch of 4 instead of 2 sees 2 times the images" in images
    assert images.endswith('derive: {max_iters: "round(base * 2 / TrainReader.batch_size)"}')


def test_the_rate_follows_the_square_root_of_the_batch_size_for_adam() -> None:
    for optimizer, factor in (("AdamW", "sqrt(TrainReader.batch_size / 2)"), ("Momentum", "TrainReader.batch_size / 2")):
        rate, _ = warnings(CONFIG | {"OptimizerBuilder": {"optimizer": {"type": optimizer}}}, vary=BATCH)
        assert rate.endswith(f'derive: {{LearningRate.base_lr: "base * {factor}"}}')


def test_what_a_warning_says_to_do_ends_it() -> None:
    assert (
        warnings(
            vary=BATCH,
            derive=COUPLE | HOLDS_IMAGES | {f"LearningRate.schedulers.0.milestone_iters.{i}": "base * max_iters / 400" for i in (0, 1)},
        )
        == []
    )


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        ({"vary": {"LearningRate.base_lr": (0.1,)}}, 0),
        ({"vary": BATCH | {"LearningRate.base_lr": (0.1,)}}, 2),  # each by itself
        ({"design": "grid", "vary": BATCH | {"LearningRate.base_lr": (0.1,)}}, 1),
        ({"design": "zip", "vary": BATCH | {"LearningRate.base_lr": (0.1,)}}, 1),
        ({"design": "list", "trials": ({"TrainReader.batch_size": 4, "LearningRate.base_lr": 0.1},)}, 1),
        ({"design": "list", "trials": ({"TrainReader.batch_size": 4}, {"LearningRate.base_lr": 0.1})}, 2),
        ({"design": "optuna", "space": {"TrainReader.batch_size": (2, 4), "LearningRate.base_lr": Span(low=0.01, high=0.1)}}, 1),
        ({"design": "optuna", "space": {"TrainReader.batch_size": Choice(choices=(2, 4))}}, 2),
        ({"vary": BATCH, "derive": COUPLE}, 1),
        ({"vary": {"max_iters": (800,)}}, 1),
        ({"design": "grid", "vary": {"max_iters": (800,), "LearningRate.schedulers.0.milestone_iters": ([400, 600],)}}, 0),
    ],
)
def test_when_there_are_warnings(spec: dict[str, Any], count: int) -> None:
    assert len(warnings(**spec)) == count


def test_at_fixed_epochs_the_steps_differ() -> None:
    found = warnings({**CONFIG, "max_iters": None, "epoch": 12}, vary=BATCH, derive=COUPLE)
    assert len(found) == 1 and "epoch stays at 12: a batch of 4 instead of 2 makes 0.5 times the steps" in found[0]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"vary": {"TrainReader.batch_size": (3,)}}, "a batch of 3 instead of 2 sees 1.5 times the images"),
        ({"vary": {"TrainReader.batch_size": (1, 2, 8)}}, "a batch of 1 or 8 instead of 2 sees 0.5 or 4 times the images"),
        ({"vary": {"TrainReader.batch_size": Factor(values=(7,), label="b")}}, "a batch of 7 instead of 2 sees 3.5 times the images"),
        ({"design": "list", "trials": ({"TrainReader.batch_size": 3}, {"x": 1})}, "a batch of 3 instead of 2 sees 1.5 times the images"),
        (
            {"design": "optuna", "space": {"TrainReader.batch_size": Span(low=3, high=6)}},
            "a batch of 3 or 6 instead of 2 sees 1.5 or 3 times the",
        ),
        ({"vary": {"TrainReader.batch_size": ("x",)}}, "another batch sees more or fewer images"),
    ],
)
def test_how_many_more_images_are_seen(spec: dict[str, Any], says: str) -> None:
    assert any(f"max_iters stays at 400: {says}" in text for text in warnings(**spec))


def test_a_cosine_of_a_fixed_length_does_not_follow_either() -> None:
    config = {**CONFIG, "LearningRate": {"base_lr": 0.01, "schedulers": [{"name": "CosineDecay", "max_iters": 400, "max_epochs": None}]}}
    (text,) = warnings(config, vary={"max_iters": (800,)})
    assert "the cosine of the learning rate ends at 400 all the same" in text
    assert (
        warnings(config, vary={"max_iters": (800,)}, derive={"LearningRate.schedulers.0.max_iters": "round(base * max_iters / 400)"}) == []
    )
    to_the_end = {"name": "CosineDecay", "max_iters": None, "max_epochs": None}
    config = {**CONFIG, "LearningRate": {"base_lr": 0.01, "schedulers": [to_the_end]}}
    assert warnings(config, vary={"max_iters": (800,)}) == []


@pytest.mark.parametrize(
    ("schedule", "top", "vary", "says"),
    [
        (
            {"milestone_iters": [200, 300]},
            {"max_iters": 400},
            "epoch",
            "epoch is varied and the learning rate decays at [200, 300] iterations",
        ),
        ({"milestone_iters": [200]}, {"max_iters": None, "epoch": 12}, "epoch", "decays at [200] iterations all the same"),
        (
            {"milestones": [8, 11]},
            {"max_iters": None, "epoch": 12},
            "max_iters",
            "max_iters is varied and the learning rate decays at [8, 11] epochs",
        ),
        ({"max_iters": 300}, {"max_iters": 300}, "epoch", "epoch is varied and the cosine of the learning rate ends at 300 iterations"),
        (
            {"max_iters": 300},
            {"max_iters": 300},
            "epoch",
            'vary max_iters instead; derive: {LearningRate.schedulers.0.max_iters: "round(base *',
        ),
        (
            {"max_iters": 300},
            {"max_iters": None, "epoch": 12},
            "max_iters",
            "to let it follow: set LearningRate.schedulers.0.max_iters in each",
        ),
        (
            {"max_epochs": 12},
            {"max_iters": None, "epoch": 12},
            "max_iters",
            "the cosine of the learning rate ends at 12 epochs all the same",
        ),
    ],
)
def test_a_schedule_in_the_other_unit_does_not_follow(schedule: dict[str, Any], top: dict[str, Any], vary: str, says: str) -> None:
    config = {**CONFIG, **top, "LearningRate": {"base_lr": 0.01, "schedulers": [schedule]}}
    (text,) = warnings(config, vary={vary: (100,)})
    assert says in text


def test_a_coupling_that_is_off_in_the_baseline_is_told() -> None:
    found = warnings(vary=BATCH, derive={"LearningRate.base_lr": "base * TrainReader.batch_size / 4"})
    assert any("gives 0.005 at the baseline (TrainReader.batch_size 2), whose value is 0.01" in text for text in found)


def test_a_decay_that_does_not_follow_is_told() -> None:
    (text,) = warnings(vary={"max_iters": (800,)})
    assert "max_iters is varied and the learning rate decays at [200, 300] all the same" in text


def test_fixed_design_hands_each_trial_out_once() -> None:
    planned = trials(vary={"TrainReader.batch_size": (4, 8)})
    search = FixedSearch(planned)
    search.tell(planned[1], TrialResult("done", {0: 0.4}))  # an earlier driver finished it
    assert list(search.planned()) == planned
    assert [search.ask(), search.ask(), search.ask(), search.ask()] == [planned[0], planned[2], None, None]
    search.tell(planned[0], TrialResult("failed", reason="out of memory"))
    search.tell(planned[0], TrialResult("failed", reason="out of memory"))
    assert search.ask() is None


def test_fixed_design_refuses_a_number_twice() -> None:
    with pytest.raises(ValueError, match="same number"):
        FixedSearch([Trial(0, {}, "a"), Trial(0, {}, "b")])


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


def test_values_that_differ_after_six_digits_have_different_labels() -> None:
    close = (0.30000000000000004, 0.3, 0.1234567891, 0.1234567892)
    labels = ["lr=0.30000000000000004", "lr=0.3", "lr=0.1234567891", "lr=0.1234567892"]
    assert [t.label for t in trials(vary={"lr": close})[1:]] == labels
    assert [t.label for t in trials(design="list", trials=tuple({"lr": value} for value in close))[1:]] == labels
    assert [t.label for t in trials(vary={"lr": (1 / 3, 0.1234567891)})[1:]] == ["lr=0.333333", "lr=0.123457"]
    assert [t.label for t in trials(vary={"sizes": ([0.12345678, 1], [0.12345679, 1])})[1:]] == [
        "sizes=[0.12345678, 1]",
        "sizes=[0.12345679, 1]",
    ]


def test_a_directory_is_told_apart_by_its_number() -> None:
    names = [run_name(trial, 0) for trial in trials(vary={"lr": (0.30000000000000004, 0.3)})]
    assert names == ["0000-baseline-s0", "0001-lr=0.3-s0", "0002-lr=0.3-s0"]
    assert run_name(Trial(1, {}, "w=v1.2345678.pth, x=[0.1234567, 2]"), 0) == "0001-w=v1.2345678.pth,x=0.123457,2-s0"


@given(st.lists(st.one_of(st.floats(allow_nan=False), st.integers(), st.text(max_size=3), st.booleans()), max_size=6))
def test_digits_tell_apart_what_can_be(values: list[Any]) -> None:
    digits = enough_digits(values)
    assert len({format_value(value, digits) for value in values}) == len({format_value(value, MOST_DIGITS) for value in values})
