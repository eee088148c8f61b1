"""Tests of the vendored chart library: the published bytes, with their licence beside them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import runner.views.page

VENDOR = Path(runner.views.page.__file__).parent / "static" / "vendor"
SHA256 = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


def test_only_files_with_a_known_hash_are_vendored() -> None:
    assert sorted(path.name for path in VENDOR.iterdir()) == sorted(SHA256)


@pytest.mark.parametrize("name", SHA256)
def test_a_vendored_file_is_the_published_one(name: str) -> None:
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == SHA256[name]


def test_the_licence_is_mit_and_the_version_the_named_one() -> None:
    assert (VENDOR / "uPlot.LICENSE").read_text().startswith("The MIT License (MIT)\n\nCopyright (c) 2022 Leon Sorokin")
    assert (VENDOR / "uPlot.iife.min.js").read_text().startswith("/*! https://github.com/leeoniya/uPlot (v1.6.32) */")


def test_the_library_needs_nothing_that_the_content_security_policy_forbids() -> None:
    script = (VENDOR / "uPlot.iife.min.js").read_text()
    assert [word for word in ("innerHTML", "eval(", "new Function", "insertAdjacentHTML", "document.write") if word in script] == []
