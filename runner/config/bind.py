"""Binder of a node tree to the declared classes of a schema: it finds every unknown key, wrong type and bad value, with file and line."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin

from runner.config.node import Node, quoted
from runner.config.overrides import quoted_override
from runner.config.schema import AddedLater, Auto, Doc, Formerly, FromPlugins, Key, Neutral, Range, Registered, Rest, Shared, Tagged
from runner.core.errors import ElsewhereKnown, InputError, Problem, nearest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """A declared key.

    Args:
        attribute: the dataclass field's name.
        key: the name in YAML.
        type: the type without its Annotated wrapper.
        doc: one sentence; empty where the type documents itself.
        range: bounds of its numbers, or None.
        shared: see `runner.config.schema.Shared`.
        neutral: see `runner.config.schema.Neutral`.
        added_later: see `runner.config.schema.AddedLater`.
        formerly: see `runner.config.schema.Formerly`.
        auto: see `runner.config.schema.Auto`.
        rest: see `runner.config.schema.Rest`.
        plugins: see `runner.config.schema.FromPlugins`; None where the type names its classes itself.
        required: whether there is no default.
        default: the default, not to be changed; None if required.
    """

    attribute: str
    key: str
    type: Any
    doc: str
    range: Range | None
    shared: bool
    neutral: bool
    added_later: bool
    formerly: Formerly | None
    auto: bool
    rest: bool
    plugins: FromPlugins | None
    required: bool
    default: Any


def field_infos(cls: type[Any]) -> tuple[FieldInfo, ...]:
    """Return the declared keys of a schema class, in order."""
    if cls not in _INFOS:  # annotations are strings in the module: evaluating them takes longer than all of binding
        hints = typing.get_type_hints(cls, None, {}, include_extras=True)
        _INFOS[cls] = tuple(_field_info(item, hints[item.name]) for item in fields(cls))
    return _INFOS[cls]


_INFOS: dict[type[Any], tuple[FieldInfo, ...]] = {}
_SECTIONS: dict[type[Any], Mapping[str, type[Any]]] = {}


def section_classes(cls: type[Any]) -> Mapping[str, type[Any]]:
    """Map the name to the class of every section (a class written as a top-level mapping of its own) that `cls` can refer to."""
    if cls not in _SECTIONS:
        _SECTIONS[cls] = _find_sections(cls)
    return _SECTIONS[cls]


def _find_sections(cls: type[Any]) -> dict[str, type[Any]]:
    found: dict[str, type[Any]] = {}
    todo, seen = [cls], {cls}
    while todo:
        for info in field_infos(todo.pop()):
            for candidate in _declared_classes(info.type):
                if candidate.form == "section":
                    found[candidate.__name__] = candidate
                if candidate not in seen:
                    seen.add(candidate)
                    todo.append(candidate)
    return found


@dataclass
class Bound(Generic[T]):
    """Result of `bind`.

    Args:
        value: the bound object; None if there are problems.
        problems: everything wrong, in the order of the schema.
        notes: one sentence for each part of the config that has no effect.
    """

    value: T | None
    problems: list[Problem]
    notes: list[str] = field(default_factory=list)


def instead_of(key: str, table: Mapping[str, str]) -> str:
    """Look up a dotted key that is not known: what to do instead, where a pattern of `table` matches all of it; else nothing."""
    return next((text for pattern, text in table.items() if re.fullmatch(pattern, key)), "")


def bind(tree: Node, cls: type[T]) -> Bound[T]:
    """Bind a whole config or sweep file to the declared class `cls`. Never raises for what a user wrote.

    Three attributes of `cls`, all optional, lead on from what is not known: `instead` maps patterns of dotted keys to what to do in their
    place (see `instead_of`); `elsewhere` is called with a name and says which backend knows it; `every_key` says where all keys are listed.
    """
    binder = _Binder(tree, cls)
    value = binder.bind_class(cls, tree, "")
    notes = [*binder.notes, *binder.unused_sections(cls)]
    return Bound(None if binder.problems else value, list(dict.fromkeys(binder.problems)), list(dict.fromkeys(notes)))


class _Mismatch(Exception):
    """Value that does not fit a type; it may still fit another member of a union."""


class _Binder:
    def __init__(self, root: Node, cls: type[Any]) -> None:
        self._root = root
        self._instead: Mapping[str, str] = getattr(cls, "instead", {})
        self._every_key: str = getattr(cls, "every_key", "")
        self._elsewhere: Callable[[str], str] = getattr(cls, "elsewhere", lambda name: "")
        self._used: set[str] = set()
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    # -------------------------------------------------------------------------------------------------------- classes
    def bind_class(self, cls: type[Any], node: Node, path: str, skip: frozenset[str] = frozenset()) -> Any:
        """Make an instance of `cls` from the keys of `node`; `skip` are the keys that selected `cls`."""
        mapping = node.mapping
        if mapping is None and node.value is not None:
            self._problem(node, path, f"expected the keys of {cls.__name__}, got {_show(node)}")
            return None
        infos = field_infos(cls)
        given = {key: item for key, item in (mapping or {}).items() if key not in skip}
        if skip:
            given = self._without_former(given, path)
        for old, new in former_names(cls).items():
            if old in given and new not in given:
                given[new] = given.pop(old)
        rest = self._rest(cls, infos, given) if any(info.rest for info in infos) else {}
        self._report_unknown(cls, infos, {key: item for key, item in given.items() if key not in rest}, path)
        values: dict[str, Any] = {}
        before = len(self.problems)
        for info in infos:
            here = f"{path}.{info.key}".lstrip(".")
            if info.rest:
                values[info.attribute] = {key: open_value(item) for key, item in rest.items()}
            elif info.key in given:
                values[info.attribute] = self._bind_field(info, given[info.key], here)
                if info.shared:
                    self._check_shared(info, given[info.key], here)
            elif info.shared and (top := self._root.get(info.key)) is not None:
                values[info.attribute] = self._bind_field(info, top, info.key)
            elif (implied := self._implied_section(info, path)) is not None:
                values[info.attribute] = self._bind_field(info, implied, here)
            elif info.required:
                self._problem(node, here, f"missing; expected {describe(info.type, info.range)}")
        return cls(**values) if len(self.problems) == before else None

    def unused_sections(self, cls: type[Any]) -> list[str]:
        """Bind the known sections that nothing refers to, so that their errors are found; return a note for each."""
        notes: list[str] = []
        not_used: dict[str, str] = getattr(cls, "not_used", {})
        sections, own_keys = section_classes(cls), _keys(cls)
        for key, node in (self._root.mapping or {}).items():
            if key in not_used:
                notes.append(f"{node.source}: {key} has no effect: {not_used[key]}")
            elif (section := sections.get(key)) is not None and key not in self._used and key not in own_keys:
                self.bind_class(section, node, key)
                notes.append(f"{node.source}: {key} has no effect: nothing in this config refers to it")
        return notes

    def _rest(self, cls: type[Any], infos: Sequence[FieldInfo], given: Mapping[str, Node]) -> dict[str, Node]:
        """Return the keys for a `Rest` field: all that are not declared."""
        declared = {info.key for info in infos if not info.rest} | set(getattr(cls, "not_used", {}))
        return {key: item for key, item in given.items() if key not in declared}

    def _without_former(self, given: dict[str, Node], path: str) -> dict[str, Node]:
        """Drop the keys that were given for a module which this one has replaced."""
        for key, node in given.items():
            if node.former:
                self.notes.append(f"{node.source}: {path}.{key} has no effect: it was given for another module")
        return {key: node for key, node in given.items() if not node.former}

    def _report_unknown(self, cls: type[Any], infos: Sequence[FieldInfo], given: Mapping[str, Node], path: str) -> None:
        known = {info.key for info in infos}
        if node_is_root := path == "":
            known |= {*section_classes(cls), *getattr(cls, "not_used", {})}
        renamed = {info.formerly.name: info.key for info in infos if info.formerly}
        for key, node in given.items():
            if key in renamed:
                self._problem(node, f"{path}.{key}".lstrip("."), f"is now called `{renamed[key]}`: rename the key")
            elif key not in known:
                here = f"{path}.{key}".lstrip(".")
                hint = instead_of(here, self._instead) or self._elsewhere(key) or nearest(key, sorted(known)) or self._every_key
                owner = "" if node_is_root else f" of {cls.__name__}"
                self._problem(node, here, f"unknown key{owner}" + (f"; {hint}" if hint else ""))

    def _implied_section(self, info: FieldInfo, path: str) -> Node | None:
        """Return the top-level section that a missing key refers to: ``FPN`` in ``FCOS: {}`` where one declared class fits."""
        sections = [cls.__name__ for cls in _declared_classes(info.type) if cls.form == "section"]
        if path == "" or len(sections) != 1:
            return None
        section = self._root.get(sections[0])
        return None if section is None else Node(sections[0], section.source)

    def _check_shared(self, info: FieldInfo, node: Node, path: str) -> None:
        top = self._root.get(info.key)
        if top is not None and top.plain() != node.plain():
            self._problem(node, path, f"is {_show(node)}, but the top-level {info.key} is {_show(top)} ({top.source}); delete it here")

    # --------------------------------------------------------------------------------------------------------- values
    def _bind_field(self, info: FieldInfo, node: Node, path: str) -> Any:
        if info.plugins is not None and isinstance(node.value, str) and (why := info.plugins.why_unusable(node.value)):
            self._problem(node, path, why)
            return None
        return self._bind_value(info.type, info.range, node, path, info.doc)

    def _bind_value(self, kind: Any, bounds: Range | None, node: Node, path: str, doc: str = "") -> Any:
        """Return the value of `node` as a `kind`; None, with a problem, if it does not fit."""
        try:
            value = self._bind_type(kind, bounds, node, path)
        except _Mismatch:
            expected = describe(kind, bounds, spell_out=True)
            hint = _literal_hint(kind, doc, node) or _quotes_hint(kind, node, path) or _registry_hint(kind)
            self._problem(node, path, f"expected {expected}, got {_show(node)}{hint}")
            return None
        if node.text and (kind is not Any or node.mapping is None and node.items is None):
            self._note_another_reading(kind, node, path)
        return value

    def _note_another_reading(self, kind: Any, node: Node, path: str) -> None:
        """Note a word or a number that YAML reads in an unexpected way, where the expected reading would be allowed as well."""
        odd_word = isinstance(node.value, bool | None) and str(node.text).lower() not in _PLAIN_WORDS and _takes_text(kind, node)
        odd_number = isinstance(node.value, int | float) and not isinstance(node.value, bool) and _ODD_NUMBER.fullmatch(node.text or "")
        if odd_word or odd_number or isinstance(node.value, str):
            meant = f"; for the string write {_in_quotes(node, path)}" if _takes_text(kind, node) else ""
            self.notes.append(f"{node.source}: {path}: {node.text} is {_show(node)} in YAML{meant}")

    def _bind_type(self, kind: Any, bounds: Range | None, node: Node, path: str) -> Any:
        """Return the value of `node` as a `kind`. A mistake inside a list or a mapping is a problem of its own, at its own place.

        Raises:
            _Mismatch: `node` itself does not fit the kind.
        """
        if kind is Any:
            return node.plain()
        if get_origin(kind) is typing.Annotated:
            inner, *extras = get_args(kind)
            value = self._bind_type(inner, bounds, node, path)
            if any(isinstance(extra, Registered) and value not in extra.registry for extra in extras):
                raise _Mismatch
            return value
        classes = _declared_classes(kind, nested=False)
        is_list = node.items is not None and node.tag is None and any(get_origin(member) is tuple for member in get_args(kind))
        if classes and not is_list and (node.value is not None or node.tag is not None):
            return self._bind_variant(kind, classes, node, path)
        origin = get_origin(kind)
        if origin in (types.UnionType, typing.Union):
            return self._bind_union(get_args(kind), bounds, node, path)
        if origin is tuple:
            return self._bind_tuple(get_args(kind), bounds, node, path)
        if origin is dict:
            if node.mapping is None:
                raise _Mismatch
            return {key: self._bind_value(get_args(kind)[1], bounds, item, f"{path}.{key}") for key, item in node.mapping.items()}
        return _scalar(kind, bounds, node)

    def _bind_union(self, members: Sequence[Any], bounds: Range | None, node: Node, path: str) -> Any:
        own = type(node.value)  # tried first: 1.0 stays a float where an int is allowed too, a list is not read as a class's keys
        nearly: list[tuple[list[Problem], Any]] = []
        for member in sorted(members, key=lambda member: own not in (member, get_origin(member))):
            before = len(self.problems)
            try:
                value = self._bind_type(member, bounds, node, path)
            except _Mismatch:
                continue
            if len(self.problems) == before:
                return value
            nearly.append((self.problems[before:], member))
            del self.problems[before:]
        if not nearly:
            raise _Mismatch
        fewest = min(len(found) for found, _ in nearly)
        best = [(found, member) for found, member in nearly if len(found) == fewest]
        if len(best) > 1:  # ambiguous: an element may be anything that one of them allows
            elements = [element for _, member in best for element in get_args(member) if element is not Ellipsis]
            before = len(self.problems)
            self._bind_tuple((typing.Union[tuple(elements)], Ellipsis), bounds, node, path)  # noqa: UP007 - made of values
            if len(self.problems) == before:  # each element fits, but not all together
                raise _Mismatch
            return None
        self.problems += best[0][0]
        return None

    def _bind_tuple(self, members: Sequence[Any], bounds: Range | None, node: Node, path: str) -> tuple[Any, ...]:
        items = node.items
        if items is None or node.tag is not None:
            raise _Mismatch
        if len(members) == 2 and members[1] is Ellipsis:
            kinds: Sequence[Any] = [members[0]] * len(items)
        elif len(members) == len(items):
            kinds = members
        else:
            raise _Mismatch
        return tuple(
            self._bind_value(kind, bounds, item, f"{path}.{index}") for index, (kind, item) in enumerate(zip(kinds, items, strict=True))
        )

    def _bind_variant(self, kind: Any, classes: list[type[Any]], node: Node, path: str) -> Any:
        """Bind one of several declared classes, named by a tag, by `name` / `type`, by a single key, or by a section's name."""
        by_name = {cls.__name__: cls for cls in classes}
        open_names = [cls.names for cls in classes if hasattr(cls, "names")]
        if all(cls.form == "plain" for cls in classes):  # its keys, not a name, select the class
            if node.mapping is None:
                raise _Mismatch
            return self.bind_class(max(classes, key=lambda cls: len(_keys(cls) & set(node.mapping or {}))), node, path)
        name, body, skip = _variant_name(classes, node)
        if name is None and len(classes) == 1 and node.mapping is not None:
            return self._bind_named(classes[0], node, path, frozenset())
        if name is None:
            self._problem(node, path, f"expected {describe(kind, None)}, got {_show(node)}")
            return None
        if (found := next((one for one in open_names if name.startswith(one.prefix)), None)) is not None:
            try:
                by_name = {name: found.find(name)}
            except InputError as error:
                self._problem(node, path, str(error))
                return None
        if name not in by_name:
            elsewhere, everything = self._elsewhere(name), "allowed: " + ", ".join(sorted(by_name))
            hints = "; ".join(dict.fromkeys(filter(None, (elsewhere or nearest(name, sorted(by_name)), everything))))
            named = next((item for key in ("name", "type") if (item := (node.mapping or {}).get(key)) is not None), node)
            kind = ElsewhereKnown if elsewhere else Problem
            self.problems.append(kind(f"unknown name {name!r}; {hints}", where=str(named.source), key=path))
            return None
        cls = by_name[name]
        if node.value == name and (section := self._root.get(name)) is not None:
            self._used.add(name)
            return self.bind_class(cls, section, name)
        return self._bind_named(cls, body, f"{path}.{name}" if skip is None else path, skip or frozenset())

    def _bind_named(self, cls: type[Any], node: Node, path: str, skip: frozenset[str]) -> Any:
        """Bind a class given by its name. `!Tag []` is a tag without keys; any other list or scalar is a problem."""
        return self.bind_class(cls, Node({}, node.source) if node.value == () else node, path, skip)

    def _problem(self, node: Node, path: str, message: str) -> None:
        self.problems.append(Problem(message, where=str(node.source), key=path))


