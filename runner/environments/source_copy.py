"""Installation of a package from a checkout of its source, by copying it: nothing of the checkout is run, and it may change afterwards."""

from __future__ import annotations

import ast
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from runner.core.checkout import UNKNOWN, code_state
from runner.core.errors import InputError, Problem, RunnerError
from runner.core.files import read_bytes
from runner.environments.specs import SourceSpec

_MOST_FILES = 10_000
_MOST_BYTES = 256 << 20
_COMMIT_LETTERS, _DIGEST_LETTERS = 10, 8
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?")


@dataclass(frozen=True, slots=True)
class SourceCheckout:
    """Checkout of a package's source, as it was when it was read.

    Args:
        folder: its root.
        spec: what it is a checkout of.
        version: the source's own, with the commit and a hash of the files that are copied: ``2.7.0+666f597fd0.3fa9c2d1``.
        commit: empty where there is none.
        files: paths of what is copied, relative to `folder`, sorted.
        digest: SHA-256 over these names and their contents.
    """

    folder: Path
    spec: SourceSpec
    version: str
    commit: str
    files: tuple[str, ...]
    digest: str

    def copy_to(self, site_packages: Path) -> None:
        """Write the package and its metadata there, as an installer would.

        Raises:
            RunnerError: the checkout has changed since it was read.
        """
        for name in self.files:
            target = site_packages / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_read(self.folder, name))
        if _digest(site_packages, self.files) != self.digest:
            raise RunnerError(f"{self.folder} was changed while it was being copied; start again")
        text = f'full_version = "{self.version}"\ncommit = "{self.commit}"\n'
        (site_packages / self.spec.version_module).write_text(text, encoding="utf-8")
        metadata = site_packages / f"{self.spec.distribution}-{self.version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {self.spec.distribution}\nVersion: {self.version}\n", encoding="utf-8"
        )
        (metadata / "INSTALLER").write_text("runner\n", encoding="utf-8")


def read_checkout(folder: Path, spec: SourceSpec) -> SourceCheckout:
    """Find out what a checkout would install.

    Raises:
        InputError: it is no checkout of this package, or cannot be read.
    """
    if not folder.is_dir():
        raise InputError(Problem(f"is not a folder; expected a checkout of {spec.shown}", str(folder)))
    if missing := [name for name in (f"{spec.module}/__init__.py", spec.version_file, *spec.landmarks) if not (folder / name).is_file()]:
        text = f"is no checkout of {spec.shown}: it has no {missing[0]}; get one with git clone, and give its folder"
        raise InputError(Problem(text, str(folder)))
    files = _list(folder, spec)
    digest = _digest(folder, files)
    commit = code_state(folder).get("commit", "")
    commit = "" if commit == UNKNOWN else commit
    version = _own_version(folder / spec.version_file, spec.version_name)
    label = ".".join(part for part in (commit[:_COMMIT_LETTERS], digest[:_DIGEST_LETTERS]) if part)
    return SourceCheckout(folder, spec, f"{version}+{label}", commit, files, digest)


def _list(folder: Path, spec: SourceSpec) -> tuple[str, ...]:
    """Return the files of the package that are copied: not what is generated when it is installed or run.

    Raises:
        InputError: a link, which may lead anywhere, or far more than a package has.
    """
    names, size = [], 0
    for home, below, found in os.walk(folder / spec.module):
        below[:] = [name for name in below if name != "__pycache__"]
        for name in (*below, *found):
            path = Path(home, name)
            if path.is_symlink():
                raise InputError(Problem("is a symbolic link, which is not copied; replace it by what it points to", str(path)))
        for name in found:
            path = Path(home, name)
            relative = path.relative_to(folder).as_posix()
            if relative == spec.version_module or name.endswith((".pyc", ".pyo")):
                continue
            names.append(relative)
            size += path.stat().st_size
            if len(names) > _MOST_FILES or size > _MOST_BYTES:
                raise InputError(
                    Problem(
                        f"holds more than {_MOST_FILES:,} files or {_MOST_BYTES >> 20} MiB; a package has fewer", str(folder / spec.module)
                    )
                )
    return tuple(sorted(names))


def _digest(folder: Path, files: tuple[str, ...]) -> str:
    total = hashlib.sha256()
    for name in files:
        total.update(f"{name}\0{hashlib.sha256(_read(folder, name)).hexdigest()}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def _read(folder: Path, name: str) -> bytes:
    try:
        return read_bytes(folder / name)
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", str(folder / name))) from error


def _own_version(path: Path, name: str) -> str:
    """Return the text that a Python file gives to a constant, without running it.

    Raises:
        InputError: there is none, or it is no version.
    """
    try:
        tree = ast.parse(_read(path.parent, path.name))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError(Problem(f"is no Python file ({type(error).__name__})", str(path))) from error
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and any(isinstance(target, ast.Name) and target.id == name for target in statement.targets):
            value = statement.value.value if isinstance(statement.value, ast.Constant) else None
            if isinstance(value, str) and _VERSION.fullmatch(value):
                return value
    raise InputError(Problem(f"does not set {name} to a version such as '2.7.0'", str(path)))
