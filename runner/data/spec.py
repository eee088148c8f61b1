"""Data specs: what a data set is, where its source comes from, how it is split. One YAML file each, see
datasets/README.md.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from runner.core.errors import InputError, Problem, nearest, what_exists
from runner.core.shipped import shipped
from runner.core.values import MAX_STEM_BYTES, is_number, is_stem
from runner.data.formats import FORMATS
from runner.data.formats.base import Split
from runner.data.specfile import Section, plain, read_sections
from runner.data.synthetic.generate import GENERATOR_VERSION, SIZES

NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
"""Name of a data set, which is also that of its folder."""
TOO_LONG = f"too long for the name of a data set; expected at most {MAX_STEM_BYTES} bytes in UTF-8"
SplitBy = Literal["source", "random", "group"]
SYNTHETIC = "synthetic_pcb"
"""Format name of the generated boards, and the name of the data set that is made on first use."""
_CONVERTER_VERSIONS = {SYNTHETIC: 1, "deeppcb": 1}
"""Version of each format (2 for the others), increased when the same source would be converted differently."""

BOX_RULES = {"boxes_outside": ("clip", "drop"), "boxes_empty": ("drop",)}
"""Keys that say what is done with boxes that cannot be used as they are, and their values; see `runner.data.boxes`."""


@dataclass(frozen=True, slots=True)
class SplitRule:
    """Rule that divides the images into train and val.

    Args:
        by: ``source`` (its own lists, else an error), ``random``, or ``group`` (whole groups go to one side).
        respect_source: take the source's own lists if it has any, and `by` only if not.
        val: images for val: a number, or a share below 1.
        seed: of the random order.
        group: regular expression on the image's file name; its first bracket is the group (the board).
        lists: the source's lists (by name) that make up train, val and test; empty: by their names, see
            `runner.data.split`. Without val it is taken from train.
    """

    by: SplitBy = "source"
    respect_source: bool = True
    val: float = 0.2
    seed: int = 0
    group: str = ""
    lists: Mapping[Split, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Generate:
    """Parameters of a generated set: image side in pixels, images per split, seed, and the expected content hash (None: not
    known).
    """

    size: int = 128
    train: int = 600
    val: int = 150
    seed: int = 0
    content: str | None = None


@dataclass(frozen=True, slots=True)
class DataSpec:
    """One data set.

    Args:
        name: what configs call it; also its folder's name.
        title: one line for people.
        formats: names of `runner.data.formats`, tried in this order; or ``("synthetic_pcb",)``.
        where: how to get the source; shown when it is missing.
        classes: class names in order; empty: read from the source.
        split: how it is divided.
        images, boxes: verified counts of the whole set; None: not checked.
        eval_iou_thresholds: IoUs at which AP is also given.
        generate: for generated sets.
        file: the spec's file.
        boxes_outside: what is done with boxes that extend beyond their image by more than a pixel: ``clip`` or ``drop``; empty: an error.
        boxes_empty: what is done with boxes without width or height: ``drop``; empty: an error.
    """

    name: str
    title: str
    formats: tuple[str, ...]
    where: str
    classes: tuple[str, ...]
    split: SplitRule
    images: int | None
    boxes: int | None
    eval_iou_thresholds: tuple[float, ...]
    generate: Generate | None
    file: Path
    boxes_outside: str = ""
    boxes_empty: str = ""

    @property
    def generated(self) -> bool:
        """True if it is generated, so that no source is needed."""
        return self.generate is not None

    def hash(self) -> str:
        """Hash of everything that changes the prepared set; titles and advice do not count."""
        version = max(_CONVERTER_VERSIONS.get(name, 2) for name in self.formats)
        data: dict[str, Any] = {"version": version, "classes": self.classes}
        if self.generate is not None:
            data["generator"] = GENERATOR_VERSION
            data["generate"] = {key: value for key, value in dataclasses.asdict(self.generate).items() if key != "content"}
        else:
            rule = dataclasses.asdict(self.split)
            hashed = rule if self.split.lists else {key: value for key, value in rule.items() if key != "lists"}
            data |= {"formats": self.formats, "cut": hashed}  # the key's first name: sets prepared under it are still there
            data |= {key: value for key in BOX_RULES if (value := getattr(self, key))}
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def data_root() -> Path:
    """Return the folder of prepared sets: the environment variable RUNNER_DATA, else ``data`` in the current folder."""
    return Path(os.environ.get("RUNNER_DATA") or "data")


_OWN = "Your own: runner data prepare FORMAT --source FOLDER --name NAME, or a spec in ./datasets/NAME.yml"


def spec_names() -> list[str]:
    """List the names of all specs that `find_spec` finds by name, sorted."""
    return sorted({file.stem for folder in _folders() for file in folder.glob("*.yml")})


def find_spec(name_or_path: str | Path) -> DataSpec:
    """Find the spec of a name (``./datasets/NAME.yml``, else a shipped one) or of a path ending in .yml or .yaml.

    Raises:
        InputError: there is none, or it is wrong; all problems at once, with file and line.
    """
    text = str(name_or_path)
    if text.endswith((".yml", ".yaml")):
        return load_spec(Path(text))
    if NAME.fullmatch(text) and is_stem(text):
        for folder in _folders():
            if (folder / f"{text}.yml").is_file():
                return load_spec(folder / f"{text}.yml")
    shown = text if len(text) <= MAX_STEM_BYTES else f"{text[:40]}…"
    raise InputError(f"unknown data set {shown!r}; {what_exists(text, spec_names())}. {_OWN}")


def load_spec(path: Path) -> DataSpec:
    """Read one spec file. Raises InputError."""
    top = read_sections(path)
    formats = top.texts("formats") or tuple(filter(None, [top.take("format", str)]))
    expect = top.section("expect")
    spec = DataSpec(
        name=top.take("name", str, path.stem),
        title=top.take("title", str, path.stem),
        formats=formats,
        where=top.take("where", str, "").strip(),
        classes=top.texts("classes"),
        split=_split(top.section("split")),
        images=expect.take("images", int),
        boxes=expect.take("boxes", int),
        eval_iou_thresholds=_thresholds(top),
        generate=_generate(top.section("generate")) if formats == (SYNTHETIC,) else None,
        file=path,
        **{key: top.take(key, str, "") for key in BOX_RULES},
    )
    expect.finish()
    _examine(top, spec)
    top.finish(renamed={"cut": "split"})
    if top.problems:
        raise InputError(top.problems)
    return spec


def apply_options(spec: DataSpec, options: Mapping[str, Any]) -> DataSpec:
    """Apply options of the command line to `spec`: size, train, val, seed of a generated set; val, seed, images, boxes of
    another.

    Raises:
        InputError: an option that this data set does not have, or a value that does not fit.
    """
    allowed = ["size", "train", "val", "seed"] if spec.generated else ["val", "seed", "images", "boxes", *BOX_RULES]
    problems: list[Problem] = []
    values = plain(options)
    for key, value in values.items():
        if key not in allowed:
            hint = nearest(key, allowed)
            problems.append(Problem(f"unknown option of data set {spec.name}; {hint}".rstrip("; "), "option", key))
        elif key in BOX_RULES:
            problems += [Problem(message, "option", key) for message in _not_a_rule(key, value)]
        elif isinstance(value, bool) or not (isinstance(value, int) or (key == "val" and isinstance(value, float) and not spec.generated)):
            problems.append(Problem(f"expected an integer, got {value!r}", "option", key))
    if problems:
        raise InputError(problems)
    if spec.generate is not None:
        made = dataclasses.replace(spec.generate, **values)
        if (made.size, made.train, made.val, made.seed) != (
            spec.generate.size,
            spec.generate.train,
            spec.generate.val,
            spec.generate.seed,
        ):
            made = dataclasses.replace(made, content=None)
        result = dataclasses.replace(spec, generate=made)
    else:
        rule = dataclasses.replace(spec.split, **{key: values[key] for key in ("val", "seed") if key in values})
        given = {key: values[key] for key in ("images", "boxes", *BOX_RULES) if key in values}
        result = dataclasses.replace(spec, split=rule, **given)
    problems = [Problem(message, "option", key) for key, message in _out_of_range(result)]
    if problems:
        raise InputError(problems)
    return result


def _folders() -> list[Path]:
    own = Path("datasets")
    return ([own] if own.is_dir() else []) + [shipped("datasets")]


def _split(section: Section) -> SplitRule:
    rule = SplitRule(
        by=section.take("by", str, "source"),
        respect_source=section.take("respect_source", bool, True),
        val=section.take("val", (int, float), 0.2),
        seed=section.take("seed", int, 0),
        group=section.take("group", str, ""),
        lists=_lists(section.section("lists")),
    )
    if rule.lists and not rule.respect_source:
        section.wrong("lists", "contradicts respect_source: false, which splits the whole source anew; keep one of them")
    if rule.by not in ("source", "random", "group"):
        section.wrong("by", f"expected source, random or group, got {rule.by!r}")
    try:
        groups = re.compile(rule.group).groups
    except re.error as error:
        section.wrong("group", f"invalid regular expression: {error}")
    else:
        if (rule.by == "group" or rule.group) and groups != 1:
            section.wrong("group", "expected a regular expression with one group, such as '^([0-9]+)_'")
    section.finish()
    return rule


def _lists(section: Section) -> dict[Split, tuple[str, ...]]:
    found: dict[Split, tuple[str, ...]] = {split: names for split in get_args(Split) if (names := section.texts(split))}
    if section.values and "train" not in found:
        section.wrong("train", "missing; expected the names of the source's lists for training, such as [trainval]")
    section.finish()
    return found


def _generate(section: Section) -> Generate:
    fallback = Generate()
    made = Generate(
        **{key: section.take(key, int, getattr(fallback, key)) for key in ("size", "train", "val", "seed")},
        content=section.take("content", str),
    )
    section.finish()
    return made


def _thresholds(top: Section) -> tuple[float, ...]:
    found = top.take("eval_iou_thresholds", list, [])
    if any(not is_number(one) or not 0 < one < 1 for one in found):
        top.wrong("eval_iou_thresholds", f"expected numbers between 0 and 1, got {found!r}")
        return ()
    return tuple(float(one) for one in found)


def _examine(top: Section, spec: DataSpec) -> None:
    if not NAME.fullmatch(spec.name):
        top.wrong("name", f"{spec.name!r} is not a valid folder name; allowed: letters, digits, '_', '-' and '.'")
    elif not is_stem(spec.name):
        top.wrong("name", TOO_LONG)
    if not spec.formats:
        top.wrong("format", f"missing; allowed: {', '.join([*FORMATS.names(), SYNTHETIC])}")
    for name in spec.formats:
        if name not in FORMATS.names() and spec.formats != (SYNTHETIC,):
            top.wrong(
                "formats" if "formats" in top.values else "format",
                f"unknown format {name!r}; {nearest(name, [*FORMATS.names(), SYNTHETIC])}".rstrip("; "),
            )
    for key in BOX_RULES:
        if value := getattr(spec, key):
            for message in ("belongs to sets that have a source",) if spec.generated else _not_a_rule(key, value):
                top.wrong(key, message)
    if len(set(spec.classes)) != len(spec.classes):
        top.wrong("classes", "a name is given twice")
    section = top.section("generate" if spec.generated else "split")
    for key, message in _out_of_range(spec):
        section.wrong(key, message)


def _not_a_rule(key: str, value: Any) -> list[str]:
    hint = f"allowed: {', '.join(BOX_RULES[key])}; without it such boxes are an error"
    return [] if value in BOX_RULES[key] else [f"unknown value {value!r}; {hint}"]


def _out_of_range(spec: DataSpec) -> list[tuple[str, str]]:
    """Return (key, message) for numbers out of range."""
    if spec.generate is None:
        return [("val", f"expected a number above 0, got {spec.split.val}")] if spec.split.val <= 0 else []
    made, wrong = spec.generate, []
    if not SIZES[0] <= made.size <= SIZES[1]:
        wrong.append(("size", f"expected {SIZES[0]} to {SIZES[1]} pixels, got {made.size}"))
    wrong += [(key, f"expected at least 1, got {getattr(made, key)}") for key in ("train", "val") if getattr(made, key) < 1]
    return wrong
