"""Makes sweep directories of thousands of finished runs in the formats of the fake backend, without training: for the page's tests and
benchmarks."""

from __future__ import annotations

import json
import math
import random
from dataclasses import asdict
from pathlib import Path

import yaml

from runner.store.records import Record
from runner.store.run_dir import Identity, RunDir, Status

START = 1_780_000_000.0
EVALUATIONS = 12
BASELINE_LR = 0.0205  # no other trial's
CLASSES = ("missing_hole", "mouse_bite", "open_circuit", "short", "spur", "spurious_copper")


def make_sweep(folder: Path, trials: int, seeds: int = 5, *, records: int = 192, config_lines: int = 148, name: str = "sweep") -> Path:
    """Make a grid over ``parameters.lr`` with its plan.json, all runs done; return the sweep's directory.

    Args:
        records: per run, `EVALUATIONS` of them evaluations.
        config_lines: length of config.yml, about.
    """
    sweep = folder / name
    (sweep / "runs").mkdir(parents=True)
    config = {
        "backend": "fake",
        "max_iters": 10 * records,
        "parameters": {"lr": BASELINE_LR},
        "metrics": {"bbox/AP": "0.4 + 0.01 * noise"},
        "more": {f"section_{index}": {f"key_{key}": index * key for key in range(9)} for index in range(config_lines // 10)},
    }
    planned = []
    for trial in range(trials):
        label = "baseline" if trial == 0 else f"lr={trial / 1000:g}"
        overrides = {} if trial == 0 else {"parameters.lr": trial / 1000}
        text = yaml.dump(config | {"parameters": {"lr": overrides.get("parameters.lr", BASELINE_LR)}}, Dumper=yaml.CSafeDumper)
        for seed in range(seeds):
            run = f"{trial:04}-{label}-s{seed}"
            key = f"key-{trial}-{seed}"
            planned.append({"id": run, "trial": trial, "label": label, "seed": seed, "key": key, "overrides": overrides})
            identity = Identity(
                run, name, trial, seed, overrides, key, facts=_FACTS, label=label, varied=["parameters.lr"],
                trial_keys=["backend", "max_iters", "metrics", "parameters.lr", *(f"more.section_{index}" for index in range(40))],
            )  # fmt: skip
            _write_run(sweep / "runs" / run, identity, text, records)
    spec = {"design": "grid", "seeds": list(range(seeds)), "metric": {"name": "bbox/AP", "goal": "maximize"}}
    (sweep / "plan.json").write_text(json.dumps({"spec": spec, "warnings": [], "runs": planned}), encoding="utf-8")
    return sweep


_FACTS = {"created": "2026-11-29T06:09:03+0000", "config_file": "config.yml", "host": "vm", "python": "3.11.7", "cores": 2, "gpus": []}


def _write_run(path: Path, identity: Identity, config: str, records: int) -> None:
    run, numbers = RunDir(path), random.Random(f"{identity.trial} {identity.seed}")
    path.mkdir()
    run.identity_file.write_text(json.dumps(asdict(identity), indent=2) + "\n", encoding="utf-8")
    run.config.write_text(config, encoding="utf-8")
    lines, metrics, every = [Record(1, 0, 0.0, START, resumed=True).to_line()], {}, records // EVALUATIONS
    for index in range(1, records):
        step, time = 10 * index, START + 3.0 * index
        if index % every == 0:
            ap = 0.4 * (1 - math.exp(-3 * index / records)) + 0.01 * numbers.random()
            metrics = {"bbox/AP": ap, "bbox/AP50": 1.6 * ap, **{f"bbox/AP/{name}": ap * numbers.random() for name in CLASSES}}
            lines.append(Record(1, step, index / 16, time, metrics, kind="evaluation").to_line())
        else:
            values = {"train/loss": 2 * math.exp(-index / 60) + 0.05 * numbers.random(), "train/lr": 0.01, "train/images_per_s": 30.0}
            lines.append(Record(1, step, index / 16, time, {**values, "resource/memory_gib": 1.25}).to_line())
    run.metrics.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run.evaluation.write_text(json.dumps({"step": 10 * records, "classes": list(CLASSES), "metrics": metrics}), encoding="utf-8")
    status = Status("done", None, 1, 10 * records, 10 * records, records / 16, START + 3.0 * records, phase="ended")
    run.status_file.write_text(json.dumps(asdict(status)), encoding="utf-8")
