"""Declaration of a module's keys: a frozen dataclass whose annotations carry range and documentation.

The same declaration binds a config (`runner.config.bind`), writes the canonical one, and makes the config reference.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class LinearWarmup:
        "Raise the learning rate linearly from `start_factor` times the base rate."
        form: ClassVar[Form] = "tag"
        steps: Annotated[int, Doc("warm-up length in iterations"), Range(0)] = 500

A field's type may be bool, int, float, str, None, Literal, list-like `tuple[T, ...]`, another declared class, or a union of these; a str
that names a plug-in is ``Annotated[str, Registered(REGISTRY)]``.
A float field takes an int; a bool is never an int. A key of PaddleDetection that this backend does not support is declared as a Literal
of the values that change nothing (`use_dcn: Annotated[Literal[False], Doc("…")] = False`), so that any other value is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runner.core.registry import Registry

Form = Literal["section", "tag", "name", "type", "key", "plain"]
"""Notation of a declared class in YAML.

section: a top-level section of that name, referred to by its name (``backbone: ResNet``)
tag:     ``!PiecewiseDecay {gamma: 0.1}``
name:    ``{name: FCOSFeat, num_convs: 4}``
type:    ``{type: Momentum, momentum: 0.9}``
key:     ``Resize: {target_size: 800}``
plain:   ``{type: L2, factor: 0.0001}``, a mapping without the class's name

On input any of them is accepted; `form` is the one that is written.
"""


@dataclass(frozen=True, slots=True)
class Doc:
    """One sentence about a key, for the reference and for messages."""

    text: str


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number (of every number in a tuple), inclusive unless `open_low`. None is no bound."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False

    def __contains__(self, value: float) -> bool:
        if self.low is not None and (value < self.low or (self.open_low and value == self.low)):
            return False
        return self.high is None or value <= self.high

    def __str__(self) -> str:
        if self.high is None:
            return f"{'more than' if self.open_low else 'at least'} {_bound(self.low)}"
        if self.low is None:
            return f"at most {_bound(self.high)}"
        low, high = _bound(self.low), _bound(self.high)
        return f"more than {low} and at most {high}" if self.open_low else f"from {low} to {high}"


Positive = Range(0, open_low=True)
Fraction = Range(0, 1)


def _bound(value: float | None) -> str:
    """Format a bound; an integer with all its digits, so that it can be copied."""
    return str(value) if isinstance(value, int) else f"{value:g}"


@dataclass(frozen=True, slots=True)
class Registered:
    """The text is the name of a plug-in of this registry."""

    registry: Registry[Any]


@dataclass(frozen=True, slots=True)
class Shared:
    """Mark of a key that takes the top-level value of its name unless the section sets it (PaddleDetection's `__shared__`)."""


@dataclass(frozen=True, slots=True)
class Key:
    """Name of the key in YAML where it differs from the field's (``TrainReader`` for `train_reader`)."""

    name: str


@dataclass(frozen=True, slots=True)
class Formerly:
    """The key's name before version 0.2, which is refused by naming the new one.

    Args:
        is_read: it is read as the new one instead, since configs of old runs have it.
    """

    name: str
    is_read: bool = False


@dataclass(frozen=True, slots=True)
class Neutral:
    """Mark of a key that cannot change what a run computes: it is not part of the run key."""


@dataclass(frozen=True, slots=True)
class AddedLater:
    """Mark of a key that was added when runs without it existed already: at its default it is not part of the run key, so that those stay
    the same runs. Its default computes what was computed before the key existed."""


@dataclass(frozen=True, slots=True)
class Auto:
    """Mark of a key that may be ``auto``, which is also its default. It is replaced before binding (see `runner.resolve`)."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Mark of a field that takes every undeclared key unchanged (see `runner.config.bind.open_value`); the backend's `check` validates
    them. Its type is ``dict[str, Any]``; in YAML its keys are written beside the declared ones."""


@dataclass(frozen=True, slots=True)
class FromPlugins:
    """A type whose classes plug-ins declare: ``Annotated[Any, FromPlugins(classes)]`` is one of `classes()`, as if they stood here in a
    union. They are asked for once per process, when a config is first bound to the class that has the field."""

    classes: Callable[[], Sequence[type[Any]]]
    why_unusable: Callable[[str], str] = lambda name: ""
    """Says why the plug-in of a name cannot be used; empty if it can, or if there is none."""


@dataclass(frozen=True, slots=True)
class OpenNames:
    """Names of classes that are declared when a config asks for them. A declared class that stands for all of them has it as its class
    attribute ``names``."""

    prefix: str
    """Start of each of these names."""
    find: Callable[[str], type[Any]]
    """Returns the declared class of a name, a subclass of the one that has these names. Raises InputError where there is none."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """Tagged value, ``!name {keys}`` or ``!name [elements]``, in a part of a config that no schema declares, and in a canonical tree."""

    name: str
    keys: Mapping[str, Any] | list[Any]
