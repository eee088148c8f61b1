"""Files that `runner predict` writes: a line per finished image while it works, and what is made of them."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.core.errors import InputError, Problem
from runner.core.files import atomic_open, atomic_write_text, blocked_by, numbered_lines, open_if_there, open_lines, parse_json
from runner.data.image_files import is_video
from runner.evaluation.draw import draw_boxes

SAVED: Final = ("images", "json", "csv", "yolo")
JOURNAL: Final = "predictions.jsonl"
_COLUMNS: Final = ("image", "frame", "time_s", "class", "score", "x", "y", "width", "height")


class Box(NamedTuple):
    """A detection.

    Args:
        label: index of its class.
        name: of its class.
        score: 0 to 1.
        bbox: x, y, width, height in pixels of the stored image; it may reach beyond the image.
    """

    label: int
    name: str
    score: float
    bbox: tuple[float, float, float, float]

    def to_json(self) -> dict[str, Any]:
        """Return the detection as in predictions.json."""
        return {"class": self.name, "score": self.score, "bbox": list(self.bbox)}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides the predictions in a folder, besides the images: a call with others does not continue them.

    Args:
        model: SHA-256 of the checkpoint or exported file.
        score_threshold: lowest score.
        tile_px, overlap: see `runner.data.tiles`; None: no tiles.
        every: frames of a video, see `runner.data.video`.
        save: kinds of files, of `SAVED`.
    """

    model: str
    score_threshold: float
    tile_px: int | None = None
    overlap: float = 0.2
    every: int = 1
    save: tuple[str, ...] = ("images", "json")


