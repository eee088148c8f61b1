"""Optuna's samplers and pruners by name: checked and made from a sweep file. Importing this imports Optuna."""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal

from runner.core.errors import InputError, Problem, how_to_install, nearest
from runner.core.values import format_value
from runner.search.spec import Component, SweepSpec

try:
    import optuna as optuna  # our other modules take it from here
except ModuleNotFoundError as error:
    if error.name != "optuna":
        raise
    raise InputError(f"`design: optuna` needs the package optuna: {how_to_install('.[optuna]')}") from error

Kind = Literal["sampler", "pruner", "crossover", "mutation"]
_MODULES: Final[Mapping[Kind, Any]] = {
    "sampler": optuna.samplers,
    "pruner": optuna.pruners,
    "crossover": optuna.samplers.nsgaii,
    "mutation": optuna.samplers.nsgaii,
}
_NESTED: Final[Mapping[str, Kind]] = {
    "independent_sampler": "sampler",
    "base_sampler": "sampler",
    "wrapped_pruner": "pruner",
    "crossover": "crossover",
    "mutation": "mutation",
}
"""Arguments that are samplers or pruners themselves, written in the same way: ``{name: MedianPruner, n_warmup_steps: 100}``."""
_REFUSED: Final = {
    "constraints_func": "list them under `constraints`",
    "search_space": "it is made of `space`",
    "seed": "it has no use here: the outer sampler's seed counts",
}
_NEEDS: Final = {
    "CmaEsSampler": ("cmaes", "optuna"),
    "GPSampler": ("torch", "torch"),
    "QMCSampler": ("scipy", "optuna"),
    "WilcoxonPruner": ("scipy", "optuna"),
}
"""Module that a part imports when it is used, and the extra of ours that brings it."""
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
    "None": (type(None),),
}
_FILLED: Final[Mapping[str, Mapping[str, str]]] = {
    "HyperbandPruner": {"min_resource": "first", "max_resource": "last"},
    "SuccessiveHalvingPruner": {"min_resource": "first"},
}


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's warnings (experimental, deprecated) and its log: `check_parts` reports what matters before the start."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def check_parts(spec: SweepSpec) -> list[Problem]:
    """Find what is wrong with the sampler, the pruner and their use."""
    problems = _check(spec.sampler, "sampler", "sampler")
    if spec.pruner is not None:
        problems += _check(spec.pruner, "pruner", "pruner")
    return problems or [*_check_sampler_use(spec), *_check_pruner_use(spec)]


def make_sampler(component: Component, seed: int) -> optuna.samplers.BaseSampler:
    """Make the sampler that `component` describes, and those inside it, drawing from `seed`."""
    made: optuna.samplers.BaseSampler = _make(component, "sampler", {"seed": seed})
    return made


def make_pruner(component: Component, *, first_step: int, steps: int) -> optuna.pruners.BasePruner:
    """Make the pruner that `component` describes.

    Args:
        first_step: optimiser step of the first evaluation: the least resource of halving pruners, unless given. (Optuna's own default, 1,
            would put several rungs before the first evaluation.)
        steps: of a whole run: the most resource of Hyperband, unless given.
    """
    made: optuna.pruners.BasePruner = _make(component, "pruner", {"first": first_step, "last": steps})
    return made


def contains_part(component: Component, name: str) -> bool:
    """Return whether `component` is a `name` or contains one."""
    inner = (_component(value) for key, value in component.arguments.items() if key in _NESTED and value is not None)
    return component.name == name or any(contains_part(part, name) for part in inner)


def _component(value: Any) -> Component:
    if isinstance(value, str):
        return Component(name=value)
    return Component(name=value["name"], arguments={key: item for key, item in value.items() if key != "name"})


def _classes(kind: Kind) -> dict[str, type]:
    suffix = kind.capitalize()
    module = _MODULES[kind]
    names = [name for name in module.__all__ if name.endswith(suffix) and not name.startswith("Base")]
    return {name: getattr(module, name) for name in names}


def _parameters(cls: type) -> dict[str, inspect.Parameter]:
    """Return the class's arguments by name; none where it has no constructor of its own."""
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def _make(component: Component, kind: Kind, given: Mapping[str, int]) -> Any:
    cls = _classes(kind)[component.name]
    arguments = {
        name: _make(_component(value), _NESTED[name], given) if name in _NESTED and value is not None else value
        for name, value in component.arguments.items()
    }
    if "seed" in given and "seed" in _parameters(cls):
        arguments["seed"] = given["seed"]
    for name, source in _FILLED.get(component.name, {}).items():
        if arguments.get(name, "auto") == "auto":
            arguments[name] = max(1, given[source])
    return cls(**arguments)


