"""Images a second of training against a plain torchvision FCOS loop: same backbone, image size, batch, threads and SGD.

    python -m benchmarks.training_step [--amp auto] [--size 320] [--batch 2] [--depth 18] [--threads 2] [--pairs 20] [--reader] [--profile]

Both train FCOS with five levels of 256 channels and four convolutions a tower on a ResNet whose batch norm, stem and first stage are
frozen (torchvision's fcos_resnet50_fpn). Ours is the loop's real step with what the loop does around it (learning rate, finite check, log
meter); theirs is forward, sum of losses, a finite check as in torchvision's own training script, backward, SGD.

Without --reader both get the same images and boxes from memory, normalised in advance, so that only the step is timed; torchvision's own
resizing is switched off (it would find nothing to do, and is not free). With --reader both decode the same PNG files, mirror half of them,
resize and normalise, in the training process.

Ours is in single precision with `--amp off`, in bfloat16 with `--amp bfloat16`; by default as `amp: true` with `amp_dtype: auto` would
have it on this machine (see `runner.backends.torch.amp`). Theirs is in single precision, as the plain loop is.

Runs come in pairs, each in a process of its own, one waiting while the other runs, changing order, so that whatever
else the machine does slows both. The ratio stands last: geometric mean of the pairs, and the lower bound of its 95 %
interval (Student's t on the logarithms). Required are a mean of 1.0 and a bound of 0.97 in single precision, 1.3 and 1.2 in bfloat16; exit
code 1 if it is less.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.fcos import FCOS
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.transforms.v2 import functional as F

from runner.backends.torch import amp, schema
from runner.backends.torch.device import prepare
from runner.backends.torch.meter import FiniteCheck, TorchMeter
from runner.backends.torch.models.base import build_model
from runner.backends.torch.models.fcos import schema as fcos
from runner.backends.torch.models.layers import schema as layers
from runner.backends.torch.reader import load_training_data, training_steps
from runner.backends.torch.samples import PackedBatch
from runner.backends.torch.schedule import learning_rate
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.step import TrainStep
from runner.backends.torch.transforms import schema as transforms
from runner.stats.intervals import student_t_quantile

REQUIRED = {None: (1.0, 0.97), "bfloat16": (1.3, 1.2)}
"""Number format of amp to the required mean and lower bound."""
CLASSES, IMAGES, BOXES, SEED = 6, 16, 6, 0
RATE = 0.001
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Target = dict[str, Tensor]


def main() -> int:
    """Run the benchmark; 0 if it meets its requirement."""
    options = parse()
    if options.amp == "auto":
        choice = amp.choose(gpu=False, threads=options.threads)
        options.amp = choice.dtype
        print(f"amp_dtype: auto is {choice.dtype or 'single precision'} ({choice.why})")
    config = make_config(make_data(options.size), options)
    prepare(config)
    print(
        f"FCOS ResNet-{options.depth} FPN, {options.batch} images of {options.size} px a step, {options.threads} threads, "
        f"{options.amp or 'single precision'}, {'with' if options.reader else 'without'} reader; torch {torch.__version__}, "
        f"torchvision {torchvision.__version__}; load average {os.getloadavg()[0]:.1f} before the start"
    )
    with ExitStack() as stack:
        ours, step = our_steps(config, options.reader, stack)
        theirs = stack.enter_context(peer(prepare_torchvision, options))
        timed(ours, 3)
        theirs(3)
        pairs = [timed_pair(ours, theirs, options.steps, first_ours=number % 2 == 0) for number in range(options.pairs)]
        if options.profile:
            print_profile(ours, step)
    return report(pairs, options.batch * options.steps, REQUIRED[options.amp])


def parse() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--amp", type=amp_option, default="auto", help="auto, off or bfloat16: ours in this number format")
    parser.add_argument("--size", type=int, default=320, help="side of the square images in pixels")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--depth", type=int, default=18, choices=(18, 34, 50, 101))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=1, help="steps of each in a pair")
    parser.add_argument("--reader", action="store_true", help="read the images from files, in both")
    parser.add_argument("--channels-last", action="store_true", help="ours with channels_last: true")
    parser.add_argument("--profile", action="store_true", help="where the time of our step goes")
    return parser.parse_args()


def amp_option(text: str) -> str | None:
    """Return auto, bfloat16, or None for off."""
    if text not in ("auto", "off", "bfloat16"):
        raise argparse.ArgumentTypeError("expected auto, off or bfloat16")
    return None if text == "off" else text


def report(pairs: list[tuple[float, float]], images: int, required: tuple[float, float], peer: str = "torchvision") -> int:
    """Print images a second and the ratio; the exit code.

    Args:
        pairs: seconds of ours and of theirs.
        images: of each in a pair.
        required: mean ratio and lower bound.
        peer: the other's name.
    """
    for name, seconds in (("ours", [pair[0] for pair in pairs]), (peer, [pair[1] for pair in pairs])):
        print(f"{name}: median {statistics.median(seconds):.3f} s, {images / statistics.median(seconds):.2f} images/s")
    logs = [math.log(theirs / ours) for ours, theirs in pairs]
    mean, error = statistics.fmean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
    low, high = (math.exp(mean + sign * student_t_quantile(0.975, len(logs) - 1) * error) for sign in (-1, 1))
    met = math.exp(mean) >= required[0] and low >= required[1]
    print(
        f"images/s, ours / {peer}'s: {math.exp(mean):.3f}, 95 % interval {low:.3f} to {high:.3f}, {len(pairs)} pairs "
        f"(required {required[0]:g}, lower bound {required[1]:g}: {'reached' if met else 'not reached'})"
    )
    return 0 if met else 1


def timed_pair(ours: Callable[[], None], theirs: Callable[[int], float], steps: int, *, first_ours: bool) -> tuple[float, float]:
    """Seconds of `steps` steps of each, one after the other."""
    if first_ours:
        return timed(ours, steps), theirs(steps)
    seconds = theirs(steps)
    return timed(ours, steps), seconds


def timed(run: Callable[[], None], steps: int) -> float:
    """Seconds of `steps` steps."""
    start = time.perf_counter()
    for _ in range(steps):
        run()
    return time.perf_counter() - start


# --------------------------------------------------------------------------------------------------------------- ours
def our_steps(config: TorchConfig, with_reader: bool, stack: ExitStack) -> tuple[Callable[[], None], TrainStep]:
    """Return a function that makes our next step, and what it steps."""
    torch.manual_seed(SEED)
    step = TrainStep(build_model(config), config, torch.device("cpu"))
    data = load_training_data(config)
    batches: Iterator[list[PackedBatch]] = stack.enter_context(training_steps(config, data, 0))
    if not with_reader:
        kept = [next(batches) for _ in range(data.steps_per_epoch)]
        batches = (kept[number % len(kept)] for number in range(data.total_steps))
    numbers, meter, finite = iter(range(data.total_steps)), TorchMeter(), FiniteCheck(step.device)

    def run() -> None:
        number, now = next(numbers), next(batches)
        rate = learning_rate(config, number, data.steps_per_epoch)
        result = step(now, rate)
        finite.add(number, result.losses["loss"], now[0].names)
        meter.add_step(result, rate, len(now[0].names))

    return run, step


def make_config(data: Path, options: argparse.Namespace) -> TorchConfig:
    """FCOS as torchvision's fcos_resnet50_fpn has it, on `data`."""
    strides = (8, 16, 32, 64, 128)
    targets = fcos.Gt2FCOSTarget(object_sizes_boundary=(64.0, 128.0, 256.0, 512.0), center_sampling_radius=1.5, downsample_ratios=strides)
    sample = (
        transforms.Decode(),
        transforms.RandomFlip(),
        transforms.Resize(target_size=options.size, keep_ratio=False),
        transforms.NormalizeImage(mean=MEAN, std=STD),
        transforms.Permute(),
    )
    files = schema.COCODataSet(dataset_dir=str(data), image_dir="images", anno_path="train.json")
    schedulers = (schema.PiecewiseDecay(gamma=(0.1,), milestones=(10**6,)), schema.LinearWarmup(steps=1))
    config = TorchConfig(
        architecture=fcos.FCOS(
            backbone=layers.ResNet(depth=options.depth, return_idx=(1, 2, 3), freeze_at=0, freeze_norm=True),
            neck=layers.FPN(spatial_scales=(0.125, 0.0625, 0.03125), extra_stage=2, has_extra_convs=True, use_c5=False),
            fcos_head=fcos.FCOSHead(num_classes=CLASSES, fpn_stride=strides, fcos_feat=fcos.FCOSFeat(norm_type="gn")),
        ),
        num_classes=CLASSES,
        train_dataset=files,
        eval_dataset=files,
        train_reader=schema.TrainReader(
            sample_transforms=sample,
            batch_transforms=(transforms.PadBatch(pad_to_stride=32), targets),
            batch_size=options.batch,
            num_classes=CLASSES,
        ),
        eval_reader=schema.EvalReader(sample_transforms=sample, num_classes=CLASSES),
        learning_rate=schema.LearningRate(base_lr=RATE, schedulers=schedulers),
        epoch=10**6,
        worker_num=0,
        use_gpu=False,
        cpu_threads=options.threads,
        channels_last=options.channels_last,
        amp=options.amp is not None,
        amp_dtype=options.amp,
    )
    return replace(config, seed=SEED)


