"""The part `run`, its log and its images, on whole and on hostile run directories."""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.finished import START, make_run
from support.run_dirs import png_bytes

from runner.core.errors import InputError
from runner.store.events import RunEnded, RunRetried, RunStarted, event_to_json
from runner.store.media import MediaWriter
from runner.store.records import Record, RecordWriter
from runner.store.run_dir import RunDir, Status
from runner.views.page.data import SnapshotData
from runner.views.page.part import PartAnswer, ask
from runner.views.page.parts.image import draw_anew
from runner.views.page.parts.run import RunPart
from runner.views.page.run_files import clean_line
from runner.views.renderers.base import Report

BATCH: dict[str, Any] = {"label": "batch_size=16", "batch_size": 16, "overrides": {"TrainReader.batch_size": 16}}
SWEEP_FILE = "config: c.yml\nvary:\n  TrainReader.batch_size: [16]\n"


def no_report(paths: Sequence[Path]) -> Report:
    raise InputError("none is needed here")


def page(*roots: Path) -> SnapshotData:
    return SnapshotData(roots, no_report)


def view(sweep: Path, name: str, **query: str) -> dict[str, Any]:
    data = page(sweep)
    run = next(run.id for run in data.runs().values() if run.result.path.name == name)
    answer: dict[str, Any] = json.loads(ask(data, "run", {"id": run, **query}).body)
    return answer


def image(sweep: Path, identifier: str) -> PartAnswer:
    return ask(page(sweep), "image", {"id": identifier})


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    sweep = tmp_path / "our sweep"
    make_run(sweep, 0, 0, facts={"packages": {"torch": "2.1"}, "host": "gpu-box", "code": {"commit": "a" * 40, "diff": ""}})
    make_run(sweep, 0, 1)
    make_run(
        sweep, 1, 1, **BATCH,
        facts={"packages": {"torch": "2.2"}, "host": "gpu-box", "command": ["/opt/x/runner"], "code": {"commit": "a" * 40, "diff": "+1"}},
    )  # fmt: skip
    (sweep / "sweep.yml").write_text(SWEEP_FILE)
    return sweep


def log_of(sweep: Path) -> Path:
    return sweep / "runs" / "0001-batch_size=16-s1" / "worker.log"


NAME = "0001-batch_size=16-s1"


# --------------------------------------------------------------------------------------------------------- what is shown
def test_the_config_is_a_difference_to_the_baselines_run_with_the_same_seed(sweep: Path) -> None:
    shown = view(sweep, NAME)
    assert shown["baseline"] == "r1"  # seed 1
    assert shown["config"] == [{"key": "TrainReader.batch_size", "value": "16", "baseline": "8", "source": "sweep.yml:3"}]
    whole = view(sweep, NAME, config="whole")["config"]
    assert len(whole) == shown["keys"]
    assert {"key": "LearningRate.base_lr", "value": "0.002", "baseline": "0.002", "source": "config.yml:11"} in whole
    assert {row["key"]: row["source"] for row in whole}["LearningRate.schedulers.0.name"] == "config.yml:13"


def test_another_trial_can_stand_in_for_the_baseline(sweep: Path) -> None:
    other = view(sweep, "0000-baseline-s1", base="t1")
    assert [(row["key"], row["value"], row["baseline"]) for row in other["config"]] == [("TrainReader.batch_size", "8", "16")]
    assert view(sweep, "0000-baseline-s1")["baseline"] is None
    with pytest.raises(InputError, match="no trial 't9'"):
        view(sweep, NAME, base="t9")


def test_facts_are_compared_and_name_neither_machine_nor_place(sweep: Path) -> None:
    data = page(sweep)
    body = ask(data, "run", {"id": "r2", "base": "t0"}).body.decode()
    facts = {row["name"]: row for row in json.loads(body)["environment"]}
    assert facts["packages.torch"]["value"] == "2.2" and facts["packages.torch"]["differs"]
    assert facts["code"]["value"].startswith("aaaaaaaaaaaa + changes")
    assert "gpu-box" not in body and "/opt" not in body and str(sweep.parent) not in body


def test_attempts_come_from_records_and_journal(sweep: Path) -> None:
    run = RunDir(log_of(sweep).parent)
    run.metrics.unlink()
    writer = RecordWriter(run.metrics)
    for record in (
        Record(1, 0, 0.0, START, resumed=True), Record(1, 40, 0.0, START + 9, {"train/loss": 1.0}),
        Record(2, 20, 0.0, START + 20, resumed=True), Record(2, 300, 0.0, START + 60, {"train/loss": 0.5}),
    ):  # fmt: skip
        writer.write(record)
    writer.close()
    run.write_status(Status(state="done", attempt=2, step=300, steps=300, heartbeat=START + 61))
    events = [
        RunStarted(NAME, 1, 1, "k", 1, time=START - 2),
        RunRetried("0000-baseline-s0", 0, "of another run", time=START + 5),
        RunRetried(NAME, 1, f"killed by SIGKILL; log: {run.log}", time=START + 10),
        RunStarted(NAME, 1, 1, "k", 2, time=START + 18),
        RunEnded(NAME, 1, 1, "k", "done", time=START + 61),
    ]
    (sweep / "journal.jsonl").write_text("torn {\n" + "".join(json.dumps(event_to_json(event)) + "\n" for event in events))
    first, second = view(sweep, NAME)["attempts"]
    assert (first["started"], first["first_step"], first["last_step"], first["end"]) == (START - 2, 0, 40, "retried")
    assert first["reason"] == "killed by SIGKILL; log: …/worker.log"
    assert (second["first_step"], second["last_step"], second["end"]) == (20, 300, "done")


