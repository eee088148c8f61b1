"""PaddleDetection's own configs through the `runner` command: detectors train, stop, go on, are evaluated and predict.

    python -m benchmarks.paddle_models CHECKOUT [--only NAME] [--steps 12] [--output DIR] [-o KEY=VALUE]

CHECKOUT is a checkout of the PaddleDetection that is installed: 2.6, or a newer one (`runner backend install paddle --ppdet CHECKOUT`).
Models that it has no config of are left out. Its configs are used as they are; what is overridden is the data (dataset:
synthetic_pcb, some images of it), sizes, the batch, the length, that nothing is downloaded or needs a GPU, and, since they start from
random weights, the learning rate. Each model is trained twice: undisturbed, and asked to stop after a few steps (SIGTERM) and resumed.
"equal" says that the second ended with the same weights, bit for bit, and with the same records, no step twice. Exit code 1 if a model
fails anywhere or is not equal.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from runner.backends.pdparams import read_pdparams
from runner.core.importing import child_environment
from runner.store.run_dir import RunDir
from runner.worker.main import load_run
from runner.worker.scoring import load_dataset

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class Model:
    """One config of the checkout.

    Args:
        name: for people, and for --only.
        config: below ``configs/``.
        size: overrides that make its images small.
        polygons: it is trained on masks, here those of the boxes.
    """

    name: str
    config: str
    size: tuple[str, ...]
    polygons: bool = False


@dataclass(slots=True)
class Result:
    """Result of a model."""

    model: Model
    steps: int = 0
    losses: tuple[float, float] = (0.0, 0.0)
    ap: float = 0.0
    stopped_at: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    equal: bool = False


def _shown(index: int, size: str) -> tuple[str, ...]:
    return tuple(f"{reader}.sample_transforms.{index}.Resize.target_size={size}" for reader in ("EvalReader", "TestReader"))


_SEVERAL = "BatchRandomResize.target_size=[96, 128]"
_SHORTER = "TrainReader.sample_transforms.1.RandomResize.target_size=[[96, 160], [128, 160]]"
_LARGER = ("eval_size=[192, 192]", "TrainReader.batch_transforms.0.BatchRandomResize.target_size=[192, 224]", *_shown(1, "[192, 192]"))
_ONE = ("eval_size=[128, 128]", f"TrainReader.batch_transforms.0.{_SEVERAL}", *_shown(1, "[128, 128]"))
MODELS = (
    Model(
        "FCOS",
        "fcos/fcos_r50_fpn_1x_coco.yml",
        ("TrainReader.sample_transforms.1.Resize.target_size=[96, 128]", *_shown(1, "[96, 128]")),
    ),
    Model("Faster R-CNN", "faster_rcnn/faster_rcnn_r50_fpn_1x_coco.yml", (_SHORTER, *_shown(1, "[128, 160]"))),
    Model(
        "YOLOv3",
        "yolov3/yolov3_darknet53_270e_coco.yml",
        (f"TrainReader.batch_transforms.0.{_SEVERAL}", *_shown(1, "[128, 128]")),
    ),
    Model("PP-YOLOE+", "ppyoloe/ppyoloe_plus_crn_s_80e_coco.yml", _ONE),
    Model("PP-YOLOE", "ppyoloe/ppyoloe_crn_s_300e_coco.yml", _ONE),
    Model("RetinaNet", "retinanet/retinanet_r50_fpn_1x_coco.yml", (_SHORTER, *_shown(1, "[128, 160]"))),
    Model("SSD", "ssd/ssd_r34_70e_coco.yml", ()),  # its head is made for 300 pixels
    Model("PicoDet", "picodet/picodet_s_320_coco_lcnet.yml", _LARGER),  # 9 places at stride 64: it wants as many a box
    Model("RT-DETR", "rtdetr/rtdetr_r18vd_6x_coco.yml", ("image_size=[128, 128]",)),
    Model("RT-DETRv2", "rtdetrv2/rtdetrv2_r18vd_120e_coco.yml", ("image_size=[128, 128]",)),
    Model("DINO", "dino/dino_r50_4scale_1x_coco.yml", ("image_size=[96, 128]",)),
    Model("YOLOX", "yolox/yolox_nano_300e_coco.yml", ("image_size=[128, 128]", "YOLOX.input_size=[128, 128]", "YOLOX.size_range=[3, 5]")),
    Model("TOOD", "tood/tood_r50_fpn_1x_coco.yml", ("image_size=[288, 384]",)),  # 9 places at stride 128
    Model("GFL", "gfl/gfl_r18vd_1x_coco.yml", ("image_size=[96, 128]",)),
    Model("Mask R-CNN", "mask_rcnn/mask_rcnn_r50_fpn_1x_coco.yml", ("image_size=[96, 128]",), polygons=True),
)


def common(steps: int) -> list[str]:
    """Return the overrides of every config."""
    data = ["dataset=synthetic_pcb", "TrainDataset.sample_num=9", "EvalDataset.sample_num=4"]
    machine = ["backend=paddle", "use_gpu=false", "worker_num=0"]
    random_weights = ["pretrain_weights=null", "LearningRate.base_lr=0.0001", "OptimizerBuilder.clip_grad_by_norm=1.0"]
    return [*data, *machine, *random_weights, f"max_iters={steps}", "log_iter=1", "TrainReader.batch_size=2", "EvalReader.batch_size=3"]


class Trial:
    """One model in a folder of its own."""

    def __init__(self, model: Model, checkout: Path, folder: Path, overrides: Sequence[str]) -> None:
        self._folder = folder
        self._train = ["train", "-c", str(checkout / "configs" / model.config)]
        for override in (*(_with_polygons(folder, overrides) if model.polygons else overrides), *model.size):
            self._train += ["-o", override]
        self.result = Result(model)

    def run(self, steps: int) -> Result:
        """Everything; a failure ends it."""
        started = time.perf_counter()
        try:
            self._everything(steps)
        except (subprocess.SubprocessError, RuntimeError, OSError) as error:
            self.result.failures.append(str(error))
        self.result.seconds = time.perf_counter() - started
        return self.result

    def _everything(self, steps: int) -> None:
        whole, stopped = RunDir(self._folder / "whole"), RunDir(self._folder / "stopped")
        self._runner(*self._train, "--run-dir", whole.path)
        losses = [record.values["train/loss"] for record in whole.records() if "train/loss" in record.values]
        self.result.steps, self.result.losses = len(losses), (losses[0], losses[-1])
        self._stop(stopped, steps)
        self._runner("train", "-r", stopped.path)
        self.result.failures += differences(whole, stopped)
        self.result.equal = not self.result.failures
        found = json.loads(self._runner("eval", stopped.path, "--checkpoint", "last", "--json"))
        recorded = stopped.results() or {}
        self.result.ap = found["metrics"].get("bbox/AP", float("nan"))
        if found["metrics"] != recorded["metrics"]:
            self.result.failures.append("`runner eval` of the checkpoint finds other numbers than training did")
        data = load_dataset(load_run(stopped)[1].eval_dataset, evaluation=True)
        images = [data.path(image) for image in data.images[:2]]
        self._runner("predict", stopped.path, *images, "--output", self._folder / "found", "--score-threshold", "0.0")
        if len(json.loads((self._folder / "found" / "predictions.json").read_text())) != len(images):
            self.result.failures.append("`runner predict` did not show every image")

    def _stop(self, run: RunDir, steps: int) -> None:
        """Train until a third of the steps are made, and ask to stop."""
        process = self._start(*self._train, "--run-dir", run.path)
        try:
            while process.poll() is None and not (run.exists() and run.status().step >= max(1, steps // 3)):
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
        self.result.stopped_at = run.status().step
        if process.returncode != 130 or run.status().state != "interrupted":
            raise RuntimeError(f"asked to stop, it ended with {process.returncode} ({run.status().state}):\n{_tail(errors)}")

    def _runner(self, *arguments: str | Path) -> str:
        process = self._start(*arguments)
        try:
            output, errors = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
        if process.returncode != 0:
            raise RuntimeError(f"runner {arguments[0]} ended with {process.returncode}:\n{_tail(errors)}")
        return output

    def _start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        argv = [sys.executable, "-P", "-m", "runner", *map(str, arguments)]
        env = child_environment({"PYTHONPATH": str(ROOT)})
        return subprocess.Popen(argv, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _with_polygons(folder: Path, overrides: Sequence[str]) -> list[str]:
    """Write the annotations with the outline of each box as its polygon; return `overrides` with these in place of the prepared set."""
    data = ROOT / "data" / "synthetic_pcb"
    document = json.loads((data / "annotations" / "train.json").read_text(encoding="utf-8"))
    for entry in document["annotations"]:
        x, y, width, height = entry["bbox"]
        entry["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    path = folder / "polygons.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    places = {"dataset_dir": data, "image_dir": "images"}
    files = {"Train": path, "Eval": data / "annotations" / "val.json"}
    sections = [f"{split}Dataset.{key}={value}" for split in files for key, value in (*places.items(), ("anno_path", files[split]))]
    others = [override for override in overrides if not override.startswith("dataset=")]
    return [*others, f"num_classes={len(document['categories'])}", *sections]


def differences(one: RunDir, other: RunDir) -> list[str]:
    """In what two runs of the same config ended differently."""
    found = []
    weights, others = (read_pdparams(run.checkpoints / "last.pdparams") for run in (one, other))
    arrays = {name: value for name, value in weights.items() if isinstance(value, np.ndarray)}
    unlike = [name for name, value in arrays.items() if name not in others or not np.array_equal(value, others[name])]
    if unlike or not arrays:
        found.append(f"{len(unlike)} of {len(arrays)} weights differ after the resume: {', '.join(unlike[:3])}")
    if _losses(one) != _losses(other):
        found.append(f"the records differ after the resume: {_losses(one)} and {_losses(other)}")
    return found


def _losses(run: RunDir) -> list[tuple[int, float]]:
    return [(record.step, record.values["train/loss"]) for record in run.records() if "train/loss" in record.values]


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-12:])


def _table(results: Sequence[Result]) -> str:
    lines = [f"{'model':13} {'config':44} {'steps':>5} {'loss first':>10} {'last':>8} {'AP':>6} {'seconds':>8} {'stopped':>8} equal"]
    for result in results:
        first, last = result.losses
        numbers = f"{result.steps:5} {first:10.3f} {last:8.3f} {result.ap:6.3f} {result.seconds:8.0f} {result.stopped_at:8}"
        lines.append(f"{result.model.name:13} {result.model.config:44} {numbers} {'yes' if result.equal else 'no'}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run them and print; 0 if every one came through."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paddle_models", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("checkout", type=Path, metavar="CHECKOUT", help="a checkout of the installed PaddleDetection")
    parser.add_argument("--only", action="append", metavar="NAME", help=f"one of {', '.join(model.name for model in MODELS)}")
    parser.add_argument("--steps", type=int, default=12, metavar="N", help="steps of each training; default 12")
    parser.add_argument("--output", type=Path, metavar="DIR", help="keep the runs there")
    parser.add_argument("-o", dest="opt", action="append", default=[], metavar="KEY=VALUE", help="one override more for all of them")
    args = parser.parse_args(argv)
    chosen = [model for model in MODELS if not args.only or model.name in args.only]
    if not chosen or not (args.checkout / "configs").is_dir():
        parser.error(f"no such model: {args.only}" if not chosen else f"{args.checkout} is no checkout of PaddleDetection")
    if absent := [model.name for model in chosen if not (args.checkout / "configs" / model.config).is_file()]:
        print(f"not in this checkout: {', '.join(absent)}", file=sys.stderr)
    chosen = [model for model in chosen if model.name not in absent]
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as scratch:
        for model in chosen:
            folder = (args.output or Path(scratch)) / model.name
            folder.mkdir(parents=True)
            results.append(Trial(model, args.checkout.resolve(), folder.resolve(), [*common(args.steps), *args.opt]).run(args.steps))
            for failure in results[-1].failures:
                print(f"{model.name}: {failure}", file=sys.stderr)
            print(_table(results[-1:]).splitlines()[-1], file=sys.stderr)
    print(_table(results))
    return 1 if any(result.failures for result in results) else 0


if __name__ == "__main__":
    raise SystemExit(main())
