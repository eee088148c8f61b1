"""The pictures in docs/augmentation.md, on a generated board: ``python -m tools.augmentation_pictures``.

Each transform of `EXAMPLES` is applied as it stands in docs/augmentation.md, drawn with its boxes and written to
docs/images/augmentation/NAME.webp, of at most 15 kB.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from runner.backends.base import TrainingImage
from runner.backends.torch.transforms import schema
from runner.backends.torch.transforms.sample import ImageSample, sample_rng
from runner.backends.torch.transforms.steps import apply_steps, build_steps
from runner.data.synthetic.generate import CLASSES, generate
from runner.evaluation.batch_picture import draw_image

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images" / "augmentation"
SIDE_PX, SHOWN_PX, MAX_BYTES = 192, 240, 15_000
BOARDS = (15, 8, 2, 5, 13)
"""Generated boards with three defects each; the first is shown."""


def _torchvision(name: str, **arguments: Any) -> schema.Torchvision:
    cls: type[schema.Torchvision] = schema.torchvision_transforms().declared(name)
    return cls(**arguments)


def examples() -> dict[str, Any]:
    """Map the name of each picture to a transform whose effect can be seen."""
    shorter = schema.RandomShortSideResize(short_side_sizes=(96,))
    crop = schema.RandomSizeCrop(min_size=80, max_size=140)
    return {
        "none": schema.Resize(target_size=SIDE_PX, keep_ratio=False),
        "Resize": schema.Resize(target_size=(128, SIDE_PX), keep_ratio=False),
        "RandomResize": schema.RandomResize(target_size=(96, 128), keep_ratio=False),
        "BatchRandomResize": schema.BatchRandomResize(target_size=(96, 128), keep_ratio=False),
        "RandomShortSideResize": shorter,
        "RandomFlip": schema.RandomFlip(prob=1.0),
        "RandomDistort": schema.RandomDistort(hue=(-18.0, 18.0, 0.0)),
        "RandomExpand": schema.RandomExpand(ratio=2.0, prob=0.0, fill_value=(123.675, 116.28, 103.53)),
        "RandomCrop": schema.RandomCrop(allow_no_crop=False, scaling=(0.3, 0.7)),
        "RandomSizeCrop": crop,
        "RandomSelect": schema.RandomSelect(transforms1=(crop,), transforms2=(shorter,), p=1.0),
        "AugmentHSV": schema.AugmentHSV(is_bgr=False, hgain=60.0, sgain=90.0, vgain=90.0),
        "AutoAugment": schema.AutoAugment(autoaug_type="v1"),
        "Mixup": schema.Mixup(),
        "Mosaic": schema.Mosaic(input_dim=SIDE_PX, scale=(0.5, 1.5)),
        "Pad": schema.Pad(size=256),
        "PadResize": schema.PadResize(target_size=(SIDE_PX, 256)),
        "v2.RandomPhotometricDistort": _torchvision("v2.RandomPhotometricDistort", p=1.0),
        "v2.RandomIoUCrop": _torchvision("v2.RandomIoUCrop"),
        "v2.RandomZoomOut": _torchvision("v2.RandomZoomOut", p=1.0, fill=(124, 116, 104), side_range=(1.2, 2.0)),
        "v2.RandomRotation": _torchvision("v2.RandomRotation", degrees=30.0),
        "v2.RandomPerspective": _torchvision("v2.RandomPerspective", p=1.0),
    }


def board(index: int) -> ImageSample:
    """Return one of the generated boards."""
    made = generate(1, "train", BOARDS[index], SIDE_PX)
    return ImageSample(made.pixels, made.boxes, made.classes, (1.0, 1.0), index, f"board {index}")


def picture(transform: Any) -> Image.Image:
    """Draw what a transform makes of a board, with the first random numbers that change it."""
    others = [board(index + 1) for index in range({schema.Mixup: 1, schema.Mosaic: 4}.get(type(transform), 0))]
    for seed in range(20):
        made = apply_steps(board(0), build_steps([transform]), sample_rng(seed, 0, 0), others)
        if not np.array_equal(made.image, board(0).image):
            break
    pixels = np.clip(made.image.round(), 0, 255).astype(np.uint8)
    drawn = draw_image(TrainingImage(pixels, made.boxes, made.classes, made.name), CLASSES)
    drawn.thumbnail((SHOWN_PX, SHOWN_PX), Image.Resampling.LANCZOS)
    return drawn


def as_webp(image: Image.Image) -> bytes:
    """Encode at the best quality that keeps within `MAX_BYTES`."""
    for quality in (80, 70, 60, 50, 40, 30):
        target = io.BytesIO()
        image.save(target, format="WEBP", quality=quality, method=6)
        if target.tell() <= MAX_BYTES:
            break
    return target.getvalue()


def main(transforms: Mapping[str, Any] | None = None) -> None:
    """Write every picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, transform in (transforms or examples()).items():
        (FOLDER / f"{name}.webp").write_bytes(as_webp(picture(transform)))


if __name__ == "__main__":
    main()
