"""The pictures of docs/your-own-photos.md: ``python -m tools.photo_pictures``.

    docs/images/image-size.png    one defect of a generated board at three values of `image_size`
    docs/images/levels.png        the locations of three levels that learn each of four boxes, by the torch backend's own rule
    docs/images/boxes.png         a small and a large box drawn three pixels off, with their IoU

Everything is generated: no photograph is used, so the pictures may be redistributed with the package.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from runner.backends.torch.models.fcos.locations import locate
from runner.backends.torch.models.fcos.schema import Gt2FCOSTarget
from runner.backends.torch.models.fcos.targets import BACKGROUND, assign
from runner.data.synthetic.generate import generate

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
Box = tuple[float, float, float, float]

_BOARD_PX, _BOARD_INDEX = 512, 3
_SIZES = (512, 128, 64)
_AROUND_PX = 64
"""Side of the part that is shown, in pixels of the whole board."""
_TILE, _GAP, _TEXT = 224, 16, 28
_RED, _INK, _PAPER = (214, 39, 40), (32, 36, 40), (255, 255, 255)

_WIDTH, _HEIGHT = 320, 256
_STRIDES = (8, 16, 32)
_BOXES: tuple[tuple[Box, str], ...] = (
    ((101, 38, 107, 44), "#ff7f0e"),
    ((36, 28, 60, 52), "#d62728"),
    ((168, 14, 308, 84), "#1f77b4"),
    ((24, 96, 304, 246), "#2ca02c"),
)
"""xyxy in pixels of the resized image, and a colour: 6, 24, 140 and 280 pixels wide. No location is inside the first."""
_OFF_PX = 3


def image_size_picture() -> Image.Image:
    """Draw a defect's surroundings as a detector sees them at each size, and its width there."""
    board = generate(0, "train", _BOARD_INDEX, _BOARD_PX)
    whole = Image.fromarray(board.pixels)
    box = [float(side) for side in board.boxes[-1]]
    left, top = (round((box[side] + box[side + 2] - _AROUND_PX) / 2) // 8 * 8 for side in (0, 1))
    picture = Image.new("RGB", (4 * _TILE + 3 * _GAP, _TILE + _TEXT), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    picture.paste(whole.resize((_TILE, _TILE), Image.Resampling.LANCZOS), (0, 0))
    scale = _TILE / _BOARD_PX
    pen.rectangle([left * scale, top * scale, (left + _AROUND_PX) * scale, (top + _AROUND_PX) * scale], outline=_RED, width=2)
    pen.text((0, _TILE + 6), f"the board, {_BOARD_PX} x {_BOARD_PX} pixels", fill=_INK, font=font)
    for place, size in enumerate(_SIZES, 1):
        part = _BOARD_PX // size
        seen = whole.resize((size, size), Image.Resampling.BOX)
        tile = seen.crop((left // part, top // part, (left + _AROUND_PX) // part, (top + _AROUND_PX) // part))
        x = place * (_TILE + _GAP)
        picture.paste(tile.resize((_TILE, _TILE), Image.Resampling.NEAREST), (x, 0))
        zoom = _TILE / _AROUND_PX
        around = [x + (box[0] - left) * zoom, (box[1] - top) * zoom, x + (box[2] - left) * zoom, (box[3] - top) * zoom]
        pen.rectangle(around, outline=_RED, width=2)
        text = f"image_size: {size}, defect {(box[2] - box[0]) / part:.0f} x {(box[3] - box[1]) / part:.0f} px"
        pen.text((x, _TILE + 6), text, fill=_INK, font=font)
    return picture


def levels_picture() -> Image.Image:
    """Draw the locations of each level; those that learn a box have its colour."""
    shapes = [(_HEIGHT // stride, _WIDTH // stride) for stride in _STRIDES]
    locations = locate(shapes, _STRIDES, 0.5, torch.device("cpu"))
    boundaries = tuple(8.0 * stride for stride in _STRIDES[:-1])
    rule = Gt2FCOSTarget(object_sizes_boundary=boundaries, center_sampling_radius=1.5, downsample_ratios=_STRIDES)
    learnt = assign(locations, [torch.tensor([box for box, _ in _BOXES])], [torch.arange(len(_BOXES))], rule).classes[0]
    picture = Image.new("RGB", (len(_STRIDES) * (_WIDTH + _GAP) - _GAP, _HEIGHT + _TEXT), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    for level, stride in enumerate(_STRIDES):
        left = level * (_WIDTH + _GAP)
        pen.rectangle([left, 0, left + _WIDTH - 1, _HEIGHT - 1], fill=(244, 245, 246))
        here = locations.levels == level
        found = set(learnt[here].tolist())
        for number, (box, colour) in enumerate(_BOXES):
            _rectangle(pen, (left + box[0], box[1], left + box[2], box[3]), colour, dashed=number not in found)
        for (x, y), number in zip(locations.points[here].tolist(), learnt[here].tolist(), strict=True):
            radius, colour = (1, "#a8aeb4") if number == BACKGROUND else (2 + stride / 12, _BOXES[number][1])
            pen.ellipse([left + x - radius, y - radius, left + x + radius, y + radius], fill=colour)
        pen.text((left, _HEIGHT + 6), f"stride {stride}: {_distances(level)}", fill=_INK, font=font)
    return picture


def _distances(level: int) -> str:
    low, high = 8 * _STRIDES[level - 1], 8 * _STRIDES[level]
    if level == 0:
        return f"farthest side up to {high} px away"
    return f"farthest side {low} to {high} px away" if level < len(_STRIDES) - 1 else f"farthest side over {low} px away"


def boxes_picture() -> Image.Image:
    """Draw a small and a large object, each with a box that is off to the right by the same number of pixels, and their IoU."""
    picture = Image.new("RGB", (560, 128 + 2 * 8 + _TEXT), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    for left, side, zoom in ((8, 16, 8), (288, 64, 2)):
        end, off = side * zoom, _OFF_PX * zoom
        pen.ellipse([left, 8, left + end, 8 + end], fill=(215, 219, 223))
        _rectangle(pen, (left, 8, left + end, 8 + end), "#2ca02c", dashed=False)
        _rectangle(pen, (left + off, 8, left + end + off, 8 + end), "#d62728", dashed=True)
        iou = (side - _OFF_PX) / (side + _OFF_PX)
        pen.text((left, end + 20), f"{side} px wide, box {_OFF_PX} px off: IoU {iou:.2f}", fill=_INK, font=font)
    return picture


def _rectangle(pen: ImageDraw.ImageDraw, box: Box, colour: str, *, dashed: bool) -> None:
    """Draw the outline of `box`, xyxy in pixels of the picture."""
    if not dashed:
        pen.rectangle(box, outline=colour, width=2)
        return
    x1, y1, x2, y2 = box
    for start in range(int(x1), int(x2), 7):
        for y in (y1, y2):
            pen.line([start, y, min(start + 4, x2), y], fill=colour, width=2)
    for start in range(int(y1), int(y2), 7):
        for x in (x1, x2):
            pen.line([x, start, x, min(start + 4, y2)], fill=colour, width=2)


def main() -> int:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description="Write the pictures of docs/your-own-photos.md.")
    parser.add_argument("--output", type=Path, default=IMAGES, help="default: docs/images")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    for name, picture in (("image-size", image_size_picture()), ("levels", levels_picture()), ("boxes", boxes_picture())):
        picture.quantize(128).save(output / f"{name}.png", optimize=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
