"""The interface between the torch backend and an architecture. Imports no torch.

An architecture is a plug-in: a class that declares its part of the config and checks it, and the module that builds its network. Those of
third parties are found by the entry point group ``runner.models``; `runner.testing.models` has the tests that each must pass.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, Protocol

from runner.core.errors import InputError, PluginError, Problem, Remark
from runner.core.registry import Registry

if TYPE_CHECKING:
    from runner.backends.torch.models.detector import Detector
    from runner.backends.torch.schema import TorchConfig


class DetectorModel(Protocol):
    """Facts about one architecture. Made without arguments; importing its module loads no torch. A plug-in inherits the defaults here."""

    schema: type[Any]
    """The declared class (see `runner.config.schema`, form "section") that ``architecture`` is bound to. The plug-in is registered under
    its name."""

    network: str
    """``module:function`` that takes a `TorchConfig` without problems and returns a `runner.backends.torch.models.detector.Detector` at
    random weights, drawn from torch's global generator, on the CPU. Processes that are kept warm import the module before they are
    forked, so importing it starts no thread and opens no GPU."""

    batch_transforms: tuple[type[Any], ...] = ()
    """Declared classes that TrainReader.batch_transforms takes for this architecture, besides those of every one. The reader leaves them
    to the network (as PaddleDetection's Gt2FCOSTarget)."""

    honoured_keys: frozenset[str] = frozenset()
    """Optional keys of `TorchConfig` that this architecture honours: gradient_checkpointing, initial_distance,
    OptimizerBuilder.layer_decay."""

    packages: tuple[str, ...] = ()
    """Distributions whose arithmetic the network uses, beyond torch and torchvision. Their versions go into the run's key, as does that of
    the distribution that the plug-in itself comes from."""

    def check(self, config: TorchConfig) -> Sequence[Problem]:
        """Find what keeps the network from being built or trained: values that do not fit together; and remarks. Runs where there may be no
        torch."""
        return ()


def _schema_faults(name: str, model: type[DetectorModel]) -> Iterator[str]:
    """Find what keeps a config's ``architecture`` from being bound to a model's schema."""
    schema = model.schema
    if not is_dataclass(schema) or getattr(schema, "form", "") != "section" or schema.__name__ != name:
        yield f"its schema {schema.__name__} must be a declared class of the form 'section' that is named {name}, as the model is"


MODELS: Registry[type[DetectorModel]] = Registry(
    "model",
    {
        "FCOS": "runner.backends.torch.models.fcos:FCOSModel",
        "TorchvisionDetector": "runner.backends.torch.models.torchvision_detector:TorchvisionModel",
        "TransformersDetector": "runner.backends.torch.models.transformers_detector:TransformersModel",
    },
    DetectorModel,
    faults=_schema_faults,
)


@functools.cache
def models() -> tuple[DetectorModel, ...]:
    """Load the registered architectures, by name. Those that cannot be used are left out."""
    return tuple(_usable_models())


def _usable_models() -> Iterator[DetectorModel]:
    for name in MODELS.names():
        with suppress(InputError, PluginError):
            yield load_model(name)


@functools.cache
def load_model(name: str) -> DetectorModel:
    """Load the architecture registered as `name`.

    Raises:
        InputError: there is none, or it cannot be used.
    """
    return MODELS.get(name)()


def why_unusable(name: str) -> str:
    """Say why the architecture registered as `name` cannot be used; empty if it can, or if there is none."""
    try:
        if name in MODELS:
            load_model(name)
    except (InputError, PluginError) as error:
        return str(error)
    return ""


def model_of(config: TorchConfig) -> DetectorModel:
    """Find the architecture of a bound config."""
    return load_model(type(config.architecture).__name__)


def packages_of(config: TorchConfig) -> tuple[str, ...]:
    """Return the distributions that the architecture of a bound config comes from, those it names, and those of its backbone; empty for one
    that is built in."""
    own = MODELS.distribution(type(config.architecture).__name__)
    of_backbone = getattr(getattr(config.architecture, "backbone", None), "packages", ())
    return tuple(dict.fromkeys([*([own] if own else []), *model_of(config).packages, *of_backbone]))


def network_module(config: TorchConfig) -> str:
    """Return the name of the module that the network of a bound config is built by."""
    return model_of(config).network.partition(":")[0]


def build_model(config: TorchConfig) -> Detector:
    """Build the detector that `config` describes, at random weights drawn from torch's global generator, on the CPU.

    Raises:
        InputError: parts of the config do not fit together (`DetectorModel.check`).
    """
    model = model_of(config)
    if problems := [problem for problem in model.check(config) if not isinstance(problem, Remark)]:
        raise InputError(problems)
    function = model.network.partition(":")[2]
    detector: Detector = getattr(importlib.import_module(network_module(config)), function)(config)
    return detector


def architecture_classes() -> list[type[Any]]:
    """List the declared classes that ``architecture`` may be."""
    return [model.schema for model in models()]


def batch_transform_classes() -> list[type[Any]]:
    """List the declared classes that only some architectures' batches take."""
    return [cls for model in models() for cls in model.batch_transforms]
