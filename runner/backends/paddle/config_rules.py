"""Check of a config for what ppdet would refuse late or drop silently: unknown modules, keys, operators, and incompatible values.
Imports no Paddle: what ppdet knows is in its module registry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.backends.initial_distance import check_initial_distance
from runner.backends.paddle import schedule
from runner.backends.paddle.masks import check_polygons
from runner.backends.paddle.module_registry import ModuleRegistry, Signature, module_registry
from runner.backends.paddle.schema import PaddleConfig
from runner.config.bind import field_infos, instead_of
from runner.config.schema import Tagged
from runner.core.errors import InputError, Missing, Problem, UnknownKey, nearest
from runner.core.files import similar_name
from runner.core.values import counted, is_numeric
from runner.environments.interpreters import interpreter
from runner.training.absent_keys import ABSENT_KEYS, EVERY_KEY
from runner.training.checks import check_data, check_length
from runner.weights.formats import file_name, suffix_of
from runner.weights.locate import weights_problems
from runner.weights.names import KEY as PRETRAIN_WEIGHTS
from runner.weights.names import parse_name

READERS = ("TrainReader", "EvalReader", "TestReader")
_EVALUATED = frozenset(("norm_layer", "act_fn", "block_fn", "stage_fn", "set_param_lr_func", "model_name"))
"""Keys whose text ppdet 2.6.0 passes to Python's eval."""

_UNUSED = {("FCOSLoss", "loss_alpha"): 0.25, ("FCOSLoss", "loss_gamma"): 2.0, ("FCOSLoss", "reg_weights"): 1.0}
"""Arguments that ppdet 2.6.0 accepts and ignores, and the value it uses instead."""

NEWER_KEYS = ("master_grad", "reset_norm_param_attr")
"""Top-level keys that ppdet's trainer reads from release/2.7 on."""
FROM_CHECKOUT = "release/2.7 and develop do: runner backend install paddle --ppdet CHECKOUT"

_TYPED = frozenset((*(f"{reader}.batch_size" for reader in READERS), "LearningRate.base_lr"))
"""Keys whose values are checked in more detail."""

_NAME = re.compile(r"[A-Za-z_][\w.]*")
OTHER_TASKS = {
    "tracks objects": ("ByteTrack", "CenterTrack", "DeepSORT", "FairMOT", "JDE"),
    "finds key points": ("HigherHRNet", "METRO_Body", "TinyPose3DHRHeatmapNet", "TinyPose3DHRNet", "TopDownHRNet"),
    "finds masks": ("MaskRTDETR", "QueryInst", "SOLOv2"),
    "finds rotated boxes": ("FCOSRHead", "PPYOLOERHead", "S2ANet"),
}
"""Modules of ppdet for tasks other than upright boxes, by task."""
_SUFFIX = ".pdparams"


def check(config: PaddleConfig) -> list[Problem]:
    """Find every problem of `config` and of the files it names; empty if it can be trained."""
    known = module_registry(interpreter("paddle", config.backend_python).python)
    modules = _Modules(config, known)
    problems = [*check_length(config), *modules.problems(), *_weights(config), *_schedule(config)]
    if modules.has_masks:
        problems += check_polygons(config)
    problems += check_initial_distance(config.initial_distance, has_effect=_has_relu(config))
    if config.amp and not config.use_gpu:
        problems.append(Problem("ppdet supports half precision on a GPU only; on the CPU set amp: false (-o amp=false)", key="amp"))
    return [*problems, *check_data(config, lambda images: schedule.steps_per_epoch(config, images), upright=True)]


def _has_relu(config: PaddleConfig) -> bool:
    """Return whether the model is an FCOS with a ReLU after its distances."""
    head = config.modules.get("FCOSHead")
    keys = head.keys if isinstance(head, Tagged) else head
    return config.architecture == "FCOS" and (not isinstance(keys, Mapping) or keys.get("norm_reg_targets", True) is True)


