"""Overhead of a trial: `runner sweep`, Ray Tune, and a fresh `python train.py` per trial, on the same cores.

    python -m benchmarks.trial_overhead [--trials 20] [--slots 2] [--rounds 3] [--ray-python FILE]

The work is the same no-op for all: ten steps that do nothing, and one number that is reported. Time counts from the first trial's first
step to the last one's end, over the number of trials, `--slots` at a time, each pinned to as many cores; what comes before the first
trial is printed beside it. Ours runs in processes of its own (a process group, a log, records, an evaluation, a status) that have torch and
torchvision imported. train.py imports torch and torchvision, as a training script must. Ray Tune is spared it: its trials import nothing.
By default it takes an actor, that is a process, for each trial; where actors are reused a trial is a call in a process that others have
used, which is shown and not compared. Rounds are interleaved; in each, ours runs five times `--trials`, Ray `--trials`, train.py a quarter.

Ray lives in an environment of its own: `--ray-python` names its interpreter; without it one is made (pip install "ray[tune]").
Exit code 1 if ours takes more than 0.10 s, or not 15 times less than Ray Tune, or not 50 times less than train.py.
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
import venv
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.startup import ratio_interval
from benchmarks.sweep_scale import times
from runner.core.importing import child_environment

ROOT = Path(__file__).resolve().parents[1]
STEPS = 10
MOST_S, LESS_THAN_RAY, LESS_THAN_FRESH = 0.10, 15.0, 50.0

_SWEEP = """
import sys
from runner.backends.fake.backend import FakeBackend
from runner.cli.main import main
FakeBackend.preload = "benchmarks.torch_and_fake"  # the framework is there, as for a real run
sys.exit(main(sys.argv[1:]))
"""

_TRAIN = f"""
import time
started = time.time()
import json, sys, torch, torchvision
for step in range({STEPS}):
    pass
with open(sys.argv[1], "w") as file:
    json.dump([started, time.time(), {{"AP": 0.5}}], file)
"""

_RAY = f"""
import json, sys, time
import ray
from ray import tune

def train(config):
    started = time.time()
    for step in range({STEPS}):
        pass
    tune.report({{"AP": 0.5, "started": started, "ended": time.time()}})

