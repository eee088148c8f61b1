"""Frames of a video, read and written by OpenCV (of the extra ``torch``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from runner.core.errors import InputError, Problem
from runner.core.files import open_regular

for _variable, _value in (("OPENCV_FFMPEG_LOGLEVEL", "-8"), ("OPENCV_LOG_LEVEL", "OFF")):
    os.environ.setdefault(_variable, _value)  # no lines of FFmpeg and OpenCV about a damaged file; ours is the message
import cv2  # noqa: E402

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it may have been imported before, without the variable

_FOURCC = {".mp4": "mp4v", ".avi": "MJPG"}
_MISSING_SHARE = 0.01
"""Frames that may be missing at the end, as a share of the number that the file states: some containers only estimate it."""


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """A frame of a video.

    Args:
        number: its place in the video, from 0.
        time_s: its time from the start of the video.
        pixels: UInt8[H, W, 3], RGB.
    """

    number: int
    time_s: float
    pixels: NDArray[np.uint8]


class Video:
    """A video that is read from its start.

    Args:
        path: the file.
        every: take each N-th frame only, beginning with the first.

    Raises:
        InputError: missing, no video, or its first frame cannot be read.
    """

    def __init__(self, path: Path, every: int = 1) -> None:
        self.path, self.every = path, every
        try:
            open_regular(path).close()
        except OSError as error:
            raise InputError(Problem(f"cannot be read: {error.strerror}", where=str(path))) from error
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened() or not self._capture.grab():
            self._capture.release()
            text = "is no video that OpenCV can read: damaged, truncated, or of another format; restore it, or convert it to MP4 (H.264)"
            raise InputError(Problem(text, where=str(path)))
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.frames_per_s = float(fps) if 0 < fps < 1e4 else 25.0
        stated = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.stated_frames = int(stated) if 0 < stated < 1e9 else 0
        """Number of frames that the file states; 0 where it states none."""

    @property
    def count(self) -> int:
        """Number of frames that are taken, as far as the file states it."""
        return -(-self.stated_frames // self.every)

    def frames(self) -> Iterator[VideoFrame]:
        """Yield the frames in order.

        Raises:
            InputError: the video ends before the number of frames that it states.
        """
        number, grabbed = 0, True
        while grabbed:
            if number % self.every == 0:
                is_whole, image = self._capture.retrieve()
                if not is_whole:
                    break
                yield VideoFrame(number, number / self.frames_per_s, np.ascontiguousarray(image[:, :, ::-1]))
            number += 1
            grabbed = self._capture.grab()
        if number < self.stated_frames * (1 - _MISSING_SHARE) - 1:
            text = f"ends after {number} of its {self.stated_frames} frames: it is damaged or truncated; these frames were used"
            raise InputError(Problem(text, where=str(self.path)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._capture.release()


class VideoWriter:
    """A video that is written frame by frame. It has its name once it is closed; until then that of a hidden file beside it.

    Args:
        path: the file, ``.mp4`` or ``.avi``.
        frames_per_s: of the video.
    """

    def __init__(self, path: Path, frames_per_s: float) -> None:
        self.path, self._frames_per_s = path, frames_per_s
        self._part = path.with_name(f".{path.stem[:100]}.part{path.suffix}")
        self._writer: Any = None

    def write(self, pixels: NDArray[np.uint8]) -> None:
        """Append a frame, UInt8[H, W, 3], RGB; all have the size of the first. Raises InputError: OpenCV cannot write the video."""
        if self._writer is None:
            height, width = pixels.shape[:2]
            code = cv2.VideoWriter.fourcc(*_FOURCC[self.path.suffix])
            self._writer = cv2.VideoWriter(str(self._part), code, self._frames_per_s, (width, height))
            if not self._writer.isOpened():
                raise InputError(Problem("OpenCV cannot write this video; leave images out of --save", where=str(self.path)))
        self._writer.write(np.ascontiguousarray(pixels[:, :, ::-1]))

    def close(self, *, keep: bool) -> None:
        """End the file, and give it its name or remove it."""
        if self._writer is None:
            return
        self._writer.release()
        if keep:
            os.replace(self._part, self.path)
        else:
            self._part.unlink(missing_ok=True)
