"""Videos: frames with their times, and what is said of a file that is none or ends too early."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runner.core.errors import InputError
from runner.data.video import Video, VideoWriter


def write_video(file: Path, frames: int = 30, frames_per_s: float = 10) -> Path:
    """Grey frames, each lighter than the one before."""
    writer = VideoWriter(file, frames_per_s)
    for number in range(frames):
        writer.write(np.full((48, 64, 3), 4 * number, dtype=np.uint8))
    assert not file.exists()
    writer.close(keep=True)
    return file


@pytest.mark.parametrize("name", ["clip ü.mp4", "clip.avi"])
def test_frames_have_numbers_and_times(tmp_path: Path, name: str) -> None:
    with Video(write_video(tmp_path / name), every=4) as video:
        frames = list(video.frames())
        assert video.count == len(frames) == 8
    assert [(frame.number, frame.time_s) for frame in frames] == [(4 * n, pytest.approx(0.4 * n)) for n in range(8)]
    assert np.diff([frame.pixels.mean() for frame in frames]) == pytest.approx([16] * 7, abs=5)  # the codec rounds
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi"])
def test_what_is_no_video_is_one_message(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / name
    for content in (b"", b"not a video" * 100):
        file.write_bytes(content)
        with pytest.raises(InputError, match="is no video that OpenCV can read"):
            Video(file)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        Video(tmp_path / "none.mp4")
    assert capfd.readouterr().err == ""


def test_a_video_that_ends_too_early(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = write_video(tmp_path / "clip.avi", 60)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    seen = []
    with pytest.raises(InputError, match=r"clip\.avi: ends after \d+ of its 60 frames"), Video(file) as video:
        seen.extend(video.frames())
    assert 10 < len(seen) < 60
    file = write_video(tmp_path / "clip.mp4", 60)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match="is no video that OpenCV can read"):
        Video(file)
    assert capfd.readouterr().err == ""
