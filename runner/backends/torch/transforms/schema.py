"""Config of the transforms: every one, its keys, types, ranges and defaults. Imports neither torch nor OpenCV.

Names, defaults and meanings are PaddleDetection 2.6's (ppdet/data/transform/operators.py, batch_operators.py), also where they surprise:
docs/augmentation.md lists the traps.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from runner.backends.torch.models.base import batch_transform_classes
from runner.config.schema import Doc, Form, Fraction, FromPlugins, OpenNames, Positive, Range
from runner.core.errors import InputError, how_to_install

Interpolation = Literal[0, 1, 2, 3, 4]
Distortion = tuple[float, float, float]
Colour = float | tuple[float, float, float]


# ----------------------------------------------------------------------------------------------------- image and geometry
@dataclass(frozen=True, slots=True, kw_only=True)
class Decode:
    """Read the image as RGB."""

    form: ClassVar[Form] = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """Resize image and boxes."""

    form: ClassVar[Form] = "key"
    target_size: Annotated[
        int | tuple[int, int], Doc("[height, width], or one number for both; with keep_ratio [shorter, longer] at most"), Range(1)
    ]
    keep_ratio: Annotated[bool, Doc("keep the aspect ratio")]
    interp: Annotated[Interpolation, Doc("OpenCV's: 0 nearest, 1 linear, 2 cubic, 3 area, 4 Lanczos")] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomResize:
    """Resize to a size drawn for each sample."""

    form: ClassVar[Form] = "key"
    target_size: Annotated[
        tuple[int, ...] | tuple[tuple[int, int], ...], Doc("sizes to draw from; with random_range the two ends of a range"), Range(1)
    ]
    keep_ratio: Annotated[bool, Doc("keep the aspect ratio")] = True
    interp: Annotated[Interpolation, Doc("see Resize")] = 1
    random_range: Annotated[bool, Doc("draw the shorter side between the two target sizes")] = False
    random_size: Annotated[bool, Doc("draw from target_size")] = True
    random_interp: Annotated[bool, Doc("draw the interpolation too")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomShortSideResize:
    """Resize, keeping the aspect ratio, so that the shorter side has a length drawn for each sample (DETR's)."""

    form: ClassVar[Form] = "key"
    short_side_sizes: Annotated[tuple[int, ...], Doc("lengths in pixels to draw from"), Range(1)]
    max_size: Annotated[int | None, Doc("bound of the longer side"), Range(1)] = None
    interp: Annotated[Interpolation, Doc("see Resize")] = 1
    random_interp: Annotated[bool, Doc("draw the interpolation too")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PadResize:
    """Resize to fit, keeping the aspect ratio, and fill up right and below. Boxes of a pixel or less per side go (YOLOX's; only for
    training)."""

    form: ClassVar[Form] = "key"
    target_size: Annotated[int | tuple[int, int], Doc("[height, width], or one number for both"), Range(1)]
    fill_value: Annotated[int, Doc("grey level of the border"), Range(0, 255)] = 114


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad:
    """Put the image on a larger canvas."""

    form: ClassVar[Form] = "key"
    size: Annotated[
        int | tuple[int, int] | None, Doc("[height, width] of the canvas, or one number for both; null: see size_divisor"), Range(1)
    ] = None
    size_divisor: Annotated[int, Doc("without size: each side is filled up to a multiple of this many pixels"), Range(1)] = 32
    pad_mode: Annotated[
        Literal[0, 1, 2, -1], Doc("place of the image: 0 left and above, 1 in the middle, 2 right and below, -1 at offsets")
    ] = 0
    offsets: Annotated[tuple[int, int] | None, Doc("[x, y] of the image on the canvas, for pad_mode -1"), Range(0)] = None
    fill_value: Annotated[Colour, Doc("RGB of the border"), Range(0, 255)] = (127.5, 127.5, 127.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomFlip:
    """Mirror left to right."""

    form: ClassVar[Form] = "key"
    prob: Annotated[float, Doc("probability"), Fraction] = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomExpand:
    """Put the image at a random place of a larger canvas, height and width enlarged by one ratio."""

    form: ClassVar[Form] = "key"
    ratio: Annotated[float, Doc("largest ratio; drawn from 1 up"), Range(1.01, open_low=True)] = 4.0
    prob: Annotated[float, Doc("probability of NOT expanding (PaddleDetection's)"), Fraction] = 0.5
    fill_value: Annotated[Colour, Doc("RGB of the canvas"), Range(0, 255)] = (127.5, 127.5, 127.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomCrop:
    """Crop so that a box overlaps the crop by a drawn IoU (SSD's). Boxes whose centre is outside go; an image without boxes stays."""

    form: ClassVar[Form] = "key"
    aspect_ratio: Annotated[
        tuple[float, float] | None, Doc("bounds of width / height relative to the image's; null: both sides are drawn by scaling"), Positive
    ] = (0.5, 2.0)
    thresholds: Annotated[
        tuple[float, ...], Doc("IoU that the best box must reach; tried in random order until a crop is found"), Fraction
    ] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    scaling: Annotated[tuple[float, float], Doc("bounds of crop side / image side"), Range(0, 1, open_low=True)] = (0.3, 1.0)
    num_attempts: Annotated[int, Doc("tries per threshold"), Range(1)] = 50
    allow_no_crop: Annotated[bool, Doc("leaving the image alone is one more threshold")] = True
    cover_all_box: Annotated[bool, Doc("every box must reach the threshold")] = False
    is_mask_crop: Annotated[bool, Doc("no effect here: there are no masks")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSizeCrop:
    """Crop to a random size at a random place (DETR's)."""

    form: ClassVar[Form] = "key"
    min_size: Annotated[int, Doc("shortest side in pixels"), Range(1)]
    max_size: Annotated[int, Doc("longest side in pixels"), Range(1)]
    keep_empty: Annotated[bool, Doc("false: an image whose crop has no box is left alone")] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSelect:
    """Apply one of two lists of transforms."""

    form: ClassVar[Form] = "key"
    transforms1: tuple[ImageTransform, ...]
    transforms2: tuple[ImageTransform, ...]
    p: Annotated[float, Doc("probability of transforms1"), Fraction] = 0.5


# ----------------------------------------------------------------------------------------------------------------- colour
@dataclass(frozen=True, slots=True, kw_only=True)
class RandomDistort:
    """Change brightness, contrast, saturation and hue. The result is not cut to 0..255. Each key is [lower, upper, p], and p is the
    probability of NOT applying it (PaddleDetection's)."""

    form: ClassVar[Form] = "key"
    hue: Annotated[Distortion, Doc("angle as a multiple of pi in the YIQ space: the default draws any hue at all")] = (-18.0, 18.0, 0.5)
    saturation: Annotated[Distortion, Doc("factor of the distance to grey")] = (0.5, 1.5, 0.5)
    contrast: Annotated[Distortion, Doc("factor of the grey levels (not of their distance to the mean)")] = (0.5, 1.5, 0.5)
    brightness: Annotated[Distortion, Doc("grey levels, of 255, that are added: the default is invisible")] = (0.5, 1.5, 0.5)
    random_apply: Annotated[
        bool, Doc("in random order; false: brightness, saturation, hue, with contrast before the last two or after them")
    ] = True
    count: Annotated[int, Doc("with random_apply: only the first so many of the four, in the order drawn"), Range(0)] = 4
    random_channel: Annotated[bool, Doc("without random_apply: exchange the channels in one of two images")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentHSV:
    """Change saturation and value by a factor, or, with gains, hue, saturation and value by an amount (each in one of two images)."""

    form: ClassVar[Form] = "key"
    fraction: Annotated[float, Doc("factors are drawn from 1 - fraction to 1 + fraction; no effect with gains"), Fraction] = 0.5
    is_bgr: Annotated[bool, Doc("read the channels as BGR; images are RGB, so give false")] = True
    hgain: Annotated[float | None, Doc("largest change of the hue, of 180"), Range(0)] = None
    sgain: Annotated[float | None, Doc("largest change of the saturation, of 255"), Range(0)] = None
    vgain: Annotated[float | None, Doc("largest change of the value, of 255"), Range(0)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalizeImage:
    """(pixel / 255 - mean) / std per channel, RGB."""

    form: ClassVar[Form] = "key"
    mean: Annotated[tuple[float, ...], Doc("mean per channel")] = (0.485, 0.456, 0.406)
    std: Annotated[tuple[float, ...], Doc("standard deviation per channel"), Positive] = (0.229, 0.224, 0.225)
    is_scale: Annotated[bool, Doc("divide by 255 first")] = True
    norm_type: Annotated[Literal["mean_std", "none"], Doc("none: only the division")] = "mean_std"


# ------------------------------------------------------------------------------------------------------- several images, boxes
@dataclass(frozen=True, slots=True, kw_only=True)
class AutoAugment:
    """Apply one drawn policy of arXiv 1906.11172; each of its operations in one of two images, whatever probability the policy states
    (PaddleDetection's). An image without boxes stays."""

    form: ClassVar[Form] = "key"
    autoaug_type: Annotated[Literal["v0", "v1", "v2", "v3", "test"], Doc("table of policies")] = "v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixup:
    """Blend with another training image; the boxes of both are kept. Needs TrainReader.mixup_epoch. Nothing is resized: the canvas is as
    large as both. (The weight that PaddleDetection gives to the boxes is read by its YOLOv3 head only.)"""

    form: ClassVar[Form] = "key"
    alpha: Annotated[float, Doc("the image's share is drawn from Beta(alpha, beta)"), Positive] = 1.5
    beta: Annotated[float, Doc("see alpha"), Positive] = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosaic:
    """Join four training images, rotate, scale and shear the result, and blend it with a fifth (YOLOX's). Needs
    TrainReader.mosaic_epoch."""

    form: ClassVar[Form] = "key"
    prob: Annotated[float, Doc("probability"), Fraction] = 1.0
    input_dim: Annotated[int | tuple[int, int], Doc("size of the result, or one number for both sides"), Range(1)] = (640, 640)
    degrees: Annotated[tuple[float, float], Doc("bounds of the rotation")] = (-10.0, 10.0)
    translate: Annotated[tuple[float, float], Doc("bounds of the shift of the upper left corner, as a fraction of input_dim")] = (
        -0.1,
        0.1,
    )
    scale: Annotated[tuple[float, float], Doc("bounds of the scale, of a canvas of twice input_dim"), Positive] = (0.1, 2.0)
    shear: Annotated[tuple[float, float], Doc("bounds of the shear in degrees")] = (-2.0, 2.0)
    enable_mixup: Annotated[bool, Doc("blend with a fifth image, half of each")] = True
    mixup_prob: Annotated[float, Doc("probability of that"), Fraction] = 1.0
    mixup_scale: Annotated[tuple[float, float], Doc("bounds of the fifth image's scale"), Positive] = (0.5, 1.5)
    remove_outside_box: Annotated[bool, Doc("boxes outside go, and those of the fifth image are not cut off at the border")] = False


# ------------------------------------------------------------------------------------------------------- layout and batches
@dataclass(frozen=True, slots=True, kw_only=True)
class Permute:
    """Height-width-channel to channel-height-width."""

    form: ClassVar[Form] = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalizeBox:
    """Divide the boxes by the image's size: no effect here, since the models take pixels and divide themselves."""

    form: ClassVar[Form] = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class BboxXYXY2XYWH:
    """Write boxes as centre and size: no effect here, since the models take corners and convert themselves."""

    form: ClassVar[Form] = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class PadBox:
    """Keep the first boxes only. (Filling up with zeros, as PaddleDetection does, is not needed: boxes of a batch are packed.)"""

    form: ClassVar[Form] = "key"
    num_max_boxes: Annotated[int, Doc("boxes that are kept"), Range(1)] = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PadGT:
    """Fill up each image's boxes to the same number: no effect here, since boxes of a batch are packed."""

    form: ClassVar[Form] = "key"
    return_gt_mask: Annotated[bool, Doc("no effect here")] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRandomResize:
    """Resize all images of a batch to one size, drawn for each batch."""

    form: ClassVar[Form] = "key"
    target_size: Annotated[
        int | tuple[int, ...] | tuple[tuple[int, int], ...], Doc("sizes to draw from; without random_size one size"), Range(1)
    ]
    keep_ratio: Annotated[bool, Doc("keep the aspect ratio")]
    interp: Annotated[Interpolation, Doc("see Resize; the default is nearest (PaddleDetection's)")] = 0
    random_size: Annotated[bool, Doc("draw from target_size")] = True
    random_interp: Annotated[bool, Doc("draw the interpolation too, for the whole batch")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PadBatch:
    """Pad the images of a batch with zeros, right and below, to one size."""

    form: ClassVar[Form] = "key"
    pad_to_stride: Annotated[int, Doc("a multiple of this many pixels; 0 or less is the largest image's size"), Range(-1)] = 0


# ------------------------------------------------------------------------------------------------------------ torchvision
def torchvision_transforms() -> Any:
    """Import `runner.backends.torch.transforms.torchvision`, and torch with it: only where a config asks for one of them.

    Raises:
        InputError: this environment has no torchvision.
    """
    try:
        return importlib.import_module("runner.backends.torch.transforms.torchvision")
    except ImportError as error:
        text = f"transforms of torchvision (v2.…) need it, and this environment does not have it: {how_to_install('.[torch]')}"
        raise InputError(text) from error


def _declared(name: str) -> type[Any]:
    cls: type[Any] = torchvision_transforms().declared(name)
    return cls


@dataclass(frozen=True, kw_only=True)
class Torchvision:
    """Transform of torchvision, by its name in torchvision.transforms.v2 (`v2.RandomIoUCrop: {min_scale: 0.5}`), with that one's arguments
    and defaults. After it boxes are cut off at the border, and those of less than a pixel per side go."""

    form: ClassVar[Form] = "key"
    names: ClassVar[OpenNames] = OpenNames("v2.", _declared)


Torchvision.__name__ = "v2.*"

ImageTransform = (
    Resize
    | RandomResize
    | RandomShortSideResize
    | PadResize
    | Pad
    | RandomFlip
    | RandomExpand
    | RandomCrop
    | RandomSizeCrop
    | RandomSelect
    | RandomDistort
    | AugmentHSV
    | AutoAugment
    | Torchvision
)
"""Transforms of one image and its boxes."""

BoxLayout = NormalizeBox | BboxXYXY2XYWH | PadBox
SampleTransform = Decode | Mixup | Mosaic | ImageTransform | NormalizeImage | Permute | BoxLayout
SHARED_BATCH_TRANSFORMS = (BatchRandomResize, Permute, NormalizeImage, NormalizeBox, BboxXYXY2XYWH, PadBox, PadGT, PadBatch)
"""Batch transforms of every architecture; others leave them to their network (`DetectorModel.batch_transforms`)."""


def _batch_transforms() -> list[type[Any]]:
    return [*SHARED_BATCH_TRANSFORMS, *batch_transform_classes()]


BatchTransform = Annotated[Any, FromPlugins(_batch_transforms)]
