"""Prediction with a trained model on a user's images and videos, one after the other, so that memory does not grow with their number."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.backends.base import ImageRef
from runner.core.errors import InputError, Problem, how_to_install
from runner.data.image_files import is_video
from runner.data.images import image_size, read_image
from runner.data.tiles import Area, LargeImage, merge_tiles, tile_areas
from runner.worker.evaluate import Progress
from runner.worker.prediction_files import Box, PredictionFiles, Settings, draw_found
from runner.worker.trained_model import TrainedModel

if TYPE_CHECKING:
    from runner.data.video import Video, VideoFrame

SHOWN_IMAGES = 20
_MOST_AT_ONCE = 64
_MOST_BYTES_AT_ONCE = 1 << 27
"""Pixels that have been read and wait for the model."""
_LONGEST_PICTURE_PX = 8192
"""Larger images are drawn smaller."""


@dataclass(slots=True)
class PredictionSummary:
    """Outcome of a call.

    Args:
        images, frames, boxes: how many were predicted; images without videos.
        earlier: images and videos that were done before.
        shown: the first images and their boxes.
        problems: images and videos that could not be read.
    """

    images: int = 0
    frames: int = 0
    boxes: int = 0
    earlier: int = 0
    shown: list[tuple[str, list[Box]]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, picture: Picture, boxes: list[Box]) -> None:
        """Count an image or a frame."""
        self.boxes += len(boxes)
        self.frames += picture.frame is not None
        self.images += picture.frame is None
        if picture.frame is None and len(self.shown) < SHOWN_IMAGES:
            self.shown.append((str(picture.path), boxes))


class Picture:
    """An image, or a frame of a video, that is predicted on whole or in tiles.

    Args:
        path: of the image or video.
        frame: of the video.
    """

    def __init__(self, path: Path, frame: VideoFrame | None = None) -> None:
        self.path, self.frame = path, frame
        self.found: list[tuple[Area, list[dict[str, Any]]]] = []
        self.tiles = 1
        self.is_read = True
        self._large: LargeImage | None = None

    def pieces(self, settings: Settings) -> Iterator[tuple[Area, NDArray[np.uint8] | None]]:
        """Yield what to predict on: an area of the image, and its pixels where they have been read.

        Raises:
            InputError: the image cannot be read.
        """
        if settings.tile_px is None:
            width, height = image_size(self.path) if self.frame is None else self.frame.pixels.shape[1::-1]
            yield (0, 0, width, height), self.frame.pixels if self.frame is not None else None
            return
        if self.frame is None:
            self._large = LargeImage(self.path)
        width, height = self.size
        areas = tile_areas(width, height, settings.tile_px, settings.overlap)
        self.tiles = len(areas)
        for area in areas:
            yield area, self._read(area)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        if self.frame is not None:
            return self.frame.pixels.shape[1], self.frame.pixels.shape[0]
        return (self._large.width, self._large.height) if self._large is not None else image_size(self.path)

    def drawn(self, boxes: Sequence[Box], classes: Sequence[str]) -> NDArray[np.uint8]:
        """Draw detections on it, UInt8[H, W, 3]; smaller where it is very large."""
        if self._large is not None:
            pixels, factor = self._large.reduced(_LONGEST_PICTURE_PX)
        else:
            pixels, factor = (read_image(self.path) if self.frame is None else self.frame.pixels), 1
        return draw_found(pixels, boxes, classes, factor=factor)

    def close(self) -> None:
        """Close the image."""
        if self._large is not None:
            self._large.close()

    def _read(self, area: Area) -> NDArray[np.uint8]:
        if self._large is not None:
            return self._large.read(area)
        x, y, width, height = area
        pixels = self.frame.pixels if self.frame is not None else read_image(self.path)
        return pixels[y : y + height, x : x + width]


@dataclass(frozen=True, slots=True)
class _Piece:
    picture: Picture
    area: Area
    ref: ImageRef


def predict_images(model: TrainedModel, images: Sequence[Path], files: PredictionFiles, *, progress: Progress) -> PredictionSummary:
    """Predict on those images and videos that are not done yet. `files` are complete afterwards, whatever could not be read.

    Args:
        model: see `runner.worker.trained_model`.
        images: image files and videos, each once.
        files: what is written, and with which settings.
        progress: called with the number of images done, of all, and "images"; for a video with its frames.
    """
    files.classes = model.classes
    summary = PredictionSummary()
    waiting = [image for image in images if not files.is_done(image)]
    summary.earlier = len(images) - len(waiting)
    try:
        _predict_still(model, [image for image in waiting if not is_video(image)], files, summary, progress)
        for path in filter(is_video, waiting):
            try:
                _predict_video(model, path, files, summary, progress)
            except InputError as error:
                summary.problems += error.problems
    finally:
        files.close()
    files.finish()
    return summary


def open_video(path: Path, every: int = 1) -> Video:
    """Open a video. Raises InputError: see `runner.data.video.Video`, or OpenCV is missing."""
    try:
        from runner.data.video import Video  # noqa: PLC0415 - OpenCV is loaded only where it is used
    except ImportError as error:
        text = f"is a video, and OpenCV, which reads them, is not installed: {how_to_install('.[torch]')}"
        raise InputError(Problem(text, where=str(path))) from error
    return Video(path, every)


def _predict_still(
    model: TrainedModel, images: Sequence[Path], files: PredictionFiles, summary: PredictionSummary, progress: Progress
) -> None:
    pictures = map(Picture, images)
    for picture, boxes in _found(model, pictures, len(images), "images", files.settings, summary, progress):
        is_drawn = "images" in files.settings.save
        files.add(picture.path, picture.size, boxes, picture.drawn(boxes, model.classes) if is_drawn else None)
        summary.add(picture, boxes)


def _predict_video(model: TrainedModel, path: Path, files: PredictionFiles, summary: PredictionSummary, progress: Progress) -> None:
    """Predict on the frames of a video, from its first one.

    Raises:
        InputError: it cannot be read, or ends too early; the frames before that are written.
    """
    from runner.data.video import VideoWriter  # noqa: PLC0415 - OpenCV is loaded only where it is used

    with open_video(path, files.settings.every) as video:
        writer = VideoWriter(files.picture(path), video.frames_per_s / video.every)
        is_drawn = "images" in files.settings.save
        early_end: list[InputError] = []
        pictures = (Picture(path, frame) for frame in _until_error(video.frames(), early_end))
        try:
            for picture, boxes in _found(model, pictures, video.count, f"frames of {path.name}", files.settings, summary, progress):
                frame = picture.frame
                if frame is not None:
                    if is_drawn:
                        writer.write(picture.drawn(boxes, model.classes))
                    files.add_frame(path, frame.number, frame.time_s, picture.size, boxes)
                    summary.add(picture, boxes)
        except BaseException:
            writer.close(keep=False)
            raise
        writer.close(keep=True)
        files.end_video(path)
    if early_end:
        raise early_end[0]


def _until_error(frames: Iterable[VideoFrame], errors: list[InputError]) -> Iterator[VideoFrame]:
    """Yield the frames of a video; an error ends it, and is added to `errors`."""
    try:
        yield from frames
    except InputError as error:
        errors.append(error)


def _found(
    model: TrainedModel,
    pictures: Iterable[Picture],
    total: int,
    what: str,
    settings: Settings,
    summary: PredictionSummary,
    progress: Progress,
) -> Iterator[tuple[Picture, list[Box]]]:
    """Yield each picture with its detections, highest score first. One that cannot be read becomes a problem of the summary."""
    done = 0
    for pieces in _chunks(_pieces(pictures, settings, summary.problems)):
        begun, count = done, sum(1 for piece in pieces if piece is pieces[-1] or piece.picture.tiles == 1)

        def show(number: int, of: int, begun: int = begun, count: int = count) -> None:
            progress(begun + number * count // max(of, 1), max(total, begun + count), what)

        results = _predicted(model, pieces, show, summary.problems)
        for piece in pieces:
            picture = piece.picture
            kept = [item for item in results.get(piece.ref.id, ()) if item["score"] >= settings.score_threshold]
            picture.found.append((piece.area, kept))
            if len(picture.found) < picture.tiles:
                continue
            done += 1
            if picture.is_read:
                items = merge_tiles(picture.found, *picture.size)
                yield picture, [_box(item, model.classes) for item in items]
            picture.close()
    progress(total, total, what)


def _box(item: dict[str, Any], classes: Sequence[str]) -> Box:
    x, y, width, height = item["bbox"]
    return Box(item["category_id"], classes[item["category_id"]], item["score"], (x, y, width, height))


def _pieces(pictures: Iterable[Picture], settings: Settings, problems: list[Problem]) -> Iterator[_Piece]:
    numbers = itertools.count()
    for picture in pictures:
        try:
            for area, pixels in picture.pieces(settings):
                yield _Piece(picture, area, ImageRef(next(numbers), picture.path, pixels=pixels))
        except InputError as error:
            problems += error.problems
            picture.close()


def _chunks(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Gather pieces for one call of the model, with a limit on the pixels that are held."""
    chunk: list[_Piece] = []
    held = 0
    for piece in pieces:
        chunk.append(piece)
        held += piece.ref.pixels.nbytes if piece.ref.pixels is not None else 0
        if len(chunk) >= _MOST_AT_ONCE or held >= _MOST_BYTES_AT_ONCE:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _predicted(model: TrainedModel, pieces: Sequence[_Piece], progress: Any, problems: list[Problem]) -> dict[int, list[dict[str, Any]]]:
    """Predict on pieces; those that turn out unreadable are left out, and become problems.

    Returns:
        COCO results by the number of the piece.
    """
    try:
        results = model.predictor.predict([piece.ref for piece in pieces], progress)
    except InputError:
        readable = [piece for piece in pieces if _is_readable(piece, problems)]
        if len(readable) == len(pieces):
            raise
        results = model.predictor.predict([piece.ref for piece in readable], progress) if readable else []
    by_piece: dict[int, list[dict[str, Any]]] = {}
    for item in results:
        by_piece.setdefault(item["image_id"], []).append(item)
    return by_piece


def _is_readable(piece: _Piece, problems: list[Problem]) -> bool:
    if piece.ref.pixels is None:
        try:
            read_image(piece.ref.path)
        except InputError as error:
            problems += error.problems
            piece.picture.is_read = False
    return piece.picture.is_read
