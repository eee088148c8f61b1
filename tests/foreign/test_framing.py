"""Whatever a log file is: torn at every byte, damaged, huge, a link, a FIFO, another kind of file."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.logs import HEAD, event, field, tensorboard_record, vdl_value, write_tensorboard, write_visualdl

from runner.core.errors import InputError
from runner.foreign import framing, scalars
from runner.foreign.framing import LogFormat, read_log
from runner.foreign.tensorboard import TensorBoardLog
from runner.foreign.visualdl import VisualDLLog

VALUES = [("a", step, float(step), 0.5) for step in range(4)]
CASES = [
    pytest.param(TensorBoardLog, write_tensorboard, len(HEAD), len(event(*VALUES[0])), id="tensorboard"),
    pytest.param(VisualDLLog, write_visualdl, 0, len(vdl_value(*VALUES[1])), id="visualdl"),
]


@pytest.mark.parametrize(("form", "write", "head", "size"), CASES)
def test_torn_at_every_byte(tmp_path: Path, form: type[LogFormat], write: Callable[..., Path], head: int, size: int) -> None:
    whole = write(tmp_path / "whole", VALUES[1:] * 2).read_bytes()
    path = tmp_path / "torn"
    for end in range(head + size, len(whole) + 1):
        path.write_bytes(whole[:end])
        values = read_log(path, form())
        assert len(values.value) == (end - head) // size
        assert sum(values.lost.values()) == (end - head) % size


@pytest.mark.parametrize("form", [TensorBoardLog, VisualDLLog])
@given(st.binary(max_size=400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_behind_a_good_start_are_lost_or_read(tmp_path: Path, form: type[LogFormat], rest: bytes) -> None:
    write = write_tensorboard if form is TensorBoardLog else write_visualdl
    path = write(tmp_path / "log", VALUES)
    path.write_bytes(path.read_bytes() + rest)
    values = read_log(path, form())
    assert list(values.step)[:4] == [0, 1, 2, 3]
    assert values.lost or not rest or len(values.value) > 4 or form is VisualDLLog


def test_a_damaged_record_in_the_middle_is_left_out(tmp_path: Path) -> None:
    path = write_tensorboard(tmp_path / "log", VALUES)
    data = bytearray(path.read_bytes())
    data[len(HEAD) + len(event(*VALUES[0])) + 20] ^= 1
    path.write_bytes(data)
    values = read_log(path, TensorBoardLog())
    assert list(values.step) == [0, 2, 3] and dict(values.lost) == {("damaged record", ""): 1}


def test_a_damaged_length_hides_what_follows(tmp_path: Path) -> None:
    path = write_tensorboard(tmp_path / "log", VALUES)
    data = bytearray(path.read_bytes())
    place = len(HEAD) + len(event(*VALUES[0]))
    data[place] ^= 1
    path.write_bytes(data)
    values = read_log(path, TensorBoardLog())
    assert list(values.step) == [0]
    (((thing, which), count),) = values.lost.items()
    assert (thing, count) == ("byte", len(data) - place) and which.endswith("the checksum of a record's length is wrong")


def test_a_record_that_is_too_large_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "MOST_RECORD_BYTES", 1 << 20)
    path = tmp_path / "log"
    path.write_bytes(HEAD + tensorboard_record(field(9, bytes((1 << 20) + 1))) + event(*VALUES[1]))
    values = read_log(path, TensorBoardLog())
    assert list(values.step) == [1] and dict(values.lost) == {("record", "larger than 1 MiB"): 1}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"not a log at all, but some text", "checksum of a record's length"),
        (gzip.compress(bytes(100_000)), "it is compressed; unpack it first"),
        (b"short", "ends within its first record"),
    ],
)
def test_another_file_is_no_log(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"is not a TensorBoard log: .*{said}"):
        read_log(path, TensorBoardLog())


def test_a_text_is_no_visualdl_log(tmp_path: Path) -> None:
    path = tmp_path / "vdlrecords.1.log"
    path.write_bytes(struct.pack("<Q", 5) + b"hello")
    with pytest.raises(InputError, match="is not a VisualDL log: a record cannot be read"):
        read_log(path, VisualDLLog())


def test_an_empty_file_has_no_values(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    assert not read_log(tmp_path / "log", TensorBoardLog()).value


def test_links_fifos_and_folders_are_refused(tmp_path: Path) -> None:
    log = write_tensorboard(tmp_path / "log", VALUES)
    (tmp_path / "link").symlink_to(log)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    for name, said in (("link", "links are not followed"), ("fifo", "a FIFO"), ("folder", "Is a directory"), ("device", "a device|links")):
        with pytest.raises(InputError, match=said):
            read_log(tmp_path / name, TensorBoardLog())


def test_a_huge_file_is_refused_at_once(tmp_path: Path) -> None:
    log = write_tensorboard(tmp_path / "log", VALUES)
    os.truncate(log, framing.MOST_FILE_BYTES + 1)
    with pytest.raises(InputError, match="is larger than 4 GiB"):
        read_log(log, TensorBoardLog())


def test_values_that_no_run_can_hold_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scalars, "MOST_TAGS", 1)
    values = [("a", -1, 0, 1.0), ("a", 1, -2e9, 1.0), ("x" * 501, 1, 0, 1.0), ("a", 1, 0, 1.0), ("b", 1, 0, 1.0), ("a", 2, 0, 2.0)]
    found = read_log(write_tensorboard(tmp_path / "log", values), TensorBoardLog())
    assert list(found.value) == [1.0, 2.0] and list(found.tags) == ["a"]
    assert len(found.lost) == 4 and set(found.lost.values()) == {1}


def test_too_many_values_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scalars, "MOST_VALUES", 3)
    with pytest.raises(InputError, match="has more than 3 values"):
        read_log(write_tensorboard(tmp_path / "log", VALUES), TensorBoardLog())
