"""media.jsonl: what readers get after whatever happened to the writer, and that no name leads out of the run directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.run_dirs import png_bytes

from runner.store.media import MediaWriter, is_media_line, read_media

TAGS = ["samples/0", "samples_0", "Samples/0", "../../up", "/etc/passwd", ".hidden", "a b", "類/é", "x" * 400, "a/../b", "nul\0", ""]


def seen(run: Path) -> list[tuple[int, str]]:
    return [(medium.step, medium.tag) for medium in read_media(run)]


def test_each_tag_has_a_file_of_its_own_below_media(tmp_path: Path) -> None:
    writer = MediaWriter(tmp_path)
    paths = [writer.add("text", tag, tag.encode(), suffix=".txt", step=7, epoch=0.5) for tag in TAGS]
    writer.close()
    assert len({str(path).lower() for path in paths}) == len(TAGS) and {path.parent for path in paths} == {tmp_path / "media"}
    found = read_media(tmp_path)
    assert sorted(medium.tag for medium in found) == sorted(TAGS)
    for medium in found:
        assert (medium.step, medium.epoch, medium.kind) == (7, 0.5, "text")
        assert (tmp_path / medium.file).read_bytes() == medium.tag.encode()


def test_a_resume_supersedes_what_was_made_later(tmp_path: Path) -> None:
    writer = MediaWriter(tmp_path)
    for step in (10, 20, 30):
        writer.add("image", "a", b"first", suffix=".png", step=step)
    writer.close()
    writer = MediaWriter(tmp_path)
    writer.resume(10)
    assert seen(tmp_path) == [(10, "a")] and len(list((tmp_path / "media").iterdir())) == 1
    again = writer.add("image", "a", b"second", suffix=".png", step=20)
    writer.add("image", "a", b"third", suffix=".png", step=20)
    writer.close()
    assert seen(tmp_path) == [(10, "a"), (20, "a")] and again.read_bytes() == b"third"


def test_a_run_without_media_gets_no_index(tmp_path: Path) -> None:
    writer = MediaWriter(tmp_path)
    writer.resume(0)
    writer.close()
    assert list(tmp_path.iterdir()) == [] and read_media(tmp_path) == [] and read_media(tmp_path / "nowhere") == []


def test_the_index_cut_at_every_byte_is_read(tmp_path: Path) -> None:
    writer = MediaWriter(tmp_path)
    for step in range(1, 4):
        writer.add("image", "é", b"x", suffix=".png", step=step)
    writer.close()
    index = tmp_path / "media.jsonl"
    data = index.read_bytes()
    assert all(map(is_media_line, data.splitlines()))
    for cut in range(len(data)):
        index.write_bytes(data[:cut])
        assert [step for step, _ in seen(tmp_path)] == list(range(1, 4))[: data[:cut].count(b"}")]
    index.write_bytes(data[:-5])
    writer = MediaWriter(tmp_path)
    writer.add("image", "é", b"x", suffix=".png", step=9)
    writer.close()
    assert [step for step, _ in seen(tmp_path)] == [1, 2, 9]


@pytest.mark.parametrize(
    "file", ["../secret", "/etc/hostname", "media/../../secret", "media//a", "", ".", "media/link", "out/secret", "media/gone", "a\\..\\b"]
)
def test_no_line_leads_out_of_the_run(tmp_path: Path, file: str) -> None:
    run = tmp_path / "run"
    (run / "media").mkdir(parents=True)
    (tmp_path / "secret").write_text("s")
    (run / "media" / "link").symlink_to(tmp_path / "secret")
    (run / "out").symlink_to(tmp_path)
    line = {"step": 1, "epoch": None, "tag": "a", "kind": "text", "file": file}
    (run / "media.jsonl").write_text(json.dumps(line) + "\n")
    assert read_media(run) == []


@pytest.mark.parametrize("file", ["config.yml", "run.json", "metrics.jsonl", "checkpoints/last.pt", "media", "tensorboard/x"])
def test_a_line_for_another_file_of_the_run_deletes_nothing(tmp_path: Path, file: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    (tmp_path / "media.jsonl").write_text(json.dumps({"step": 10, "epoch": None, "tag": "a", "kind": "text", "file": file}) + "\n")
    assert read_media(tmp_path) == []
    writer = MediaWriter(tmp_path)
    writer.resume(1)
    writer.close()
    assert path.read_text() == "mine"


@pytest.mark.parametrize("change", [{"kind": "program"}, {"step": -1}, {"step": 1.5}, {"tag": 3}, {"epoch": "x"}, {"file": 7}])
def test_other_lines_are_no_media(tmp_path: Path, change: dict[str, object]) -> None:
    line = {"step": 1, "epoch": 0.5, "tag": "a", "kind": "text", "file": "media/a"}
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a").touch()
    assert is_media_line(json.dumps(line).encode()) and not is_media_line(json.dumps(line | change).encode())
    (tmp_path / "media.jsonl").write_text(json.dumps(line | change) + "\n" + json.dumps(line | {"step": 2}) + "\n")
    assert seen(tmp_path) == [(2, "a")]


def test_pictures_of_version_0_1_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    folder.mkdir()
    for name in ("0000010-0.png", "0000010-1.png", "0000020-0.png", "notes.png"):
        (folder / name).write_bytes(png_bytes(8, 8, 1))
    (folder / "0000020-1.png").write_bytes(png_bytes(8, 8, 1)[:-3])  # cut off by a kill
    assert seen(tmp_path) == [(10, "samples/0"), (10, "samples/1"), (20, "samples/0")]
    writer = MediaWriter(tmp_path)
    writer.resume(10)
    writer.add("image", "samples/0", png_bytes(8, 8, 2), suffix=".png", step=20)
    writer.close()
    assert [medium.file for medium in read_media(tmp_path)] == [
        "samples/0000010-0.png",
        "samples/0000010-1.png",
        "media/samples_0-00000020.png",
    ]
