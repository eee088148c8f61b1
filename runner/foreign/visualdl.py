"""VisualDL's logs: the scalars in them. A record is its length (u64, little endian) and a `Record` message, without a checksum."""

from __future__ import annotations

import struct
from typing import IO, ClassVar, Final

from runner.foreign.framing import Damaged, Frame, Torn, read_exactly
from runner.foreign.protobuf import double, fields, inner, integer, single, text
from runner.foreign.scalars import LogValues, Setting

_HEAD_BYTES: Final = 8
_VALUE_FIELDS: Final = frozenset(range(1, 15))


class VisualDLLog:
    """The format."""

    name: ClassVar[str] = "VisualDL"

    def next_frame(self, file: IO[bytes], left: int) -> Frame:
        """Read the record at the current position (see `runner.foreign.framing.LogFormat`)."""
        (length,) = struct.unpack("<Q", read_exactly(file, _HEAD_BYTES))
        if length == 0:
            raise Damaged("a record is empty")  # none is written so
        if length > left - _HEAD_BYTES:
            raise Torn
        return Frame(_HEAD_BYTES, length, 0)

    def add(self, message: bytes, foot: bytes, values: LogValues) -> None:
        """Add the scalars of a record.

        Raises:
            Damaged: these bytes are no record. Without a checksum nothing says that the next one begins where this one's length says.
        """
        del foot
        try:
            for number, value in fields(message):
                if number != 1:
                    raise ValueError(f"unknown field {number}")
                _add_value(inner(value), values)
        except ValueError as error:
            raise Damaged(f"a record cannot be read ({error})") from error


def _add_value(message: bytes, values: LogValues) -> None:
    found = dict(fields(message))
    if not found.keys() <= _VALUE_FIELDS:
        raise ValueError("unknown field")
    tag, step, time = text(found.get(2, b"")), integer(found.get(1, 0)), integer(found.get(3, 0)) / 1000
    if 4 in found:
        values.add(tag, step, time, single(found[4]))
    elif 14 in found:  # one of `add_scalars`
        part = dict(fields(inner(found[14])))
        values.add(f"{tag}/{text(part.get(1, b''))}", step, time, single(part.get(2, bytes(4))))
    elif 12 in found:
        values.note({tag: text(dict(fields(inner(found[12]))).get(1, b""))})
    elif 13 in found:
        values.note(dict(_read_setting(inner(value)) for number, value in fields(inner(found[13])) if number == 1))


def _read_setting(message: bytes) -> tuple[str, Setting]:
    """Return name and value of an `HparamInfo`."""
    found = dict(fields(message))
    name = text(found.get(4, b""))
    if 1 in found:
        return name, integer(found[1])
    if 2 in found:
        return name, double(found[2])
    return name, text(found.get(3, b""))
