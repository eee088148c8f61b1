"""Part `run`: one run, with its attempts, its config as a difference to the baseline's, environment, files, log and media."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

from runner.config.load import parse
from runner.config.node import Node, Source, flatten
from runner.core.errors import InputError, PluginError
from runner.core.files import MAX_JSON_BYTES, parse_json
from runner.core.typed import build
from runner.core.values import ABSENT, format_value, same_value, shell_path
from runner.store.media import read_media
from runner.store.run_dir import IMPORTED, Identity, Status
from runner.trackers.base import TRACKERS
from runner.views.page.attempts import AttemptRow, read_attempts
from runner.views.page.data import PageData, PageRun
from runner.views.page.part import PartAnswer, Query, json_answer
from runner.views.page.redaction import Redaction, command_path
from runner.views.page.run_files import ListedFile, list_files, read_inside, read_tail

LOG_LINES: Final = 500
"""Lines of the log that the page asks for, and that a frozen file holds of runs that did not end well."""
_MOST_LINES: Final = 5_000
_DIGITS: Final = 12
_SWEEP_SECTIONS: Final = ("vary", "space", "derive", "overrides")
_FACTS: Final = ("created", "python", "platform", "cores", "driver", "gpus", "backend")
"""Facts that are shown as they are; those of code and packages are shown by part, and no other is: they name places and machines."""


@dataclass(frozen=True, slots=True)
class ConfigRow:
    """A key of the resolved config.

    Args:
        value, baseline: as YAML writes them; None where a config has no such key.
        source: file and line where it is set, by name only: ``sweep.yml:9``.
    """

    key: str
    value: str | None
    baseline: str | None
    source: str


@dataclass(frozen=True, slots=True)
class FactRow:
    """A fact about code, packages or machine; `baseline` is that of the other run, None where it is unknown there."""

    name: str
    value: str | None
    baseline: str | None
    differs: bool


@dataclass(frozen=True, slots=True)
class MediumRow:
    """A file that a run has made besides numbers; `id` is that of an image in the part `image`, empty for another kind."""

    id: str
    tag: str
    kind: str
    step: int
    epoch: float | None


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command to copy; `purpose` is a key of the page's texts. `viewer`: of one that starts a viewer, the name of its tracker."""

    purpose: str
    command: str
    viewer: str = ""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run.

    Args:
        baseline: id of the run that it is compared with: of the baseline, with the same seed if there is one; None: it is that run.
        imported: where a run that was made of another program's logs comes from; empty for one that was trained here.
        values: newest numbers by tag, those that are not finite as texts.
        keys: number of the config's keys.
        config: the keys in which it differs from the other run's, or all.
    """

    id: str
    name: str
    trial: str
    label: str
    sweep: str | None
    seed: int
    baseline: str | None
    state: str
    reason: str
    cause: str
    problem: str
    warning: str
    note: str
    phase: str
    step: int
    steps: int
    heartbeat: float
    imported: str
    values: Mapping[str, float | str]
    attempts: list[AttemptRow]
    keys: int
    config: list[ConfigRow]
    config_problem: str
    environment: list[FactRow]
    files: list[ListedFile]
    media: list[MediumRow]
    commands: list[CommandRow]


class RunPart:
    """The part."""

    keys: frozenset[str] = frozenset({"id", "base", "config", "log"})

    def answer(self, data: PageData, query: Query) -> PartAnswer:
        """Answer the run `id` (`RunView`), its config compared with the baseline's, or with that of the trial `base`.

        With ``config=whole`` every key is there. With ``log=N`` the answer is the last N lines of its log (`LogTail`).
        """
        place = Place(data, find_run(data, query))
        if "log" in query:
            tail = read_tail(place.root, (*place.parts, "worker.log"), _line_count(query["log"]))
            return json_answer(replace(tail, lines=[place.redaction.text(line) for line in tail.lines]))
        if query.get("config", "diff") not in ("diff", "whole"):
            raise InputError(f"config is {query['config']!r}; expected diff or whole")
        return json_answer(_view(data, place, query))

    def frozen(self, data: PageData, view: Query) -> Iterable[Query]:
        """Yield a query per run, one for the log of each that did not end well, and one for the whole config of the baseline's first."""
        baseline = next((trial for trial in data.trials().values() if trial.is_baseline), None)
        for run in data.runs().values():
            yield {"id": run.id}
            if baseline is not None and run.id in baseline.runs[:1]:
                yield {"id": run.id, "config": "whole"}
            if run.result.state in ("failed", "interrupted"):
                yield {"id": run.id, "log": str(LOG_LINES)}


