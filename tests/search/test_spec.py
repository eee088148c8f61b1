"""Sweep files: what is understood, and that everything wrong is named with its line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from runner.config.load import load_config
from runner.core.errors import InputError, Problem
from runner.search.load import duration_s, load_sweep, meant_for_sweep
from runner.search.schema_file import main, schema, text
from runner.search.spec import Choice, Component, Factor, Metric, Resources, Span, SweepSpec

ROOT = Path(__file__).resolve().parents[2]
SWEEPS = ROOT / "sweeps"


def write(folder: Path, text: str) -> Path:
    path = folder / "a sweep ü.yml"
    path.write_text(text, encoding="utf-8")
    for config in ("c", "c.yml", "../configs/fcos_tiny.yml"):
        (folder / config).parent.mkdir(exist_ok=True)
        (folder / config).touch()
    return path


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_sweep(write(folder, text))
    return [str(problem).partition("a sweep ü.yml:")[2] for problem in caught.value.problems]


def test_the_whole_form_is_understood(tmp_path: Path) -> None:
    spec = load_sweep(
        write(
            tmp_path,
            """
config: ../configs/fcos_tiny.yml
overrides: {max_iters: 400, LearningRate.base_lr: 1e-3}
design: grid
vary:
  TrainReader.batch_size: [4, 8]
  max_iters: {label: schedule, values: [400, 800]}
seeds: [0, 3]
metric: {name: bbox/AP50, goal: maximize}
resources: {concurrency: 3, cpus: 2}
""",
        )
    )
    assert spec.overrides == {"max_iters": 400, "LearningRate.base_lr": 0.001}
    assert spec.factors() == {
        "TrainReader.batch_size": Factor(values=(4, 8)),
        "max_iters": Factor(values=(400, 800), label="schedule"),
    }
    assert (spec.seeds, spec.metric.name, spec.resources) == ((0, 3), "bbox/AP50", Resources(concurrency=3, cpus=2))


def test_short_form(tmp_path: Path) -> None:
    spec = load_sweep(write(tmp_path, "config: c.yml\nvary: {max_iters: [400]}"))
    assert (spec.design, spec.seeds, spec.metric, spec.resources.concurrency) == (
        "one_at_a_time",
        (0,),
        None,
        "auto",
    )


def test_list_design(tmp_path: Path) -> None:
    spec = load_sweep(write(tmp_path, "config: c.yml\ndesign: list\ntrials:\n  - {a.b: 1}\n  - {a.b: 2, c: [1, 2]}\n"))
    assert spec.trials == ({"a.b": 1}, {"a.b": 2, "c": [1, 2]})


OPTUNA = """
config: c
design: optuna
space:
  OptimizerBuilder.optimizer.momentum: {low: 0.8, high: 1, when: OptimizerBuilder.optimizer.type == Momentum and depth > 18}
  LearningRate.base_lr: {low: 1.0e-4, high: 1e-1, log: true}
  OptimizerBuilder.optimizer.type: [Momentum, AdamW]
  warm: {choices: [0, 100], when: OptimizerBuilder.optimizer.type != Momentum}
  depth: {low: 18, high: 50, step: 16}
