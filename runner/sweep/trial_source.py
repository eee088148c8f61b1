"""Everything that a sweep's trials are resolved from, besides the values of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.backends.base import BatchSizeChoice
from runner.config.node import Node, Source
from runner.config.overrides import apply_mapping, apply_overrides, parse_override
from runner.core.errors import InputError
from runner.resolve import Resolved, resolve
from runner.search.spec import SweepSpec


@dataclass(frozen=True, slots=True)
class TrialSource:
    """The config, the changes to it that all trials share, and how it is resolved.

    Args:
        file: the sweep file.
        config: the baseline's config.
        overrides: ``KEY=VALUE`` of the command line.
        fixed: what the sweep file's `overrides` set, unless the command line overrides it.
        threads: CPU threads per run.
        make_dataset, to_run, batch_size: see `runner.resolve.resolve`.
    """

    file: Path
    config: Path
    overrides: tuple[str, ...]
    fixed: Mapping[str, Any]
    threads: int
    make_dataset: Callable[[str], None] | None = None
    to_run: bool = True
    batch_size: BatchSizeChoice | None = None

    @classmethod
    def of(
        cls,
        spec: SweepSpec,
        file: Path,
        overrides: Sequence[str],
        *,
        make_dataset: Callable[[str], None] | None,
        to_run: bool,
        batch_size: BatchSizeChoice | None = None,
    ) -> TrialSource:
        """Return what the trials of a sweep file are resolved from. Raises InputError if its `overrides` exclude each other."""
        fixed = _fixed(spec.overrides, overrides, file)
        return cls(file, spec.config_path(file), tuple(overrides), fixed, spec.resources.cpus, make_dataset, to_run, batch_size)

    def resolve(self, values: Mapping[str, Any]) -> Resolved:
        """Resolve the config with a trial's values. Raises InputError with everything that is wrong."""
        return resolve(
            self.config,
            self.overrides,
            values=values,
            fixed=self.fixed,
            values_from=str(self.file),
            threads=self.threads,
            make_dataset=self.make_dataset,
            to_run=self.to_run,
            batch_size=self.batch_size,
        )


def _fixed(fixed: Mapping[str, Any], overrides: Sequence[str], sweep_file: Path) -> dict[str, Any]:
    """Return what the sweep file's `overrides` set, unless the command line overrides it.

    Raises:
        InputError: two of them exclude each other.
    """
    source = Source(str(sweep_file))
    try:
        tree = apply_mapping(Node({}, source), fixed, source)
    except InputError as error:
        raise InputError([replace(problem, key=f"overrides.{problem.key}") for problem in error.problems]) from None
    tree = apply_overrides(tree, overrides)
    left = {key: (node.plain() if node.mapping else fixed[key]) for key in fixed if (node := tree.get(key)) is not None}
    given = dict(key_and_value(text) for text in overrides)
    return left | {key: value for key, value in given.items() if any(f"{key}.".startswith(f"{other}.") for other in fixed)}


def key_and_value(text: str) -> tuple[str, Any]:
    """Return the key and the value of ``KEY=VALUE``. Raises InputError if it is not of this form."""
    key, node = parse_override(text)
    return key, node.plain()
