"""Tiles of a large image: where they lie, how they are read, and how the boxes found on them become those of the image."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from runner.core.errors import InputError, Problem
from runner.core.files import open_regular
from runner.core.values import GIB
from runner.data.images import UNREADABLE, orientation, to_array, upright

MAX_OVERLAP = 0.9
MERGE_IOU = 0.5
"""Boxes of one class from two tiles are of one object from this IoU on."""
_CUT_SHARE = 0.5
"""A box that its tile's border cuts belongs to one of another tile that covers this share of it."""
_BORDER_PX = 2.0
"""A box that ends so close to an inner border of its tile is cut by it."""
_PILLOW_BYTES_PER_PIXEL = 8
"""Memory that decoding takes: Pillow has 4 bytes per pixel of a colour image, twice while it is rotated."""
_RAW_BYTES = {"L": 1, "RGB": 3, "BGR": 3, "RGBX": 4, "BGRX": 4, "RGBA": 4, "BGRA": 4, "I;16": 2, "I;16B": 2}
"""Bytes per pixel of the uncompressed layouts that are read by regions."""
_BAND_ROWS = 512

Area = tuple[int, int, int, int]
"""x, y, width and height in pixels."""


def tile_areas(width: int, height: int, tile_px: int, overlap: float) -> list[Area]:
    """Divide an image into tiles, row by row.

    Neighbours share at least `overlap` of their side. The last tile of a row or column is moved back to end with the image, so all have
    `tile_px` x `tile_px`, or the side of the image where that is shorter.
    """
    columns, rows = (_starts(side, tile_px, overlap) for side in (width, height))
    return [(x, y, min(tile_px, width), min(tile_px, height)) for y, x in itertools.product(rows, columns)]


def _starts(side: int, tile_px: int, overlap: float) -> list[int]:
    if side <= tile_px:
        return [0]
    step = max(1, int(tile_px * (1 - overlap)))
    return [*range(0, side - tile_px, step), side - tile_px]


def merge_tiles(
    found: Sequence[tuple[Area, Sequence[Mapping[str, Any]]]], width: int, height: int, *, iou: float = MERGE_IOU
) -> list[dict[str, Any]]:
    """Make the boxes of an image from those of its tiles, by non-maximum suppression between tiles, class by class.

    A box goes if a better one of its class from another tile has an IoU above `iou` with it. One that is cut by an inner border of its
    tile ranks after all that are whole, and also goes if one from another tile covers half of it.

    Args:
        found: for each tile its area and COCO results, boxes in pixels of the tile.
        width, height: of the image in pixels.

    Returns:
        COCO results, boxes in pixels of the image, highest score first.
    """
    items, boxes, cut, tiles = [], [], [], []
    for number, ((x, y, tile_width, tile_height), results) in enumerate(found):
        for item in results:
            left, top, box_width, box_height = item["bbox"]
            right, bottom = left + box_width, top + box_height
            items.append({**item, "bbox": [left + x, top + y, box_width, box_height]})
            boxes.append((left + x, top + y, right + x, bottom + y))
            left_cut, right_cut = x > 0 and left < _BORDER_PX, x + tile_width < width and right > tile_width - _BORDER_PX
            top_cut, bottom_cut = y > 0 and top < _BORDER_PX, y + tile_height < height and bottom > tile_height - _BORDER_PX
            cut.append(left_cut or right_cut or top_cut or bottom_cut)
            tiles.append(number)
    if len(found) > 1:
        kept = _kept(items, np.asarray(boxes, dtype=np.float64).reshape(-1, 4), np.asarray(cut, dtype=bool), np.asarray(tiles), iou)
        items = [items[number] for number in kept]
    return sorted(items, key=lambda item: -float(item["score"]))


def _kept(
    items: Sequence[Mapping[str, Any]], boxes: NDArray[np.float64], cut: NDArray[np.bool_], tiles: NDArray[np.int64], iou: float
) -> list[int]:
    classes = np.asarray([item["category_id"] for item in items])
    scores = np.asarray([item["score"] for item in items], dtype=np.float64)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    kept: list[int] = []
    for label in np.unique(classes):
        queue = np.flatnonzero(classes == label)
        queue = queue[np.lexsort((-scores[queue], cut[queue]))]
        while len(queue):
            first, queue = queue[0], queue[1:]
            kept.append(int(first))
            low, high = np.maximum(boxes[first, :2], boxes[queue, :2]), np.minimum(boxes[first, 2:], boxes[queue, 2:])
            shared = (high - low).clip(min=0).prod(axis=1)
            same = shared > iou * (areas[first] + areas[queue] - shared)
            same |= cut[queue] & (shared > _CUT_SHARE * areas[queue])
            queue = queue[~(same & (tiles[queue] != tiles[first]))]
    return kept


