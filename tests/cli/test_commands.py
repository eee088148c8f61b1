"""The commands on a run that was trained: what they print, and what they leave alone."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import runner
from runner.cli.main import build_parser
from runner.config.load import parse
from runner.config.node import Source

Cli = Callable[..., Any]
WriteConfig = Callable[..., Path]


# -------------------------------------------------------------------------------------------------------------- config
def test_show_prints_the_resolved_config(cli_here: Cli, write_config: WriteConfig, tmp_path: Path) -> None:
    text = cli_here("config", "show", "-c", write_config(), "-o", "max_iters=9", "-o", "LearningRate.schedulers.0.gamma=0.5").fine()
    (tmp_path / "resolved.yml").write_text(text)
    assert cli_here("config", "diff", "tiny.yml", "resolved.yml").fine().splitlines() == [
        "max_iters: 4 → 9",
        "LearningRate.schedulers.0.gamma: [0.1] → 0.5",
    ]
    data = json.loads(cli_here("config", "show", "-c", "tiny.yml", "--format", "json").fine())
    assert data["max_iters"] == 4 and data["LearningRate"]["schedulers"][0]["name"] == "PiecewiseDecay"
    assert "auto" not in text


def test_check_and_show_list_what_a_run_would_also_need(cli_here: Cli, write_config: WriteConfig, tmp_path: Path) -> None:
    path = write_config(data=tmp_path / "gone", pretrain_weights="gone.pth")
    checked, shown = (cli_here("config", action, "-c", path) for action in ("check", "show"))
    lines = checked.fine().splitlines()
    assert lines[-1].endswith("tiny.yml: valid, 1 warning")
    block = lines[lines.index("a run would also need:") : -1]
    for word in ("gone/train.json", "gone/val.json", "gone/images", "gone.pth"):
        assert any(word in line for line in block[1:])
    assert shown.err.splitlines()[-len(block) :] == block
    (tmp_path / "again.yml").write_text(shown.fine())
    assert cli_here("config", "show", "-c", "again.yml").fine() == shown.out
    assert "gone/images" in cli_here("train", "-c", path).refused()


def test_check_show_and_train_tell_of_a_schedule_that_does_not_end(cli_here: Cli, write_config: WriteConfig) -> None:
    schedulers = [{"name": "CosineDecay"}, {"name": "LinearWarmup", "steps": 2}]
    path = write_config(LearningRate={"base_lr": 0.01, "schedulers": schedulers}, EvalReader=evaluated_at(40))
    fine = cli_here("config", "check", "-c", path, "-o", "EvalReader.sample_transforms.1.Resize.target_size=48").fine()
    assert "warning" not in fine
    assert cli_here("config", "show", "-c", path).err == "length of training: 4 iterations = 0.67 epochs of 12 images\n"
    out = cli_here("config", "check", "-c", path, "-o", "epoch=3").fine()
    assert (
        "warning: LearningRate.schedulers.0: the cosine takes 6000 iterations = 1000 epochs of 12 images (PaddleDetection's default)" in out
    )
    assert "warning: training and evaluation differ in size: 48×48 in training, 40×40 in evaluation" in out
    assert out.endswith("tiny.yml: valid, 2 warnings\n")
    shown = cli_here("config", "show", "-c", path, "-o", "epoch=3")
    assert shown.err == "length of training: 18 iterations = 3 epochs of 12 images\n"
    assert parse(shown.out, lambda line: Source("shown", line)).plain()["epoch"] == 3


def evaluated_at(size: int) -> dict[str, Any]:
    transforms = [{"Decode": {}}, {"Resize": {"target_size": size, "keep_ratio": False}}, {"NormalizeImage": {}}, {"Permute": {}}]
    return {"sample_transforms": transforms, "batch_transforms": [{"PadBatch": {"pad_to_stride": 16}}], "batch_size": 4}


def test_diff_of_equal_configs_is_empty(cli_here: Cli, write_config: WriteConfig) -> None:
    write_config()
    write_config("other.yml")
    assert cli_here("config", "diff", "tiny.yml", "other.yml").fine() == ""


def test_check_tells_what_has_no_effect(cli_here: Cli, write_config: WriteConfig) -> None:
    out = cli_here("config", "check", "-c", write_config(MobileNetV3={"scale": 0.5})).fine()
    assert "note: " in out and "MobileNetV3 has no effect" in out and out.endswith("tiny.yml: valid, 1 warning\n")


# -------------------------------------------------------------------------------------------------------- a trained run
def test_a_run_directory_holds_everything(trained: Any) -> None:
    names = {path.name for path in trained.run.iterdir()}
    assert {
        "config.yml",
        "run.json",
        "status.json",
        "metrics.jsonl",
        "predictions.json",
        "eval.json",
        "checkpoints",
        "media.jsonl",
        "media",
        "tensorboard",
        "visualdl",
        "worker.log",
    } <= names
    assert "override.json" not in names
    status = json.loads((trained.run / "status.json").read_text())
    assert (status["state"], status["step"], status["steps"], status["attempt"], status["phase"]) == ("done", 4, 4, 1, "ended")
    assert "run: a run" in trained.result.out and "AP50" in trained.result.out
    assert "Traceback" not in (trained.run / "worker.log").read_text()


def test_eval_at_every_snapshot(trained: Any) -> None:
    records = [json.loads(line) for line in (trained.run / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records if "bbox/AP" in record["values"]] == [2, 4]
    assert [record["step"] for record in records if "train/loss" in record["values"]] == [1, 2, 3, 4]


def test_its_config_repeats_the_run(cli_here: Cli, trained: Any, tmp_path: Path) -> None:
    shutil.copy(trained.run / "config.yml", tmp_path / "again.yml")
    comment, _, text = (tmp_path / "again.yml").read_text().partition("\n")
    assert comment.startswith("#") and cli_here("config", "show", "-c", "again.yml").fine() == text


def test_the_log_goes_where_vdl_log_dir_says(cli_here: Cli, write_config: WriteConfig) -> None:
    folder = 'it\'s "my" vdl ü/scalar'
    text = cli_here("config", "show", "-c", write_config(), "--format", "json").fine()
    assert json.loads(text)["vdl_log_dir"] is None
    text = cli_here(
        "train", "-c", write_config(), "--vdl_log_dir", folder, "--run-dir", "tiny.yml"
    ).err  # the run directory is refused, the option is not
    assert "cannot be written" in text and "YAML" not in text


def test_training_it_again_in_the_same_place_changes_nothing(cli_here: Cli, trained: Any, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained.run, tmp_path / "run"))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    result = cli_here("train", "-r", "run")
    assert "AP50" in result.fine() and "nothing was started" in result.err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_eval_of_a_run_from_its_predictions(cli_here: Cli, trained: Any) -> None:
    before = {path: path.read_bytes() for path in trained.run.rglob("*") if path.is_file()}
    found = json.loads(cli_here("eval", trained.run, "--json").fine())
    stored = json.loads((trained.run / "eval.json").read_text())
    assert found["metrics"] == stored["metrics"] and found["step"] == stored["step"] == 4
    assert "AP50" in cli_here("eval", trained.run).fine()
    assert {path: path.read_bytes() for path in trained.run.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_eval_anew_and_by_weights_come_to_the_same(cli_here: Cli, trained: Any) -> None:
    stored = json.loads((trained.run / "eval.json").read_text())["metrics"]
    anew = json.loads(cli_here("eval", trained.run, "--checkpoint", "last", "--json").fine())
    weights = json.loads(
        cli_here(
            "eval",
            "-c",
            trained.config,
            "-o",
            f"weights='{str(trained.run / 'checkpoints' / 'last.pt').replace(chr(39), chr(39) * 2)}'",
            "--json",
        ).fine()
    )
    assert anew["metrics"] == stored == weights["metrics"]


@pytest.mark.slow
def test_predict_draws_and_lists(cli_here: Cli, trained: Any, coco: Path, tmp_path: Path) -> None:
    images = sorted((coco / "images").iterdir())[:2]
    (tmp_path / "found ü").mkdir()
    (tmp_path / "found ü" / "predictions.json").write_text("old")
    assert "would be overwritten" in cli_here("predict", trained.run, *images, "--output", "found ü").refused()
    assert (tmp_path / "found ü" / "predictions.json").read_text() == "old"
    out = cli_here("predict", trained.run, *images, "--score-threshold", "0", "--output", "found ü", "--force").fine()
    assert "results: found ü" in out
    listed = json.loads((tmp_path / "found ü" / "predictions.json").read_text())
    assert list(listed) == [str(image) for image in images]
    assert all(
        {"class", "score", "bbox"} == set(item) and item["class"] in ("short", "open circuit")
        for items in listed.values()
        for item in items
    )
    assert all((tmp_path / "found ü" / f"{image.stem}.png").is_file() for image in images)


@pytest.mark.slow
def test_predict_takes_a_folder_and_the_threshold_of_the_runs_best_f1(cli_here: Cli, trained: Any, coco: Path, tmp_path: Path) -> None:
    photos = Path(shutil.copytree(coco / "images", tmp_path / "photos"))
    first, *others = sorted(photos.iterdir())
    for other in others:
        other.unlink()
    shutil.copy(first, first.with_suffix(".bmp"))
    run = Path(shutil.copytree(trained.run, tmp_path / "copy"))
    results = json.loads((run / "eval.json").read_text(encoding="utf-8"))
    results["metrics"] |= {"bbox/best_f1": 0.625, "bbox/best_f1_threshold": 0.25}
    (run / "eval.json").write_text(json.dumps(results), encoding="utf-8")
    assert "score threshold: 0.25, that of the best F1 (0.62) in the run's evaluation" in cli_here("predict", run, "photos").fine()
    assert sorted(path.name for path in (tmp_path / "predictions").iterdir()) == sorted(
        [f"{first.name}.png", f"{first.stem}.bmp.png", "predictions.json", "predictions.jsonl"]
    )


def test_the_score_threshold_without_a_best_f1(trained: Any, tmp_path: Path) -> None:
    from runner.worker.trained_model import default_threshold

    run = Path(shutil.copytree(trained.run, tmp_path / "copy"))
    (run / "eval.json").unlink()
    assert default_threshold(run) == (0.3, "since the run has no evaluation with a best F1")


def test_predict_refuses_before_it_loads_anything(cli_here: Cli, trained: Any, coco: Path, tmp_path: Path) -> None:
    image = sorted((coco / "images").iterdir())[0]
    (tmp_path / "file").write_text("mine")
    assert "nowhere.png: image does not exist" in cli_here("predict", trained.run, image, "nowhere.png").refused()
    assert "file: is not a folder that can be written" in cli_here("predict", trained.run, image, "--output", "file").refused()
    other = Path(shutil.copy(image, tmp_path / image.name))
    target = Path("predictions") / f"{image.stem}.png"
    assert f"{image} and {other}: the picture of each would be {target}" in cli_here("predict", trained.run, image, other).refused()
    bare = Path(shutil.copytree(trained.run, tmp_path / "bare", ignore=shutil.ignore_patterns("last*")))
    assert "checkpoint does not exist" in cli_here("predict", bare, image).refused()
    assert "lies in the output folder" in cli_here("predict", trained.run, other, "--output", ".", "--force").refused()
    assert "lies in the output folder" in cli_here("predict", trained.run, ".", "--output", ".").refused()
    assert other.read_bytes() == image.read_bytes()
    assert not (tmp_path / "predictions").exists() and (tmp_path / "file").read_text() == "mine"


def test_ls_and_compare(cli_here: Cli, trained: Any, tmp_path: Path) -> None:
    assert "no runs yet" in cli_here("ls").fine()
    shutil.copytree(trained.run, tmp_path / "runs" / "0001-x-s0")
    assert "done" in cli_here("ls").fine() and "a run" in cli_here("ls", "runs").fine()
    assert "AP" in cli_here("compare", "runs").fine()
    rows = list(csv.reader(io.StringIO(cli_here("compare", "runs", "--format", "csv").fine())))
    assert len(rows) == 2 and "bbox/AP" in rows[0]
    assert json.loads(cli_here("compare", "runs", "--format", "json").fine())
    assert (
        cli_here("compare", "runs", "--format", "md").fine().startswith("|") or "|" in cli_here("compare", "runs", "--format", "md").fine()
    )


def test_data_list(cli_here: Cli) -> None:
    out = cli_here("data", "list").fine()
    assert [line for line in out.splitlines() if line.startswith("synthetic_pcb")][0].split()[1:5] == ["made", "at", "first", "use"]
    assert "not prepared" in out


def test_a_training_batch_is_drawn_as_the_model_sees_it(cli_here: Cli, write_config: WriteConfig, tmp_path: Path) -> None:
    config = write_config()
    change = "TrainReader.sample_transforms.1={RandomExpand: {prob: 0.0}}"
    out = cli_here("data", "stats", "--augmented", "-c", config, "--picture", "a.png", "-o", change).fine()
    assert re.fullmatch(r"2 images, \d box(es)?: a.png\n", out)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (12 + 2 * (384 + 12), 12 + 384 + 22 + 12)
    gone = cli_here("data", "stats", "--augmented", "-c", config, "--picture", "gone/a.png")
    assert gone.code == 2 and "cannot be written to gone/a.png" in gone.err
    assert "runner data stats --augmented -c CONFIG" in cli_here("data", "stats", "--augmented").err
    assert "expected the name of a data set" in cli_here("data", "stats", "-c", config).err


@pytest.mark.slow
def test_doctor_looks_at_everything(cli: Cli, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "runner" / "page"
    cache.mkdir(parents=True)
    (cache / "a.db").write_bytes(bytes(3 << 20))
    result = cli("doctor", env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert result.code in (0, 1) and "Traceback" not in result.err
    assert "backend torch" in result.out and "python" in result.out and "gpu" in result.out
    assert f"3.0 MiB in {cache}" in result.out and "starlette" in result.out


def test_advice_names_options_that_its_command_has() -> None:
    """``runner COMMAND … --option`` in any message or docstring of the package."""
    checked, whole = 0, build_parser()
    for path in sorted(Path(runner.__file__).parent.rglob("*.py")):
        for command, rest in re.findall(r"\brunner ([a-z]+(?: [a-z]+)?)((?: [^`\",;()]*)?)", path.read_text(encoding="utf-8")):
            parser = whole
            for word in command.split():
                choices = next((action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)), {})
                parser = choices.get(word, parser)
            for option in () if parser is whole else re.findall(r"(?<![\w-])--?[a-z][\w-]*", rest.partition("\n")[0]):
                checked += 1
                assert option in parser._option_string_actions, f"{path}: {parser.prog} has no {option}"
    assert checked > 20
