"""Charts of an evaluation from eval.json alone, drawn with Pillow: confusion matrix, precision-recall curves, error types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw

from runner.core.text import printable
from runner.data.colours import CLASS_COLOURS, GREY, INK, LINE, PAPER, Colour, class_colour
from runner.data.fonts import fit, font

_SCALE = 2
"""Pixels of a file per unit of the drawing, for sharp text on any screen."""
_FINE = 2
"""Lines are drawn as much larger and reduced, which smoothes them."""
_MARGIN, _HEAD = 28, 84
_MOST_CLASSES = 24
_BLUE: Final[Colour] = (33, 86, 140)
_RED: Final[Colour] = (178, 62, 38)
_ERRORS: Final = {
    "cls": ("wrong class", "well placed, but another class"),
    "loc": ("badly placed", "right class, overlap between 0.1 and 0.5"),
    "both": ("both", "wrong class and badly placed"),
    "dupe": ("found twice", "the box has a better detection already"),
    "bkg": ("nothing there", "overlaps no annotated box"),
    "miss": ("missed", "an annotated box that nothing found"),
}
"""Key in eval.json to a short name and an explanation."""


class _Sheet:
    """A white sheet with a title; lengths are units of the drawing."""

    def __init__(self, width: float, height: float, title: str, subtitle: str) -> None:
        self._zoom = _SCALE * _FINE
        self._picture = Image.new("RGB", (round(width * self._zoom), round(height * self._zoom)), PAPER)
        self.pen = ImageDraw.Draw(self._picture)
        self.text((_MARGIN, 20), title, size=24, width=width - 2 * _MARGIN)
        self.text((_MARGIN, 52), subtitle, size=14, colour=GREY, width=width - 2 * _MARGIN)

    def text(
        self, at: tuple[float, float], text: str, *, size: float = 14, colour: Colour = INK, anchor: str = "la", width: float = 0.0
    ) -> None:
        """Write one line; with `width` it is shortened to that."""
        used = font(round(size * self._zoom), printable(text))
        shown = fit(self.pen, printable(text), used, width * self._zoom) if width else printable(text)
        self.pen.text(self._at(*at), shown, fill=colour, font=used, anchor=anchor)

    def upright(self, at: tuple[float, float], text: str, *, size: float, length: float) -> None:
        """Write a line that is read from below, starting at `at`, shortened to `length`."""
        used = font(round(size * self._zoom), printable(text))
        shown = fit(self.pen, printable(text), used, length * self._zoom)
        box = self.pen.textbbox((0, 0), shown, font=used, anchor="ls")
        line = Image.new("L", (round(box[2]) + 2, round(size * self._zoom * 1.4)))
        ImageDraw.Draw(line).text((0, round(size * self._zoom)), shown, fill=255, font=used, anchor="ls")
        turned = line.rotate(90, expand=True)
        x, y = self._at(*at)
        self._picture.paste(Image.new("RGB", turned.size, INK), (round(x) - turned.width // 2, round(y) - turned.height), turned)

    def box(self, area: tuple[float, float, float, float], fill: Colour) -> None:
        """Fill a rectangle."""
        x1, y1, x2, y2 = area
        (left, top), (right, bottom) = self._at(x1, y1), self._at(x2, y2)
        self.pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), fill=fill)

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, width: float = 1.0) -> None:
        """Draw a line through `points`."""
        self.pen.line([self._at(*point) for point in points], fill=colour, width=max(1, round(width * self._zoom)), joint="curve")

    def dot(self, at: tuple[float, float], colour: Colour, radius: float) -> None:
        """Draw a dot with a dark rim."""
        x, y = self._at(*at)
        reach = radius * self._zoom
        self.pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour, outline=INK, width=self._zoom)

    def finished(self) -> Image.Image:
        """Return the picture."""
        return self._picture.reduce(_FINE)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return x * self._zoom, y * self._zoom


def counted_from(confusion: Mapping[str, Any]) -> str:
    """Return which detections the confusion matrix counts, and when one is matched, in words."""
    threshold = confusion["score_threshold"]
    which = f"detections from score {threshold:.3g} (best F1)" if threshold else "all detections"
    return f"{which}, matched from IoU {confusion['iou']:g}"


def draw_confusion(result: Mapping[str, Any], title: str) -> Image.Image:
    """Draw the confusion matrix: a row per annotated class, a column per predicted one, and the count in each cell.

    Args:
        result: what eval.json holds; of more than `_MOST_CLASSES` classes those with the most errors are drawn.
        title: name of what was evaluated.
    """
    confusion = result["confusion"]
    counts = np.array(confusion["matrix"], np.int64)
    shown, total = _most_confused(counts), len(counts) - 1
    kept = [*shown, total]
    names = [str(confusion["names"][index]) for index in shown]
    sums = np.maximum(counts.sum(axis=1), 1)[kept]  # of whole rows, also where not all columns are drawn
    counts = counts[np.ix_(kept, kept)]
    side = len(kept)
    cell = max(30.0, min(76.0, 620.0 / side))
    left, top = 190.0, _HEAD + 126.0
    width = max(left + side * cell + _MARGIN, 620.0)
    rule = counted_from(confusion)
    part = f"; the {len(shown)} of {total} classes with the most errors" if len(shown) < total else ""
    sheet = _Sheet(width, top + side * cell + 54, f"Confusion matrix: {title}", rule + part)
    sheet.text((left - 12, _HEAD + 20), "predicted", size=14, colour=GREY, anchor="rs")
    sheet.text((left - 12, top - 14), "annotated", size=14, colour=GREY, anchor="rs")
    for row in range(side):
        for column in range(side):
            x, y = left + column * cell, top + row * cell
            share = float(counts[row, column] / sums[row])
            fill = _shade(_BLUE if row == column else _RED, share)
            sheet.box((x + 1, y + 1, x + cell - 1, y + cell - 1), fill)
            if row == column == side - 1:
                sheet.box((x + 1, y + 1, x + cell - 1, y + cell - 1), LINE)
            elif counts[row, column]:
                ink = PAPER if share > 0.5 else INK
                size = min(16.0, cell * 0.36)
                sheet.text((x + cell / 2, y + cell / 2), f"{counts[row, column]:,}", size=size, colour=ink, anchor="mm", width=cell)
    size = min(15.0, cell * 0.5)
    for index, name in enumerate([*names, ""]):
        middle = (index + 0.5) * cell
        if index < len(names):
            colour = class_colour(shown[index])
            sheet.box((left - 12, top + middle - cell * 0.3, left - 6, top + middle + cell * 0.3), colour)
            sheet.box((left + middle - cell * 0.3, top - 12, left + middle + cell * 0.3, top - 6), colour)
        sheet.text((left - 18, top + middle), name or "(nothing there)", size=size, anchor="rm", width=left - 18 - 12)
        sheet.upright((left + middle, top - 16), name or "(missed)", size=size, length=102)
    sheet.text((_MARGIN, top + side * cell + 16), "shade: share of the row; blue: right, red: wrong", size=13, colour=GREY)
    return sheet.finished()


def draw_pr_curves(result: Mapping[str, Any], title: str) -> Image.Image:
    """Draw the precision-recall curves at IoU 0.50, the class list with AP50 and best F1, and a dot at each class's best F1.

    Args:
        result: what eval.json holds; of more classes than there are colours those with the lowest AP50 are drawn.
        title: name of what was evaluated.
    """
    curves = result["pr_curves"]
    entries = [(index, entry) for index, entry in enumerate(result["per_class"]) if entry["name"] in curves]
    shown = sorted(sorted(entries, key=lambda item: item[1]["ap50"] or 0.0)[: len(CLASS_COLOURS)])
    part = f"; the {len(shown)} of {len(entries)} classes with the lowest AP50" if len(shown) < len(entries) else ""
    sheet = _Sheet(1010, _HEAD + 560, f"Precision and recall: {title}", f"at IoU 0.5; dot: the class's best F1{part}")
    left, top, side = 82.0, _HEAD + 16.0, 470.0
    for tick in range(0, 11, 2):
        x, y = left + side * tick / 10, top + side * (1 - tick / 10)
        sheet.line([(x, top), (x, top + side)], LINE)
        sheet.line([(left, y), (left + side, y)], LINE)
        sheet.text((x, top + side + 8), f"{tick / 10:.1f}", size=13, colour=GREY, anchor="ma")
        sheet.text((left - 8, y), f"{tick / 10:.1f}", size=13, colour=GREY, anchor="rm")
    sheet.text((left + side / 2, top + side + 28), "recall", size=14, colour=GREY, anchor="ma")
    sheet.upright((30, top + side / 2 + 32), "precision", size=14, length=100)

    def place(index: int, precision: float) -> tuple[float, float]:
        return left + side * index / 100, top + side * (1 - precision)

    for index, entry in shown:
        points = [place(at, value) for at, value in enumerate(curves[entry["name"]]["precision"]) if value > 0]
        if len(points) > 1:
            sheet.line(points, GREY, 3.2)  # a rim, so that a pale colour is visible on paper
            sheet.line(points, class_colour(index), 2.2)
    mean = (result.get("mean_curve") or {}).get("precision") or []
    points = [place(at, value) for at, value in enumerate(mean) if value > 0]
    if len(points) > 1 and len(entries) > 1:
        sheet.line(points, INK, 2.2)
    for index, entry in shown:
        at = _best_f1_at(curves[entry["name"]], entry.get("best_f1_threshold"))
        if at is not None:
            sheet.dot(place(at, curves[entry["name"]]["precision"][at]), class_colour(index), 4.5)
    _list_classes(sheet, (left + side + 36, top), shown, (result["metrics"].get("bbox/AP50"), len(entries)))
    return sheet.finished()


def _list_classes(
    sheet: _Sheet, corner: tuple[float, float], shown: Sequence[tuple[int, Mapping[str, Any]]], mean: tuple[float | None, int]
) -> None:
    """Write the legend: colour, name, boxes, AP50, best F1 and the score where it is reached."""
    x, y = corner
    columns = ((230, "boxes"), (286, "AP50"), (340, "F1"), (396, "at score"))
    for offset, name in columns:
        sheet.text((x + offset, y), name, size=13, colour=GREY, anchor="ra")
    for number, (index, entry) in enumerate(shown):
        at = y + 26 + number * 26
        sheet.box((x, at + 3, x + 14, at + 15), class_colour(index))
        sheet.text((x + 22, at), entry["name"], size=15, width=160)
        values = (f"{entry['boxes']:,}", _number(entry["ap50"]), _number(entry["best_f1"]), _number(entry["best_f1_threshold"]))
        for (offset, _), value in zip(columns, values, strict=True):
            sheet.text((x + offset, at), value, size=15, anchor="ra")
    if mean[1] > 1:
        at = y + 26 + len(shown) * 26 + 8
        sheet.line([(x, at + 9), (x + 14, at + 9)], INK, 2.2)
        sheet.text((x + 22, at), f"mean of {mean[1]} classes", size=15, width=200)
        sheet.text((x + 286, at), _number(mean[0]), size=15, anchor="ra")


def draw_errors(result: Mapping[str, Any], title: str) -> Image.Image:
    """Draw what each type of error costs: AP50 that would be gained without it, and how often it occurs.

    Args:
        result: what eval.json holds. The types are those of TIDE (Bolya et al., arXiv 2008.08115).
        title: name of what was evaluated.
    """
    tide = result["tide"]
    sheet = _Sheet(1010, _HEAD + 470, f"Types of errors: {title}", "AP50 that would be gained if one type of error were repaired (TIDE)")
    left, top, row, length = 400.0, _HEAD + 40.0, 44.0, 400.0
    gains = [*tide["delta_ap"].values(), tide["false_positive"], tide["false_negative"]]
    most = max([1e-6, *gains])
    sheet.text((left + length + 166, top - 28), "count", size=13, colour=GREY, anchor="ra")
    for number, (key, (name, meaning)) in enumerate(_ERRORS.items()):
        y = top + number * row
        sheet.text((_MARGIN, y), name, size=16)
        sheet.text((_MARGIN + 120, y + 2), meaning, size=13, colour=GREY)
        _bar(sheet, (left, y), tide["delta_ap"][key], most, length, _BLUE)
        sheet.text((left + length + 166, y), f"{tide['counts'][key]:,}", size=16, anchor="ra")
    y = top + len(_ERRORS) * row + 10
    sheet.line([(_MARGIN, y), (left + length + 166, y)], LINE)
    totals = (
        ("all false alarms", "detections without a true box", "false_positive"),
        ("all missed boxes", "boxes without a right detection", "false_negative"),
    )
    for number, (name, meaning, key) in enumerate(totals):
        at = y + 16 + number * row
        sheet.text((_MARGIN, at), name, size=16)
        sheet.text((_MARGIN + 144, at + 2), meaning, size=13, colour=GREY, width=left - _MARGIN - 152)
        _bar(sheet, (left, at), tide[key], most, length, GREY)
    return sheet.finished()


def _bar(sheet: _Sheet, at: tuple[float, float], value: float, most: float, length: float, colour: Colour) -> None:
    x, y = at
    sheet.box((x, y, x + max(1.0, length * max(0.0, value) / most), y + 22), colour)
    sheet.text((x + length * max(0.0, value) / most + 8, y), f"{value:+.3f}", size=16)


def _most_confused(counts: np.ndarray[Any, np.dtype[np.int64]]) -> list[int]:
    """Return the classes to draw, in the order of the class list: those with the most errors."""
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    classes = sorted(range(len(counts) - 1), key=lambda index: -int(wrong[index]))
    return sorted(classes[:_MOST_CLASSES])


def _best_f1_at(curve: Mapping[str, Sequence[float]], threshold: float | None) -> int | None:
    """Return the recall, in hundredths, that a class has at `threshold`; None if it has none."""
    if threshold is None:
        return None
    values = enumerate(zip(curve["precision"], curve["score"], strict=True))
    return max((at for at, (precision, score) in values if precision > 0 and score >= threshold), default=None)


def _shade(colour: Colour, share: float) -> Colour:
    """Mix `colour` with white: none of it at 0, all of it at 1."""
    red, green, blue = (round(255 + (channel - 255) * share) for channel in colour)
    return red, green, blue


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
