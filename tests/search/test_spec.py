"""Sweep files: what is understood, and that everything wrong is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.errors import InputError
from runner.search.load import load_sweep
from runner.search.spec import Factor, Resources, SweepSpec

SWEEPS = Path(__file__).resolve().parents[2] / "sweeps"


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
    assert (spec.design, spec.seeds, spec.metric.goal, spec.resources.concurrency) == (
        "one_at_a_time",
        (0,),
        "maximize",
        "auto",
    )


def test_list_design(tmp_path: Path) -> None:
    spec = load_sweep(write(tmp_path, "config: c.yml\ndesign: list\ntrials:\n  - {a.b: 1}\n  - {a.b: 2, c: [1, 2]}\n"))
    assert spec.trials == ({"a.b": 1}, {"a.b": 2, "c": [1, 2]})


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
        ("vary: {a: [1]}", "config: is missing"),
        ("config: c\nvray: {a: [1]}", "2: vray: unknown key; did you mean 'vary'"),
        ("config: c\nvary: {a: [1]}\nresources: {retry: 2}", "3: resources.retry: unknown key of Resources; did you mean 'retries'"),
        ("config: c\nvary: {a: [1]}\nresources: {concurrency: 0}", "3: resources.concurrency: expected"),
        ("config: c\nvary: {a: [1]}\ndesign: optna", "3: design: expected one of"),
        ("config: c\nvary: {a: [1]}\nmetric: {name: x, goal: up}", "3: metric.goal: expected one of"),
        ("config: c\nvary: {a: 1}", "2: vary"),
        ("config: c\nvary:\n  a.b: 600", "3: vary.a.b: expected a list of values, [600], or {values: [600], label: …}, got 600"),
        ("config: c\nvary:\n  a.b: [1]\n  c: x", "4: vary.c: expected a list of values, [x], or {values: [x], label: …}, got x"),
        ("# one\nconfig: d.yml\nvary: {a: [1]}", "2: config: there is no file "),
        ("config: c\nvary:\n  a.b: {label: x, vals: [1]}", "3: vary.a.b.vals: unknown key"),
        ("config: c", "1: vary: is empty"),
        ("config: c\nvary:\n  a.b: []", "3: vary.a.b: has no values"),
        ("config: c\nvary:\n  a.b: [1, 2, 1.0]", "3: vary.a.b: 1 stands there twice"),
        ("config: c\nvary: {a: [1]}\nseeds: [0, 0]", "3: seeds: 0 stands there twice"),
        ("config: c\nvary: {a: [1]}\nseeds: []", "3: seeds: is empty"),
        ("config: c\nvary: {a: [1]}\nseeds: [-1]", "3: seeds: expected"),
        ("config: c\nvary:\n  seed: [1]", "3: vary.seed: is not set like this"),
        ("config: c\nvary:\n  a: [1]\n  a.b: [2]", "4: vary.a.b: lies inside 'a'"),
        (
            "config: c\nvary: {a: {label: x, values: [1]}, b: {label: x, values: [1]}}",
            "2: vary: two keys have the label 'x'",
        ),
        ("config: c\ndesign: list\nvary: {a: [1]}\ntrials: [{a: 1}]", "3: vary: is not used by `design: list`"),
        ("config: c\ndesign: list", "trials: is empty"),
        (
            "config: c\ndesign: list\ntrials:\n  - {a: 1}\n  - {}\n  - {a: 1}",
            "5: trials.1: is empty: the baseline is always run",
        ),
        ("config: c\nvary: {a: [1]}\ntrials: [{a: 1}]", "3: trials: is not used by `design: one_at_a_time`"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert any(expected in problem for problem in found), found


def test_all_problems_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, "config: c\nvary:\n  a: []\n  seed: [1, 1]\nseeds: [0, 0]\ntrials: [{b: 1}]")) == 5


@pytest.mark.parametrize(("gpus", "expected"), [(0, 4), (1, 1), (2, 2), (8, 4)])
def test_auto_slots(gpus: int, expected: int) -> None:
    assert Resources(cpus=2).slots(cores=8, gpus=gpus) == expected


def test_there_is_always_a_slot() -> None:
    assert Resources(cpus=16).slots(cores=8, gpus=0) == 1
    assert Resources(concurrency=5, cpus=16).slots(cores=8, gpus=1) == 5


def test_shipped_sweeps_are_read() -> None:
    files = sorted(SWEEPS.glob("*.yml"))
    assert [file.name for file in files] == ["backends.yml", "batchsize.yml", "pcb_article.yml"]
    for file in files:
        spec = load_sweep(file)
        assert spec.config_path(file).is_file() and len(spec.seeds) >= 2
        assert list(spec.factors()) == (["backend"] if file.name == "backends.yml" else ["TrainReader.batch_size", "max_iters"])
