from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from runner.core.errors import InputError
from runner.data.sources import link_or_copy, source_hash, unpack


def _below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"])
def test_archives_are_unpacked(nasty: Path, kind: str) -> None:
    archive, target = nasty / f"a.{kind}", nasty / "out"
    target.mkdir()
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("top/ü b/x.txt", "hello")
            file.mkdir("top/empty")
    else:
        with tarfile.open(archive, "w:" + kind.partition(".")[2]) as file:
            info = tarfile.TarInfo("top/ü b/x.txt")
            info.size = 5
            file.addfile(info, io.BytesIO(b"hello"))
    seen: list[tuple[int, int, str]] = []
    unpack(archive, target, lambda *step: seen.append(step))
    assert (target / "top/ü b/x.txt").read_text() == "hello"
    assert seen


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/abs/evil", "..\\evil", "C:\\evil", "\\evil", "C:/evil"])
def test_zip_slip_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    target = tmp_path / "work" / "out"
    target.mkdir(parents=True)
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("good.txt", "x")
        file.writestr(zipfile.ZipInfo(name), "x")
    before = _below(tmp_path)
    with pytest.raises(InputError, match="leads out"):
        unpack(archive, target)
    assert _below(tmp_path) == before

    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        for member in ("good.txt", name):
            tar.addfile(tarfile.TarInfo(member), io.BytesIO())
    before = _below(tmp_path)
    with pytest.raises(InputError, match="leads out"):
        unpack(archive, target)
    assert _below(tmp_path) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("inner")
        info.type, info.linkname = kind, "/etc"
        tar.addfile(info)
        tar.addfile(tarfile.TarInfo("inner/x"), io.BytesIO())
    with pytest.raises(InputError, match="link or device"):
        unpack(tmp_path / "a.tar", target)
    assert _below(target) == []


def test_links_in_zip_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo("inner")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc")
    with pytest.raises(InputError, match="link or device"):
        unpack(tmp_path / "a.zip", target)
    assert _below(target) == []


