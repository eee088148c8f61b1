"""Sending of runs' logs to a viewer's service elsewhere. Nothing leaves this machine before `send_logs`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import InputError, RunnerError, nearest
from runner.core.importing import child_environment
from runner.store.run_dir import RunDir
from runner.trackers.base import TRACKERS
from runner.trackers.viewer import SharingViewer
from runner.views.viewers.layout import build_layout
from runner.views.viewers.processes import viewer_of

_TAIL_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class SentLog:
    """A file that would be sent.

    Args:
        name: folder and name under which the service gets it; the folder is the run's name.
        size: bytes.
    """

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class LogUpload:
    """Logs that can be sent.

    Args:
        viewer: whose program sends them.
        service: address of the service.
        folder: holds a folder, or a link to one, for each of `names`.
        logs: the files that would be sent, and no others.
    """

    viewer: SharingViewer
    service: str
    folder: Path
    names: tuple[str, ...]
    logs: tuple[SentLog, ...]


@contextmanager
def prepare_upload(kind: str, runs: Sequence[RunDir]) -> Iterator[LogUpload]:
    """Collect the logs of some runs in a folder that is removed at the end; a log that a run lacks is made from its records.

    Args:
        kind: name of the tracker.

    Raises:
        InputError: it is not installed or has no service, or the logs are larger than the service takes.
    """
    names = [name for name, tracker in TRACKERS.usable() if isinstance(tracker.viewer, SharingViewer)]
    if kind not in TRACKERS:
        raise InputError(f"unknown service {kind!r}; {nearest(kind, names)}".rstrip("; "))
    viewer = viewer_of(kind)
    if not isinstance(viewer, SharingViewer):
        raise InputError(f"{kind} has no service to send logs to; those that have one: {', '.join(names) or 'none is installed'}")
    with tempfile.TemporaryDirectory(prefix=f"runner-{kind}-") as work:
        folder = Path(work)
        names = build_layout(kind, viewer, runs, folder)
        found = [(name, log) for name in names if (log := viewer.sent_log(folder / name)) is not None]
        logs = tuple(SentLog(f"{name}/{log.name}", log.stat().st_size) for name, log in found)
        if not logs:
            raise InputError("these runs have no records to send")
        if (size := sum(log.size for log in logs)) > viewer.most_sent_bytes:
            raise InputError(
                f"the logs have {size / 1e6:.1f} MB; the service takes {viewer.most_sent_bytes / 1e6:.0f} MB at once: choose fewer runs"
            )
        yield LogUpload(viewer, viewer.service(), folder, tuple(name for name, _ in found), logs)


def send_logs(upload: LogUpload) -> str:
    """Send the logs, and return the address at which they are shown.

    Raises:
        RunnerError: the viewer's program has failed; carries the end of its output.
    """
    # -P: the working folder, with runs of any name, must not be a place Python imports from.
    command = [sys.executable, "-P", "-m", *upload.viewer.send_command(upload.names)]
    done = subprocess.run(
        command,
        cwd=upload.folder,
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    output = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode != 0 or (address := upload.viewer.address_in(output)) is None:
        raise RunnerError(f"the logs were not sent to {upload.service}:\n{output[-_TAIL_CHARACTERS:] or '(it printed nothing)'}")
    return address
