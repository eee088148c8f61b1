"""Questions about this machine: what a backend finds on it, and the NVIDIA driver, without a framework.

`python -P -m runner.backends.probe NAME FILE` asks the backend NAME in a process of its own and writes the answer as JSON;
`… NAME FILE cpu THREADS` and `… NAME FILE gpu THREADS` ask for its number format of amp.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from runner.backends.base import BACKENDS, AmpChoice, Backend, ChoosesAmp, Probe
from runner.core.errors import RunnerError
from runner.core.importing import find_program


def main(name: str, answer: str, device: str = "", threads: str = "1") -> None:
    """Write the `Probe` of backend `name` to the file `answer`, or with a `device` (cpu or gpu) its `AmpChoice`."""
    backend: Backend = BACKENDS.get(name)()
    found: Probe | AmpChoice = backend.probe()
    if device and isinstance(backend, ChoosesAmp):
        found = backend.choose_amp(gpu=device == "gpu", threads=int(threads))
    Path(answer).write_text(json.dumps(asdict(found)), encoding="utf-8")


def driver_version() -> str:
    """Return the NVIDIA driver's version, empty if there is none: from nvidia-smi, or from the kernel module's file."""
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


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except RunnerError as error:
        sys.exit(str(error))