# -------------------------------------------------------------------------------------------------------- torchvision
@contextmanager
def peer(prepare_peer: Callable[[argparse.Namespace], Callable[[], None]], options: argparse.Namespace) -> Iterator[Callable[[int], float]]:
    """Start the peer's loop in a process of its own; yield a function that makes so many steps there and returns their seconds.

    Args:
        prepare_peer: returns a function that makes the peer's next step; called there.
    """
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    process = processes.Process(target=serve_steps, args=(there, prepare_peer, options), daemon=True)
    process.start()

    def run(steps: int) -> float:
        here.send(steps)
        return float(here.recv())

    try:
        yield run
    finally:
        here.send(0)
        process.join()


def serve_steps(pipe: Connection, prepare_peer: Callable[[argparse.Namespace], Callable[[], None]], options: argparse.Namespace) -> None:
    """Run the peer's process: answer a number of steps by their seconds, until 0. Only the number of threads is set."""
    torch.set_num_threads(options.threads)
    run = prepare_peer(options)
    while steps := pipe.recv():
        pipe.send(timed(run, steps))


def prepare_torchvision(options: argparse.Namespace) -> Callable[[], None]:
    """Return a function that makes torchvision's next step, on the data and settings of ours."""
    return their_steps(make_config(make_data(options.size), options), options)


