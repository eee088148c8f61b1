"""The torch backend: what the worker calls. Importing this module and `check` load no torch."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.backends.base import AmpChoice, BatchSizeChoice
from runner.backends.torch.check import check
from runner.backends.torch.models.base import network_module, packages_of
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import Problem
from runner.evaluation import MetricSet, box_metrics
from runner.training.context import RunContext

if TYPE_CHECKING:
    from runner.backends.base import Predictor, Probe, TrainingImage

log = logging.getLogger("runner.backends.torch")


class TorchBackend:
    """See `runner.backends.base.Backend`."""

    name = "torch"
    config_class: type[Any] = TorchConfig
    numerics_version = 2
    packages = ("torch", "torchvision", "numpy", "pillow", "opencv-python-headless", "hotcoco")
    preload = "runner.backends.torch.preload"
    open_gpu_on_import: tuple[str, ...] = ()
    checkpoint_suffix = ".pt"
    export_formats = ("onnx", "torchscript")

    def check(self, config: TorchConfig) -> Sequence[Problem]:
        """Find the problems of the config and of the files it names. Loads no torch."""
        return check(config)

    def metrics(self, config: TorchConfig) -> MetricSet:
        """Return COCO's metrics of boxes."""
        return box_metrics(config.eval_iou_thresholds)

    def model_packages(self, config: TorchConfig) -> Sequence[str]:
        """Return the distributions that a third party's architecture comes from."""
        return packages_of(config)

    def first_batch(self, config: TorchConfig) -> tuple[Sequence[TrainingImage], Sequence[str]]:
        """Read the first batch of a training, see `runner.backends.torch.shown_batch`."""
        from runner.backends.torch.shown_batch import first_batch  # noqa: PLC0415 - torch is loaded only where it is used

        return first_batch(config)

    def model_modules(self, config: TorchConfig) -> Sequence[str]:
        """Return the module of the architecture's network."""
        return (network_module(config),)

    def probe(self) -> Probe:
        """Find the versions of torch and its libraries, and the GPUs."""
        from runner.backends.torch import device  # noqa: PLC0415 - torch is loaded only where it is used

        return device.probe()

    def choose_amp(self, *, gpu: bool, threads: int) -> AmpChoice:
        """Choose bfloat16 where it is supported (on a CPU: measured to be faster), else float16 on a GPU and nothing on a CPU."""
        from runner.backends.torch import amp  # noqa: PLC0415 - torch is loaded only where it is used

        return amp.choose(gpu=gpu, threads=threads)

    def choose_batch_size(self, config: TorchConfig, *, gpu_share: float, memory_gib: float | None) -> BatchSizeChoice:
        """Measure batch sizes, see `runner.backends.torch.batch_size`."""
        from runner.backends.torch import batch_size  # noqa: PLC0415 - torch is loaded only where it is used

        return batch_size.choose(config, gpu_share=gpu_share, memory_gib=memory_gib)

    def ranks(self, config: TorchConfig) -> None:
        """Return None: one process trains."""

    def train(self, config: TorchConfig, run: RunContext) -> None:
        """Make one attempt, see `runner.backends.torch.loop`."""
        from runner.backends.torch.loop import TorchTrainer  # noqa: PLC0415 - torch is loaded only where it is used

        TorchTrainer(config, run).run()

    def class_names(self, weights: Path) -> tuple[str, ...]:
        """Read the names that a checkpoint keeps, see `runner.backends.torch.checkpoint`."""
        from runner.backends.torch.checkpoint import read_class_names  # noqa: PLC0415 - torch is loaded only where it is used

        return read_class_names(weights)

    def export(self, config: TorchConfig, weights: Path, to: str, file: Path, facts: Mapping[str, Any]) -> None:
        """Write the model in `weights` to a file, see `runner.backends.torch.export`."""
        from runner.backends.torch.export import export  # noqa: PLC0415 - torch is loaded only where it is used

        export(config, weights, to, file, facts, log.info)

    def predictor(self, config: TorchConfig, weights: Path, *, reader: str = "EvalReader", batch_size: int | None = None) -> Predictor:
        """Load the model in `weights`, see `runner.backends.torch.predict`."""
        from runner.backends.torch.predict import TorchPredictor  # noqa: PLC0415 - torch is loaded only where it is used

        return TorchPredictor(config, weights, reader=reader, batch_size=batch_size, say=log.info)
