"""Bad input: exit code 2, one message that says where, nothing overwritten."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
WriteConfig = Callable[..., Path]


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def refused(cli_here: Cli, tmp_path: Path) -> Callable[..., str]:
    """Runs a command that must be refused, and looks that it left everything as it was."""

    def run(*arguments: str | Path) -> str:
        before = files_of(tmp_path)
        message: str = cli_here(*arguments).refused()
        assert files_of(tmp_path) == before
        return message

    return run


@pytest.mark.parametrize(
    ("content", "where", "words"),
    [
        (None, "", "does not exist"),
        ("", "bad.yml: ", "empty file"),
        ("# nothing\n", "bad.yml: ", "empty file"),
        ("architecture: FCOS\nFCOS:\n\tbackbone: ResNet\n", "bad.yml:3: ", "a tab in the indentation"),
        ("architecture: FCOS\nFCOS:\n  backbone: ResNet\n neck: FPN\n", "bad.yml:4: ", "indentation"),
        ("a: 1\nrun: !!python/object/apply:os.system ['touch pwned']\n", "bad.yml:2: ", "never code"),
        ("a: !!python/name:os.system\n", "bad.yml:1: ", "never code"),
        ("- a\n", "bad.yml: ", "expected a mapping"),
        ("_BASE_: bad.yml\n", "", "_BASE_ includes itself"),
        ("_BASE_: nowhere.yml\n", "bad.yml:1: ", "does not exist"),
        ("x: " + "[" * 100_000 + "\n", "bad.yml:1: ", "nested"),
        ("architecture: TTFNet\nlog_smooth_window: 20\n", "bad.yml:1: architecture: ", "is not translated"),
    ],
)
@pytest.mark.parametrize("command", ["train", "config check"])
def test_a_config_that_is_none(
    refused: Callable[..., str], tmp_path: Path, command: str, content: str | None, where: str, words: str
) -> None:
    if content is not None:
        (tmp_path / "bad.yml").write_text(content)
    message = refused(*command.split(), "-c", "bad.yml")
    assert where in message and words in message, message


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("TrainReader.batchsize=2", ["TrainReader.batchsize", "unknown key", "did you mean 'batch_size'?"]),
        ("no_such_key=1", ["no_such_key", "unknown key"]),
        ("architecture=YOLOv3", ["architecture", "'YOLOv3'", "allowed: FCOS"]),
        ("TrainReader.sample_transforms.1={RandomFlop: {}}", ["TrainReader.sample_transforms.1", "did you mean 'RandomFlip'"]),
        ("OptimizerBuilder.optimizer.type=Adamm", ["OptimizerBuilder.optimizer", "did you mean 'Adam'"]),
        ("TrainReader.batch_size=two", ["TrainReader.batch_size", "expected an integer (at least 1), got 'two'"]),
        ("TrainReader.batch_size=-2", ["TrainReader.batch_size", "got -2"]),
        ("TrainReader.batch_size=1.5", ["TrainReader.batch_size", "got 1.5"]),
        ("num_classes=3", ["num_classes", "has 2: short, open circuit"]),
        ("LearningRate.base_lr=.nan", ["LearningRate.base_lr", "got nan"]),
        ("TrainDataset.dataset_dir=nowhere", ["TrainDataset", "nowhere/train.json"]),
        ("TrainDataset.image_dir=imagse", ["TrainDataset.image_dir", "imagse", "did you mean 'images'?"]),
        ("TrainDataset.anno_path=tarin.json", ["TrainDataset.anno_path", "did you mean 'train.json'"]),
        ("dataset=pcb", ["pcb"]),
        ("pretrain_weights=nowhere.pth", ["pretrain_weights", "nowhere.pth"]),
        ("pretrain_weights=https://host/w.pdparams", ["pretrain_weights", "runner weights fetch https://host/w.pdparams"]),
        ("pretrain_weights=w.pdparams", ["pretrain_weights", "file w.pdparams does not exist"]),
        ("just_a_word", ["expected KEY=VALUE"]),
        ("max_iters=[", ["invalid YAML"]),
        ("FCOS.backbone.depth=18", ["FCOS.backbone is 'ResNet'", "did you mean ResNet.depth?"]),
    ],
)
def test_values_that_cannot_be(refused: Callable[..., str], write_config: WriteConfig, override: str, words: list[str]) -> None:
    message = refused("train", "-c", write_config(), "-o", override)
    assert all(word in message for word in words), message


def test_values_in_the_file_name_their_line(refused: Callable[..., str], write_config: WriteConfig) -> None:
    path = write_config(max_iters="many", log_iter=0)
    lines = path.read_text().splitlines()
    message = refused("train", "-c", path)
    assert message.startswith("runner: 2 problems\n")
    for text in ("max_iters: many", "log_iter: 0"):
        assert f"tiny.yml:{lines.index(text) + 1}: {text.partition(':')[0]}: expected" in message


@pytest.mark.parametrize(
    "arguments", [["-o", "a=1"], ["-c", "tiny.yml", "--use_vdl=perhaps"], ["-c", "tiny.yml", "--no-such-option"], ["-c"]]
)
def test_a_command_line_that_makes_no_sense(cli: Cli, write_config: WriteConfig, arguments: list[str]) -> None:
    write_config()
    result = cli("train", *arguments)
    assert result.code == 2 and "Traceback" not in result.err and result.out == ""


def test_bytes_that_are_no_text(cli: Cli, write_config: WriteConfig) -> None:
    assert "not UTF-8" in cli("train", "-c", write_config(), "-o", os.fsdecode(b"save_dir=\xff")).refused()


# ---------------------------------------------------------------------------------------------------------- the data
@pytest.fixture
def broken(coco: Path, tmp_path: Path) -> Path:
    """A copy of the data set to be damaged."""
    return Path(shutil.copytree(coco, tmp_path / "a 'broken' set"))


def test_an_annotation_file_cut_off(refused: Callable[..., str], write_config: WriteConfig, broken: Path) -> None:
    data = (broken / "train.json").read_bytes()
    (broken / "train.json").write_bytes(data[: len(data) // 2])
    message = refused("train", "-c", write_config(data=broken))
    assert "train.json" in message and "cut off" in message and "byte" in message


def test_an_image_that_is_missing(refused: Callable[..., str], write_config: WriteConfig, broken: Path) -> None:
    (broken / "images" / "board 03 ü.png").unlink()
    message = refused("train", "-c", write_config(data=broken))
    assert "board 03 ü.png" in message and "missing" in message


def test_boxes_of_an_unknown_class(refused: Callable[..., str], write_config: WriteConfig, broken: Path) -> None:
    document = json.loads((broken / "val.json").read_text())
    document["annotations"][0]["category_id"] = 99
    (broken / "val.json").write_text(json.dumps(document))
    assert "99" in refused("train", "-c", write_config(data=broken))


@pytest.mark.parametrize("command", [("train",), ("config", "check")])
def test_a_val_file_that_cannot_be_evaluated_is_refused_before_training(
    refused: Callable[..., str], write_config: WriteConfig, broken: Path, command: tuple[str, ...]
) -> None:
    document = json.loads((broken / "val.json").read_text())
    document["annotations"][0]["bbox"] = [30, 24, -20, -16]
    document["annotations"][1]["area"] = "85"
    (broken / "val.json").write_text(json.dumps(document))
    assert "1 of 6 annotations have an area that is not a number" in refused(*command, "-c", write_config(data=broken))
    document["annotations"][1]["area"] = 85
    (broken / "val.json").write_text(json.dumps(document))
    assert "1 of 6 annotations have a bbox that is not" in refused(*command, "-c", write_config(data=broken))


def test_an_image_of_another_size_than_annotated_is_refused_before_training(
    refused: Callable[..., str], write_config: WriteConfig, broken: Path
) -> None:
    document = json.loads((broken / "train.json").read_text())
    document["images"][3]["width"] = 48
    (broken / "train.json").write_text(json.dumps(document))
    message = refused("train", "-c", write_config(data=broken))
    assert "board 03 ü.png is 64 x 64 pixels, annotated as 48 x 64" in message


def test_what_is_noted_about_boxes(cli: Cli, write_config: WriteConfig, broken: Path) -> None:
    document = json.loads((broken / "train.json").read_text())
    document["annotations"][0]["bbox"] = [-0.5, 24, 20, 16]
    (broken / "train.json").write_text(json.dumps(document))
    result = cli("config", "check", "-c", write_config(data=broken))
    assert result.code == 0 and "note: 1 boxes in " in result.out and "extend up to 1 pixel beyond their image, e.g. board 00" in result.out


@pytest.mark.slow
def test_an_image_cut_off_is_found_by_training(cli: Cli, write_config: WriteConfig, broken: Path, tmp_path: Path) -> None:
    image = broken / "images" / "board 03 ü.png"
    image.write_bytes(image.read_bytes()[:90])
    result = cli("train", "-c", write_config(data=broken, max_iters=12), "--run-dir", "a run")
    assert result.code == 2 and "Traceback" not in result.err, result.err
    lines = [line for line in result.err.splitlines() if line.startswith("runner: ")]
    assert len(lines) == 1 and "board 03 ü.png" in lines[0] and "worker.log" in lines[0], result.err
    status = json.loads((tmp_path / "a run" / "status.json").read_text())
    assert status["state"] == "failed" and "board 03 ü.png" in status["reason"]


# -------------------------------------------------------------------------------------------------- the run directory
def test_a_run_name_that_exists(refused: Callable[..., str], write_config: WriteConfig, trained: Any, tmp_path: Path) -> None:
    shutil.copytree(trained.run, tmp_path / "a run")
    message = refused("train", "-c", write_config(), "--run-dir", "a run")
    assert "already holds a run" in message and "runner resume" in message


def test_a_folder_with_something_else(refused: Callable[..., str], write_config: WriteConfig, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "main.tex").write_text("mine")
    assert "exists and is not empty" in refused("train", "-c", write_config(), "--run-dir", "thesis")


@pytest.mark.parametrize("run_dir", ["a file", "a file/below", "x" * 300, "/proc/nowhere/run", "/dev/null/run"])
def test_a_run_directory_that_cannot_be_written(
    refused: Callable[..., str], write_config: WriteConfig, tmp_path: Path, run_dir: str
) -> None:
    (tmp_path / "a file").write_text("mine")
    message = refused("train", "-c", write_config(), "--run-dir", run_dir)
    assert "cannot be written" in message or "the path is too long" in message


def test_a_save_dir_that_cannot_be_written(refused: Callable[..., str], write_config: WriteConfig, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("mine")
    assert "cannot be written" in refused("train", "-c", write_config())


def test_a_sweep_directory_that_cannot_be_written(refused: Callable[..., str], write_config: WriteConfig, tmp_path: Path) -> None:
    write_config()
    (tmp_path / "s.yml").write_text("config: tiny.yml\nvary: {max_iters: [8]}\n")
    (tmp_path / "runs").write_text("mine")
    assert "runs: --dir: is not a directory" in refused("sweep", "s.yml")
    assert "runs: --dir: is not a directory" in refused("sweep", "s.yml", "--dry-run", "--dir", "runs/mine")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(refused: Callable[..., str], write_config: WriteConfig, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "cannot be written" in refused("train", "-c", write_config(), "--run-dir", "locked/run")


def test_resuming_what_is_no_run(refused: Callable[..., str], write_config: WriteConfig, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "not a run directory" in refused("train", "-r", "empty")
    assert "not a run directory" in refused("train", "-r", "nowhere")
    assert "not a run directory" in refused("train", "-r", write_config())


def test_resuming_a_damaged_run(refused: Callable[..., str], trained: Any, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained.run, tmp_path / "run"))
    (run / "run.json").write_text("{")
    assert "run.json is missing or damaged" in refused("train", "-r", "run")
    shutil.copy(trained.run / "run.json", run / "run.json")
    (run / "config.yml").write_text("")
    assert "config.yml: empty file" in refused("train", "-r", "run")


def test_resuming_with_another_config(refused: Callable[..., str], trained: Any, tmp_path: Path) -> None:
    shutil.copytree(trained.run, tmp_path / "run")
    assert "differs from this run's in LearningRate.base_lr" in refused("train", "-r", "run", "-o", "LearningRate.base_lr=0.5")


# --------------------------------------------------------------------------------------------------- other commands
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eval"], "expected either a run"),
        (["eval", "nowhere"], "not a run directory"),
        (["eval", "nowhere", "-c", "tiny.yml"], "expected either a run"),
        (["eval", "-c", "tiny.yml"], "weights: not set"),
        (["eval", "-c", "tiny.yml", "-o", "weights=nowhere.pt"], "nowhere.pt"),
        (["predict", "nowhere", "tiny.yml"], "not a run directory"),
        (["sweep", "nowhere.yml"], "does not exist"),
        (["sweep", "tiny.yml"], "tiny.yml: this is a config; run: runner train -c tiny.yml"),
        (["train", "-c", "sweeps/batchsize.yml"], "batchsize.yml: is a sweep file; run: runner sweep sweeps/batchsize.yml"),
        (["predict", "nowhere", "tiny.yml", "."], ".: has no image directly in it"),
        (["sweep", "tiny.yml", "--set", "seeds"], "expected KEY=VALUE"),
        (["compare", "nowhere"], "nowhere"),
        (["ls", "nowhere"], "nowhere"),
        (["dashboard", "nowhere"], "nowhere: no such directory; `runner ls` lists the runs; a sweep makes its directory when it starts"),
        (["config", "diff", "tiny.yml", "nowhere.yml"], "does not exist"),
        (["data", "prepare", "nothing"], "unknown data set 'nothing'"),
        (["data", "check", "pcb"], "runner data prepare pcb"),
        (["data", "stats", "pcb"], "runner data prepare pcb"),
        (["data", "prepare", "pcb", "--source", "nowhere"], "nowhere"),
    ],
    ids=" ".join,
)
def test_other_commands(refused: Callable[..., str], write_config: WriteConfig, arguments: list[str], words: str) -> None:
    write_config()
    assert words in refused(*arguments)


@pytest.mark.parametrize("threshold", ["-0.1", "30", "nan", "high"])
def test_a_threshold_that_no_score_can_have(capsys: pytest.CaptureFixture[str], threshold: str) -> None:
    from runner.cli.main import main

    with pytest.raises(SystemExit) as stopped:
        main(["predict", "run", "a.png", f"--score-threshold={threshold}"])
    assert stopped.value.code == 2 and "expected a number from 0 to 1, got" in capsys.readouterr().err


def test_without_a_command_the_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from runner.cli.main import main

    assert main([]) == 2
    found = capsys.readouterr()
    assert found.out == "" and "usage: runner" in found.err and "sweep" in found.err


@pytest.mark.slow
def test_a_checkpoint_of_another_model(refused: Callable[..., str], trained: Any, write_config: WriteConfig, tmp_path: Path) -> None:
    shutil.copy(trained.run / "checkpoints" / "last.pt", tmp_path / "other ü.pt")
    wider = write_config("wide.yml", FPN={"out_channel": 32, "spatial_scales": [0.25, 0.125], "extra_stage": 0})
    wider.write_text(wider.read_text().replace("feat_in: 16", "feat_in: 32"))
    message = refused("eval", "-c", wider, "-o", "weights=other ü.pt")
    assert "other ü.pt is a checkpoint of another model" in message and "out_channel: 16" in message, message


@pytest.mark.parametrize("part", ["cut off", "a text", "empty", "a folder"])
def test_a_checkpoint_that_is_none(
    trained: Any, write_config: WriteConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    from runner.cli.main import main  # in this process, so that torch is loaded once for all of them

    weights = tmp_path / f"{part}.pt"
    if part == "a folder":
        weights.mkdir()
    else:
        data = (trained.run / "checkpoints" / "last.pt").read_bytes()
        weights.write_bytes({"cut off": data[: len(data) // 2], "a text": b"not weights", "empty": b""}[part])
    assert main(["eval", "-c", str(write_config()), "-o", f"weights='{weights}'"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("runner: ") and weights.name in err and err.count("\n") == 1 and out == ""
