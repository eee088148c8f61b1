"""Two data sets made of photographs that come inside Python packages, to try what a new user does with photos of their own.

    pip install scikit-image scikit-learn
    python -m tools.photo_sets FOLDER

FOLDER/small is a YOLO set (``data.yaml``, 320 photos of 480 × 360 pixels, objects of 6 to 20 px); FOLDER/large is a Pascal VOC set (240
photos of 400 × 300 or 300 × 400 pixels, objects of 30 to 80 % of the image). Each has three classes, cut out of one photograph each, pasted
in changing size, angle and light onto parts of other photographs. The photographs are sample data of scikit-image (grass, gravel, brick,
motorcycle, moon, coins, coffee, chelsea, astronaut, rocket, …) and scikit-learn (china, flower).
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

Box = tuple[int, int, int, int]

_CUTS = {  # class → (photograph, box around the object)
    "cat": ("chelsea.png", (90, 20, 330, 280)),
    "cup": ("coffee.png", (160, 50, 430, 330)),
    "face": ("astronaut.png", (150, 10, 300, 210)),
    "flower": ("flower.jpg", (255, 130, 530, 400)),
    "coin": ("coins.png", (33, 20, 96, 90)),
}
_BACKGROUNDS = (
    "grass.png",
    "gravel.png",
    "brick.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "moon.png",
    "china.jpg",
    "rocket.jpg",
)


def photograph(name: str) -> Image.Image:
    """Open a photograph of one of the two packages."""
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        spec = find_spec(package)
        path = Path(next(iter(spec.submodule_search_locations or ()), "")) / folder / name if spec else None
        if path is not None and path.is_file():
            return Image.open(path).convert("RGB")
    raise SystemExit(f"no photograph {name}: pip install scikit-image scikit-learn")


def cut_out(name: str) -> Image.Image:
    """Cut an object out of its photograph: an ellipse with a soft edge."""
    file, box = _CUTS[name]
    part = photograph(file).crop(box)
    mask = Image.new("L", part.size, 0)
    ImageDraw.Draw(mask).ellipse((2, 2, part.width - 3, part.height - 3), fill=255)
    part.putalpha(mask.filter(ImageFilter.GaussianBlur(1.5)))
    return part


def background(numbers: random.Random, photographs: list[Image.Image], size: tuple[int, int]) -> Image.Image:
    """Cut a random part out of a random photograph, mirrored or not, in another light."""
    photo = numbers.choice(photographs)
    share = numbers.uniform(0.4, 1.0) * min(photo.width / size[0], photo.height / size[1])
    width, height = int(size[0] * share), int(size[1] * share)
    x, y = numbers.randrange(photo.width - width + 1), numbers.randrange(photo.height - height + 1)
    part = photo.crop((x, y, x + width, y + height)).resize(size, Image.Resampling.BICUBIC)
    if numbers.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return ImageEnhance.Brightness(part).enhance(numbers.uniform(0.6, 1.2))


def paste(numbers: random.Random, photo: Image.Image, thing: Image.Image, longer_px: int, taken: list[Box]) -> Box | None:
    """Paste `thing` where nothing else is, its longer side `longer_px` before it is turned; return its box, or None if there is no room."""
    scale = longer_px / max(thing.size)
    small = thing.resize((max(3, round(thing.width * scale)), max(3, round(thing.height * scale))), Image.Resampling.LANCZOS)
    turned = small.rotate(numbers.uniform(-25, 25), Image.Resampling.BICUBIC, expand=True)
    around = turned.getchannel("A").point(lambda alpha: 255 * (alpha > 96)).getbbox()
    if around is None:
        return None
    turned = turned.crop(around)
    light = ImageEnhance.Brightness(turned).enhance(numbers.uniform(0.75, 1.25))
    light.putalpha(turned.getchannel("A"))
    if turned.width >= photo.width or turned.height >= photo.height:
        return None
    for _ in range(30):
        x, y = numbers.randrange(photo.width - turned.width), numbers.randrange(photo.height - turned.height)
        box = (x, y, x + turned.width, y + turned.height)
        if all(box[2] < other[0] or other[2] < box[0] or box[3] < other[1] or other[3] < box[1] for other in taken):
            photo.paste(light, (x, y), light)
            return box
    return None


def make(
    folder: Path,
    classes: tuple[str, ...],
    count: int,
    sizes: tuple[tuple[int, int], ...],
    objects: tuple[int, int],
    longer_px: Callable[[random.Random, tuple[int, int]], int],
    write: Callable[[Path, str, tuple[int, int], list[tuple[str, Box]]], None],
) -> None:
    """Make `count` photos, named ``0000.jpg`` and so on, and the annotations that `write` writes for each."""
    numbers = random.Random(11)
    photographs = [photograph(name) for name in _BACKGROUNDS]
    things = {name: cut_out(name) for name in classes}
    for index in range(count):
        size = numbers.choice(sizes)
        photo, found = background(numbers, photographs, size), list[tuple[str, Box]]()
        for _ in range(numbers.randint(*objects)):
            name = numbers.choice(classes)
            box = paste(numbers, photo, things[name], longer_px(numbers, size), [other for _, other in found])
            if box is not None:
                found.append((name, box))
        write(folder, f"{index:04}", size, found)
        images = folder / ("JPEGImages" if (folder / "JPEGImages").is_dir() else f"images/{split_of(f'{index:04}')}")
        photo.save(images / f"{index:04}.jpg", quality=92)


def split_of(name: str) -> str:
    """Return the YOLO set's split of a photo: every fifth is for validation."""
    return "val" if int(name) % 5 == 4 else "train"