derive: {max_iters: "base * (depth / 18)"}
sampler: {name: TPESampler, n_startup_trials: 8, group: true}
pruner: HyperbandPruner
constraints: [resource/memory_gib <= 8]
metric: {name: bbox/AP50, goal: maximize}
budget: {runs: 60, hours: 12, gpu_hours: 40, failures_in_a_row: 3}
confirm_seeds: 5
resources: {gpus: 0.5, cpus: 2, memory_gib: 8, concurrency: auto, timeout: 1h30m, stall: 90, retries: 1}
"""


def test_optunas_form_is_understood(tmp_path: Path) -> None:
    spec = load_sweep(write(tmp_path, OPTUNA))
    assert list(spec.dimensions().items()) == [
        ("LearningRate.base_lr", Span(low=1e-4, high=0.1, log=True)),
        ("OptimizerBuilder.optimizer.type", Choice(choices=("Momentum", "AdamW"))),
        ("warm", Choice(choices=(0, 100), when="OptimizerBuilder.optimizer.type != Momentum")),
        ("depth", Span(low=18, high=50, step=16)),
        (
            "OptimizerBuilder.optimizer.momentum",
            Span(low=0.8, high=1, when="OptimizerBuilder.optimizer.type == Momentum and depth > 18"),
        ),
    ]
    assert spec.sampler == Component(name="TPESampler", arguments={"n_startup_trials": 8, "group": True})
    assert spec.pruner == Component(name="HyperbandPruner")
    assert (spec.budget.runs, spec.budget.hours, spec.budget.gpu_hours, spec.budget.failures_in_a_row) == (60, 12.0, 40.0, 3)
    resources = Resources(gpus=0.5, cpus=2, memory_gib=8.0, timeout_s=5400.0, stall_s=90.0, retries=1)
    assert (spec.resources, spec.confirm_seeds, spec.constraints) == (resources, 5, ("resource/memory_gib <= 8",))


def test_the_space_is_integers_where_it_is_written_in_integers(tmp_path: Path) -> None:
    text = "config: c\ndesign: optuna\nbudget: {runs: 9}\nspace:\n"
    rows = ["{low: 1, high: 4}", "{low: 1.0, high: 4}", "{low: 1, high: 4.0}", "{low: 1, high: 4, step: 1}", "{low: 1, high: 4, step: 0.5}"]
    spec = load_sweep(write(tmp_path, text + "\n".join(f"  k{number}: {row}" for number, row in enumerate(rows))))
    spans = [span for span in spec.dimensions().values() if isinstance(span, Span)]
    assert [span.integer for span in spans] == [True, False, False, True, False]


def test_several_metrics(tmp_path: Path) -> None:
    metric = "metric: [{name: bbox/AP}, {name: resource/memory_gib, goal: minimize}]"
    spec = load_sweep(write(tmp_path, f"config: c\nvary: {{a: [1]}}\n{metric}"))
    assert spec.metrics == (Metric(name="bbox/AP"), Metric(name="resource/memory_gib", goal="minimize"))
    assert SweepSpec(config="c").metrics == (), "the backend decides"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("1d", 86400), ("1d 2h 3m 4s", 93784), ("0.5h", 1800), (" 5 m ", 300)],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "h", "10", "10x", "30m1h", "-5m", "1h30", "1e3s", "5 minutes", "m5"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration_s(text)


def test_fresh_seeds_are_none_of_the_sweeps() -> None:
    assert SweepSpec(config="c", seeds=(4, 0)).fresh_seeds(3) == (5, 6, 7)


def test_changes_from_the_command_line(tmp_path: Path) -> None:
    spec = load_sweep(write(tmp_path, "config: c.yml\nvary: {max_iters: [400]}"), ["seeds=[5, 6]", "resources.concurrency=2"])
    assert (spec.seeds, spec.resources.concurrency) == ((5, 6), 2)


def test_config_is_relative_to_the_sweep_file() -> None:
    spec = SweepSpec(config="../configs/x.yml")
    assert spec.config_path(Path("sweeps/s.yml")) == Path("sweeps/../configs/x.yml")
    assert SweepSpec(config="/abs/x.yml").config_path(Path("sweeps/s.yml")) == Path("/abs/x.yml")


def test_a_config_that_ships_is_found_from_anywhere(tmp_path: Path) -> None:
    spec = SweepSpec(config="configs/fcos_tiny.yml")
    assert spec.config_path(tmp_path / "s.yml").samefile(SWEEPS.parent / "configs" / "fcos_tiny.yml")
    (tmp_path / "configs").mkdir()
    mine = tmp_path / "configs" / "fcos_tiny.yml"
    mine.touch()
    assert spec.config_path(tmp_path / "s.yml") == mine


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vary: {a: [1]}", "config: missing"),
        ("config: c\nvray: {a: [1]}", "2: vray: unknown key; did you mean 'vary'"),
        ("config: c\nvary: {a: [1]}\nresources: {retry: 2}", "3: resources.retry: unknown key of Resources; did you mean 'retries'"),
        ("config: c\nvary: {a: [1]}\nresources: {concurrency: 0}", "3: resources.concurrency: expected"),
        ("config: c\nvary: {a: [1]}\ndesign: optna", "3: design: unknown design 'optna'; did you mean 'optuna'"),
        ("config: c\nvary: {a: [1]}\nmetric: {name: x, goal: up}", "3: metric.goal: expected one of"),
        ("config: c\nvary: {a: 1}", "2: vary"),
        ("config: c\nvary:\n  a.b: 600", "3: vary.a.b: expected a list of values, [600], or {values: [600], label: …}, got 600"),
        ("config: c\nvary:\n  a.b: [1]\n  c: x", "4: vary.c: expected a list of values, [x], or {values: [x], label: …}, got x"),
        ("# one\nconfig: d.yml\nvary: {a: [1]}", "2: config: file "),
        ("config: c\nvary:\n  a.b: {label: x, vals: [1]}", "3: vary.a.b.vals: unknown key"),
        ("config: c", "1: vary: is empty"),
        ("config: c\nvary:\n  a.b: []", "3: vary.a.b: has no values"),
        ("config: c\nvary:\n  a.b: [1, 2, 1.0]", "3: vary.a.b: 1 is listed twice"),
        ("config: c\nvary: {a: [1]}\nseeds: [0, 0]", "3: seeds: 0 is listed twice"),
        ("config: c\nvary: {a: [1]}\nseeds: []", "3: seeds: is empty"),
        ("config: c\nvary: {a: [1]}\nseeds: [-1]", "3: seeds.0: expected"),
        ("config: c\nvary:\n  seed: [1]", "3: vary.seed: cannot be varied: list the seeds"),
        ("config: c\nvary:\n  a: [1]\n  a.b: [2]", "4: vary.a.b: lies inside 'a'"),
        (
            "config: c\nvary: {a: {label: x, values: [1]}, b: {label: x, values: [1]}}",
            "2: vary: two keys have the label 'x'",
        ),
        ("config: c\ndesign: list\nvary: {a: [1]}\ntrials: [{a: 1}]", "3: vary: is not used by `design: list`"),
        ("config: c\ndesign: list", "trials: is empty"),
        (
            "config: c\ndesign: list\ntrials:\n  - {a: 1}\n  - {}\n  - {a: 1}",
            "5: trials.1: is empty: the baseline always runs",
        ),
        ("config: c\nvary: {a: [1]}\ntrials: [{a: 1}]", "3: trials: is not used by `design: one_at_a_time`"),
        ("config: c\nvary: {a: [1]}\nspace: {b: [1]}", "3: space: is not used by `design: one_at_a_time`, only by `optuna`"),
        ("config: c\nvary: {a: [1]}\npruner: MedianPruner", "3: pruner: is not used by `design: one_at_a_time`, only by `optuna`"),
        ("config: c\nvary: {a: [1]}\nsampler: GPSampler", "3: sampler: is not used by"),
        ("config: c\nvary: {a: [1]}\ncouple: {b: base * a}", "3: couple: is now called `derive`: rename the key"),
        ("config: c\nvary: {a: [1], b: [1]}\njoin_best: true", "3: join_best: is now called `combine_best`"),
        ("config: c\nvary: {a: [1]}\nconfirm: 2", "3: confirm: is now called `confirm_seeds`"),
        ("config: c\nvary: {a: [1]}\nresources:\n  memory_gb: 2", "4: resources.memory_gb: is now called `memory_gib`"),
        ("config: c\nvary: {a: [1]}\nconfirm_seeds: 2", "3: confirm_seeds: is not used by"),
        ("config: c\nvary: {a: [1]}\nconstraints: [x < 1]", "3: constraints: is not used by"),
        (
            "config: c\ndesign: zip\nvary:\n  a: [1, 2]\n  b: [1]",
            "3: vary: `design: zip` takes one value of each key at a time, so all need the same number: a 2, b 1",
        ),
        ("config: c\ndesign: zip\nvary:\n  a: [1, 2, 1]\n  b: [3, 3, 3]", "3: vary: [1, 3] is listed twice"),
        ("config: c\ndesign: grid\ncombine_best: true\nvary: {a: [1], b: [2]}", "3: combine_best: is not used by `design: grid`"),
        ("config: c\ncombine_best: true\nvary: {a: [1]}", "2: combine_best: needs at least two keys under `vary`"),
        (
            "config: c\nvary: {a: [1], b: [1]}\ncombine_best: true\nseeds: [0, 1]\nracing: {max_seeds: 5}",
            "3: combine_best: cannot be used with `racing`",
        ),
        (
            "config: c\nvary: {a: [1]}\nderive:\n  b: base * a +",
            "4: derive.b: 'base * a +' is not an expression: ends where a value is expected",
        ),
        (
            "config: c\nvary: {a.size: [1]}\nderive:\n  b: base * a.sise",
            "4: derive.b: 'base * a.sise' names no varied key; did you mean 'a.size'?",
        ),
        ("config: c\nvary: {a: [1]}\nderive: {b: b * a}", "3: derive.b: refers to itself; its value in the baseline is `base`"),
        ("config: c\nvary: {a: [1]}\nderive: {b: c * a, c: b}", "3: derive.c: depends on itself in a circle: b"),
        ("config: c\nvary: {a: [1]}\nderive: {seed: a}", "3: derive.seed: cannot be varied"),
        ("config: c\nvary: {a: [1]}\nderive: {a.b: a}", "3: derive.a.b: lies inside 'a'"),
        ("config: c\nvary: {a.b: [1], c: [1]}\nderive: {a: base * c}", "3: derive.a: lies around 'a.b', which is varied"),
        ("config: c\nvary: {a: [1]}\nderive: {b: 3}", "3: derive.b: expected a string (an expression), got 3"),
        ("config: c\nvary: {a.b: }", "2: vary.a.b: expected a list of values, got null"),
        ("config: c\nvary: {a.b: {values: }}", "2: vary.a.b.values: expected a list of values, got null"),
        ("config: c\ndesign: list\ntrials: [{a: 1}, 3]", "3: trials.1: expected a mapping, got 3"),
        ("config: c\nvary: {a: [1]}\nseeds: [0, x]", "3: seeds.1: expected an integer (from 0 to 2147483647), got 'x', a string"),
        ("config: c\nvary: {a: [1]}\nconstraints: [3]", "3: constraints.0: expected a string (an expression), got 3"),
        (
            "config: c\nvary: {a: [1]}\nbudget: 3",
            "3: budget: expected the keys of Budget (runs, hours, gpu_hours, failures_in_a_row), got 3",
        ),
        (
            "config: c\nvary: {a: [1]}\nresources: {timeout: 2 hours}",
            "3: resources.timeout: expected a duration (90s, 10m, 2h, 1h30m, 1d) or seconds",
        ),
        ("config: c\nvary: {a: [1]}\nresources: {stall: 0}", "3: resources.stall: expected a duration"),
        ("config: c\nvary: {a: [1]}\nresources: {timeout: 0s}", "3: resources.timeout: expected a duration"),
        ("config: c\nvary: {a: [1]}\nresources: {gpus: 1.5}", "3: resources.gpus: is 1.5; expected a whole number, or a share of one GPU"),
        ("config: c\nvary: {a: [1]}\nbudget: {run: 3}", "3: budget.run: unknown key of Budget; did you mean 'runs'?"),
        ("config: c\nvary: {a: [1]}\nbudget: {hours: 0}", "3: budget.hours: expected a number (more than 0) or null, got 0"),
        ("config: c\nvary: {a: [1]}\nmetric: []", "3: metric: is empty"),
        ("config: c\nvary: {a: [1]}\nmetric: [{name: x}, {name: x}]", "3: metric: x is listed twice"),
        ("config: c\nvary: {a: [1]}\nmetric: [{nam: x}]", "3: metric.0.nam: unknown key of Metric; did you mean 'name'?"),
        ("config: c\nvary: {a: [1]}\nracing: {max_seeds: 5}", "1: seeds: racing needs at least two seeds at the start"),
        (
            "config: c\nvary: {a: [1]}\nseeds: [0, 1, 2]\nracing: {max_seeds: 3}",
            "4: racing.max_seeds: is 3, but every trial already has the 3 seeds under `seeds`",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert any(expected in problem for problem in found), found


SPACE = "config: c\ndesign: optuna\nbudget: {runs: 9}\nspace:\n  t: [A, B]\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("config: c\ndesign: optuna\nbudget: {runs: 9}", "1: space: is empty"),
        (
            "config: c\ndesign: optuna\nspace: {a: [1, 2]}",
            "1: budget: no budget: TPESampler never stops by itself; set budget.runs, hours or gpu_hours",
        ),
        ("config: c\ndesign: optuna\nspace: {a: [1, 2]}\nbudget: {failures_in_a_row: 2}", "4: budget: no budget"),
        (SPACE + "vary: {a: [1]}", "6: vary: is not used by `design: optuna`, only by `grid`, `one_at_a_time`, `zip`"),
        (
            SPACE + "racing: {max_seeds: 5}\nseeds: [0, 1]",
            "6: racing: is not used by `design: optuna`, only by `grid`, `list`, `one_at_a_time`, `zip`",
        ),
        (SPACE + "  x: 3", "6: space.x: expected a list of choices, [3], or {low: …, high: …}, got 3"),
        (SPACE + "  x: []", "6: space.x: has no choices"),
        (SPACE + "  x: [1, 1.0]", "6: space.x: 1 is listed twice"),
        (SPACE + "  x: {low: 1}", "6: space.x.high: missing; expected an integer or a number"),
        (SPACE + "  x: {low: 1, hihg: 2}", "6: space.x.hihg: unknown key of Span; did you mean 'high'"),
        (SPACE + "  x: {choices: [1], wen: t == A}", "6: space.x.wen: unknown key of Choice; did you mean 'when'?"),
        (SPACE + "  x: {low: 2, high: 2}", "6: space.x: low 2 is not less than high 2"),
        (SPACE + "  x: {low: 0, high: 2, log: true}", "6: space.x.low: must be above 0 with `log: true`, got 0"),
        (SPACE + "  x: {low: 1, high: 2, log: true, step: 1}", "6: space.x.step: cannot be used with `log: true`"),
        (SPACE + "  x: {low: 0.0, high: 1, step: 0.3}", "6: space.x.high: 1 is not reached in steps of 0.3: the last value is 0.9"),
        (SPACE + "  x: {low: 1, high: 2, step: 0}", "6: space.x.step: expected an integer (more than 0)"),
        (
            SPACE + "  x: {low: 1, high: 2, when: t = A}",
            "6: space.x.when: 't = A' is not an expression: '= A' (character 3) is not part of an expression",
        ),
        (SPACE + "  x: {low: 1, high: 2, when: t}", "6: space.x.when: 't' is not a condition: add a comparison"),
        (
            SPACE + "  x: {low: 1, high: 2, when: tt == A}",
            "6: space.x.when: 'tt' is no key of the space, and a condition is about those; did you mean 't'?",
        ),
        (SPACE + "  x: {low: 1, high: 2, when: t == C}", "6: space.x.when: 't == C' is never true in this space"),
        (SPACE + "  x: {low: 1, high: 2, when: x > 1}", "6: space.x.when: depends on itself"),
        (
            SPACE + "  x: {low: 1, high: 2, when: y > 1}\n  y: {low: 1, high: 2, when: x > 1}",
            "7: space.y.when: depends on itself in a circle: x",
        ),
        (SPACE + "  seed: [1, 2]", "6: space.seed: cannot be varied"),
        (
            SPACE + "constraints: [resource/memory_gib]",
            "6: constraints.0: 'resource/memory_gib' is not a condition: add a comparison",
        ),
        (SPACE + "constraints:\n  - 3 < 4", "7: constraints.0: '3 < 4' names no metric"),
        (SPACE + "sampler: {n_startup_trials: 8}", "6: sampler.name: missing"),
        (SPACE + "sampler: 3", "6: sampler: expected the keys of Component (name, …), got 3"),
        (SPACE + "  x: ", "6: space.x: expected a list of choices or {low: …, high: …}, got null"),
        (SPACE + "confirm_seeds: -1", "6: confirm_seeds: expected an integer (at least 0), got -1"),
        (
            SPACE + "metric: [{name: x}, {name: y}]\npruner: MedianPruner",
            "7: pruner: cannot be used with several metrics: Optuna does not prune in multi-objective optimisation",
        ),
    ],
)
def test_what_is_wrong_in_optunas_form_is_named(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert any(expected in problem for problem in found), found


def test_a_sampler_that_ends_by_itself_needs_no_budget(tmp_path: Path) -> None:
    text = "config: c\ndesign: optuna\nspace: {a: [1, 2]}\nsampler: GridSampler"
    assert load_sweep(write(tmp_path, text)).sampler == Component(name="GridSampler")


def test_all_problems_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, "config: c\nvary:\n  a: []\n  seed: [1, 1]\nseeds: [0, 0]\ntrials: [{b: 1}]")) == 5


USED = {
    "$schema",
    "$defs",
    "$ref",
    "title",
    "description",
    "default",
    "type",
    "properties",
    "required",
    "items",
    "anyOf",
    "enum",
    "pattern",
}
USED |= {"additionalProperties", "minimum", "maximum", "exclusiveMinimum"}


def valid(value: Any, rule: dict[str, Any], root: dict[str, Any]) -> bool:
    """The part of JSON Schema that ours uses."""
    assert rule.keys() <= USED
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "null": type(None),
        "number": (int, float),
        "integer": int,
    }
    kind = rule.get("type")
    if "$ref" in rule and not valid(value, root["$defs"][rule["$ref"].rpartition("/")[2]], root):
        return False
    if "anyOf" in rule and not any(valid(value, choice, root) for choice in rule["anyOf"]):
        return False
    if kind and (not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind in ("number", "integer"))):
        return False
    if "enum" in rule and value not in rule["enum"] or "pattern" in rule and not re.search(rule["pattern"], value):
        return False
    if kind in ("number", "integer"):
        return rule.get("minimum", value) <= value <= rule.get("maximum", value) and value > rule.get("exclusiveMinimum", value - 1)
    if isinstance(value, dict) and kind == "object":
        known, others = rule.get("properties", {}), rule.get("additionalProperties", {})
        inner = {**{key: others for key in value}, **known}
        each = all(inner[key] is not False and valid(item, inner[key], root) for key, item in value.items())
        return each and value.keys() >= set(rule.get("required", ()))
    return not isinstance(value, list) or all(valid(item, rule.get("items", {}), root) for item in value)


def fits(path: Path) -> bool:
    return valid(load_config(path).plain(), schema(), schema())


def test_what_is_read_fits_the_json_schema(tmp_path: Path) -> None:
    for file in sorted(SWEEPS.glob("*.yml")):
        assert fits(file)
    assert fits(write(tmp_path, OPTUNA))
    assert fits(
        write(tmp_path, "config: c\nvary: {a: [1], b: {label: x, values: [1]}}\nmetric: [{name: x}]\nracing: {max_seeds: 4}\nseeds: [1, 2]")
    )
    assert fits(write(tmp_path, "config: c\ndesign: list\ntrials: [{a: 1}]\nresources: {timeout: null, stall: 1d 2h}"))


@pytest.mark.parametrize(
    "text",
    [
        "vray: {a: [1]}",
        "vary: {a: 1}",
        "resources: {cpus: 0}",
        "resources: {timeout: 2x}",
        "resources: {timeout: ''}",
        "resources: {timeout: 0}",
        "budget: {run: 1}",
        "budget: {runs: true}",
        "space: {a: {low: 1}}",
        "seeds: [-1]",
        "metric: {goal: up}",
        "sampler: {x: 1}",
        "space: {a: {low: 1, high: 2, choices: [1]}}",
        "racing: {max_seeds: 2}",
        "derive: {a: 1}",
        "config: 3",
    ],
)
def test_what_is_refused_does_not_fit_the_json_schema(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text if "config" in text else f"config: c\n{text}")
    assert not fits(path)
    with pytest.raises(InputError):
        load_sweep(path)


def test_the_json_schema_is_fresh(tmp_path: Path) -> None:
    command = "python -m runner.search.schema_file docs/sweep.schema.json"
    assert main([str(tmp_path / "s.json")]) == 0 and (tmp_path / "s.json").read_text(encoding="utf-8") == text()
    assert (ROOT / "docs" / "sweep.schema.json").read_text(encoding="utf-8") == text(), f"it is stale; run: {command}"
    assert json.loads(text())["$schema"].startswith("https://json-schema.org/draft/2020-12/")


def test_the_sweeps_in_the_guide_are_read(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "sweep.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    shown = [block for block in blocks if re.search(r"^(vary|trials|space|metric):", block, re.M)]
    assert len(shown) == 6
    for block in shown:
        (tmp_path / "configs").mkdir(exist_ok=True)
        (tmp_path / "configs" / "fcos_r50_fpn_1x.yml").touch()
        missing = "config: c\n" * ("config:" not in block) + "vary: {a: [1]}\n" * block.startswith("metric")
        assert fits(path := write(tmp_path, missing + block.replace("../configs", "configs")))
        load_sweep(path)


@pytest.mark.parametrize("file", sorted(SWEEPS.glob("*.yml")), ids=lambda file: file.name)
def test_shipped_sweeps_name_the_json_schema(file: Path) -> None:
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", file.read_text(encoding="utf-8"))
    assert named is not None and (file.parent / named[1]).resolve() == ROOT / "docs" / "sweep.schema.json"


def test_shipped_sweeps_are_read() -> None:
    files = sorted(SWEEPS.glob("*.yml"))
    assert [file.name for file in files] == ["backends.yml", "batchsize.yml", "pcb_article.yml"]
    for file in files:
        spec = load_sweep(file)
        assert spec.config_path(file).is_file() and len(spec.seeds) >= 2
        assert list(spec.factors()) == (["backend"] if file.name == "backends.yml" else ["TrainReader.batch_size", "max_iters"])


def test_set_changes_keys_of_the_config_that_have_dots(tmp_path: Path) -> None:
    path = write(tmp_path, "{config: c, vary: {a.b: [1], c.d: {label: x, values: [1]}}, derive: {e.f: base * a.b}}")
    spec = load_sweep(path, ["vary.a.b=[2]", "vary.c.d.values=[3]", "vary.g.h=[4]", "derive.e.f=base + a.b", "seeds=[1]"])
    assert spec.factors() == {"a.b": Factor(values=(2,)), "c.d": Factor(values=(3,), label="x"), "g.h": Factor(values=(4,))}
    assert spec.derive == {"e.f": "base + a.b"} and spec.seeds == (1,)
    with pytest.raises(InputError) as caught:
        load_sweep(path, ["vary.a.b.values=[2]", "foo"])
    assert [str(problem).split(": ")[0] for problem in caught.value.problems] == ["--set vary.a.b.values=[2]", "--set foo"]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("couple.x=1", "--set derive.x=1"),
        ("join_best=true", "--set combine_best=true"),
        ("confirm=1", "--set confirm_seeds=1"),
        ("resources.memory_gb=4", "--set resources.memory_gib=4"),
        ("memory_gb=4", "--set resources.memory_gib=4"),
        ("seeds=[0, 1]", "--set 'seeds=[0, 1]'"),
        ("hours=2", "--set budget.hours=2"),
        ("cut.val=0.2", "a key of data specs (datasets/NAME.yml), called `split`"),
    ],
)
def test_a_key_of_the_sweep_file_among_the_overrides_is_explained(given: str, meant: str) -> None:
    problem = Problem("unknown key", where=f"-o {given}", key=given.partition("=")[0].partition(".")[0])
    assert meant in meant_for_sweep(problem).message


def test_other_problems_of_overrides_stay() -> None:
    for problem in (
        Problem("unknown key", where="-o foo=1", key="foo"),
        Problem("expected an integer", where="-o seeds=1", key="seeds"),
        Problem("unknown key", where="config.yml:3", key="seeds"),
    ):
        assert meant_for_sweep(problem) is problem
    assert "--set vary=VALUE" in meant_for_sweep(Problem("unknown key", where="-o vary=[1, 2…", key="vary")).message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("memory_gb=4", "--set memory_gb=4: memory_gb: unknown key; did you mean 'resources.memory_gib'?"),
        ("retries=4", "--set retries=4: retries: unknown key; did you mean 'resources.retries'?"),
        ("confirm=1", "--set confirm=1: confirm: is now called `confirm_seeds`: rename the key"),
        (
            "n_trials=20",
            "--set n_trials=20: n_trials: unknown key; a sweep is limited by its runs (trials times seeds, with the baseline's): "
            "`budget: {runs: …}`",
        ),
        (
            "timeout=20",
            "--set timeout=20: timeout: unknown key; a sweep is limited by `budget: {runs: …}` or `budget: {hours: …}`, an attempt of a "
            "run by `resources: {timeout: …}`",
        ),
        ("cut.val=1", "--set cut.val=1: cut: unknown key; it is a key of data specs (datasets/NAME.yml), called `split`"),
    ],
)
def test_a_change_with_a_key_of_former_times_or_without_its_section(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        load_sweep(write(tmp_path, "config: c\nvary: {a: [1]}"), [change])
    assert str(error.value) == message
