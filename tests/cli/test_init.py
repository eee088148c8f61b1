"""`runner init`: what it refuses, and the way from a data set to a config and a trained run."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Cli
from support.resolving import copy_source

from runner.cli.main import main
from runner.config.load import load_config

SPEC = "{name: mine, title: mine, format: coco, where: nowhere}\n"


@pytest.fixture
def mine(cli_here: Cli, coco: Path, tmp_path: Path) -> str:
    """The name of a prepared data set."""
    source = copy_source(coco, tmp_path / "source")
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "mine.yml").write_text(SPEC, encoding="utf-8")
    cli_here("data", "prepare", "mine", "--source", source).fine()
    return "mine"


def test_what_is_refused_before_anything_is_measured(cli_here: Cli, mine: str, tmp_path: Path) -> None:
    assert "data prepare voc --source" in cli_here("init", "--data", "voc").refused()
    assert "unknown data set 'mein'" in cli_here("init", "--data", "mein").refused()
    (tmp_path / "mine.yml").write_text("max_iters: 3\n", encoding="utf-8")
    assert "mine.yml: exists already; give another -o FILE, or --force" in cli_here("init", "--data", mine).refused()
    assert "is a folder" in cli_here("init", "--data", mine, "-o", "datasets").refused()
    assert "folder nowhere does not exist" in cli_here("init", "--data", mine, "-o", "nowhere/a.yml").refused()
    assert (tmp_path / "mine.yml").read_text(encoding="utf-8") == "max_iters: 3\n"


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "soon"])
def test_what_is_no_time_to_train_is_refused(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["init", "--data", "mine", "--minutes", minutes])
    assert "expected a number of minutes above 0" in capsys.readouterr().err


@pytest.mark.slow
def test_from_a_data_set_to_a_config_and_a_run(cli: Cli, mine: str, tmp_path: Path) -> None:
    result = cli("init", "--data", "datasets/mine.yml", "--minutes", "0.7", "--device", "cpu", "-o", "small config.yml")
    out = result.fine()
    text = (tmp_path / "small config.yml").read_text(encoding="utf-8")
    assert out.startswith(text) and out.endswith("wrote small config.yml; next: runner train -c 'small config.yml'\n")
    assert "Expected on this machine's CPU:" in text and not list(tmp_path.glob("runs/*"))
    tree = load_config(tmp_path / "small config.yml").plain()
    assert tree["dataset"] == "datasets/mine.yml" and tree["image_size"] == [64, 64] and tree["max_iters"] >= 1
    trained = cli("train", "-c", "small config.yml", "-o", "max_iters=2", "LearningRate.schedulers.1.steps=1", "trackers=[]")
    assert "evaluation at step 2" in trained.fine()


def test_stats_hint_at_what_will_hurt(cli_here: Cli, mine: str) -> None:
    out = cli_here("data", "stats", mine).fine()
    assert out.endswith("for a config that suits this data: runner init --data mine\n")
