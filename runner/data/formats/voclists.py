"""The lists of a VOC source: ``ImageSets/Main/*.txt`` with one name per line, or PaddleDetection's ``train.txt``,
``valid.txt``, … (PaddleX's ``train_list.txt``, …) beside the data with an image and its XML file per line. Without
these, folders called train, valid, test, … are lists.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.data.formats.base import IMAGE_SUFFIXES, SourceList, read_lines
from runner.data.formats.splits import lists_of_folders, split_word
from runner.data.formats.tree import Tree, alike_key
from runner.data.notes import Notes

_FLAG = re.compile(r"(.*\S)\s+(?:-1|0|1)")
"""A name and whether the class of the list is in the image, as VOC's class lists have it."""
_LIST_END = re.compile(r"[-_]list$", re.IGNORECASE)
"""End of the names of PaddleX's lists: train_list.txt."""


@dataclass(slots=True)
class _ImageIndex:
    """Index of annotations by their names in lists: by the paths of both files, by name within each VOC folder."""

    tree: Tree
    files: dict[Path, int] = field(default_factory=dict)
    names: dict[tuple[Path, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    alike: dict[tuple[Path, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    no_xml: set[str] = field(default_factory=set)
    pairs: Sequence[tuple[Path, Path]] = ()


def read_lists(tree: Tree, annotations: Sequence[tuple[Path, Path]], unannotated: Sequence[Path], notes: Notes) -> Mapping[str, SourceList]:
    """Return the source's lists by name.

    Args:
        annotations: (XML file, image), in item order.
        unannotated: images without an XML file; a list may name them.
    """
    index = _ImageIndex(tree, no_xml={image.stem for image in unannotated}, pairs=annotations)
    for number, (xml, image) in enumerate(annotations):
        index.files[xml] = index.files[image] = number
        top = _top(tree.root, xml)
        for name in dict.fromkeys((xml.stem, image.stem)):
            index.names[top, name].append(number)
            index.alike[top, alike_key(name)].append(number)
    found: dict[str, list[tuple[str, set[int], list[str]]]] = defaultdict(list)
    for path in _list_files(tree):
        relative = tree.relative(path)
        members, doubtful, unknown = _read(path, index, notes)
        if unknown and not members and not doubtful and path.parent.name.lower() not in ("main", "imagesets"):
            notes.add("left out", "text files that look like lists by their names, but name no image of the source", relative)
            continue
        plain = _LIST_END.sub("", path.stem)
        found[plain if split_word(plain) else path.stem].append((relative, members, doubtful + unknown))
    if not found:
        return lists_of_folders([[tree.relative(image), tree.relative(xml)] for xml, image in annotations])
    return {
        name: SourceList(
            tuple(file for file, _, _ in parts),
            tuple(sorted(set().union(*(members for _, members, _ in parts)))),
            tuple(entry for _, _, missing in parts for entry in missing),
        )
        for name, parts in found.items()
    }


def _list_files(tree: Tree) -> Iterator[Path]:
    """VOC's own lists; only where there are none, those beside the data."""
    texts = tree.files({".txt"})
    for ends in (("imagesets", "main"), ("imagesets",)):
        own = [path for path in texts if tuple(part.lower() for part in path.parent.parts[-len(ends) :]) == ends]
        if own:
            yield from own
            return
    beside = sorted(texts, key=lambda path: len(path.parts))
    plain = [path for path in beside if split_word(path.stem)]
    yield from plain or [path for path in beside if split_word(_LIST_END.sub("", path.stem))]


def _read(path: Path, index: _ImageIndex, notes: Notes) -> tuple[set[int], list[str], list[str]]:
    """Return the annotations that a list names, and its entries that fit several or none."""
    lines = read_lines(path)
    flagged = all(_FLAG.fullmatch(line) for _, line in lines)
    tops = tuple(dict.fromkeys((_top(index.tree.root, path), path.parent)))
    members: set[int] = set()
    doubtful: list[str] = []
    unknown: list[str] = []
    for number, line in lines:
        found = _find(line, path, tops, index, flagged)
        where = f"{path}:{number}: the entry {line!r}"
        if len(found) > 1:
            first, second = (index.tree.relative(index.pairs[one][0]) for one in found[:2])
            doubtful.append(f"{where} fits {len(found)} annotations, {first} and {second} among them, so it has to name the folder")
            continue
        if members.issuperset(found) and found:
            notes.add("left out", "lines of lists that name an image once more", f"{index.tree.relative(path)}:{number}: {line}")
        members.update(found)
        if not found and not _names_no_xml(line, index, flagged):
            unknown.append(f"{where} matches no image with annotations below the source")
    return members, doubtful, unknown


def _find(line: str, path: Path, tops: Sequence[Path], index: _ImageIndex, flagged: bool) -> list[int]:
    """Return the annotation that an entry means: it is a name, perhaps with spaces; a name and a flag; a path of one of the
    files, or of both. Several where the name is in several folders and the entry does not say in which."""
    texts = _without_flag(line, flagged)
    for form in (str, _stem):  # the cheap look-up first: VOC's class lists have hundreds of thousands of lines
        for text in texts:
            for top in tops:
                if found := index.names.get((top, form(text))):
                    return found if len(found) == 1 else _by_path(text, path, index) or _by_folder(text, found, index)
    for text in texts:
        if both := _by_path(text, path, index):
            return both
        for top in tops:
            alike = index.alike.get((top, alike_key(_stem(text))), [])
            if len(alike) > 1:
                alike = _by_folder(text, alike, index)
            if len(alike) == 1:
                index.tree.matched(text, index.pairs[alike[0]][0])
                return alike
    return []


def _by_folder(text: str, found: list[int], index: _ImageIndex) -> list[int]:
    """Those of the annotations `found` by name whose XML file or image lies in the folders that the entry gives (cam1/7),
    as far as there are such."""
    folders = tuple(alike_key(folder) for folder in posixpath.dirname(text.replace("\\", "/")).split("/") if folder not in ("", "."))
    if not folders:
        return found
    ends = [number for number in found if any(_ends_with(file.parent, folders) for file in index.pairs[number])]
    return ends or found


def _ends_with(folder: Path, names: tuple[str, ...]) -> bool:
    return tuple(alike_key(part) for part in folder.parts[-len(names) :]) == names


def _without_flag(line: str, flagged: bool) -> list[str]:
    flag = _FLAG.fullmatch(line) if flagged else None
    return [line, flag[1]] if flag else [line]


def _by_path(text: str, path: Path, index: _ImageIndex) -> list[int]:
    """Return the annotation of a path, or of "image xml": names may hold spaces, so each space may be the one between them."""
    if (found := _file(text, path, index)) is not None:
        return [found]
    for space in re.finditer(r"[\s,]+", text) if text.lower().endswith(".xml") else ():
        xml = _file(text[space.end() :], path, index)
        if xml is not None and _file(text[: space.start()], path, index) == xml:
            return [xml]
    return []


def _file(text: str, path: Path, index: _ImageIndex) -> int | None:
    for folder in dict.fromkeys((path.parent, index.tree.root)):
        file = index.tree.find(folder, text)
        if file is not None and file in index.files:
            return index.files[file]
    return None


def _names_no_xml(line: str, index: _ImageIndex, flagged: bool) -> bool:
    return any(text in index.no_xml or _stem(text) in index.no_xml for text in _without_flag(line, flagged))


def _stem(text: str) -> str:
    """Return the name without folders, and without the suffix of an image or XML file."""
    name = posixpath.basename(text.replace("\\", "/"))
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in {*IMAGE_SUFFIXES, ".xml"} else name


def _top(source: Path, path: Path) -> Path:
    """Return the folder that holds Annotations (VOC2007, VOC2012): stems are unique only within it."""
    for parent in path.parents:
        if parent == source:
            break
        if parent.name.lower() in ("annotations", "imagesets"):
            return parent.parent
    return source
