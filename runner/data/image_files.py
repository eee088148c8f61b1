"""Images that a user names: files, folders and patterns."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from runner.core.errors import InputError, Problem
from runner.core.files import similar_name
from runner.data.formats.base import IMAGE_SUFFIXES

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"})
"""Files of these suffixes are videos where `runner predict` is given one."""


def find_images(given: Iterable[Path]) -> list[Path]:
    """Return the images of files, folders and patterns, each once, in the order given; those of a folder or pattern by name.

    Args:
        given: a file, whatever its suffix; a folder, of which the images count that lie directly in it; or a pattern such as
            ``photos/**/*.jpg``, of which the images count that it matches.

    Raises:
        InputError: one of `given` does not exist, or has no image.
    """
    found: dict[Path, None] = {}
    problems = []
    for path in given:
        if path.is_dir():
            images = sorted(filter(_is_image, path.iterdir()))
            missing = "has no image directly in it; its subfolders are not searched: give a pattern such as 'FOLDER/**/*.jpg', in quotes"
        elif path.exists() or not glob.has_magic(path.name if path.parent.is_dir() else str(path)):
            images = [path] if path.is_file() else []
            missing = f"image does not exist{similar_name(path)}"
        else:
            images = sorted(filter(_is_image, map(Path, glob.iglob(str(path), recursive=True))))
            missing = "matches no image; expected the name of an image, a folder, or a pattern such as 'photos/*.jpg'"
        found.update(dict.fromkeys(images))
        if not images:
            problems.append(Problem(missing, where=str(path)))
    if problems:
        raise InputError(problems)
    return list(found)


def is_video(path: Path) -> bool:
    """Return whether a file is a video, by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.startswith(".")
