"""`runner import`: logs of other programs become runs that every command reads, and none compares with runs of ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.finished import make_run
from support.logs import write_tensorboard, write_visualdl
from support.run_dirs import png_bytes

from runner.cli.main import main
from runner.core.lock import take
from runner.foreign import import_runs
from runner.store.run_dir import RunDir

LOG = "events.out.tfevents.1700000000.secrethost.1.0"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with logs of three runs, as the article has them."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("scalar3558", "scalar3558_batchsize*2", "scalar7116")):
        values = [("loss", step, step, 1 / (step + 1) + number) for step in range(100)]
        values += [("bbox-mAP", epoch, 30.0 * epoch, 0.1 * epoch + number / 100) for epoch in range(3)]
        write_tensorboard(tmp_path / "logs" / name / LOG, values)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """Output and errors of a command that ends with `code`."""
    assert main(list(arguments)) == code
    return capsys.readouterr()


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_logs_become_runs_with_curves(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(here / "logs")
    said, _ = run(capsys, "import", "logs")
    assert said.startswith("3 runs imported into runs/imported\n")
    assert "scalar3558_batchsize_2 (scalar3558_batchsize*2): 103 values of bbox-mAP, loss; steps to 99" in said
    assert tree(here / "logs") == before
    imported = here / "runs" / "imported"
    assert sorted(os.listdir(imported)) == ["scalar3558", "scalar3558_batchsize_2", "scalar7116"]
    found = RunDir(imported / "scalar3558_batchsize_2")
    records = found.records()
    assert [record.values["loss"] for record in records if "loss" in record.values] == pytest.approx(
        [1 / (step + 1) + 1 for step in range(100)]
    )
    assert [record.values["bbox-mAP"] for record in records if record.is_evaluation] == pytest.approx([0.01, 0.11, 0.21])
    identity = found.identity()
    assert identity is not None and identity.label == "scalar3558_batchsize*2" and identity.metric.name == "bbox-mAP"
    assert identity.facts["imported"] == {"from": "logs/scalar3558_batchsize*2", "format": "TensorBoard", "logs": 1}
    assert (found.status().state, found.status().step) == ("done", 99)
    everything = b"".join(tree(imported).values())
    assert b"secrethost" not in everything and os.fsencode(here) not in everything


def test_an_import_can_be_repeated(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "import", "logs")
    before = tree(here / "runs")
    said, _ = run(capsys, "import", "logs")
    assert said.startswith("nothing new: each of these was imported before\n") and said.count("; imported before") == 3
    write_tensorboard(here / "logs" / "more" / LOG, [("loss", 1, 1, 1.0)])
    said, _ = run(capsys, "import", "logs")
    assert said.startswith("1 run imported into runs/imported\n")
    assert {name: data for name, data in tree(here / "runs").items() if "more" not in name} == before


def test_nothing_is_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "import", "logs")
    (here / "runs" / "imported" / "new").mkdir()
    write_tensorboard(here / "logs" / "new" / LOG, [("loss", 1, 1, 1.0)])
    write_tensorboard(here / "logs" / "scalar7116" / LOG, [("loss", 1, 1, 1.0)])
    write_tensorboard(here / "logs" / "other" / LOG, [("loss", 1, 1, 1.0)])
    before = tree(here / "runs")
    said, wrong = run(capsys, "import", "logs", code=2)
    assert said.startswith("1 run imported")
    assert "imported/new: exists already; it is not overwritten: give another --into" in wrong
    assert "imported/scalar7116: was imported before, from logs with other content; delete it, or give another" in wrong
    assert {name: data for name, data in tree(here / "runs").items() if "other" not in name} == before


def test_tags_get_the_names_of_ours(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "import", "logs/scalar3558", "--rename", "loss=train/loss", "bbox-mAP=bbox/AP", "--into", "runs/old")
    found = RunDir(here / "runs" / "old" / "scalar3558")
    assert {tag for record in found.records() for tag in record.values} == {"train/loss", "bbox/AP"}
    assert found.primary_metric().name == "bbox/AP"
    said, _ = run(capsys, "ls", "runs/old")
    assert "imported" in said and "0.200" in said
    _, wrong = run(capsys, "import", "logs/scalar3558", "--into", "runs/old", code=2)
    assert "old/scalar3558: was imported before, with --rename loss=train/loss bbox-mAP=bbox/AP; delete it, or give another --into" in wrong
    run(capsys, "import", "logs/scalar7116", "--into", "runs/old")
    _, wrong = run(capsys, "import", "logs/scalar7116", "--rename", "loss=train/loss", "--into", "runs/old", code=2)
    assert "old/scalar7116: was imported before, without --rename; delete it, or give another --into" in wrong


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--rename", "lose=train/loss"], "--rename: no log has the tag 'lose'; did you mean 'loss'?"),
        (["--rename", "loss=bbox-mAP"], "would be named 'bbox-mAP'"),
        (["--into", "logs/scalar3558/" + LOG], "is not a folder; give another --into"),
        (["--into", "sweep/runs/x"], "sweep: is a sweep: imported runs need a folder of their own"),
        (["--into", "made/run"], "made/run: is a run"),
        (["missing"], "missing: no such folder"),
        (["logs/scalar3558/" + LOG], "is a file; give the folder that holds the logs"),
        (["made"], "made: no logs there or below; expected files named events.out.tfevents.* or vdlrecords.*"),
    ],
)
def test_wrong_requests(here: Path, capsys: pytest.CaptureFixture[str], given: list[str], said: str) -> None:
    (here / "sweep").mkdir()
    (here / "sweep" / "plan.json").touch()
    (here / "made" / "run").mkdir(parents=True)
    (here / "made" / "run" / "run.json").touch()
    before = tree(here)
    _, wrong = run(capsys, "import", "logs", *given, code=2)
    assert said in wrong and "Traceback" not in wrong
    assert tree(here) == before and not (here / "runs" / "imported").exists()


def test_folders_without_scalars_are_skipped_or_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tensorboard(here / "logs" / "nothing" / LOG, [])
    said, _ = run(capsys, "import", "logs")
    assert "skipped: logs/nothing: no scalars in its logs: nothing to import" in said and "3 runs imported" in said
    _, wrong = run(capsys, "import", "logs/nothing", "--into", "other", code=2)
    assert "no scalars in its logs" in wrong and not (here / "other").exists()


def test_damage_is_told_with_what_was_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = here / "logs" / "scalar3558" / LOG
    log.write_bytes(log.read_bytes()[:-5])
    text = here / "logs" / "scalar3558" / "events.out.tfevents.2700000000"
    text.write_text("This is not a log, although it is named like one.", encoding="utf-8")
    broken = here / "logs" / "broken" / "vdlrecords.1.log"
    broken.parent.mkdir()
    broken.write_bytes(b"\x1f\x8b" + bytes(100))
    os.mkfifo(here / "logs" / "scalar7116" / "vdlrecords.fifo.log")
    said, wrong = run(capsys, "import", "logs", code=2)
    assert "scalar3558: 102 values" in said
    assert "log 1 of 2: 41 bytes of an unfinished record at the end of the log: not imported" in said
    assert "log 2 of 2: is not a TensorBoard log: the checksum of a record's length is wrong" in said
    assert "log 2 of 2: cannot be read: a FIFO, expected a regular file" in said
    assert "vdlrecords.1.log: is not a VisualDL log: it is compressed; unpack it first" in wrong
    identity = RunDir(here / "runs" / "imported" / "scalar3558").identity()
    assert identity is not None and len(identity.facts["imported"]["lost"]) == 2
    assert not (here / "runs" / "imported" / "broken").exists()


def test_a_restart_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_visualdl(here / "vdl" / "vdlrecords.1.log", [("loss", step, step, 1.0) for step in range(10)])
    write_visualdl(here / "vdl" / "vdlrecords.2.log", [("loss", step, 100 + step, 2.0) for step in range(5, 12)])
    said, _ = run(capsys, "import", "vdl")
    assert "vdl: 12 values of loss; steps to 11\n    1 restart at an earlier step: 5 values superseded" in said
    assert RunDir(here / "runs" / "imported" / "vdl").status().attempt == 2


def test_an_interrupted_import_leaves_nothing(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made = import_runs.make_history
    calls = iter([made, made])

    def interrupted(logs: Any) -> Any:
        if (make := next(calls, None)) is None:
            raise KeyboardInterrupt
        return make(logs)

    monkeypatch.setattr(import_runs, "make_history", interrupted)
    run(capsys, "import", "logs", code=130)
    assert not (here / "runs" / "imported").exists()


def test_a_killed_import_leaves_no_run_and_the_next_removes_its_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = [("loss", step, step / 10, 1.0) for step in range(30_000)]
    for number in range(4):
        write_tensorboard(here / "logs" / f"long{number}" / LOG, values)
    command = [sys.executable, "-m", "runner", "import", "logs"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, cwd=here, stdout=subprocess.DEVNULL, env=environment) as process:
        end = time.monotonic() + 60
        while not list(here.glob("runs/imported/.import-*/*")) and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert list(here.glob("runs/imported/.import-*"))
    assert not list(here.rglob("run.json"))
    living = here / "runs" / "imported" / ".import-living"
    living.mkdir()
    lock = take(living / ".lock")
    subprocess.run([*command[:-1], "logs/scalar3558"], cwd=here, stdout=subprocess.DEVNULL, check=True, env=environment)
    assert list(here.glob("runs/imported/.import-*")) == [living]
    lock.release()
    run(capsys, "import", "logs/scalar7116")
    assert not list(here.glob("runs/imported/.import-*"))


def test_a_full_disk_imports_nothing(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunDir, "write_status", full)
    _, wrong = run(capsys, "import", "logs", code=2)
    assert "runs/imported: cannot be written: No space left on device; nothing was imported" in wrong
    assert not (here / "runs" / "imported").exists()


def test_imported_runs_are_not_compared_with_ours(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, ap in enumerate((0.40, 0.42, 0.41)):
        make_run(here / "runs" / "s", 0, seed, ap=ap)
        make_run(here / "runs" / "s", 1, seed, label="batch_size=16", ap=ap + 0.05, batch_size=16)
    alone, _ = run(capsys, "compare", "runs/s", "--format", "json")
    run(capsys, "import", "logs", "--rename", "bbox-mAP=bbox/AP")
    found = json.loads(run(capsys, "compare", "runs/imported", "runs/s", "--format", "json")[0])
    (note,) = [each for each in found["notes"] if each["id"] == "imported"]
    assert note["text"].startswith("3 imported runs left out (scalar3558, scalar3558_batchsize*2, scalar7116): trained")
    assert found["trials"] == json.loads(alone)["trials"]
    _, wrong = run(capsys, "compare", "runs/imported", code=2)
    assert "imported runs only" in wrong


@pytest.mark.parametrize("name", [".", None])
def test_settings_are_facts_of_their_run(here: Path, capsys: pytest.CaptureFixture[str], name: str | None) -> None:
    """Without a name, torch puts them into a folder of the writer's, whose name is the time."""
    writer_module = pytest.importorskip("torch.utils.tensorboard")
    writer = writer_module.SummaryWriter(str(here / "hp"))
    writer.add_scalar("loss", 1.0, 1)
    writer.add_hparams({"lr": float("nan"), "opt": "sgd"}, {"hparam/ap": 0.5}, run_name=name)
    writer.close()
    said, _ = run(capsys, "import", "hp")
    assert said.startswith("1 run imported") and "hp: 2 values of hparam/ap, loss; steps to 1" in said
    identity = RunDir(here / "runs" / "imported" / "hp").identity()
    assert identity is not None and identity.facts["imported"]["settings"] == {"lr": "NaN", "opt": "sgd"}
    assert identity.facts["imported"]["logs"] == 2


def test_several_sets_of_settings_are_several_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("hp", "hp/1795949717.9798589", "hp/1795949718.5"):
        write_tensorboard(here / name / LOG, [("loss", 1, 1, 1.0)])
    said, _ = run(capsys, "import", "hp")
    assert said.startswith("3 runs imported")
    assert "2 of these were written by add_hparams below one log: each is a run, as on TensorBoard's HPARAMS page" in said


@pytest.mark.parametrize("command", [["train", "-r"], ["train", "--from"], ["resume"], ["eval"], ["predict"]])
def test_an_imported_run_can_be_seen_alone(here: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    run(capsys, "import", "logs")
    (here / "image.png").write_bytes(png_bytes(4, 4, 0))
    before = tree(here / "runs")
    _, wrong = run(capsys, *command, "runs/imported/scalar3558", *(["image.png"] if command == ["predict"] else []), code=2)
    assert "runs/imported/scalar3558: is an imported run: it has curves alone, no config and no weights; to see them: runner dash" in wrong
    assert tree(here / "runs") == before
    assert "1 run: 1 done" in run(capsys, "status", "runs/imported/scalar3558")[0]
