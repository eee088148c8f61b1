"""The contract of `runner.trackers.base.Tracker` as tests. Subclass `TrackerContract`:

class TestMyTracker(TrackerContract):
    plugin = MyTracker

    def read(self, target):
        return {tag: [(point.step, point.time, point.value) …]}
"""

from __future__ import annotations

import math
import struct
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import pytest

from runner.core.conformance import protocol_faults
from runner.store.records import Record
from runner.trackers.base import Scalar, Target, TrackedImage, TrackedRun, Tracker

START = 1_780_000_000.0
TAGS = ("train/loss", "train/lr", 'bbox/AP/50% "open"/缺陷 [#1]')
WAIT_S = 15.0
"""The longest that anything may take: a server that does not answer is an error, not a reason to wait."""

Points = Mapping[str, Sequence[tuple[int, float, float]]]
"""Tag to (step, seconds since 1970, value), in the order in which the viewer shows them."""


def records(first: int, last: int, *, attempt: int = 1, sign: float = 1.0) -> list[Record]:
    """Return a record every 10 steps, both ends included."""
    return [
        Record(attempt, step, step / 100, START + step + 1000 * attempt, {tag: sign * (index + 1 / step) for index, tag in enumerate(TAGS)})
        for step in range(first, last + 1, 10)
    ]


def png(path: Path, grey: int) -> Path:
    """Write a PNG of 48 × 32 pixels."""
    rows = b"".join(b"\0" + bytes([grey]) * 48 for _ in range(32))
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", struct.pack(">IIBBBBB", 48, 32, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    path.write_bytes(data)
    return path


