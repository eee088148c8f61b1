"""Pascal VOC XML: VOC's own layout, the six class folders of the PCB set, or any tree of images and XML files."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.core.errors import InputError
from runner.data.formats.base import (
    IMAGE_SUFFIXES,
    UNREAD_SUFFIXES,
    Item,
    Loaded,
    NotThisFormat,
    Problems,
    make_item,
    number,
    read_lines,
    read_text,
)
from runner.data.formats.tree import Tree, alike_key
from runner.data.formats.voclists import read_lists
from runner.data.images import image_size
from runner.data.notes import Notes

_IMAGE_FOLDERS = ("jpegimages", "images")
_LABEL_FILES = ("labels.txt", "label_list.txt", "classes.txt")


@dataclass(slots=True)
class _Object:
    name: str
    box: tuple[float, float, float, float]
    difficult: bool


@dataclass(slots=True)
class _Annotation:
    file: Path
    image: Path
    size: tuple[int, int]
    objects: list[_Object] = field(default_factory=list)


def load(source: Path, classes: tuple[str, ...]) -> Loaded:
    """Read every XML annotation below `source`.

    VOC counts pixels from 1 and means both ends: (xmin, ymin, xmax, ymax) becomes (xmin - 1, ymin - 1, xmax, ymax). Difficult objects
    become crowd: neither object nor background, which is how VOC's own evaluation treats them. An image belongs to an XML file by its
    stem, else by <filename>; where a stem occurs in several folders, the one named like the XML's folder is meant.

    Lists: see `runner.data.formats.voclists`. Class order: `classes`, else labels.txt, label_list.txt or classes.txt,
    else the sorted names.

    Raises:
        NotThisFormat, InputError: see `Format`.
    """
    notes = Notes()
    tree = Tree(source, notes)
    xml_files = tree.files({".xml"})
    if not xml_files:
        raise NotThisFormat("VOC XML files (Annotations/*.xml, or a folder of them for each class)")
    image_files = tree.files(IMAGE_SUFFIXES)
    images = _Images(tree, image_files)
    problems = Problems()
    read = [_read(path, images, problems, notes) for path in xml_files]
    annotations = [one for one in read if one is not None]
    order = classes or _listed_classes(tree) or tuple(sorted({found.name for one in annotations for found in one.objects}))
    owners: dict[Path, Path] = {}
    for one in annotations:
        if owners.setdefault(one.image, one.file) != one.file:
            problems.add(f"annotates {tree.relative(one.image)}, as {tree.relative(owners[one.image])} does; keep one of them", one.file)
        for found in one.objects:
            if found.name not in order:
                problems.add(f"unknown class {found.name!r}; expected one of {', '.join(order)}", one.file)
    problems.check()
    if not annotations:
        raise NotThisFormat("VOC XML files with <annotation> at their top")
    _note_folders(annotations, tree, notes)
    without = [path for path in image_files if path not in owners]
    lists = read_lists(tree, [(one.file, one.image) for one in annotations], without, notes)
    items = [_item(one, order) for one in annotations]
    tree.note_others(UNREAD_SUFFIXES)
    notes.add("read", "XML files", tree.relative(xml_files[0]), len(annotations))
    notes.add("left out", "images without an XML file", tree.relative(without[0]) if without else "", len(without))
    return Loaded(order, tuple(items), lists=lists, notes=notes.listed())


def _item(one: _Annotation, order: tuple[str, ...]) -> Item:
    return make_item(one.image, one.size, ((order.index(found.name), *found.box, found.difficult) for found in one.objects))


def _read(path: Path, images: _Images, problems: Problems, notes: Notes) -> _Annotation | None:
    try:
        text = read_text(path, _declared_encoding)
    except InputError as error:
        problems.found.extend(error.problems)
        return None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can expand without limit
        problems.add("XML entities are not allowed in an annotation", path)
        return None
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        problems.add(f"invalid XML: {error}; the file may be truncated", path)
        return None
    _lower_tags(root, images.tree.relative(path), notes)
    if root.tag != "annotation":
        notes.add("left out", "XML files that are no annotations", images.tree.relative(path))
        return None
    image = images.of(path, _base_name(root))
    if image is None:
        problems.add(
            f"its image ({path.stem} or {root.findtext('filename')!r}) is not below the source, or more than once there"
            f"{images.hint(path.stem)}",
            path,
        )
        return None
    named = image.with_name(_base_name(root) or image.name)
    if named != image and named in images.files:
        what = "XML files that name another image than the one called as they are, which is taken"
        notes.add("read", what, f"{images.tree.relative(path)}: {named.name} instead of {image.name}")
    try:
        size = (int(number(root.findtext("size/width") or "0")), int(number(root.findtext("size/height") or "0")))
        if min(size) < 1:
            size = image_size(image)
            notes.add("changed", "annotations without a size, taken from the image", images.tree.relative(path))
        one = _Annotation(path, image, size)
        _refuse_several(root, ("filename", "size"), "the annotation")
        one.objects += [_object(element) for element in _objects(root)]
    except InputError as error:
        problems.found.extend(error.problems)
        return None
    except (ValueError, OverflowError) as error:
        problems.add(str(error), path)
        return None
    return one


def _note_folders(annotations: Sequence[_Annotation], tree: Tree, notes: Notes) -> None:
    """Note XML files whose image has its name alone in common with them: most files beside the XML have their images elsewhere, and most
    images beside the image have their XML elsewhere."""
    pairs = Counter((one.file.parent, one.image.parent) for one in annotations)
    most_of_xml: Counter[Path] = Counter()
    most_of_images: Counter[Path] = Counter()
    for (xml, images), count in pairs.items():
        most_of_xml[xml], most_of_images[images] = max(most_of_xml[xml], count), max(most_of_images[images], count)
    for one in annotations:
        if pairs[one.file.parent, one.image.parent] < min(most_of_xml[one.file.parent], most_of_images[one.image.parent]):
            shown = f"{tree.relative(one.file)} for {tree.relative(one.image)}"
            notes.add("read", "XML files whose image lies in another folder than those of their neighbours, found by its name", shown)


def _lower_tags(root: ET.Element, shown: str, notes: Notes) -> None:
    for element in root.iter():
        if element.tag != element.tag.lower():
            notes.add("changed", "XML tags that are not in lower case, taken as if", f"{shown}: <{element.tag}>")
            element.tag = element.tag.lower()


def _objects(root: ET.Element) -> list[ET.Element]:
    """Return the objects of an annotation, in order; some tools put them into <objects>. Raises ValueError if others are elsewhere."""
    found = [
        one for child in root for one in ([child] if child.tag == "object" else child.findall("object") if child.tag == "objects" else [])
    ]
    if more := len(list(root.iter("object"))) - len(found):
        raise ValueError(f"{more} of its objects are not directly in <annotation> or <objects>; move them there")
    return found


def _refuse_several(element: ET.Element, tags: Sequence[str], what: str, advice: str = "") -> None:
    for tag in tags:
        if (count := len(element.findall(tag))) > 1:
            raise ValueError(f"{what} has {count} of <{tag}>, expected one{advice}")


def _object(element: ET.Element) -> _Object:
    """Read an object. Raises ValueError with the mistake."""
    name = (element.findtext("name") or "").strip()
    if not name:
        raise ValueError("an object has no name")
    tags = ("name", "difficult", "bndbox", *(f"bndbox/{key}" for key in ("xmin", "ymin", "xmax", "ymax")))
    _refuse_several(element, tags, f"the object {name!r}", "; make an object of each")
    texts = [element.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
    try:
        x1, y1, x2, y2 = (number(text or "") for text in texts)
    except ValueError as error:
        raise ValueError(f"the object {name!r} has a box that is not four numbers: {texts}") from error
    return _Object(name, (x1 - 1, y1 - 1, x2, y2), _is_true(element.findtext("difficult") or ""))


def _base_name(root: ET.Element) -> str:
    """Return the name that <filename> says, without folders."""
    return (root.findtext("filename") or "").replace("\\", "/").rsplit("/", 1)[-1]


class _Images:
    """The images of a source, found by what XML files call them."""

    def __init__(self, tree: Tree, files: list[Path]) -> None:
        self.tree, self.files = tree, frozenset(files)
        self._stems: dict[str, list[Path]] = defaultdict(list)
        self._alike: dict[str, list[Path]] = defaultdict(list)
        for path in files:
            self._stems[path.stem].append(path)
            self._alike[alike_key(path.stem)].append(path)

    def hint(self, stem: str) -> str:
        """Suggest an image where none was found."""
        found = next((path for path in self.tree.files(UNREAD_SUFFIXES) if path.stem == stem), None)
        return f"; {self.tree.relative(found)} is of a type that is not read: save it as PNG or JPEG" if found else ""

    def of(self, xml: Path, named: str) -> Path | None:
        """Return the one image of an XML file; None if there is none, or which one is open."""
        stems = tuple(dict.fromkeys((xml.stem, Path(named).stem)))
        for stem in stems:
            found = self._stems.get(stem, [])
            if len(found) > 1:
                near = [image for image in found if image.parent.name.lower() == xml.parent.name.lower()]
                near = near or [image for image in found if image.parent.parent == xml.parent.parent]
                found = near or found
            if len(found) > 1:
                found = [image for image in found if image.name == named] or found
            if len(found) > 1:  # beside masks, as VOC's SegmentationClass/
                found = [image for image in found if image.parent.name.lower() in _IMAGE_FOLDERS] or found
            if len(found) == 1:
                return found[0]
        for stem in stems:
            if stem not in self._stems and len(alike := self._alike.get(alike_key(stem), [])) == 1:
                self.tree.matched(stem, alike[0])
                return alike[0]
        return None


def _listed_classes(tree: Tree) -> tuple[str, ...]:
    for name in _LABEL_FILES:
        for path in tree.named(name):
            return tuple(dict.fromkeys(line for _, line in read_lines(path)))
    return ()


def _declared_encoding(data: bytes) -> str | None:
    """Return the encoding of an XML declaration; the Chinese ones by the widest of them, which reads all three. A declaration that can
    be read byte by byte is not in UTF-16 or UTF-32, whatever it says (.NET writes so): then it counts as none."""
    found = re.match(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)""", data[:200])
    name = found[1].decode("ascii").lower() if found else ""
    if name.startswith(("utf-16", "utf16", "utf-32", "utf32", "ucs-2", "unicode")):
        return None
    return "gb18030" if name in ("gbk", "gb2312", "cp936") else name or None


def _is_true(text: str) -> bool:
    """Parse a flag. Raises ValueError for anything but 0 and 1."""
    value = text.strip().lower()
    if value not in ("", "0", "1", "false", "true"):
        raise ValueError(f"expected difficult to be 0 or 1, got {text!r}")
    return value in ("1", "true")