class Place:
    """A run's directory, below a folder that the page was given.

    Args:
        data: the page's data.
        run: the run.
    """

    def __init__(self, data: PageData, run: PageRun) -> None:
        self.run = run
        self.path = run.result.path
        self.root = next((root for root in data.roots if self.path.is_relative_to(root)), self.path)
        self.parts = self.path.relative_to(self.root).parts
        self.command_path = partial(command_path, root=self.root, private=data.is_private)
        self.identity = build(Identity, self.json("run.json"))
        self.status = build(Status, self.json("status.json")) or Status()
        facts = self.identity.facts if self.identity else {}
        hosts = [host for host in (facts.get("host"), self.status.host) if isinstance(host, str)]
        self.redaction = Redaction([*data.roots, self.path], hosts)

    def json(self, name: str) -> Any:
        """Return the value in one of the run's files; None if it cannot be read."""
        try:
            return parse_json(read_inside(self.root, (*self.parts, name), MAX_JSON_BYTES))
        except (OSError, ValueError):
            return None

    @property
    def sweep(self) -> tuple[str, ...] | None:
        """Parts of the path of its sweep's directory below the root; None where there is none, or it lies outside."""
        inside = len(self.parts) > 1 and self.parts[-2] == "runs" and (self.identity is None or self.identity.sweep is not None)
        return self.parts[:-2] if inside else None

    def tree(self, parts: tuple[str, ...]) -> Node:
        """Return a YAML file below the root. Raises InputError: it cannot be read."""
        name = parts[-1]
        try:
            text = read_inside(self.root, parts, MAX_JSON_BYTES).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
        return _parsed(name, text)


@lru_cache(maxsize=32)
def _parsed(name: str, text: str) -> Node:
    """Return a YAML file's tree: that of the baseline, and of a sweep file, is asked for again with each run."""
    return parse(text, lambda line: Source(name, line))


def find_run(data: PageData, query: Query) -> PageRun:
    """Return the run that a query's `id` names. Raises InputError: there is none."""
    run = data.runs().get(query.get("id", ""))
    if run is not None:
        return run
    raise InputError(f"no run {query['id']!r}; the part trials lists the ids" if "id" in query else "expected a run's id, such as id=r0")


def medium_id(run: PageRun, file: str) -> str:
    """Return the id of a run's image: it contains no path, and stays as long as the run's id does."""
    return f"{run.id}-{hashlib.sha256(file.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _view(data: PageData, place: Place, query: Query) -> RunView:
    run, result, status = place.run, place.run.result, place.status
    other = _other_run(data, run, query.get("base", ""))
    beside = Place(data, other) if other is not None else None
    config, keys, problem = _config(place, beside, whole=query.get("config") == "whole")
    journal = (*place.sweep, "journal.jsonl") if place.sweep is not None else None
    attempts = read_attempts(place.root, place.parts, journal, result)
    hide = place.redaction
    return RunView(
        id=run.id,
        name=result.path.name,
        trial=run.trial,
        label=result.label,
        sweep=result.sweep,
        seed=result.seed,
        baseline=other.id if other else None,
        state=result.state,
        reason=hide.text(result.reason or result.early_stop),
        cause=result.cause or "",
        problem=hide.text(result.problem),
        warning=hide.text(status.warning),
        note=hide.text(status.note),
        phase=status.phase,
        step=result.step,
        steps=result.steps,
        heartbeat=result.heartbeat,
        imported=hide.text(_origin(place)),
        values=status.values,
        attempts=[replace(row, reason=hide.text(row.reason)) for row in attempts],
        keys=keys,
        config=[ConfigRow(**hide.value(asdict(row))) for row in config],
        config_problem=hide.text(problem),
        environment=[FactRow(**hide.value(asdict(row))) for row in _environment(place, beside)],
        files=list_files(place.path),
        media=[
            MediumRow(medium_id(run, medium.file) if medium.kind == "image" else "", medium.tag, medium.kind, medium.step, medium.epoch)
            for medium in read_media(place.path)
        ],
        commands=list(_commands(place)),
    )