class TrackerContract:
    """Contract suite of trackers."""

    plugin: ClassVar[type[Tracker]]

    def read(self, target: Target) -> Points:
        """Return the scalars that the viewer shows of a run, read by the viewer's own means."""
        raise NotImplementedError

    def read_images(self, target: Target) -> Mapping[str, Sequence[int]] | None:
        """Return tag to the steps of the images that the viewer shows of a run; None: it shows none."""
        raise NotImplementedError

    def shown_tag(self, tag: str) -> str:
        """Return how the viewer shows a tag, where it cannot show it as it is."""
        return tag

    @pytest.fixture
    def target(self, tmp_path: Path) -> Iterator[Target]:
        """Return the place of a run; a tracker that writes to a server starts one here and names it in `Target.server`."""
        yield Target(tmp_path / "my 'sweep'" / "0001-lr=0.02, 'é' #1", "run", "0001-lr=0.02 1234abcd", "my 'sweep'")

    @pytest.fixture
    def unusable(self, tmp_path: Path) -> Target:
        """Return a place that nothing can be written to."""
        (tmp_path / "a file").write_text("in the way")
        return Target(tmp_path / "a file" / "log", "run", "gone", "")

    @pytest.fixture
    def tracker(self) -> Iterator[Tracker]:
        """Make a tracker that is not open yet."""
        tracker = self.plugin()
        yield tracker
        tracker.close()

    def assert_shows(self, target: Target, wanted: Sequence[Record]) -> None:
        """Check that the viewer shows just these records, each once."""
        found, points = self.read(target), dict[str, list[tuple[int, float, float]]]()
        for record in wanted:
            for tag, value in record.values.items():
                points.setdefault(self.shown_tag(tag), []).append((record.step, record.time, value))
        assert set(found) == set(points)
        for tag, expected in points.items():
            assert [step for step, _, _ in found[tag]] == [step for step, _, _ in expected], tag
            for (_, when, value), (_, wanted_when, wanted_value) in zip(found[tag], expected, strict=True):
                assert when == pytest.approx(wanted_when, abs=0.001)
                assert value == pytest.approx(wanted_value, rel=1e-6, nan_ok=True)

    def test_the_facts_are_declared(self) -> None:
        assert list(protocol_faults(self.plugin, Tracker)) == []
        assert self.plugin.requirement
        for package in self.plugin.packages:
            metadata.version(package)

    def test_a_history_is_shown(self, tracker: Tracker, target: Target) -> None:
        tracker.open(target, TrackedRun("run", records(10, 60)))
        self.assert_shows(target, records(10, 60))

    def test_what_is_written_is_shown_while_it_is_open(self, tracker: Tracker, target: Target) -> None:
        tracker.open(target, TrackedRun("run"))
        for record in records(10, 60):
            tracker.write(record)
        deadline = time.monotonic() + WAIT_S
        while not any(len(points) == 6 for points in self.read(target).values()) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assert_shows(target, records(10, 60))

    def test_opening_again_changes_nothing(self, target: Target) -> None:
        for _ in range(3):
            tracker = self.plugin()
            tracker.open(target, TrackedRun("run", records(10, 60)))
            tracker.close()
        self.assert_shows(target, records(10, 60))

    def test_after_a_resume_no_step_is_shown_twice(self, target: Target) -> None:
        first = self.plugin()
        first.open(target, TrackedRun("run", records(10, 140)))
        first.close()
        second = self.plugin()
        second.open(target, TrackedRun("run", records(10, 100)))
        for record in records(110, 160, attempt=2, sign=-1.0):
            second.write(record)
        second.close()
        self.assert_shows(target, [*records(10, 100), *records(110, 160, attempt=2, sign=-1.0)])

    def test_after_a_kill_the_next_attempt_puts_it_right(self, target: Target) -> None:
        killed = self.plugin()
        killed.open(target, TrackedRun("run", records(10, 50)))
        killed.write(records(60, 60)[0])  # and is never closed
        tracker = self.plugin()
        tracker.open(target, TrackedRun("run", records(10, 50)))
        tracker.close()
        self.assert_shows(target, records(10, 50))
        killed.close()

    def test_runs_beside_one_another_are_kept_apart(self, target: Target) -> None:
        other = replace(target, folder=target.folder.with_name("0002-other"), owner="0123456789ab", run="0002-other 5678")
        one, two = self.plugin(), self.plugin()
        one.open(target, TrackedRun("one"))
        two.open(other, TrackedRun("two"))
        for mine, others in zip(records(10, 60), records(20, 70, sign=-1.0), strict=True):
            one.write(mine)
            two.write(others)
        one.close()
        two.close()
        self.assert_shows(target, records(10, 60))
        self.assert_shows(other, records(20, 70, sign=-1.0))

    def test_files_of_others_are_left_alone(self, tracker: Tracker, target: Target) -> None:
        target.folder.mkdir(parents=True)
        (target.folder / "notes.txt").write_text("mine")
        tracker.open(target, TrackedRun("run", records(10, 20)))
        tracker.close()
        assert (target.folder / "notes.txt").read_text() == "mine"

    def test_numbers_that_are_not_finite_are_kept(self, tracker: Tracker, target: Target) -> None:
        odd = Record(1, 10, 0.1, START, {"train/loss": math.nan, "a": math.inf, "b": -math.inf, "c": 1e30})
        tracker.open(target, TrackedRun("run"))
        tracker.write(odd)
        tracker.close()
        self.assert_shows(target, [odd])

    def test_hyper_parameters_of_every_kind(self, tracker: Tracker, target: Target) -> None:
        tracker.open(target, TrackedRun("run", records(10, 20)))
        params: dict[str, Scalar] = {"lr": 0.1, "n": 3, "big": 1 << 80, "flag": True, "name": "ü", "a.b[0].c": "x", "nan": math.nan}
        tracker.hparams(params, {})
        tracker.hparams(params, {"bbox/AP": 0.5, "bbox/AP50": math.nan})
        tracker.close()
        found = self.read(target)
        assert {self.shown_tag(tag) for tag in TAGS} <= set(found)

    def test_images(self, tracker: Tracker, target: Target, tmp_path: Path) -> None:
        first = png(tmp_path / "first.png", 10)
        tracker.open(target, TrackedRun("run", records(10, 20), (TrackedImage("samples/0", 20, first),)))
        later = png(tmp_path / "later.png", 200)
        tracker.image("samples/0", 40, later)
        later.unlink()  # it was read before the call returned
        tracker.close()
        found = self.read_images(target)
        assert found is None or {tag: list(steps) for tag, steps in found.items()} == {"samples/0": [20, 40]}

    def test_closing_is_always_possible(self, tracker: Tracker, target: Target) -> None:
        tracker.close()
        tracker.open(target, TrackedRun("run"))
        tracker.close()
        tracker.close()

    def test_a_place_that_cannot_be_written_is_an_error_soon(self, tracker: Tracker, unusable: Target) -> None:
        began = time.monotonic()
        with pytest.raises(Exception):  # noqa: B017 - the caller takes any
            tracker.open(unusable, TrackedRun("run", records(10, 20)))
            for record in records(30, 60):
                tracker.write(record)
        assert time.monotonic() - began < WAIT_S
