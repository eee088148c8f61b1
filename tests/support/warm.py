"""What a backend that preloads must show: training in a warm process gives the bits that it gives in a fresh one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from runner.launch.base import Exit, Task, Warm
from runner.launch.local import LocalLauncher
from runner.testing.launchers import collect

_ROOT = Path(__file__).resolve().parents[2]
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_STATUS = 17
_TELL = f"""
import hashlib, json, os, sys
told = {{"bits": hashlib.sha256(bits).hexdigest(), "threads": len(os.listdir("/proc/self/task"))}}
json.dump(told, open(sys.argv[1], "w"))
sys.exit({_STATUS})
"""


def assert_same_bits(folder: Path, python: Path, program: str, preload: str, ways: tuple[Warm, ...]) -> None:
    """Run a program in a fresh process, then in warm ones.

    Args:
        folder: for what it writes.
        python: the backend's interpreter.
        program: trains with two threads, and leaves what came out in ``bits``.
        preload: the backend's module to preload.
        ways: how it is started, one after the other.
    """
    (folder / "trains.py").write_text(program + _TELL)
    launcher = LocalLauncher(1)
    try:
        fresh = _told(launcher, folder, python, preload, "no", "fresh")
        assert fresh["threads"] > 1
        for number, warm in enumerate(ways):
            told = _told(launcher, folder, python, preload, warm, f"{warm} {number}")
            assert told["bits"] == fresh["bits"] and told["threads"] > 1
    finally:
        launcher.close()


def _told(launcher: LocalLauncher, folder: Path, python: Path, preload: str, warm: Warm, name: str) -> dict[str, Any]:
    log = folder / f"{name}.log"
    argv = [str(python), "-P", "-m", "trains", str(folder / name)]
    env = {"PYTHONPATH": f"{folder}{os.pathsep}{_ROOT}", **_ONE_THREAD}
    launcher.submit(Task(name, argv, folder, log, env, (preload,), warm))
    ended = collect(launcher, 1, within_s=200)
    assert ended == [Exit(name, _STATUS)] and "started in a new process" not in log.read_text(), log.read_text()
    told: dict[str, Any] = json.loads((folder / name).read_text())
    return told