def _other_run(data: PageData, run: PageRun, base: str) -> PageRun | None:
    """Return the run to compare with: of the baseline, or of the trial `base`, with the same seed if it has one; None for itself, and for
    an imported run, which is compared with nothing."""
    trials = data.trials()
    if base and base not in trials:
        raise InputError(f"no trial {base!r}; the part trials lists the ids")
    trial = trials[base] if base else next((each for each in trials.values() if each.is_baseline), None)
    if trial is None or trial.id == run.trial or run.result.imported:
        return None
    members = [data.runs()[member] for member in trial.runs]
    return next((member for member in members if member.result.seed == run.result.seed), members[0] if members else None)


# ---------------------------------------------------------------------------------------------------------------- config
def _config(place: Place, beside: Place | None, *, whole: bool) -> tuple[list[ConfigRow], int, str]:
    """Return (rows, number of keys, why there are no rows or only those of this run)."""
    trees, problem = [], ""
    if place.run.result.imported:
        return [], 0, ""
    for each in (place, beside):
        try:
            trees.append(None if each is None else each.tree((*each.parts, "config.yml")))
        except InputError as error:
            trees.append(None)
            problem = str(error)
    tree, other = trees
    if tree is None:
        return [], 0, problem
    values = dict(flatten(tree.plain()))
    others = dict(flatten(other.plain())) if other is not None else {}
    if other is None and not whole:
        return [], len(values), problem
    given = _sources(place)
    rows = []
    for key in dict.fromkeys([*values, *others]):
        one, two = values.get(key, ABSENT), others.get(key, ABSENT)
        if whole or not same_value(one, two):
            source = given.get(key) or (_line(tree, key) if one is not ABSENT else "")
            rows.append(ConfigRow(key, _yaml(one), _yaml(two) if other is not None else None, source))
    return rows, len(values), problem


def _sources(place: Place) -> dict[str, str]:
    """Return key to file and line of each value that the sweep file gives this run, or a name of what gave it."""
    overrides = place.run.result.overrides
    if not overrides:
        return {}
    if place.sweep is None:
        return dict.fromkeys(overrides, "-o")
    try:
        tree = place.tree((*place.sweep, "sweep.yml"))
    except InputError:
        return dict.fromkeys(overrides, "sweep.yml")
    lines: dict[str, str] = {}
    for section in _SWEEP_SECTIONS:
        node = (tree.mapping or {}).get(section)
        for key, value in ((node.mapping if node is not None else None) or {}).items():
            lines.setdefault(key, str(value.source))
    return {key: lines.get(key, "sweep.yml") for key in overrides}


def _line(tree: Node, key: str) -> str:
    """Return file and line of a dotted key: its own, or that of the value it is part of."""
    while key:
        if (node := tree.get(key)) is not None:
            return str(node.source)
        key = key.rpartition(".")[0]
    return ""


def _yaml(value: Any) -> str | None:
    return None if value is ABSENT else format_value(value, _DIGITS)


# ----------------------------------------------------------------------------------------------------------- environment
def _environment(place: Place, beside: Place | None) -> list[FactRow]:
    own, others = _facts(place), _facts(beside)
    rows = []
    for name in dict.fromkeys([*own, *others]):
        one, two = own.get(name), others.get(name)
        rows.append(FactRow(name, one, two, beside is not None and name != "created" and one != two))
    return rows


