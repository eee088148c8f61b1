"""AP of trainings in bfloat16 beside the same trainings in single precision: is it lower by less than 0.02?

    python -m benchmarks.bf16_ap FOLDER [--seeds 12] [--steps 150] [--report]

Trains `configs/fcos_tiny.yml` with the same seeds in both number formats, and prints the mean difference of the last AP with its
90 % interval (Student's t on the differences of runs with one seed). bfloat16 is not inferior if the lower bound is above −0.02.

The number of seeds is chosen before anything is trained. Runs of 150 steps have AP 0.160 ± 0.025 over seeds, and runs of one seed correlate
by 0.4 (LOG.md, 2026-11-28), so a difference has a standard deviation of about 0.027. With 12 seeds the interval is ± 0.014 wide, and where
bfloat16 costs nothing it shows that in about 3 of 4 studies (`power`, printed first). A pair takes two to three minutes on two cores.
FOLDER keeps the runs: started again it goes on; `--report` only judges what is there.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from runner.core.importing import child_environment
from runner.results.collect import RunResult, read_run
from runner.stats.intervals import student_t_quantile
from runner.store.run_dir import find_runs

CONFIG = "configs/fcos_tiny.yml"
MARGIN = 0.02
LEVEL = 0.9
SPREAD, CORRELATION = 0.025, 0.4
_SIMULATIONS = 4000


def main() -> int:
    """Train what is not there yet, and judge; 0 if bfloat16 is shown to be not inferior."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=12, help="of each number format")
    parser.add_argument("--steps", type=int, default=150, help="of each run")
    parser.add_argument("--report", action="store_true", help="train nothing")
    options = parser.parse_args()
    print(f"power with {options.seeds} seeds, if bfloat16 costs nothing: {power(options.seeds):.2f}")
    if not options.report:
        train(options.folder.resolve(), options.seeds, options.steps)
    return report(options.folder.resolve() / "sweep")


def train(folder: Path, seeds: int, steps: int) -> None:
    """Run the sweep: the baseline in single precision, one trial in bfloat16."""
    folder.mkdir(parents=True, exist_ok=True)
    fixed = {"max_iters": steps, "snapshot_iter": steps, "amp_dtype": "bfloat16", "trackers": [], "sample_images": 0}
    spec = {"config": str(Path(CONFIG).resolve()), "overrides": fixed, "seeds": list(range(seeds)), "vary": {"amp": [True]}}
    spec["resources"] = {"cpus": 2}
    file = folder / "bf16.yml"
    file.write_text(json.dumps(spec), encoding="utf-8")  # JSON is YAML
    command = [sys.executable, "-P", "-m", "runner", "sweep", str(file), "--dir", str(folder / "sweep")]
    subprocess.run(command, env=child_environment(), check=True)


def report(sweep: Path) -> int:
    """Print the differences and their interval."""
    formats: dict[bool, dict[int, RunResult]] = {False: {}, True: {}}
    for run_dir in find_runs([sweep]):
        run = read_run(run_dir)
        if run.state == "done":
            formats[bool(run.config["amp"])][run.seed] = run
    seeds = sorted(formats[False].keys() & formats[True].keys())
    for seed in seeds:
        single, half = formats[False][seed], formats[True][seed]
        speed = (half.images_per_s or math.nan) / (single.images_per_s or math.nan)
        print(
            f"seed {seed}: AP {_ap(single):.3f} in single precision, {_ap(half):.3f} in bfloat16; {speed:.2f} times the images per second"
        )
    if len(seeds) < 2:
        print("two seeds at least are needed")
        return 1
    differences = [_ap(formats[True][seed]) - _ap(formats[False][seed]) for seed in seeds]
    mean, low, high = interval(differences)
    shown = "not inferior" if low > -MARGIN else "not shown to be not inferior"
    print(
        f"AP, bfloat16 − single precision: {mean:+.3f}, {100 * LEVEL:.0f} % interval [{low:+.3f}, {high:+.3f}], {len(seeds)} seeds: {shown}"
    )
    return 0 if low > -MARGIN else 1


def interval(differences: list[float]) -> tuple[float, float, float]:
    """Return (mean, lower, upper) of the mean's interval at `LEVEL`."""
    mean = statistics.fmean(differences)
    half = student_t_quantile((1 + LEVEL) / 2, len(differences) - 1) * statistics.stdev(differences) / math.sqrt(len(differences))
    return mean, mean - half, mean + half


def power(seeds: int) -> float:
    """Return the share of studies that show non-inferiority where there is no difference, by simulation."""
    spread = SPREAD * math.sqrt(2 * (1 - CORRELATION))
    drawn: Any = np.random.default_rng(0).normal(0.0, spread, (_SIMULATIONS, seeds))
    return sum(interval(row)[1] > -MARGIN for row in drawn.tolist()) / _SIMULATIONS


def _ap(run: RunResult) -> float:
    return run.metrics["bbox/AP"]


if __name__ == "__main__":
    sys.exit(main())
