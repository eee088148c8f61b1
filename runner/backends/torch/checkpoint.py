"""A run's whole state as one file, and back: what is in it, and whether it fits this run."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from runner.backends.torch.ema import ModelEMA
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError
from runner.core.files import open_regular, similar_name
from runner.data.classes import read_names
from runner.store import checkpoints as checkpoint_folder
from runner.store.checkpoints import CheckpointFolder, Entry

FORMAT = "runner-torch-1"
_DAMAGED = (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError)
"""What torch.load raises on a file that is cut off or is none of its own. Its words are of its archive reader's insides."""


def write_state(state: Mapping[str, Any]) -> Callable[[Any], None]:
    """Return a writer of `state` (tensors and plain values only) for `CheckpointFolder.save`."""

    def write(file: Any) -> None:
        torch.save({"format": FORMAT, **state}, file)

    return write


def read_state(file: Path) -> dict[str, Any]:
    """Return the state in `file`, on the CPU. No code in it is run.

    Raises:
        InputError: not a checkpoint, cut off, or not to be read.
    """
    try:
        open_regular(file).close()  # a FIFO would be waited for
        state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"checkpoint {file} does not exist{similar_name(file)}") from error
    except OSError as error:
        raise InputError(f"checkpoint {file} cannot be read: {error.strerror or error}") from error
    except _DAMAGED as error:
        raise InputError(f"checkpoint {file} is damaged, incomplete, or not a checkpoint of this program") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"{file} is not a checkpoint of this program; to start from other weights, use pretrain_weights")
    return state


def read_verified(file: Path) -> dict[str, Any]:
    """Call `runner.store.checkpoints.read_verified` for this backend's files (torch does not check what it reads)."""
    return checkpoint_folder.read_verified(file, read_state)


def read_newest(path: Path, say: Callable[[str], None]) -> tuple[CheckpointFolder, Entry, dict[str, Any]]:
    """Call `runner.store.checkpoints.read_newest` for this backend's files."""
    return checkpoint_folder.read_newest(path, read_state, say)


def read_class_names(file: Path) -> tuple[str, ...]:
    """Read the class names of a checkpoint's model, in the order of its outputs; empty where it keeps none (see `read_verified`)."""
    return read_names(read_verified(file).get("classes"))


def load_weights(model: nn.Module, state: Mapping[str, Any], source: Path, config: TorchConfig, *, averaged: bool) -> None:
    """Copy a checkpoint's weights into `model`.

    Args:
        averaged: take the moving average where the checkpoint has one, as it is for evaluation and prediction.

    Raises:
        InputError: it is a checkpoint of another model; names the keys of the config and the shapes that differ.
    """
    _refuse_other_model(model, state, source, config)
    model.load_state_dict(state["model"])
    if averaged and state["ema"] is not None:
        average = ModelEMA(model, config)
        average.load_state_dict(state["ema"])
        average.copy_to_model()


def architecture_keys(config: TorchConfig) -> dict[str, str]:
    """Return the config keys that decide the shape of the model, dotted, with their values as text."""
    return {"num_classes": str(config.num_classes), **_flat(config.architecture, "architecture")}


def _refuse_other_model(model: nn.Module, state: Mapping[str, Any], source: Path, config: TorchConfig) -> None:
    here = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    there = {name: tuple(tensor.shape) for name, tensor in state["model"].items()}
    if here == there:
        return
    keys, saved = architecture_keys(config), state["architecture"]
    differing = [
        f"{key}: {saved.get(key, 'not there')} in the checkpoint, {keys.get(key, 'not there')} here"
        for key in sorted({*keys, *saved})
        if keys.get(key) != saved.get(key)
    ]
    shapes = [f"{name}: {there[name]} in the checkpoint, {here[name]} here" for name in here if name in there and here[name] != there[name]]
    shapes += [f"{name} {here[name]} is missing in the checkpoint" for name in here if name not in there]
    shapes += [f"{name} {there[name]} is not in this model" for name in there if name not in here]
    raise InputError(
        f"{source} is a checkpoint of another model. Config: {'; '.join(differing) or 'no key differs'}. "
        f"Weights ({len(shapes)} differ): {'; '.join(shapes[:6])}{'; …' if len(shapes) > 6 else ''}"
    )


def _flat(value: Any, prefix: str) -> dict[str, str]:
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return {prefix: str(value)}
    keys = {prefix: type(value).__name__}
    for field in dataclasses.fields(value):
        keys.update(_flat(getattr(value, field.name), f"{prefix}.{field.name}"))
    return keys
