"""The six defects of the article's data set, drawn into the copper and hole masks. Boxes come from the pixels that
changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw

from runner.data.synthetic.board import SUPER, Board
from runner.data.synthetic.dice import Dice

CLASSES = ("missing_hole", "mouse_bite", "open_circuit", "short", "spur", "spurious_copper")
_ROOT_HALF = 0.7071067811865476
_TRIES = 8

Box = tuple[int, int, int, int]


@dataclass(slots=True)
class Masks:
    """Masks at `SUPER` times the picture's size, mode L: copper, and the holes drilled through it."""

    copper: Image.Image
    holes: Image.Image


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on a straight piece of trace: a point, the unit vector along the trace, the trace's width, and its
    net.
    """

    x: float
    y: float
    ux: float
    uy: float
    width: float
    net: int


def add_defects(dice: Dice, board: Board, masks: Masks, number: int) -> list[tuple[int, Box]]:
    """Draw up to `number` defects, apart from each other, into `masks`.

    Returns:
        (class index, box) a defect; boxes are xyxy in picture pixels, inside the picture: the changed pixels and a
        margin of 3 px. Fewer than `number` where the layout has no place left.
    """
    found: list[tuple[int, Box]] = []
    spots = _spots(board)
    for _ in range(number):
        for class_index in dice.shuffled(range(len(CLASSES))):
            box = _try(dice, board, masks, spots, CLASSES[class_index], [box for _, box in found])
            if box is not None:
                found.append((class_index, box))
                break
    return found


def _try(dice: Dice, board: Board, masks: Masks, spots: list[Spot], name: str, taken: list[Box]) -> Box | None:
    """Try some places for a defect; keep the first whose box is of a visible size, inside the picture and clear of
    the others.
    """
    draw = _DRAWERS[name]
    layer = masks.holes if name == "missing_hole" else masks.copper
    for _ in range(_TRIES):
        before = layer.copy()
        if not draw(dice, board, masks, spots):
            continue
        changed = ImageChops.difference(before, layer).getbbox()
        box = None if changed is None else _with_margin(changed)
        if box is not None and _acceptable(box, board.size, taken):
            return box
        layer.paste(before)
    return None


def _with_margin(changed: Box) -> Box:
    margin = 3
    x1, y1, x2, y2 = changed
    return x1 // SUPER - margin, y1 // SUPER - margin, -(-x2 // SUPER) + margin, -(-y2 // SUPER) + margin


def _acceptable(box: Box, size: int, taken: list[Box]) -> bool:
    x1, y1, x2, y2 = box
    if x1 < 1 or y1 < 1 or x2 > size - 1 or y2 > size - 1 or min(x2 - x1, y2 - y1) < 10 or max(x2 - x1, y2 - y1) < 12:
        return False
    return all(x2 + 3 < a1 or a2 + 3 < x1 or y2 + 3 < b1 or b2 + 3 < y1 for a1, b1, a2, b2 in taken)


def _spots(board: Board) -> list[Spot]:
    """Return the middle of every step of every trace, clear of pads."""
    spots: list[Spot] = []
    for trace in board.traces:
        for one, other in zip(trace.nodes, trace.nodes[1:], strict=False):
            (ax, ay), (bx, by) = board.place(one), board.place(other)
            scale = _ROOT_HALF if one[0] != other[0] and one[1] != other[1] else 1.0
            ux, uy = (other[0] - one[0]) * scale, (other[1] - one[1]) * scale
            if one in board.pad_nodes and other in board.pad_nodes:
                continue
            # away from a pad at one end
            shift = board.pitch * (0.2 if one in board.pad_nodes else -0.2 if other in board.pad_nodes else 0.0)
            spots.append(Spot((ax + bx) / 2 + ux * shift, (ay + by) / 2 + uy * shift, ux, uy, trace.width, trace.net))
    return spots


def _missing_hole(dice: Dice, board: Board, masks: Masks, spots: list[Spot]) -> bool:
    holes = [pad for pad in board.pads if pad.hole]
    if not holes:
        return False
    pad = dice.pick(holes)
    reach = pad.hole + 2
    box = (pad.x - reach, pad.y - reach, pad.x + reach, pad.y + reach)
    ImageDraw.Draw(masks.holes).ellipse(box, fill=0)
    return True


def _mouse_bite(dice: Dice, board: Board, masks: Masks, spots: list[Spot]) -> bool:
    if not spots:
        return False
    spot = dice.pick(spots)
    side = dice.pick((-1.0, 1.0))
    nx, ny = -spot.uy * side, spot.ux * side
    draw = ImageDraw.Draw(masks.copper)
    depth = spot.width * dice.between(0.55, 0.8)
    length = board.pitch * dice.between(0.22, 0.4)
    for shift in (-0.6, 0.0, 0.6):  # three overlapping circles make a ragged bite
        radius = depth * dice.between(0.75, 1.0) * (1.0 if shift == 0.0 else 0.8)
        _disc(
            draw,
            spot.x + nx * spot.width / 2 + spot.ux * length * shift,
            spot.y + ny * spot.width / 2 + spot.uy * length * shift,
            radius,
            0,
        )
    return True


def _open_circuit(dice: Dice, board: Board, masks: Masks, spots: list[Spot]) -> bool:
    if not spots:
        return False
    spot = dice.pick(spots)
    half = board.pitch * dice.between(0.16, 0.32)
    reach = spot.width / 2 + 2
    nx, ny = -spot.uy, spot.ux
    skew = half * dice.between(-0.5, 0.5)
    corners = [
        (
            spot.x + spot.ux * (along * half + across * skew) + nx * across * reach,
            spot.y + spot.uy * (along * half + across * skew) + ny * across * reach,
        )
        for along, across in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    draw = ImageDraw.Draw(masks.copper)
    draw.polygon(corners, fill=0)
    return True


def _short(dice: Dice, board: Board, masks: Masks, spots: list[Spot]) -> bool:
    """Return a bridge between two lattice neighbours that belong to different nets."""
    pairs = [
        (node, other)
        for node, net in board.owner.items()
        if net > 0 and node not in board.pad_nodes
        for other in ((node[0] + 1, node[1]), (node[0], node[1] + 1))
        if board.owner.get(other, -1) > 0 and board.owner[other] != net and other not in board.pad_nodes
    ]
    if not pairs:
        return False
    one, other = dice.pick(pairs)
    (ax, ay), (bx, by) = board.place(one), board.place(other)
    draw = ImageDraw.Draw(masks.copper)
    width = board.pitch * dice.between(0.24, 0.46)
    slip = board.pitch * dice.between(-0.3, 0.3)
    dx, dy = (slip, 0.0) if ax == bx else (0.0, slip)
    bend = board.pitch * dice.between(-0.1, 0.1)
    middle = ((ax + bx) / 2 + dx + (bend if dx else 0.0), (ay + by) / 2 + dy + (bend if dy else 0.0))
    draw.line([(ax + dx, ay + dy), middle, (bx + dx, by + dy)], fill=255, width=round(width))
    _disc(draw, middle[0], middle[1], width * dice.between(0.5, 0.7), 255)
    return True


def _spur(dice: Dice, board: Board, masks: Masks, spots: list[Spot]) -> bool:
    if not spots:
        return False
    spot = dice.pick(spots)
    side = dice.pick((-1.0, 1.0))
    nx, ny = -spot.uy * side, spot.ux * side
    start = spot.width / 2
    length = board.pitch * dice.between(0.3, 0.6)
    half = board.pitch * dice.between(0.12, 0.2)
    slant = board.pitch * dice.between(-0.15, 0.15)
    tip = (spot.x + nx * (start + length) + spot.ux * slant, spot.y + ny * (start + length) + spot.uy * slant)
    if not _clear(masks.copper, tip, half + 3):
        return False
    base = [
        (spot.x + nx * (start - 1) + spot.ux * half * 1.5 * end, spot.y + ny * (start - 1) + spot.uy * half * 1.5 * end) for end in (-1, 1)
    ]
    cap = [(tip[0] + spot.ux * half * end, tip[1] + spot.uy * half * end) for end in (1, -1)]
    draw = ImageDraw.Draw(masks.copper)
    draw.polygon(base + cap, fill=255)
    _disc(draw, tip[0], tip[1], half, 255)
    return True


def _spurious_copper(dice: Dice, board: Board, masks: Masks, spots: list[Spot]) -> bool:
    side = board.size * SUPER
    x, y = dice.between(0.05, 0.95) * side, dice.between(0.05, 0.95) * side
    radius = board.pitch * dice.between(0.22, 0.42)
    for _ in range(12):  # free places are few on a full board
        if _clear(masks.copper, (x, y), radius * 1.35 + 3):
            break
        x, y = dice.between(0.05, 0.95) * side, dice.between(0.05, 0.95) * side
    else:
        return False
    draw = ImageDraw.Draw(masks.copper)
    for _ in range(dice.whole(3, 5)):
        _disc(
            draw,
            x + radius * dice.between(-0.5, 0.5),
            y + radius * dice.between(-0.5, 0.5),
            radius * dice.between(0.5, 0.85),
            255,
        )
    return True


def _clear(copper: Image.Image, centre: tuple[float, float], reach: float) -> bool:
    """Return whether no copper lies in the square of half side `reach` around `centre`."""
    x, y = centre
    return copper.crop((int(x - reach), int(y - reach), int(x + reach) + 1, int(y + reach) + 1)).getbbox() is None


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, value: int) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=value)


_DRAWERS: dict[str, Callable[[Dice, Board, Masks, list[Spot]], bool]] = {
    "missing_hole": _missing_hole,
    "mouse_bite": _mouse_bite,
    "open_circuit": _open_circuit,
    "short": _short,
    "spur": _spur,
    "spurious_copper": _spurious_copper,
}
