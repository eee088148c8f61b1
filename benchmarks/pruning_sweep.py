"""A part of the recorded table through `runner sweep`: real processes, whose pruned runs stop when they are told to and not before."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.pruning_table import BASELINE, EPOCHS, Table
from runner.core.importing import child_environment
from runner.sweep.session_results import read_search

EVERY = 4
EPOCH_S = 0.25
SLOTS = 2

_CONFIG = """\
backend: fake
max_iters: {epochs}
step_s: {epoch_s}
snapshot_iter: 1
eval_at_snapshot: true
metrics: {{bbox/AP: curve}}
table: {{file: curves.csv, curve: {baseline}}}
"""
_SWEEP = """\
config: config.yml
design: optuna
space: {{table.curve: [{curves}]}}
sampler: {{name: GridSampler}}
pruner: {{name: SuccessiveHalvingPruner, reduction_factor: 3}}
confirm_seeds: 0
resources: {{concurrency: {slots}}}
"""


def run_sweep(table: Table) -> None:
    """Sweep over every fourth curve, the best one and the baseline's among them, and print what came of it."""
    points = list(table.curves)
    chosen = sorted({points.index(table.best), points.index(table.point(BASELINE)), *range(0, len(points), EVERY)})
    names = {index: f"curve_{index}" for index in chosen}
    with tempfile.TemporaryDirectory() as folder:
        rows = [",".join(["step", *names.values()])]
        rows += [",".join([str(epoch + 1), *(str(table.curves[points[i]][epoch]) for i in chosen)]) for epoch in range(EPOCHS)]
        Path(folder, "curves.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        baseline = names[points.index(table.point(BASELINE))]
        Path(folder, "config.yml").write_text(_CONFIG.format(epochs=EPOCHS, epoch_s=EPOCH_S, baseline=baseline), encoding="utf-8")
        Path(folder, "sweep.yml").write_text(_SWEEP.format(curves=", ".join(names.values()), slots=SLOTS), encoding="utf-8")
        start = time.perf_counter()
        command = [sys.executable, "-P", "-m", "runner", "sweep", "sweep.yml", "--dir", "done"]
        subprocess.run(command, cwd=folder, env=child_environment(), check=True, capture_output=True)
        seconds = time.perf_counter() - start
        report = read_search(Path(folder, "done"))
        results, audit = report.results, report.audit
        winner = results.winner
        assert audit is not None and winner is not None
        best = winner.parameters.get("table.curve", baseline) == names[points.index(table.best)]
        share = sum(trial.steps_done for trial in results.trials) / (len(results.trials) * EPOCHS)
        print(
            f"runner sweep, {len(results.trials)} trials on {SLOTS} slots, {EPOCH_S:g} s an epoch: "
            f"best trial {'found' if best else 'not found'}, epochs {share:.3f} of all, {audit.finished} trials finished, {seconds:.0f} s "
            f"(in full at least {len(results.trials) * EPOCHS * EPOCH_S / SLOTS:.0f} s)"
        )
        print("\n".join(f"    {note}" for note in report.audit_notes))
