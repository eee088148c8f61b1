"""Source given by a user: a folder, or an archive, which is unpacked without letting it write anywhere else."""

from __future__ import annotations

import hashlib
import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from runner.core.errors import InputError, Problem
from runner.core.files import open_regular, read_bytes
from runner.core.values import GIB
from runner.data.formats.base import capped
from runner.data.formats.tree import FOLDERS_DEEP, walk

Progress = Callable[[int, int, str], None]
"""Callback with (done, total, activity); total is 0 if unknown."""

_READ_IN_FULL = frozenset({".json", ".xml", ".txt", ".yaml", ".yml", ".names"})
_BLOCK = 1 << 20
_NAME_BYTES = 255
"""Longest name of a file or folder, in bytes, on the usual file systems."""
_ZIP_UTF8 = 0x800
"""Bit of a zip member's flags which says that its name is UTF-8."""


def silent(done: int, total: int, what: str) -> None:
    """Show nothing; a `Progress`."""


def source_hash(source: Path) -> str:
    """Hash a source: names and sizes of images, content of annotation files; for a zip its table of contents.

    Raises:
        InputError: an archive that cannot be read.
    """
    digest = hashlib.sha256()
    if source.is_dir():
        for name in walk(source, hidden=True).files:
            path = source / name
            digest.update(f"{name}\0{path.stat().st_size}\0".encode("utf-8", "surrogateescape"))
            if path.suffix.lower() in _READ_IN_FULL:
                digest.update(hashlib.sha256(read_bytes(path)).digest())
        return digest.hexdigest()
    try:
        open_regular(source).close()  # a FIFO would block
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", str(source))) from error
    if _is_zip(source):
        try:
            with zipfile.ZipFile(source) as archive:
                for info in sorted(archive.infolist(), key=lambda info: info.filename):
                    digest.update(f"{info.filename}\0{info.file_size}\0{info.CRC}\n".encode("utf-8", "surrogateescape"))
        except zipfile.BadZipFile as error:
            raise InputError(Problem(f"damaged archive: {error}; get it again", str(source))) from error
        return digest.hexdigest()
    with open_regular(source) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def unpack(archive: Path, target: Path, progress: Progress = silent) -> str:
    """Unpack a zip or tar file into the empty folder `target`.

    Every member is examined first. Only plain files below `target` are written; if any member is absolute, leads out,
    is a link or a device, or if all together do not fit on the disk, nothing is written at all. Backslashes in a zip
    (made on Windows) are folders.

    Returns:
        Advice where names of members are in an unknown encoding, so that they may not be found; else nothing.

    Raises:
        InputError: as above (all such members, capped), or the archive is damaged, encrypted or of another kind.
    """
    try:
        if _is_zip(archive):
            return _unpack_zip(archive, target, progress)
        if tarfile.is_tarfile(archive):
            return _unpack_tar(archive, target, progress)
        hint = "; give its folder" if archive.suffix.lower() in _READ_IN_FULL else ""
        raise InputError(Problem(f"neither a folder nor a .zip or .tar archive{hint}", str(archive)))
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError) as error:
        raise InputError(Problem(f"damaged or truncated archive ({error}); get it again", str(archive))) from error
    except (RuntimeError, NotImplementedError) as error:  # of zipfile, for an encrypted archive and for unknown compression
        raise InputError(Problem(f"the archive cannot be unpacked: {error}", str(archive))) from error


def _is_zip(path: Path) -> bool:
    """Distinguish a zip from a tar whose last member is a zip: both end like one."""
    if not zipfile.is_zipfile(path):
        return False
    with open_regular(path) as file:
        return file.read(2) == b"PK" or not tarfile.is_tarfile(path)


def _unpack_zip(path: Path, target: Path, progress: Progress) -> str:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        doubtful: list[str] = []
        names = [_zip_name(info, doubtful) for info in infos]
        bad = _collisions([(name, name.endswith("/")) for name in names])
        for name, info in zip(names, infos, strict=True):
            kind = stat.S_IFMT(info.external_attr >> 16)
            special = kind not in (0, stat.S_IFREG, stat.S_IFDIR)
            bad += _refusal(name, "a link or device" if special else "")
        _refuse(path, bad, target, sum(info.file_size for info in infos))
        files = [(name, info) for name, info in zip(names, infos, strict=True) if not name.endswith("/")]
        for done, (name, info) in enumerate(files):
            progress(done, len(files), f"unpacking {path.name}")
            with archive.open(info) as content:
                _write(content, target / name)
    return _advice(path, doubtful)


