"""The threads that Paddle uses, and its processor's instructions."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

PROGRAM = """
import json, os, sys
from runner.backends.paddle.ppdet import load_ppdet
load_ppdet()
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
from runner.backends.paddle.backend import _use_threads
_use_threads(2)
import paddle, threadpoolctl
before = len(os.listdir("/proc/self/task"))
paddle.ones([2000, 500]) @ paddle.ones([500, 2000])
openmp = [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if "libiomp5" in pool["filepath"]]
kernels = os.environ.get("MKL_DEBUG_CPU_TYPE")
print(json.dumps({"openmp": openmp, "started": len(os.listdir("/proc/self/task")) - before, "kernels": kernels}), flush=True)
os._exit(0)
"""


@pytest.mark.slow
def test_a_process_forked_from_a_parent_with_one_thread_uses_the_threads_asked_for(paddle_python: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_", "KMP_"))}
    one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([paddle_python, "-c", PROGRAM], env={**kept, **one}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["openmp"] == [2] and found["started"] >= 1
    processor = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    helped = "GenuineIntel" not in processor and {"avx2", "fma"} <= set(processor.split())
    assert found["kernels"] == ("5" if helped else None)