def _check(component: Component, kind: Kind, place: str) -> list[Problem]:
    classes = _classes(kind)
    cls = classes.get(component.name)
    if cls is None:
        hint = nearest(component.name, list(classes)) or "there are: " + ", ".join(classes)
        return [Problem(f"Optuna has no {kind} {component.name!r}; {hint}", key=f"{place}.name")]
    problems = _missing_packages(component.name, place)
    parameters = _parameters(cls)
    usable = {name: p for name, p in parameters.items() if name in _NESTED or name == "seed" or _writable(p)}
    usable = {name: p for name, p in usable.items() if name not in _REFUSED or (name == "seed" and place == "sampler")}
    for name, value in component.arguments.items():
        here = f"{place}.{name}"
        if name in usable and name in _NESTED and value is not None:
            problems += _check_nested(value, _NESTED[name], here)
        elif name in usable:
            problems += _check_type(value, usable[name], here)
        elif name in parameters:
            problems.append(Problem(_REFUSED.get(name, "cannot be set in a sweep file, because it is code: leave it out"), key=here))
        else:
            allowed = nearest(name, list(usable)) or ("allowed: " + ", ".join(usable) if usable else "it takes none")
            problems.append(Problem(f"{component.name} has no such argument; {allowed}", key=here))
    for name, parameter in usable.items():
        if parameter.default is parameter.empty and name not in component.arguments:
            problems.append(Problem(f"{component.name} needs {name}, which has no default", key=place))
    return problems or _check_values(component, kind, place)


def _check_nested(value: Any, kind: Kind, place: str) -> list[Problem]:
    if not isinstance(value, str) and not (isinstance(value, Mapping) and isinstance(value.get("name"), str)):
        return [Problem(f"expected a {kind}, {{name: …, its arguments}}, got {format_value(value)}", key=place)]
    component = _component(value)
    if component.name in ("GridSampler", "BruteForceSampler"):
        return [Problem(f"{component.name} cannot be used inside another sampler", key=place)]
    return _check(component, kind, place)


def _check_values(component: Component, kind: Kind, place: str) -> list[Problem]:
    """Find what the class itself refuses."""
    if component.name == "GridSampler":
        return []
    try:
        with quiet():
            _make(component, kind, {"seed": 0, "first": 1, "last": 1})
    except (TypeError, ValueError) as error:
        return [Problem(f"{component.name} refuses its arguments: {error}", key=place)]
    return []


def _writable(parameter: inspect.Parameter) -> bool:
    """Return whether YAML can express the value: the annotation, a string in Optuna, names a plain type or a mapping."""
    parts = [part.strip() for part in str(parameter.annotation).split("|")]
    return any(part in _TYPES and part != "None" or part.startswith("dict[") for part in parts) or parameter.annotation in (int, float)


def _check_type(value: Any, parameter: inspect.Parameter, place: str) -> list[Problem]:
    text = getattr(parameter.annotation, "__name__", None) or str(parameter.annotation)
    parts = [part.strip() for part in text.split("|")]
    if any(part not in _TYPES for part in parts):
        return []
    fits = any(isinstance(value, _TYPES[part]) and (not isinstance(value, bool) or part == "bool") for part in parts)
    return [] if fits else [Problem(f"expected {' or '.join(parts).replace('None', 'null')}, got {format_value(value)}", key=place)]


def _missing_packages(name: str, place: str) -> list[Problem]:
    module, extra = _NEEDS.get(name, ("", ""))
    if not module or importlib.util.find_spec(module) is not None:
        return []
    return [Problem(f"{name} needs the package {module}: {how_to_install(f'.[{extra}]')}", key=f"{place}.name")]


def _check_sampler_use(spec: SweepSpec) -> Iterator[Problem]:
    if contains_part(spec.sampler, "CmaEsSampler"):
        instead = "TPESampler, GPSampler and NSGAIISampler do"
        if spec.constraints:
            yield Problem(f"CmaEsSampler ignores constraints: {instead}", key="constraints")
        if len(spec.metrics) > 1:
            yield Problem(f"CmaEsSampler optimises one metric: for several {instead}", key="sampler.name")


def _check_pruner_use(spec: SweepSpec) -> Iterator[Problem]:
    if spec.pruner is not None and spec.pruner.name == "WilcoxonPruner":
        smallest = 0.5 ** (len(spec.seeds) - 1)
        limit = spec.pruner.arguments.get("p_threshold", 0.1)
        if smallest >= limit:
            yield Problem(
                f"WilcoxonPruner compares the seeds of a trial: before the last of {len(spec.seeds)} has ended p cannot be under "
                f"{smallest:g}, so at p_threshold {limit:g} it never prunes a trial; give more `seeds`, or another pruner",
                key="pruner",
            )
