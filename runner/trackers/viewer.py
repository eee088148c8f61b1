"""Protocol of the program that shows a tracker's logs as a page on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

GetJson = Callable[[str], Any]
"""From a path below the viewer's page to the JSON there; None where there is none, or nothing answers."""


@dataclass(frozen=True, slots=True)
class View:
    """Logs to show, and the address to show them at.

    Args:
        logdir: a folder with one entry per run, a link to its log or a log of its own; empty where the viewer reads no files.
        names: the entries' names, in the order of the runs.
        host, port: the loopback address to serve.
        language: one of `Viewer.languages`.
    """

    logdir: Path
    names: tuple[str, ...]
    host: str
    port: int
    language: str

    @property
    def address(self) -> str:
        """URL of the server, with a slash at its end."""
        return f"http://{self.host}:{self.port}/"


class Viewer(Protocol):
    """A viewer's program, declared by its tracker. It is started on this machine only, and ended with the command that started it."""

    languages: ClassVar[tuple[str, ...]]
    """Languages its page can be asked for (``en``, ``zh``), the default first; empty: one page for all."""

    page: ClassVar[str]
    """Path of its page below its address; empty: the address itself."""

    reads_files: ClassVar[bool]
    """True: it is started on a folder of logs. False: once it answers, each run is written to it by its tracker, which finds its address
    in `Target.server`."""

    uses_werkzeug: ClassVar[bool]
    """True: its requests pass werkzeug, where those of web pages elsewhere are refused (`runner.views.viewers.loopback`). False: it has to
    refuse them itself, or holds nothing that a page elsewhere may not read."""

    def command(self, view: View) -> Sequence[str]:
        """Return the module to start and its arguments, as after ``python -m``. It works in `View.logdir`, sends nothing home, and ends
        with a text that says "in use" where the port is taken."""

    def answers(self, view: View, get: GetJson) -> bool:
        """Return whether this viewer answers, and not another program that has the port: it has to know the folder or the runs."""

    def can_read(self, folder: Path) -> bool:
        """Return whether `folder` holds a log that it can show as it is; else the log is rebuilt from the run's records."""


@runtime_checkable
class SharingViewer(Viewer, Protocol):
    """A viewer whose program also sends logs to a service elsewhere, where others see them."""

    most_sent_bytes: ClassVar[int]
    """Size in bytes of all logs together that the service takes at once."""

    service_terms: ClassVar[str]
    """Its other limits, in a few words."""

    def service(self) -> str:
        """Return the address of the service, as the viewer's own settings have it."""

    def sent_log(self, folder: Path) -> Path | None:
        """Return the file of a run's log in `folder` that would be sent; None if there is none."""

    def send_command(self, names: Sequence[str]) -> Sequence[str]:
        """Return the module that sends the logs of some folders, and its arguments, as after ``python -m``. It works in the folder that
        holds them."""

    def address_in(self, output: str) -> str | None:
        """Return the address of the logs at the service from what the command has printed; None where it has failed."""
