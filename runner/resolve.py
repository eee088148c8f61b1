"""From a config file and overrides to a config that is whole: `dataset` and every `auto` replaced, checked by its backend, frozen.

After this nobody reads raw mappings: the bound object is what runs, and its canonical YAML is what a run directory keeps.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from runner.backends.base import BACKENDS, Backend, Probe
from runner.config.bind import Bound, bind, field_infos, require
from runner.config.dump import canonical, to_plain, to_yaml
from runner.config.geometry import geometry_warnings
from runner.config.legacy import as_newer_dialect
from runner.config.legacy import summary as translation_note
from runner.config.length import schedule_warnings
from runner.config.load import load_config
from runner.config.node import Node, Source, from_plain
from runner.config.overrides import apply_mapping, assign
from runner.core.errors import InputError, Missing, Problem, Remark, RunnerError, TooFewImages, UnknownKey
from runner.core.files import parse_json, read_bytes
from runner.core.importing import child_environment
from runner.data.choice import DatasetChoice, dataset_choice
from runner.data.manifest import read_manifest
from runner.environments.interpreters import interpreter, versions
from runner.launch.machine import available_cores
from runner.trackers.base import TRACKERS

AUTO = "auto"
_DATA_SECTIONS = ("TrainDataset", "EvalDataset")
_PROBE_TIMEOUT_S = 120
_NOT_MADE = "dataset: made at first use"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A config that can run.

    Args:
        config: the bound object of the backend's config class.
        backend: who runs it.
        path: the file it came from.
        python: the interpreter whose environment the backend runs in; None where the config is only shown and there is none.
        notes: what stands in the file and has no effect, what `auto` became: a sentence each.
        probe: what the backend found on this machine; None if nobody had to ask (the config wants no GPU).
        missing: what a run would need and this machine has not; empty where the config was resolved to run.
        counted: the number of classes is known; else a 1 stands for it until the data is there.
    """

    config: Any
    backend: Backend
    path: Path
    python: Path | None = None
    notes: tuple[str, ...] = ()
    probe: Probe | None = None
    missing: tuple[Problem, ...] = ()
    counted: bool = True

    @property
    def tree(self) -> dict[str, Any]:
        """The canonical tree (see `runner.config.dump`)."""
        tree = canonical(self.config)
        return tree if self.counted else {**tree, "num_classes": AUTO}

    @property
    def yaml(self) -> str:
        """The canonical tree as YAML: `runner train -c` of it repeats the run."""
        return to_yaml(self.tree)

    @property
    def plain(self) -> dict[str, Any]:
        """The canonical tree in dicts, lists and scalars."""
        plain: dict[str, Any] = to_plain(self.tree)
        return plain


def resolve(
    path: Path | str,
    overrides: Iterable[str] = (),
    *,
    values: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
    values_from: str = "sweep",
    threads: int | None = None,
    make_dataset: Callable[[str], None] | None = None,
    to_run: bool = True,
    to_train: bool = True,
    settled: bool = False,
) -> Resolved:
    """Resolve the config in `path`.

    Args:
        overrides: ``KEY=VALUE`` from the command line, applied in order.
        values: dotted key to value, applied after them (a sweep's trial and seed); `values_from` says where they stand.
        fixed: the same, applied before `values` (a sweep's overrides).
        threads: what ``cpu_threads: auto`` means; default: the cores this process may use.
        make_dataset: called with the name of a generated data set that does not exist yet; without it such a set is only named.
        to_run: data, weights, a GPU or an environment that is missing is an error; else it is in `Resolved.missing`.
        to_train: a training set that is too small for a step is an error.
        settled: the config is a run's own: `dataset` is a mere name for what its sections say.

    Raises:
        InputError: with everything that is wrong.
    """
    tree, translated = as_newer_dialect(load_config(path), overrides, {**(fixed or {}), **(values or {})}.get("backend"))
    for layer in (fixed, values):
        tree = apply_mapping(tree, layer or {}, Source(values_from))
    backend = _backend(tree)
    notes = [translation_note(translated, path)] if translated else []
    tree = _with_absolute_folders(tree)
    tree, problems, missing = (tree, [], []) if settled else _expand_dataset(tree, notes, make_dataset)
    data_is_missing = bool(problems or missing) or any(note.startswith(_NOT_MADE) for note in notes)
    python = _interpreter(tree, backend, missing)
    tree, probe = _resolve_autos(tree, backend, python, notes, missing, threads)
    counted = (node := tree.get("num_classes")) is None or node.value != AUTO  # None: this backend counts none
    if not counted:  # a number in its place, so that the rest is checked, which will tell why they could not be counted
        tree = _set(tree, "num_classes", 1, Source(AUTO))
    tree, bound, found = _bind_and_check(tree, backend, python)
    problems += bound.problems
    notes += [str(problem) for problem in found if isinstance(problem, Remark)]
    passed = (Remark,) if to_train else (Remark, TooFewImages)
    found = [problem for problem in found if not isinstance(problem, passed)]
    moot = (*_DATA_SECTIONS, "num_classes") if data_is_missing else () if counted else ("num_classes",)
    found = [_placed(problem, tree) for problem in found if not problem.key.startswith(moot)]
    missing += [problem for problem in found if isinstance(problem, Missing)]
    problems += [problem for problem in found if not isinstance(problem, Missing)]
    if to_run:
        problems += missing
        if not counted and not problems:
            problems.append(Problem("the classes of the training annotations cannot be counted; give their number", key="num_classes"))
    if problems:
        raise InputError(dict.fromkeys(problems))
    return Resolved(require(bound), backend, Path(path), python, (*bound.notes, *notes), probe, tuple(dict.fromkeys(missing)), counted)


