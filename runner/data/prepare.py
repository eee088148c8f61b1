"""From a source to a prepared set: built in a temporary folder beside its place, then renamed, so that half a set
never looks whole.
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from runner.core.errors import InputError, Problem
from runner.core.files import sync_folder
from runner.data.annotations import as_problems
from runner.data.boxes import settle
from runner.data.coco import save_json
from runner.data.cut import divide
from runner.data.formats import FORMATS
from runner.data.formats.base import Loaded, NotThisFormat, Split, capped
from runner.data.formats.save import to_coco
from runner.data.formats.tree import alike_key
from runner.data.headers import other_sizes
from runner.data.images import image_size
from runner.data.manifest import (
    ANNOTATIONS,
    IMAGE_DIR,
    Manifest,
    SplitFacts,
    prepared_content,
    read_manifest,
    write_manifest,
)
from runner.data.notes import Note, Notes, merged
from runner.data.sources import Progress, link_or_copy, silent, source_hash, unpack
from runner.data.spec import SYNTHETIC, DataSpec, apply_options, find_spec
from runner.data.synthetic.write import write_generated


def prepare(
    name: str | Path,
    source: Path | None,
    root: Path,
    *,
    progress: Progress = silent,
    options: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Manifest:
    """Make ``root/NAME`` from a source, or find it already there (then nothing is written and `Manifest.reused` is
    true).

    Nothing is downloaded. Images are hard links to the source's where the disk allows it. Several processes may do
    this at once: the first one builds, the others wait for it.

    Args:
        name: of a data set, or the path of a spec.
        source: folder or archive; None for generated sets, or to ask for one that is already there.
        root: the folder of prepared sets (see `runner.data.spec.data_root`).
        options: see `runner.data.spec.apply_options`.
        force: replace a set that was prepared from something else.

    Raises:
        InputError: source missing, damaged or not as verified; the set exists, prepared from something else; the
            place is taken.
    """
    spec = apply_options(find_spec(name), options or {})
    source = _existing(spec, source, root)
    target = root / spec.name
    with _locked(root, spec.name, progress):
        present = read_manifest(target)
        if present is not None and not force:
            return _same_or_refuse(present, spec, source, target, progress)
        if present is None and os.path.lexists(target):
            raise InputError(Problem("exists and was not made by runner; move it away, or set RUNNER_DATA to another folder", str(target)))
        if source is None and not spec.generated:
            raise InputError(
                Problem(
                    f"the data set {spec.name} needs its source (--source FOLDER_OR_ARCHIVE).\n{spec.where}",
                    str(spec.file),
                )
            )
        work = Path(tempfile.mkdtemp(prefix=f".{spec.name}.preparing-", dir=root))
        try:
            manifest = _build(spec, source, work, dict(options or {}), progress)
            _put_in_place(work, target)
        except OSError as error:
            what = ": ".join(str(part) for part in (error.strerror or error, error.filename) if part)
            what = what.replace(str(work.resolve() / "source"), str(source))
            raise InputError(Problem(f"cannot be prepared: {what}", str(target))) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return manifest


def ensure_synthetic(root: Path, progress: Progress = silent) -> Manifest:
    """The generated default set, made if it is not there; one that is there is taken as it is, also with other options.

    Raises:
        InputError: it cannot be written, or was made by another version of the generator.
    """
    present = read_manifest(root / SYNTHETIC)
    return prepare(SYNTHETIC, None, root, progress=progress, options=present.options if present else None)


def _existing(spec: DataSpec, source: Path | None, root: Path) -> Path | None:
    if source is None:
        return None
    if spec.generated:
        raise InputError(f"the data set {spec.name} is generated; it takes no --source")
    if not source.exists():
        raise InputError(Problem(f"the source of {spec.name} does not exist.\n{spec.where}".rstrip(), str(source)))
    resolved = source.resolve()
    if resolved.is_dir() and root.resolve().is_relative_to(resolved):
        message = f"the folder of prepared sets, {root}, lies within it; name a smaller folder, or set RUNNER_DATA"
        raise InputError(Problem(message, str(source)))
    return resolved


@contextmanager
def _locked(root: Path, name: str, progress: Progress) -> Iterator[None]:
    """Hold the set's lock (the system frees it if we are killed) and clear away what killed processes left."""
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
    """The file `path`, open and locked. Whoever holds it removes its name at the end, so one that was waited for may be no
    longer the file that the next process opens: then this process, too, has to take the new one."""
    while True:
        file = open(path, "ab")  # noqa: SIM115 - the caller closes it
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass  # removed, and nobody has made a new one yet
        except BaseException:
            file.close()
            raise
        file.close()


