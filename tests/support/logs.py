"""Logs of other programs, byte by byte as their formats say: for tests of what reads them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from runner.foreign.tensorboard import masked_crc32c

START = 1_700_000_000.0
Value = tuple[str, int, float, float]
"""Tag, step, seconds since the start, value."""


def varint(value: int) -> bytes:
    """A varint; negative ones as int64 are written."""
    value &= 2**64 - 1
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, value: bytes | str | int | float, *, width: str = "<d") -> bytes:
    """A field: of bytes or text, a varint, or a float of the given width."""
    if isinstance(value, float):
        return varint(number << 3 | (1 if width == "<d" else 5)) + struct.pack(width, value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensorboard_record(message: bytes) -> bytes:
    """A message in its frame."""
    head = struct.pack("<Q", len(message))
    return head + struct.pack("<I", masked_crc32c(head)) + message + struct.pack("<I", masked_crc32c(message))


def event(tag: str, step: int, at: float, value: float) -> bytes:
    """The frame of an event with one scalar."""
    summary = field(1, field(1, tag) + field(2, value, width="<f"))
    return tensorboard_record(field(1, START + at) + field(2, step) + field(5, summary))


def visualdl_record(message: bytes) -> bytes:
    """A message in its frame."""
    return struct.pack("<Q", len(message)) + message


def vdl_value(tag: str, step: int, at: float, value: float) -> bytes:
    """The frame of a record with one scalar."""
    inner = field(1, step) + field(2, tag) + field(3, round((START + at) * 1000)) + field(4, value, width="<f")
    return visualdl_record(field(1, inner))


HEAD = tensorboard_record(field(1, START) + field(3, "brain.Event:2"))


def write_tensorboard(path: Path, values: Iterable[Value]) -> Path:
    """Write an event file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(HEAD + b"".join(event(*value) for value in values))
    return path


def write_visualdl(path: Path, values: Iterable[Value]) -> Path:
    """Write a VisualDL log."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(vdl_value(*value) for value in values))
    return path
