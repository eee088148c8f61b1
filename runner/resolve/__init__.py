"""A config file and overrides made into a config that is whole: `dataset` and every `auto` replaced, checked by its backend, frozen.

After this no code reads raw mappings: the bound object is run, and the run directory keeps its canonical YAML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.backends.base import BACKENDS, DEFAULT_BACKEND, Backend, BatchSizeChoice, Probe
from runner.config.bind import Bound, bind, require
from runner.config.dump import canonical, to_plain, to_yaml
from runner.config.geometry import geometry_warnings
from runner.config.legacy import as_newer_dialect
from runner.config.legacy import summary as translation_note
from runner.config.length import schedule_warnings
from runner.config.load import load_config
from runner.config.node import Node, Source
from runner.config.overrides import apply_mapping
from runner.config.stand_ins import STAND_INS
from runner.core.errors import ElsewhereKnown, InputError, Missing, Problem, TooFewImages, UnknownKey
from runner.resolve.autos import find_interpreter, resolve_autos
from runner.resolve.dataset import expand_dataset, with_absolute_folders
from runner.resolve.measured import resolve_batch_size, resolve_learning_rate
from runner.resolve.resolution import AUTO, DATA_SECTIONS, Resolution
from runner.training.early_stop import check_early_stop
from runner.weights.in_config import with_digests
from runner.weights.names import KEY as PRETRAIN_WEIGHTS

if TYPE_CHECKING:
    from runner.data.coco import CocoSet


@dataclass(frozen=True, slots=True)
class Resolved:
    """A config that can run.

    Args:
        config: the bound object of the backend's config class.
        backend: the backend that runs it.
        path: the file it came from.
        python: the interpreter whose environment the backend runs in; None where the config is only shown and there is none.
        notes: one sentence for each part without effect and for each replaced `auto`.
        probe: findings of the backend on this machine; None if they were not needed (the config uses no GPU).
        missing: what a run would need and this machine lacks; empty where the config was resolved to run.
        counted: whether the number of classes is known; otherwise it is set to 1 until the data exists.
        unmeasured: dotted keys that are ``auto`` and have to be measured before training (`TrainReader.batch_size`, and what follows from
            it); `config` has stand-ins for them.
    """

    config: Any
    backend: Backend
    path: Path
    python: Path | None = None
    notes: tuple[str, ...] = ()
    probe: Probe | None = None
    missing: tuple[Problem, ...] = ()
    counted: bool = True
    unmeasured: tuple[str, ...] = ()

    @property
    def tree(self) -> dict[str, Any]:
        """The canonical tree (see `runner.config.dump`)."""
        tree = canonical(self.config)
        for key in self.unmeasured:
            section, _, name = key.partition(".")
            tree = {**tree, section: {**tree[section], name: AUTO}}
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
    batch_size: BatchSizeChoice | None = None,
) -> Resolved:
    """Resolve the config in `path`.

    Args:
        overrides: ``KEY=VALUE`` from the command line, applied in order.
        values: dotted key to value, applied after them (a sweep's trial and seed); `values_from` is their source.
        fixed: the same, applied before `values` (a sweep's overrides).
        threads: what ``cpu_threads: auto`` means; default: the cores this process may use.
        make_dataset: called with the name of a generated data set that does not exist yet; without it such a set is only named.
        to_run: data, weights, a GPU or an environment that is missing is an error; else it is in `Resolved.missing`.
        to_train: a training set that is too small for a step is an error, and initial weights are needed.
        batch_size: what ``TrainReader.batch_size: auto`` means; without it the key is in `Resolved.unmeasured`.
        settled: the config is a run's own: `dataset` is a mere name for what its sections say, and weights are what they were.

    Raises:
        InputError: with everything that is wrong.
    """
    tree, translated = as_newer_dialect(load_config(path), overrides, {**(fixed or {}), **(values or {})}.get("backend"))
    for layer in (fixed, values):
        tree = apply_mapping(tree, layer or {}, Source(values_from))
    resolution = Resolution(with_absolute_folders(tree), _backend(tree))
    if translated:
        resolution.notes.append(translation_note(translated, path))
    _lock_weights(resolution, settled=settled, to_train=to_train)
    if not settled:
        expand_dataset(resolution, make_dataset)
    _fill_stand_ins(resolution)
    find_interpreter(resolution)
    resolve_autos(resolution, threads, settled=settled)
    resolve_batch_size(resolution, batch_size)
    resolve_learning_rate(resolution)
    bound = _bind_and_check(resolution, to_train=to_train)
    resolution.raise_problems(to_run=to_run)
    return Resolved(
        require(bound),
        resolution.backend,
        Path(path),
        resolution.python,
        (*bound.notes, *resolution.notes),
        resolution.probe,
        tuple(dict.fromkeys(resolution.missing)),
        resolution.counted,
        resolution.unmeasured,
    )


def warnings_of(resolved: Resolved) -> list[str]:
    """Collect warnings about a config that is probably not intended: evaluation unlike training, a learning rate that does not end with the
    training, a batch that does not fit into memory, boxes that do not suit the size of the images or the levels."""
    plain, data = resolved.plain, _training_set(resolved.config)
    warnings = [
        *geometry_warnings([("", plain)]),
        *schedule_warnings(plain, None if data is None else _images_of_epoch(resolved.config, data)),
    ]
    from runner.advice.hints import memory_hint, size_hints  # noqa: PLC0415 - they bring NumPy too

    available_gib = _available_gib(resolved)
    if available_gib is not None:
        warnings += memory_hint(plain, available_gib)
    if data is None:
        return warnings
    from runner.advice.measures import measure  # noqa: PLC0415

    return [*warnings, *size_hints(plain, measure(data))]


def _available_gib(resolved: Resolved) -> float | None:
    """Return the memory that training may use: the smallest GPU's, or what is free of this machine's; None where its GPU is missing."""
    from runner.launch.machine import read_machine  # noqa: PLC0415

    machine = read_machine()
    if getattr(resolved.config, "use_gpu", False):
        return min((gpu.memory_gib for gpu in machine.gpus), default=None)
    return machine.free_gib


def training_images(config: Any) -> int | None:
    """Count the images of an epoch of a bound config, each counted once, or as often as its sampler shows it; None where it has no data,
    or the data is not there."""
    data = _training_set(config)
    return None if data is None else _images_of_epoch(config, data)


def _images_of_epoch(config: Any, data: CocoSet) -> int:
    sampler = getattr(getattr(config, "train_reader", None), "sampler", None)
    if sampler is None:
        return len(data.images)
    from runner.training.sampler import images_of_epoch, repeat_factors  # noqa: PLC0415 - it brings NumPy

    return images_of_epoch(repeat_factors([image.classes[~image.is_crowd] for image in data.images], sampler.oversample_thresh))


def _training_set(config: Any) -> CocoSet | None:
    """Read the annotations of a bound config's training set; None where it has no data, or the data is not there."""
    data = config.train_dataset
    if data is None or not data.anno_path:
        return None
    from runner.data.coco import load_coco  # noqa: PLC0415 - it brings NumPy, which a config without data does not need

    try:
        return load_coco(
            Path(data.dataset_dir, data.anno_path),
            Path(data.dataset_dir, data.image_dir),
            allow_empty=data.allow_empty,
            sample_num=data.sample_num,
            empty_ratio=data.empty_ratio,
            check_images=False,
        )
    except InputError:
        return None


def backend_in(path: Path | str, overrides: Iterable[str] = ()) -> tuple[str, str | None]:
    """Return the backend a config names, and the interpreter it gives for it, if any."""
    tree, _ = as_newer_dialect(load_config(path), overrides)
    given = tree.get("backend_python")
    return _backend(tree).name, given.value if given is not None and isinstance(given.value, str) else None


def _fill_stand_ins(resolution: Resolution) -> None:
    """Complete what the config leaves to the keys that stand for others; add problems where it contradicts them, and notes."""
    for stand_in in STAND_INS.values():
        resolution.tree, problems, notes = stand_in.fill(resolution.tree)
        resolution.problems += problems
        resolution.notes += notes


def _lock_weights(resolution: Resolution, *, settled: bool, to_train: bool) -> None:
    """Add the digests of weights.lock to the names of published weights, so that they are in the run's config and key."""
    resolution.tree, found = with_digests(resolution.tree, lock=not settled)
    resolution.add_findings((problem for problem in found if to_train or not isinstance(problem, Missing)), ())


def _backend(tree: Node) -> Backend:
    node = tree.get("backend")
    name = DEFAULT_BACKEND if node is None else node.value
    try:
        backend: Backend = BACKENDS.get(str(name))()
    except InputError as error:
        where = str(node.source) if node else ""
        raise InputError([replace(problem, where=where, key="backend") for problem in error.problems]) from error
    return backend


def _is_known(problem: Problem, resolution: Resolution) -> bool:
    """Return whether what causes a problem is reported already: its value was refused, or a section is only missing because the data set
    that would fill it cannot be used."""
    refused = any(f"{problem.key}.".startswith(f"{other.key}.") and problem.where == other.where for other in resolution.problems)
    return refused or (not resolution.has_data and problem.key in DATA_SECTIONS and resolution.tree.get(problem.key) is None)


def _is_for_training(problem: Problem) -> bool:
    """Return whether a problem prevents training alone: an evaluation needs no initial weights, and no full batch."""
    return isinstance(problem, TooFewImages) or (isinstance(problem, Missing) and problem.key == PRETRAIN_WEIGHTS)


def _bind_and_check(resolution: Resolution, *, to_train: bool) -> Bound[Any]:
    """Bind the tree and let the backend check it. Unknown top-level keys that only give a value a name
    (``eval_height: &eval_height 640``) are dropped: their value is used wherever the name is."""
    backend = resolution.backend
    bound = bind(resolution.tree, backend.config_class)
    found = list(backend.check(bound.value)) if bound.value is not None and resolution.python is not None else []
    if bound.value is not None:
        found += check_early_stop(bound.value, backend.metrics(bound.value))
    unknown = {problem.key for problem in found if isinstance(problem, UnknownKey)}
    only_names = [key for key, node in (resolution.tree.mapping or {}).items() if key in unknown and node.anchor is not None]
    if only_names:
        resolution.tree = resolution.tree.without(*only_names)
        bound = bind(resolution.tree, backend.config_class)
        found = [problem for problem in found if problem.key not in only_names]
    foreign = [problem for problem in bound.problems if isinstance(problem, ElsewhereKnown) and problem.key == "architecture"]
    # the other sections are those of another backend's model: one reason, not dozens
    resolution.problems += foreign or [problem for problem in bound.problems if not _is_known(problem, resolution)]
    moot = (*DATA_SECTIONS, "num_classes") if not resolution.has_data else () if resolution.counted else ("num_classes",)
    resolution.add_findings((problem for problem in found if to_train or not _is_for_training(problem)), moot)
    return bound
