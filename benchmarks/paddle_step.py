"""Images a second of training on Paddle through our worker, against ppdet's own entry point on the same config.

    python -m benchmarks.paddle_step [--pairs 5] [--threads 2] [--size 320] [--model fcos] [--model yolov3] [--torch] [--evaluation]

Theirs is `ppdet.engine.Trainer` with its own reader and callbacks, as tools/train.py drives it, in the environment of a user who sets
nothing (--peer-env sets variables for it). Ours is `python -m runner.worker` on a run directory, with --threads threads. Both read the
same generated boards by the same YAML file. --torch adds the torch backend on the same FCOS; --evaluation evaluates instead of training.

Runs come in pairs, each in a process of its own, one after the other, changing order; timed are --steps steps after the first --warm-up.
By model, ratios of images/s and of processor time come last: median (minimum to maximum) over the pairs. Exit code 1 if a median ratio
of images/s is below 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from runner.data.synthetic.generate import CLASSES, generate
from runner.environments.interpreters import interpreter, versions
from runner.resolve import resolve
from runner.store.run_dir import RunDir
from runner.sweep.plan import plan_single
from runner.sweep.runs import prepare_run_dir

REQUIRED = 1.0
BATCH, IMAGES = 2, 120
SIDE = Path(__file__).with_name("paddle_side.py")
VARIABLES = ("OMP_", "MKL_", "KMP_", "OPENBLAS_", "FLAGS_")

Times = dict[str, float]

COMMON = """
architecture: {architecture}
pretrain_weights: null
use_gpu: false
worker_num: {workers}
log_iter: 20
save_dir: output
epoch: 1000
snapshot_epoch: 1000
metric: COCO
num_classes: 6
TrainDataset: {{name: COCODataSet, dataset_dir: {data}, image_dir: images, anno_path: boards.json,
               data_fields: [image, gt_bbox, gt_class, is_crowd]}}
EvalDataset: {{name: COCODataSet, dataset_dir: {data}, image_dir: images, anno_path: boards.json, allow_empty: true}}
TestDataset: {{name: ImageFolder}}
EvalReader:
  sample_transforms:
    - Decode: {{}}
    - Resize: {{target_size: [{size}, {size}], keep_ratio: false, interp: 1}}
    - NormalizeImage: {{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], is_scale: true}}
    - Permute: {{}}
  batch_size: {batch}
LearningRate:
  base_lr: 0.0001
  schedulers:
    - !PiecewiseDecay {{gamma: 0.1, milestones: [900]}}
    - !LinearWarmup {{start_factor: 0.1, steps: 100}}
OptimizerBuilder:
  optimizer: {{type: Momentum, momentum: 0.9}}
  regularizer: {{type: L2, factor: 0.0001}}
"""

FCOS = """
FCOS: {{backbone: ResNet, neck: FPN, fcos_head: FCOSHead}}
ResNet: {{depth: 18, variant: b, norm_type: bn, freeze_at: 0, return_idx: [1, 2, 3], num_stages: 4}}
FPN: {{out_channel: 256, spatial_scales: [0.125, 0.0625, 0.03125], extra_stage: 2, has_extra_convs: true, use_c5: false}}
FCOSHead:
  fcos_feat: {{name: FCOSFeat, feat_in: 256, feat_out: 256, num_convs: 4, norm_type: gn, use_dcn: false}}
  fpn_stride: [8, 16, 32, 64, 128]
  fcos_loss: {{name: FCOSLoss, loss_alpha: 0.25, loss_gamma: 2.0, iou_loss_type: giou, reg_weights: 1.0}}
  nms: {{name: MultiClassNMS, nms_top_k: 1000, keep_top_k: 100, score_threshold: 0.001, nms_threshold: 0.6}}
TrainReader:
  sample_transforms:
    - Decode: {{}}
    - RandomFlip: {{prob: 0.5}}
    - Resize: {{target_size: [{size}, {size}], keep_ratio: false, interp: 1}}
    - NormalizeImage: {{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], is_scale: true}}
    - Permute: {{}}
  batch_transforms:
    - PadBatch: {{pad_to_stride: 32}}
    - Gt2FCOSTarget: {{object_sizes_boundary: [64, 128, 256, 512], center_sampling_radius: 1.5, downsample_ratios: [8, 16, 32, 64, 128]}}
  batch_size: {batch}
  shuffle: true
  drop_last: true