class _Modules:
    """Compares the open part of a config with the module registry."""

    def __init__(self, config: PaddleConfig, known: ModuleRegistry) -> None:
        self._config, self._known, self._sections = config, known, config.modules

    def problems(self) -> Iterator[Problem]:
        if other := list(self._other_tasks()):
            yield from other
            return  # such a config may contain more than a detector's
        yield from self._architecture()
        yield from self._newer_keys()
        for key, value in self._sections.items():
            if key in self._known.modules:
                yield from self._section(key, value)
            elif key not in self._known.shared:
                yield from self._unknown_top(key)
        for name in READERS:
            if self._sections.get(name) is None and name != "TestReader":
                yield Problem("missing; expected a reader of images", key=name)

    @property
    def has_masks(self) -> bool:
        """True if the model finds masks too, and is trained on polygons."""
        return "MaskHead" in self._used()

    def _other_tasks(self) -> Iterator[Problem]:
        used = self._used()
        for task, names in OTHER_TASKS.items():
            for name in used.intersection(names):
                yield Problem(f"{name} {task}; of ppdet's models only those that find upright boxes are supported", key="architecture")

    def _used(self) -> set[str]:
        """Collect what the architecture refers to, directly and indirectly: modules, and other strings."""
        found: set[str] = set()
        todo: list[Any] = [self._config.architecture]
        while todo:
            value = todo.pop()
            if isinstance(value, Tagged):
                todo += [value.name, value.keys]
            elif isinstance(value, Mapping):
                todo += value.values()
            elif isinstance(value, list):
                todo += value
            elif isinstance(value, str) and value not in found:
                found.add(value)
                todo.append(self._sections.get(value))
        return found

    def _architecture(self) -> Iterator[Problem]:
        name = self._config.architecture
        if name not in self._known.modules:
            yield Problem(f"ppdet has no architecture {name!r}{_hint(name, self._known.modules)}", key="architecture")

    def _newer_keys(self) -> Iterator[Problem]:
        """Find keys of newer versions of ppdet that the installed one would ignore."""
        for key in NEWER_KEYS:
            if getattr(self._config, key) and key not in self._known.trainer["Trainer"].keys:
                yield Problem(f"the installed ppdet does not know it; {FROM_CHECKOUT}", key=key)

    def _unknown_top(self, key: str) -> Iterator[Problem]:
        declared = [info.key for info in field_infos(PaddleConfig) if not info.rest]
        known = [*declared, *self._known.modules, *sorted(self._known.shared)]
        yield UnknownKey(f"unknown key{_hint(key, known, key)}", key=key)

    def _section(self, name: str, value: Any) -> Iterator[Problem]:
        keys = value.keys if isinstance(value, Tagged) else value
        if value is None:
            return
        if not isinstance(keys, Mapping):
            yield Problem(f"expected the keys of {name}", key=name)
            return
        yield from self._keys(name, self._known.modules[name], keys, name)
        if name in READERS:
            size = keys.get("batch_size", 1)
            if type(size) is not int or size < 1:
                yield Problem(f"expected an integer (at least 1), got {size!r}", key=f"{name}.batch_size")
            for group in ("sample_transforms", "batch_transforms"):
                yield from self._transforms(keys.get(group), f"{name}.{group}")
        if name == "LearningRate":
            rate = keys.get("base_lr", 1)
            if type(rate) not in (int, float) or rate <= 0:
                yield Problem(f"expected a number above 0, got {rate!r}", key="LearningRate.base_lr")
            yield from self._schedulers(keys.get("schedulers"))
        if name == "OptimizerBuilder":
            yield from self._chosen(keys.get("optimizer"), self._known.optimizers, "OptimizerBuilder.optimizer")
            yield from self._chosen(keys.get("regularizer"), self._known.regularizers, "OptimizerBuilder.regularizer")

    def _keys(self, owner: str, signature: Signature, keys: Mapping[str, Any], path: str, *, skip: Sequence[str] = ()) -> Iterator[Problem]:
        """Find unknown keys, and wrong values of known ones."""
        for key, value in keys.items():
            here = f"{path}.{key}"
            if key in skip:
                continue
            if key not in signature.keys:
                yield Problem(f"unknown key of {owner}{_hint(key, signature.keys, here)}", key=here)
            elif value != _UNUSED.get((owner, key), value):
                yield Problem(f"ppdet 2.6.0 ignores it and always uses {_UNUSED[owner, key]}; remove it", key=here)
            elif key == "num_classes" and key in signature.shared and value != self._config.num_classes:
                yield Problem(
                    f"{value!r} does not match the data, which has {counted(self._config.num_classes, 'class')}; remove it", key=here
                )
            elif key in signature.made and isinstance(value, Mapping) and "name" not in value:
                made = signature.made[key]
                yield from self._keys(made, self._known.modules[made], value, here)
            elif key in signature.inject:
                yield from self._injected(value, here)
            elif key in signature.created and value:
                yield from self._created(value, here)
            elif key in _EVALUATED and isinstance(value, str) and not _NAME.fullmatch(value):
                yield Problem(f"expected a name, got {value!r}: ppdet would run it as code", key=here)
            elif key in signature.defaults and here not in _TYPED and (meant := self._type_meant(owner, value, signature.defaults[key])):
                yield Problem(f"expected {meant} (ppdet's default is {signature.defaults[key]!r}), got {_shown(value)}", key=here)
            elif key not in ("sample_transforms", "batch_transforms", "schedulers", "optimizer", "regularizer"):
                yield from self._tagged(value, here)

    def _type_meant(self, owner: str, value: Any, default: bool | int | float | str) -> str:
        """Return the expected type of an argument with this default if `value` does not fit, else empty. ppdet's defaults do not separate
        integers from other numbers, its operators accept lists besides numbers, and PaddleDetection's own configs have a string for an
        operator's truth value."""
        operator = owner in self._known.transforms
        if value is None or isinstance(default, str) or (operator and isinstance(value, list)):
            return ""
        if isinstance(default, bool):
            return "" if value in (True, False) or (operator and isinstance(value, str)) else "true or false"
        if isinstance(value, list):  # some modules take an integer for each level too
            return "" if type(default) is int and value and all(type(one) is int for one in value) else "a number"
        number = is_numeric(value) if isinstance(value, str) else not isinstance(value, Mapping)
        return "" if number else "a number"

    def _created(self, value: Any, path: str) -> Iterator[Problem]:
        """Check a module given by its name alone."""
        if not isinstance(value, str):
            yield Problem("expected the name of a module; its keys belong into a section of that name at the top level", key=path)
        elif value not in self._known.modules:
            yield Problem(f"ppdet has no module {value!r}{_hint(value, self._known.modules)}", key=path)

    def _injected(self, value: Any, path: str) -> Iterator[Problem]:
        """Check a module given by its name, by a mapping with ``name``, or by a tag."""
        if value is None:
            return
        name = value if isinstance(value, str) else value.get("name") if isinstance(value, Mapping) else None
        if isinstance(value, Tagged):
            yield from self._tagged(value, path)
        elif isinstance(value, str | Mapping) and isinstance(name, str):
            if name == "None":  # PaddleDetection's way to say that there is none
                return
            if name not in self._known.modules:
                yield Problem(f"ppdet has no module {name!r}{_hint(name, self._known.modules)}", key=path)
            elif isinstance(value, Mapping):
                yield from self._keys(name, self._known.modules[name], value, path, skip=("name",))
        elif isinstance(value, Mapping):
            yield Problem("expected the name of a module: {name: …}", key=path)

    def _tagged(self, value: Any, path: str) -> Iterator[Problem]:
        """Check the tags anywhere in a value."""
        if isinstance(value, Tagged):
            signature = self._known.tags.get(value.name)
            if signature is None:
                yield Problem(f"ppdet has no !{value.name}{_hint(value.name, self._known.tags)}", key=path)
            elif isinstance(value.keys, Mapping):
                yield from self._keys(value.name, signature, value.keys, path)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                yield from self._tagged(item, f"{path}.{key}")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._tagged(item, f"{path}.{index}")

    def _transforms(self, value: Any, path: str) -> Iterator[Problem]:
        if value is None:
            return
        if not isinstance(value, list):
            yield Problem("expected a list of operators such as `- Decode: {}`", key=path)
            return
        for index, item in enumerate(value):
            here = f"{path}.{index}"
            if not isinstance(item, Mapping) or not item:
                yield Problem("expected an operator such as `Decode: {}`", key=here)
                continue
            for name, keys in item.items():
                if name not in self._known.transforms:
                    yield Problem(f"ppdet has no operator {name!r}{_hint(name, self._known.transforms)}", key=here)
                elif isinstance(keys, Mapping):
                    signature = self._known.transforms[name]
                    yield from self._keys(name, signature, keys, f"{here}.{name}")
                    if missing := [key for key in signature.required if key not in keys]:
                        yield Problem(f"{name} needs {' and '.join(missing)} too", key=f"{here}.{name}")
                elif keys is not None:
                    yield Problem(f"expected the keys of {name}: {{…}}", key=f"{here}.{name}")
                else:
                    yield Problem(f"write {name}: {{}} (ppdet takes a mapping)", key=f"{here}.{name}")

    def _schedulers(self, value: Any) -> Iterator[Problem]:
        path = "LearningRate.schedulers"
        if value is None:
            return
        if not isinstance(value, list) or not value:
            yield Problem("expected a list: a decay, then a warm-up", key=path)
            return
        for index, item in enumerate(value):
            found, keys = schedule.named(item)
            name = found or ""
            here = f"{path}.{index}"
            if name not in self._known.schedulers:
                yield Problem(f"ppdet has no schedule {name!r}{_hint(name, self._known.schedulers)}", key=here)
                continue
            signature = self._known.schedulers[name]
            ours = schedule.IN_ITERATIONS.get(name, "")
            yield from self._keys(name, Signature((*signature.keys, ours)), keys, here)

    def _chosen(self, value: Any, known: Mapping[str, Signature], path: str) -> Iterator[Problem]:
        """Check a mapping whose ``type`` selects a class."""
        if value in (None, False, "None"):
            return
        name = value.get("type") if isinstance(value, Mapping) else None
        if name not in known:
            yield Problem(f"unknown type {name!r}{_hint(str(name), known)}", key=f"{path}.type")
            return
        yield from self._keys(str(name), known[str(name)], value, path, skip=("type",))


