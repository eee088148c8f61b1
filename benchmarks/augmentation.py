"""Images that one process reads and augments, beside torchvision's v2 transforms: ``python -m benchmarks.augmentation``.

Ours: RandomDistort, RandomExpand, RandomCrop, RandomFlip, Resize to 640 pixels, NormalizeImage, Permute (PP-YOLO's list with defaults).
Theirs: RandomPhotometricDistort, RandomZoomOut, RandomIoUCrop, RandomHorizontalFlip, Resize, ToDtype, Normalize, SanitizeBoundingBoxes, the
way torchvision's detection reference writes it, on tensors. Both read the same JPEG files with Pillow, on one thread. Their probabilities
are set equal: each change of colour, and the expansion, in half of the images. Times
are processor time, which other work on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from runner.backends.torch.samples import Samples, SourceImage
from runner.backends.torch.transforms import schema
from runner.data.synthetic.generate import generate

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FILL = tuple(255 * mean for mean in MEAN)


def sources(folder: Path, count: int) -> list[SourceImage]:
    """Write generated boards of 480 x 640 pixels as JPEG."""
    found = []
    for index in range(count):
        made = generate(1, "train", index, 640)
        path = folder / f"{index}.jpg"
        Image.fromarray(made.pixels[:480]).save(path, quality=92)
        keep = made.boxes[:, 3] <= 480  # noqa: PLR2004 - the height above
        boxes, classes = made.boxes[keep], made.classes[keep]
        if not len(boxes):
            boxes, classes = np.asarray([[200, 150, 420, 330]], dtype=np.float32), np.zeros(1, dtype=np.int64)
        found.append(SourceImage(index, path, (640, 480), boxes, classes))
    return found


def ours(images: list[SourceImage], size: int) -> Callable[[int], object]:
    """Make a function that reads image `number` as a data worker does."""
    transforms: list[schema.SampleTransform] = [
        schema.Decode(),
        schema.RandomDistort(),
        schema.RandomExpand(fill_value=FILL),  # type: ignore[arg-type]
        schema.RandomCrop(),
        schema.RandomFlip(),
        schema.Resize(target_size=size, keep_ratio=False),
        schema.NormalizeImage(mean=MEAN, std=STD),
        schema.Permute(),
    ]
    samples = Samples(images, transforms, [], seed=0)
    return lambda number: samples[[(number // len(images), number)]]


def theirs(images: list[SourceImage], size: int) -> Callable[[int], object]:
    """Make a function that reads image `number` as torchvision's detection reference does."""
    transform = v2.Compose(
        [
            v2.RandomPhotometricDistort(),
            v2.RandomZoomOut(fill={tv_tensors.Image: FILL, "others": 0}),
            v2.RandomIoUCrop(),
            v2.RandomHorizontalFlip(),
            v2.Resize((size, size), antialias=False),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
            v2.ClampBoundingBoxes(),
            v2.SanitizeBoundingBoxes(),
        ]
    )

    def read(number: int) -> object:
        source = images[number % len(images)]
        image = v2.functional.pil_to_tensor(Image.open(source.path).convert("RGB"))
        boxes = tv_tensors.BoundingBoxes(torch.from_numpy(source.boxes), format="XYXY", canvas_size=(480, 640))
        return transform(tv_tensors.Image(image), {"boxes": boxes, "labels": torch.from_numpy(source.classes)})

    return read


def main() -> None:
    """Measure both in turns, and print images per second and the ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=40, help="images per measurement")
    parser.add_argument("--pairs", type=int, default=7, help="measurements of each")
    parser.add_argument("--size", type=int, default=640)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rates: dict[str, list[float]] = {"ours": [], "torchvision": []}
    with tempfile.TemporaryDirectory() as folder:
        images = sources(Path(folder), args.images)
        readers = {"ours": ours(images, args.size), "torchvision": theirs(images, args.size)}
        for read in readers.values():
            read(0)
        for pair in range(args.pairs):
            for name, read in readers.items():
                start = time.process_time()
                for number in range(args.images):
                    read(pair * args.images + number)
                rates[name].append(args.images / (time.process_time() - start))
    ratios = [one / other for one, other in zip(rates["ours"], rates["torchvision"], strict=True)]
    for name, found in rates.items():
        print(f"{name:12} {statistics.median(found):6.1f} images per second of processor time")
    print(f"ratio {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f} over {args.pairs} pairs)")


if __name__ == "__main__":
    main()
