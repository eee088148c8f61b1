"""TensorBoard's event files: the scalars in them, as `torch.utils.tensorboard`, TensorFlow 1 and 2 and tensorboardX write them.

A record is its length (u64), that length's checksum (u32), an `Event` message, and its checksum (u32), all little endian.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from typing import IO, ClassVar, Final

from runner.foreign.framing import Damaged, Frame, Torn, read_exactly
from runner.foreign.protobuf import double, fields, inner, integer, single, text
from runner.foreign.scalars import LogValues, Setting

_HEAD_BYTES: Final = 12
_FOOT_BYTES: Final = 4
_CHECKED_BYTES: Final = 1 << 16
"""Size up to which a record's checksum is computed in any case. A larger one is an image or the like: only if it contains a scalar."""
_FLOAT, _DOUBLE = 1, 2
_POLYNOMIAL: Final = 0x82F63B78


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_TABLE: Final = _table()


def masked_crc32c(data: bytes) -> int:
    """Return the checksum of the record format: CRC-32C (Castagnoli), rotated by 15 bits and added to a constant."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


_length_checksum = functools.lru_cache(maxsize=10_000)(masked_crc32c)


class TensorBoardLog:
    """The format."""

    name: ClassVar[str] = "TensorBoard"

    def __init__(self) -> None:
        self._plugins: dict[str, str] = {}

    def next_frame(self, file: IO[bytes], left: int) -> Frame:
        """Read the record at the current position (see `runner.foreign.framing.LogFormat`)."""
        head = read_exactly(file, _HEAD_BYTES)
        length, checksum = struct.unpack("<QI", head)
        if _length_checksum(head[:8]) != checksum:
            raise Damaged("the checksum of a record's length is wrong")
        if length > left - _HEAD_BYTES - _FOOT_BYTES:
            raise Torn
        return Frame(_HEAD_BYTES, length, _FOOT_BYTES)

    def add(self, message: bytes, foot: bytes, values: LogValues) -> None:
        """Add the scalars of a record. Raises ValueError: it is damaged."""
        is_large = len(message) > _CHECKED_BYTES
        if not is_large:
            _check(message, foot)
        found, settings = _read_event(message, self._plugins)
        if is_large and (found or settings):
            _check(message, foot)
        for tag, step, time, value in found:
            if value is None:
                values.lost["scalar", "of a type that is not read"] += 1
            else:
                values.add(tag, step, time, value)
        values.note(settings)


def _check(message: bytes, foot: bytes) -> None:
    if int.from_bytes(foot, "little") != masked_crc32c(message):
        raise ValueError("its checksum is wrong")


def _read_event(message: bytes, plugins: dict[str, str]) -> tuple[list[tuple[str, int, float, float | None]], dict[str, Setting]]:
    """Return the scalars and the settings of an `Event`. A tag's plug-in is remembered: later values may leave it out."""
    time, step, summaries = 0.0, 0, []
    for number, value in fields(message):
        if number == 1:
            time = double(value)
        elif number == 2:
            step = integer(value)
        elif number == 5:
            summaries.append(inner(value))
    scalars: list[tuple[str, int, float, float | None]] = []
    settings: dict[str, Setting] = {}
    for summary in summaries:
        for number, value in fields(summary):
            if number == 1:
                _read_value(inner(value), step, time, plugins, scalars, settings)
    return scalars, settings


def _read_value(
    message: bytes,
    step: int,
    time: float,
    plugins: dict[str, str],
    scalars: list[tuple[str, int, float, float | None]],
    settings: dict[str, Setting],
) -> None:
    """Read a `Summary.Value`: a scalar, a text, or the settings of the HPARAMS page."""
    tag, simple, tensor, content = "", None, None, b""
    plugin = ""
    for number, value in fields(message):
        if number == 1:
            tag = text(value)
        elif number == 2:
            simple = single(value)
        elif number == 8:
            tensor = inner(value)
        elif number == 9:
            plugin, content = _read_metadata(inner(value))
    plugin = plugins.setdefault(tag, plugin) if plugin else plugins.get(tag, "")
    if simple is not None:
        scalars.append((tag, step, time, simple))
    elif plugin == "scalars" and tensor is not None:
        scalars.append((tag, step, time, _read_number(tensor)))
    elif plugin == "text" and tensor is not None:
        settings[tag.removesuffix("/text_summary")] = "\n".join(text(value) for number, value in fields(tensor) if number == 8)
    elif plugin == "hparams" and content:
        settings.update(_read_session(content))


def _read_metadata(message: bytes) -> tuple[str, bytes]:
    """Return the name and content of the plug-in data in a `SummaryMetadata`."""
    name, content = "", b""
    for number, value in fields(message):
        if number == 1:
            for inside, found in fields(inner(value)):
                if inside == 1:
                    name = text(found)
                elif inside == 2:
                    content = inner(found)
    return name, content


def _read_number(tensor: bytes) -> float | None:
    """Return the number in a `TensorProto` of float or double; None for another type."""
    kind, parts = 0, b""
    for number, value in fields(tensor):
        if number == 1:
            kind = integer(value)
        elif number in (4, 5, 6):
            parts = inner(value)
    if kind == _FLOAT and len(parts) == 4:
        return single(parts)
    return double(parts) if kind == _DOUBLE and len(parts) == 8 else None


def _read_session(content: bytes) -> Iterator[tuple[str, Setting]]:
    """Yield the hyper-parameters in an `HParamsPluginData` with a `SessionStartInfo`."""
    for number, session in fields(content):
        if number == 3:
            for inside, entry in fields(inner(session)):
                if inside == 1:
                    parts = dict(fields(inner(entry)))
                    found = _read_setting(inner(parts.get(2, b"")))
                    if found is not None:
                        yield text(parts.get(1, b"")), found


def _read_setting(message: bytes) -> Setting | None:
    """Return the scalar in a `google.protobuf.Value`; None for anything else."""
    for number, value in fields(message):
        if number == 2:
            return double(value)
        if number == 3:
            return text(value)
        if number == 4:
            return bool(value)
    return None