def test_damaged_archives(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(InputError, match="neither a folder nor"):
        unpack(tmp_path / "text.zip", target)
    (tmp_path / "train.json").write_text("{}")
    with pytest.raises(InputError, match="neither a folder nor .*; give its folder"):
        unpack(tmp_path / "train.json", target)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("x")
        info.size = 100_000
        tar.addfile(info, io.BytesIO(os.urandom(100_000)))
    data = (tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="damaged or truncated"):
        unpack(tmp_path / "cut.tar.gz", target)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("x.bin", b"a" * 1000)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[200:210] = b"0123456789"
    (tmp_path / "bad.zip").write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        unpack(tmp_path / "bad.zip", target)


def test_a_bomb_that_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("big.bin", b"\0" * 1_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: os.terminal_size((0, 0)) and type("U", (), {"free": 10_000})())
    with pytest.raises(InputError, match="GiB are free"):
        unpack(tmp_path / "bomb.zip", target)
    assert _below(target) == []


def test_source_hash_sees_names_sizes_and_annotations(nasty: Path) -> None:
    source = nasty / "source"
    source.mkdir()
    (source / "a.jpg").write_bytes(b"1234")
    (source / "a.xml").write_text("<a>1</a>")
    first = source_hash(source)
    os.utime(source / "a.xml", (1, 1))
    assert source_hash(source) == first
    (source / "a.xml").write_text("<a>2</a>")
    assert source_hash(source) != first
    (source / "a.xml").write_text("<a>1</a>")
    (source / "b.jpg").write_bytes(b"")
    assert source_hash(source) != first


def test_hard_link_where_possible_else_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tmp_path / "real.jpg"
    real.write_bytes(b"x")
    (tmp_path / "link.jpg").symlink_to(real)
    link_or_copy(tmp_path / "link.jpg", tmp_path / "one.jpg")
    assert os.path.samefile(real, tmp_path / "one.jpg") and not (tmp_path / "one.jpg").is_symlink()

    def refuse(*_: object) -> None:
        raise OSError("cross-device")

    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(real, tmp_path / "two.jpg")
    assert (tmp_path / "two.jpg").read_bytes() == b"x" and not os.path.samefile(real, tmp_path / "two.jpg")


def test_zip_made_on_windows_has_folders(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("images\\", "images\\c 0.jpg", "annotations\\a.json"):
            info = zipfile.ZipInfo("x")
            info.filename = name
            file.writestr(info, "x" if name[-1] != "\\" else "")
    assert unpack(tmp_path / "a.zip", target) == ""
    assert _below(target) == ["annotations", "annotations/a.json", "images", "images/c 0.jpg"]


def _zip_with_raw_names(path: Path, names: list[bytes]) -> Path:
    """A zip whose names are these bytes, not marked as UTF-8."""
    with zipfile.ZipFile(path, "w") as file:
        for number, name in enumerate(names):
            file.writestr("#" * (len(name) - 1) + str(number), "x")
    data = path.read_bytes()
    for number, name in enumerate(names):
        data = data.replace(b"#" * (len(name) - 1) + str(number).encode(), name)
    path.write_bytes(data)
    return path


def test_zip_names_in_other_encodings(tmp_path: Path) -> None:
    for number, (encoding, advice) in enumerate((("utf-8", False), ("gbk", True))):
        target = tmp_path / f"out{number}"
        target.mkdir()
        text = unpack(_zip_with_raw_names(tmp_path / "a.zip", ["电路.jpg".encode(encoding), b"ascii.jpg"]), target)
        assert ("unzip -O gbk a.zip" in text and text.startswith("1 names")) == advice
        assert (target / "ascii.jpg").is_file() and (target / "电路.jpg").is_file() != advice


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a/b.txt", "a/b.txt"), ("a/b.txt", "a\\b.txt"), ("a/b.txt", "a//./b.txt")])
def test_a_member_that_is_there_twice_is_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in names:
            info = zipfile.ZipInfo("x")
            info.filename = name
            file.writestr(info, "x")
    with pytest.raises(InputError, match="occurs twice"):
        unpack(tmp_path / "a.zip", target)


def test_a_maze_of_folders_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a/" * 1500 + "x", "x")
    with pytest.raises(InputError, match="folders deep"):
        unpack(tmp_path / "a.zip", target)


def test_source_hash_sees_what_links_lead_to(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "images").symlink_to(tmp_path / "disk")
    first = source_hash(tmp_path / "source")
    (tmp_path / "disk" / "a.jpg").write_bytes(b"1")
    assert source_hash(tmp_path / "source") != first


def _tar(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("inner.txt", "x")
    archive = _tar(tmp_path / "a.tar", ("outer.txt", b"x"), ("old.zip", inner.getvalue()))
    assert zipfile.is_zipfile(archive)
    (tmp_path / "out").mkdir()
    unpack(archive, tmp_path / "out")
    assert _below(tmp_path / "out") == ["old.zip", "outer.txt"]
    other = _tar(tmp_path / "b.tar", ("another.txt", b"x"), ("old.zip", inner.getvalue()))
    assert source_hash(archive) != source_hash(other)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a/x.txt", "./a/x.txt"), "'./a/x.txt' occurs twice"),
        (("a", "a/x.txt"), "'a/x.txt' collides with a file or folder"),
        (("a/b/x.txt", "a/b"), "'a/b' collides with a file or folder"),
        (("a.txt", f"b/{'ü' * 128}/c.txt"), "has a name of more than 255 bytes"),
    ],
)
def test_members_that_cannot_be_written_beside_one_another(tmp_path: Path, kind: str, names: tuple[str, str], words: str) -> None:
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            for name in names:
                file.writestr(name, "x")
    else:
        _tar(archive, *((name, b"x") for name in names))
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=words):
        unpack(archive, tmp_path / "out")
    assert not _below(tmp_path / "out")
