"""Preparation of a data set from a source: built in a temporary folder beside its place, then renamed, so that half a set
never looks complete.
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from runner.core.errors import InputError, Problem
from runner.core.files import open_regular, similar_name, sync_folder
from runner.data.convert import convert
from runner.data.formats.yolofile import descriptions_beside
from runner.data.manifest import (
    IMAGE_DIR,
    MANIFEST,
    Manifest,
    read_manifest,
    write_manifest,
)
from runner.data.notes import Note, merged
from runner.data.proposal import SOURCE, prepare_command
from runner.data.sources import Progress, silent, source_hash, unpack
from runner.data.spec import SYNTHETIC, DataSpec, apply_options, find_spec
from runner.data.spec_copy import spec_called, write_spec
from runner.data.synthetic.write import write_generated

_MOST_SHOWN = 3


def prepare(
    name: str | Path,
    source: Path | None,
    root: Path,
    *,
    progress: Progress = silent,
    options: Mapping[str, Any] | None = None,
    force: bool = False,
    called: str | None = None,
) -> Manifest:
    """Make ``root/NAME`` from a source, or find that it exists already (then nothing is written and `Manifest.reused` is true).

    Nothing is downloaded. Images are hard links to the source's where the disk allows it. Several processes may do
    this at the same time: the first one builds, the others wait for it.

    Args:
        name: of a data set, or the path of a spec.
        source: folder, archive, or the YAML file in a folder that describes it (YOLO's data.yaml); None for generated sets, or to get one
            that exists already.
        root: the folder of prepared sets (see `runner.data.spec.data_root`).
        options: see `runner.data.spec.apply_options`.
        force: replace a set that was prepared from something else.
        called: a name of its own for the set; ``datasets/CALLED.yml`` is written, a spec with `options` in it.

    Raises:
        InputError: source missing, damaged or not as verified; the set exists, prepared from something else; the
            place is taken.
    """
    spec, given = apply_options(find_spec(name), options or {}), dict(options or {})
    if called is not None:
        spec, options = spec_called(spec, called), None

    def command(other: str | None = None, called: str | None = called) -> str:
        """Return the command of this call, with another format or name."""
        if other is not None and called is not None and spec.file.exists():
            called = "NAME"  # the spec of this name has a format
        return prepare_command(other or name, source=source or SOURCE, options=given, called=called)

    manifest = _prepare(spec, source, root, progress, dict(options or {}), force, command)
    if called is not None:
        write_spec(spec)
    return manifest


def _prepare(
    spec: DataSpec,
    source: Path | None,
    root: Path,
    progress: Progress,
    options: dict[str, Any],
    force: bool,
    command: Callable[..., str],
) -> Manifest:
    source = _existing(spec, source, root)
    target = root / spec.name
    with _locked(root, spec.name, progress):
        present = read_manifest(target)
        if present is not None and source is not None and source.is_relative_to(target.resolve()):
            message = f"inside the set that would be made from it, {target}, which --force would delete; move it elsewhere"
            raise InputError(Problem(message, str(source)))
        if present is not None and not force:
            return _same_or_refuse(present, spec, source, target, progress, command)
        if present is not None:
            _refuse_strangers(target)
        if present is None and os.path.lexists(target):
            raise InputError(
                Problem("folder exists and was not made by runner; move it away, or set RUNNER_DATA to another folder", str(target))
            )
        if source is None and not spec.generated:
            text = f"data set {spec.name} needs a source: {command()}\n{spec.where}".rstrip()
            raise InputError(Problem(text, str(spec.file) if spec.file.exists() else ""))
        work = Path(tempfile.mkdtemp(prefix=f".{spec.name}.preparing-", dir=root))
        try:
            manifest = _build(spec, source, work, options, progress, command)
            _put_in_place(work, target)
        except OSError as error:
            what = ": ".join(str(part) for part in (error.strerror or error, error.filename) if part)
            what = what.replace(str(work.resolve() / "source"), str(source))
            raise InputError(Problem(f"cannot be prepared: {what}", str(target))) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return manifest


def ensure_synthetic(root: Path, progress: Progress = silent) -> Manifest:
    """Make the generated default set if it does not exist; an existing one is used unchanged, also with other options.

    Raises:
        InputError: it cannot be written, or was made by another version of the generator.
    """
    present = read_manifest(root / SYNTHETIC)
    return prepare(SYNTHETIC, None, root, progress=progress, options=present.options if present else None)


def _existing(spec: DataSpec, source: Path | None, root: Path) -> Path | None:
    if source is None:
        return None
    if spec.generated:
        raise InputError(f"data set {spec.name} is generated; it takes no --source")
    if not source.exists():
        raise InputError(
            Problem(f"the source of {spec.name} does not exist{similar_name(source) or '.'}\n{spec.where}".rstrip(), str(source))
        )
    resolved = _described_folder(source.resolve())
    if resolved.is_dir() and root.resolve().is_relative_to(resolved):
        message = f"the folder of prepared sets, {root}, is inside this source; give a smaller folder, or set RUNNER_DATA"
        raise InputError(Problem(message, str(source)))
    return resolved


def _described_folder(source: Path) -> Path:
    """Return the folder of a YAML file that describes what is in it; any other source unchanged."""
    if source.suffix.lower() not in (".yaml", ".yml") or not source.is_file():
        return source
    if others := descriptions_beside(source):
        text = (
            f"{', '.join(others)} beside it may be read in its place, since a source is read as a folder; move what is not meant elsewhere"
        )
        raise InputError(Problem(text, str(source)))
    return source.parent


@contextmanager
def _locked(root: Path, name: str, progress: Progress) -> Iterator[None]:
    """Hold the set's lock (the system frees it if this process is killed) and delete the remains of killed processes."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = _lock(root / f".{name}.lock", lambda: progress(0, 0, f"waiting for another process that prepares {name}"))
    except OSError as error:
        raise InputError(Problem(f"the folder of prepared sets cannot be written to: {error.strerror}", str(root))) from error
    with lock:
        try:
            for left in root.glob(f".{name}.preparing-*"):
                shutil.rmtree(left, ignore_errors=True)
            yield
        finally:
            Path(lock.name).unlink(missing_ok=True)  # while it is held: see _lock


def _lock(path: Path, waiting: Callable[[], None]) -> IO[bytes]:
    """Open and lock the file `path`. Its holder removes its name at the end, so after waiting it may no longer be the file that the next
    process opens: then this process has to take the new one, too."""
    while True:
        file = open_regular(path, "ab")
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass  # removed, and not created anew yet
        except BaseException:
            file.close()
            raise
        file.close()


def _same_or_refuse(
    present: Manifest, spec: DataSpec, source: Path | None, target: Path, progress: Progress, command: Callable[..., str]
) -> Manifest:
    advice = "--force prepares it anew"
    if source is not None and str(source) != present.source:
        other = command(called="NAME")
        advice = f"for another data set, which needs a name of its own: {other}; --force replaces this one"
    if present.spec_hash != spec.hash():
        given = ", ".join(f"{key}={value}" for key, value in present.options.items()) or "none"
        raise InputError(Problem(f"prepared by another spec or with other options ({given}); {advice}", str(target)))
    if source is not None:
        progress(0, 0, f"comparing {source.name}")
        if source_hash(source) != present.source_hash:
            message = f"prepared from {present.source}, whose content differs from that of {source} now"
            raise InputError(Problem(f"{message}; {advice}", str(target)))
    return dataclasses.replace(present, reused=True)


def _refuse_strangers(target: Path) -> None:
    """Refuse to replace a set whose folder contains other files; pictures are those of `runner data stats`."""
    ours = (MANIFEST, "annotations", IMAGE_DIR)
    others = [
        path.name for path in sorted(target.iterdir()) if path.name not in ours and not path.name.startswith(".") and path.suffix != ".png"
    ]
    if others:
        shown = ", ".join(others[:_MOST_SHOWN]) + (", …" if len(others) > _MOST_SHOWN else "")
        raise InputError(
            Problem(f"contains files that runner did not write, which --force would delete: {shown}; move them elsewhere", str(target))
        )


def _put_in_place(work: Path, target: Path) -> None:
    if target.exists():  # only with force: the content is ours
        os.rename(target, work / "old")
    os.rename(work / "set", target)
    sync_folder(target.parent)


def _build(
    spec: DataSpec, source: Path | None, work: Path, options: dict[str, Any], progress: Progress, command: Callable[..., str]
) -> Manifest:
    folder = work / "set"
    (folder / "annotations").mkdir(parents=True)
    (folder / IMAGE_DIR).mkdir()
    if spec.generate is not None:
        manifest = write_generated(spec, folder, options, progress)
    else:
        assert source is not None  # prepare() has asked for it
        held = source_hash(source)
        place, doubtful = source, ""
        if not source.is_dir():
            place = work.resolve() / "source"
            place.mkdir()
            doubtful = unpack(source, place, progress)
        try:
            manifest = convert(spec, place, folder, progress, command)
        except InputError as error:
            raise InputError([_about_the_archive(problem, place, source, doubtful) for problem in error.problems]) from error
        notes = merged(manifest.notes, [Note("note", doubtful)] if doubtful else [])
        unused = ", ".join(f"{key}={options[key]}" for key in ("val", "seed") if key in options)
        if unused and manifest.splits["val"].lists:
            notes = merged(notes, [Note("note", f"{unused} changes nothing: the source has its own list for val (split.respect_source)")])
        manifest = dataclasses.replace(manifest, source=str(source), source_hash=held, options=options, notes=notes)
    write_manifest(folder, manifest)
    return manifest


def _about_the_archive(problem: Problem, place: Path, archive: Path, doubtful: str) -> Problem:
    """Rewrite a problem of unpacked files as one of the archive: the folder it was unpacked to no longer exists when this is read."""
    message = problem.message.replace(str(place), str(archive))
    where = problem.where.replace(str(place), str(archive))
    return dataclasses.replace(problem, message=f"{message}; {doubtful}" if doubtful else message, where=where)
