"""Joining of the page's modules into one script: a live page loads it in one request, and a file has no server to load modules from.

Each module becomes a function that is called once, so that its private names stay its own; what it exports is an object that the modules
behind it take their imports from. Only the forms of the page's own modules are known: named imports from relative paths, and named exports
of functions, classes and constants, each statement beginning a line. Anything else is an error: this reads lines, not JavaScript.
Comments that fill whole lines are left out, so a text over several lines must have none that looks like one.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Final

_IMPORT: Final = re.compile(r'import\s*\{([^{}]*)\}\s*from\s*"([^"]+)";?[ \t]*(?://[^\n]*)?$', re.MULTILINE)
_DECLARED: Final = re.compile(r"export (?=(?:async )?function\*? *([A-Za-z_$][\w$]*)|class ([A-Za-z_$][\w$]*)|const ([A-Za-z_$][\w$]*) = )")
_LISTED: Final = re.compile(r"export\s*\{([^{}]*)\};?[ \t]*(?://[^\n]*)?$", re.MULTILINE)
_NAME: Final = re.compile(r"([A-Za-z_$][\w$]*)(?:\s+as\s+([A-Za-z_$][\w$]*))?")
_STATEMENT: Final = re.compile(r"^[ \t]*(?:import|export)\b(?![ \t]*[:=,.)])", re.MULTILINE)
_COMMENT: Final = re.compile(r"^[ \t]*(?://[^\n]*|/\*(?:[^*]|\*(?!/))*\*/[ \t]*)\n", re.MULTILINE)
_REFUSED: Final = (
    (re.compile(r"\bimport\s*\("), "import() is not known: import by name, at the top"),
    (re.compile(r"\bimport\.meta\b"), "import.meta is not known: a file has no address of its modules"),
    (re.compile(r"^(?:for +)?await\b|^(?:const|let|var)\b[^\n]*=\s*await\b", re.MULTILINE), "await outside of a function is not known"),
    (re.compile(r"</script|<!--", re.IGNORECASE), "ends or opens a script or comment of HTML: write it in two pieces"),
)


class JoinError(Exception):
    """Something in a module that cannot be joined; the message names file and line."""


def join_modules(read: Callable[[str], str], entry: str) -> str:
    """Return one script that does what the module `entry` does, with all that it imports, each module once, in the order of their imports.

    Args:
        read: from a module's path, such as ``tabs/answer.js``, to its text. Raises OSError: there is none.
        entry: path of the module to begin with.

    Raises:
        JoinError: an unknown form of import or export, an import of what is not there, or a cycle.
    """
    joined = _Joined(read)
    joined.add(entry, ())
    return '(() => {\n"use strict";\n' + "".join(joined.texts) + "})();\n"


class _Joined:
    """Modules joined so far: path to (variable, exported names), and their texts in order."""

    def __init__(self, read: Callable[[str], str]) -> None:
        self.texts: list[str] = []
        self._read = read
        self._modules: dict[str, tuple[str, frozenset[str]]] = {}

    def add(self, path: str, above: tuple[str, ...]) -> tuple[str, frozenset[str]]:
        """Add a module behind what it imports. Return its variable and the names that it exports."""
        if path in above:
            raise JoinError(f"{path}: a cycle of imports: {' → '.join((*above[above.index(path) :], path))}")
        if path not in self._modules:
            text = self._read(path)
            body, exported = self._body(path, text, (*above, path))
            body = _COMMENT.sub("", body).rstrip()
            variable = f"module{len(self._modules)}"
            self._modules[path] = variable, frozenset(exported)
            returned = ", ".join(name if name == local else f"{name}: {local}" for name, local in exported.items())
            self.texts.append(f"// {path}\nconst {variable} = (() => {{\n{body}\nreturn {{ {returned} }};\n}})();\n")
        return self._modules[path]

    def _body(self, path: str, text: str, above: tuple[str, ...]) -> tuple[str, dict[str, str]]:
        """Return a module's text without imports and exports, and exported name to the name inside."""
        for pattern, message in _REFUSED:
            if found := pattern.search(text):
                raise _error(path, text, found.start(), message)
        pieces, exported, position = [], {}, 0
        for found in _STATEMENT.finditer(text):
            start = found.start()
            if start < position:
                continue
            if (statement := _IMPORT.match(text, start)) is not None:
                piece = self._import(path, text, statement, above)
            elif (statement := _DECLARED.match(text, start)) is not None:
                name = next(filter(None, statement.groups()))
                exported[name] = name
                piece = ""
            elif (statement := _LISTED.match(text, start)) is not None:
                for name, alias in _names(path, text, statement):
                    if not re.search(rf"^(?:async )?(?:function\*?|class|const) *{re.escape(name)}\b", text, re.MULTILINE):
                        raise _error(path, text, start, f"there is no {name} here to export")
                    exported[alias] = name
                piece = ""
            else:
                known = 'import { a } from "./b.js"; export function, class or const NAME; export { a }'
                raise _error(path, text, start, f"not a form of import or export that is known here: {known}")
            pieces += [text[position:start], piece]
            position = statement.end()
        return "".join([*pieces, text[position:]]), exported

    def _import(self, path: str, text: str, statement: re.Match[str], above: tuple[str, ...]) -> str:
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(path), statement[2]))
        if not statement[2].startswith(("./", "../")) or wanted.startswith(".."):
            raise _error(path, text, statement.start(), f"{statement[2]!r} is not a module of the page: expected ./NAME.js or ../NAME.js")
        try:
            variable, exported = self.add(wanted, above)
        except OSError as error:
            raise _error(path, text, statement.start(), f"there is no module {wanted}") from error
        names = _names(path, text, statement)
        if missing := [name for name, _ in names if name not in exported]:
            raise _error(path, text, statement.start(), f"{wanted} does not export {missing[0]}")
        taken = ", ".join(name if name == local else f"{name}: {local}" for name, local in names)
        return f"const {{ {taken} }} = {variable};"


def _names(path: str, text: str, statement: re.Match[str]) -> list[tuple[str, str]]:
    """Return (name, name behind `as`, or the same) of each entry of a list in braces."""
    found = []
    for part in filter(None, map(str.strip, statement[1].split(","))):
        if (name := _NAME.fullmatch(part)) is None or "default" in name.groups():
            raise _error(path, text, statement.start(), f"{part!r} is not a name, or a name as another")
        found.append((name[1], name[2] or name[1]))
    return found


def _error(path: str, text: str, position: int, message: str) -> JoinError:
    line = text.count("\n", 0, position) + 1
    return JoinError(f"{path}:{line}: {message}")
