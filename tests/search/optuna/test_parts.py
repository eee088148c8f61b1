"""Samplers and pruners by name: what is wrong with how one is asked for is said before anything starts."""

import subprocess
import sys
import textwrap
from typing import Any

import pytest

from runner.core.errors import InputError
from runner.search.optuna import parts as optuna_parts
from runner.search.optuna.parts import check_parts, make_pruner, make_sampler
from runner.search.optuna.search import OptunaSearch
from runner.search.spec import Component, Metric, Span, SweepSpec

SPACE = {"lr": Span(low=0.1, high=1.0)}


def problems(sampler: str = "TPESampler", pruner: str | None = None, *, of: dict[str, Any] | None = None, **changes: Any) -> dict[str, str]:
    arguments = of or {}
    spec = SweepSpec(
        config="x.yml",
        design="optuna",
        space=SPACE,
        sampler=Component(name=sampler, arguments={} if pruner else arguments),
        pruner=Component(name=pruner, arguments=arguments) if pruner else None,
        **changes,
    )
    return {problem.key: problem.message for problem in check_parts(spec)}


NESTED_SAMPLERS: list[tuple[str, dict[str, Any]]] = [
    ("PartialFixedSampler", {"fixed_params": {"lr": 0.5}, "base_sampler": {"name": "TPESampler", "n_startup_trials": 3}}),
    ("CmaEsSampler", {"independent_sampler": {"name": "TPESampler"}, "sigma0": 0.1}),
    ("GPSampler", {"independent_sampler": "QMCSampler", "deterministic_objective": True}),
    ("NSGAIISampler", {"crossover": {"name": "SBXCrossover", "eta": 2.0}, "population_size": 8, "mutation_prob": 0.1}),
    ("QMCSampler", {"qmc_type": "halton", "scramble": True, "seed": 3}),
    ("TPESampler", {"multivariate": True, "group": True, "constant_liar": False, "seed": 1}),
    ("GridSampler", {}),
    ("BruteForceSampler", {"avoid_premature_stop": True}),
]


def test_every_sampler_and_pruner_of_optuna_is_known() -> None:
    import optuna

    needed: dict[str, dict[str, Any]] = {
        "PartialFixedSampler": NESTED_SAMPLERS[0][1],
        "PercentilePruner": {"percentile": 25},
        "ThresholdPruner": {"lower": 0.1},
        "PatientPruner": {"wrapped_pruner": {"name": "HyperbandPruner", "min_resource": 10}, "patience": 2},
    }
    samplers = [name for name in optuna.samplers.__all__ if name.endswith("Sampler") and not name.startswith("Base")]
    pruners = [name for name in optuna.pruners.__all__ if not name.startswith("Base")]
    assert len(samplers) >= 10 and len(pruners) >= 8
    for name in samplers:
        assert problems(name, of=needed.get(name)) == {}
    for name in pruners:
        assert problems(pruner=name, of=needed.get(name), seeds=tuple(range(8))) == {}


@pytest.mark.parametrize(("name", "arguments"), NESTED_SAMPLERS)
def test_arguments_reach_optuna(name: str, arguments: dict[str, Any]) -> None:
    assert problems(name, of=arguments) == {}
    if name != "GridSampler":
        with optuna_parts.quiet():
            assert type(make_sampler(Component(name=name, arguments=arguments), 5)).__name__ == name


