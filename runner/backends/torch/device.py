"""The device a run uses, what is set on it, and what a machine has to offer."""

from __future__ import annotations

import ctypes
import platform

import psutil
import torch
import torchvision

from runner.backends.base import Probe
from runner.backends.probe import driver_version
from runner.backends.torch.amp import amp_type
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.transforms.sizes import is_fixed_size
from runner.core.errors import InputError, Problem
from runner.core.values import GIB, counted

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def select_device(config: TorchConfig) -> torch.device:
    """Return the CPU, or the GPU if use_gpu asks for it.

    Raises:
        InputError: use_gpu without a usable GPU, or bfloat16 on one that lacks it; the message says what was found and what to do.
    """
    if not config.use_gpu:
        return torch.device("cpu")
    problem = gpu_problem()
    if problem:
        raise InputError(Problem(f"{problem}; to train on the CPU: -o use_gpu=false", key="use_gpu"))
    if config.amp_dtype == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        text = f"{torch.cuda.get_device_name()} has no bfloat16; give float16, or auto"
        raise InputError(Problem(text, key="amp_dtype"))
    return torch.device("cuda", torch.cuda.current_device())


def prepare(config: TorchConfig) -> torch.device:
    """Choose the device, set threads and determinism, seed torch's generators.

    On a CPU the same config, seed and threads give the same bits: every operator of the model is deterministic there,
        and deterministic algorithms are asked for so that a new one that is not warns. On a GPU speed goes first;
        runs differ in the last bits.
    """
    device = select_device(config)
    torch.set_num_threads(config.cpu_threads)
    try:
        torch.set_num_interop_threads(1)
    except RuntimeError:
        pass  # may be set once per process, before its first use; nothing here runs operators side by side
    on_cpu = device.type == "cpu"
    torch.use_deterministic_algorithms(on_cpu, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid that writes every new tensor
    if on_cpu:
        keep_freed_memory()
    torch.backends.cudnn.benchmark = not on_cpu and is_fixed_size(config.train_reader)  # pays where every batch has one size
    torch.manual_seed(config.seed)
    return device


def keep_freed_memory() -> None:
    """Let glibc keep large blocks that are freed instead of giving them back to the system (a no-op with another C library).

    Every step frees and takes the same tensors again; given back, each comes as pages the system must clear anew: some
    10,000 page faults per step, 2 to 4 % of its time (benchmarks/LOG.md). The process stays as large as it was at its largest.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def describe(device: torch.device, config: TorchConfig) -> str:
    """Return the device in words, for the log."""
    half = f", amp in {str(dtype).removeprefix('torch.')}" if (dtype := amp_type(config, device)) is not None else ""
    if device.type == "cuda":
        below = f"driver {driver_version() or 'unknown'}, CUDA {torch.version.cuda}"
        return f"{torch.cuda.get_device_name(device)} ({below}), torch {torch.__version__}{half}"
    return f"CPU, {counted(config.cpu_threads, 'thread')}, torch {torch.__version__}{half}"


def probe() -> Probe:
    """Find what this machine has."""
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    if torch.version.cuda:
        versions["cuda"] = torch.version.cuda
    problem = gpu_problem()
    gpus: tuple[str, ...] = ()
    if not problem:
        gpus = tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        if cudnn is not None:
            versions["cudnn"] = str(cudnn)
    return Probe(versions=versions, gpus=gpus, gpu_problem=problem, driver=driver_version())


def gpu_problem() -> str:
    """Explain why no GPU can be used; empty if one can be used. The advice is up to the caller: it
    knows whether a GPU was requested.
    """
    if torch.cuda.is_available():
        return ""
    build = f"torch {torch.__version__} is built " + (f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA")
    driver = driver_version()
    if not torch.version.cuda:
        found = f"{build}, so it cannot use one"
    elif not driver:
        found = f"no NVIDIA driver was found ({build})"
    else:
        found = f"NVIDIA driver {driver} is there, but torch finds no GPU it can use ({build}): "
        found += "the driver may be too old for it, or CUDA_VISIBLE_DEVICES hides the GPU"
    return f"there is no usable GPU: {found}"


def memory_gib(device: torch.device) -> dict[str, float]:
    """Resident memory of this process, and the most a GPU has held for it since the last call, in 10^9 bytes, by
    record tag.
    """
    values = {"resource/memory_gib": psutil.Process().memory_info().rss / GIB}
    if device.type == "cuda":
        values["resource/gpu_memory_gib"] = torch.cuda.max_memory_allocated(device) / GIB
        torch.cuda.reset_peak_memory_stats(device)
    return values


def memory_in_words(device: torch.device) -> str:
    """Describe the memory in use, for an out-of-memory message."""
    machine = psutil.virtual_memory()
    words = f"this process holds {psutil.Process().memory_info().rss / GIB:.1f} GiB, "
    words += f"the machine has {machine.available / GIB:.1f} of {machine.total / GIB:.1f} GiB left"
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        held = torch.cuda.max_memory_allocated(device) / GIB
        words += f"; the GPU held up to {held:.1f} GiB for it and has {free / GIB:.1f} of {total / GIB:.1f} GiB left"
    return words


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` says that a GPU's or the machine's memory has run out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(words in str(error) for words in ("can't allocate memory", "not enough memory", "CUDA out of memory"))