def open_value(node: Node) -> Any:
    """Convert a part of the tree that no schema declares to dicts, lists, scalars and `Tagged`, without keys of a replaced module."""
    value: Any = node.value
    if node.mapping is not None:
        value = {key: open_value(item) for key, item in node.mapping.items() if not item.former}
    elif node.items is not None:
        value = [open_value(item) for item in node.items]
    return value if node.tag is None else Tagged(node.tag, value if value is not None else {})


_KINDS: dict[type[Any], str] = {str: "a string", dict: "a mapping", list: "a list"}


def describe(kind: Any, bounds: Range | None, *, spell_out: bool = False) -> str:
    """Describe a type in words: "an integer (at least 1)", "true or false", "one of 'bn', 'gn'".

    Args:
        spell_out: describe a class whose name is never written by its keys, for messages; otherwise by its name.
    """
    origin = get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(dict.fromkeys(describe(member, bounds, spell_out=spell_out) for member in get_args(kind)))
    if origin is typing.Annotated:
        inner, *extras = get_args(kind)
        if names := [name for extra in extras if isinstance(extra, Registered) for name in extra.registry.names()]:
            return describe(Literal[tuple(names)], None)
        return describe(inner, bounds, spell_out=spell_out) + "".join(f" ({extra.text})" for extra in extras if isinstance(extra, Doc))
    if origin is Literal:
        values = [_literal(value) for value in get_args(kind)]
        return values[0] if len(values) == 1 else "one of " + ", ".join(values)
    if origin is tuple:
        members = [member for member in get_args(kind) if member is not Ellipsis]
        if not members:
            return "an empty list"
        if members == [Any]:
            return "a list of values"
        inner = " or ".join(dict.fromkeys(describe(member, bounds, spell_out=spell_out) for member in members))
        return f"a list (each {inner})" if Ellipsis in get_args(kind) else f"a list of {len(members)} (each {inner})"
    if origin is dict:
        return "a mapping"
    if isinstance(kind, type) and is_dataclass(kind):
        if not spell_out or getattr(kind, "form", "") != "plain":
            return kind.__name__
        return f"the keys of {kind.__name__} ({', '.join('…' if info.rest else info.key for info in field_infos(kind))})"
    words: dict[Any, str] = {
        bool: "true or false",
        int: "an integer",
        float: "a number",
        str: "a string",
        type(None): "null",
        Any: "any value",
    }
    text = words.get(kind, str(kind))
    return f"{text} ({bounds})" if bounds is not None and kind in (int, float) else text