class PredictionFiles:
    """The files in the folder of a prediction. predictions.jsonl is the truth: its first line has the settings, each further one an image
    or a frame. An image counts as done once its line is there; whatever else is saved of it is written before.

    Args:
        folder: made with the first file.
        settings: of this call.
        images: images and videos, each once.
        force: begin anew, and overwrite.

    Raises:
        InputError: the folder cannot be written, has predictions with other settings or other files of the same names (unless `force`),
            or two images would have one output file.
    """

    def __init__(self, folder: Path, settings: Settings, images: Sequence[Path], *, force: bool = False) -> None:
        self.folder, self.settings = folder, settings
        self.classes: Sequence[str] = ()
        """Names in the order of the model's outputs, set before the first image is added."""
        self.journal = folder / JOURNAL
        self._names = _output_names(images, folder)
        if (blocking := blocked_by(folder)) is not None:
            raise InputError(Problem("is not a folder that can be written; give another one to --output", where=str(blocking)))
        self._done = {} if force else self._read_done()
        self._is_new = force or not self.journal.exists()
        if not force:
            self._refuse_overwriting(images)
        self._lines: Any = None

    def is_done(self, image: Path) -> bool:
        """Return whether an image has been predicted on, and has not changed since."""
        return self._done.get(_identity(image)) == _stamp(image)

    def picture(self, image: Path) -> Path:
        """Return the file of the drawn image or video."""
        suffix = (".avi" if image.suffix.lower() == ".avi" else ".mp4") if is_video(image) else ".png"
        return self.folder / f"{self._names[image]}{suffix}"

    def add(self, image: Path, size: tuple[int, int], boxes: Sequence[Box], picture: NDArray[np.uint8] | None = None) -> None:
        """Write the files of an image, then its line.

        Args:
            size: width and height in pixels.
            picture: UInt8[H, W, 3], the drawn image, where it is saved.
        """
        self._open()
        if picture is not None:
            file = io.BytesIO()
            Image.fromarray(picture).save(file, format="PNG")
            with atomic_open(self.picture(image), durable=False) as target:
                target.write(file.getbuffer())
        self._label(self._names[image], size, boxes)
        self._append({"image": str(image), "stamp": _stamp(image), "boxes": [box.to_json() for box in boxes]})

    def add_frame(self, video: Path, number: int, time_s: float, size: tuple[int, int], boxes: Sequence[Box]) -> None:
        """Write the files of a video's frame, then its line."""
        self._open()
        self._label(f"{self._names[video]}_{number:06d}", size, boxes)
        self._append({"image": str(video), "frame": number, "time_s": round(time_s, 6), "boxes": [box.to_json() for box in boxes]})

    def end_video(self, video: Path) -> None:
        """Write that all frames of a video are there."""
        self._open()
        self._append({"image": str(video), "stamp": _stamp(video)})

    def finish(self) -> None:
        """Make predictions.json and predictions.csv of the lines."""
        self.close()
        if not self.journal.exists():
            return
        index = self._index()
        if "json" in self.settings.save:
            with atomic_open(self.folder / "predictions.json") as file:
                for part in self._json_parts(index):
                    file.write(part.encode("utf-8", "replace"))
        if "csv" in self.settings.save:
            with atomic_open(self.folder / "predictions.csv") as file:
                text = io.TextIOWrapper(file, "utf-8", "replace", newline="")
                table = csv.writer(text)
                table.writerow(_COLUMNS)
                table.writerows(self._rows(index))
                text.detach()  # writes what is left

    def close(self) -> None:
        """Close the lines; `add` opens them again."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def _open(self) -> None:
        if self._lines is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if "yolo" in self.settings.save:
            (self.folder / "labels").mkdir(exist_ok=True)
            atomic_write_text(self.folder / "classes.txt", "".join(f"{name}\n" for name in self.classes))
        if self._is_new:
            atomic_write_text(self.journal, _line({"settings": asdict(self.settings)}))
            self._is_new = False
        self._lines = open_lines(self.journal)

    def _append(self, entry: Mapping[str, Any]) -> None:
        self._lines.write(_line(entry).encode("utf-8", "replace"))  # a file name need not be text

    def _label(self, name: str, size: tuple[int, int], boxes: Iterable[Box]) -> None:
        """Write YOLO's labels of an image: class, centre and size as shares of the image's; clipped to it."""
        if "yolo" not in self.settings.save:
            return
        lines = []
        for box in boxes:
            x, y, width, height = box.bbox
            left, right = (min(max(value, 0.0), size[0]) / size[0] for value in (x, x + width))
            top, bottom = (min(max(value, 0.0), size[1]) / size[1] for value in (y, y + height))
            if right > left and bottom > top:
                numbers = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
                lines.append(f"{box.label} {' '.join(f'{number:.6f}' for number in numbers)}\n")
        atomic_write_text(self.folder / "labels" / f"{name}.txt", "".join(lines), durable=False)

    def _read_done(self) -> dict[str, list[int]]:
        """Read which images are done, with their stamps. Raises InputError: the lines there were made with other settings."""
        found: dict[str, list[int]] = {}
        settings = None
        for _, entry in self._entries():
            if settings is None:
                settings = entry.get("settings")
                if settings != json.loads(json.dumps(asdict(self.settings))):
                    raise self._other_settings(settings)
            elif "stamp" in entry:
                found[_identity(Path(entry["image"]))] = entry["stamp"]
        if settings is None and self.journal.exists():
            raise self._other_settings(None)
        return found

    def _other_settings(self, settings: Any) -> InputError:
        here = json.loads(json.dumps(asdict(self.settings)))
        there = settings if isinstance(settings, dict) else {}
        differing = [
            f"{_SHOWN.get(key, key)} {_short(there.get(key))}, now {_short(value)}"
            for key, value in here.items()
            if there.get(key) != value
        ]
        advice = "they would be overwritten; give another --output folder, or --force to begin anew"
        return InputError(
            Problem(f"has predictions that were made with other settings ({'; '.join(differing)}): {advice}", where=str(self.folder))
        )

    def _refuse_overwriting(self, images: Iterable[Path]) -> None:
        own = self._done.keys()
        there = [
            str(file)
            for image in images
            if "images" in self.settings.save and _identity(image) not in own and (file := self.picture(image)).exists()
        ]
        if not own:
            there += [str(file) for name in ("predictions.json", "predictions.csv", "labels") if (file := self.folder / name).exists()]
        if there:
            raise InputError(f"{', '.join(there[:3])} would be overwritten; give another --output folder, or --force")

    def _entries(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the lines of the journal with their offsets, without torn and damaged ones."""
        file = open_if_there(self.journal)
        if file is None:
            return
        with file:
            offset = 0
            for line in numbered_lines(file, limit=_MAX_LINE_BYTES):
                try:
                    entry = parse_json(line or b"")
                except ValueError:
                    entry = None
                if isinstance(entry, dict):
                    yield offset, entry
                offset = file.tell()

    def _index(self) -> dict[str, list[int]]:
        """Return the offsets of the lines of each image, in the order of the images; of lines that were superseded, the last ones."""
        found: dict[str, list[int]] = defaultdict(list)
        for offset, entry in self._entries():
            if "boxes" in entry:
                if not entry.get("frame"):
                    found[entry["image"]].clear()
                found[entry["image"]].append(offset)
        return found

    def _read(self, index: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        with open(self.journal, "rb") as file:
            for image, offsets in index.items():
                entries = []
                for offset in offsets:
                    file.seek(offset)
                    entries.append(parse_json(file.readline()))
                yield image, entries

    def _json_parts(self, index: Mapping[str, Sequence[int]]) -> Iterator[str]:
        separator = "{\n "
        for image, entries in self._read(index):
            is_still = "frame" not in entries[0]
            frames = [{key: entry[key] for key in ("frame", "time_s", "boxes")} for entry in entries if "frame" in entry]
            value = entries[0]["boxes"] if is_still else frames
            yield f"{separator}{json.dumps(image, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
            separator = ",\n "
        yield "\n}\n" if index else "{}\n"

    def _rows(self, index: Mapping[str, Sequence[int]]) -> Iterator[tuple[Any, ...]]:
        for image, entries in self._read(index):
            for entry in entries:
                for box in entry["boxes"]:
                    yield (image, entry.get("frame", ""), entry.get("time_s", ""), box["class"], box["score"], *box["bbox"])


_MAX_LINE_BYTES: Final = 1 << 24
"""Largest line: an image of many tiles may have 100,000 boxes."""
_SHOWN: Final = {"score_threshold": "--score-threshold", "tile_px": "--tile", "overlap": "--overlap", "every": "--every", "save": "--save"}


def draw_found(pixels: NDArray[np.uint8], boxes: Sequence[Box], classes: Sequence[str], *, factor: float = 1.0) -> NDArray[np.uint8]:
    """Draw detections on an image that is smaller than the stored one by `factor`, UInt8[H, W, 3]."""
    entries = [{"category_id": box.label, "score": box.score, "bbox": [side / factor for side in box.bbox]} for box in boxes]
    return draw_boxes(pixels, [], entries, classes, 0.0)


def _output_names(images: Sequence[Path], folder: Path) -> dict[Path, str]:
    """Map each image to the name of its output files without suffix: ``a`` for ``a.jpg``, or ``a.jpg`` and ``a.tif`` where there are both.

    Raises:
        InputError: two images would have one output file.
    """
    stems = Counter(image.stem for image in images)
    names = {image: image.stem if stems[image.stem] == 1 else image.name for image in images}
    sources: dict[str, list[Path]] = defaultdict(list)
    for image, name in names.items():
        sources[name].append(image)
    text = "the picture of each would be {}; predict them into different --output folders"
    same = [
        Problem(text.format(folder / f"{name}.png"), where=" and ".join(map(str, each))) for name, each in sources.items() if len(each) > 1
    ]
    if same:
        raise InputError(same)
    return names


def _identity(image: Path) -> str:
    return os.path.abspath(image)


def _stamp(image: Path) -> list[int]:
    """Return the size in bytes and the time of change of a file; a changed image is predicted on again."""
    try:
        found = image.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)[:12]


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
