"""Exported models: the facts that their files carry, and detections by them without this program's networks.

An exported network takes ``images``, Float[1, 3, H, W], as the reader of its config makes them, and returns ``boxes``, Float[N, 4], xyxy in
pixels of that input, ``scores``, Float[N], 0 to 1, highest first, and ``labels``, Int64[N], 0-based, after suppression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from runner.backends.base import ImageRef
from runner.core.errors import InputError, Problem, how_to_install
from runner.core.files import open_regular, parse_json
from runner.data.images import read_image

KEY: Final = "runner"
"""Key of the facts, a JSON text, among a file's metadata."""
INPUT: Final = "images"
OUTPUTS: Final = ("boxes", "scores", "labels")
SUFFIXES: Final = {"onnx": ".onnx", "torchscript": ".torchscript"}
"""Format to the suffix of its files."""
FORMAT_VERSION: Final = 1

Network = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]]
"""Float[1, 3, H, W] → boxes, scores and labels as above."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """Preparation of an image as the network's input, in this order.

    Args:
        resizes: keys of Resize transforms: target_size ([height, width], or one number for both), keep_ratio, interp (OpenCV's code).
        mean, std: per channel, RGB: (pixel - mean) / std.
        is_scale: divide pixels by 255 first.
        pad_to_stride: then pad with zeros, right and below, to a multiple of so many pixels; 0: not at all.
    """

    resizes: tuple[Mapping[str, Any], ...] = ()
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    is_scale: bool = True
    pad_to_stride: int = 0

    def input_size(self) -> tuple[int, int] | None:
        """Return height and width of every input; None if they depend on the image."""
        if not self.resizes or self.resizes[-1]["keep_ratio"]:
            return None
        target = self.resizes[-1]["target_size"]
        height, width = target if isinstance(target, Sequence) else (target, target)
        return _padded(int(height), self.pad_to_stride), _padded(int(width), self.pad_to_stride)

    def apply(self, pixels: NDArray[np.uint8], name: str) -> tuple[NDArray[np.float32], tuple[float, float]]:
        """Make the network's input of an image, by the code that prepares images for training.

        Args:
            pixels: UInt8[H, W, 3], RGB.
            name: of the image, for messages.

        Returns:
            Float32[1, 3, H', W'], and (resized / stored) of height and width.
        """
        from runner.backends.torch.transforms import schema, steps  # noqa: PLC0415 - no torch; OpenCV is loaded only where images are prepared
        from runner.backends.torch.transforms.sample import ImageSample, sample_rng  # noqa: PLC0415

        normalise = schema.NormalizeImage(mean=self.mean, std=self.std, is_scale=self.is_scale)
        functions = steps.build_steps([*(schema.Resize(**keys) for keys in self.resizes), normalise])
        sample = ImageSample(pixels, np.empty((0, 4), np.float32), np.empty(0, np.int64), (1.0, 1.0), 0, name)
        sample = steps.apply_steps(sample, functions, sample_rng(0, 0, 0))
        height, width = sample.size
        prepared = np.zeros((1, 3, _padded(height, self.pad_to_stride), _padded(width, self.pad_to_stride)), np.float32)
        prepared[0, :, :height, :width] = sample.image.transpose(2, 0, 1)
        return prepared, sample.scale


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts that an exported file states about itself.

    Args:
        classes: names in the order of the labels.
        preparation: of images.
        score_threshold: a good lowest score, from the run's evaluation.
        about: for people: architecture, run, checkpoint, version of this program.
    """

    classes: tuple[str, ...]
    preparation: Preparation
    score_threshold: float
    about: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the facts as they are stored."""
        preparation = self.preparation
        size = preparation.input_size()
        return {
            "format_version": FORMAT_VERSION,
            "classes": list(self.classes),
            "input": {"name": INPUT, "shape": [1, 3, *(size or ("height", "width"))], "type": "float32", "colours": "RGB"},
            "outputs": {"boxes": "xyxy in pixels of the input", "scores": "0 to 1, highest first", "labels": "index of the class"},
            "resizes": [dict(keys) for keys in preparation.resizes],
            "mean": list(preparation.mean),
            "std": list(preparation.std),
            "is_scale": preparation.is_scale,
            "pad_to_stride": preparation.pad_to_stride,
            "score_threshold": self.score_threshold,
            **self.about,
        }


class ExportedModel:
    """An exported model, which is a `runner.backends.base.Predictor`.

    Args:
        path: the file.
        facts: the text that the file has under `KEY`; None: none.
        network: runs it.

    Raises:
        InputError: the file is not one of `runner export`.
    """

    def __init__(self, path: Path, facts: str | bytes | None, network: Network) -> None:
        self.path, self.facts, self._network = path, _read_facts(path, facts), network

    def predict(self, images: Sequence[ImageRef], progress: Callable[[int, int], None] | None = None) -> list[dict[str, Any]]:
        """Predict COCO results, one image at a time, see `runner.backends.base.Predictor`."""
        results: list[dict[str, Any]] = []
        for number, image in enumerate(images, 1):
            pixels = read_image(image.path, expected_size=image.size) if image.pixels is None else image.pixels
            prepared, (scale_y, scale_x) = self.facts.preparation.apply(pixels, image.path.name)
            boxes, scores, labels = self._network(prepared)
            stored = boxes.astype(np.float64) / (scale_x, scale_y, scale_x, scale_y)
            stored[:, 2:] -= stored[:, :2]
            for box, score, label in zip(stored.tolist(), scores.tolist(), labels.tolist(), strict=True):
                results.append({"image_id": image.id, "category_id": label, "bbox": box, "score": score})
            if progress is not None:
                progress(number, len(images))
        return results


def is_exported(path: Path) -> bool:
    """Return whether a path is that of an exported model, by its suffix."""
    return path.suffix.lower() in SUFFIXES.values() and not path.is_dir()


def open_exported(path: Path) -> ExportedModel:
    """Open a file of `runner export`.

    Raises:
        InputError: missing, damaged, not one of ours, or a package that runs it is missing.
    """
    try:
        open_regular(path).close()
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", where=str(path))) from error
    if path.suffix.lower() == SUFFIXES["torchscript"]:
        return _open_torchscript(path)
    return _open_onnx(path)


def _open_onnx(path: Path) -> ExportedModel:
    try:
        import onnxruntime  # noqa: PLC0415 - loaded only where it is used
    except ImportError as error:
        raise _not_installed(path, "onnxruntime", ".[onnx]") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions have no base class but this
        raise _damaged(path, "an ONNX model", error) from error

    def network(images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        boxes, scores, labels = session.run(list(OUTPUTS), {INPUT: images})
        return boxes, scores, labels

    return ExportedModel(path, session.get_modelmeta().custom_metadata_map.get(KEY), network)


def _open_torchscript(path: Path) -> ExportedModel:
    try:
        from runner.backends.torch.export import load_torchscript  # noqa: PLC0415 - torch is loaded only where it is used
    except ImportError as error:
        raise _not_installed(path, "torch", ".[torch]") from error
    try:
        facts, network = load_torchscript(path)
    except RuntimeError as error:  # torch's, for everything that is wrong with a file
        raise _damaged(path, "a TorchScript file", error) from error
    return ExportedModel(path, facts, network)


def _not_installed(path: Path, package: str, requirement: str) -> InputError:
    return InputError(Problem(f"needs {package}, which is not installed: {how_to_install(requirement)}", where=str(path)))


def _damaged(path: Path, kind: str, error: Exception) -> InputError:
    text = " ".join(str(error).split())[:200]
    return InputError(Problem(f"is damaged, incomplete, or not {kind} ({text}); export it again", where=str(path)))


def _read_facts(path: Path, text: str | bytes | None) -> Facts:
    try:
        if not text:
            raise ValueError("it has no metadata 'runner'")
        found = parse_json(text)
        if found["format_version"] != FORMAT_VERSION:
            raise ValueError(f"its format version is {found['format_version']}, expected {FORMAT_VERSION}")
        preparation = Preparation(
            resizes=tuple(_resize_keys(keys) for keys in found["resizes"]),
            mean=tuple(map(float, found["mean"])),
            std=tuple(map(float, found["std"])),
            is_scale=bool(found["is_scale"]),
            pad_to_stride=int(found["pad_to_stride"]),
        )
        return Facts(tuple(map(str, found["classes"])), preparation, float(found["score_threshold"]))
    except (ValueError, KeyError, TypeError) as error:
        text = f"was not written by `runner export` ({error}); only its files say how images are prepared and what the classes are"
        raise InputError(Problem(text, where=str(path))) from error


def _resize_keys(keys: Mapping[str, Any]) -> dict[str, Any]:
    target = keys["target_size"]
    return {**keys, "target_size": tuple(target) if isinstance(target, list) else target}


def _padded(side: int, stride: int) -> int:
    return -(-side // stride) * stride if stride else side