def warnings_of(resolved: Resolved) -> list[str]:
    """What a config does that few people mean: evaluate otherwise than it trains, a learning rate that does not end with the training."""
    plain = resolved.plain
    return [*geometry_warnings([("", plain)]), *schedule_warnings(plain, training_images(resolved.config))]


def training_images(config: Any) -> int | None:
    """Images of an epoch of a bound config, each counted once; None where it has no data, or the data is not there."""
    data = config.train_dataset
    if data is None or not data.anno_path:
        return None
    from runner.data.coco import load_coco  # noqa: PLC0415 - it brings NumPy, which a config without data does not need

    try:
        found = load_coco(
            Path(data.dataset_dir, data.anno_path),
            Path(data.dataset_dir, data.image_dir),
            allow_empty=data.allow_empty,
            sample_num=data.sample_num,
            empty_ratio=data.empty_ratio,
            check_images=False,
        )
    except InputError:
        return None
    return len(found.images)


def backend_in(path: Path | str, overrides: Iterable[str] = ()) -> tuple[str, str | None]:
    """The backend a config names, and the interpreter it gives for it, if any."""
    tree, _ = as_newer_dialect(load_config(path), overrides)
    given = tree.get("backend_python")
    return _backend(tree).name, given.value if given is not None and isinstance(given.value, str) else None


@functools.lru_cache(maxsize=8)
def probe_backend(name: str, python: Path) -> Probe:
    """What the backend `name` finds on this machine, asked in a process of its own (loading a framework takes seconds, and may start CUDA)
    of the interpreter `python`.

    Raises:
        RunnerError: the process failed; its output is in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "probe.json"
        command = [str(python), "-P", "-m", "runner.backends.probe", name, str(answer)]
        try:
            environment = child_environment()
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise RunnerError(f"the backend {name} did not start within {_PROBE_TIMEOUT_S} s; `runner doctor` tells more") from error
        if done.returncode != 0:
            raise RunnerError(f"the backend {name} cannot be loaded; its output:\n{done.stderr.strip() or done.stdout.strip()}")
        data = json.loads(answer.read_text(encoding="utf-8"))
    return Probe(versions=data["versions"], gpus=tuple(data["gpus"]), gpu_problem=data["gpu_problem"], driver=data["driver"])


def automatic_trackers(python: Path) -> list[str]:
    """Return what ``trackers: auto`` means for `python`, whose process writes the logs: those that have all their packages there."""
    found = []
    for name, tracker in TRACKERS.usable():
        own = TRACKERS.distribution(name)
        needed = tracker.packages if own is None else (own, *tracker.packages)
        if tracker.automatic and len(versions(python, needed)) == len(needed):
            found.append(name)
    return found


def _backend(tree: Node) -> Backend:
    node = tree.get("backend")
    name = "torch" if node is None else node.value
    try:
        backend: Backend = BACKENDS.get(str(name))()
    except InputError as error:
        where = str(node.source) if node else ""
        raise InputError(Problem(str(error), where=where, key="backend")) from error
    return backend


def _interpreter(tree: Node, backend: Backend, missing: list[Problem]) -> Path | None:
    """Where the backend runs; None, and a problem more, if there is no place for it."""
    node = tree.get("backend_python")
    given = node.value if node is not None and isinstance(node.value, str) else None
    try:
        return interpreter(backend.name, given).python
    except InputError as error:
        where = str((node or tree.get("backend") or tree).source)
        missing += [replace(problem, where=problem.where or where) for problem in error.problems]
        return None


def _with_absolute_folders(tree: Node) -> Node:
    """The data sections with absolute folders, so that a run's config.yml means the same wherever it is read."""
    by_name = (name := tree.get("dataset")) is not None and name.value is not None  # then a section may leave the folder to the name
    for section in (*_DATA_SECTIONS, "TestDataset"):
        node = tree.get(section)
        if node is not None and node.mapping is not None:
            folder = node.mapping.get("dataset_dir", Node("", node.source))
            if isinstance(folder.value, str) and (folder.value or not by_name):
                absolute = replace(folder, value=os.path.abspath(Path(folder.value).expanduser()))
                tree = tree.with_key(section, node.with_key("dataset_dir", absolute))
    return tree