def _same_or_refuse(present: Manifest, spec: DataSpec, source: Path | None, target: Path, progress: Progress) -> Manifest:
    if present.spec_hash != spec.hash():
        given = ", ".join(f"{key}={value}" for key, value in present.options.items()) or "none"
        raise InputError(
            Problem(
                f"was prepared by another spec or with other options (it has: {given}); --force prepares it anew",
                str(target),
            )
        )
    if source is not None:
        progress(0, 0, f"comparing {source.name}")
        if source_hash(source) != present.source_hash:
            message = f"was prepared from {present.source}, which held something else than {source} does now"
            raise InputError(Problem(f"{message}; --force prepares it anew", str(target)))
    return dataclasses.replace(present, reused=True)


def _put_in_place(work: Path, target: Path) -> None:
    if target.exists():  # only with force: what is there is ours
        os.rename(target, work / "old")
    os.rename(work / "set", target)
    sync_folder(target.parent)


def _build(spec: DataSpec, source: Path | None, work: Path, options: dict[str, Any], progress: Progress) -> Manifest:
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
            manifest = _convert(spec, place, folder, progress)
        except InputError as error:
            raise InputError([_about_the_archive(problem, place, source, doubtful) for problem in error.problems]) from error
        notes = merged(manifest.notes, [Note("note", doubtful)] if doubtful else [])
        unused = ", ".join(f"{key}={options[key]}" for key in ("val", "seed") if key in options)
        if unused and manifest.splits["val"].lists:
            notes = merged(notes, [Note("note", f"{unused} changes nothing: the source has its own list for val (cut.respect_source)")])
        manifest = dataclasses.replace(manifest, source=str(source), source_hash=held, options=options, notes=notes)
    write_manifest(folder, manifest)
    return manifest


def _about_the_archive(problem: Problem, place: Path, archive: Path, doubtful: str) -> Problem:
    """A problem of unpacked files as one of the archive: where it was unpacked to is gone when this is read."""
    message = problem.message.replace(str(place), str(archive))
    where = problem.where.replace(str(place), str(archive))
    return dataclasses.replace(problem, message=f"{message}; {doubtful}" if doubtful else message, where=where)


def _convert(spec: DataSpec, source: Path, folder: Path, progress: Progress) -> Manifest:
    progress(0, 0, "reading annotations")
    loaded = _load(spec, source)
    if not loaded.items:
        raise InputError(Problem("has annotations, but none of them belongs to an image", str(source)))
    _verify_counts(spec, loaded, source)
    loaded = settle(loaded, source, spec.boxes_outside, spec.boxes_empty)
    names = _names(loaded, source)
    progress(0, 0, "reading image headers")
    files = [item.path.relative_to(source).as_posix() for item in loaded.items]
    if wrong := other_sizes(source, files, [(item.width, item.height) for item in loaded.items]):
        raise InputError(as_problems(wrong, source))
    division = divide(spec, loaded, names)
    notes = Notes()
    _note_alike_classes(loaded.classes, notes)
    used = Counter(names[index] for members in division.sides.values() for index in members)
    for name, count in used.items():
        if count > 1:
            notes.add("read", "images that the source lists more than once, and that count as often", name)
    chosen = {names[index]: index for members in division.sides.values() for index in members}
    real_folders = {parent: Path(os.path.realpath(parent)) for parent in {item.path.parent for item in loaded.items}}
    for done, (name, index) in enumerate(chosen.items()):
        progress(done, len(chosen), "linking images")
        path = loaded.items[index].path
        _put_image(path, real_folders[path.parent], folder / IMAGE_DIR / name, source, notes)
    ids = _ids(loaded, division.sides)
    facts: dict[Split, SplitFacts] = {}
    for split, members in division.sides.items():
        rows = [(ids[index], names[index], loaded.items[index]) for index in members]
        path = folder / ANNOTATIONS[split]
        sha256 = save_json(path, to_coco(rows, loaded.classes, loaded.category_ids, spec.title))
        boxes = sum(len(item.boxes) for _, _, item in rows)
        facts[split] = SplitFacts(len(rows), boxes, ANNOTATIONS[split], sha256, division.lists.get(split, ()))
    return Manifest(
        name=spec.name,
        classes=loaded.classes,
        splits={split: facts[split] for split in ANNOTATIONS if split in facts},
        content=prepared_content(folder),
        spec_hash=spec.hash(),
        source="",
        source_hash="",
        notes=merged(loaded.notes, division.notes, notes.listed()),
        boxes_outside=spec.boxes_outside,
        boxes_empty=spec.boxes_empty,
    )


