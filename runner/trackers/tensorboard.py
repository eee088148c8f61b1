"""TensorBoard's event files, written with TensorBoard's own messages; torch is not imported."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from runner.core.files import read_bytes
from runner.store.records import Record
from runner.trackers.base import Scalar, Target, TrackedImage, TrackedRun
from runner.trackers.logfile import LogFile, LogTracker, find_log
from runner.trackers.viewer import GetJson, View, Viewer

STEM = "events.out.tfevents"


class TensorBoardViewer:
    """TensorBoard's own server."""

    languages: ClassVar[tuple[str, ...]] = ()
    page: ClassVar[str] = ""
    reads_files: ClassVar[bool] = True
    uses_werkzeug: ClassVar[bool] = True

    def command(self, view: View) -> Sequence[str]:
        """See `Viewer.command`."""
        keep = "--samples_per_plugin=scalars=10000,images=100"  # by default 10 images per tag
        at = ["--host", view.host, "--port", str(view.port)]
        return ["tensorboard.main", "--logdir", str(view.logdir), *at, "--reload_interval=5", keep]

    def answers(self, view: View, get: GetJson) -> bool:
        """See `Viewer.answers`."""
        answer = get("data/environment")
        return isinstance(answer, dict) and answer.get("data_location") == str(view.logdir)

    def can_read(self, folder: Path) -> bool:
        """See `Viewer.can_read`."""
        return find_log(folder, STEM) is not None


class TensorBoardTracker(LogTracker):
    """Scalars under their tags, samples as images, hyper-parameters for the HPARAMS page.

    That page finds metrics among the run's scalars by itself and shows the last value of each. Only a final metric
    that is not already the last value of its tag is written, as ``final/<tag>``.
    """

    packages: ClassVar[tuple[str, ...]] = ("tensorboard",)
    requirement: ClassVar[str] = ".[tensorboard]"
    automatic: ClassVar[bool] = True
    viewer: ClassVar[Viewer | None] = TensorBoardViewer()
    switch_key: ClassVar[str | None] = None
    folder_key: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__()
        self._protos: _Protos | None = None
        self._name = ""
        self._start_time = 0.0
        self._last = (0, 0.0)
        self._values: dict[str, float] = {}

    def open(self, target: Target, history: TrackedRun) -> None:
        """See `Tracker.open`."""
        self._protos = _Protos()
        self._name = history.name
        self._log = LogFile(target.folder, STEM, target.owner)
        self._log.rebuild(self._messages(history))

    def hparams(self, params: Mapping[str, Scalar], metrics: Mapping[str, float]) -> None:
        """See `Tracker.hparams`. Each run is a row of its own."""
        protos, (step, time) = self._ready(), self._last
        start = protos.hparams_pb(dict(params), trial_id=self._name, start_time_secs=self._start_time)
        data = protos.frame(wall_time=time, step=0, summary=start)
        finals = {f"final/{tag}": value for tag, value in metrics.items() if self._values.get(tag) != value}
        if finals:
            data += self._record(Record(0, step, 0.0, time, finals))
        self._append(data)

    def _messages(self, history: TrackedRun) -> Iterator[bytes]:
        # Time 0 for the head: the same history gives the same bytes, and runs are listed by name.
        yield self._ready().frame(wall_time=0.0, file_version="brain.Event:2")
        yield from self._events(history)

    def _record(self, record: Record) -> bytes:
        protos = self._ready()
        self._start_time = self._start_time or record.time
        self._last = (record.step, record.time)
        self._values.update(record.values)
        values = [protos.value(tag=tag, simple_value=value) for tag, value in record.values.items()]
        return protos.frame(wall_time=record.time, step=record.step, summary=protos.summary(value=values))

    def _sample(self, sample: TrackedImage) -> bytes:
        protos, png = self._ready(), read_bytes(sample.png)
        if len(png) < 24:
            raise ValueError(f"{sample.png} is not a PNG image")
        width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
        picture = protos.image(height=height, width=width, colorspace=3, encoded_image_string=png)
        summary = protos.summary(value=[protos.value(tag=sample.tag, image=picture)])
        return protos.frame(wall_time=sample.png.stat().st_mtime, step=sample.step, summary=summary)

    def _ready(self) -> _Protos:
        if self._protos is None:
            raise ValueError("the tracker is not open")
        return self._protos


class _Protos:
    """TensorBoard's messages and their framing, imported when the first log is opened (0.3 s)."""

    def __init__(self) -> None:
        summary = import_module("tensorboard.compat.proto.summary_pb2").Summary
        self._event: Any = import_module("tensorboard.compat.proto.event_pb2").Event
        self._writer: Any = import_module("tensorboard.summary.writer.record_writer").RecordWriter
        self.summary: Any = summary
        self.value: Any = summary.Value
        self.image: Any = summary.Image
        self.hparams_pb: Any = import_module("tensorboard.plugins.hparams.summary_v2").hparams_pb

    def frame(self, **event: Any) -> bytes:
        """Encode one event as in the file: length, checksum, message, checksum."""
        buffer = io.BytesIO()
        self._writer(buffer).write(self._event(**event).SerializeToString())
        return buffer.getvalue()
