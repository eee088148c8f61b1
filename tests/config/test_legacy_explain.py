"""An old config shown, explained, checked and resolved: what a person sees of the translation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.weights import lock

from runner.backends.torch.schema import TorchConfig
from runner.config.bind import bind, require
from runner.config.load import load_config
from runner.core.errors import InputError
from runner.resolve import resolve

CONFIGS = Path(__file__).parent / "legacy_configs"
Cli = Callable[..., Any]


@pytest.fixture
def old(tmp_path: Path, coco: Path) -> Path:
    """The four old configs in tmp_path, beside the data they name; the folder."""
    for path in CONFIGS.glob("*.yml"):
        shutil.copy(path, tmp_path)
    shutil.copytree(coco, tmp_path / "boards")
    return tmp_path


def line_of(name: str, text: str) -> int:
    """The first line of a config that holds `text`, 1-based."""
    return next(number for number, line in enumerate((CONFIGS / name).read_text().splitlines(), 1) if text in line)


def test_explain_prints_a_config_with_its_reasons_above(cli_here: Cli, old: Path) -> None:
    out = cli_here("config", "show", "-c", "fcos_1x.yml", "--explain").fine()
    assert "# fcos_1x.yml: translated from PaddleDetection's older dialect (0.x), " in out
    place = line_of("fcos_1x.yml", "feature_maps")
    assert f"# line {place}: ResNet.feature_maps: [3, 4, 5] → ResNet.return_idx: [1, 2, 3]\n#     counted from res2" in out
    assert f"# line {line_of('fcos_1x.yml', 'log_smooth_window')}: log_smooth_window: 20 → (dropped)\n" in out
    assert "(not given) → EvalReader.drop_last: false" in out
    lines = [int(line.split()[2].rstrip(":")) for line in out.splitlines() if line.startswith("# line ")]
    assert lines == sorted(lines) and len(lines) > 30
    (old / "new.yml").write_text(out)
    again = cli_here("config", "show", "-c", "new.yml", "--explain").fine()
    assert again.startswith("# new.yml: nothing to translate\n")
    (old / "again.yml").write_text(again)
    first, second = (load_config(old / name) for name in ("new.yml", "again.yml"))
    assert first.plain() == second.plain() and require(bind(first, TorchConfig)).max_iters == 3558


def test_explain_needs_no_backend_and_takes_overrides(cli_here: Cli, old: Path) -> None:
    out = cli_here(
        "config", "show", "-c", "yolov3_darknet.yml", "--explain", "--format", "json", "-o", "backend=paddle", "max_iters=5"
    ).fine()
    shown = json.loads(out)
    assert shown["config"]["max_iters"] == 5 and shown["config"]["backend"] == "paddle"
    assert shown["config"]["TrainReader"]["batch_transforms"][0]["BatchRandomResize"]["target_size"] == [640, 704, 768]
    (change,) = [change for change in shown["changes"] if change["key_before"] == "DarkNet.norm_type"]
    assert (change["key_after"], change["value_after"], change["where"]) == (
        "norm_type",
        "sync_bn",
        {"file": "yolov3_darknet.yml", "line": line_of("yolov3_darknet.yml", "norm_type")},
    )


def test_explain_names_the_file_that_a_reader_stands_in(cli_here: Cli, old: Path) -> None:
    out = cli_here("config", "show", "-c", "faster_rcnn_vd.yml", "--explain").fine()
    assert f"# fpn_reader.yml:{line_of('fpn_reader.yml', 'worker_num')}: TrainReader.worker_num: 2 → worker_num: 2" in out
    assert f"# line {line_of('faster_rcnn_vd.yml', '_READER_')}: _READER_: fpn_reader.yml → (dropped)" in out


def test_a_newer_config_has_nothing_to_explain(cli_here: Cli) -> None:
    out = cli_here("config", "show", "-c", "configs/fcos_tiny.yml", "--explain").fine()
    assert out.startswith("# configs/fcos_tiny.yml: nothing to translate\n") and "architecture: FCOS" in out


def test_explain_refuses_what_it_cannot_translate(cli_here: Cli, old: Path) -> None:
    (old / "fcos_1x.yml").write_text((old / "fcos_1x.yml").read_text().replace("DecodeImage {to_rgb: true}", "DecodeImag {}"))
    message = cli_here("config", "show", "-c", "fcos_1x.yml", "--explain").refused()
    place = line_of("fcos_1x.yml", "!DecodeImage")
    assert "older dialect" in message
    assert f"fcos_1x.yml:{place}: TrainReader.sample_transforms.0: operator DecodeImag is not translated" in message
    assert message == cli_here("config", "check", "-c", "fcos_1x.yml").refused()


def test_an_old_config_is_fine_for_torch_with_one_note(cli_here: Cli, old: Path) -> None:
    out = cli_here("config", "check", "-c", "fcos_1x.yml").fine()
    (note,) = [line for line in out.splitlines() if "older dialect" in line]
    assert note.startswith("note: translated from PaddleDetection's older dialect: ") and "config show -c fcos_1x.yml --explain" in note


def test_resolved_it_is_a_newer_config(old: Path, store: Path) -> None:
    address = "https://paddledet.bj.bcebos.com/models/pretrained/ResNet50_cos_pretrained"
    path = lock(f"{address}.pdparams", b"content", ".pdparams", address)
    first = resolve("fcos_1x.yml", ["TrainReader.batch_size=4", "EvalReader.sample_transforms.2.Resize.target_size=[640, 1000]"])
    assert first.config.train_reader.batch_size == 4 and first.config.max_iters == 3558
    assert first.config.pretrain_weights == f"{address}.pdparams#sha256={path.stem}"
    Path("resolved.yml").write_text(first.yaml)
    again = resolve("resolved.yml")
    assert again.config == first.config and not any("older" in note for note in again.notes)


def test_what_torch_has_not_is_refused_by_name_and_line(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(old)
    found = [
        ("fcos_multiscale_dcn.yml", "dcn_v2_stages", "ResNet.dcn_v2_stages"),
        ("fcos_multiscale_dcn.yml", "use_dcn_in_tower", "FCOSHead.fcos_feat.use_dcn"),
        ("faster_rcnn_vd.yml", "architecture", "architecture"),
        ("yolov3_darknet.yml", "architecture", "architecture"),
    ]
    for name, text, key in found:
        with pytest.raises(InputError) as error:
            resolve(name)
        start = f"{name}:{line_of(name, text)}: {key}: "
        assert any(str(problem).startswith(start) for problem in error.value.problems), (start, error.value.problems)
        foreign = key == "architecture"  # the other sections are of that architecture: one reason, not dozens
        assert not foreign or (len(error.value.problems) == 1 and "-o backend=paddle" in str(error.value))


@pytest.mark.slow
def test_an_old_config_trains_on_torch(cli: Cli, old: Path) -> None:
    small = [
        "ResNet.depth=18",
        "pretrain_weights=null",
        "max_iters=2",
        "log_iter=1",
        "worker_num=0",
        "cpu_threads=1",
        "sample_images=0",
        "trackers=[]",
        "TrainReader.sample_transforms.3.Resize.target_size=[32, 64]",
        "EvalReader.sample_transforms.2.Resize.target_size=[32, 64]",
    ]
    done = cli("train", "-c", "fcos_1x.yml", "-o", *small, "save_dir=runs")
    assert "done" in done.fine() + done.err
    (metrics,) = old.glob("runs/*/*/metrics.jsonl")
    rates = [json.loads(line).get("values", {}) for line in metrics.read_text().splitlines()]
    assert any(rates)
