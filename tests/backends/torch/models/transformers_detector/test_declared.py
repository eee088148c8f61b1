"""Keys read from the source of the installed transformers are those that its classes declare."""

from __future__ import annotations

import dataclasses
import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from runner.backends.torch.models.transformers_detector.declared import activation_names, declared_keys, library_folder
from runner.backends.torch.models.transformers_detector.families import BACKBONES, FAMILIES, ConfigClass

LOSSES = {
    "rt_detr": ("rt_detr",),
    "rt_detr_v2": ("rt_detr",),
    "d_fine": ("rt_detr", "d_fine"),
    "deimv2": ("rt_detr", "d_fine", "deimv2"),
    "detr": ("for_object_detection",),
    "lw_detr": ("lw_detr",),
    "rf_detr": ("lw_detr",),
}
"""Files of each model's loss; those of the others are in loss_deformable_detr.py."""


def library_class(cls: ConfigClass) -> Any:
    return getattr(importlib.import_module(f"transformers.models.{cls.folder}.{cls.module}"), cls.name)


@pytest.mark.parametrize("cls", [*(family.config for family in FAMILIES.values()), *BACKBONES.values()], ids=lambda cls: cls.name)
def test_names_and_defaults_are_the_librarys(cls: ConfigClass) -> None:
    theirs = {field.name: field.default for field in dataclasses.fields(library_class(cls))}
    ours = {name: key.default for name, key in declared_keys(cls).items() if name not in ("out_indices", "out_features")}
    assert len(ours) >= 4 and {name: theirs[name] for name in ours} == ours
    inherited = {
        field.name for base in library_class(cls).__mro__[1:] if dataclasses.is_dataclass(base) for field in dataclasses.fields(base)
    }
    own = {name for name in theirs if not name.startswith("_")} - inherited
    assert own <= set(ours)


def test_activation_functions_are_the_librarys() -> None:
    from transformers.activations import ACT2CLS

    assert activation_names() == tuple(ACT2CLS)


@pytest.mark.parametrize("model", FAMILIES)
def test_keys_without_effect_are_those_that_the_source_does_not_read(model: str) -> None:
    folder = library_folder()
    assert folder is not None
    family = FAMILIES[model]
    files = [f"models/{family.config.folder}/modeling_{family.config.folder}.py"]
    files += [f"loss/loss_{name}.py" for name in LOSSES.get(model, ("deformable_detr",))]
    source = "\n".join(_without_segmentation(folder / file) for file in files)
    others = library_class(family.config).attribute_map
    read = {name for name in declared_keys(family.config) if any(f"config.{key}" in source for key in (name, *_keys_of(others, name)))}
    not_read = set(declared_keys(family.config)) - read
    elsewhere = {
        "backbone_config",
        "is_encoder_decoder",
        "tie_word_embeddings",
        "num_channels",
        "dilation",
        "init_std",
        "initializer_range",
    }
    assert not_read - elsewhere <= set(family.without_effect)
    assert set(family.without_effect) - not_read <= {"eos_coefficient"}  # read, into a weight that nothing uses


def _without_segmentation(file: Path) -> str:
    parts = re.split(r"\n(?=def |class |@)", file.read_text(encoding="utf-8"))
    return "\n".join(part for part in parts if not re.match(r"(def|class) \w*Segmentation", part))


def _keys_of(others: dict[str, str], name: str) -> list[str]:
    return [alias for alias, key in others.items() if key == name]