def test_a_run_by_itself_has_attempts_from_its_records_and_no_sweep(sweep: Path) -> None:
    shown = json.loads(ask(page(log_of(sweep).parent), "run", {"id": "r0"}).body)
    assert [(row["number"], row["end"]) for row in shown["attempts"]] == [(1, "done")]
    assert not any("retry" in command["purpose"] for command in shown["commands"])


def test_commands_fit_the_state_and_name_paths_from_here(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(sweep, 2, 0, label="x=1", state="failed", reason="out of memory")
    make_run(sweep, 3, 0, label="x=2", state="pending")
    monkeypatch.chdir(sweep.parent)
    commands = {command["purpose"]: command["command"] for command in view(sweep, "0002-x=1-s0")["commands"]}
    assert commands["retry"] == "runner retry 'our sweep' --failed"
    assert commands["resume"] == "runner resume 'our sweep'"
    assert commands["eval"] == "runner eval 'our sweep/runs/0002-x=1-s0' --pictures pictures"
    assert {command["purpose"] for command in view(sweep, "0003-x=2-s0")["commands"]} == {"resume"}


def test_viewers_are_those_whose_tracker_logged_the_run(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sweep.parent)
    config = log_of(sweep).parent / "config.yml"
    config.write_text(config.read_text() + "trackers: [visualdl, not-installed, tensorboard]\n")
    found = {row["viewer"]: row["command"] for row in view(sweep, NAME)["commands"] if row["purpose"] == "viewer"}
    assert found == {name: f"runner dashboard 'our sweep/runs/{NAME}' --with {name}" for name in ("visualdl", "tensorboard")}


def test_what_is_wrong_with_a_run_has_a_command(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sweep.parent)
    run = log_of(sweep).parent
    (run / "eval.json").unlink()
    (run.parent / "0000-baseline-s0" / "run.json").write_bytes(b"{")
    for name in (NAME, "0000-baseline-s0"):
        assert {"purpose": "verify", "command": "runner verify 'our sweep'", "viewer": ""} in view(sweep, name)["commands"]


def test_a_frozen_file_holds_each_run_and_the_logs_of_those_that_failed(sweep: Path) -> None:
    make_run(sweep, 2, 0, label="x=1", state="failed", reason="out of memory")
    queries = list(RunPart().frozen(page(sweep), {}))
    assert queries == [
        {"id": "r0"},
        {"id": "r0", "config": "whole"},
        {"id": "r1"},
        {"id": "r2"},
        {"id": "r3"},
        {"id": "r3", "log": "500"},
    ]


def test_queries_that_are_not_understood_say_so(sweep: Path) -> None:
    for query, message in (
        ({"id": "r99"}, "no run 'r99'"), ({}, "expected a run's id"), ({"id": "r0", "log": "x"}, "expected a number of lines"),
        ({"id": "r0", "log": "0"}, "from 1 to"), ({"id": "r0", "config": "some"}, "expected diff or whole"), ({"id": "../x"}, "no run"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            ask(page(sweep), "run", query)


# ----------------------------------------------------------------------------------------------------------- hostile files
def test_a_damaged_config_is_a_problem_of_its_own(sweep: Path) -> None:
    (log_of(sweep).parent / "config.yml").write_text("a: [1\n")
    shown = view(sweep, NAME)
    assert shown["config"] == [] and "invalid YAML" in shown["config_problem"] and str(sweep) not in json.dumps(shown)


def test_the_log_loses_colours_control_characters_and_overwritten_progress_but_keeps_its_text(sweep: Path) -> None:
    lines = [
        "\x1b[31mred\x1b[0m <script>window.pwn=1</script>",
        "10 %\r50 %\r100 %\r",
        "\x1b]0;title\x07a\u202eb\x00c\u2028d",
        "x" * 5000,
        f"at {sweep}/runs",
    ]
    log_of(sweep).write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n")
    shown = view(sweep, NAME, log="500")
    assert shown["lines"] == ["red <script>window.pwn=1</script>", "100 %", "abcd", "x" * 4000 + "…", "at …/runs", "��"]
    assert not shown["cut"] and not shown["problem"]


def test_unfinished_escapes_take_no_text_with_them() -> None:
    assert clean_line("a\x1b[") == "a"
    assert clean_line("\x1b[1;31mE\x1b[K: no") == "E: no"
    assert clean_line("\x9b31mred") == "31mred"


def test_of_a_huge_log_only_the_end_is_read(sweep: Path) -> None:
    with log_of(sweep).open("wb") as file:
        file.seek(1 << 33)
        file.write(b"\n" + b"".join(b"line %d\n" % number for number in range(1000)))
    shown = view(sweep, NAME, log="3")
    assert shown["lines"] == ["line 997", "line 998", "line 999"]
    assert shown["cut"] and shown["size"] > 1 << 33


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "missing", "device link"])
def test_a_log_that_is_no_file_is_not_read(sweep: Path, kind: str) -> None:
    secret = sweep.parent / "secret.txt"
    secret.write_text("password\n")
    log = log_of(sweep)
    match kind:
        case "link":
            log.symlink_to(secret)
        case "folder":
            log.mkdir()
        case "fifo":
            os.mkfifo(log)
        case "device link":
            log.symlink_to("/dev/zero")
    shown = view(sweep, NAME, log="500")
    assert shown["lines"] == []
    assert bool(shown["problem"]) == (kind != "missing")


def test_no_part_of_a_path_may_be_a_link(sweep: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    log_of(sweep).write_text("mine\n")
    data = page(sweep)
    log_of(sweep).parent.rename(elsewhere)
    log_of(sweep).parent.symlink_to(elsewhere)  # swapped after the run was found
    answer = json.loads(ask(data, "run", {"id": "r2", "log": "5"}).body)
    assert answer["lines"] == [] and answer["problem"]


def test_linked_files_and_folders_are_listed_without_a_size(sweep: Path) -> None:
    run = log_of(sweep).parent
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.pt").write_bytes(b"x" * 10)
    (run / "media").mkdir()
    (run / "media" / "a.png").write_bytes(b"x" * 7)
    (run / "big.bin").symlink_to("/dev/zero")
    (run / "etc").symlink_to("/etc")
    files = {file["name"]: file for file in view(sweep, NAME)["files"]}
    assert files["checkpoints/last.pt"]["size"] == 10
    assert (files["media/"]["size"], files["media/"]["files"]) == (7, 1)
    assert files["big.bin"] == {"name": "big.bin", "size": 0, "files": 1, "link": True}
    assert files["etc"]["link"] and "etc/" not in files


# ----------------------------------------------------------------------------------------------------------------- images
def add_image(sweep: Path, data: bytes, suffix: str = ".png") -> str:
    writer = MediaWriter(log_of(sweep).parent)
    writer.add("image", "samples/0", data, suffix=suffix, step=10)
    writer.close()
    (row,) = view(sweep, NAME)["media"]
    identifier: str = row["id"]
    return identifier


def test_an_image_is_drawn_anew_without_what_came_with_it(sweep: Path) -> None:
    data = png_bytes(8, 4, 77)
    comment = b"tEXtsecret\0<script>"
    chunk = struct.pack(">I", len(comment) - 4) + comment + struct.pack(">I", zlib.crc32(comment))
    identifier = add_image(sweep, data[:33] + chunk + data[33:] + b"<script>alert(1)</script>")
    assert "/" not in identifier and str(sweep) not in identifier
    answer = image(sweep, identifier)
    assert answer.media == "image/png" and b"script" not in answer.body
    drawn = Image.open(io.BytesIO(answer.body))
    assert drawn.size == (8, 4) and drawn.convert("L").getpixel((0, 0)) == 77


def test_a_photo_stays_a_photo() -> None:
    photo = io.BytesIO()
    Image.new("CMYK", (16, 16)).save(photo, "JPEG")
    assert draw_anew(photo.getvalue()).media == "image/jpeg"


@pytest.mark.parametrize(
    "data",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', b"<html><script>alert(1)</script>", b"", b"\x89PNG\r\n\x1a\n",
        png_bytes(8, 8, 1)[:50], b"GIF89a" + b"\0" * 50, b"%!PS-Adobe EPSF",
    ],
)  # fmt: skip
def test_what_is_no_image_is_not_passed_on(sweep: Path, data: bytes) -> None:
    with pytest.raises(InputError, match="not an image that can be shown"):
        image(sweep, add_image(sweep, data))


@pytest.mark.parametrize("side", [8_000, 11_000, 31_623])
def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(sweep: Path, side: int) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = png_bytes(1, 1, 0)
    bomb = data[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    with pytest.raises(InputError, match="pixels"):
        image(sweep, add_image(sweep, bomb))


def test_images_behind_links_and_foreign_ids_are_not_found(sweep: Path) -> None:
    identifier = add_image(sweep, png_bytes(8, 8, 1))
    file = next((log_of(sweep).parent / "media").iterdir())
    outside = sweep.parent / "outside.png"
    file.rename(outside)
    file.symlink_to(outside)
    for wrong in (identifier, "r2-000000000000", "r9-000000000000", "", "../../x", "r2"):
        with pytest.raises(InputError, match="no image"):
            image(sweep, wrong)