def _variant_name(classes: list[type[Any]], node: Node) -> tuple[str | None, Node, frozenset[str] | None]:
    """Return (name, node with its keys, keys to skip there); skip is None where the keys are one level below."""
    if node.tag is not None:
        return node.tag, node, frozenset()
    if isinstance(node.value, str):
        return node.value, Node({}, node.source), frozenset()
    if node.mapping is not None:
        for discriminator in ("name", "type"):
            item = node.mapping.get(discriminator)
            if item is not None and isinstance(item.value, str) and any(discriminator not in _keys(cls) for cls in classes):
                return item.value, node, frozenset({discriminator})
        if len(node.mapping) == 1 and any(cls.form == "key" for cls in classes):
            ((key, body),) = node.mapping.items()
            return key, body, None
    return None, node, frozenset()


def _scalar(kind: Any, bounds: Range | None, node: Node) -> Any:
    value = node.value
    if node.tag is not None or isinstance(value, dict | tuple):
        raise _Mismatch
    if get_origin(kind) is Literal:
        for allowed in get_args(kind):
            if value == allowed and (isinstance(value, bool) == isinstance(allowed, bool)):
                return allowed
        raise _Mismatch
    if kind is type(None) or kind is None:
        if value is None:
            return None
        raise _Mismatch
    if kind in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
        if not _is_finite(value) or (kind is int and isinstance(value, float) and not value.is_integer()):
            raise _Mismatch
        if bounds is not None and value not in bounds:
            raise _Mismatch
        return kind(value)
    if kind in (bool, str) and isinstance(value, kind):
        return value
    raise _Mismatch


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False


