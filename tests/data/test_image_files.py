"""Images by file, folder and pattern."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.core.errors import InputError
from runner.data.image_files import find_images


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "my [photos]"
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png", "deeper/c.jpg", "deeper/d [1].tiff", "empty/x.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def names(folder: Path, *given: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in find_images(given)]


def test_a_folder_has_its_images_by_name(photos: Path) -> None:
    assert names(photos, photos) == ["a.png", "b.JPG"]


def test_a_pattern_has_the_images_that_it_matches(photos: Path) -> None:
    escaped = Path(str(photos).replace("[", "[[]"))
    assert names(photos, escaped / "*") == ["a.png", "b.JPG"]
    assert names(photos, escaped / "**" / "*.jpg") == ["deeper/c.jpg"]
    assert names(photos, escaped / "**" / "*") == ["a.png", "b.JPG", "deeper/c.jpg", "deeper/d [1].tiff"]


def test_a_file_is_taken_as_it_is_and_each_image_once(photos: Path) -> None:
    given = [photos / "deeper" / "d [1].tiff", photos / "notes.txt", photos, photos / "a.png"]
    assert names(photos, *given) == ["deeper/d [1].tiff", "notes.txt", "a.png", "b.JPG"]


def test_all_that_have_no_image_are_named(photos: Path) -> None:
    given = [photos / "a.png", photos / "empty", photos / "nowhere.jpg", photos / "*.webp"]
    with pytest.raises(InputError) as caught:
        find_images(given)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    for line, text in zip(
        lines, ("empty: has no image directly in it", r"nowhere\.jpg: image does not exist", r"\*\.webp: matches no image"), strict=True
    ):
        assert re.search(text, line)
