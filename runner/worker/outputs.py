"""Outputs of an attempt for readers: records, images, and the logs of trackers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.store.media import MediaWriter
from runner.store.records import Record, RecordWriter
from runner.store.run_dir import RunDir
from runner.trackers.base import TrackerSet, log_folders


class Outputs:
    """Writers of metrics.jsonl and media.jsonl, and the trackers that follow them."""

    def __init__(self, run_dir: RunDir) -> None:
        self._run_dir = run_dir
        self._records = RecordWriter(run_dir.metrics)
        self._media = MediaWriter(run_dir.path)
        self._trackers: TrackerSet | None = None

    def resume(self, mark: Record, config: Any) -> None:
        """Write the mark that an attempt begins with; open the trackers of `config`, which are rebuilt from the valid records."""
        self._records.write(mark)
        self._media.resume(mark.step)
        if config.trackers:
            self._trackers = TrackerSet(config.trackers, self._run_dir, log_folders(config))

    def write(self, record: Record) -> None:
        """Append a record."""
        self._records.write(record)
        if self._trackers is not None:
            self._trackers.write(record)

    def image(self, tag: str, png: bytes, step: int, epoch: float) -> None:
        """Keep an image (the bytes of a PNG file) and list it."""
        path = self._media.add("image", tag, png, suffix=".png", step=step, epoch=epoch)
        if self._trackers is not None:
            self._trackers.image(tag, step, path)

    def close(self, hyper_parameters: tuple[Mapping[str, Any], Mapping[str, float]] | None) -> None:
        """Close all files; the trackers get the run's hyperparameters and final metrics if it is done."""
        if self._trackers is not None:
            if hyper_parameters is not None:
                self._trackers.hparams(*hyper_parameters)
            self._trackers.close()
        self._records.close()
        self._media.close()
