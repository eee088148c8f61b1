"""A run's whole state as one `.pdparams` file, and back.

The weights lie at the top, by name, as PaddleDetection's own tools read them (the averaged ones where there are some); everything else is
below one key of ours.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runner.backends.paddle.ppdet import load_ppdet
from runner.backends.pdparams import PADDLE_STATE as STATE
from runner.backends.pdparams import read_pdparams
from runner.core.errors import InputError, Problem
from runner.data.classes import class_sources, copy_rows, describe_taken, differing, read_names
from runner.store.checkpoints import read_verified
from runner.weights.fitting import LoadReport, few, lines_of
from runner.weights.locate import weights_file
from runner.weights.names import without_pin

load_ppdet()

import paddle  # noqa: E402
from ppdet.utils.checkpoint import match_state_dict  # noqa: E402

FORMAT = "runner-paddle-1"
SUFFIX = ".pdparams"
_CLASS_OUTPUTS = re.compile(r"fcos_head\.fcos_head_cls\.(weight|bias)|yolo_head\.pred_cls\.\d+\.(weight|bias)")
"""Tensors whose first axis is the classes, of FCOS and PP-YOLOE."""


def write_state(weights: Mapping[str, Any], state: Mapping[str, Any]) -> Callable[[Any], None]:
    """Return a writer for `CheckpointFolder.save`.

    Args:
        weights: name to tensor, what evaluation uses.
        state: tensors and plain values, nested.
    """

    def write(file: Any) -> None:
        content = {**_to_arrays(dict(weights)), STATE: {"format": FORMAT, **_to_arrays(dict(state))}}
        pickle.dump(content, file, protocol=4)

    return write


def read_state(file: Path, key: str = "") -> dict[str, Any]:
    """``{"weights": {name: array}, …the state}``. No code in the file is run.

    Args:
        key: what named the file, for messages.

    Raises:
        InputError: not a checkpoint of this program, cut off, or not to be read.
    """
    content = dict(read_pdparams(file, key))
    state = content.pop(STATE, None)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(Problem(f"{file} is not a checkpoint of this program; to start from other weights, use pretrain_weights", key=key))
    return {**state, "weights": content}


def read_class_names(file: Path) -> tuple[str, ...]:
    """Names of the classes of a checkpoint's model, in the order of its outputs; empty where it keeps none.

    Raises:
        InputError: see `read_state`.
    """
    state = read_verified(file, lambda path: read_state(path, "weights"), suffix=SUFFIX)
    return read_names(state.get("classes"))


def load_weights(model: Any, weights: Mapping[str, Any], source: Path) -> None:
    """Copy arrays into a model that has exactly these.

    Raises:
        InputError: it is a checkpoint of another model; names and shapes that differ are in the message.
    """
    here = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    there = {name: tuple(np.shape(array)) for name, array in weights.items()}
    if here != there:
        both = [name for name in here if name in there and here[name] != there[name]]
        differing = [f"{name}: {there[name]} in the checkpoint, {here[name]} here" for name in both]
        differing += [f"{name} {here[name]} is missing in the checkpoint" for name in here if name not in there]
        differing += [f"{name} {there[name]} is not in this model" for name in there if name not in here]
        shown = "; ".join(differing[:6]) + ("; …" if len(differing) > 6 else "")
        raise InputError(f"{source} is a checkpoint of another model. Weights ({len(differing)} differ): {shown}")
    model.set_state_dict(to_tensors(dict(weights)))


def load_pretrained(
    model: Any,
    source: str,
    say: Callable[[str], None],
    classes: Sequence[str] = (),
    *,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Copy what fits of a file of weights by ppdet's matching of names, and say what did not. Of a checkpoint of this program the
    outputs of the classes are matched by the classes' names. Nothing is downloaded: an address is looked up in weights.lock.

    Args:
        source: a path, without its suffix if need be, or the address of published weights; perhaps pinned (see `runner.weights.names`).
        say: takes a line for the log.
        classes: names in the order of the model's outputs.
        announce: takes the line that says how many tensors were loaded; default: `say`.

    Raises:
        InputError: it is not on this machine or cannot be read, or nothing in it fits; or it lists the classes in another order, and which
            outputs are the classes' is not known of such a model.
    """
    file, shown = weights_file(source), without_pin(source)
    content = read_pdparams(file)
    arrays = {name: value for name, value in content.items() if isinstance(value, np.ndarray)}
    own = model.state_dict()
    state = content.get(STATE)
    if classes and (theirs := read_names(state.get("classes") if isinstance(state, dict) else None)):
        _match_classes(arrays, own, theirs, classes, file, announce or say)
    try:
        fitting = match_state_dict(own, arrays)
    except ValueError as error:
        raise InputError(Problem(f"{file}: {error}", key="pretrain_weights")) from error
    if not fitting:
        text = f"nothing in {shown} fits the model: it holds {few(list(arrays))}; the model has {few(list(own))}"
        raise InputError(Problem(text, key="pretrain_weights"))
    model.set_state_dict({name: paddle.to_tensor(array).astype(own[name].dtype) for name, array in fitting.items()})
    (announce or say)(f"pretrain_weights {shown}: {len(fitting)} of {len(own)} tensors loaded")
    for line in lines_of(_report(own, arrays, fitting)):
        say(line)


