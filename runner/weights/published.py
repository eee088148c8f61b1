"""Publishers' addresses, licences and the digests that are known beforehand. Nothing here is guessed."""

from __future__ import annotations

import importlib
import re
from typing import Any, Final
from urllib.parse import urlsplit

from runner.core.errors import InputError, Problem, nearest
from runner.weights.names import KEY, PADDLE_STORE

_TORCH_HOST = "download.pytorch.org"
_TORCHVISION: Final = {
    f"{name}_Weights.{version}": f"https://{_TORCH_HOST}/models/{file}.pth"
    for name, version, file in (
        ("ResNet18", "IMAGENET1K_V1", "resnet18-f37072fd"),
        ("ResNet34", "IMAGENET1K_V1", "resnet34-b627a593"),
        ("ResNet50", "IMAGENET1K_V1", "resnet50-0676ba61"),
        ("FasterRCNN_ResNet50_FPN", "COCO_V1", "fasterrcnn_resnet50_fpn_coco-258fb6c6"),
        ("FasterRCNN_ResNet50_FPN_V2", "COCO_V1", "fasterrcnn_resnet50_fpn_v2_coco-dd69338a"),
        ("FCOS_ResNet50_FPN", "COCO_V1", "fcos_resnet50_fpn_coco-99b0c9b7"),
        ("RetinaNet_ResNet50_FPN", "COCO_V1", "retinanet_resnet50_fpn_coco-eeacb38b"),
        ("RetinaNet_ResNet50_FPN_V2", "COCO_V1", "retinanet_resnet50_fpn_v2_coco-5905b1c5"),
        ("MaskRCNN_ResNet50_FPN", "COCO_V1", "maskrcnn_resnet50_fpn_coco-bf2d0c1e"),
        ("SSD300_VGG16", "COCO_V1", "ssd300_vgg16_coco-b556d3b4"),
        ("SSDLite320_MobileNet_V3_Large", "COCO_V1", "ssdlite320_mobilenet_v3_large_coco-a79551df"),
    )
}
"""Names of torchvision's weights and their files; other names are looked up in the installed torchvision."""
_DIGEST = re.compile(r"-([0-9a-f]{8,64})\.pth")
_LICENCES = {_TORCH_HOST: "BSD-3-Clause", urlsplit(PADDLE_STORE).netloc: "Apache-2.0"}


def torchvision_url(name: str) -> str:
    """Return the address of a torchvision weights name.

    Raises:
        InputError: torchvision has no weights of this name, or is needed to look it up and is not installed.
    """
    if name in _TORCHVISION:
        return _TORCHVISION[name]
    try:
        models = importlib.import_module("torchvision.models")  # takes seconds, and is not always there
    except ImportError as error:
        text = f"{name!r} is not among the names known without torchvision, which is not installed; {nearest(name, list(_TORCHVISION))}"
        raise InputError(Problem(text.rstrip("; "), key=KEY)) from error
    try:
        return str(models.get_weight(name).url)
    except (ValueError, KeyError, AttributeError) as error:
        raise InputError(Problem(f"torchvision has no weights {name!r}; {_nearest(name, models)}".rstrip("; "), key=KEY)) from error


def _nearest(name: str, models: Any) -> str:
    sets = [models.get_model_weights(model) for model in models.list_models()]
    return nearest(name, [str(entry) for weights in sets for entry in weights])


def known_digest(url: str) -> str:
    """Return the beginning of the SHA-256 that the publisher states in the file's name, as torchvision's does; else an empty text."""
    found = _DIGEST.search(url) if urlsplit(url).netloc == _TORCH_HOST else None
    return found[1] if found else ""


def licence_of(url: str) -> str:
    """Return the licence of what lies at an address; ``unknown`` for other publishers."""
    return _LICENCES.get(urlsplit(url).netloc, "unknown")
