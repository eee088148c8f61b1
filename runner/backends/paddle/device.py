"""Device of a run, and the GPUs and versions that Paddle finds on this machine."""

from __future__ import annotations

from typing import Any

import psutil

from runner.backends.base import Probe
from runner.backends.paddle.ppdet import load_ppdet
from runner.backends.paddle.schema import PaddleConfig
from runner.backends.probe import driver_version
from runner.core.errors import InputError, Problem
from runner.core.values import GIB


def prepare(config: PaddleConfig) -> None:
    """Load Paddle, choose the device, seed.

    Raises:
        InputError: use_gpu without a usable GPU; the message says what was found and what to do.
    """
    load_ppdet()
    import paddle  # noqa: PLC0415

    if config.use_gpu and (problem := gpu_problem()):
        raise InputError(Problem(f"{problem}; to train on the CPU: -o use_gpu=false", key="use_gpu"))
    paddle.set_device("gpu" if config.use_gpu else "cpu")
    paddle.seed(config.seed)


def describe(config: PaddleConfig) -> str:
    """Describe the device in words, for the log."""
    import paddle  # noqa: PLC0415

    if config.use_gpu:
        below = f"driver {driver_version() or 'unknown'}, CUDA {paddle.version.cuda()}"
        return f"{paddle.device.cuda.get_device_name()} ({below}), paddle {paddle.__version__}"
    threads = f"{config.cpu_threads} {'thread' if config.cpu_threads == 1 else 'threads'}"
    threads += f" in {config.processes} processes" if config.processes > 1 else ""
    return f"CPU, {threads}, paddle {paddle.__version__}"


def probe() -> Probe:
    """Find what this machine has."""
    load_ppdet()
    import paddle  # noqa: PLC0415

    versions = {"paddle": paddle.__version__}
    if paddle.is_compiled_with_cuda():
        versions |= {"cuda": str(paddle.version.cuda()), "cudnn": str(paddle.version.cudnn())}
    problem = gpu_problem()
    gpus: tuple[str, ...] = ()
    if not problem:
        gpus = tuple(paddle.device.cuda.get_device_name(index) for index in range(paddle.device.cuda.device_count()))
    return Probe(versions=versions, gpus=gpus, gpu_problem=problem, driver=driver_version())


def gpu_problem() -> str:
    """Explain why no GPU can be used; empty if one can be used."""
    import paddle  # noqa: PLC0415

    if not paddle.is_compiled_with_cuda():
        text = f"paddle {paddle.__version__} is built without CUDA, so it cannot use one"
        return f"there is no usable GPU: {text} (`runner backend install paddle --gpu` installs one that can)"
    if paddle.device.cuda.device_count() > 0:
        return ""
    build = f"paddle {paddle.__version__} is built for CUDA {paddle.version.cuda()}"
    driver = driver_version()
    if not driver:
        return f"there is no usable GPU: no NVIDIA driver was found ({build})"
    found = f"NVIDIA driver {driver} is there, but paddle finds no GPU it can use ({build})"
    return f"there is no usable GPU: {found}: the driver may be too old for it, or CUDA_VISIBLE_DEVICES hides the GPU"


def memory_gib(config: PaddleConfig) -> dict[str, float]:
    """Measure the resident memory of this process, and the most a GPU has held for it, in 10^9 bytes, by record tag."""
    values = {"resource/memory_gib": psutil.Process().memory_info().rss / GIB}
    if config.use_gpu:
        import paddle  # noqa: PLC0415

        values["resource/gpu_memory_gib"] = paddle.device.cuda.max_memory_allocated() / GIB
        if hasattr(paddle.device.cuda, "reset_max_memory_allocated"):
            paddle.device.cuda.reset_max_memory_allocated()
    return values


def memory_in_words(config: PaddleConfig) -> str:
    """Describe the memory in use, for an out-of-memory message."""
    machine = psutil.virtual_memory()
    words = f"this process holds {psutil.Process().memory_info().rss / GIB:.1f} GiB, "
    words += f"the machine has {machine.available / GIB:.1f} of {machine.total / GIB:.1f} GiB left"
    if config.use_gpu:
        import paddle  # noqa: PLC0415

        words += f"; the GPU held up to {paddle.device.cuda.max_memory_allocated() / GIB:.1f} GiB for it"
    return words


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` means that the memory of a GPU or of the machine has run out."""
    words: tuple[Any, ...] = ("ResourceExhaustedError", "Out of memory", "out of memory", "Fail to alloc memory", "bad_alloc")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)