def _report(own: Mapping[str, Any], arrays: Mapping[str, Any], fitting: Mapping[str, Any]) -> LoadReport:
    """Compare the model's and the file's tensors. ppdet takes for a tensor the longest name in the file that its own name ends with."""
    by_end = {name: _longest_end(name, arrays) for name in own}
    taken = {end for name, end in by_end.items() if name in fitting or end}
    misfit = tuple((name, tuple(arrays[end].shape), tuple(own[name].shape)) for name, end in by_end.items() if end and name not in fitting)
    missing = tuple(name for name, end in by_end.items() if not end and name not in fitting)
    return LoadReport(tuple(fitting), missing, misfit, tuple(name for name in arrays if name not in taken))


def _longest_end(name: str, arrays: Mapping[str, Any]) -> str:
    """Return the longest of ``a.b.c``, ``b.c``, ``c`` that is in `arrays`; empty if none is."""
    parts = name.split(".")
    ends = (".".join(parts[index:]) for index in range(len(parts)))
    return next((end for end in ends if end in arrays), "")


def _match_classes(
    arrays: dict[str, Any], own: Mapping[str, Any], theirs: tuple[str, ...], classes: Sequence[str], file: Path, say: Callable[[str], None]
) -> None:
    """Put the class outputs among `arrays` in the order of `classes`; a class that the file has not keeps the model's own first weights."""
    if not (text := describe_taken(theirs, classes)):
        return
    outputs = [name for name in arrays if _CLASS_OUTPUTS.fullmatch(name) and len(arrays[name]) == len(theirs)]
    for name in outputs:
        if name in own and tuple(own[name].shape[1:]) == arrays[name].shape[1:] and own[name].shape[0] == len(classes):
            arrays[name] = copy_rows(arrays[name], own[name].numpy().copy(), class_sources(theirs, classes))
    if not outputs and set(theirs) == set(classes):
        text = "lists the classes in another order than the data, and cannot be rearranged: give data with the classes in the file's order"
        raise InputError(Problem(f"{file} {text} ({', '.join(theirs)})", key="pretrain_weights"))
    if not outputs:
        text = f"the file has other classes ({differing(theirs, classes)}); its outputs are taken as first weights where their shape fits"
    say(f"pretrain_weights: {text}")


def to_tensors(value: Any) -> Any:
    """Convert nested arrays to tensors."""
    if isinstance(value, dict):
        return {key: to_tensors(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_tensors(item) for item in value]
    return paddle.to_tensor(value) if isinstance(value, np.ndarray) else value


def _to_arrays(value: Any) -> Any:
    if isinstance(value, paddle.Tensor):
        return value.numpy()
    if isinstance(value, Mapping):
        return {str(key): _to_arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_arrays(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
