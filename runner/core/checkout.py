"""State of the Git checkout a folder lies in, found without running anything that the checkout configures.

A checkout comes with a configuration and attributes that name programs (filters, fsmonitor, external diffs, hooks, helpers that fetch
missing objects), and `git diff` or `git status` start them. So the commit is read from its file here; Git is asked only what is in a
commit and in the index, by a repository directory of ours that borrows the objects and has no such configuration; files are hashed here.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.core.importing import find_program

UNKNOWN = "unknown"
_LIMIT_S = 5.0
_MAX_BYTES = 256 << 20
"""Most bytes read from the files that are compared."""
_MAX_LIST_BYTES = 64 << 20
"""Most bytes read from Git's output."""
_MAX_SMALL_BYTES = 1 << 20
"""Most bytes read from a file that names a commit or a folder, or says how files are converted."""
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA256 = 64  # letters of a hash
_CONVERTS = re.compile(rb"filter|working-tree-encoding")
_IDENT = re.compile(rb"\$Id:[^$\n]*\$")
_LINK, _SUBMODULE = "120000", "160000"


class _CannotTell(Exception):
    """The checkout is too large, damaged, or of a kind that is not understood here."""


@dataclass(frozen=True, slots=True)
class _Repository:
    """The parts of a checkout.

    Args:
        root: the work tree.
        own: the directory that has HEAD and the index; common: the one with branches and objects (another one in a linked work tree).
    """

    root: Path
    own: Path
    common: Path


def code_state(folder: Path) -> dict[str, str]:
    """Return the commit of the checkout that `folder` lies in, and a hash of how the tracked files differ from it.

    Returns:
        ``commit``, and ``diff``: empty if nothing differs, `UNKNOWN` if this is not known without starting programs that the checkout
        names (filters, other encodings, submodules), or not within 5 s and 256 MiB. Empty outside a checkout and before the first commit.
    """
    repository = _repository_of(folder)
    if repository is None:
        return {}
    try:
        commit = _head_commit(repository)
    except (OSError, _CannotTell):
        return {"commit": UNKNOWN, "diff": UNKNOWN}
    if not commit:
        return {}
    try:
        return {"commit": commit, "diff": _difference(repository, commit)}
    except (OSError, _CannotTell, UnicodeError, ValueError):
        return {"commit": commit, "diff": UNKNOWN}


def _repository_of(folder: Path) -> _Repository | None:
    for root in (folder.absolute(), *folder.absolute().parents):
        own = root / ".git"
        try:
            if own.is_file():
                text = _small(own)
                if not text.startswith("gitdir:"):
                    continue
                own = root / text.removeprefix("gitdir:").strip()
            if not (own / "HEAD").is_file():
                continue
            shared = own / "commondir"
            return _Repository(root, own, own / _small(shared) if shared.is_file() else own)
        except (OSError, ValueError, _CannotTell):
            continue
    return None


def _head_commit(repository: _Repository) -> str:
    """Return the hash of the commit that is checked out; empty if there is none yet."""
    name = "HEAD"
    for _ in range(5):  # as many links as Git follows
        text = _ref(repository, name)
        if not text.startswith("ref:"):
            break
        name = text.removeprefix("ref:").strip()
        if not name.startswith("refs/") or ".." in name:
            raise _CannotTell(name)
    if not text and not (repository.common / "reftable").exists():
        return ""
    if not _HASH.fullmatch(text):
        raise _CannotTell(text)
    return text


def _ref(repository: _Repository, name: str) -> str:
    for place in (repository.own, repository.common):
        if (place / name).is_file():
            return _small(place / name)
    packed = repository.common / "packed-refs"
    if packed.is_file():
        for line in _read(packed, _MAX_LIST_BYTES).decode("utf-8", "replace").splitlines():
            value, _, of = line.partition(" ")
            if of == name:
                return value
    return ""


