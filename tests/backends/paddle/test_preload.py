"""Paddle in warm processes, with loader processes of its own."""

from pathlib import Path

import pytest
from support.warm import assert_same_bits

from runner.launch.base import Warm

PROGRAM = """
from runner.backends.paddle.ppdet import load_ppdet
load_ppdet()
import numpy, paddle

class Data(paddle.io.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return numpy.random.default_rng(index).random((3, 48, 48), numpy.float32), numpy.array([index])

paddle.base.core.set_num_threads(2)
paddle.seed(0)
model = paddle.vision.models.resnet18()
optimizer = paddle.optimizer.Momentum(0.01, parameters=model.parameters())
for images, labels in paddle.io.DataLoader(Data(), batch_size=4, num_workers=2):
    paddle.nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()
    optimizer.clear_grad()
bits = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
"""


@pytest.mark.slow
@pytest.mark.parametrize("ways", [("fork", "fork"), pytest.param(("standby",), marks=pytest.mark.exhaustive)], ids=["fork", "standby"])
def test_a_warm_process_trains_to_the_same_bits(tmp_path: Path, paddle_python: Path, ways: tuple[Warm, ...]) -> None:
    assert_same_bits(tmp_path, paddle_python, PROGRAM, "runner.backends.paddle.preload", ways)
