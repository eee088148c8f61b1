"""YOLO label files: "class cx cy w h" per line, in shares of the image; or a polygon, whose box is used; or, where data.yaml has a
``kpt_shape``, a box and its keypoints. A sixth number is a confidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from runner.data.formats.base import Problems, number, read_lines
from runner.data.formats.tree import Tree
from runner.data.notes import Notes

_MOST_SHARE = 2.0
"""A box may extend beyond of its image, see `runner.data.boxes`; larger numbers are pixels."""
_BOX = 5
"""Numbers of a line that is a class and a box; one more is a confidence, and a polygon has an odd number of them."""
_IMAGE_FOLDERS = ("images", "jpegimages")
"""Folders (lower case) that labels/ replaces in a path: Ultralytics' and Darknet's."""
_Row = tuple[int, float, float, float, float, bool]


def label_of(tree: Tree, image: Path) -> Path | None:
    """Find the label file of an image: for ``…/images/a.jpg`` (or ``…/JPEGImages/a.jpg``) it is ``…/labels/a.txt``, or lies beside it."""
    parts = tree.relative(image).split("/")
    for place in range(len(parts) - 2, -1, -1):  # labels replaces the last such folder
        if parts[place].lower() in _IMAGE_FOLDERS:
            label = PurePosixPath(*parts[:place], "labels", *parts[place + 1 :]).with_suffix(".txt")
            if (found := tree.find(tree.root, str(label), quiet=True)) is not None:
                return found
            break
    beside = image.with_suffix(".txt")
    return beside if beside.is_file() else None


def lonely_labels(tree: Tree, used: set[Path]) -> list[Path]:
    """List the label files that are not `used`: text files below a folder named labels, and those beside used ones that look like them."""
    folders = {path.parent for path in used}
    others = [path for path in tree.files({".txt"}) if path not in used and path.name.lower() != "classes.txt"]
    return [
        path for path in others if "labels" in tree.relative(path).lower().split("/")[:-1] or path.parent in folders and _is_label(path)
    ]


def _is_label(path: Path) -> bool:
    lines = read_lines(path)
    try:
        return bool(lines) and len([number(field) for field in lines[0][1].split()]) >= _BOX
    except ValueError:
        return False


def compare_classes(class_files: Iterable[Path], names: tuple[str, ...], file: Path, used: Iterable[Path], problems: Problems) -> None:
    """Find class files that number the classes in another way than `names`, which are from `file`.

    Only those in or above a folder of `used` images and labels count. One that names only the first of the classes agrees: some
    tools write the classes of the images so far.
    """
    folders = {folder for path in used for folder in path.parents}
    for path in class_files:
        own = tuple(line for _, line in read_lines(path))
        shared = min(len(own), len(names))
        if path.parent in folders and own[:shared] != names[:shared]:
            text = f"its classes are {', '.join(own)}; those of {file} are {', '.join(names)}. The numbers in labels mean one or the other"
            problems.add(f"{text}: correct the labels and this file, or remove it if it is not used", path)


class LabelReader:
    """Reader of a source's label files.

    Args:
        classes: how many there are.
        keypoints: how many numbers follow a box; 0: none.
    """

    def __init__(self, tree: Tree, classes: int, keypoints: int, notes: Notes, problems: Problems) -> None:
        self._tree, self._classes, self._keypoints, self._notes, self._problems = tree, classes, keypoints, notes, problems

    def rows(self, label: Path, size: tuple[int, int]) -> list[_Row]:
        """Read the boxes of a label file, in pixels of an image of `size`; wrong lines become problems."""
        rows: list[_Row] = []
        for place, line in read_lines(label):
            try:
                class_index, x1, y1, x2, y2 = self._row(line, f"{self._tree.relative(label)}:{place}: {line}")
            except ValueError as error:
                self._problems.add(str(error), f"{label}:{place}")
            else:
                rows.append((class_index, x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1], False))
        return rows

    def _row(self, line: str, shown: str) -> tuple[int, float, float, float, float]:
        """Return the class, and x1, y1, x2, y2 as shares. Raises ValueError saying what is wrong with the line."""
        try:
            values = [number(field) for field in line.split()]
        except ValueError:
            raise ValueError(f"expected numbers, got {line!r}") from None
        if self._keypoints:
            if len(values) not in (_BOX, _BOX + self._keypoints):
                raise ValueError(f"expected 'class cx cy w h' and {self._keypoints} numbers of keypoints (kpt_shape), got {line!r}")
            if len(values) > _BOX:
                self._notes.add("left out", "keypoints (the boxes are kept)", shown)
            values = values[:_BOX]
        elif len(values) == _BOX + 1 and 0 <= values[-1] <= 1:  # written by a detector
            self._notes.add("left out", "confidences behind the boxes of labels", shown)
            values = values[:_BOX]
        polygon = len(values) > _BOX and len(values) % 2 == 1
        if not (len(values) == _BOX or polygon):
            raise ValueError(f"expected 'class cx cy w h', with or without a confidence, or a polygon; got {line!r}")
        if values[0] != int(values[0]) or not 0 <= values[0] < self._classes:
            raise ValueError(f"class {line.split()[0]} is not in 0 to {self._classes - 1}")
        if max(map(abs, values[1:])) > _MOST_SHARE:
            raise ValueError(f"expected shares of the image, 0 to 1, not pixels, got {line!r}")
        if polygon:
            self._notes.add("changed", "polygons, of which the boxes are taken", shown if len(shown) < 100 else f"{shown[:100]}…")
            xs, ys = values[1::2], values[2::2]
            return int(values[0]), min(xs), min(ys), max(xs), max(ys)
        cx, cy, w, h = values[1:]
        return int(values[0]), cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
