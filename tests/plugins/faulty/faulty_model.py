"""An architecture whose class cannot be called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from runner.backends.torch.models.base import DetectorModel
from runner.config.schema import Form


@dataclass(frozen=True, slots=True, kw_only=True)
class CrackedSchema:
    """Its config."""

    form: ClassVar[Form] = "section"


CrackedSchema.__name__ = "Cracked"


class Cracked(DetectorModel):
    schema = CrackedSchema
    network = "faulty_model:build"

    def __init__(self) -> None:
        raise RuntimeError("no weights on this machine")
