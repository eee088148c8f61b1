"""Upgrades of files that version 0.1 wrote into sweep and run directories: applied in memory when such a file is read, never on disk."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from runner.core.files import open_regular
from runner.core.values import GIB

V = TypeVar("V", float, float | str)

# ---------------------------------------------------------------------------------------------------------- run directory
RESOURCE_TAGS: Mapping[str, str] = {
    "resource/memory_gb": "resource/memory_gib",
    "resource/gpu_memory_gb": "resource/gpu_memory_gib",
}
"""Former name to name of the tags whose unit was 10**9 bytes and is GiB (2**30 bytes)."""
VERDICT = "verdict.json"
"""Former name of a run's ``override.json``."""
_GB = 10**9


def upgrade_values(values: dict[str, V]) -> dict[str, V]:
    """Return the values of a record, a status or an event under today's tags, in today's units."""
    for old, new in RESOURCE_TAGS.items():
        if old in values:
            value = values.pop(old)
            values[new] = value * _GB / GIB if isinstance(value, int | float) else value
    return values


def override_file(path: Path) -> Path:
    """Return the file that holds the override: `path`, or where only the old ``verdict.json`` exists, that."""
    old = path.with_name(VERDICT)
    return old if not path.is_file() and old.is_file() else path


# -------------------------------------------------------------------------------------------------------------- trial keys
_NEUTRAL = frozenset(
    (
        "backend_python dataset image_size keep_checkpoints levels log_iter sample_images save_dir trackers use_vdl vdl_log_dir weights"
        " worker_num"
    ).split()
)
NEUTRAL_KEYS: Mapping[str, frozenset[str]] = {
    "torch": _NEUTRAL | {"TestDataset", "TestReader", "find_unused_parameters", "gradient_checkpointing"},
    "paddle": _NEUTRAL | {"TestDataset"},
    "fake": _NEUTRAL
    | set("amp cpu_threads eval_iou_thresholds memory_gb memory_gib num_classes pretrain_weights startup_s step_s use_ema use_gpu".split()),
}
"""Backend to the top-level keys that could not change a result, when run.json did not say which keys identify a trial."""
ADDED_LATER: Mapping[str, Any] = {
    "initial_distance": 0.0,
    "goal": "maximize",
    "amp_dtype": None,
    "early_stop": None,
    "TrainReader.mixup_epoch": None,
    "TrainReader.mosaic_epoch": None,
}
"""Keys that older configs lack, with their implicit value: at that value they do not identify a trial."""
_DATA_PLACES = ("dataset_dir", "image_dir", "anno_path")


def trial_keys(config: Mapping[str, Any], with_content: Container[str]) -> list[str]:
    """Return the keys that identify the trial of a run whose run.json does not name them.

    Args:
        config: dotted key to value of its config.yml.
        with_content: the data sections whose content hash is recorded: it replaces their paths.
    """
    backend = config.get("backend", "torch")
    neutral = NEUTRAL_KEYS.get(backend, _NEUTRAL) if isinstance(backend, str) else _NEUTRAL
    found = []
    for key, value in config.items():
        first, last = key.partition(".")[0], key.rpartition(".")[2]
        is_data = first in ("TrainDataset", "EvalDataset")
        stands_for = is_data and last in _DATA_PLACES and first in with_content
        unused = is_data and last == "data_fields" and backend != "paddle"
        at_default = key in ADDED_LATER and value == ADDED_LATER[key]
        if key != "seed" and first not in neutral and not (stands_for or unused or at_default):
            found.append(key)
    return found


# --------------------------------------------------------------------------------------------------------- sweep directory
SPEC_KEYS: Mapping[str, str] = {"couple": "derive", "join_best": "combine_best", "confirm": "confirm_seeds"}
"""Former name to name of the keys of a sweep file, and of the ``spec`` in plan.json."""
RESOURCE_KEYS: Mapping[str, str] = {"memory_gb": "memory_gib"}
"""Former name to name of the keys of its ``resources``. The unit was 2**30 bytes already."""
_FORMER_TAG = re.compile(r"(?<![\w/.@`-])(`?)(" + "|".join(RESOURCE_TAGS) + r")\1(?![\w/.@`-])")
_FORMER_SETTING = re.compile("|".join(rf"{re.escape(key)}(?=[.=])" for key in (*SPEC_KEYS, *(f"resources.{key}" for key in RESOURCE_KEYS))))


def upgrade_plan(plan: dict[str, Any]) -> dict[str, Any]:
    """Return what a plan.json holds with its spec and its command in today's words."""
    result = dict(plan)
    if isinstance(spec := plan.get("spec"), dict):
        result["spec"] = _upgrade_spec(spec)
    if isinstance(command := plan.get("command"), list):
        result["command"] = _upgrade_command(command)
    return result


def _upgrade_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    result = {SPEC_KEYS.get(key, key): value for key, value in spec.items()}
    if isinstance(resources := spec.get("resources"), dict):
        result["resources"] = {RESOURCE_KEYS.get(key, key): value for key, value in resources.items()}
    if isinstance(constraints := spec.get("constraints"), list):
        result["constraints"] = [upgrade_constraint(text) if isinstance(text, str) else text for text in constraints]
    metric = spec.get("metric")
    if isinstance(metric, dict):
        result["metric"] = _upgrade_metric(metric)
    elif isinstance(metric, list):
        result["metric"] = [_upgrade_metric(each) if isinstance(each, dict) else each for each in metric]
    return result


