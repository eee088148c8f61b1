"""A run as a file: checked before it gets its name, evaluated and used like the run, and refused in one message."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.backends.exported import KEY, open_exported
from runner.backends.torch.predict import TorchPredictor
from runner.core.errors import InputError
from runner.worker.evaluate import evaluate_exported, evaluate_run
from runner.worker.export import Agreement, compare

Cli = Callable[..., Any]
ROOT = Path(__file__).parents[2]


def quiet(*_: Any) -> None:
    """No progress."""


@pytest.fixture
def run(trained: Any, tmp_path: Path) -> Path:
    """A copy of the run whose model finds something, whatever four steps have taught it."""
    path = Path(shutil.copytree(trained.run, tmp_path / "a run"))
    text = (path / "config.yml").read_text(encoding="utf-8")
    (path / "config.yml").write_text(re.sub(r"score_threshold: [0-9.]+", "score_threshold: 0.0", text), encoding="utf-8")
    return path


@pytest.mark.slow  # torch's exporter takes 10 seconds
def test_an_exported_run_is_evaluated_and_predicts_like_the_run(cli_here: Cli, run: Path, coco: Path, tmp_path: Path) -> None:
    import onnx

    out = cli_here("export", run).fine()
    assert re.search(r"a run\.onnx: \d+\.\d MB; checked on 4 validation images: \d+ boxes, largest difference", out)
    file = tmp_path / "a run.onnx"
    facts = json.loads({entry.key: entry.value for entry in onnx.load(file).metadata_props}[KEY])
    assert facts["classes"] == ["short", "open circuit"] and facts["input"]["shape"] == [1, 3, 48, 48]
    assert facts["resizes"] == [{"target_size": 48, "keep_ratio": False, "interp": 1}] and facts["pad_to_stride"] == 16
    assert (facts["mean"], facts["std"]) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert (facts["architecture"], facts["run"], facts["checkpoint"]) == ("FCOS", "a run", "last")
    of_run = evaluate_run(run, checkpoint="last", progress=quiet)["metrics"]
    of_file = evaluate_exported(file, run / "config.yml", [], progress=quiet)["metrics"]
    assert of_file["bbox/AP"] == pytest.approx(of_run["bbox/AP"], abs=0.002) and of_file.keys() == of_run.keys()
    image = sorted((coco / "images").iterdir())[0]
    cli_here("predict", run, image, "--score-threshold", "0", "--save", "json", "--output", "of run").fine()
    cli_here("predict", file, image, "--score-threshold", "0", "--save", "json", "--output", "of file").fine()
    boxes = [json.loads((tmp_path / name / "predictions.json").read_text())[str(image)] for name in ("of run", "of file")]
    assert len(boxes[0]) == len(boxes[1]) == 10
    assert [box["score"] for box in boxes[0]] == pytest.approx([box["score"] for box in boxes[1]], abs=1e-5)
    assert len(documented_example(tmp_path, file, image)) == len(boxes[1])
    assert "a run.onnx: exists already" in cli_here("export", run).refused()
    before = file.read_bytes()
    cli_here("export", run, "--force").fine()
    assert file.read_bytes() == before, "the same run gives the same bytes"
    assert "one image at a time" in cli_here("predict", file, image, "--batch", "2").refused()
    assert "needs a config that names the data" in cli_here("eval", file).refused()


def documented_example(folder: Path, file: Path, image: Path) -> list[str]:
    """The lines that the code in docs/export.md prints for an image, from score 0 on."""
    from PIL import Image

    text = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    shutil.copy(file, folder / "screws.onnx")
    with Image.open(image) as opened:
        opened.save(folder / "photo.jpg", quality=95)
    code = code.replace('facts["score_threshold"]', "0")
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_file_that_finds_something_else_is_not_kept(cli_here: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = TorchPredictor.predict

    def moved(self: TorchPredictor, *arguments: Any) -> list[dict[str, Any]]:
        return [{**item, "bbox": [item["bbox"][0] + 0.6, *item["bbox"][1:]]} for item in real(self, *arguments)]

    monkeypatch.setattr(TorchPredictor, "predict", moved)
    ended = cli_here("export", run, "--format", "torchscript")
    assert ended.code == 1 and "does not find what the model does (4 validation images: 40 boxes" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["a run"]


def test_without_the_data_generated_images_are_used(cli_here: Cli, run: Path) -> None:
    text = (run / "config.yml").read_text(encoding="utf-8")
    (run / "config.yml").write_text(re.sub(r"dataset_dir: [^,]+,", "dataset_dir: /gone,", text), encoding="utf-8")
    ended = cli_here("export", run, "--format", "torchscript", "--checkpoint", "best")
    assert "checked on 4 generated images: 40 boxes" in ended.fine() and "the evaluation set is not here" in ended.err


def test_what_cannot_be_exported(cli_here: Cli, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "expected a name that ends in .onnx" in cli_here("export", run, "-o", "model.pt").refused()
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert "needs onnx and onnxscript, which are not installed: pip install '.[onnx]'" in cli_here("export", run).refused()
    (run / "checkpoints" / "last.pt").unlink()
    assert "checkpoint does not exist" in cli_here("export", run).refused()
    assert [path.name for path in tmp_path.iterdir()] == ["a run"]


@pytest.mark.parametrize("name", ["model.onnx", "model.torchscript"])
def test_a_file_that_cannot_be_used(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    with pytest.raises(InputError, match="cannot be read: No such file"):
        open_exported(file)
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"model\.\w+: is damaged, incomplete, or not .*export it again"):
        open_exported(file)


def test_a_file_of_another_program(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    shape = {"images": [1], "boxes": [1]}
    inputs, outputs = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, shape[name])] for name in shape)
    graph = helper.make_graph([helper.make_node("Identity", ["images"], ["boxes"])], "x", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    save(model, tmp_path / "other.onnx")
    with pytest.raises(InputError, match=r"other\.onnx: was not written by `runner export` \(it has no metadata 'runner'\)"):
        open_exported(tmp_path / "other.onnx")


def box(x: float, score: float, *, image: int = 1, label: int = 0) -> dict[str, Any]:
    return {"image_id": image, "category_id": label, "bbox": [x, 0.0, 10.0, 10.0], "score": score}


def test_boxes_are_compared_with_those_of_their_class_and_image() -> None:
    ours = [box(0, 0.9), box(20, 0.8), box(0, 0.7, label=1)]
    assert compare(ours, [box(20.25, 0.8), box(0, 0.9005), box(0, 0.7, label=1)]) == Agreement(
        3, 0, pytest.approx(0.25), pytest.approx(5e-4)
    )
    for other in ([*ours, box(50, 0.1)], ours[:2], [*ours[:2], box(0, 0.7)], [*ours[:2], box(0, 0.7, label=1, image=2)]):
        assert not compare(ours, other).is_close
    assert compare([], []).is_close and not compare([], ours).is_close
    many = [box(20.0 * number, 0.5) for number in range(1000)]
    assert compare(many, many[1:]).is_close and not compare(many, many[2:]).is_close
