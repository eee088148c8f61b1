"""Module registry: ppdet's modules and their arguments, read from the installed ppdet once per environment and kept as a small file.

So a config is checked in the driver, which has no Paddle, against the version that is installed and not against a list of ours.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import __version__
from runner.core.errors import RunnerError
from runner.core.files import atomic_write_json, read_json
from runner.core.importing import child_environment
from runner.environments.interpreters import folder, versions

_TIMEOUT_S = 300
_FORMAT = 5
"""Counted up when what is kept changes."""
_KWARGS = re.compile(r"""kwargs(?:\.get|\.pop)?[\[(]\s*['"](\w+)['"]""")
_CREATED = re.compile(r"""create\(\s*cfg\[['"](\w+)['"]\]""")
_READ = (re.compile(r"""cfg(?:\.get\(|\[)\s*['"](\w+)['"]"""), re.compile(r"""['"](\w+)['"] in (?:self\.)?cfg\b"""))
_MADE = re.compile(r"(\w+)\(\*\*(\w+)\)")
_READER_KEYS = ("inputs_def", "fuse_normalize", "use_shared_memory")
"""Keys that readers pass to the exporter by `**kwargs`. Those they pass to data sets are read from `DetDataset.set_kwargs`."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Arguments of a module, operator or optimiser.

    Args:
        keys: names of its arguments.
        required: those without a default.
        shared: those that are taken from the top level where they are left out.
        inject: those that name another module, or have its keys.
        created: those that name another module and nothing else.
        made: those whose keys are the arguments of a module: argument to that module's name.
        defaults: of those whose default is a truth value, a number or a text.
    """

    keys: tuple[str, ...]
    required: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    inject: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    made: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, bool | int | float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModuleRegistry:
    """Names to signatures.

    Args:
        modules: what may be a top-level section or be named by one.
        tags: what may be written ``!Name {…}``.
        transforms: operators of a reader.
        optimizers: values of ``OptimizerBuilder.optimizer.type``.
        schedulers: members of ``LearningRate.schedulers``.
        regularizers: values of ``OptimizerBuilder.regularizer.type``.
        trainer: ``Trainer``, whose keys are those of the top level that ppdet's trainer reads itself.
    """

    modules: Mapping[str, Signature]
    tags: Mapping[str, Signature]
    transforms: Mapping[str, Signature]
    optimizers: Mapping[str, Signature]
    schedulers: Mapping[str, Signature]
    regularizers: Mapping[str, Signature]
    trainer: Mapping[str, Signature]

    @property
    def shared(self) -> frozenset[str]:
        """The top-level keys that modules share."""
        return frozenset(key for signature in self.modules.values() for key in signature.shared)


@functools.lru_cache(maxsize=4)
def module_registry(python: Path) -> ModuleRegistry:
    """Return the registry of the ppdet that `python` imports; made once per environment (about 10 s) and kept.

    Raises:
        RunnerError: ppdet cannot be loaded there; its output is in the message.
    """
    known = versions(python, ("paddledet", "paddlepaddle", "paddlepaddle-gpu"))
    name = hashlib.sha256(json.dumps([_FORMAT, str(python), known, __version__]).encode()).hexdigest()[:16]
    kept = folder() / "registries" / f"{name}.json"
    data = read_json(kept)
    if not isinstance(data, dict):
        data = _ask(python)
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_json(kept, data)
        except OSError:
            pass  # it is only slower without
    return ModuleRegistry(**{group: {key: Signature(**_tuples(value)) for key, value in found.items()} for group, found in data.items()})


def _ask(python: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "registry.json"
        command = [str(python), "-P", "-m", "runner.backends.paddle.module_registry", str(answer)]
        try:
            done = subprocess.run(command, env=child_environment(), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise RunnerError(f"ppdet did not load within {_TIMEOUT_S} s in {python}; run `runner doctor` for details") from error
        if done.returncode != 0:
            last = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-15:])
            raise RunnerError(f"ppdet cannot be loaded in {python}; its output ends with:\n{last}")
        data: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return data


def _tuples(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(names) if isinstance(names, list) else names for key, names in value.items()}


# ------------------------------------------------------------------------------------------ in the environment of ppdet
def collect() -> dict[str, dict[str, dict[str, Any]]]:
    """Collect what ppdet has registered. Loads it."""
    from runner.backends.paddle.ppdet import load_ppdet  # noqa: PLC0415 - only in an environment that has it

    load_ppdet()
    import paddle  # noqa: PLC0415
    import yaml  # noqa: PLC0415
    from ppdet.core.workspace import get_registered_modules  # noqa: PLC0415
    from ppdet.data import transform  # noqa: PLC0415
    from ppdet.data.source.dataset import DetDataset  # noqa: PLC0415
    from ppdet.engine import Trainer  # noqa: PLC0415
    from ppdet.optimizer import optimizer  # noqa: PLC0415

    modules = {name: getattr(found.pymodule, name) for name, found in get_registered_modules().items()}
    constructors = {str(name)[1:]: made for name, made in yaml.Loader.yaml_constructors.items() if str(name).startswith("!")}
    tags = {name: made.__closure__[0].cell_contents for name, made in constructors.items() if getattr(made, "__closure__", None)}
    tags.pop("Callable", None)  # it would call any function of any module that the config names
    operators = {name: found for name, found in vars(transform).items() if getattr(found, "__module__", "").startswith("ppdet.data.")}
    optimizers = {name: found for name, found in vars(paddle.optimizer).items() if inspect.isclass(found)}
    optimizers["AdamWDL"] = optimizer.build_adamwdl
    endings = ("Decay", "Warmup", "LR")
    schedulers = {name: found for name, found in vars(optimizer).items() if name.endswith(endings) and inspect.isclass(found)}
    groups: dict[str, Mapping[str, Callable[..., Any]]] = {
        "modules": modules,
        "tags": {name: found for name, found in tags.items() if inspect.isclass(found)},
        "transforms": {name: found for name, found in operators.items() if inspect.isclass(found)},
        "optimizers": optimizers,
        "schedulers": schedulers,
    }
    found = {group: {name: _signature(made) for name, made in sorted(members.items())} for group, members in groups.items()}
    handed_on = (*_READER_KEYS, *_KWARGS.findall(_source(DetDataset.set_kwargs)))
    for name, signature in found["modules"].items():
        if name.endswith("Reader"):
            signature["keys"] = list(dict.fromkeys([*signature["keys"], *handed_on]))
    for signature in (one for group in found.values() for one in group.values()):
        signature["made"] = {key: name for key, name in signature["made"].items() if name in modules}
    for signature in found["optimizers"].values():  # the builder hands these over itself, and understands one of its own
        own = {"learning_rate", "parameters", "grad_clip", "name", "model", "lr"}
        signature["keys"] = [*(key for key in signature["keys"] if key not in own), "param_groups"]
        signature["required"] = []
    found["trainer"] = {"Trainer": {"keys": sorted({key for pattern in _READ for key in pattern.findall(_source(Trainer))})}}
    found["regularizers"] = {name: {"keys": ["factor"], "required": ["factor"]} for name in ("L1", "L2")}
    return found


def _signature(made: Callable[..., Any]) -> dict[str, Any]:
    """Describe the arguments of a function; of a class, its own and those that it passes to its base classes."""
    owners = [vars(owner).get("__init__") for owner in made.__mro__] if inspect.isclass(made) else [made]
    parameters = [found for owner in owners if (found := _own_parameters(owner, method=inspect.isclass(made))) is not None]
    keys: dict[str, bool] = {}
    defaults: dict[str, Any] = {}
    for own in parameters:
        for key, default in own.items():
            keys.setdefault(key, default is inspect.Parameter.empty and key != "**" and own is parameters[0])
            defaults.setdefault(key, default)
        if "**" not in own:
            break  # it hands nothing on
    source = _source(made)
    if "**" in keys:
        keys |= dict.fromkeys(_KWARGS.findall(source), False)
    keys.pop("**", None)
    return {
        "keys": list(keys),
        "required": [key for key, needed in keys.items() if needed],
        "shared": list(getattr(made, "__shared__", [])),
        "inject": list(getattr(made, "__inject__", [])),
        "created": [key for key in dict.fromkeys(_CREATED.findall(source)) if key in keys],
        "made": {key: module for module, key in _MADE.findall(source) if key in keys},
        "defaults": {key: value for key, value in defaults.items() if key in keys and type(value) in (bool, int, float, str)},
    }


def _own_parameters(function: Any, *, method: bool) -> dict[str, Any] | None:
    """Map argument to default, or `inspect.Parameter.empty`; ``**`` if there are others. None for what has no signature, as `object`'s
    constructor."""
    if function is None or function is object.__init__:
        return None
    try:
        parameters = list(inspect.signature(function).parameters.values())[method:]
    except (TypeError, ValueError):
        return None
    kinds = inspect.Parameter
    return {"**" if one.kind is kinds.VAR_KEYWORD else one.name: one.default for one in parameters if one.kind is not kinds.VAR_POSITIONAL}


def _source(made: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(made)
    except (OSError, TypeError):
        return ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(collect()), encoding="utf-8")
