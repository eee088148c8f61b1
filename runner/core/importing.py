"""Import path of our processes, without the working directory, where a file may have any name.

It imports nothing that a file there could replace: `os` and `sys` are part of the interpreter.
"""

import os
import sys

_SAFE = "PYTHONSAFEPATH"
_PATH = "PYTHONPATH"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def leave_working_directory_out(*, first: bool = False) -> list[str]:
    """Remove from this process's import path what PYTHONPATH adds by empty or relative entries, which mean the working directory.

    Args:
        first: also remove the first entry, which ``python -m`` adds.

    Returns:
        The entries of PYTHONPATH, as written.
    """
    if first and sys.path and sys.path[0] in ("", _working_directory()):
        del sys.path[0]
    entries = os.environ.get(_PATH, "").split(os.pathsep) if os.environ.get(_PATH) else []
    relative = [entry for entry in entries if not os.path.isabs(entry)]
    wanted = {os.path.abspath(entry) for entry in entries if os.path.isabs(entry)}
    dropped = {os.path.abspath(entry) for entry in relative} - wanted
    own = _own_from(sys.path)
    sys.path[:own] = [entry for entry in sys.path[:own] if os.path.isabs(entry) and os.path.abspath(entry) not in dropped]
    return relative


def child_environment(*changes: dict[str, str]) -> dict[str, str]:
    """Build the variables of a child: this process's, then `changes`; a Python there does not import from its working directory.

    PYTHONSAFEPATH ensures it. Empty and relative entries of PYTHONPATH are dropped; absolute ones were put there on purpose. Where
    the running package was itself found in the working directory (``python -m runner`` in a checkout that is not installed), its
    folder is added, so that a child runs the same code.
    """
    environment = {**os.environ}
    for change in changes:
        environment.update(change)
    entries = [entry for entry in environment.pop(_PATH, "").split(os.pathsep) if os.path.isabs(entry)]
    if not _is_found_in([*entries, *sys.path[_own_from(sys.path) :]]):
        entries.insert(0, os.path.dirname(_PACKAGE))
    if entries:
        environment[_PATH] = os.pathsep.join(entries)
    return {**environment, _SAFE: "1"}


def find_program(name: str) -> str | None:
    """Return the absolute path of a program, or None. Entries of PATH that mean the working directory do not count."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, name)
        if os.path.isabs(folder) and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted: nothing is imported from there
        return ""


def _own_from(search_path: list[str]) -> int:
    """Return the index of the first entry that Python itself adds; the entries before it come from the command line and the environment."""
    standard = os.path.dirname(os.__file__)
    return search_path.index(standard) if standard in search_path else len(search_path)


def _is_found_in(search_path: list[str]) -> bool:
    """Return whether `import runner` with this path finds the running package."""
    from importlib.machinery import PathFinder  # noqa: PLC0415 - by now from where it belongs

    spec = PathFinder.find_spec("runner", search_path)
    found = spec.origin if spec is not None else None
    return found is not None and os.path.realpath(os.path.dirname(found)) == os.path.realpath(_PACKAGE)
