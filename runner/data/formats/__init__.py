"""Formats data sets come in. Each is one module with a `load(source, classes)`; third parties add theirs by the entry
point group ``runner.data_formats``."""

from __future__ import annotations

from runner.core.registry import Registry
from runner.data.formats.base import Format, NotThisFormat

FORMATS: Registry[Format] = Registry(
    "data_format",
    {
        "coco": "runner.data.formats.coco:load",
        "deeppcb": "runner.data.formats.deeppcb:load",
        "voc": "runner.data.formats.voc:load",
        "yolo": "runner.data.formats.yolo:load",
    },
    passed=(NotThisFormat,),
)