def _facts(place: Place | None) -> dict[str, str]:
    """Return name to text of the facts that are shown. Nothing that names a place, a machine or a user."""
    facts = place.identity.facts if place is not None and place.identity is not None else {}
    found: dict[str, str] = {}
    for name in ("code", "config_code"):
        code = facts.get(name)
        if isinstance(code, Mapping) and code.get("commit"):
            changes = str(code.get("diff") or "")
            digest = hashlib.sha256(changes.encode("utf-8", "surrogatepass")).hexdigest()
            found[name] = f"{str(code['commit'])[:12]}{f' + changes {digest[:6]}' if changes else ''}"
    for name in _FACTS:
        if name in facts and facts[name] not in (None, "", [], {}):
            value = facts[name]
            found[name] = ", ".join(map(_plain, value)) if isinstance(value, list) else _plain(value)
    for name, value in (_imported(place) if place is not None else {}).items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{key}": _plain(item) for key, item in value.items()}
        else:
            found[name] = "; ".join(map(_plain, value)) if isinstance(value, list) else _plain(value)
    packages = facts.get("packages")
    for package, version in packages.items() if isinstance(packages, Mapping) else ():
        found[f"packages.{package}"] = _plain(version)
    return found


def _imported(place: Place) -> Mapping[str, Any]:
    """Return what is known of the logs that a run was made of; empty for one that was trained here."""
    found = place.identity.facts.get(IMPORTED) if place.identity is not None else None
    return found if isinstance(found, Mapping) else {}


def _origin(place: Place) -> str:
    imported = _imported(place)
    return f"{imported.get('from', '')} ({imported.get('format', '')})" if imported else ""


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else format_value(value, _DIGITS)


# -------------------------------------------------------------------------------------------------------------- commands
def _commands(place: Place) -> Iterator[CommandRow]:
    """Yield the commands that make sense for a run in its state. The page itself never acts."""
    result = place.run.result
    if result.imported:
        return
    run, sweep = place.command_path(place.path), None if place.sweep is None else place.command_path(place.root.joinpath(*place.sweep))
    if result.problem and sweep:
        yield CommandRow("verify", f"runner verify {sweep}")
    if result.state == "running":
        yield CommandRow("stop", f"runner stop {sweep} {shell_path(result.path.name)}" if sweep else f"runner stop {run}")
    if result.state == "failed" and sweep:
        yield CommandRow("retry", f"runner retry {sweep} --failed")
    if result.state in ("failed", "interrupted", "pending"):
        yield CommandRow("resume", f"runner resume {sweep or run}")
    if result.state != "pending":
        yield CommandRow("predict", f"runner predict {run} 'IMAGES/*.png'")
        yield CommandRow("eval", f"runner eval {run} --pictures pictures")
    for viewer in _viewers(place):
        yield CommandRow("viewer", f"runner dashboard {run} --with {viewer}", viewer)


def _viewers(place: Place) -> Iterator[str]:
    """Yield the trackers that logged the run, as its config says, and have a viewer."""
    try:
        names = place.tree((*place.parts, "config.yml")).plain().get("trackers")
    except (InputError, AttributeError):  # it cannot be read, or is no mapping
        return
    for name in names if isinstance(names, list) else ():
        with suppress(InputError, PluginError):  # one whose distribution is not installed here
            if TRACKERS.get(name).viewer is not None:
                yield name


def _line_count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST_LINES:
        raise InputError(f"log is {text!r}; expected a number of lines from 1 to {_MOST_LINES}")
    return int(text)


def image_file(data: PageData, identifier: str) -> tuple[Path, tuple[str, ...]]:
    """Return (root, parts of the path below it) of the image that an id names. Raises InputError: there is none."""
    run = data.runs().get(identifier.rpartition("-")[0])
    if run is not None:
        place = Place(data, run)
        for medium in read_media(place.path):
            if medium.kind == "image" and medium_id(run, medium.file) == identifier:
                return place.root, (*place.parts, *PurePosixPath(medium.file).parts)
    raise InputError(f"no image {identifier!r}; the part run lists the ids")
