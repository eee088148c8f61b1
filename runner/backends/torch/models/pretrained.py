"""First weights: a file of torch, safetensors or PaddlePaddle, or published weights that weights.lock has. Only tensors are read; a pickle
that holds code is refused.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from runner.backends.pdparams import PADDLE_STATE, read_pdparams
from runner.backends.torch.models.detector import Detector
from runner.backends.torch.models.resnet_depth import resnet_name
from runner.backends.torch.models.weight_sources import check_weights, is_paddle_file, is_weights_name
from runner.core.errors import InputError, Problem, how_to_install
from runner.core.files import open_regular
from runner.data.classes import class_sources, copy_rows, describe_taken, read_names
from runner.weights.fitting import LoadReport, few, lines_of
from runner.weights.locate import weights_file
from runner.weights.names import KEY as _KEY
from runner.weights.names import without_pin

_OWN_NAMES: tuple[tuple[tuple[str, str], ...], ...] = ((), (("module.", ""),))
"""Renamings (see `Detector.renamings`) for a file of the model itself, and for one that was saved from several GPUs."""


def load_pretrained(
    model: Detector,
    source: str | None,
    say: Callable[[str], None],
    classes: Sequence[str] = (),
    *,
    announce: Callable[[str], None] | None = None,
) -> LoadReport:
    """Set what fits of `model`'s parameters and statistics from `source`, and say what did not.

    A file may hold a state dict of this model, or one that the model knows a renaming for (of a torchvision classification network, which
    goes into the backbone, or of a torchvision detector), plain or under ``model`` or ``state_dict``. A .pdparams file is one of
    PaddleDetection's: the same architecture, what another detector shares with it, or a network for classification. Published weights
    (a name of torchvision's or of the hub, a URL) are those that weights.lock or the pin says, from the store on this machine; nothing is
    downloaded. Of a checkpoint of this program, of either backend, the outputs of the classes are matched by the classes' names.

    Args:
        model: whose state dict is set.
        source: None, a path, or the name or URL of published weights; perhaps pinned (see `runner.weights.names`).
        say: takes a line for the log.
        classes: names in the order of the model's outputs; empty: the file's order is taken.
        announce: takes the line that says how many tensors were loaded; default: `say`.

    Raises:
        InputError: the source is not on this machine, is not what its digest says, cannot be read, holds code, or nothing in it fits.
    """
    if source is None:
        return LoadReport()
    problems = check_weights(source)
    if problems:
        raise InputError(problems)
    named, path, source = is_weights_name(source), weights_file(source), without_pin(source)
    theirs: Sequence[str] = ()
    if path.suffix.lower() == ".safetensors":
        tensors = _read_safetensors(path)
    else:
        tensors, theirs = _read_paddle(path, model) if is_paddle_file(path.name) else _read(path)
    if not is_paddle_file(path.name):
        _refuse_look_alikes(tensors, model, path)
    if classes and theirs:
        _match_classes(tensors, model, theirs, classes, announce or say)
    names = _matching(model, tensors)
    report = _compare(model.state_dict(), tensors, names, source)
    if named:
        _require_whole_backbone(report, source)
    _copy(model, tensors, names)
    (announce or say)(_summary(report, source, len(model.state_dict()), resnet_name(model.state_dict()), resnet_name(names.values())))
    for line in lines_of(report):
        say(line)
    return report


def _match_classes(
    tensors: dict[str, Tensor], model: Detector, theirs: Sequence[str], classes: Sequence[str], say: Callable[[str], None]
) -> None:
    """Put the class outputs among `tensors` in the order of `classes`; a class that the file has not keeps the model's own first
    weights."""
    text, own = describe_taken(theirs, classes), model.state_dict()
    first = model.first_class
    sources = [*range(first), *(None if source is None else first + source for source in class_sources(theirs, classes))]
    for name in model.class_outputs if text else ():
        if name not in tensors or name not in own:
            continue
        changed = own[name].clone()
        rows, given = model.class_rows(name, changed, len(classes)), model.class_rows(name, tensors[name], len(theirs))
        if rows is not None and given is not None and given.shape[1:] == rows.shape[1:]:
            copy_rows(given, rows, sources)
            tensors[name] = changed
    if text:
        say(f"{_KEY}: {text}")


def _read(path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors of a file by name, and the names of its classes if it keeps them."""
    try:
        open_regular(path).close()  # a FIFO would be waited for
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(_unreadable(path, error)) from error
    except OSError as error:
        raise InputError(Problem(f"{path} cannot be read: {error}", key=_KEY)) from error
    except Exception as error:  # noqa: BLE001 - torch raises nearly anything on a file that is no weights or is cut off
        raise InputError(
            Problem(f"{path} is not a file of torch weights, or is cut off ({_first_line(error)}); get an intact copy", key=_KEY)
        ) from error
    return _tensors(content, path), read_names(content.get("classes") if isinstance(content, Mapping) else None)


def _refuse_look_alikes(tensors: Mapping[str, Tensor], model: Detector, path: Path) -> None:
    try:
        model.check_weights(tensors)
    except InputError as error:
        raise InputError(Problem(f"{path} {error}", key=_KEY)) from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name: a table of contents and plain numbers, no code."""
    try:
        load_file = importlib.import_module("safetensors.torch").load_file  # an environment of an older version may lack it
    except ImportError as error:
        raise InputError(Problem(f"{path} needs the package safetensors: {how_to_install('.[torch]')}", key=_KEY)) from error
    try:
        open_regular(path).close()  # a FIFO would be waited for
        return _tensors(load_file(path), path)
    except InputError:
        raise
    except OSError as error:
        raise InputError(Problem(f"{path} cannot be read: {error}", key=_KEY)) from error
    except Exception as error:  # noqa: BLE001 - its own exceptions, ValueError, KeyError for a type of number that is not known
        raise InputError(
            Problem(f"{path} is not a file of safetensors, or is cut off ({_first_line(error)}); get an intact copy", key=_KEY)
        ) from error


def _read_paddle(path: Path, model: Detector) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors of a file of PaddleDetection's under this model's names; what the model has no place for under its own. And the
    names of its classes if it is a checkpoint of this program.

    Raises:
        InputError: it cannot be read, or is of a network that only looks alike: it would fit in part and mean nothing.
    """
    content = read_pdparams(path, _KEY)
    state = content.get(PADDLE_STATE)
    tensors = _tensors(_as_tensors(content), path)
    try:
        named = model.from_paddle(tensors)
    except InputError as error:
        raise InputError(Problem(f"{path} {error}", key=_KEY)) from error
    return named, read_names(state.get("classes") if isinstance(state, Mapping) else None)


def _as_tensors(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _as_tensors(value) for name, value in content.items()}
    return torch.from_numpy(content) if isinstance(content, np.ndarray) else content


def _unreadable(path: Path, error: pickle.UnpicklingError) -> Problem:
    if "Unsupported global" in str(error) or "Unsupported class" in str(error):
        return Problem(
            f"{path} holds more than weights (objects whose loading would run code), so it is not read. Save its state"
            f" dict alone, torch.save(model.state_dict(), …), and give that file. torch says: {_first_line(error)}",
            key=_KEY,
        )
    return Problem(f"{path} is not a file of torch weights, or is cut off ({_first_line(error)}); get an intact copy", key=_KEY)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    detail = next(
        (line for line in lines if line.startswith("WeightsUnpickler error")),
        lines[0] if lines else type(error).__name__,
    )
    return detail[:200]


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    for wrapper in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)} if isinstance(content, Mapping) else {}
    if not tensors:
        raise InputError(
            Problem(
                f"{path} holds no weights: expected names and tensors (a state dict), plain or under 'model' or 'state_dict'",
                key=_KEY,
            )
        )
    return tensors


