"""A folder that shows a viewer each run under a readable name, whatever the runs' directories are called."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from runner.store.run_dir import RunDir
from runner.trackers.base import rebuild_log
from runner.trackers.hparams import hyper_parameters
from runner.trackers.viewer import Viewer

_MAX_BYTES = 240  # of a file name; file systems take 255
_SHOWN = {ord('"'): "”", ord("\\"): "⧵", **{code: "�" for code in (*range(32), 127)}}


def display_names(runs: Sequence[RunDir]) -> list[str]:
    """Return one name per run: its directory's; equal ones get the part in which their parents differ.

    ``a/batchsize/runs/0000-baseline-s0`` and ``a/lr/runs/0000-baseline-s0`` become ``0000-baseline-s0 (batchsize)`` and
    ``0000-baseline-s0 (lr)``. What TensorBoard cannot digest is replaced: its data server (0.7) gives no image of a run
    whose name JSON must escape, and its HPARAMS page doubles every metric where a name ends with a dot.
    """
    paths = [run.path.absolute() for run in runs]
    names: list[str] = []
    for path in paths:
        twins = {other for other in paths if other.name == path.name}
        names.append(path.name if len(twins) == 1 else f"{path.name} ({_telling_part(path, twins)})")
    return _numbered([_cut(name.translate(_SHOWN).rstrip(".") or "run") for name in names])


def build_layout(kind: str, viewer: Viewer, runs: Sequence[RunDir], folder: Path) -> list[str]:
    """Fill `folder` with one entry per run: a link to its log, so that a run in training is seen live, or a rebuilt log.

    A log is rebuilt from the run's records where the viewer cannot read one: the tracker was off, its log went to a folder of the user's,
    or it is damaged. Where the viewer reads no files, `folder` stays empty.

    Args:
        kind: name of the tracker; viewer: that tracker's.

    Returns:
        The entries' names, in the order of `runs`.

    Raises:
        ImportError: the viewer's package is not installed.
    """
    names, varied = display_names(runs), varied_keys(runs)
    for run, name in zip(runs, names, strict=True) if viewer.reads_files else ():
        own = run.tracker(kind).absolute()
        if viewer.can_read(own):
            (folder / name).symlink_to(own, target_is_directory=True)
        else:
            rebuild_log(kind, run, folder / name, hyper_parameters(run, varied))
    return names


def write_to_server(kind: str, runs: Sequence[RunDir], folder: Path, server: str) -> None:
    """Write each run to a viewer that reads no files. A run in training is shown as it is now."""
    varied = varied_keys(runs)
    for run in runs:
        rebuild_log(kind, run, folder, hyper_parameters(run, varied), server=server)


def varied_keys(runs: Sequence[RunDir]) -> list[str]:
    """Return the keys that some run overrides or some sweep of theirs varies."""
    identities = [identity for run in runs if (identity := run.identity()) is not None]
    return sorted({key for identity in identities for key in (*identity.varied, *identity.overrides)} - {"seed"})


def _telling_part(path: Path, twins: set[Path]) -> str:
    """Return the nearest parent whose name differs from all twins' at the same depth; failing that, the whole path."""
    others = [twin for twin in twins if twin != path]
    for depth in range(1, len(path.parts) - 1):
        part = path.parents[depth - 1].name
        if all(len(twin.parents) < depth or twin.parents[depth - 1].name != part for twin in others):
            return part
    return path.parent.as_posix().strip("/").replace("/", "∕")


def _cut(name: str) -> str:
    while len(os.fsencode(name)) > _MAX_BYTES:
        name = name[:-1]
    return name


def _numbered(names: list[str]) -> list[str]:
    seen: Counter[str] = Counter()
    result: list[str] = []
    for name in names:
        seen[name] += 1
        while seen[name] > 1 and (numbered := f"{name} #{seen[name]}") in names:
            seen[name] += 1
        result.append(name if seen[name] == 1 else numbered)
    return result
