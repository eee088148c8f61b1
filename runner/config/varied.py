"""Keys that a run varies, of all that it was given: its directory is named for them, and lists of runs show them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from runner.config.stand_ins import STAND_INS
from runner.core.values import format_value, keys_overlap, short_keys

_WHERE: Final = frozenset(
    {"backend", "backend_python", "use_gpu", "cpu_threads", "processes", "dataset", "num_classes", "pretrain_weights", "seed"}
)
"""Keys that say where and on what a run is trained; the seed has a place of its own."""
_DATA: Final = frozenset({"TrainDataset", "EvalDataset", "TestDataset"})


def varied(overrides: Mapping[str, Any], config: Collection[str], trial_keys: Collection[str]) -> dict[str, Any]:
    """Return those of `overrides` that say what a run tries: not its place, its data set, its paths, and no neutral key.

    Args:
        config: dotted keys of the resolved config.
        trial_keys: those of them that identify a trial (see `runner.store.run_dir.Identity`).
    """

    def is_varied(key: str, value: Any) -> bool:
        if key in STAND_INS:  # neutral itself, because the keys that it sets are not
            return True
        if key in _WHERE or key.partition(".")[0] in _DATA or (isinstance(value, str) and "/" in value):
            return False
        is_known = any(keys_overlap(key, other) for other in config)
        return not is_known or any(keys_overlap(key, other) for other in trial_keys)

    return {key: value for key, value in overrides.items() if is_varied(key, value)}


def varied_text(changes: Mapping[str, Any]) -> str:
    """Return ``batch_size=8, max_iters=400``; empty for no changes."""
    names = short_keys(changes)
    return ", ".join(f"{names[key]}={format_value(value)}" for key, value in changes.items())