def their_steps(config: TorchConfig, options: argparse.Namespace) -> Callable[[], None]:
    """Return a function that makes torchvision's next step."""
    torch.manual_seed(SEED)
    backbone = resnet_fpn_backbone(
        backbone_name=f"resnet{options.depth}",
        weights=None,
        trainable_layers=3,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    in_size = {"min_size": options.size, "max_size": options.size}
    model = FCOS(backbone, num_classes=CLASSES, image_mean=MEAN, image_std=STD, _skip_resize=not options.reader, **in_size).train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=RATE, momentum=0.9, weight_decay=0.0001)
    batches = endless(their_batches(config, options.batch)) if options.reader else kept_batches(config, options)

    def run() -> None:
        images, targets = next(batches)
        losses = sum(model(images, targets).values())
        if not math.isfinite(losses.item()):
            raise SystemExit("torchvision's loss is not finite")
        optimizer.zero_grad()
        losses.backward()
        optimizer.step()

    return run


def kept_batches(config: TorchConfig, options: argparse.Namespace) -> Iterator[tuple[list[Tensor], list[Target]]]:
    """Yield the batches of our reader in torchvision's form; normalising again costs it as much as normalising once."""
    data = load_training_data(config)
    kept = []
    with training_steps(config, data, 0) as steps:
        for _ in range(data.steps_per_epoch):
            batch = next(steps)[0].to_batch(torch.device("cpu"))
            targets = [{"boxes": boxes, "labels": labels} for boxes, labels in zip(batch.boxes, batch.classes, strict=True)]
            kept.append(([image.contiguous() for image in batch.images], targets))
    return endless(kept)


