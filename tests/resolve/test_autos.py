"""Values of `auto`, and parts that the machine lacks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.resolving import NO_GPU, ONE_GPU, WriteConfig, refusal

import runner.resolve.autos
from runner.backends.base import AmpChoice, Probe
from runner.launch.machine import available_cores
from runner.resolve import resolve
from runner.resolve.autos import automatic_trackers
from runner.sweep.plan import run_key


def test_autos_are_gone(write_config: WriteConfig, probed: Callable[[Probe], list[str]]) -> None:
    asked = probed(ONE_GPU)
    config = resolve(write_config(use_gpu="auto", cpu_threads="auto", trackers="auto"), threads=3).config
    expected = (True, 3, automatic_trackers(Path(sys.executable)))
    assert (config.use_gpu, config.cpu_threads, list(config.trackers)) == expected and asked == ["torch"]


def test_use_gpu_auto_says_what_it_picked(write_config: WriteConfig, probed: Callable[[Probe], list[str]]) -> None:
    probed(ONE_GPU)
    assert "use_gpu: auto picks NVIDIA Some" in resolve(write_config(use_gpu="auto")).notes
    probed(NO_GPU)
    resolved = resolve(write_config(use_gpu="auto"))
    assert not resolved.config.use_gpu
    assert any(note.startswith("use_gpu: auto picks the CPU (no usable GPU") for note in resolved.notes)


def test_nothing_is_probed_where_no_gpu_is_wanted(write_config: WriteConfig, probed: Callable[[Probe], list[str]]) -> None:
    asked = probed(NO_GPU)
    resolved = resolve(write_config(use_gpu=False))
    assert asked == [] and resolved.probe is None


def test_threads_left_out_are_the_cores(write_config: WriteConfig) -> None:
    path = write_config()
    path.write_text(path.read_text().replace("cpu_threads: 1\n", ""))
    assert resolve(path).config.cpu_threads == available_cores()
    assert resolve(path, threads=2).config.cpu_threads == 2
    assert resolve(path, ["cpu_threads=1"], threads=2).config.cpu_threads == 1


def test_amp_dtype_auto_is_what_the_machine_is_fast_with(write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[bool, int]] = []

    def find(choice: AmpChoice) -> None:
        def probe(name: str, python: Path, *, gpu: bool, threads: int) -> AmpChoice:
            asked.append((gpu, threads))
            return choice

        monkeypatch.setattr(runner.resolve.autos, "probe_amp", probe)

    find(AmpChoice("bfloat16", "measured 1.60 times as fast"))
    fast = resolve(write_config(amp=True), threads=2)
    assert fast.config.amp and fast.config.amp_dtype == "bfloat16" and asked == [(False, 1)]
    assert "amp_dtype: auto picks bfloat16 (measured 1.60 times as fast)" in fast.notes
    find(AmpChoice(None, "measured 0.90 times as fast"))
    slow, plain = resolve(write_config(amp=True)), resolve(write_config())
    assert not slow.config.amp and slow.config.amp_dtype is None
    assert any(note.startswith("amp_dtype: auto picks single precision, so amp is off") for note in slow.notes)
    assert run_key(slow) == run_key(plain) != run_key(fast)
    given, useless = resolve(write_config(amp=True), ["amp_dtype=bfloat16"]), resolve(write_config(), ["amp_dtype=bfloat16"])
    assert run_key(given) == run_key(fast) and run_key(useless) == run_key(plain)
    assert len(asked) == 2, "only auto is measured"
    assert resolve(write_config(amp=True), settled=True).config.amp_dtype is None  # a run that began before the key existed


def test_float16_needs_a_gpu(write_config: WriteConfig) -> None:
    (message,) = refusal(write_config(amp=True), ["amp_dtype=float16"])
    assert "amp_dtype: float16 needs a GPU" in message


@pytest.mark.parametrize(
    ("overrides", "trackers"),
    [
        ([], []),
        (["use_vdl=true"], ["visualdl"]),
        (["trackers=[tensorboard, visualdl]", "use_vdl=false"], ["tensorboard"]),
        (["trackers=[visualdl]", "use_vdl=true"], ["visualdl"]),
        (["trackers=[tensorboard]", "use_vdl=true"], ["tensorboard", "visualdl"]),
    ],
)
def test_use_vdl_goes_into_the_trackers(write_config: WriteConfig, overrides: list[str], trackers: list[str]) -> None:
    assert list(resolve(write_config(), overrides).config.trackers) == trackers


def test_processes_need_as_many_gpus(
    write_config: WriteConfig, probed: Callable[[Probe], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    probed(ONE_GPU)
    place = SimpleNamespace(python=Path(sys.executable))
    monkeypatch.setattr(runner.resolve.autos, "interpreter", lambda name, given: place)
    monkeypatch.setattr("runner.backends.paddle.backend.check", lambda config: [])
    (message,) = refusal(write_config(backend="paddle", processes=2, use_gpu=True))
    assert "tiny.yml" in message and "2 processes need as many GPUs; usable: 1 (NVIDIA Some)" in message
    resolve(write_config(backend="paddle", processes=2, use_gpu=False))