@pytest.mark.parametrize(
    ("given", "key", "says"),
    [
        ({"sampler": "TPESampeler"}, "sampler.name", "Optuna has no sampler 'TPESampeler'; did you mean 'TPESampler'"),
        ({"sampler": "Bohb"}, "sampler.name", "there is|there are|allowed"),
        ({"pruner": "MedianPrunner"}, "pruner.name", "Optuna has no pruner 'MedianPrunner'; did you mean 'MedianPruner'"),
        ({"of": {"n_startup": 3}}, "sampler.n_startup", "TPESampler has no such argument; did you mean 'n_startup_trials'"),
        ({"sampler": "RandomSampler", "of": {"zzz": 3}}, "sampler.zzz", "RandomSampler has no such argument; allowed: seed"),
        ({"pruner": "NopPruner", "of": {"zzz": 3}}, "pruner.zzz", "NopPruner has no such argument; it takes none"),
        ({"of": {"n_startup_trials": "many"}}, "sampler.n_startup_trials", "expected int, got many"),
        ({"of": {"group": 1}}, "sampler.group", "expected bool, got 1"),
        ({"of": {"n_startup_trials": True}}, "sampler.n_startup_trials", "expected int, got true"),
        ({"of": {"gamma": 3}}, "sampler.gamma", "cannot be set in a sweep file"),
        ({"of": {"constraints_func": "x"}}, "sampler.constraints_func", "list them under `constraints`"),
        ({"sampler": "GridSampler", "of": {"search_space": {}}}, "sampler.search_space", "it is made of `space`"),
        ({"pruner": "PercentilePruner"}, "pruner", "PercentilePruner needs percentile, which has no default"),
        (
            {"pruner": "PercentilePruner", "of": {"percentile": 120}},
            "pruner",
            "refuses its arguments: Percentile must be",
        ),
        ({"pruner": "ThresholdPruner"}, "pruner", "refuses its arguments: Either lower or upper must be specified"),
        (
            {"pruner": "PatientPruner", "of": {"wrapped_pruner": {"name": "MedianPruner", "warmup": 1}, "patience": 1}},
            "pruner.wrapped_pruner.warmup",
            "MedianPruner has no such argument",
        ),
        (
            {"pruner": "PatientPruner", "of": {"wrapped_pruner": {"percentile": 1}, "patience": 1}},
            "pruner.wrapped_pruner",
            "expected a pruner, {name: …, its arguments}, got {percentile: 1}",
        ),
        (
            {"sampler": "PartialFixedSampler", "of": {"fixed_params": {}, "base_sampler": {"name": "GridSampler"}}},
            "sampler.base_sampler",
            "GridSampler cannot be used inside another sampler",
        ),
        (
            {"sampler": "GPSampler", "of": {"independent_sampler": {"name": "RandomSampler", "seed": 1}}},
            "sampler.independent_sampler.seed",
            "the outer sampler's seed counts",
        ),
        ({"sampler": "CmaEsSampler", "constraints": ("a <= 8",)}, "constraints", "CmaEsSampler ignores constraints"),
        ({"sampler": "CmaEsSampler", "metric": (Metric(name="a"), Metric(name="b"))}, "sampler.name", "optimises one metric"),
        ({"pruner": "WilcoxonPruner", "seeds": (0, 1, 2)}, "pruner", "before the last of 3 has ended p cannot be under 0.25"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(given: dict[str, Any], key: str, says: str) -> None:
    found = problems(**given)
    assert list(found) == [key]
    assert any(part in found[key] for part in says.split("|"))


@pytest.mark.parametrize(
    ("part", "module", "extra"),
    [
        ("CmaEsSampler", "cmaes", "optuna"),
        ("GPSampler", "torch", "torch"),
        ("QMCSampler", "scipy", "optuna"),
        ("WilcoxonPruner", "scipy", "optuna"),
    ],
)
def test_a_missing_package_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch, part: str, module: str, extra: str) -> None:
    find = optuna_parts.importlib.util.find_spec
    monkeypatch.setattr(optuna_parts.importlib.util, "find_spec", lambda name: None if name == module else find(name))
    kind = "pruner" if part.endswith("Pruner") else "sampler"
    found = problems(**{kind: part}, seeds=tuple(range(8)))
    assert found == {f"{kind}.name": f"{part} needs the package {module}: pip install '.[{extra}]' in a checkout of runner"}


def test_all_problems_come_at_once() -> None:
    spec = SweepSpec(
        config="x.yml", design="optuna", space=SPACE, sampler=Component(name="Tpe"), pruner=Component(name="Median", arguments={"x": 1})
    )
    with pytest.raises(InputError) as raised:
        OptunaSearch(spec, {"lr": 0.2}.__getitem__, None)
    assert [problem.key for problem in raised.value.problems] == ["sampler.name", "pruner.name"]


@pytest.mark.parametrize(
    ("space", "says"),
    [
        (SPACE, "GridSampler tries every point: give a step, or a list, for lr"),
        ({"a": Span(low=1, high=1000), "b": Span(low=1, high=1000)}, "GridSampler would try 1000000 points; at most 100000"),
    ],
)
def test_a_grid_needs_a_finite_space(space: dict[str, Span], says: str) -> None:
    spec = SweepSpec(config="x.yml", design="optuna", space=space, sampler=Component(name="GridSampler"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=says):
        OptunaSearch(spec, {"lr": 0.2, "a": 1, "b": 1}.__getitem__, None)


def test_hyperband_is_given_what_a_run_is_long() -> None:
    with optuna_parts.quiet():
        made = make_pruner(Component(name="HyperbandPruner"), first_step=50, steps=1350)
        kept = make_pruner(Component(name="HyperbandPruner", arguments={"min_resource": 10, "max_resource": 90}), first_step=50, steps=1350)
    assert (made._min_resource, made._max_resource) == (50, 1350)  # type: ignore[attr-defined]
    assert (kept._min_resource, kept._max_resource) == (10, 90)  # type: ignore[attr-defined]


def test_without_optuna_the_seams_import_and_the_search_says_what_to_install() -> None:
    code = textwrap.dedent(
        """
        import sys
        sys.modules["optuna"] = None
        import runner.search.base, runner.search.spec, runner.search.designs, runner.search.load
        from runner.core.errors import InputError
        try:
            import runner.search.optuna.search
        except InputError as error:
            print(error)
        """
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert "pip install '.[optuna]' in a checkout of runner" in run.stdout