def _declared_classes(kind: Any, nested: bool = True) -> list[type[Any]]:
    """List the declared classes that a type names: itself or members of a union; with `nested` also inside tuples and dicts."""
    if isinstance(kind, type) and is_dataclass(kind) and hasattr(kind, "form"):
        return [kind]
    origin = get_origin(kind)
    if origin in (types.UnionType, typing.Union) or (nested and origin in (tuple, dict)):
        return [cls for member in get_args(kind) for cls in _declared_classes(member, nested)]
    return []


def _with_plugins(hint: Any) -> Any:
    """Replace each `FromPlugins` in a type, itself or inside a list, by the union of its classes."""
    arguments = get_args(hint)
    if get_origin(hint) is tuple and arguments:
        return tuple[tuple(map(_with_plugins, arguments))]  # type: ignore[misc] # made of values
    places = [extra for extra in arguments[1:] if isinstance(extra, FromPlugins)] if get_origin(hint) is typing.Annotated else []
    return typing.Union[tuple(places[0].classes())] if places else hint  # noqa: UP007 - made of values


def _field_info(item: Any, hint: Any) -> FieldInfo:
    kind, *extras = get_args(hint) if get_origin(hint) is typing.Annotated else (hint,)

    def extra(wanted: type[T]) -> T | None:
        return next((value for value in extras if isinstance(value, wanted)), None)

    required = item.default is MISSING and item.default_factory is MISSING
    default = None if required else (item.default if item.default is not MISSING else item.default_factory())
    key, doc = extra(Key), extra(Doc)
    return FieldInfo(
        attribute=item.name,
        key=key.name if key else item.name,
        type=_with_plugins(hint if extra(FromPlugins) else kind),
        doc=doc.text if doc else "",
        range=extra(Range),
        shared=extra(Shared) is not None,
        neutral=extra(Neutral) is not None,
        added_later=extra(AddedLater) is not None,
        formerly=extra(Formerly),
        auto=extra(Auto) is not None,
        rest=extra(Rest) is not None,
        plugins=extra(FromPlugins),
        required=required,
        default=default,
    )


