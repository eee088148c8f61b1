from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from runner.core.errors import InputError
from runner.data.formats.tree import Tree, below, walk
from runner.data.notes import Notes


def _make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_files_in_order_without_hidden_ones(nasty: Path) -> None:
    _make(nasty, "b/1.jpg", "b-c/1.JPG", "a.txt", ".git/x.jpg", "__MACOSX/y.jpg", "b/.z.jpg")
    tree = Tree(nasty, Notes())
    assert (
        [tree.relative(path) for path in tree.files({".jpg"})]
        == ["b/1.jpg", "b-c/1.JPG"]
        == [
            path.relative_to(nasty).as_posix()
            for path in sorted(nasty.rglob("*.[jJ]*"))
            if "/." not in str(path) and "MACOSX" not in str(path)
        ]
    )
    assert len(walk(nasty, hidden=True).files) == 6
    assert [tree.relative(path) for path in tree.named("a.txt")] == ["a.txt"]


def test_linked_folders_are_followed_once_and_never_in_a_circle(tmp_path: Path) -> None:
    source, elsewhere = tmp_path / "source", tmp_path / "elsewhere"
    _make(source, "pool/1.jpg")
    _make(elsewhere, "2.jpg")
    (source / "images").symlink_to(elsewhere)
    (source / "train").symlink_to(source / "pool")
    (source / "pool" / "round").symlink_to(source)
    (source / "gone.jpg").symlink_to(source / "nowhere.jpg")
    notes = Notes()
    tree = Tree(source, notes)
    assert [tree.relative(path) for path in tree.files({".jpg"})] == ["images/2.jpg", "train/1.jpg"]
    assert [tree.relative(path) for path in tree.files({".jpg"}, source / "pool")] == ["pool/1.jpg"]
    (note,) = notes.listed()
    assert note.kind == "left out" and "circle" in note.what and note.count == 3


def test_links_among_each_other_end(tmp_path: Path) -> None:
    folders = [tmp_path / f"d{number}" for number in range(6)]
    for folder in folders:
        _make(folder, "a.jpg")
    for folder in folders:
        for other in folders:
            (folder / f"to_{other.name}").symlink_to(other)
    assert len(walk(tmp_path).files) < 1500


def test_too_deep_and_unreadable(tmp_path: Path) -> None:
    _make(tmp_path, "a/" * 120 + "x.jpg")
    with pytest.raises(InputError, match="100 folders deep"):
        walk(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be read"):
        walk(tmp_path / "file")


def test_find_matches_case_unicode_form_and_backslashes_with_a_note(tmp_path: Path) -> None:
    nfd = unicodedata.normalize("NFD", "prüfung.jpg")
    _make(tmp_path, f"Images/{nfd}", "images2/A.jpg", "images2/a.jpg", "odd\\name.jpg")
    notes = Notes()
    tree = Tree(tmp_path, notes)
    assert tree.find(tmp_path, "images/prüfung.jpg") == tmp_path / "Images" / nfd
    assert tree.find(tmp_path, "Images\\" + nfd) == tmp_path / "Images" / nfd
    assert tree.find(tmp_path, "odd\\name.jpg") == tmp_path / "odd\\name.jpg"
    assert tree.find(tmp_path, "IMAGES2/A.JPG") is None  # two fit
    assert tree.find(tmp_path, "images/prüfung.jpg", exact=True) is None
    assert tree.find(tmp_path / "Images", "../images2/a.jpg") == tmp_path / "images2" / "a.jpg"
    assert [note.count for note in notes.listed()] == [1, 1]


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "..", "C:\\x", "C:/x", "\\x", "x\0"])
def test_nothing_outside_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "source" / "a").mkdir(parents=True)
    _make(tmp_path, "x")
    assert below(name) is None
    assert Tree(tmp_path / "source", Notes()).find(tmp_path / "source", name) is None
    assert Tree(tmp_path / "source", Notes()).find(tmp_path / "source" / "a", "..\\..\\x") is None