def endless(batches: Any) -> Iterator[Any]:
    """Over and over."""
    while True:
        yield from batches


class Files(torch.utils.data.Dataset[tuple[Tensor, Target]]):
    """The same files in the way of torchvision's tutorials: PIL, tensor, mirror half of them. The model resizes and normalises."""

    def __init__(self, config: TorchConfig) -> None:
        self.sources = load_training_data(config).sources

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        source = self.sources[index]
        image = F.to_dtype(F.pil_to_tensor(Image.open(source.path).convert("RGB")), torch.float32, scale=True)
        boxes = torch.from_numpy(source.boxes.copy())
        if torch.rand(()) < 0.5:
            image, width = image.flip(-1), image.shape[-1]
            boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
        return image, {"boxes": boxes, "labels": torch.from_numpy(source.classes)}


def their_batches(config: TorchConfig, batch_size: int) -> torch.utils.data.DataLoader[Any]:
    """torchvision's batches, from files."""
    return torch.utils.data.DataLoader(
        Files(config), batch_size=batch_size, shuffle=True, drop_last=True, collate_fn=lambda batch: tuple(zip(*batch, strict=True))
    )


# --------------------------------------------------------------------------------------------------------------- data
def make_data(size: int) -> Path:
    """Noise with bright rectangles of six classes: images/ and train.json, made once. Images are a quarter larger than `size`."""
    folder = Path(tempfile.gettempdir()) / f"runner-benchmark-training-v1-{size}"
    if (folder / "train.json").is_file():
        return folder
    (folder / "images").mkdir(parents=True, exist_ok=True)
    random, side = np.random.default_rng(SEED), size * 5 // 4
    annotations: list[dict[str, Any]] = []
    for number in range(IMAGES):
        picture = random.integers(0, 90, (side, side, 3), dtype=np.uint8)
        for _ in range(BOXES):
            width, height = (int(length) for length in random.integers(side // 16, side // 4, 2))
            x, y, label = int(random.integers(side - width)), int(random.integers(side - height)), int(random.integers(CLASSES))
            picture[y : y + height, x : x + width] = (40 * label, 255 - 40 * label, 128)
            box = {"bbox": [x, y, width, height], "area": width * height, "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": number + 1, "category_id": label + 1, **box})
        Image.fromarray(picture).save(folder / "images" / f"{number}.png")
    images = [{"id": number + 1, "file_name": f"{number}.png", "width": side, "height": side} for number in range(IMAGES)]
    categories = [{"id": label + 1, "name": f"class {label + 1}"} for label in range(CLASSES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "train.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def print_profile(ours: Callable[[], None], step: TrainStep) -> None:
    """Print the time of our step by part, then by operator."""
    parts = {"backbone": step.model.backbone, "neck": step.model.neck, "head": step.model.fcos_head}
    for name, part in parts.items():
        mark(part, name)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        for _ in range(3):
            ours()
    print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=18, max_name_column_width=48))
    averages = {event.key: event for event in profiler.key_averages()}
    for name in parts:
        print(f"forward of the {name}: {averages[f'part: {name}'].cpu_time_total / 3e3:.1f} ms a step")


def mark(part: Any, name: str) -> None:
    """Let the profiler see a module's forward by name."""
    plain = part.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        with torch.profiler.record_function(f"part: {name}"):
            return plain(*args, **kwargs)

    part.forward = forward


if __name__ == "__main__":
    sys.exit(main())
