"""False alarms and detections of the rules by which a run is marked as having hardly learned (`runner.training.learning`).

    python -m benchmarks.learning FOLDER [--seeds 40] [--report]

Trains `configs/fcos_tiny.yml` for 150 steps. Healthy runs: batch 8, batch 4, batch 4 at half the rate, and batch 4 with
`initial_distance: 1`. Stuck runs: first weights with 1, 2 or 4 of the distances below zero everywhere, so that no gradient comes through
their ReLU; and the same start with `initial_distance: 1`. Records are written every 5 steps; they are judged as they are, and joined to
records of 20 steps, the default. FOLDER keeps the runs: started again it goes on. `--report` only judges what is there. 160 + 10 runs take
an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.core.importing import child_environment
from runner.results.collect import RunResult, read_run
from runner.store.records import Record
from runner.store.run_dir import RunDir, find_runs
from runner.training.learning import BOX_TERM, judge

CONFIG = "configs/fcos_tiny.yml"
STEPS = 150
EVERY = 5
DEFAULT_EVERY = 20
MIDDLE = 80
_FIXED = {"max_iters": STEPS, "log_iter": EVERY, "snapshot_iter": STEPS, "trackers": [], "sample_images": 0}
_HEALTHY: list[dict[str, Any]] = [
    {"TrainReader.batch_size": 4},
    {"TrainReader.batch_size": 4, "LearningRate.base_lr": 0.001},
    {"TrainReader.batch_size": 4, "initial_distance": 1.0},
]
_STUCK_SEEDS = (0, 1)
_FIRST_SEED = 1000


def main() -> None:
    """Train what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=40, help="of each healthy trial")
    parser.add_argument("--report", action="store_true", help="train nothing")
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    if not options.report:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder, "healthy", _HEALTHY, list(range(options.seeds)))
        starts = [_write_stuck(folder, count, start) for count, start in ((1, 0.0), (2, 0.0), (4, 0.0), (1, 1.0))]
        trials = [{"TrainReader.batch_size": 4, "pretrain_weights": str(file)} for file in starts]
        _sweep(folder, "stuck", trials, list(_STUCK_SEEDS))
    report(folder)


def report(folder: Path) -> None:
    """Print what the rules say of the runs in `folder`, a line for each trial."""
    print(f"{'runs':42}   n  AP               box loss, last tenth  marked, records of 5 | 20 steps; by step 80 5 | 20")
    for name in sorted(path.name for path in folder.iterdir() if (path / "plan.json").is_file()):
        trials: dict[int, list[RunResult]] = {}
        for run_dir in find_runs([folder / name]):
            run = read_run(run_dir)
            if run.state == "done":
                trials.setdefault(run.trial, []).append(run)
        for number, runs in sorted(trials.items()):
            records = [_trained(run) for run in runs]
            marked = [sum(_marked(one, size, upto) for one in records) for upto in (STEPS, MIDDLE) for size in (1, DEFAULT_EVERY // EVERY)]
            box = sorted(_last(one) for one in records)
            ap = sorted(run.metrics["bbox/AP"] for run in runs)
            label = f"{name} {number} {runs[0].label}"[:42]
            counts = f"{marked[0]:3} | {marked[1]:3}; {marked[2]:3} | {marked[3]:3}"
            print(f"{label:42} {len(runs):3}  {ap[0]:.3f} to {ap[-1]:.3f}   {box[0]:.3f} to {box[-1]:.3f}        {counts}")


def _sweep(folder: Path, name: str, trials: Sequence[dict[str, Any]], seeds: list[int]) -> None:
    """Run a sweep of the trials into FOLDER/NAME, or go on with it."""
    spec = {"config": str(Path(CONFIG).resolve()), "overrides": _FIXED, "design": "list", "trials": list(trials), "seeds": seeds}
    file = folder / f"{name}.yml"
    file.write_text(json.dumps(spec), encoding="utf-8")
    subprocess.run([sys.executable, "-P", "-m", "runner", "sweep", file, "--dir", folder / name], env=child_environment(), check=True)


def _write_stuck(folder: Path, count: int, start: float) -> Path:
    """Write first weights whose first `count` distances are below zero wherever the features are not, or near `start` strides."""
    import torch  # noqa: PLC0415 - not for --report

    from runner.backends.torch.models.fcos.network import build  # noqa: PLC0415
    from runner.resolve import resolve  # noqa: PLC0415

    torch.manual_seed(_FIRST_SEED)
    model = build(replace(resolve(CONFIG).config, initial_distance=start))
    with torch.no_grad():
        weight = model.fcos_head.fcos_head_reg.weight[:count]
        weight.copy_(-weight.abs() * (0.3 if start else 1.0))
    file = folder / f"stuck{count}_start{start:g}.pt"
    torch.save(model.state_dict(), file)
    return file


def _trained(run: RunResult) -> list[Record]:
    return [record for record in RunDir(run.path).records() if BOX_TERM in record.values]


def _joined(records: Sequence[Record], size: int) -> Iterator[Record]:
    """Yield records of `size` times as many steps: the means."""
    for start in range(0, len(records), size):
        some = records[start : start + size]
        yield replace(some[-1], values={tag: math.fsum(one.values[tag] for one in some) / len(some) for tag in some[0].values})


def _marked(records: Sequence[Record], size: int, upto: int) -> bool:
    return bool(judge([record for record in _joined(records, size) if record.step <= upto], STEPS))


def _last(records: Sequence[Record]) -> float:
    found = [record.values[BOX_TERM] for record in records if record.step > 0.9 * STEPS]
    return math.fsum(found) / len(found)


if __name__ == "__main__":
    main()
