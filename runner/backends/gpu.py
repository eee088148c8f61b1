"""The NVIDIA driver, asked without a framework."""

from __future__ import annotations

import subprocess
from pathlib import Path

from runner.core.importing import find_program


def driver_version() -> str:
    """The NVIDIA driver's version, empty if there is none: from nvidia-smi, or from the kernel module's file."""
    return _from_nvidia_smi() or _from_proc()


def _from_nvidia_smi() -> str:
    program = find_program("nvidia-smi")
    if program is None:
        return ""
    try:
        answer = subprocess.run(
            [program, "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.splitlines()[0].strip() if answer.returncode == 0 and answer.stdout.strip() else ""


def _from_proc() -> str:
    try:
        words = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").split()
    except OSError:
        return ""
    return next((word for word in words if word[0].isdigit() and "." in word), "")
