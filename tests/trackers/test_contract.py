"""Our trackers pass the contract, read back by the viewers' own readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.testing.trackers import Points, TrackerContract
from runner.trackers import visualdl
from runner.trackers.base import Target
from runner.trackers.logfile import find_log
from runner.trackers.tensorboard import TensorBoardTracker
from runner.trackers.visualdl import VisualDLTracker


def without_finals(points: Points) -> Points:
    """Leave out what is written for the tables of hyper-parameters."""
    return {tag: found for tag, found in points.items() if not tag.startswith("final/")}


class TestTensorBoard(TrackerContract):
    plugin = TensorBoardTracker

    def events(self, folder: Path) -> Any:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
        events.Reload()
        return events

    def read(self, target: Target) -> Points:
        events = self.events(target.folder)
        return without_finals({tag: [(e.step, e.wall_time, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]})

    def read_images(self, target: Target) -> Mapping[str, Sequence[int]]:
        events = self.events(target.folder)
        return {tag: [event.step for event in events.Images(tag)] for tag in events.Tags()["images"]}


class TestVisualDL(TrackerContract):
    plugin = VisualDLTracker

    def reader(self, folder: Path) -> Any:
        from visualdl import LogReader

        log = find_log(folder, visualdl.STEM)
        assert log is not None and visualdl.is_whole(log)
        return LogReader(file_path=str(log))

    def read(self, target: Target) -> Points:
        reader = self.reader(target.folder)
        tags = reader.get_tags().get("scalar", [])
        return without_finals({tag: [(i.id, i.timestamp / 1000, i.value) for i in reader.get_data("scalar", tag)] for tag in tags})

    def read_images(self, target: Target) -> Mapping[str, Sequence[int]]:
        reader = self.reader(target.folder)
        return {tag: [image.id for image in reader.get_data("image", tag)] for tag in reader.get_tags().get("image", [])}

    def shown_tag(self, tag: str) -> str:
        return tag.replace("%", "％")
