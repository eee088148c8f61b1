"""Choosing a device, and saying why there is no GPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from runner.backends.torch import device
from runner.backends.torch.backend import TorchBackend
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError


@pytest.mark.parametrize(
    ("cuda", "driver", "words"),
    [("13.2", "", "no NVIDIA driver was found"), ("13.2", "535.104", "NVIDIA driver 535.104 is there"), (None, "", "built without CUDA")],
)
def test_no_usable_gpu_says_what_was_found(
    monkeypatch: pytest.MonkeyPatch, config: Callable[..., TorchConfig], cuda: str | None, driver: str, words: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(device, "driver_version", lambda: driver)
    with pytest.raises(InputError) as caught:
        device.select_device(config(use_gpu=True))
    for expected in (words, torch.__version__, "-o use_gpu=false"):
        assert expected in str(caught.value)
    found = TorchBackend().probe().gpu_problem  # what was found alone: who asks for it knows what to advise
    assert found.startswith("there is no usable GPU: ") and words in found and "use_gpu" not in found and not found.endswith(".")
    assert str(caught.value) == f"use_gpu: {found}; to train on the CPU: -o use_gpu=false"
    assert caught.value.problems[0].key == "use_gpu"


def test_probe() -> None:
    probe = TorchBackend().probe()
    assert probe.versions["torch"] == torch.__version__
    assert "torchvision" in probe.versions
    assert bool(probe.gpus) != bool(probe.gpu_problem)


def test_preparing_sets_threads_and_seed(config: Callable[..., TorchConfig]) -> None:
    assert device.prepare(config(seed=3)).type == "cpu"
    first = torch.rand(3)
    device.prepare(config(seed=3))
    assert torch.equal(torch.rand(3), first)
    assert torch.get_num_threads() == 1
    assert "1 thread," in device.describe(torch.device("cpu"), config())