def _zip_name(info: zipfile.ZipInfo, doubtful: list[str]) -> str:
    """Return the member's path with slashes. Names not marked as UTF-8 are, by the standard, in code page 437, which few programs follow:
    valid UTF-8 is read as such; other names are kept as read, and are `doubtful`.
    """
    name = info.filename
    if not info.flag_bits & _ZIP_UTF8 and not name.isascii():
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            doubtful.append(name)
    return name.replace("\\", "/")


def _advice(path: Path, doubtful: list[str]) -> str:
    if not doubtful:
        return ""
    return (
        f"{len(doubtful):,} names of members in {path.name} are not UTF-8 (perhaps GBK; the first was read as {doubtful[0]!r}); if images "
        f"are not found by them, unpack it yourself (such as: unzip -O gbk {path.name}) and give the folder"
    )


def _unpack_tar(path: Path, target: Path, progress: Progress) -> str:
    with tarfile.open(path) as archive:
        progress(0, 0, f"reading {path.name}")
        members = archive.getmembers()
        bad = _collisions([(member.name, member.isdir()) for member in members])
        for member in members:
            bad += _refusal(member.name, "" if member.isfile() or member.isdir() else "a link or device")
        _refuse(path, bad, target, sum(member.size for member in members))
        files = [member for member in members if member.isfile()]
        for done, member in enumerate(files):
            progress(done, len(files), f"unpacking {path.name}")
            content = archive.extractfile(member)
            if content is not None:
                with content:
                    _write(content, target / member.name)
    return _advice(path, [name for member in members if (name := member.name).encode("utf-8", "replace").decode() != name])


def _collisions(members: Iterable[tuple[str, bool]]) -> list[str]:
    """Find files that would be written where another member lies or has its folder.

    Args:
        members: the name of each, and whether it is a folder.
    """
    files: set[str] = set()
    folders: set[str] = set()
    bad = []
    for name, is_folder in members:
        path = posixpath.normpath(name)
        parts = path.split("/")
        if len(parts) > FOLDERS_DEEP:
            continue  # refused anyway
        above = {"/".join(parts[:count]) for count in range(1, len(parts) + is_folder)}
        if not is_folder and path in files:
            bad.append(f"{name!r} occurs twice")
        elif files & above or (not is_folder and path in folders):
            bad.append(f"{name!r} collides with a file or folder of the same name")
        folders |= above
        if not is_folder:
            files.add(path)
    return bad


def _refusal(name: str, special: str) -> list[str]:
    parts = name.replace("\\", "/").split("/")
    if special:
        return [f"{name!r} is {special}"]
    if name.startswith(("/", "\\")) or ".." in parts or (len(parts[0]) == 2 and parts[0][1] == ":") or "\0" in name or not name:
        return [f"{name!r} leads out of the folder"]
    if len(parts) > FOLDERS_DEEP:
        return [f"{name[:100]!r}… is more than {FOLDERS_DEEP} folders deep"]
    if any(len(part.encode("utf-8", "surrogateescape")) > _NAME_BYTES for part in parts):
        return [f"{name[:100]!r}… has a name of more than {_NAME_BYTES} bytes"]
    return []


def _refuse(path: Path, bad: Iterable[str], target: Path, size: int) -> None:
    problems = [Problem(f"member {message}, which an archive of images does not need; nothing was unpacked", str(path)) for message in bad]
    free = shutil.disk_usage(target).free
    if size > free:
        problems.append(Problem(f"unpacked size is {size / GIB:.1f} GiB; {free / GIB:.1f} GiB are free in {target.parent}", str(path)))
    if problems:
        raise InputError(capped(problems))


def _write(content: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        shutil.copyfileobj(content, file, _BLOCK)


def link_or_copy(source: Path, target: Path) -> None:
    """Create `target` as a hard link to `source` if the disk allows it (no second copy), else as a copy."""
    real = os.path.realpath(source) if os.path.islink(source) else source  # a hard link to a link would be one itself
    try:
        os.link(real, target)
    except OSError:
        shutil.copyfile(real, target)
