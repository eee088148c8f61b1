"""A run's whole state as one file, and back: what is in it, and whether it fits this run."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from runner.backends.torch.checkpoint_folder import CheckpointFolder, Entry, file_sha256, locate
from runner.backends.torch.ema import ModelEMA
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError

FORMAT = "runner-torch-1"
_OTHER_BYTES = "its bytes are not those that were written (missing, cut off, or changed on the disk)"
_DAMAGED = (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError)
"""What torch.load raises on a file that is cut off or is none of its own. Its words are of its archive reader's insides."""


def write_state(state: Mapping[str, Any]) -> Callable[[Any], None]:
    """A writer of `state` (tensors and plain values only) for `CheckpointFolder.save`."""

    def write(file: Any) -> None:
        torch.save({"format": FORMAT, **state}, file)

    return write


def read_state(file: Path) -> dict[str, Any]:
    """The state in `file`, on the CPU. No code in it is run.

    Raises:
        InputError: not a checkpoint, cut off, or not to be read.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"there is no checkpoint at {file}") from error
    except OSError as error:
        raise InputError(f"the checkpoint {file} cannot be read: {error.strerror or error}") from error
    except _DAMAGED as error:
        raise InputError(f"the checkpoint {file} is damaged, cut off, or no checkpoint of this program") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"{file} is no checkpoint of this program (to start from other weights: pretrain_weights)")
    return state


def read_verified(file: Path) -> dict[str, Any]:
    """The state in `file`, its bytes checked where an index beside it knows them (torch does not check what it reads).

    Raises:
        InputError: as `read_state`, or other bytes than were written.
    """
    folder, candidates = locate(file)
    meant = candidates[0]
    if _has_other_bytes(file, meant):
        whole = folder.path / meant.file
        advice = f"; {whole} is whole, give that" if file.name != meant.file and folder.is_whole(meant) else ""
        raise InputError(f"the checkpoint {file} is damaged: {_OTHER_BYTES}{advice}")
    return read_state(file)


def read_newest(path: Path, say: Callable[[str], None]) -> tuple[CheckpointFolder, Entry, dict[str, Any]]:
    """The state that `path` means (see `locate`), or the newest whole one before it; says so where it falls back.

    Raises:
        InputError: none is whole.
    """
    folder, candidates = locate(path)
    newest = candidates[0]
    if not _is_same_file(path, folder.path / newest.file) and _has_other_bytes(path, newest):
        say(f"checkpoint {path} cannot be used: {_OTHER_BYTES}")
        say(f"looking at the one it was a copy of, {folder.path / newest.file} (step {newest.step})")
    for entry in candidates:
        try:
            if not folder.is_whole(entry):
                raise InputError(_OTHER_BYTES)
            state = read_state(folder.path / entry.file)
        except InputError as error:
            say(f"checkpoint {folder.path / entry.file} cannot be used: {error}")
            continue
        if entry is not candidates[0]:
            say(f"going on from the checkpoint before it, {folder.path / entry.file} (step {entry.step})")
        return folder, entry, state
    tried = ", ".join(entry.file for entry in candidates)
    raise InputError(f"no checkpoint of {path} is whole (tried {tried}); start the run anew, or from other weights with pretrain_weights")


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
    """The config keys that decide the shape of the model, dotted, with their values as text."""
    return {"num_classes": str(config.num_classes), **_flat(config.architecture, "architecture")}


def _has_other_bytes(file: Path, entry: Entry) -> bool:
    """Whether `file`, a name for `entry`, is there with other bytes. last.pt and best.pt are links to the file that the
    index names, but copies of it where a run was copied (cp -r, rsync), so each is looked at by itself.
    """
    try:
        return bool(entry.sha256) and file.is_file() and file_sha256(file) != entry.sha256
    except OSError as error:
        raise InputError(f"the checkpoint {file} cannot be read: {error.strerror or error}") from error


def _is_same_file(left: Path, right: Path) -> bool:
    return left.exists() and right.exists() and left.samefile(right)


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
