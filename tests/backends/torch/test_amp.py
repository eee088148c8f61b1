"""The number format of amp: which one a run uses, which one `auto` means, and what stays in single precision."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from runner.backends import probe
from runner.backends.base import AmpChoice
from runner.backends.torch import amp, reader
from runner.backends.torch.device import select_device
from runner.backends.torch.models.base import build_model
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.step import TrainStep
from runner.core.errors import InputError

Config = Callable[..., TorchConfig]


@pytest.mark.parametrize(
    ("device", "dtype", "expected"),
    [
        ("cpu", None, torch.bfloat16),
        ("cpu", "float16", torch.bfloat16),
        ("cuda", None, torch.float16),
        ("cuda", "float16", torch.float16),
        ("cuda", "bfloat16", torch.bfloat16),
    ],
)
def test_type_of_a_device(config: Config, device: str, dtype: str | None, expected: torch.dtype) -> None:
    assert amp.amp_type(config(amp=True, amp_dtype=dtype), torch.device(device)) == expected
    assert amp.amp_type(config(amp_dtype=dtype), torch.device(device)) is None


@pytest.mark.parametrize(("has", "speedup", "dtype"), [(True, 1.5, "bfloat16"), (True, 1.05, None), (False, 1.5, None)])
def test_a_cpu_uses_bfloat16_where_it_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has: bool, speedup: float, dtype: str | None
) -> None:
    monkeypatch.setattr(amp, "cpu_has_bfloat16", lambda: has)
    monkeypatch.setattr(amp, "measure_speedup", lambda: speedup)
    probe.main("torch", str(tmp_path / "answer.json"), "cpu", "1")
    found = AmpChoice(**json.loads((tmp_path / "answer.json").read_text()))
    assert found.dtype == dtype and ("1.5" in found.why or "1.05" in found.why or "no bfloat16" in found.why)


@pytest.mark.parametrize(("has", "dtype"), [(True, "bfloat16"), (False, "float16")])
def test_a_gpu_uses_bfloat16_where_it_has_it(monkeypatch: pytest.MonkeyPatch, config: Config, has: bool, dtype: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA Some")
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert amp.choose(gpu=True, threads=1).dtype == dtype
    here = config(use_gpu=True, amp=True, amp_dtype="bfloat16")
    if has:
        assert select_device(here).type == "cuda"
    else:
        with pytest.raises(InputError, match="NVIDIA Some has no bfloat16"):
            select_device(here)


def test_the_measurement_is_a_ratio_of_times() -> None:
    assert 0.01 < amp.measure_speedup() < 100


def test_losses_optimiser_and_average_stay_in_single_precision(config: Config) -> None:
    here = config(amp=True, amp_dtype="bfloat16", use_ema=True)
    torch.manual_seed(0)
    step = TrainStep(build_model(here), here, torch.device("cpu"))
    seen: list[torch.dtype] = []
    step.model.neck.register_forward_hook(lambda module, inputs, outputs: seen.append(outputs[0].dtype))
    data = reader.load_training_data(here)
    with reader.training_steps(here, data, 0) as steps:
        result = step(next(steps), 0.01)
    assert seen == [torch.bfloat16]
    state = step.state_dict()
    moments = [value for one in state["optimizer"]["state"]["state"].values() for value in one.values() if torch.is_tensor(value)]
    kept = [*result.losses.values(), *moments, *state["ema"]["average"].values(), *step.model.parameters()]
    assert moments and {value.dtype for value in kept} == {torch.float32}