# ------------------------------------------------------------------------------------------------------- what differs
@dataclass(frozen=True, slots=True)
class _IndexEntry:
    """A tracked file: `mode` and `blob` as Git writes them. `skipped`: it need not be in the work tree."""

    mode: str
    blob: str
    skipped: bool = False


def _difference(repository: _Repository, commit: str) -> str:
    committed, tracked = _lists(repository, commit)
    work = _WorkTree(repository, "sha256" if len(commit) == _SHA256 else "sha1")
    digest, changed = hashlib.sha256(), False
    for path in sorted(committed.keys() | tracked.keys()):
        was, staged = committed.get(path), tracked.get(path)
        now = None if staged is None else work.look(path, staged, was)
        if (was and (was.mode, was.blob)) != now:
            changed = True
            digest.update(b"\0".join([path, *(str(part).encode() for part in now or ("deleted",))]) + b"\0\n")
    return digest.hexdigest()[:12] if changed else ""


def _lists(repository: _Repository, commit: str) -> tuple[dict[bytes, _IndexEntry], dict[bytes, _IndexEntry]]:
    """Return path to entry of the files of the commit, and of those of the index."""
    program, index = find_program("git"), repository.own / "index"
    if program is None or not index.is_file():
        raise _CannotTell("no git, or no index")
    with tempfile.TemporaryDirectory(prefix="runner-git-") as ours:
        sha256 = len(commit) == _SHA256
        for name in ("objects", "refs"):
            os.mkdir(os.path.join(ours, name))
        Path(ours, "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        extension = "[extensions]\nobjectFormat = sha256\n" if sha256 else ""
        Path(ours, "config").write_text(f"[core]\nrepositoryformatversion = {sha256:d}\nbare = true\n{extension}", encoding="ascii")
        variables = {
            "PATH": os.path.dirname(program),
            "HOME": ours,
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_DIR": ours,
            "GIT_OBJECT_DIRECTORY": str((repository.common / "objects").absolute()),
            "GIT_INDEX_FILE": str(index.absolute()),
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "",
        }
        trees = _lines([program, "ls-tree", "-r", "-z", "--full-tree", commit], ours, variables)
        committed = {path: _IndexEntry(mode, blob) for (mode, _, blob), path in trees}
        tracked = {
            path: _IndexEntry(mode, blob if stage == "0" else "unmerged", tag == "S")
            for (tag, mode, blob, stage), path in _lines([program, "ls-files", "-s", "-t", "-z"], ours, variables)
        }
    return committed, tracked


def _lines(command: list[str], folder: str, variables: dict[str, str]) -> Iterator[tuple[list[str], bytes]]:
    """Run Git and yield the words and the path of each line of its output."""
    nothing = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=folder, env=variables, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing) as git:
        assert git.stdout is not None
        timer = threading.Timer(_LIMIT_S, git.kill)
        timer.start()
        text = git.stdout.read(_MAX_LIST_BYTES + 1)
        timer.cancel()
        if len(text) > _MAX_LIST_BYTES:
            git.kill()
    if git.returncode != 0 or len(text) > _MAX_LIST_BYTES:
        raise _CannotTell(command[1])
    for line in text.split(b"\0")[:-1]:
        words, _, path = line.partition(b"\t")
        yield words.decode("ascii").split(), path


