"""From images to COCO results by ppdet's own evaluation loop."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runner.backends.base import ImageRef
from runner.backends.paddle import device
from runner.backends.paddle.ppdet import load_ppdet, quiet, refusals_told
from runner.backends.paddle.schema import PaddleConfig
from runner.store.checkpoints import read_newest, read_verified

load_ppdet()

import paddle  # noqa: E402
from ppdet.engine import Trainer  # noqa: E402
from ppdet.engine.callbacks import ComposeCallback  # noqa: E402

from runner.backends.paddle.reader import image_reader  # noqa: E402
from runner.backends.paddle.results import CollectedResults  # noqa: E402
from runner.backends.paddle.run_config import ppdet_config  # noqa: E402
from runner.backends.paddle.state import SUFFIX, load_weights, read_state  # noqa: E402


class PaddlePredictor:
    """The model in a checkpoint, or in the newest one of a run directory; the averaged weights where there are some.

    Raises:
        InputError: see `runner.backends.base.Backend.predictor`.
    """

    def __init__(self, config: PaddleConfig, weights: Path, *, reader: str, batch_size: int | None, say: Callable[[str], None]) -> None:
        self._config, self._reader, self._batch_size = config, reader, batch_size
        device.prepare(config)
        read = functools.partial(read_state, key="weights")
        if weights.is_dir():
            folder, entry, state = read_newest(weights, read, say, suffix=SUFFIX)
            source = folder.path / entry.file
        else:  # the file that was named, or an error: never another one in its place
            source, state = weights, read_verified(weights, read, suffix=SUFFIX)
        with refusals_told():
            cfg = ppdet_config(config, to_train=False)
            trainer = quiet(lambda: Trainer(cfg, mode="test"))
        trainer._callbacks = []
        trainer._compose_callback = ComposeCallback([])
        load_weights(trainer.model, state["weights"], source)
        self._trainer = trainer

    def predict(self, images: Sequence[ImageRef], progress: Callable[[int, int], None] | None = None) -> list[dict[str, Any]]:
        """Predict COCO results of `images`, see `runner.backends.base.Predictor`."""
        return evaluate_images(self._trainer, self._reader, images, self._config, progress, batch_size=self._batch_size)


def evaluate_images(
    trainer: Any,
    reader: str,
    images: Sequence[ImageRef],
    config: PaddleConfig,
    progress: Callable[[int, int], None] | None,
    *,
    batch_size: int | None = None,
) -> list[dict[str, Any]]:
    """Predict COCO results of `images` by the model of a ppdet `Trainer` as it is; category_id is the contiguous class index from 0.

    Args:
        progress: called after every batch with the number of images done and of all. May raise to end it.
    """
    collected = CollectedResults(images, config.bias, progress)
    metrics, status = trainer._metrics, dict(trainer.status)
    trainer._metrics = [collected]
    try:
        with paddle.no_grad():
            trainer._eval_with_loader(image_reader(reader, images, config.worker_num, batch_size))
    finally:
        trainer._metrics = metrics
        trainer.status.update(status)
    return collected.results
