"""VisualDL's log files, written with VisualDL's own messages.

Only the module that holds them is loaded: ``import visualdl`` takes 0.6 s, brings in cv2, pandas and requests, and
makes a folder in the user's home.
"""

from __future__ import annotations

import importlib.util
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from runner.core.errors import how_to_install
from runner.core.files import open_regular, read_bytes, read_json
from runner.store.records import Record
from runner.trackers.base import Scalar, Target, TrackedImage, TrackedRun
from runner.trackers.logfile import LogFile, LogTracker, find_log
from runner.trackers.viewer import GetJson, View, Viewer

STEM = "vdlrecords"
_INT64 = 1 << 63
_KEPT_SCALARS = 1000
_ADDRESS = re.compile(r"results at: `(\S+://[^`\s]+)`")
_NO_PATHS = str.maketrans(".[]", "·()")


class VisualDLViewer:
    """VisualDL's own server."""

    languages: ClassVar[tuple[str, ...]] = ("en", "zh")
    page: ClassVar[str] = "app/"
    reads_files: ClassVar[bool] = True
    uses_werkzeug: ClassVar[bool] = True
    most_sent_bytes: ClassVar[int] = 100_000_000
    service_terms: ClassVar[str] = "one upload in five minutes"

    def command(self, view: View) -> Sequence[str]:
        """See `Viewer.command`."""
        folders = _folders(view.names)
        options = ["--language", view.language, "--disable-telemetry", "--cache-timeout", "5"]
        return ["visualdl.server.app", "--logdir", *folders, "--host", view.host, "--port", str(view.port), *options]

    def answers(self, view: View, get: GetJson) -> bool:
        """See `Viewer.answers`."""
        answer = get("api/runs")
        shown = answer.get("data") if isinstance(answer, dict) else None
        return isinstance(shown, list) and {str(name).removeprefix("./") for name in shown} == set(view.names)

    def can_read(self, folder: Path) -> bool:
        """See `Viewer.can_read`. One torn message keeps VisualDL from starting, on any of its runs."""
        log = find_log(folder, STEM)
        return log is not None and is_whole(log)

    def service(self) -> str:
        """See `SharingViewer.service`."""
        settings = _load_file("utils/dir.py")
        try:
            server = read_json(Path(settings.CONFIG_PATH))["server_url"]
        except (OSError, ValueError, KeyError, TypeError):
            server = settings.VDL_SERVER
        return str(server)

    def sent_log(self, folder: Path) -> Path | None:
        """See `SharingViewer.sent_log`. VisualDL sends the last one by name."""
        return find_log(folder, STEM)

    def send_command(self, names: Sequence[str]) -> Sequence[str]:
        """See `SharingViewer.send_command`."""
        return ["visualdl.server.app", "service", "upload", "--logdir", *_folders(names)]

    def address_in(self, output: str) -> str | None:
        """See `SharingViewer.address_in`. It ends with status 0 also where it has failed, and then names no address."""
        found = _ADDRESS.search(output)
        return found[1] if found else None


