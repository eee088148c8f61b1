"""Time from `submit` to a task's first line: spawned, forked from a warm parent, and by a process standing by.

    python -m benchmarks.start [--backend torch|paddle] [--python FILE] [--rounds N]

The task imports what a worker of the backend needs and then writes the time. Each round starts it once each way, in turn, so that what
else the machine does meets them all alike; a process that stands by has had the time to import, and imports while nothing is timed. Prints
a table and, last, the ratios of the medians with a 95 % bootstrap interval.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.startup import ratio_interval
from runner.launch.base import Task, Warm
from runner.launch.local import LocalLauncher

ROOT = Path(__file__).resolve().parents[1]
WAYS: tuple[Warm, ...] = ("no", "fork", "standby")
NAMES = {"no": "spawned", "fork": "forked", "standby": "standing by"}
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_WARM_UP_S = 60.0


class Bench:
    """Starts tasks of one backend, one after the other."""

    def __init__(self, folder: Path, python: str, modules: tuple[str, ...]) -> None:
        self._folder, self._python, self._modules = folder, python, modules
        imports = "\n".join(f"import {module}" for module in modules)
        (folder / "begins.py").write_text(f"import time\n{imports}\nprint(time.time(), flush=True)\n")
        self._env = {"PYTHONPATH": f"{folder}:{ROOT}", **_THREADS}
        self.launcher = LocalLauncher(1)

    def seconds(self, warm: Warm) -> float:
        """From `submit` to the task's first line."""
        log = self._folder / "log"
        log.write_text("")
        started = time.time()
        self.launcher.submit(Task("one", [self._python, "-P", "-m", "begins"], self._folder, log, self._env, self._modules, warm))
        while not (ended := self.launcher.poll(60)):
            pass
        text = log.read_text().splitlines()
        if ended[0].returncode or "started in a new process" in text[0]:
            raise SystemExit(f"{NAMES[warm]}: {ended[0]}\n" + "\n".join(text))
        return float(text[-1]) - started

    def settle(self, warm: Warm, enough_s: float) -> None:
        """Start tasks until one is quicker than `enough_s`: somebody is warm then."""
        deadline = time.monotonic() + _WARM_UP_S
        while self.seconds(warm) > enough_s and time.monotonic() < deadline:
            time.sleep(enough_s)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--backend", choices=["torch", "paddle"], default="torch")
    parser.add_argument("--python", default=sys.executable, metavar="FILE", help="the backend's interpreter; default this one")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="default 10")
    args = parser.parse_args()
    modules = (f"runner.backends.{args.backend}.preload", "runner.worker.main")
    times: dict[Warm, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), args.python, modules)
        try:
            bench.seconds("no")  # the file system's cache, bytecode
            whole_s = bench.seconds("no")
            for way in WAYS[1:]:
                bench.settle(way, whole_s / 3)
            for _ in range(args.rounds):
                for way in WAYS:
                    if way == "standby":
                        time.sleep(2 * whole_s)  # the next one imports after its forerunner was used
                    times[way].append(bench.seconds(way))
                time.sleep(2 * whole_s)
        finally:
            bench.launcher.close()
    print(f"{'start':14} {'median':>10} {'fastest':>10} {'slowest':>10} {'ratio':>7}")
    spawned = statistics.median(times["no"])
    for way, measured in times.items():
        median = statistics.median(measured)
        print(f"{NAMES[way]:14} {median:8.3f} s {min(measured):8.3f} s {max(measured):8.3f} s {spawned / median:7.1f}")
    for way in WAYS[1:]:
        low, high = ratio_interval(times["no"], times[way])
        ratio = spawned / statistics.median(times[way])
        print(f"{NAMES[way]}: {ratio:.0f} times as quick as spawned (95 % interval {low:.0f} to {high:.0f}, {args.rounds} rounds)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
