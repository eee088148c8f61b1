"""Duration of `runner --help` against a bare `python -c pass`: at most 10 times as long.

    python -m benchmarks.startup [--rounds N]

Each round runs every command once, in turn, so that what else the machine does meets them all alike. Prints a table and,
last, the ratio of the medians with a 95 % bootstrap interval.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from runner.core.importing import child_environment

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 10.0
BARE = "python -c pass"
HELP = "runner --help"
COMMANDS: dict[str, list[str]] = {
    BARE: ["-c", "pass"],
    "python -c 'import argparse'": ["-c", "import argparse"],
    HELP: ["-m", "runner", "--help"],
    "runner train --help": ["-m", "runner", "train", "--help"],
    "runner config check": ["-m", "runner", "config", "check", "-c", "configs/fcos_tiny.yml"],
}


def seconds(arguments: Sequence[str]) -> float:
    """Wall time of one command, from its start to its end."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=ROOT,
        env=child_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started


def ratio_interval(times: Sequence[float], bare: Sequence[float], draws: int = 2000) -> tuple[float, float]:
    """95 % bootstrap interval of the ratio of two medians; rounds are drawn, so that what ran together stays together."""
    numbers = random.Random(0)
    rounds = range(len(bare))
    ratios = []
    for _ in range(draws):
        drawn = numbers.choices(rounds, k=len(bare))
        ratios.append(statistics.median(times[one] for one in drawn) / statistics.median(bare[one] for one in drawn))
    ratios.sort()
    return ratios[int(0.025 * draws)], ratios[int(0.975 * draws)]


def main() -> int:
    """Measure and print; 0 if the ratio is within the limit, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="default 20")
    rounds = parser.parse_args().rounds
    for arguments in COMMANDS.values():  # caches of the file system and of bytecode
        seconds(arguments)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    bare = statistics.median(times[BARE])
    print(f"{'command':32} {'median':>10} {'fastest':>10} {'ratio':>7}")
    for name, measured in times.items():
        median = statistics.median(measured)
        print(f"{name:32} {1000 * median:7.0f} ms {1000 * min(measured):7.0f} ms {median / bare:7.1f}")
    ratio = statistics.median(times[HELP]) / bare
    low, high = ratio_interval(times[HELP], times[BARE])
    interval = f"95 % interval {low:.1f} to {high:.1f}, {rounds} rounds"
    print(f"\n{HELP} takes {ratio:.1f} times as long as {BARE} ({interval}); the limit is {LIMIT:g}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
