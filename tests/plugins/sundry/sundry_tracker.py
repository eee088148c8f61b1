"""A tracker that writes to a server: `sundry_board`, at the address in SUNDRY_BOARD or the one that `runner dashboard` starts."""

from __future__ import annotations

import base64
import json
import os
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from runner.store.records import Record
from runner.trackers.base import Scalar, Target, TrackedImage, TrackedRun
from runner.trackers.viewer import GetJson, View, Viewer

TIMEOUT_S = 5.0
VARIABLE = "SUNDRY_BOARD"


class BoardViewer:
    """The server, started for a look at runs."""

    languages: ClassVar[tuple[str, ...]] = ("en",)
    page: ClassVar[str] = "runs"
    reads_files: ClassVar[bool] = False
    uses_werkzeug: ClassVar[bool] = False

    def command(self, view: View) -> Sequence[str]:
        """Return the server's command."""
        return ["sundry_board", view.host, str(view.port)]

    def answers(self, view: View, get: GetJson) -> bool:
        """Ask for its runs."""
        return isinstance(get(""), list)

    def can_read(self, folder: Path) -> bool:
        """It reads no files."""
        return False


class BoardTracker:
    """Scalars, images and hyper-parameters of a run, at the server."""

    packages: ClassVar[tuple[str, ...]] = ("sundry",)
    requirement: ClassVar[str] = "sundry"
    automatic: ClassVar[bool] = False
    viewer: ClassVar[Viewer | None] = BoardViewer()
    switch_key: ClassVar[str | None] = None
    folder_key: ClassVar[str | None] = None

    def __init__(self) -> None:
        self.url = ""

    def open(self, target: Target, history: TrackedRun) -> None:
        """Put the whole history in the place of what the server has of this run."""
        server = target.server or os.environ.get(VARIABLE, "")
        if not server:
            raise ValueError(f"no server: set {VARIABLE} to its address")
        self.url = f"{server.rstrip('/')}/runs/{quote(target.run, safe='')}"
        events = [image_event(event) if isinstance(event, TrackedImage) else record_event(event) for event in history.events()]
        self.send("PUT", {"name": history.name, "sweep": target.sweep, "events": events})

    def write(self, record: Record) -> None:
        """Send a record."""
        self.send("POST", record_event(record))

    def image(self, tag: str, step: int, png: Path) -> None:
        """Send an image."""
        self.send("POST", image_event(TrackedImage(tag, step, png)))

    def hparams(self, params: Mapping[str, Scalar], metrics: Mapping[str, float]) -> None:
        """Send hyper-parameters."""
        self.send("POST", {"params": dict(params), "metrics": dict(metrics)})

    def close(self) -> None:
        """Nothing is pending."""

    def send(self, method: str, data: Any) -> None:
        """Send JSON to the run's place."""
        if not self.url:
            raise ValueError("the tracker is not open")
        request = urllib.request.Request(self.url, json.dumps(data).encode(), method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=TIMEOUT_S):
            pass


def record_event(record: Record) -> dict[str, Any]:
    """Return a record as the server takes it."""
    return {"step": record.step, "time": record.time, "values": dict(record.values)}


def image_event(sample: TrackedImage) -> dict[str, Any]:
    """Return an image as the server takes it."""
    return {"step": sample.step, "tag": sample.tag, "png": base64.b64encode(sample.png.read_bytes()).decode()}