trials, slots, reused, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "reused", sys.argv[4]
ray.init(num_cpus=slots, include_dashboard=False, log_to_driver=False)
tuner = tune.Tuner(
    tune.with_resources(train, {{"cpu": 1}}),
    param_space={{"x": tune.grid_search(list(range(trials)))}},
    tune_config=tune.TuneConfig(metric="AP", mode="max", reuse_actors=reused),
    run_config=tune.RunConfig(storage_path=folder, verbose=0),
)
results = tuner.fit()
assert len(results) == trials and not results.errors
print(json.dumps([[r.metrics["started"], r.metrics["ended"]] for r in results]))
"""


@dataclass(frozen=True)
class Took:
    """One round of one way.

    Args:
        trial_s: seconds a trial; before_s: until the first trial began.
    """

    trial_s: float
    before_s: float


def took(began: float, spans: Sequence[Sequence[float]]) -> Took:
    """From when the trials started and ended, `began` being when the command was."""
    first, last = min(span[0] for span in spans), max(span[1] for span in spans)
    return Took((last - first) / len(spans), first - began)


def ours(folder: Path, trials: int, slots: int) -> Took:
    """`runner sweep` of scripted runs."""
    config = {"backend": "fake", "max_iters": STEPS, "log_iter": STEPS, "parameters": {"x": 0}, "metrics": {"bbox/AP": "0.5"}}
    (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    sweep = {"config": "config.yml", "design": "grid", "vary": {"parameters.x": list(range(1, trials))}, "seeds": [0]}
    sweep |= {"metric": {"name": "bbox/AP", "goal": "maximize"}, "resources": {"cpus": 1, "concurrency": slots}}
    (folder / "sweep.yml").write_text(yaml.safe_dump(sweep), encoding="utf-8")
    began = time.time()
    run([sys.executable, "-P", "-c", _SWEEP, "sweep", str(folder / "sweep.yml"), "--dir", str(folder / "sweep")], folder)
    spans = list(times(folder / "sweep"))
    assert len(spans) == trials
    return took(began, spans)


def fresh(folder: Path, trials: int, slots: int) -> Took:
    """Return a new interpreter a trial."""
    (folder / "train.py").write_text(_TRAIN, encoding="utf-8")
    began = time.time()
    files = [folder / f"{number}.json" for number in range(trials)]
    with ThreadPoolExecutor(slots) as pool:
        list(pool.map(lambda file: run([sys.executable, "-P", "train.py", str(file)], folder), files))
    spans = [json.loads(file.read_bytes())[:2] for file in files]
    return took(began, spans)


def ray_tune(python: Path, how: str) -> Callable[[Path, int, int], Took]:
    """Ray Tune with an "own" actor for each trial, or with "reused" ones."""

    def measure(folder: Path, trials: int, slots: int) -> Took:
        (folder / "tune.py").write_text(_RAY, encoding="utf-8")
        began = time.time()
        output = run([str(python), "-P", "tune.py", str(trials), str(slots), how, str(folder / "results")], folder)
        return took(began, json.loads(output.splitlines()[-1]))

    return measure


def run(command: Sequence[str], folder: Path) -> str:
    """Run a command in `folder`, one thread a library; what it printed.

    Raises:
        SystemExit: it failed.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = child_environment(threads, {"PYTHONPATH": str(ROOT), "RAY_AIR_NEW_OUTPUT": "0", "RAY_USAGE_STATS_ENABLED": "0"})
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} {command[1]} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def environment_with_ray(folder: Path) -> Path:
    """Return a virtual environment with Ray Tune; its interpreter."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([str(python), "-I", "-m", "pip", "install", "--quiet", "ray[tune]"], env=child_environment(), check=True)
    return python


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trial_overhead", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="of Ray Tune in a round, default 20")
    parser.add_argument("--slots", type=int, default=2, metavar="N", help="trials at a time, and cores; default 2")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default 3")
    parser.add_argument("--ray-python", type=Path, metavar="FILE", help="an interpreter that has ray[tune]")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.slots])
    with tempfile.TemporaryDirectory() as scratch:
        ray_python = args.ray_python or environment_with_ray(Path(scratch) / "ray")
        ways: dict[str, tuple[Callable[[Path, int, int], Took], int]] = {
            "ours": (ours, 5 * args.trials),
            "Ray Tune": (ray_tune(ray_python, "own"), args.trials),
            "(Ray Tune, actors reused)": (ray_tune(ray_python, "reused"), args.trials),
            "python train.py": (fresh, max(args.slots, args.trials // 4)),
        }
        measured: dict[str, list[Took]] = {name: [] for name in ways}
        for number in range(args.rounds):
            for place, (name, (measure, trials)) in enumerate(ways.items()):
                folder = Path(scratch) / f"{number}-{place}"
                folder.mkdir()
                measured[name].append(measure(folder, trials, args.slots))
                print(f"round {number + 1}: {name}: {measured[name][-1].trial_s:.3f} s a trial", file=sys.stderr)
    print(f"{args.rounds} rounds, {args.slots} trials at a time on {args.slots} cores; load average {os.getloadavg()[0]:.1f} at the end")
    print(f"{'':28} {'a trial':>9} {'before the first':>17} {'ratio':>7}  95 % interval")
    medians: dict[str, float] = {}
    bare = [one.trial_s for one in measured["ours"]]
    for name, rounds in measured.items():
        medians[name] = statistics.median(one.trial_s for one in rounds)
        low, high = ratio_interval([one.trial_s for one in rounds], bare)
        before = statistics.median(one.before_s for one in rounds)
        print(f"{name:28} {medians[name]:7.3f} s {before:15.1f} s {medians[name] / medians['ours']:7.1f}  {low:.1f} to {high:.1f}")
    kept = medians["ours"] <= MOST_S and medians["Ray Tune"] >= LESS_THAN_RAY * medians["ours"]
    return int(not (kept and medians["python train.py"] >= LESS_THAN_FRESH * medians["ours"]))


if __name__ == "__main__":
    raise SystemExit(main())
