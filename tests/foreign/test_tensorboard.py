"""TensorBoard's event files, as their own writers write them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from support.logs import HEAD, START, field, tensorboard_record, write_tensorboard

from runner.foreign.framing import read_log
from runner.foreign.scalars import LogValues
from runner.foreign.tensorboard import TensorBoardLog, masked_crc32c


def read(path: Path) -> LogValues:
    return read_log(path, TensorBoardLog())


def points(values: LogValues) -> list[tuple[str, int, float]]:
    """(tag, step, value) in the order of the file."""
    names = list(values.tags)
    return [(names[tag], step, value) for tag, step, value in zip(values.tag, values.step, values.value, strict=True)]


def test_the_checksum_is_that_of_the_record_format() -> None:
    assert masked_crc32c(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF
    record_writer = pytest.importorskip("tensorboard.summary.writer.record_writer")
    assert masked_crc32c(b"some bytes") == record_writer.masked_crc32c(b"some bytes")


def test_what_torch_writes_is_read(tmp_path: Path) -> None:
    writer_module = pytest.importorskip("torch.utils.tensorboard")
    writer = writer_module.SummaryWriter(str(tmp_path))
    for step in range(5):
        writer.add_scalar("train/loss", 1 / (step + 1), step, walltime=START + step)
        writer.add_scalar("new style", float(step), step, new_style=True, double_precision=step % 2 == 1, walltime=START + step)
    writer.add_scalar("nan", math.nan, 7)
    writer.add_scalar("inf", -math.inf, 7)
    writer.add_text("note", "two\nlines", 0)
    writer.add_histogram("weights", np.arange(5.0), 0)
    writer.add_hparams({"lr": 0.1, "opt": "sgd", "amp": True}, {"hparam/ap": 0.5}, run_name=".")
    writer.close()
    found: list[tuple[str, int, float]] = []
    settings: dict[str, object] = {}
    for path in sorted(tmp_path.glob("events*")):
        values = read(path)
        assert not values.lost
        found += points(values)
        settings |= values.settings
    assert [value for tag, _, value in found if tag == "train/loss"] == pytest.approx([1 / (step + 1) for step in range(5)])
    assert [(step, value) for tag, step, value in found if tag == "new style"] == [(step, float(step)) for step in range(5)]
    (nan,), (inf,) = ([value for tag, _, value in found if tag == name] for name in ("nan", "inf"))
    assert math.isnan(nan) and inf == -math.inf
    assert ("hparam/ap", 0, 0.5) in found
    assert settings["lr"] == 0.1 and settings["opt"] == "sgd" and settings["amp"] == 1.0 and settings["note"] == "two\nlines"


def test_times_are_those_of_the_log(tmp_path: Path) -> None:
    values = read(write_tensorboard(tmp_path / "events.out.tfevents.1", [("a", 1, 0.5, 2.0), ("a", 2, 7.25, 3.0)]))
    assert list(values.time) == [START + 0.5, START + 7.25]


def scalar_tensor(tag: str, tensor: bytes, plugin: str = "scalars") -> bytes:
    metadata = field(9, field(1, field(1, plugin))) if plugin else b""
    return tensorboard_record(field(1, START) + field(5, field(1, field(1, tag) + field(8, tensor) + metadata)))


def test_scalars_of_tensorflow_2_are_tensors_whose_plugin_is_said_once(tmp_path: Path) -> None:
    one, two = (field(1, 1) + field(4, value) for value in (b"\0\0\x80?", b"\0\0\0@"))
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(HEAD + scalar_tensor("a", one) + scalar_tensor("a", two, plugin="") + scalar_tensor("b", one, plugin="images"))
    assert points(read(path)) == [("a", 0, 1.0), ("a", 0, 2.0)]


def test_a_scalar_of_another_type_is_lost_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(HEAD + scalar_tensor("a", field(1, 9) + field(10, 5)))
    assert dict(read(path).lost) == {("scalar", "of a type that is not read"): 1}


def test_the_checksum_of_a_large_record_matters_only_with_a_scalar(tmp_path: Path) -> None:
    image = field(1, field(1, "image") + field(4, bytes(100_000)))
    scalar = field(1, field(1, "a") + field(2, 1.0, width="<f"))
    path = tmp_path / "events.out.tfevents.1"
    for summary, lost in ((image, 0), (image + scalar, 1)):
        record = bytearray(tensorboard_record(field(1, START) + field(5, summary)))
        record[5_000] ^= 1
        path.write_bytes(HEAD + record)
        assert sum(read(path).lost.values()) == lost
