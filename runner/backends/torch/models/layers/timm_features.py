"""Networks of timm as backbones: which features each has, and the network itself. timm is imported when one is asked for."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.backends.torch.models.layers.schema import Timm
from runner.core.errors import InputError, NotInstalled, Problem, how_to_install, nearest

if TYPE_CHECKING:
    from torch import nn

_TRIED_PX = 96, 160
"""Height and width of the image that a network is tried with: no square, nor one of the usual sizes."""


@dataclass(frozen=True, slots=True)
class Features:
    """Features that a network hands on, finest first.

    Args:
        strides: in pixels.
        channels: of each.
        unused: names of the network's parameters that none of them depends on.
    """

    strides: tuple[int, ...]
    channels: tuple[int, ...]
    unused: tuple[str, ...] = ()


def features_of(config: Timm) -> Features:
    """Return what the network of `config` hands on. Imports torch and timm, and allocates nothing.

    Raises:
        InputError: timm is missing, has no such network, or the network has no such features.
    """
    return _features_of(config.name, config.out_indices)


@functools.lru_cache(maxsize=64)
def _features_of(name: str, out_indices: tuple[int, ...]) -> Features:
    for module in ("torch", "timm"):
        if importlib.util.find_spec(module) is None:
            text = f"needs the package {module}, which is not installed here: {how_to_install(f'.[{module}]')}"
            raise InputError(NotInstalled(text, key="Timm"))
    import timm  # noqa: PLC0415 - loaded only where a config names it
    import torch  # noqa: PLC0415

    known = timm.list_models()
    if name not in known:
        base = name.partition(".")[0]
        if base != name and base in known:
            hint = f"weights are not chosen here, and nothing is downloaded: give {base}"
        else:
            hint = nearest(name, known) or "`timm.list_models()` lists them"
        raise InputError(Problem(f"timm {timm.__version__} has no network {name!r}; {hint}", key="Timm.name"))
    try:
        with torch.device("meta"):
            network = _create(name, out_indices)
            levels = network(torch.zeros(2, 3, *_TRIED_PX))
            torch.stack([level.sum() for level in levels]).sum().backward()  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 - timm raises nearly anything where a network has no such features
        text = f"is {list(out_indices)}: {name} of timm {timm.__version__} cannot hand these on from images of any size"
        raise InputError(Problem(f"{text}: {_first_line(error)}", key="Timm.out_indices")) from error
    strides, channels = tuple(network.feature_info.reduction()), tuple(network.feature_info.channels())
    promised = [(width, *(side // stride for side in _TRIED_PX)) for stride, width in zip(strides, channels, strict=True)]
    if [tuple(level.shape[1:]) for level in levels] != promised:
        text = f"{name} of timm {timm.__version__} does not hand on features as a pyramid takes them; give another network"
        raise InputError(Problem(text, key="Timm.name"))
    return Features(strides, channels, tuple(key for key, parameter in network.named_parameters() if parameter.grad is None))


def create_timm(config: Timm) -> nn.Module:
    """Build the network of `config` at random weights: Float[B, 3, H, W] → a list of features (see `features_of`). Of some networks timm
    keeps layers behind the last feature; they are not trained."""
    unused = features_of(config).unused
    network: nn.Module = _create(config.name, config.out_indices)
    for name in unused:
        network.get_parameter(name).requires_grad_(False)
    return network


def _create(name: str, out_indices: Sequence[int]) -> Any:
    import timm  # noqa: PLC0415 - loaded only where a config names it

    return timm.create_model(name, pretrained=False, features_only=True, out_indices=tuple(out_indices))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