def _matching(model: Detector, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Map names in the file to names in the model, by the renaming under which most of the file fits."""
    own = model.state_dict()
    candidates = [_renamed(tensors, rules) for rules in (*_OWN_NAMES, *model.renamings)]
    candidates.append({there: model.own_name(there) for there in tensors})
    return max(candidates, key=lambda names: sum(_fits(own, name, tensors[there]) for there, name in names.items()))


def _compare(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], names: Mapping[str, str], source: str) -> LoadReport:
    loaded = tuple(name for there, name in names.items() if _fits(own, name, tensors[there]))
    if all(_is_counter(name) for name in loaded):
        raise InputError(
            Problem(
                f"nothing in {source} fits the model: it holds {few(list(tensors))}; the model has {few(list(own))}",
                key=_KEY,
            ),
        )
    held, shared = set(names.values()), {own[name].data_ptr() for name in loaded}
    return LoadReport(
        loaded=loaded,
        missing=tuple(name for name in own if name not in held and own[name].data_ptr() not in shared and not _is_counter(name)),
        misfit=tuple(
            (name, tuple(tensors[there].shape), tuple(own[name].shape))
            for there, name in names.items()
            if name in own and not _fits(own, name, tensors[there])
        ),
        unused=tuple(there for there, name in names.items() if name not in own and not _is_counter(there)),
    )


def _copy(model: nn.Module, tensors: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
    own = model.state_dict()
    with torch.no_grad():
        for there, name in names.items():
            if _fits(own, name, tensors[there]):
                own[name].copy_(tensors[there])


def _renamed(tensors: Mapping[str, Tensor], rules: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Map names in the file to names in the model."""
    names = {}
    for there in tensors:
        prefix, ours = next(((prefix, ours) for prefix, ours in rules if there.startswith(prefix)), ("", ""))
        names[there] = ours + there.removeprefix(prefix)
    return names


def _fits(own: Mapping[str, Tensor], name: str, tensor: Tensor) -> bool:
    return name in own and own[name].shape == tensor.shape


def _is_counter(name: str) -> bool:
    """Return whether it is batch norm's count of batches, which is never read: it may be missing."""
    return name.endswith("num_batches_tracked")


def _require_whole_backbone(report: LoadReport, source: str) -> None:
    """Refuse weights that fit only in part: their name identifies the network, so such a fit is a coincidence."""
    left = [name for name in (*report.missing, *(name for name, _, _ in report.misfit)) if name.startswith("backbone.")]
    if left:
        raise InputError(
            Problem(
                f"{source} belongs to another network than the backbone: {len(left)} tensors do not fit ({few(left)})",
                key=_KEY,
            )
        )


def _summary(report: LoadReport, source: str, total: int, own: str, theirs: str) -> str:
    """Say how much was loaded, and if it is little because the file's backbone is another one, say so."""
    text = f"{_KEY} {source}: {len(report.loaded)} of {total} tensors loaded"
    if own and theirs and own != theirs:
        text += f"; its backbone is a {theirs}, this model's is a {own}: only tensors of the same name and shape are loaded"
    return text
