"""Comparing: groups, intervals, verdicts, and that nothing is dropped in silence."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from scipy import stats
from support.finished import make_run

from runner.config.load import load_config
from runner.core.errors import InputError
from runner.core.values import ABSENT
from runner.results.collect import collect
from runner.results.compare import compare
from runner.results.comparison import Comparison, by_factor, followers, parameter_text, uncounted_lines
from runner.results.format import show_delta, show_duration, show_interval
from runner.results.interactions import contrast, interactions
from runner.results.notes import ReportNote, given
from runner.stats.intervals import Difference, summarize
from runner.store.run_dir import Override, RunDir
from runner.views.renderers.csv_file import CsvRenderer
from runner.views.renderers.json_file import JsonRenderer
from runner.views.renderers.markdown import MarkdownRenderer

to_csv, to_json, to_markdown = CsvRenderer().render, JsonRenderer().render, MarkdownRenderer().render


def texts(notes: Iterable[ReportNote]) -> list[str]:
    return [note.text for note in notes]


BATCH: dict[str, Any] = {"label": "batch_size=16", "batch_size": 16, "overrides": {"TrainReader.batch_size": 16}}
LONGER: dict[str, Any] = {"label": "schedule=600", "max_iters": 600, "steps": 600, "overrides": {"max_iters": 600}}


def make_trial(sweep: Path, number: int, values: list[float], **how: Any) -> None:
    for seed, value in enumerate(values):
        make_run(sweep, number, seed, ap=value, **how)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    make_trial(tmp_path / "sw", 0, [0.412, 0.401, 0.418])
    make_trial(tmp_path / "sw", 1, [0.422, 0.400], **BATCH)
    make_trial(tmp_path / "sw", 2, [0.482, 0.490, 0.469], **LONGER)
    return tmp_path / "sw"


def compared(*paths: Path, **options: Any) -> Comparison:
    return compare(collect(paths), **options)


def test_the_article_in_small(sweep: Path) -> None:
    found = compared(sweep)
    assert [(t.number, t.label, t.is_baseline, len(t.counted)) for t in found.trials] == [
        (0, "baseline", True, 3),
        (1, "batch_size=16", False, 2),
        (2, "schedule=600", False, 3),
    ]
    assert found.parameters == ("TrainReader.batch_size", "max_iters", "LearningRate.schedulers.0.max_iters")
    assert found.varied == 2
    assert [t.verdict for t in found.trials] == [None, "cannot tell", "better"]
    assert found.trials[0].metrics["bbox/AP"].mean == pytest.approx(0.41033, abs=1e-5)
    effect = found.trials[2].effects["bbox/AP"]
    assert effect.low is not None and effect.low > 0 and effect.delta == pytest.approx(0.07, abs=1e-6)
    assert found.trials[0].effects == {} and found.uncounted == () and found.warnings == ()
    assert parameter_text(found, found.trials[2]) == "max_iters 300 → 600"
    assert found.metrics == ("bbox/AP", "bbox/AP50")


def test_a_run_that_hardly_learned_counts_and_is_told_with_and_without(tmp_path: Path) -> None:
    make_trial(tmp_path / "sw", 0, [0.40, 0.42, 0.41, 0.39], box_loss=(0.8, 0.35))
    make_trial(tmp_path / "sw", 1, [0.50, 0.52, 0.51], box_loss=(0.8, 0.35), **BATCH)
    make_run(tmp_path / "sw", 1, 3, ap=0.006, box_loss=(0.8, 0.62), **BATCH)
    found = compared(tmp_path)
    changed = found.trials[1]
    assert (len(changed.counted), changed.verdict, found.uncounted) == (4, "cannot tell", ())
    with_it, effect = texts(found.warnings)
    assert with_it == (
        "1 batch_size=16: 1 of 4 runs hardly learned (0001-batch_size=16-s3: loss_box 0.8 → 0.62). "
        "bbox/AP with it: 0.384 ± 0.252 (n = 4); without it: 0.510 ± 0.010 (n = 3)"
    )
    assert (
        effect.startswith("1 batch_size=16: Δ bbox/AP with them: −0.021 [")
        and effect.endswith("(better)")
        and "(cannot tell); without them: +0.105" in effect
    )
    assert json.loads(to_json(found))["trials"][1]["hardly_learned"] == [str(changed.counted[3].path)]
    rows = list(csv.DictReader(io.StringIO(to_csv(found))))
    assert [row["hardly_learned"] for row in rows] == [""] * 7 + ["loss_box 0.8 → 0.62"]
    assert "hardly learned" in to_markdown(found)


def test_a_trial_in_which_no_run_learned(tmp_path: Path) -> None:
    make_trial(tmp_path / "sw", 0, [0.01, 0.02], box_loss=(0.8, 0.8))
    make_trial(tmp_path / "sw", 1, [0.50, 0.52], box_loss=(0.8, 0.35), **BATCH)
    found = compared(tmp_path)
    assert found.trials[1].verdict == "better"
    assert [warning.partition(": ")[0] for warning in texts(found.warnings)] == ["0 baseline", "1 batch_size=16"]
    assert "without them: no runs" in found.warnings[0].text and "without them: – (no verdict)" in found.warnings[1].text


def test_trials_of_several_sweeps_with_the_same_number_have_the_name_of_theirs(tmp_path: Path) -> None:
    make_trial(tmp_path / "a", 0, [0.40, 0.41])
    make_trial(tmp_path / "b", 0, [0.60, 0.61], batch_size=16)
    found = compared(tmp_path)
    assert [trial.name for trial in found.trials] == ["0 a · baseline", "0 b · baseline"]
    assert found.answer[0].text.startswith("Trial 0 (b · baseline) is better than the baseline (a) in bbox/AP")
    assert [trial.name for trial in compared(tmp_path / "b").trials] == ["0 baseline"]


def test_seeds_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    make_trial(tmp_path / "sw", 0, [0.4] * 12)
    found = compared(tmp_path)
    assert [run.seed for run in found.trials[0].runs] == list(range(12))
    assert json.loads(to_json(found))["trials"][0]["seeds"] == list(range(12))


def test_a_metric_to_minimize_turns_the_verdict(sweep: Path) -> None:
    assert [t.verdict for t in compared(sweep, goal="minimize").trials] == [None, "cannot tell", "worse"]


def test_a_single_seed_gets_no_verdict(tmp_path: Path) -> None:
    make_trial(tmp_path / "sw", 0, [0.4])
    make_trial(tmp_path / "sw", 1, [0.9], **BATCH)
    found = compared(tmp_path)
    effect = found.trials[1].effects["bbox/AP"]
    assert (effect.delta, effect.low, found.trials[1].verdict) == (pytest.approx(0.5), None, None)
    assert any("fewer than two seeds" in note for note in texts(found.notes))


def test_repeats_without_any_spread_tell_nothing(tmp_path: Path) -> None:
    make_trial(tmp_path / "sw", 0, [0.0, 0.0])
    make_trial(tmp_path / "sw", 1, [0.1, 0.1], **BATCH)
    found = compared(tmp_path)
    assert found.trials[1].verdict == "cannot tell" and any("no noise to judge" in note for note in texts(found.notes))
    make_trial(tmp_path / "sw", 2, [0.1, 0.11], metrics={"bbox/AP75": 0.0}, **LONGER)
    make_trial(tmp_path / "other", 0, [0.0, 0.001], base_lr=0.1)
    assert not any("no noise to judge" in note for note in texts(compared(tmp_path / "other").notes))


ONE_BY_ONE: list[tuple[str, float, dict[str, Any]]] = [
    ("batch_size=4", 0.020, {"batch_size": 4, "overrides": {"TrainReader.batch_size": 4}}),
    ("schedule=600", 0.001, {"max_iters": 600, "overrides": {"max_iters": 600}}),
    ("batch_size=16", 0.0, {"batch_size": 16, "overrides": {"TrainReader.batch_size": 16}}),
    ("base_lr=0.1", 0.001, {"base_lr": 0.1, "overrides": {"LearningRate.base_lr": 0.1}}),
]


def four_trials(sweep: Path, n: int) -> Path:
    values = [0.40, 0.41, 0.42, 0.405, 0.415, 0.395, 0.425, 0.41]
    make_trial(sweep, 0, values[:n])
    for number, (label, shift, how) in enumerate(ONE_BY_ONE, start=1):
        make_trial(sweep, number, [value + shift for value in reversed(values[:n])], label=label, **how)
    return sweep


def test_several_trials_are_judged_together(tmp_path: Path) -> None:
    found = compared(four_trials(tmp_path / "sw", 3))
    first = found.trials[1]
    effect = first.effects["bbox/AP"]
    assert first.alone is not None and effect.low is not None and first.alone.low is not None
    assert first.verdict == "cannot tell" and effect.low < 0 < first.alone.low
    assert (first.seeds_to_tell, found.trials[3].seeds_to_tell) == (7, None)
    text = " ".join(texts(found.notes))
    assert "the 4 intervals are simultaneous (Dunnett)" in text
    assert "1 batch_size=4: significant on its own, not after correcting for 4 comparisons; rerun it with new seeds" in text
    assert "> 100: a difference this small cannot be shown" in text and found.trials[1].effects["bbox/AP50"].low == pytest.approx(
        first.alone.low
    )


def test_the_noise_floor(tmp_path: Path) -> None:
    found = compared(four_trials(tmp_path / "sw", 3))
    assert found.noise is not None and found.noise.pooled and found.noise.spread == pytest.approx(0.01)
    assert list(found.noise.smallest) == [3, 5, 10] and found.noise.smallest[3] == pytest.approx(0.0311, abs=1e-4)
    assert "moves the metric by ± 0.010 (std of all trials)" in found.notes[0].text and "0.031 with 3" in found.notes[0].text
    make_trial(tmp_path / "alone", 0, [0.40, 0.41, 0.42])
    (note,) = compared(tmp_path / "alone").notes
    assert note.text.startswith(
        "noise: changing only the seed moves the metric by ± 0.010 (std of the baseline); detectable with 80 % power: 0.031 with 3, "
    )
    assert note.id == "noise" and note.arguments["detectable"]["3"] == pytest.approx(0.0307, abs=1e-4)


def test_the_permutation_test_joins_from_eight_seeds_on(tmp_path: Path) -> None:
    assert all(trial.permutation_p is None for trial in compared(four_trials(tmp_path / "sw", 7)).trials)
    found = compared(four_trials(tmp_path / "more", 8))
    assert found.trials[1].permutation_p == pytest.approx(0.0028, abs=1e-5) and found.trials[0].permutation_p is None
    assert any(note.startswith("permutation test, each trial on its own: 1 batch_size=4: p = 0.0028") for note in texts(found.notes))
    assert json.loads(to_json(found))["trials"][1]["permutation_p"] == found.trials[1].permutation_p


def test_trials_stand_by_factor(tmp_path: Path) -> None:
    found = compared(four_trials(tmp_path / "sw", 2))
    assert [[trial.number for trial in group] for group in by_factor(found)] == [[0], [1, 3], [2], [4]]
    make_trial(tmp_path / "sw", 5, [0.4, 0.41], label="joined", batch_size=4, max_iters=600)
    assert [[trial.number for trial in group] for group in by_factor(compared(tmp_path))][-1] == [5]


def test_what_changes_do_together(tmp_path: Path) -> None:
    noise = [-0.01, 0.0, 0.01]
    both = {"batch_size": 16, "max_iters": 600, "overrides": {"TrainReader.batch_size": 16, "max_iters": 600}}
    for number, (mean, how) in enumerate([(0.4, {}), (0.45, BATCH), (0.43, LONGER), (0.60, {"label": "joined", **both})]):
        make_trial(tmp_path / "sw", number, [mean + one for one in noise], **how)
    found = compared(tmp_path)
    (one,) = interactions(found)
    assert (one.trial.number, one.together, one.alone) == (3, pytest.approx(0.2), pytest.approx(0.08))
    half = stats.t.ppf(0.975, 8) * 0.01 * (4 / 3) ** 0.5
    assert (one.beyond.delta, one.beyond.low) == (pytest.approx(0.12), pytest.approx(0.12 - half))
    sums = "3 joined: +0.200 together, +0.080 as the sum of the single changes"
    assert f"{sums}; interaction +0.120 [+0.093, +0.147]: more than the sum" in texts(found.notes)
    assert interactions(compared(tmp_path, looks=(3, 5)))[0].beyond == one.beyond
    assert contrast([summarize([1, 1]), summarize([2, 2])], [1, -1]).low is None


def test_raced_seeds_are_judged_by_their_looks(tmp_path: Path) -> None:
    rising = [0.40, 0.41, 0.42, 0.47, 0.47]
    make_trial(tmp_path / "sw", 0, rising)
    make_trial(tmp_path / "sw", 1, [0.47, 0.48, 0.49], **BATCH)  # decided by its first seeds; the baseline went on
    make_trial(tmp_path / "sw", 2, [value + 0.001 for value in rising], **LONGER)
    plain, raced = compared(tmp_path), compared(tmp_path, looks=(3, 5, 8))
    assert [trial.verdict for trial in plain.trials[1:]] == ["cannot tell", "cannot tell"]
    assert [trial.verdict for trial in raced.trials[1:]] == ["better", "cannot tell"]
    assert raced.trials[1].effects["bbox/AP"].delta == pytest.approx(0.07)
    once = compared(tmp_path, looks=(3, 5)).trials[1].effects["bbox/AP"].low
    low = raced.trials[1].effects["bbox/AP"].low
    assert low is not None and once is not None and low < once  # more looks, wider
    assert any("seeds were raced (looks at 3, 5, 8)" in note for note in texts(raced.notes))


def test_a_trial_whose_failures_may_matter_is_named(sweep: Path) -> None:
    make_run(sweep, 2, 3, state="failed", reason="the loss is not finite", **LONGER)
    make_run(sweep, 0, 3, state="pruned", reason="hopeless")
    found = compared(sweep)
    assert any("2 schedule=600: 1 failed run not counted" in note for note in texts(found.notes))
    assert [(run.trial, why.text) for run, why in found.uncounted] == [(0, "pruned: hopeless"), (2, "failed: the loss is not finite")]


def test_what_does_not_fit_is_infeasible(sweep: Path) -> None:
    run = make_run(sweep, 1, 2, state="failed", reason="out of memory", **BATCH)
    run.write_status(replace(run.status(), cause="out_of_memory"))
    assert compared(sweep).uncounted[0][1].text == "infeasible: out of memory"


def test_runs_of_other_sweeps_count_and_are_mentioned(sweep: Path) -> None:
    run = make_run(sweep, 1, 2, ap=0.41, **BATCH)
    run.write_override(Override("done", "the same run as ../../other/runs/x, which was done before", 1, 0.0, final=True))
    found = compared(sweep)
    assert len(found.trials[1].counted) == 3 and "1 run reused from other sweeps that had run the same configuration" in texts(found.notes)


def test_warnings_of_the_plan_are_shown(sweep: Path) -> None:
    assert compared(sweep, warnings=["a is confounded with b"]).warnings == (given("a is confounded with b"),)


def test_runs_that_do_not_count_are_named(sweep: Path) -> None:
    make_run(sweep, 1, 2, state="failed", reason="out of memory at batch size 16", **BATCH)
    make_run(sweep, 2, 3, state="running", **LONGER)
    make_run(sweep, 2, 4, state="pending", **LONGER)
    make_run(sweep, 2, 5, metrics={"bbox/AP": float("nan")}, **LONGER)
    make_run(sweep, 2, 6, ap=None, **LONGER)
    found = compared(sweep)
    assert [(run.trial, run.seed, why.text) for run, why in found.uncounted] == [
        (1, 2, "failed: out of memory at batch size 16"),
        (2, 3, "interrupted: it was cut off: the process that worked on it is gone"),
        (2, 4, "pending"),
        (2, 5, "done, but bbox/AP is not a finite number in its evaluation"),
        (2, 6, "done, but bbox/AP is missing in its evaluation"),
    ]
    assert [len(t.runs) for t in found.trials] == [3, 3, 7] and [len(t.counted) for t in found.trials] == [3, 2, 3]


def test_a_baseline_that_is_not_there_yet(tmp_path: Path) -> None:
    make_run(tmp_path / "sw", 0, 0, state="running")
    make_trial(tmp_path / "sw", 1, [0.4, 0.5], **BATCH)
    found = compared(tmp_path)
    assert found.trials[0].label == "baseline" and found.trials[1].effects == {} and found.trials[1].verdict is None
    assert "the baseline has no finished run" in found.notes[0].text


def test_only_pending_runs(tmp_path: Path) -> None:
    make_run(tmp_path / "sw", state="pending")
    found = compared(tmp_path)
    assert found.trials[0].metrics["bbox/AP"].n == 0 and len(found.uncounted) == 1


def test_neutral_keys_do_not_part_trials(tmp_path: Path) -> None:
    for seed in (0, 1):
        run = make_run(tmp_path / "sw", 0, seed, ap=0.4 + seed / 10)
        text = run.config.read_text().replace("save_dir: runs", f"save_dir: runs{seed}\ntrackers: [t{seed}]\nworker_num: {seed}")
        run.config.write_text(text + f"use_vdl: true\nvdl_log_dir: vdl{seed}\n")
    found = compared(tmp_path)
    assert len(found.trials) == 1 and found.trials[0].metrics["bbox/AP"].n == 2 and found.parameters == ()


def test_two_sweeps_with_one_baseline_are_joined(sweep: Path, tmp_path: Path) -> None:
    make_run(tmp_path / "other", 0, 0, ap=0.412)
    make_run(tmp_path / "other", 0, 7, ap=0.405)
    make_trial(tmp_path / "other", 1, [0.3, 0.31], label="base_lr=0.1", base_lr=0.1, overrides={"LearningRate.base_lr": 0.1})
    found = compared(sweep, tmp_path / "other")
    assert [t.label for t in found.trials] == ["baseline", "sw · batch_size=16", "sw · schedule=600", "other · base_lr=0.1"]
    assert [run.seed for run in found.trials[0].counted] == [0, 1, 2, 7]
    ((twin, why),) = found.uncounted
    assert twin.path.parts[-3] == "other" and "same trial and seed" in why.text
    assert found.trials[3].verdict == "worse"


def test_another_evaluation_set_is_a_warning(sweep: Path) -> None:
    make_run(sweep, 3, 0, label="other", evaluated_on="test.json")
    found = compared(sweep)
    assert len(found.warnings) == 1 and "EvalDataset" in found.warnings[0].text and "not comparable" in found.warnings[0].text
    assert "test.json" in found.warnings[0].text


def test_no_verdict_on_other_evaluation_data(tmp_path: Path) -> None:
    make_trial(tmp_path / "sw", 0, [0.4, 0.41])
    make_trial(tmp_path / "sw", 1, [0.8, 0.81], label="other", evaluated_on="test.json")
    make_trial(tmp_path / "sw", 2, [0.6, 0.61], **LONGER)
    found = compared(tmp_path)
    assert [trial.verdict for trial in found.trials] == [None, None, "better"]
    assert any("evaluated on other data than the baseline" in note for note in texts(found.notes))
    assert not any("fewer than two seeds" in note for note in texts(found.notes))


def test_hashes_are_shown_short(tmp_path: Path) -> None:
    for number, content in enumerate(("e1" * 20, "f2" * 20)):
        make_trial(tmp_path / "sw", number, [0.4, 0.41], facts={"data": {"train": "t" * 40, "eval": content}})
    found = compared(tmp_path)
    found = replace(found, varied=0)
    assert followers(found) == ["EvalDataset (content) differs too: e1e1e1e1e1 / f2f2f2f2f2"]
    assert "e1e1e1e1e1" in found.warnings[0].text and "e1e1e1e1e1e" not in found.warnings[0].text
    assert "e1e1e1e1e1e" not in to_markdown(compared(tmp_path))


def test_recorded_content_decides_what_the_same_data_is(tmp_path: Path) -> None:
    data = {"data": {"train": "t" * 20, "eval": "e" * 20}}
    make_run(tmp_path / "sw", 0, 0, facts=data)
    make_run(tmp_path / "sw", 0, 1, facts=data, evaluated_on="copy.json")  # the same content at another place
    found = compared(tmp_path)
    assert found.warnings == () and len(found.trials) == 1
    make_run(tmp_path / "sw", 0, 2, facts={"data": {"train": "t" * 20, "eval": "f" * 20}})
    found = compared(tmp_path)
    assert len(found.warnings) == 1 and len(found.trials) == 2


def test_a_config_that_cannot_be_read_is_a_warning(sweep: Path) -> None:
    broken = make_run(sweep, 1, 5, **{**BATCH, "ap": 0.41})
    broken.config.write_text("a: [")
    found = compared(sweep)
    assert any("config.yml cannot be read" in warning for warning in texts(found.warnings))
    assert [run.seed for run in found.trials[1].runs] == [0, 1, 5]


def test_a_key_only_some_configs_have(tmp_path: Path) -> None:
    make_trial(tmp_path / "sw", 0, [0.4, 0.41])
    run = make_run(tmp_path / "sw", 1, 0, label="clip")
    run.config.write_text(run.config.read_text() + "clip: 1.0\n")
    found = compared(tmp_path)
    assert found.parameters == ("clip",) and found.trials[0].parameters["clip"] is ABSENT
    assert parameter_text(found, found.trials[1]) == "clip – → 1"


def test_an_unknown_metric_names_the_nearest(sweep: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'bbox/AP50'"):
        compared(sweep, metric="bbox/AP5")
    with pytest.raises(InputError, match="no runs"):
        compare([])


def test_json_holds_everything(sweep: Path) -> None:
    make_run(sweep, 1, 2, state="failed", reason="oh", **BATCH)
    data = json.loads(to_json(compared(sweep)))
    assert [t["verdict"] for t in data["trials"]] == [None, "cannot tell", "better"]
    assert data["trials"][2]["seeds"] == [0, 1, 2] and data["trials"][2]["metrics"]["bbox/AP"]["n"] == 3
    assert data["varied"] == ["TrainReader.batch_size", "max_iters"]
    assert data["uncounted"][0]["reason"]["text"] == "failed: oh"


def test_csv_has_a_row_a_run(sweep: Path) -> None:
    make_run(sweep, 1, 2, state="failed", reason='a, "b"\nc', **BATCH)
    rows = list(csv.DictReader(io.StringIO(to_csv(compared(sweep)))))
    assert len(rows) == 9
    assert [row["TrainReader.batch_size"] for row in rows] == ["8"] * 3 + ["16"] * 3 + ["8"] * 3
    failed = rows[5]
    assert (failed["state"], failed["counted"], failed["bbox/AP"]) == ("failed", "false", "")
    assert failed["why_not_counted"] == 'failed: a, "b"\\nc'
    assert float(rows[0]["bbox/AP"]) == 0.412


def test_markdown_is_a_table(sweep: Path) -> None:
    make_run(sweep, 1, 2, state="failed", reason="a | b", **BATCH)
    lines = to_markdown(compared(sweep)).splitlines()
    assert {line.replace("\\|", "").count("|") for line in lines[:5]} == {10}
    assert lines[4].startswith("| 2 schedule=600 | 8 | 600 | 3 | 0.480 ± 0.011 | 0.780 ± 0.011 | +0.070 [+0.044, +0.096] | better |")
    assert "- not counted: `0001-batch_size=16-s2`: failed: a \\| b" in lines


def test_a_difference_that_rounds_to_nothing_has_no_sign() -> None:
    assert show_delta(Difference(-1e-5, None, None)) == "0.000" and show_delta(None) == "–"
    assert show_interval(Difference(0.0, -0.0123, 1e-9)) == "[−0.012, 0.000]"


def test_durations() -> None:
    shown = [show_duration(s) for s in (None, 0.4, 61, 3599.6, 7325, 200_000, float("nan"))]
    assert shown == ["–", "0:00", "1:01", "1:00:00", "2:02:05", "2d 07h", "–"]


def test_an_evaluation_that_does_not_follow_the_training_is_told_of(tmp_path: Path) -> None:
    for number, (label, size) in enumerate((("baseline", 320), ("target_size=416", 416))):
        overrides = {"TrainReader.sample_transforms.0.Resize.target_size": size} if number else {}
        for seed in (0, 1):
            run = make_run(tmp_path / "sw", number, seed, ap=0.4 - 0.1 * number + 0.01 * seed, label=label, overrides=overrides)
            config = load_config(run.config).plain()
            for name, trained in (("TrainReader", size), ("EvalReader", 320)):
                config[name] = {
                    "sample_transforms": [{"Resize": {"target_size": [trained, trained], "keep_ratio": False}}],
                    "batch_size": 8,
                }
            run.config.write_text(yaml.safe_dump(config), encoding="utf-8")
    (warning,) = compared(tmp_path / "sw").warnings
    assert "differ in size: 416×416 in training, 320×320 in evaluation (trial target_size=416), not in the baseline" in warning.text
    key = "sample_transforms.0.Resize.target_size"
    assert warning.text.endswith(f"derive: {{EvalReader.{key}: TrainReader.{key}}}")
    assert compared(tmp_path / "sw", warnings=[warning.text]).warnings == (warning,)


def test_rows_that_differ_after_six_digits_and_copied_runs_can_be_told_apart(tmp_path: Path) -> None:
    for number, rate in enumerate((0.1, 0.1234567891, 0.1234567892)):
        make_run(
            tmp_path / "sw", number, 0, base_lr=rate, label=f"lr={rate}" if number else "baseline", overrides={"LearningRate.base_lr": rate}
        )
    shutil.copytree(tmp_path / "sw" / "runs" / "0000-baseline-s0", tmp_path / "a copy")
    found = compared(tmp_path / "sw", tmp_path / "a copy")
    assert [found.shown("LearningRate.base_lr", trial) for trial in found.trials] == ["0.1", "0.1234567891", "0.1234567892"]
    assert parameter_text(found, found.trials[2]) == "base_lr 0.1 → 0.1234567892"
    ((name, why),) = uncounted_lines(found)
    assert {name, why.partition("as ")[2].partition(":")[0]} == {str(tmp_path / "a copy"), str(tmp_path / "sw/runs/0000-baseline-s0")}
    assert f"`{name}`" in to_markdown(found)


MEMORY = "resource/memory_gib"


def test_the_memory_used_is_a_metric_where_it_is_named(sweep: Path) -> None:
    assert MEMORY not in compared(sweep).trials[0].metrics
    decides = compared(sweep, metric=MEMORY, goal="minimize", metrics=["bbox/AP"])
    assert decides.metrics[:2] == (MEMORY, "bbox/AP")
    assert decides.trials[1].metrics[MEMORY].mean == pytest.approx(1.3) and MEMORY in decides.trials[1].effects
    shown = compared(sweep, metrics=[MEMORY])
    assert shown.metric == "bbox/AP" and MEMORY in shown.metrics
    assert float(next(csv.DictReader(io.StringIO(to_csv(shown))))[MEMORY]) == pytest.approx(1.3)


def test_a_metric_of_former_times_is_named_anew(sweep: Path) -> None:
    with pytest.raises(InputError, match="'resource/memory_gb'.* is now called 'resource/memory_gib'"):
        compared(sweep, metric="resource/memory_gb")
    with pytest.raises(InputError, match="'resource/gpu_memory_gib': no finished run has it; did you mean 'resource/memory_gib'"):
        compared(sweep, metric="resource/gpu_memory_gib")


def test_a_comparison_and_its_parts_are_one_short_line_each(sweep: Path) -> None:
    found = compared(sweep)
    assert repr(found) == "Comparison('bbox/AP', 'maximize', 3 trials, 8 runs)"
    assert repr(found.trials[1]) == "ComparedTrial('1 batch_size=16', 2 runs, verdict='cannot tell')"
    assert repr(found.trials[1].runs[0]) == f"RunResult({str(found.trials[1].runs[0].path)!r}, 'done')"


def test_a_run_with_a_damaged_run_json_is_of_no_trial_and_is_not_counted(tmp_path: Path) -> None:
    sweep = tmp_path / "s"
    runs = [make_run(sweep, 0, seed, ap=0.4 + seed / 100) for seed in range(3)]
    runs += [make_run(sweep, 1, seed, label="batch_size=16", ap=0.5 + seed / 100, batch_size=16) for seed in range(3)]
    runs[0].identity_file.write_text("{", encoding="utf-8")
    runs[4].metrics.write_bytes(b"\xff\x00\n" * 100)
    found = compared(sweep)
    assert [(trial.number, trial.metrics["bbox/AP"].n) for trial in found.trials] == [(0, 2), (1, 3)]
    assert [(run.path.name, why.id) for run, why in found.uncounted] == [("0000-baseline-s0", "uncounted-unidentified")]
    assert [warning.text for warning in found.warnings] == [
        f"{runs[4].path}: metrics.jsonl is damaged: it has no record",
        f"{runs[0].path}: run.json is damaged",
        f"`runner verify {sweep}` says what of this can be repaired; with `--repair` it repairs that",
    ]
    for run in runs:
        run.identity_file.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"run\.json of each of them is damaged"):
        compared(sweep)


def test_runs_that_stopped_early_are_whole_and_named(sweep: Path) -> None:
    for name, step in (("0002-schedule=600-s0", 300), ("0002-schedule=600-s2", 420)):
        run = next(run for run in collect([sweep]) if run.id == name)
        run_dir = RunDir(run.path)
        run_dir.write_status(replace(run_dir.status(), step=step, steps=step, planned_steps=600, early_stop="stopped early after …"))
    found = compared(sweep)
    assert [len(trial.counted) for trial in found.trials] == [3, 2, 3]
    assert [text for text in texts(found.notes) if "early" in text] == [
        "2 schedule=600: 2 of 3 runs stopped early, after 300 to 420 of 600 steps, and count as whole: compared is the last checkpoint"
        " at the stop, not the best"
    ]
    assert [run.planned_steps for run in collect([sweep])] == [300] * 5 + [600] * 3