def _expand_dataset(tree: Node, notes: list[str], make: Callable[[str], None] | None) -> tuple[Node, list[Problem], list[Problem]]:
    """Replace ``dataset: NAME`` by the sections it stands for; it may stand beside them only where they say the same.

    Returns:
        The tree, what is wrong, and what is only missing on this machine.
    """
    node = tree.get("dataset")
    if node is None or node.value is None:
        return tree, [], []
    where = str(node.source)
    if not isinstance(node.value, str):
        return tree, [Problem("expected the name of a data set, see `runner data list`", where=where, key="dataset")], []
    try:
        choice = dataset_choice(node.value)
        if not choice.prepared and choice.made_on_first_use and make is not None:
            make(node.value)
            choice = dataset_choice(node.value)
    except InputError as error:
        return tree, [Problem(problem.message, where=problem.where or where, key="dataset") for problem in error.problems], []
    if _is_prepared_elsewhere(tree, choice):
        return tree, [], []
    problems: list[Problem] = []
    missing: list[Problem] = []
    for key, value in _sections_of(choice).items():
        given = tree.get(key)
        if given is None or given.plain() in (None, AUTO):
            tree = tree.with_key(key, from_plain(value, Source(f"dataset {choice.name}")))
        elif key != "eval_iou_thresholds" and not _agree(given.plain(), value):
            text = (
                f"says something else than dataset: {choice.name} ({where}) stands for; keep one of them (`-o dataset=null` keeps this one)"
            )
            problems.append(Problem(text, where=str(given.source), key=key))
        elif given.mapping is not None:
            tree = tree.with_key(key, _filled(given, from_plain(value, Source(f"dataset {choice.name}"))))
    if not choice.prepared and choice.made_on_first_use:
        notes.append(f"{_NOT_MADE}: {choice.name}")
    elif not choice.prepared:
        missing.append(Problem(choice.message, where=where, key="dataset"))
    manifest = read_manifest(Path(choice.train.dataset_dir))
    if manifest is not None and manifest.options:
        options = ", ".join(f"{key} {value}" for key, value in manifest.options.items())
        notes.append(f"dataset: {choice.name} was prepared with {options}, not as its spec has it")
    return tree, problems, missing


def _is_prepared_elsewhere(tree: Node, choice: DatasetChoice) -> bool:
    """Whether the config's own sections lie in another folder that holds this very data set (a run's config.yml, another RUNNER_DATA)."""
    nodes = [tree.get(f"{section}.dataset_dir") for section in _DATA_SECTIONS]
    folders = {str(node.value) for node in nodes if node is not None}
    if len(folders) != 1 or folders == {os.path.abspath(choice.train.dataset_dir)} or tree.get("num_classes") is None:
        return False
    manifest = read_manifest(Path(folders.pop()))
    return manifest is not None and manifest.name == choice.name


def _sections_of(choice: DatasetChoice) -> dict[str, Any]:
    folder = os.path.abspath(choice.train.dataset_dir)
    sections: dict[str, Any] = {
        "TrainDataset": {"name": "COCODataSet", **asdict(choice.train), "dataset_dir": folder},
        "EvalDataset": {"name": "COCODataSet", **asdict(choice.eval), "dataset_dir": folder, "allow_empty": True},
        "TestDataset": {"name": "ImageFolder", "dataset_dir": folder, "anno_path": choice.eval.anno_path},
    }
    if choice.num_classes is not None:
        sections["num_classes"] = choice.num_classes
    if choice.eval_iou_thresholds:
        sections["eval_iou_thresholds"] = list(choice.eval_iou_thresholds)
    return sections


def _filled(given: Node, meant: Node) -> Node:
    """A section that says only part of it (``-o TrainDataset.sample_num=50``), with the rest of what the data set says."""
    own = {key: node for key, node in (given.mapping or {}).items() if node.value not in (None, "")}
    rest = {key: node for key, node in (meant.mapping or {}).items() if key != "name" or given.tag is None}
    return replace(given, value={**rest, **own})


