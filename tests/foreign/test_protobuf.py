"""The wire format, against Google's own messages, and against whatever bytes there are."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.logs import field

from runner.foreign.protobuf import double, fields, inner, integer, single, text


def test_what_google_writes_is_read() -> None:
    event_pb2 = pytest.importorskip("tensorboard.compat.proto.event_pb2")
    message = event_pb2.Event(wall_time=12.5, step=-3, file_version="brain.Event:2").SerializeToString()
    found = dict(fields(message))
    assert (double(found[1]), integer(found[2]), text(found[3])) == (12.5, -3, "brain.Event:2")


@given(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=300), st.floats(width=32, allow_nan=False))
def test_fields_survive(number: int, data: bytes, value: float) -> None:
    message = field(1, number) + field(16, data) + field(3, value, width="<f") + field(1000, value)
    found = dict(fields(message))
    assert (integer(found[1]), inner(found[16]), single(found[3]), double(found[1000])) == (number, data, value, value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_value_error(data: bytes) -> None:
    try:
        found = list(fields(data))
    except ValueError:
        return
    assert all(isinstance(value, int | bytes) for _, value in found)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x08", "without an end"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "without an end"),
        (b"\x0a\x05ab", "behind the end"),
        (b"\x09\x00", "behind the end"),
        (b"\x0b", "wire type 3"),
        (b"\x00\x00", "field number 0"),
    ],
)
def test_damaged_messages_are_named(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(fields(data))


def test_values_of_another_type_are_value_errors() -> None:
    for read, value in ((inner, 1), (integer, b"1"), (single, b"1"), (double, struct.pack("<f", 1)), (text, b"\xff")):
        with pytest.raises(ValueError):
            read(value)  # type: ignore[operator]