def former_names(cls: type[Any]) -> dict[str, str]:
    """Map the former names of keys that are still read to the present ones."""
    return {info.formerly.name: info.key for info in field_infos(cls) if info.formerly is not None and info.formerly.is_read}


def _keys(cls: type[Any]) -> set[str]:
    return {info.key for info in field_infos(cls)}


def _literal(value: Any) -> str:
    return {True: "true", False: "false", None: "null"}.get(value, repr(value)) if isinstance(value, bool | None) else repr(value)


def _registry_hint(kind: Any) -> str:
    """Say how other packages add names, where those of a registry are expected."""
    kinds = [extra.registry.kind for extra in getattr(kind, "__metadata__", ()) if isinstance(extra, Registered)]
    return f"; packages add others by the entry point group runner.{kinds[0]}s" if kinds else ""


def _literal_hint(kind: Any, doc: str, node: Node) -> str:
    kinds = (kind,) if get_origin(kind) is Literal else get_args(kind)
    members = [value for member in kinds if get_origin(member) is Literal for value in get_args(member)]
    members += [name for extra in get_args(kind) if isinstance(extra, Registered) for name in extra.registry.names()]
    if isinstance(node.value, str) and (hint := nearest(node.value, [str(member) for member in members])).startswith("did"):
        return f"; {hint}"
    single = len(members) == 1 or kind in (None, type(None), tuple[()])
    return f" ({doc})" if single and doc else ""