class LargeImage:
    """An image that is read by regions: from the file where its pixels are stored as they are (TIFF, BMP and PPM without compression),
    else from memory, into which all of it is decoded once. Close it after use.

    Args:
        path: the image file.

    Raises:
        InputError: as `runner.data.images.read_image`, or the memory does not suffice to decode it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = open_regular(path)
        except FileNotFoundError as error:
            raise self._unusable("image does not exist") from error
        except OSError as error:
            raise self._unusable(f"cannot be read: {error.strerror}") from error
        try:
            with self._reading(), _any_size():
                opened = Image.open(self._file)
                self._raw = _raw_layout(opened)
                self._image: Image.Image = opened
                if self._raw is None:
                    self._check_memory()
                    opened.load()
                    self._image = upright(opened, None)
        except BaseException:
            self._file.close()
            raise
        self.width, self.height = self._image.size

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, area: Area) -> NDArray[np.uint8]:
        """Return a region as UInt8[height, width, 3], RGB. Raises InputError: the file is damaged."""
        x, y, width, height = area
        with self._reading(), _any_size():
            part = self._image.crop((x, y, x + width, y + height)) if self._raw is None else self._from_file(area)
            return to_array(part, self.path)

    def reduced(self, longer_px: int) -> tuple[NDArray[np.uint8], int]:
        """Return the whole image, smaller by a whole factor so that its longer side is at most `longer_px`; and the factor."""
        factor = -(-max(self.width, self.height) // longer_px)
        if factor == 1:
            return self.read((0, 0, self.width, self.height)), 1
        picture = Image.new("RGB", (-(-self.width // factor), -(-self.height // factor)))
        rows = _BAND_ROWS - _BAND_ROWS % factor or factor
        for y in range(0, self.height, rows):
            band = Image.fromarray(self.read((0, y, self.width, min(rows, self.height - y))))
            picture.paste(band.reduce(factor), (0, y // factor))
        return np.array(picture), factor

    def _from_file(self, area: Area) -> Image.Image:
        """Read a region of an uncompressed image, row by row."""
        x, y, width, height = area
        part = Image.new(self._image.mode, (width, height))
        for (left, top, right, bottom), offset, rawmode, stride, direction in self._raw or ():
            first_x, last_x = max(x, left), min(x + width, right)
            first_y, last_y = max(y, top), min(y + height, bottom)
            if first_x >= last_x or first_y >= last_y:
                continue
            size = _RAW_BYTES[rawmode]
            wanted = (last_x - first_x) * size
            rows: deque[bytes] = deque()
            for row in range(first_y, last_y):
                stored = row - top if direction > 0 else bottom - 1 - row
                self._file.seek(offset + stored * stride + (first_x - left) * size)
                rows.append(self._file.read(wanted))
            data = b"".join(rows)
            if len(data) < wanted * len(rows):
                raise self._unusable("damaged or truncated image; replace it")
            strip = Image.frombytes(self._image.mode, (last_x - first_x, last_y - first_y), data, "raw", rawmode, wanted, 1)
            part.paste(strip, (first_x - x, first_y - y))
        return part

    def _check_memory(self) -> None:
        width, height = self._image.size
        needed, free = width * height * _PILLOW_BYTES_PER_PIXEL, psutil.virtual_memory().available
        if needed > free:
            raise self._unusable(
                f"an image of {width} x {height} pixels, which has to be decoded whole: that needs {needed / GIB:.1f} GiB of memory, "
                f"{free / GIB:.1f} GiB are free; save it as a TIFF without compression, of which only regions are read"
            )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what Pillow raises on damaged files into one message."""
        try:
            yield
        except UNREADABLE as error:
            raise self._unusable(f"damaged, truncated or no image ({error}); replace it") from error

    def _unusable(self, message: str) -> InputError:
        return InputError(Problem(message, where=str(self.path)))


def _raw_layout(image: ImageFile) -> list[tuple[Area, int, str, int, int]] | None:
    """Return where an image's uncompressed pixels lie in its file, as (xyxy, offset, layout, bytes per row, 1 from the top or -1 from the
    bottom); None if they are compressed, turned, or in a layout that is not read by regions."""
    if image.mode not in ("RGB", "L", "RGBA", "I;16"):
        return None
    found = []
    for codec, area, offset, arguments in image.tile:
        values = arguments if isinstance(arguments, tuple) else (arguments,)
        rawmode, stride, direction = (*values, *(None, 0, 1)[len(values) :])[:3]
        if codec != "raw" or rawmode not in _RAW_BYTES or direction not in (1, -1) or area is None:
            return None
        found.append((area, offset, rawmode, stride or (area[2] - area[0]) * _RAW_BYTES[rawmode], direction))
    return found if found and orientation(image) == 1 else None


@contextmanager
def _any_size() -> Iterator[None]:
    """Lift Pillow's limit on pixels, a setting of the process: images are decoded only where the memory suffices."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