"""

_ANCHORS = "anchors: [[10, 13], [16, 30], [33, 23], [30, 61], [62, 45], [59, 119], [116, 90], [156, 198], [373, 326]]"
_MASKS = "anchor_masks: [[6, 7, 8], [3, 4, 5], [0, 1, 2]]"
YOLOV3 = f"""
norm_type: bn
YOLOv3: {{{{backbone: MobileNet, neck: YOLOv3FPN, yolo_head: YOLOv3Head, post_process: BBoxPostProcess}}}}
MobileNet: {{{{scale: 1, feature_maps: [4, 6, 13], with_extra_blocks: false, extra_block_filters: []}}}}
YOLOv3Head:
  {_ANCHORS}
  {_MASKS}
  loss: YOLOv3Loss
YOLOv3Loss: {{{{ignore_thresh: 0.7, downsample: [32, 16, 8], label_smooth: false}}}}
BBoxPostProcess:
  decode: {{{{name: YOLOBox, conf_thresh: 0.001, downsample_ratio: 32, clip_bbox: true}}}}
  nms: {{{{name: MultiClassNMS, keep_top_k: 100, score_threshold: 0.001, nms_threshold: 0.45, nms_top_k: 1000}}}}
TrainReader:
  inputs_def: {{{{num_max_boxes: 50}}}}
  sample_transforms:
    - Decode: {{{{}}}}
    - RandomDistort: {{{{}}}}
    - RandomFlip: {{{{}}}}
    - Resize: {{{{target_size: [{{size}}, {{size}}], keep_ratio: false, interp: 2}}}}
  batch_transforms:
    - NormalizeBox: {{{{}}}}
    - PadBox: {{{{num_max_boxes: 50}}}}
    - BboxXYXY2XYWH: {{{{}}}}
    - NormalizeImage: {{{{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], is_scale: true}}}}
    - Permute: {{{{}}}}
    - Gt2YoloTarget: {{{{{_MASKS}, {_ANCHORS}, downsample_ratios: [32, 16, 8]}}}}
  batch_size: {{batch}}
  shuffle: true
  drop_last: true