def _note_alike_classes(classes: Sequence[str], notes: Notes) -> None:
    by_key: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        by_key[alike_key(name)].append(name)
    for names in by_key.values():
        if len(names) > 1:
            notes.say(
                f"these are {len(names)} classes, though their names differ in case or Unicode form only: {', '.join(map(ascii, names))}"
            )


def _names(loaded: Loaded, source: Path) -> list[str]:
    """The items' names below the image folder: their paths below the folder that all have in common. A format (also
    another package's) that gives paths outside of the source would have them written outside of the set.
    """
    problems = []
    for item in loaded.items:
        if ".." in item.path.parts or not item.path.is_relative_to(source):
            problems.append(Problem(f"the path {str(item.path)!r} leads out of the source", str(source)))
        elif (text := str(item.path)).encode("utf-8", "replace").decode() != text:
            problems.append(Problem(f"the file name {text!r} is not UTF-8; rename the file (convmv -f gbk -t utf-8 …)", str(source)))
    if problems:
        raise InputError(capped(problems))
    base = Path(os.path.commonpath([item.path.parent for item in loaded.items]))
    return [item.path.relative_to(base).as_posix() for item in loaded.items]


def _ids(loaded: Loaded, sides: Mapping[Split, list[int]]) -> dict[int, int]:
    """Image numbers by index of `loaded.items`: the source's own where they are all there and differ, else counted. A test
    split, in a file of its own, changes nothing for the others."""
    ids: dict[int, int] = {}
    test = set(sides.get("test", ()))
    learned = [index for index in range(len(loaded.items)) if index not in test]
    for indices in (sorted(test), learned):
        own = [loaded.items[index].id for index in indices]
        usable = None not in own and len(set(own)) == len(own)
        ids |= {index: int(own[place] or 0) if usable else index + 1 for place, index in enumerate(indices)}
    return ids


def _put_image(path: Path, folder: Path, target: Path, source: Path, notes: Notes) -> None:
    """Link an image into the set. One that is a link out of the source is the user's own choice, but has to be an image.

    Args:
        folder: the image's folder, its links resolved.
    """
    real = Path(os.path.realpath(path)) if path.is_symlink() else folder / path.name
    if not real.is_relative_to(source):
        image_size(path)
        notes.add("read", "images that symbolic links out of the source lead to", f"{path.relative_to(source).as_posix()} → {real}")
    target.parent.mkdir(parents=True, exist_ok=True)
    link_or_copy(real, target)


def _load(spec: DataSpec, source: Path) -> Loaded:
    looked_for = []
    for name in spec.formats:
        try:
            loaded: Loaded = FORMATS.get(name)(source, spec.classes)
            return loaded
        except NotThisFormat as error:
            looked_for.append(str(error))
    message = f"does not look like the source of {spec.name}; looked for: {'; or '.join(looked_for)}."
    raise InputError(Problem(f"{message}\n{spec.where}".rstrip(), str(source)))


def _verify_counts(spec: DataSpec, loaded: Loaded, source: Path) -> None:
    images, boxes = len(loaded.items), sum(len(item.boxes) for item in loaded.items)
    if spec.images in (None, images) and spec.boxes in (None, boxes):
        return
    per_class = Counter(np.concatenate([item.classes for item in loaded.items]).tolist())
    counted = ", ".join(f"{name} {per_class[index]}" for index, name in enumerate(loaded.classes))
    raise InputError(
        Problem(
            f"holds {images:,} images and {boxes:,} boxes ({counted}); "
            f"{spec.name} has {spec.images or images:,} and {spec.boxes or boxes:,}. Files may be missing: get it again. "
            f"If you mean this data, give its counts: images={images} boxes={boxes}",
            str(source),
        )
    )
