"""Export of a detector to ONNX and TorchScript, on the CPU in single precision."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torchvision  # noqa: F401 - registers the operators that a TorchScript file uses
from numpy.typing import NDArray
from torch import nn

from runner.backends.exported import INPUT, KEY, OUTPUTS, Facts, Network, Preparation
from runner.backends.torch.device import prepare
from runner.backends.torch.models.base import model_of
from runner.backends.torch.predict import load_model
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.transforms import schema
from runner.core.errors import InputError, how_to_install

OPSET = 18
_EXAMPLE_SIDE_PX = 256
"""Side of the input that a network of any size is traced with, before padding."""

ExportFormat = Literal["onnx", "torchscript"]


def preparation_of(config: TorchConfig) -> Preparation:
    """Describe how EvalReader prepares an image. Raises InputError: it has a transform that an exported file cannot describe."""
    reader = config.eval_reader
    found = Preparation(is_scale=False)
    for transform in (*reader.sample_transforms, *reader.batch_transforms):
        match transform:
            case schema.Decode() | schema.Permute():
                pass
            case schema.NormalizeBox() | schema.BboxXYXY2XYWH() | schema.PadGT() | schema.PadBox():
                pass  # of boxes, which an image for prediction has none of
            case schema.Resize():
                found = replace(found, resizes=(*found.resizes, dataclasses.asdict(transform)))
            case schema.NormalizeImage(norm_type="mean_std"):
                found = replace(found, mean=transform.mean, std=transform.std, is_scale=transform.is_scale)
            case schema.NormalizeImage():
                found = replace(found, is_scale=transform.is_scale)
            case schema.PadBatch():
                found = replace(found, pad_to_stride=max(0, transform.pad_to_stride))
            case _:
                name = type(transform).__name__
                raise InputError(
                    f"EvalReader has {name}, which an exported file cannot describe; only Resize, NormalizeImage and PadBatch can"
                )
    return found


def export(config: TorchConfig, weights: Path, to: str, file: Path, known: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Write the model in `weights` to `file`, see `runner.backends.base.Backend.export`."""
    facts = Facts(preparation=preparation_of(config), **known)
    config = replace(config, use_gpu=False, channels_last=False)
    prepare(config)
    model = load_model(config, weights, say).eval()
    try:
        network = model.exportable()
    except InputError as error:
        raise InputError(f"{type(config.architecture).__name__} {error}") from error
    size = facts.preparation.input_size()
    side = -(-_EXAMPLE_SIDE_PX // (facts.preparation.pad_to_stride or 32)) * (facts.preparation.pad_to_stride or 32)
    example = torch.zeros(1, 3, *(size or (side, side + (facts.preparation.pad_to_stride or 32))))
    text = json.dumps({**facts.to_json(), "architecture": model_of(config).schema.__name__}, ensure_ascii=False, allow_nan=False)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters warn of their own future
        if to == "onnx":
            _write_onnx(network, example, file, text, is_fixed=size is not None)
        else:
            _write_torchscript(network, example, file, text)


def load_torchscript(file: Path) -> tuple[str | bytes, Network]:
    """Load a TorchScript file: the text that it has under `KEY`, and its network. Raises RuntimeError: it is damaged, or something else."""
    extra = {KEY: ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.load(str(file), map_location="cpu", _extra_files=extra).eval()  # type: ignore[no-untyped-call]

    def network(images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        with torch.no_grad():
            boxes, scores, labels = module(torch.from_numpy(images))
        return boxes.numpy(), scores.numpy(), labels.numpy()

    return extra[KEY], network


def _write_onnx(network: nn.Module, example: torch.Tensor, file: Path, text: str, *, is_fixed: bool) -> None:
    try:
        import onnxscript  # noqa: F401, PLC0415 - torch's exporter imports it
    except ImportError as error:
        raise InputError(f"the export to ONNX needs onnx and onnxscript, which are not installed: {how_to_install('.[onnx]')}") from error
    free = None if is_fixed else {INPUT: {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}}
    program = torch.onnx.export(
        network,
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=list(OUTPUTS),
        dynamic_shapes=free,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    _forget_sources(program.model)
    program.model.metadata_props[KEY] = text
    program.save(file, external_data=False)


def _forget_sources(model: Any) -> None:
    """Remove the lines of Python that each node came from: they have paths of this machine."""
    for graph in (model.graph, *(function.graph for function in model.functions.values())):
        graph.metadata_props.clear()
        for node in graph.all_nodes():
            node.metadata_props.clear()
            for value in node.outputs:
                value.metadata_props.clear()


def _write_torchscript(network: nn.Module, example: torch.Tensor, file: Path, text: str) -> None:
    traced = torch.jit.trace(network, (example,), check_trace=False)  # type: ignore[no-untyped-call]
    torch.jit.save(torch.jit.freeze(traced.eval()), str(file), _extra_files={KEY: text})