def _agree(given: Any, meant: Any) -> bool:
    """Whether a section of the config names the same data as the data set does; other keys (sample_num, …) are the config's own
    business."""
    if isinstance(given, Mapping) and isinstance(meant, Mapping):
        keys = ("name", "dataset_dir", "image_dir", "anno_path")
        return all(_agree(given[key], meant[key]) for key in keys if given.get(key) and key in meant)
    return bool(given == meant)


def _resolve_autos(
    tree: Node, backend: Backend, python: Path | None, notes: list[str], missing: list[Problem], threads: int | None
) -> tuple[Node, Probe | None]:
    probe: Probe | None = None
    autos = {info.key for info in field_infos(backend.config_class) if info.auto}
    gpu = tree.get("use_gpu") or Node(AUTO if "use_gpu" in autos else None, Source(AUTO))
    if gpu.value in (True, AUTO) and python is not None:
        probe = probe_backend(backend.name, python)
        if gpu.value == AUTO:
            found = probe.gpus[0] if probe.gpus else f"the CPU ({probe.gpu_problem})"
            notes.append(f"use_gpu: auto picks {found}")
            tree = _set(tree, "use_gpu", bool(probe.gpus), gpu.source)
        elif not probe.gpus:
            advice = f"{probe.gpu_problem}; to train on the CPU: -o use_gpu=false"
            missing.append(Problem(advice, where=str(gpu.source), key="use_gpu"))
        count = tree.get("processes")
        if probe.gpus and count is not None and isinstance(count.value, int) and count.value > len(probe.gpus):
            text = f"{count.value} processes need as many GPUs; usable: {len(probe.gpus)} ({', '.join(probe.gpus)})"
            missing.append(Problem(text, where=str(count.source), key="processes"))
    defaults: dict[str, Callable[[], Any]] = {
        "cpu_threads": lambda: threads or available_cores(),
        "trackers": lambda: automatic_trackers(python) if python else [],
        "num_classes": lambda: _count_classes(tree),
    }
    for key, value in defaults.items():
        if key in autos:
            tree = _default(tree, key, value)
    return _apply_tracker_switches(tree), probe


def _default(tree: Node, key: str, value: Callable[[], Any]) -> Node:
    """`tree` with what ``auto``, or leaving `key` out, means."""
    node = tree.get(key)
    if node is None or node.value == AUTO:
        return _set(tree, key, value(), node.source if node else Source(AUTO))
    return tree


def _apply_tracker_switches(tree: Node) -> Node:
    """Put a tracker into `trackers`, or take it out, where its switch (``use_vdl``) says so."""
    for name, tracker in TRACKERS.usable():
        wanted, trackers = tree.get(tracker.switch_key) if tracker.switch_key else None, tree.get("trackers")
        if wanted is None or not isinstance(wanted.value, bool) or trackers is None or trackers.items is None:
            continue
        names = [item.plain() for item in trackers.items if item.value != name]
        tree = _set(tree, "trackers", [*names, name] if wanted.value else names, trackers.source)
    return tree


def _count_classes(tree: Node) -> int | str:
    """Categories of the training annotations; where they cannot be read ``auto`` stays, and checking says what is missing."""
    section = tree.get("TrainDataset")
    data = section.plain() if section is not None else None
    if not isinstance(data, Mapping):
        return AUTO
    path = Path(str(data.get("dataset_dir") or "")) / str(data.get("anno_path") or "")
    try:
        return len(parse_json(read_bytes(path))["categories"])
    except (OSError, ValueError, KeyError, TypeError):
        return AUTO


def _set(tree: Node, key: str, value: Any, source: Source) -> Node:
    return assign(tree.without(key), key, from_plain(value, source))


def _bind_and_check(tree: Node, backend: Backend, python: Path | None) -> tuple[Node, Bound[Any], Sequence[Problem]]:
    """The bound config, what its backend finds wrong with it, and the tree: without the top-level keys that nobody knows and that are only
    there to give a value a name (``eval_height: &eval_height 640``). What they hold stands wherever that name does."""
    bound = bind(tree, backend.config_class)
    found = backend.check(bound.value) if bound.value is not None and python is not None else ()
    unknown = {problem.key for problem in found if isinstance(problem, UnknownKey)}
    only_names = [key for key, node in (tree.mapping or {}).items() if key in unknown and node.anchor is not None]
    if only_names:
        tree = tree.without(*only_names)
        bound = bind(tree, backend.config_class)
        found = [problem for problem in found if problem.key not in only_names]
    return tree, bound, found


def _placed(problem: Problem, tree: Node) -> Problem:
    """A backend's problem with the place its key was written at."""
    if problem.where or not problem.key:
        return problem
    parts = problem.key.split(".")
    while parts:
        if (node := tree.get(".".join(parts))) is not None:
            return replace(problem, where=str(node.source))
        parts.pop()
    return problem
