"""Makes run directories as a trained run leaves them, without training."""

from __future__ import annotations

import math
import os
import random
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.store.media import MediaWriter
from runner.store.records import Record, RecordWriter
from runner.store.run_dir import Identity, RunDir, State, Status

START_TIME = 1_780_000_000.0


def make_run_dir(
    path: Path,
    *,
    seed: int = 1,
    overrides: Mapping[str, Any] | None = None,
    steps: int = 200,
    resumed_at: int | None = 100,
    classes: Sequence[str] = ("short", "mouse bite"),
    samples: int = 2,
    state: State = "done",
) -> RunDir:
    """A run of `steps` steps: a record every 10 steps, an evaluation and `samples` pictures every 50.

    Args:
        path: the run directory; made with its parents.
        seed: also the seed of the numbers.
        overrides: as in run.json.
        steps: of the whole run.
        resumed_at: where a second attempt went on, after the first had got 40 steps further; None: one attempt.
        classes: each gets ``bbox/AP/<class>``.
        samples: pictures an evaluation.
        state: as in status.json.
    """
    run = RunDir(path)
    path.mkdir(parents=True)
    numbers = random.Random(seed)
    given = dict(overrides or {})
    run.write_identity(Identity(path.name, path.parent.parent.name, 0, seed, given, f"key-{path}"))
    writer, media = RecordWriter(run.metrics), MediaWriter(path)
    if resumed_at is not None:
        _attempt(writer, media, numbers, 1, range(10, min(resumed_at + 40, steps) + 1, 10), classes, samples)
        writer.write(Record(2, resumed_at, resumed_at / 100, START_TIME + 900, resumed=True))
        media.resume(resumed_at)
    first = 10 if resumed_at is None else resumed_at + 10
    _attempt(writer, media, numbers, 1 if resumed_at is None else 2, range(first, steps + 1, 10), classes, samples)
    writer.close()
    media.close()
    attempts = 1 if resumed_at is None else 2
    run.write_status(Status(state=state, attempt=attempts, step=steps, steps=steps, phase="ended"))
    return run


def sample(run: RunDir, step: int, number: int) -> Path:
    """Return the file of a picture of `make_run_dir`."""
    (medium,) = [medium for medium in run.media() if (medium.step, medium.tag) == (step, f"samples/{number}")]
    return run.path / medium.file


def png_bytes(width: int, height: int, grey: int) -> bytes:
    """A whole PNG of one grey level (8 bit)."""
    rows = b"".join(b"\0" + bytes([grey]) * width for _ in range(height))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data


def _attempt(
    writer: RecordWriter,
    media: MediaWriter,
    numbers: random.Random,
    attempt: int,
    steps: range,
    classes: Sequence[str],
    samples: int,
) -> None:
    for step in steps:
        time = START_TIME + 3.0 * step + 900.0 * (attempt - 1)
        loss = 2.0 * math.exp(-step / 120) + 0.05 * numbers.random()
        values = {"train/loss": loss, "train/lr": 0.01, "train/images_per_s": 12.5, "resource/memory_gib": 1.25}
        writer.write(Record(attempt, step, step / 100, time, values))
        if step % 50 == 0:
            ap = 0.5 * (1 - math.exp(-step / 90)) + 0.02 * numbers.random()
            metrics = {"bbox/AP": ap, "bbox/AP50": 1.6 * ap, **{f"bbox/AP/{name}": ap for name in classes}}
            writer.write(Record(attempt, step, step / 100, time + 1, metrics, kind="evaluation"))
            for number in range(samples):
                data = png_bytes(48, 32, (step + 7 * number) % 256)
                png = media.add("image", f"samples/{number}", data, suffix=".png", step=step, epoch=step / 100)
                os.utime(png, (time + 2, time + 2))
