"""The table of learning curves that `benchmarks.pruning` replays, and how it was recorded.

A small convolutional net tells the six defects of the generated boards apart, on grey patches around the true boxes. Every point of a
grid of hyper-parameters was trained once for 27 epochs at a constant learning rate, and its accuracy on patches of other boards written
down after each. The curves cross, as real ones do.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from runner.core.files import atomic_write_text
from runner.data.synthetic.generate import CLASSES, generate

TABLE = Path(__file__).with_name("pruning_curves.csv")
EPOCHS = 27
GRID: Mapping[str, tuple[float, ...]] = {
    "rate": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
    "momentum": (0.0, 0.9),
    "channels": (4, 8),
    "turned": (0, 1),
    "batch_size": (32, 128),
}
BASELINE: Mapping[str, float] = {"rate": 0.01, "momentum": 0.9, "channels": 4, "turned": 0, "batch_size": 32}
TRAIN_BOARDS, VALIDATION_BOARDS = 500, 2000
SIZE_PX, PATCH_PX = 128, 16

Point = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Points of `GRID`, in the order of its keys, to the accuracy after each of the epochs."""

    curves: Mapping[Point, tuple[float, ...]]

    def point(self, values: Mapping[str, float]) -> Point:
        """Return the point with these values; what is missing is the baseline's."""
        return tuple(values.get(name, BASELINE[name]) for name in GRID)

    @property
    def best(self) -> Point:
        """The point with the highest accuracy after the last epoch."""
        return max(self.curves, key=lambda point: self.curves[point][-1])


def read_table(path: Path = TABLE) -> Table:
    """Return the recorded table.

    Raises:
        ValueError: it is not whole.
    """
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    curves = {tuple(map(float, row[: len(GRID)])): tuple(map(float, row[len(GRID) :])) for row in rows}
    if set(curves) != set(itertools.product(*GRID.values())) or any(len(curve) != EPOCHS for curve in curves.values()):
        raise ValueError(f"{path} is not whole: record it again by `python -m benchmarks.pruning --record`")
    return Table(curves)


def record(path: Path = TABLE) -> None:
    """Train every point and write the table: about three minutes on one core. The same machine gives the same table."""
    torch.set_num_threads(1)
    train, validation = _patches("train", TRAIN_BOARDS), _patches("val", VALIDATION_BOARDS)
    print(f"{len(train[0])} patches to train on, {len(validation[0])} to validate", flush=True)
    lines = [",".join([*GRID, *(f"accuracy_{epoch}" for epoch in range(1, EPOCHS + 1))])]
    for point in itertools.product(*GRID.values()):
        curve = _curve(dict(zip(GRID, point, strict=True)), train, validation)
        lines.append(",".join([*(f"{value:g}" for value in point), *(f"{accuracy:.4f}" for accuracy in curve)]))
        print(lines[-1][:40], flush=True)
    atomic_write_text(path, "\n".join(lines) + "\n")


def _patches(split: str, boards: int) -> tuple[Tensor, Tensor]:
    """(Float[N, 1, 16, 16] with mean 0 and spread 1 each, Int[N] class): the 32 px around the middle of each true box, at half the size."""
    side = 2 * PATCH_PX
    patches, classes = [], []
    for index in range(boards):
        sample = generate(0, split, index, SIZE_PX)
        for box, kind in zip(sample.boxes, sample.classes, strict=True):
            x, y = (int(np.clip((low + high) / 2 - PATCH_PX, 0, SIZE_PX - side)) for low, high in zip(box[:2], box[2:], strict=True))
            patches.append(_halved(sample.pixels[y : y + side, x : x + side].mean(axis=2)))
            classes.append(int(kind))
    return torch.from_numpy(np.stack(patches)[:, None]), torch.tensor(classes)


def _halved(grey: NDArray[np.float64]) -> NDArray[np.float32]:
    small = grey.reshape(PATCH_PX, 2, PATCH_PX, 2).mean(axis=(1, 3))
    return np.asarray((small - small.mean()) / (small.std() + 1e-3), dtype=np.float32)


def _curve(point: Mapping[str, float], train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor]) -> list[float]:
    """Accuracy on `validation` after each epoch."""
    torch.manual_seed(0)
    channels = int(point["channels"])
    net = nn.Sequential(
        nn.Conv2d(1, channels, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * channels * (PATCH_PX // 4) ** 2, len(CLASSES)),
    )
    optimizer = torch.optim.SGD(net.parameters(), point["rate"], momentum=point["momentum"])
    order = torch.Generator().manual_seed(1)
    accuracies = []
    for _ in range(EPOCHS):
        for indices in torch.randperm(len(train[0]), generator=order).split(int(point["batch_size"])):  # type: ignore[no-untyped-call]
            images = train[0][indices]
            if point["turned"]:
                turn = int(torch.randint(8, (1,), generator=order))
                images = torch.rot90(images if turn < 4 else images.flip(3), turn % 4, (2, 3))
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images), train[1][indices]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            accuracies.append(float((net(validation[0]).argmax(1) == validation[1]).float().mean()))
    return accuracies
