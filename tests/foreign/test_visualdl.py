"""VisualDL's logs, as its own writer writes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.logs import START, field, visualdl_record, write_visualdl

from runner.foreign.framing import read_log
from runner.foreign.scalars import LogValues
from runner.foreign.visualdl import VisualDLLog

SCRIPT = """
import sys
import numpy as np
from visualdl import LogWriter
with LogWriter(sys.argv[1]) as writer:
    for step in range(4):
        writer.add_scalar("train/loss", 1 / (step + 1), step, walltime=1_700_000_000_000 + step * 1000)
    writer.add_scalars("both", {"one": 1.0, "two": 2.0}, 3)
    writer.add_text("note", "hello", 0)
    writer.add_image("image", np.zeros((4, 4, 3), np.uint8), 0)
    writer.add_histogram("weights", np.arange(5), 0)
    writer.add_hparams({"lr": 0.1, "bs": 8, "opt": "sgd"}, ["train/loss"])
"""


def read(path: Path) -> LogValues:
    return read_log(path, VisualDLLog())


def test_what_visualdl_writes_is_read(tmp_path: Path) -> None:
    pytest.importorskip("visualdl")
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path / "log")], check=True, capture_output=True)  # it keeps a thread
    (path,) = (tmp_path / "log").glob("vdlrecords*")
    values = read(path)
    assert not values.lost
    assert list(values.tags) == ["train/loss", "both/one", "both/two"]
    assert list(values.value) == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1, 2])
    assert list(values.step) == [0, 1, 2, 3, 3, 3] and list(values.time)[:4] == [START + step for step in range(4)]
    assert values.settings == {"note": "hello", "lr": 0.1, "bs": 8, "opt": "sgd"}


def test_a_damaged_record_ends_the_reading(tmp_path: Path) -> None:
    path = write_visualdl(tmp_path / "vdlrecords.1.log", [("a", step, step, 1.0) for step in range(3)])
    good = path.read_bytes()
    path.write_bytes(good + visualdl_record(b"\xff\xff\xff") + good)
    values = read(path)
    assert list(values.step) == [0, 1, 2]
    ((thing, which),) = values.lost
    assert thing == "byte" and f"from byte {len(good)} of the log on" in which
    assert values.lost[thing, which] == len(good) + 11


@pytest.mark.parametrize(
    "message", [field(2, b""), field(1, field(15, 1)), field(1, 5), field(1, field(4, 1.0)), field(1, b"\x12\x01\xff")]
)
def test_what_is_no_record_of_visualdl_is_damaged(tmp_path: Path, message: bytes) -> None:
    path = write_visualdl(tmp_path / "vdlrecords.1.log", [("a", 1, 1, 1.0)])
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + visualdl_record(message))
    assert sum(read(path).lost.values()) == path.stat().st_size - size


def test_zeros_are_no_records(tmp_path: Path) -> None:
    path = write_visualdl(tmp_path / "vdlrecords.1.log", [("a", 1, 1, 1.0)])
    path.write_bytes(path.read_bytes() + bytes(4096))
    values = read(path)
    assert len(values.value) == 1 and sum(values.lost.values()) == 4096
