"""Reader of protocol buffers: the fields of a message, without its schema. Nothing is trusted; every fault is a ValueError."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_SIGN = 1 << 63


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and value of each field: an int (0 to 2**64 − 1) of a varint, else the bytes.

    Raises:
        ValueError: these bytes are no message.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = (message[at], at + 1) if message[at] < 0x80 else _varint(message, at)  # most have one byte: a call takes longer
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("field number 0")
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            width, at = (message[at], at + 1) if at < end and message[at] < 0x80 else _varint(message, at)
        elif kind in _WIDTHS:
            width = _WIDTHS[kind]
        else:
            raise ValueError(f"wire type {kind}")
        if width > end - at:
            raise ValueError("a field goes on behind the end of its message")
        yield number, message[at : at + width]
        at += width


def inner(value: int | bytes) -> bytes:
    """Return the bytes of a field: a message, a text, or packed numbers. Raises ValueError: it is a varint."""
    if isinstance(value, int):
        raise ValueError("a number, expected bytes")
    return value


def text(value: int | bytes) -> str:
    """Return the text of a field. Raises ValueError: it is not one in UTF-8."""
    return inner(value).decode()


def integer(value: int | bytes) -> int:
    """Return the int64 of a field. Raises ValueError: it is none."""
    if not isinstance(value, int):
        raise ValueError("bytes, expected a number")
    return value - 2 * _SIGN if value >= _SIGN else value


def single(value: int | bytes) -> float:
    """Return the float of 32 bits of a field. Raises ValueError: it is none."""
    return _unpacked("<f", value)


def double(value: int | bytes) -> float:
    """Return the float of 64 bits of a field. Raises ValueError: it is none."""
    return _unpacked("<d", value)


def _unpacked(layout: str, value: int | bytes) -> float:
    try:
        number: float = struct.unpack(layout, inner(value))[0]
    except struct.error as error:
        raise ValueError(str(error)) from None
    return number


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return (value, where the next field begins)."""
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("a varint without an end")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2 * _SIGN - 1), at
        shift += 7