"""
MODELS = {"fcos": ("FCOS", FCOS), "yolov3": ("YOLOv3", YOLOV3)}


def main() -> int:
    """Run the benchmark; 0 if it meets its requirement."""
    options = parse()
    python = interpreter("paddle").python
    found = ", ".join(f"{name} {version}" for name, version in versions(python, ("paddlepaddle", "paddledet")).items())
    print(
        f"{'evaluation' if options.evaluation else 'training'}, {BATCH} images of {options.size} px a step, {options.steps} steps a run, "
        f"{options.threads} threads for ours, worker_num {options.workers}; {found}; load average {os.getloadavg()[0]:.1f} before the start"
    )
    reached = [measure(name, python, options) for name in options.model or MODELS]
    return 0 if all(reached) else 1


def parse() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="cpu_threads of ours")
    parser.add_argument("--size", type=int, default=320, help="side of the square images in pixels")
    parser.add_argument("--steps", type=int, default=10, help="timed steps of a run")
    parser.add_argument("--warm-up", type=int, default=3, help="steps before them")
    parser.add_argument("--workers", type=int, default=0, help="worker_num of both")
    parser.add_argument("--model", action="append", choices=tuple(MODELS), help="default: all")
    parser.add_argument("--torch", action="store_true", help="the torch backend too, on FCOS")
    parser.add_argument("--evaluation", action="store_true", help="evaluate, with random weights, instead of training")
    parser.add_argument("--peer-env", action="append", default=[], metavar="NAME=VALUE", help="a variable for ppdet's side")
    return parser.parse_args()


def measure(name: str, python: Path, options: argparse.Namespace) -> bool:
    """Run the pairs of a model, print what came out; whether ours is as fast."""
    with tempfile.TemporaryDirectory(prefix="runner-benchmark-paddle-") as folder:
        config = write_config(name, Path(folder), options)
        variables = dict(pair.split("=", 1) for pair in options.peer_env)
        suffix = "-evaluation" if options.evaluation else ""
        sides: dict[str, Callable[[], Times]] = {
            "ppdet": lambda: side(python, f"peer{suffix}", config, options, variables),
            "ours": lambda: side(python, f"ours{suffix}", run_of(config, "paddle", options), options, ONE_THREAD),
        }
        if options.torch and name == "fcos" and not options.evaluation:
            sides["torch"] = lambda: side(Path(sys.executable), "ours", run_of(config, "torch", options), options, ONE_THREAD)
        pairs = []
        for number in range(options.pairs):
            order = list(sides) if number % 2 == 0 else list(sides)[::-1]
            taken = {one: sides[one]() for one in order}
            pairs.append(taken)
            print(f"  {name}, pair {number + 1}: " + ", ".join(f"{one} {taken[one]['seconds'] / options.steps:.3f} s" for one in sides))
    return report(name, pairs, options.steps)


ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
"""Threads that the driver gives to a worker, which raises it to cpu_threads."""


def report(name: str, pairs: Sequence[dict[str, Times]], steps: int) -> bool:
    """Print seconds a step, images a second and ratios; whether the median ratio is high enough."""
    for one in pairs[0]:
        seconds, processor = (statistics.median(pair[one][what] for pair in pairs) / steps for what in ("seconds", "processor"))
        print(
            f"{name}, {one}: {seconds:.3f} s a step, {BATCH / seconds:.2f} images/s, {processor:.3f} s of processor time a step (medians)"
        )
    for other in [one for one in pairs[0] if one != "ours"]:
        by_clock = sorted(pair[other]["seconds"] / pair["ours"]["seconds"] for pair in pairs)
        by_processor = sorted(pair[other]["processor"] / pair["ours"]["processor"] for pair in pairs)
        print(f"{name}, ours / {other}: images/s {spread(by_clock)}, for the same processor time {spread(by_processor)}")
    median = statistics.median(pair["ppdet"]["seconds"] / pair["ours"]["seconds"] for pair in pairs)
    print(f"{name}: required {REQUIRED:g} of ppdet's images/s: {'reached' if median >= REQUIRED else 'not reached'}", flush=True)
    return median >= REQUIRED


def spread(ratios: Sequence[float]) -> str:
    """Median (minimum to maximum)."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def side(python: Path, name: str, what: Path, options: argparse.Namespace, variables: dict[str, str]) -> Times:
    """Seconds and processor time of the timed steps of a new process. What it says otherwise is shown if it fails."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(VARIABLES)}
    command = [str(python), "-P", str(SIDE), name, str(what), str(options.warm_up), str(options.warm_up + options.steps)]
    root = str(SIDE.parents[1])
    done = subprocess.run(
        command,
        env={**kept, "PYTHONPATH": root, "PYTHONSAFEPATH": "1", **variables},
        cwd=what.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        log = what / "worker.log"
        sys.exit(f"{name} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}{log.read_text() if log.is_file() else ''}")
    times: Times = json.loads(done.stdout.splitlines()[-1])
    return times


def run_of(config: Path, backend: str, options: argparse.Namespace) -> Path:
    """Return a new run directory beside the config."""
    run = RunDir(config.with_name(f"run-{backend}"))
    shutil.rmtree(run.path, ignore_errors=True)
    steps = options.warm_up + options.steps + 1
    settings = [f"backend={backend}", f"max_iters={steps}", f"cpu_threads={options.threads}", "trackers=[tensorboard]", "sample_images=0"]
    prepare_run_dir(plan_single(resolve(config, settings), run))
    return run.path


def write_config(name: str, folder: Path, options: argparse.Namespace) -> Path:
    """Return the YAML file that both sides read, with its boards."""
    write_boards(folder / "data", options.size)
    architecture, text = MODELS[name]
    values = {"architecture": architecture, "data": folder / "data", "size": options.size, "batch": BATCH, "workers": options.workers}
    path = folder / f"{name}.yml"
    path.write_text((COMMON + text).format(**values), encoding="utf-8")
    return path


def write_boards(folder: Path, size: int) -> None:
    """images/ and boards.json, all with defects (ppdet leaves out images without)."""
    (folder / "images").mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(IMAGES):
        sample = generate(0, "train", number, size)
        if len(sample.boxes) == 0:
            continue
        Image.fromarray(sample.pixels).save(folder / "images" / f"{number}.png")
        images.append({"id": number + 1, "file_name": f"{number}.png", "width": size, "height": size})
        for (x1, y1, x2, y2), label in zip(sample.boxes.tolist(), sample.classes.tolist(), strict=True):
            box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": number + 1, "category_id": label + 1, **box})
    categories = [{"id": number + 1, "name": label} for number, label in enumerate(CLASSES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "boards.json").write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
