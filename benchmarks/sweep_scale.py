"""Many short runs on many slots by `runner sweep`: how long it takes against the ideal, and what the driver costs.

    python -m benchmarks.sweep_scale [--runs 10000] [--slots 16] [--sleep 1] [--dir DIR]

Each run is a scripted one (`backend: fake`) of ten steps that sleep `--sleep` seconds in all. Prints the wall time against runs x sleep /
slots, the driver's memory and processor time, how quickly a slot is filled again, and how long the finished sweep takes to open again.
Exit code 1 if a run of 10,000 misses one of the limits below.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from runner.core.importing import child_environment
from runner.store.events import RunEnded, RunStarted
from runner.store.journal import read_journal

ROOT = Path(__file__).resolve().parents[1]
SEEDS = 4
STEPS = 10
WALL_RATIO, MEMORY_MB, REOPEN_S, REFILL_S = 690 / 625, 300.0, 2.0, 0.05
_LOOK_INTERVAL_S = 0.5


@dataclass
class Driver:
    """Time and memory of `runner sweep`.

    Args:
        wall_s: from start to end.
        cpu_s: processor time of the driver itself.
        helper_cpu_s: of the process that its workers are forked from, forks included.
        rss_mb, pss_mb: most resident memory seen; PSS shares what is shared.
    """

    wall_s: float
    cpu_s: float = 0.0
    helper_cpu_s: float = 0.0
    rss_mb: float = 0.0
    pss_mb: float = 0.0


def write_sweep(folder: Path, runs: int, slots: int, sleep_s: float) -> Path:
    """Return the config and the sweep file of `runs` runs; the baseline is one of the trials."""
    config = {
        "backend": "fake",
        "max_iters": STEPS,
        "step_s": sleep_s / STEPS,
        "log_iter": STEPS,
        "parameters": {"x": 0},
        "metrics": {"bbox/AP": "0.3 + 0.0001 * parameters.x + 0.01 * noise"},
    }
    sweep = {
        "config": "config.yml",
        "design": "grid",
        "vary": {"parameters.x": list(range(1, runs // SEEDS))},
        "seeds": list(range(SEEDS)),
        "metric": {"name": "bbox/AP", "goal": "maximize"},
        "resources": {"cpus": 1, "concurrency": slots},
    }
    (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    file = folder / "sweep.yml"
    file.write_text(yaml.safe_dump(sweep), encoding="utf-8")
    return file


def drive(file: Path, folder: Path, log: Path) -> Driver:
    """Run the sweep, and watch its driver."""
    command = [sys.executable, "-P", "-m", "runner", "sweep", str(file), "--dir", str(folder)]
    environment = child_environment({"PYTHONPATH": str(ROOT)})
    started = time.monotonic()
    with open(log, "ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        watched, seen = psutil.Process(process.pid), Driver(0.0)
        while process.poll() is None:
            try:
                look(watched, seen)
            except psutil.Error:  # it has just ended
                pass
            try:
                process.wait(_LOOK_INTERVAL_S)
            except subprocess.TimeoutExpired:
                continue
    seen.wall_s = time.monotonic() - started
    if process.returncode != 0:
        raise SystemExit(f"runner sweep ended with {process.returncode}; its output is in {log}")
    return seen


def look(process: psutil.Process, seen: Driver) -> None:
    """Keep the most that was seen."""
    memory, times = process.memory_full_info(), process.cpu_times()
    seen.rss_mb, seen.pss_mb = max(seen.rss_mb, memory.rss / 1e6), max(seen.pss_mb, memory.pss / 1e6)
    seen.cpu_s = times.user + times.system
    for child in process.children():
        if "runner.launch.starters.warm_process" in child.cmdline():
            spent = child.cpu_times()
            seen.helper_cpu_s = max(seen.helper_cpu_s, spent.user + spent.system)


def refills(folder: Path, slots: int) -> list[float]:
    """Seconds from the end of a run to the start of the one that takes its place: the k-th end and the (slots + k)-th start. The workers'
    own times: what the last one does after its last word, and the next one before its first, is in it."""
    starts, ends = zip(*times(folder), strict=True)
    return [start - end for end, start in zip(sorted(ends), sorted(starts)[slots:], strict=False)]


def driver_refills(folder: Path, slots: int) -> list[float]:
    """Return the part of `refills` that is the driver's: from when it had noticed the end to when it had started the next."""
    starts = [event.time for event in read_journal(folder / "journal.jsonl", RunStarted)]
    ends = [event.time for event in read_journal(folder / "journal.jsonl", RunEnded)]
    return [start - end for end, start in zip(sorted(ends), sorted(starts)[slots:], strict=False)]


def times(folder: Path) -> Iterator[tuple[float, float]]:
    """When each worker had begun and when it said that it was done."""
    for run in sorted((folder / "runs").iterdir()):
        with open(run / "metrics.jsonl", "rb") as records:
            first = json.loads(records.readline())
        yield first["time"], json.loads((run / "status.json").read_bytes())["heartbeat"]


def quantile(values: Sequence[float], part: float) -> float:
    """Return the value that `part` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep_scale", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=10_000, metavar="N", help="default 10000; a multiple of 4")
    parser.add_argument("--slots", type=int, default=16, metavar="N", help="default 16")
    parser.add_argument("--sleep", type=float, default=1.0, metavar="S", help="seconds each run sleeps, default 1")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="where the sweep is kept; default: a folder that goes afterwards")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.dir or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        file, log = write_sweep(folder, args.runs, args.slots, args.sleep), folder / "driver.log"
        first = drive(file, folder / "sweep", log)
        gaps, own = refills(folder / "sweep", args.slots), driver_refills(folder / "sweep", args.slots)
        again = drive(file, folder / "sweep", log)
    ideal_s, late_s = args.runs * args.sleep / args.slots, quantile(gaps, 0.95)
    driver_ms, helper_ms = first.cpu_s / args.runs * 1e3, first.helper_cpu_s / args.runs * 1e3
    print(f"{args.runs} runs that sleep {args.sleep:g} s on {args.slots} slots; load average {os.getloadavg()[0]:.1f} at the end")
    print(f"wall time     {first.wall_s:9.1f} s   ideal {ideal_s:.1f} s, ratio {first.wall_s / ideal_s:.3f} (limit {WALL_RATIO:.3f})")
    print(f"slot refilled {statistics.median(gaps) * 1e3:9.0f} ms  median, {late_s * 1e3:.0f} ms p95 (limit {REFILL_S * 1e3:.0f})")
    print(f"  by the driver {statistics.median(own) * 1e3:7.0f} ms  median, {quantile(own, 0.95) * 1e3:.0f} ms p95")
    print(f"driver memory {first.rss_mb:9.0f} MB  resident, {first.pss_mb:.0f} MB proportional (limit {MEMORY_MB:.0f})")
    print(f"driver CPU    {driver_ms:9.1f} ms  a run; the process that forks {helper_ms:.1f} ms")
    print(f"opened again  {again.wall_s:9.2f} s   (limit {REOPEN_S:g}), {again.rss_mb:.0f} MB")
    kept = first.wall_s <= WALL_RATIO * ideal_s and first.rss_mb <= MEMORY_MB and again.wall_s < REOPEN_S and late_s <= REFILL_S
    return int(not kept)


if __name__ == "__main__":
    raise SystemExit(main())