class _WorkTree:
    """The files as they are, within a limit of time and size."""

    def __init__(self, repository: _Repository, algorithm: str) -> None:
        self._repository, self._algorithm = repository, algorithm
        self._deadline, self._left = time.monotonic() + _LIMIT_S, _MAX_BYTES
        self._folders: dict[bytes, bool] = {}
        self._converts: dict[bytes, bool] = {}
        """Maps a folder to whether attributes in it, or above it, may have files converted by a program."""
        settings = b"".join(map(_optional, _settings_of(repository)))
        self._has_modes = not re.search(rb"(?i)^\s*filemode\s*=\s*false", settings, re.MULTILINE)
        self._attributes_elsewhere = bool(re.search(rb"(?i)attributesfile|\[include", settings))

    def look(self, path: bytes, staged: _IndexEntry, was: _IndexEntry | None) -> tuple[str, str] | None:
        """Return mode and blob of a tracked file as `git add` would have them; None if it is gone."""
        if time.monotonic() > self._deadline or not _is_below(path):
            raise _CannotTell(path)
        place = os.path.join(os.fsencode(self._repository.root), path)
        found = self._status(path, place)
        if staged.mode == _SUBMODULE:
            if found is not None and stat.S_ISDIR(found.st_mode) and os.listdir(place):
                raise _CannotTell(path)
            return staged.mode, staged.blob  # it was not fetched
        if found is None:
            return (staged.mode, staged.blob) if staged.skipped else None
        if stat.S_ISLNK(found.st_mode):
            return _LINK, self._blob(os.readlink(place))
        if not stat.S_ISREG(found.st_mode):
            return None
        mode = "100755" if found.st_mode & stat.S_IXUSR else "100644"
        known = {entry.blob for entry in (staged, was) if entry is not None}
        return mode if self._has_modes else staged.mode, self._content(path, place, known)

    def _status(self, path: bytes, place: bytes) -> os.stat_result | None:
        try:
            return os.lstat(place) if self._is_folder(os.path.dirname(path)) else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _is_folder(self, folder: bytes) -> bool:
        """Return whether `folder` is a folder of the work tree, not reached through a link."""
        if folder not in self._folders:
            found = self._status(folder, os.path.join(os.fsencode(self._repository.root), folder)) if folder else None
            self._folders[folder] = not folder or (found is not None and stat.S_ISDIR(found.st_mode))
        return self._folders[folder]

    def _content(self, path: bytes, place: bytes, known: set[str]) -> str:
        data = _read(place, self._left)
        self._left -= len(data)
        blob = self._blob(data)
        if blob in known:
            return blob
        unix = data.replace(b"\r\n", b"\n")
        converted = {self._blob(text) for text in (unix, _IDENT.sub(b"$Id$", unix), _IDENT.sub(b"$Id$", data))}
        if converted & known or self._may_be_converted(os.path.dirname(path)):
            raise _CannotTell(path)  # the commit's file may be this one in another form
        return blob

    def _blob(self, data: bytes) -> str:
        return hashlib.new(self._algorithm, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    def _may_be_converted(self, folder: bytes) -> bool:
        if folder not in self._converts:
            here = os.path.join(os.fsencode(self._repository.root), folder, b".gitattributes")
            if folder:
                above = self._may_be_converted(os.path.dirname(folder))
            else:
                above = self._attributes_elsewhere or any(map(_names_program, _attributes_of(self._repository)))
            self._converts[folder] = above or _names_program(here)
        return self._converts[folder]


def _is_below(path: bytes) -> bool:
    """Return whether a path of the index lies in the work tree."""
    parts = path.split(b"/")
    return not any(part in (b"", b".", b"..") or part.lower() == b".git" for part in parts)


def _settings_of(repository: _Repository) -> list[Path]:
    home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    ours = [repository.common / "config", repository.own / "config.worktree"]
    return [*ours, Path("~/.gitconfig").expanduser(), home / "git" / "config"]


def _attributes_of(repository: _Repository) -> list[Path]:
    home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return [repository.common / "info" / "attributes", home / "git" / "attributes", Path("/etc/gitattributes")]


def _names_program(attributes: Path | bytes) -> bool:
    return bool(_CONVERTS.search(_optional(attributes)))


# ------------------------------------------------------------------------------------------------------------- reading
def _optional(path: Path | bytes) -> bytes:
    """Return the content of a small file; empty if the file is missing."""
    try:
        return _read(path, _MAX_SMALL_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return b""


def _small(path: Path) -> str:
    return _read(path, _MAX_SMALL_BYTES).decode("utf-8").strip()


def _read(path: Path | bytes, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes; anything else is closed at once."""
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
            raise _CannotTell(path)
        data = file.read(limit + 1)
    if len(data) > limit:
        raise _CannotTell(path)
    return data