class VisualDLTracker(LogTracker):
    """Scalars under their tags, samples as images, hyper-parameters with final metrics.

    Names are changed where VisualDL would lose them: it uses ``%`` inside tags for itself, so a class ``50% short`` is
    shown with a full-width ``％``; its table of hyper-parameters takes ``a.b`` and ``a[0]`` for paths and leaves such
    columns empty, so they are shown as ``a·b`` and ``a(0)``.

    A VisualDL that was started before a killed run was resumed shows the run's steps twice until it is started again:
    it cannot take back what it has read.

    The table shows a metric's last scalar. A metric whose last scalar is not the final value, or may not be kept
    (VisualDL keeps 1,000 a tag), or whose name the table cannot show, is written once more as ``final/<tag>``.
    """

    packages: ClassVar[tuple[str, ...]] = ("visualdl",)
    requirement: ClassVar[str] = ".[visualdl]"
    automatic: ClassVar[bool] = True
    viewer: ClassVar[Viewer | None] = VisualDLViewer()
    switch_key: ClassVar[str | None] = "use_vdl"
    folder_key: ClassVar[str | None] = "vdl_log_dir"

    def __init__(self) -> None:
        super().__init__()
        self._proto: Any = None
        self._name = ""
        self._last = (0, 0)
        self._values: dict[str, float] = {}
        self._counts: Counter[str] = Counter()

    def open(self, target: Target, history: TrackedRun) -> None:
        """See `Tracker.open`."""
        self._proto = _load_messages()
        self._name = history.name
        self._log = LogFile(target.folder, STEM, target.owner, keep_name=True)
        self._log.rebuild(self._messages(history))

    def hparams(self, params: Mapping[str, Scalar], metrics: Mapping[str, float]) -> None:
        """See `Tracker.hparams`. VisualDL goes by a log's first mention, so one without metrics is not written."""
        if not metrics:
            return
        info = self._proto.HParam.HparamInfo
        step, time_ms = self._last
        shown = {tag: tag if self._shows(tag, value) else f"final/{_column(tag)}" for tag, value in metrics.items()}
        finals = {shown[tag]: value for tag, value in metrics.items() if shown[tag] != tag}
        hparam = self._proto.HParam(
            name=self._name,
            hparamInfos=[info(name=_column(key), **_typed(value)) for key, value in params.items()],
            metricInfos=[info(name=name, float_value=0.0) for name in shown.values()],
        )
        # The scalars go first: VisualDL looks them up as soon as it meets their names.
        data = b"".join(self._frame(id=step, tag=tag, timestamp=time_ms, value=value) for tag, value in finals.items())
        self._append(data + self._frame(id=1, tag="hparam", timestamp=time_ms, hparam=hparam))

    def _shows(self, tag: str, value: float) -> bool:
        """Return whether the table will show `value` if it is pointed to the scalars of `tag`."""
        return self._values.get(tag) == value and self._counts[tag] <= _KEPT_SCALARS and tag == _column(tag)

    def _messages(self, history: TrackedRun) -> Iterator[bytes]:
        # No display name: two runs of one name in one viewer would hide each other; it shows the folder's path instead.
        yield self._frame(id=0, tag="meta_data_tag", timestamp=0, meta_data=self._proto.MetaData())
        yield from self._events(history)

    def _record(self, record: Record) -> bytes:
        time_ms = round(record.time * 1000)
        self._last = (record.step, time_ms)
        self._values.update(record.values)
        self._counts.update(record.values.keys())
        return b"".join(self._frame(id=record.step, tag=_tag(tag), timestamp=time_ms, value=value) for tag, value in record.values.items())

    def _sample(self, sample: TrackedImage) -> bytes:
        picture = self._proto.Image(encoded_image_string=read_bytes(sample.png))
        time_ms = round(sample.png.stat().st_mtime * 1000)
        return self._frame(id=sample.step, tag=_tag(sample.tag), timestamp=time_ms, image=picture)

    def _frame(self, **value: Any) -> bytes:
        """Encode one value as in the file: length (uint64, little-endian), then a message with this value alone."""
        data: bytes = self._proto(values=[self._proto.Value(**value)]).SerializeToString()
        return struct.pack("<Q", len(data)) + data


def is_whole(path: Path) -> bool:
    """Return whether the log ends with a whole message."""
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            position = 0
            while position < size:
                file.seek(position)
                head = file.read(8)
                if len(head) < 8:
                    return False
                position += 8 + int(struct.unpack("<Q", head)[0])
            return position == size
    except OSError:
        return False


def _tag(tag: str) -> str:
    return tag.replace("%", "％")


def _column(name: str) -> str:
    return _tag(name).translate(_NO_PATHS)


def _typed(value: Scalar) -> dict[str, Scalar]:
    if isinstance(value, bool):
        return {"string_value": "true" if value else "false"}
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return {"int_value": value}
    if isinstance(value, float):
        return {"float_value": value}
    return {"string_value": str(value)}


def _folders(names: Sequence[str]) -> list[str]:
    """Return folders as arguments. VisualDL calls the runs as they are given here; "./-x" keeps a dash from being read as an option."""
    return [f"./{name}" if name.startswith("-") else name for name in names]


def _load_messages() -> Any:
    """VisualDL's `Record` message, without the rest of the package. Raises ImportError, see `_load_file`."""
    return _load_file("proto/record_pb2.py").Record


def _load_file(name: str) -> Any:
    """Load one module of VisualDL, without the rest of the package.

    Raises:
        ImportError: visualdl is not installed, or is a version without this file.
    """
    package = importlib.util.find_spec("visualdl")
    if package is None or not package.submodule_search_locations:
        raise ImportError(f"visualdl is not installed: {how_to_install(VisualDLTracker.requirement)}")
    path = Path(package.submodule_search_locations[0]) / name
    spec = importlib.util.spec_from_file_location(f"_runner_visualdl_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"this version of visualdl has no {path}; 2.5.3 is known to work")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
