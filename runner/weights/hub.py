"""Metadata of models on the Hugging Face hub, by its documented API: the commit of a revision, and the SHA-256 of its weights."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from runner.core.errors import InputError, Problem
from runner.core.files import parse_json

WEIGHTS_FILE: Final = "model.safetensors"
"""The one file of a model that is read: it has tensors and no code."""
_DEFAULT_PLACE = "https://huggingface.co"
_PLACE_VARIABLE = "HF_ENDPOINT"


@dataclass(frozen=True, slots=True)
class HubFile:
    """The weights of a model at a commit.

    Args:
        url: of the file at this commit.
        commit: 40 hex digits.
        sha256: of the content.
        size_bytes: of the file.
        licence: of the model card; ``unknown`` where it names none.
    """

    url: str
    commit: str
    sha256: str
    size_bytes: int
    licence: str


def metadata_url(name: str) -> str:
    """Return the address of a model's metadata; ``owner/model@revision``, by default the revision ``main``."""
    model, _, revision = name.partition("@")
    return f"{_place()}/api/models/{quote(model)}/revision/{quote(revision or 'main', safe='')}?blobs=true"


def file_url(name: str, commit: str) -> str:
    """Return the address of a model's weights at a commit."""
    return f"{_place()}/{quote(name.partition('@')[0])}/resolve/{commit}/{WEIGHTS_FILE}"


def read_metadata(name: str, content: bytes) -> HubFile:
    """Read what the hub says of a model.

    Raises:
        InputError: it is not what the API documents, or the model has no safetensors file.
    """
    try:
        model = parse_json(content)
        commit, files = model["sha"], {entry["rfilename"]: entry for entry in model["siblings"]}
        if not isinstance(commit, str) or not re.fullmatch("[0-9a-f]{40}", commit):
            raise ValueError("no commit")
        if WEIGHTS_FILE in files:
            lfs = files[WEIGHTS_FILE]["lfs"]
            sha256, size = lfs["sha256"], lfs["size"]
            if not re.fullmatch("[0-9a-f]{64}", sha256) or not isinstance(size, int) or size <= 0:
                raise ValueError("no digest")
            return HubFile(file_url(name, commit), commit, sha256, size, _licence(model))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(Problem(f"the hub's answer on {name} is not what its API documents ({error}); try again later")) from error
    parts = any(file.endswith(".safetensors.index.json") for file in files)
    why = "its weights are in several files" if parts else "only safetensors are read, as other formats may hold code"
    raise InputError(Problem(f"{name} has no {WEIGHTS_FILE}: {why}; choose another model, or give a file of your own"))


def _place() -> str:
    return (os.environ.get(_PLACE_VARIABLE) or _DEFAULT_PLACE).rstrip("/")


def _licence(model: Mapping[str, Any]) -> str:
    card, tags = model.get("cardData"), model.get("tags")
    named = card.get("license") if isinstance(card, Mapping) else None
    tagged = [str(tag).removeprefix("license:") for tag in tags if str(tag).startswith("license:")] if isinstance(tags, list) else []
    found = [str(one) for one in named] if isinstance(named, list) else [named] if isinstance(named, str) else tagged
    return ", ".join(found) or "unknown"