def write_yolo(classes: tuple[str, ...]) -> Callable[[Path, str, tuple[int, int], list[tuple[str, Box]]], None]:
    """Return a writer of YOLO's label files."""

    def write(folder: Path, name: str, size: tuple[int, int], found: list[tuple[str, Box]]) -> None:
        lines = []
        for label, (x1, y1, x2, y2) in found:
            centre = ((x1 + x2) / 2 / size[0], (y1 + y2) / 2 / size[1], (x2 - x1) / size[0], (y2 - y1) / size[1])
            lines.append(" ".join([str(classes.index(label)), *(f"{value:.6f}" for value in centre)]))
        (folder / "labels" / split_of(name) / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    return write


def write_voc(folder: Path, name: str, size: tuple[int, int], found: list[tuple[str, Box]]) -> None:
    """Write a Pascal VOC annotation."""
    objects = "".join(
        f"<object><name>{escape(label)}</name><difficult>0</difficult><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for label, (x1, y1, x2, y2) in found
    )
    head = f"<filename>{name}.jpg</filename><size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    (folder / "Annotations" / f"{name}.xml").write_text(f"<annotation>{head}{objects}</annotation>\n", encoding="utf-8")


def main(folder: Path) -> None:
    """Make both sets in `folder`."""
    small, large = folder / "small", folder / "large"
    for path in (
        *(small / kind / split for kind in ("images", "labels") for split in ("train", "val")),
        large / "JPEGImages",
        large / "Annotations",
    ):
        path.mkdir(parents=True)
    tiny = ("flower", "coin", "cup")
    names = "\n".join(f"  {index}: {name}" for index, name in enumerate(tiny))
    (small / "data.yaml").write_text(f"path: .\ntrain: images/train\nval: images/val\nnames:\n{names}\n", encoding="utf-8")
    make(small, tiny, 320, ((480, 360),), (4, 12), lambda numbers, _: numbers.randint(7, 20), write_yolo(tiny))
    make(
        large,
        ("cat", "cup", "face"),
        240,
        ((400, 300), (300, 400)),
        (1, 2),
        lambda numbers, size: int(min(size) * numbers.uniform(0.35, 0.8)),
        write_voc,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
