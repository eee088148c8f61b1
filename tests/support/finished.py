"""Makes run directories of a sweep with given numbers, without training: for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.core.files import atomic_write_json
from runner.search.base import Trial, run_name
from runner.store.records import Kind, Record, RecordWriter, encode_number
from runner.store.run_dir import Identity, RunDir, State, Status

START = 1_780_000_000.0

CONFIG = """\
architecture: FCOS
max_iters: {max_iters}
seed: {seed}
save_dir: runs
TrainReader:
  batch_size: {batch_size}
  sample_transforms:
    - Decode: {{}}
    - Resize: {{target_size: [128, 128], keep_ratio: false}}
LearningRate:
  base_lr: {base_lr}
  schedulers:
    - !CosineDecay {{max_iters: {max_iters}}}
TrainDataset: !COCODataSet {{dataset_dir: data/boards, image_dir: images, anno_path: train.json}}
EvalDataset: !COCODataSet {{dataset_dir: data/boards, image_dir: images, anno_path: {evaluated_on}}}
"""


def make_run(
    sweep: Path,
    trial: int = 0,
    seed: int = 0,
    *,
    label: str = "baseline",
    ap: float | None = 0.4,
    metrics: Mapping[str, float] | None = None,
    state: State = "done",
    reason: str | None = None,
    steps: int = 300,
    step: int | None = None,
    seconds: float = 60.0,
    overrides: Mapping[str, Any] | None = None,
    batch_size: int = 8,
    max_iters: int = 300,
    base_lr: float = 0.002,
    evaluated_on: str = "val.json",
    facts: Mapping[str, Any] | None = None,
    evaluations: Sequence[tuple[int, float]] = (),
    name: str | None = None,
    box_loss: tuple[float, float] | None = None,
) -> RunDir:
    """A run of `sweep` with the given final ``bbox/AP`` (None: no evaluation); ``bbox/AP50`` is 0.3 above it.

    Args:
        metrics: more of the final evaluation, or other values.
        evaluations: (step, AP) before the last one.
        seconds: time from the start to the last record.
        box_loss: in the first record and in the others; None: there is none.
    """
    run = RunDir(sweep / "runs" / (name or run_name(Trial(trial, {}, label), seed)))
    run.path.mkdir(parents=True)
    run.write_identity(Identity(run.name, sweep.name, trial, seed, overrides or {}, f"{trial}-{seed}", facts or {}))
    values = {"max_iters": max_iters, "seed": seed, "batch_size": batch_size, "base_lr": base_lr}
    run.config.write_text(CONFIG.format(**values, evaluated_on=evaluated_on), encoding="utf-8")
    if state == "pending":
        return run
    last = steps if step is None else step
    final = {} if ap is None else {"bbox/AP": ap, "bbox/AP50": ap + 0.3, **(metrics or {})}
    _write_records(run, last, seconds, evaluations, final if state == "done" else {}, box_loss)
    if state == "done" and final:
        atomic_write_json(run.evaluation, {"metrics": {tag: encode_number(value) for tag, value in final.items()}})
    status = Status(state=state, reason=reason, attempt=1, step=last, steps=steps, heartbeat=START + seconds, phase="ended")
    run.write_status(status)
    return run


def _write_records(
    run: RunDir,
    last: int,
    seconds: float,
    evaluations: Sequence[tuple[int, float]],
    final: Mapping[str, float],
    box_loss: tuple[float, float] | None,
) -> None:
    writer = RecordWriter(run.metrics)
    writer.write(Record(1, 0, 0.0, START, resumed=True))
    events: list[tuple[int, Kind, Mapping[str, float]]] = [(step, "evaluation", {"bbox/AP": value}) for step, value in evaluations]
    for step in range(20, last + 1, 20):
        box = {} if box_loss is None else {"train/loss_box": box_loss[step > 20]}
        training = {
            **box,
            "train/loss": 100 / step,
            "train/images_per_s": 40.0 + step % 3,
            "resource/memory_gib": 1.0 + step / 1000,
        }
        events.append((step, "train", training))
    for step, kind, values in sorted(events, key=lambda event: event[0]):
        writer.write(Record(1, step, step / 50, START + seconds * step / max(1, last), values, kind=kind))
    if final:
        writer.write(Record(1, last, last / 50, START + seconds, final, kind="evaluation"))
    writer.close()