_PLAIN_WORDS = ("true", "false", "null", "~")
_ODD_NUMBER = re.compile(r"[-+]?(0[0-7_]+|0[xb][0-9a-fA-F_]+|[0-9_.]*_[0-9_.]*|[0-9][0-9_]*(:[0-9.]+)+)")
"""Octal, hexadecimal and binary numbers, digits in groups, and minutes:seconds."""


def _takes_text(kind: Any, node: Node) -> bool:
    """Return whether the text written for `node` would be valid as a string."""
    if get_origin(kind) is Literal:
        return node.text in get_args(kind)
    return kind in (str, Any) or (get_origin(kind) is not dict and any(_takes_text(member, node) for member in _members(kind)))


def _members(kind: Any) -> tuple[Any, ...]:
    origin = get_origin(kind)
    if origin is typing.Annotated:
        return get_args(kind)[:1]
    return get_args(kind) if origin in (types.UnionType, typing.Union) else ()


def _quotes_hint(kind: Any, node: Node, path: str) -> str:
    return f"; for a string, use quotes: {_in_quotes(node, path)}" if node.text and _takes_text(kind, node) else ""


def _in_quotes(node: Node, path: str) -> str:
    """Return what to write so that YAML reads it as a string; on the command line the whole override."""
    for option in ("-o", "--set"):
        if node.source.file.startswith(f"{option} {path}="):
            return quoted_override(option, path, node.text or "")
    return quoted(node.text or "")


def _show(node: Node) -> str:
    value = node.plain()
    if node.tag is not None:
        return f"!{node.tag}"
    if isinstance(value, bool) or value is None:
        return _literal(value)
    kind = next((words for cls, words in _KINDS.items() if isinstance(value, cls)), "")
    text = repr(value)
    text = text if len(text) <= 60 else text[:57] + "…"
    return f"{text}, {kind}" if kind else text


def iterate_fields(value: Any) -> Iterator[tuple[FieldInfo, Any]]:
    """Yield (declaration, value) of every key of a bound object."""
    for info in field_infos(type(value)):
        yield info, getattr(value, info.attribute)


def require(bound: Bound[T]) -> T:
    """Return the bound value, or raise InputError with all problems."""
    if bound.value is None:
        raise InputError(bound.problems)
    return bound.value