def _shown(value: Any) -> str:
    return "a list" if isinstance(value, list) else "a mapping" if isinstance(value, Mapping) else repr(value)


def _weights(config: PaddleConfig) -> Iterator[Problem]:
    source = config.pretrain_weights
    if source is None:
        return
    name = parse_name(source)
    text = file_name(name.url) if name.kind == "url" else name.text
    if name.kind == "torchvision" or suffix_of(text) not in ("", _SUFFIX) or (name.kind == "url" and suffix_of(text) == ""):
        yield Problem(
            f"{name.text}: expected a {_SUFFIX} file, null, or the address of one that begins with https:// or ppdet://",
            key=PRETRAIN_WEIGHTS,
        )
    elif name.kind == "url" or name.path.is_file():
        yield from weights_problems(source)
    else:
        file = Path(name.text).expanduser().with_suffix(_SUFFIX)
        yield Missing(f"file {file} does not exist{similar_name(file)}", key=PRETRAIN_WEIGHTS)


def _schedule(config: PaddleConfig) -> Iterator[Problem]:
    try:
        schedule.split(config)
    except InputError as error:
        yield from error.problems


def _hint(name: str, known: Sequence[str] | Mapping[str, Any], key: str = "") -> str:
    hint = instead_of(key, ABSENT_KEYS) or nearest(name, list(known)) or (EVERY_KEY if key else "")
    return f"; {hint}" if hint else ""