def _upgrade_metric(metric: Mapping[str, Any]) -> dict[str, Any]:
    name = metric.get("name")
    return {**metric, "name": RESOURCE_TAGS.get(name, name)} if isinstance(name, str) else dict(metric)


def upgrade_constraint(text: str) -> str:
    """Return a constraint in which a former tag is today's, converted to the unit that the limit was written in."""
    return _FORMER_TAG.sub(lambda found: f"({RESOURCE_TAGS[found[2]]} * {GIB / _GB!r})", text)


def _upgrade_command(command: Sequence[Any]) -> list[Any]:
    """Return a command line of ``runner sweep`` whose ``--set`` has today's keys."""
    result = []
    for before, word in zip(("", *command), command, strict=False):
        option = "--set=" if isinstance(word, str) and word.startswith("--set=") else ""
        if isinstance(word, str) and (option or before == "--set"):
            word = option + upgrade_setting(word[len(option) :])
        result.append(word)
    return result


def upgrade_setting(text: str) -> str:
    """Return ``KEY=VALUE`` of ``--set`` with today's key."""
    found = _FORMER_SETTING.match(text)
    if found is None:
        return text
    new = SPEC_KEYS.get(found[0]) or f"resources.{RESOURCE_KEYS[found[0].partition('.')[2]]}"
    return new + text[found.end() :]


# ----------------------------------------------------------------------------------------------------------------- journal
_FORMER_EVENTS: Mapping[str, str] = {
    "trial": "trial_queued",
    "refused": "trial_refused",
    "prune": "trial_pruned",
    "start": "run_started",
    "end": "run_ended",
    "retry": "run_retried",
    "held": "run_blocked",
    "again": "run_reopened",
    "late": "late_result_ignored",
    "not_reused": "reuse_refused",
    "lost": "records_lost",
    "unrecorded": "override_not_written",
    "budget": "budget_spent",
    "pause": "sweep_paused",
    "resume": "sweep_resumed",
    "given up": "sweep_stopped",
}
"""Former name to name of the journal's events."""
_ACTIONS = ("pause", "resume", "stop", "retry", "quit")


def former_events(kinds: Iterable[str]) -> list[str]:
    """Return the former names of the events called `kinds`."""
    wanted = set(kinds)
    return [old for old, new in _FORMER_EVENTS.items() if new in wanted] + list(_ACTIONS if "command_received" in wanted else ())


def upgrade_event(value: dict[str, Any]) -> dict[str, Any]:
    """Return a line of the journal with the event's present name. A command was noted under the name of its action."""
    kind = value.get("event")
    if not isinstance(kind, str):
        return value
    if isinstance(values := value.get("values"), dict) and not RESOURCE_TAGS.keys().isdisjoint(values):
        value = {**value, "values": upgrade_values(values)}
    if kind in _ACTIONS and "asked_for" in value:
        return {**value, "event": "command_received", "action": kind, "target": value["asked_for"]}
    return {**value, "event": _FORMER_EVENTS[kind]} if kind in _FORMER_EVENTS else value


# ----------------------------------------------------------------------------------------------------------------- records
PRIMARY_METRIC: tuple[str, Literal["maximize"], tuple[str, ...]] = ("bbox/AP", "maximize", ("bbox/AP50", "bbox/AP75"))
"""The metric that decided, its goal and the tags shown beside it, when run.json did not say so."""
_EVALUATION_PREFIX = "bbox/"


def record_kind(tags: Iterable[str]) -> Literal["train", "evaluation"]:
    """Return the kind of a record that states none, as those of older versions do: an evaluation has tags below ``bbox/``."""
    return "evaluation" if any(tag.startswith(_EVALUATION_PREFIX) for tag in tags) else "train"


def may_be_evaluation(line: bytes) -> bool:
    """Return whether a line of a metrics.jsonl may hold an evaluation that does not say that it is one (see `record_kind`)."""
    return b'"bbox/' in line


# ------------------------------------------------------------------------------------------------------------------- media
SAMPLES = "samples"
"""Former name of the folder of pictures."""
_SAMPLE = re.compile(r"(\d{7,15})-(\d{1,9})\.png")
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB\x60\x82"


def former_samples(run: Path) -> Iterator[tuple[int, str, Literal["image"], str]]:
    """Yield step, tag, kind and file of the pictures in ``samples/``, which no index listed; those that a kill cut off are left out."""
    try:
        names = sorted(path.name for path in (run / "samples").iterdir())
    except OSError:
        return
    for name in names:
        if (found := _SAMPLE.fullmatch(name)) and _is_whole_png(run / "samples" / name):
            yield int(found[1]), f"samples/{int(found[2])}", "image", f"samples/{name}"


def _is_whole_png(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            start = file.read(len(_PNG_START))
            file.seek(-len(_PNG_END), 2)
            return start == _PNG_START and file.read() == _PNG_END
    except OSError:
        return False
