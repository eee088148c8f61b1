from __future__ import annotations

from pathlib import Path

import pytest
from support.resolving import copy_source, prepared
from support.weights import lock

from runner.advice.advise import Advice, AdviceRequest, advise
from runner.advice.choices import Speed
from runner.advice.probe import ProbeFailed
from runner.config.load import load_config
from runner.core.errors import InputError
from runner.data.choice import dataset_choice
from runner.resolve import resolve, warnings_of


@pytest.fixture(autouse=True)
def _small(coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with the prepared data set `small`, on a machine without published weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNNER_DATA", raising=False)
    prepared("small", copy_source(coco, tmp_path / "source"))


def advised(measure_speed: object = None, *, minutes: float = 10) -> tuple[Advice, list[str]]:
    said: list[str] = []
    speed = measure_speed or (lambda config, batch: Speed(0.1, 0.01, 5.0, 0.5))
    request = AdviceRequest("small", "cpu", minutes, "runner init --data small")
    return advise(request, dataset_choice("small"), said.append, speed), said  # type: ignore[arg-type]


def test_the_config_is_short_resolves_and_says_why(tmp_path: Path) -> None:
    advice, said = advised()
    lines = advice.config.splitlines()
    assert 15 <= len(lines) <= 30 and sum("# " in line for line in lines) >= 8
    assert lines[0] == "# Written by `runner init --data small` for 12 images of 64×64 (height×width), 18 boxes, 2 classes."
    assert advice.expectation in lines[1] and " min (" in advice.expectation and "0.5 GiB of memory" in advice.expectation
    Path("small.yml").write_text(advice.config, encoding="utf-8")
    resolved = resolve("small.yml", to_run=False)
    assert resolved.config.max_iters == 5000 and resolved.config.initial_distance == 1 and resolved.plain["image_size"] == [64, 64]
    assert warnings_of(resolved) == [] and len(said) == 1


def test_a_batch_that_does_not_fit_is_halved() -> None:
    tried: list[int] = []

    def probe(config: str, batch_size: int) -> Speed:
        tried.append(batch_size)
        assert f"batch_size: {batch_size} " in config
        if batch_size > 2:
            raise ProbeFailed("full", out_of_memory=True)
        return Speed(0.1, 0.01, 5.0, 0.5)

    advice, said = advised(probe)
    assert tried == [8, 4, 2] and len(said) == 3 and "batch_size: 2 " in advice.config
    assert advice.notes[:2] == ("batches of 8 images do not fit into memory: halved", "batches of 4 images do not fit into memory: halved")


def test_a_failed_probe_is_not_repeated() -> None:
    def probe(config: str, batch_size: int) -> Speed:
        raise ProbeFailed("broken", out_of_memory=False)

    with pytest.raises(ProbeFailed, match="broken"):
        advised(probe)


def test_little_time_is_said_with_what_would_be_enough() -> None:
    advice, _ = advised(lambda config, batch: Speed(batch / 10, 0.01, 5.0, 0.5), minutes=2)
    (note,) = (note for note in advice.notes if "short" in note)
    assert note.startswith("2 min is short: training will see 10") and "--minutes" in note
    assert "max_iters: 257" in advice.config and "smaller than usual" in advice.config  # (108 - 5) / 0.4


def test_a_busy_machine_is_mentioned() -> None:
    busy, idle = (advised(lambda config, batch, share=share: Speed(0.1, 0.01, 5.0, 0.5, share))[0].notes for share in (0.5, 0.9))
    assert any("other processes left 50 % of its cores" in note for note in busy)
    assert not any("busy" in note for note in idle)


def test_published_weights_that_are_locked_are_used(store: Path) -> None:
    assert "pretrain_weights" not in advised()[0].config
    lock("ResNet18_Weights.IMAGENET1K_V1", b"content", ".pth")
    Path("small.yml").write_text(advised()[0].config, encoding="utf-8")
    tree = load_config(Path("small.yml")).plain()
    assert tree["pretrain_weights"] == "ResNet18_Weights.IMAGENET1K_V1" and tree["ResNet"]["first_shortcut"] == "identity"


def test_an_unprepared_set_is_refused_with_the_command() -> None:
    chosen = dataset_choice("voc")
    with pytest.raises(InputError, match="run: runner data prepare voc --source"):
        advise(AdviceRequest("voc", "cpu", 1, ""), chosen, print)
