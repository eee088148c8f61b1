"""Images a second of training against a plain loop around the same model of transformers: same weights, images, threads and AdamW.

    python -m benchmarks.transformers_step configs/transformers/rt_detr_v2_small.yml [--batch 8] [--threads 2] [--pairs 20]

Ours is the loop's real step with what the loop does around it (learning rate, finite check, log meter). The other is the library's own
loop: the model is given images and labels and returns its loss, a finite check, backward, clip_grad_norm_, AdamW, zero_grad. Both get the
same batches from memory. For pairs, interval and exit code see `benchmarks.training_step`.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
import transformers

from benchmarks.training_step import REQUIRED, endless, make_data, our_steps, peer, report, timed, timed_pair
from runner.backends.torch import schema
from runner.backends.torch.device import prepare
from runner.backends.torch.models.base import build_model
from runner.backends.torch.models.transformers_detector.network import TransformersNetwork
from runner.backends.torch.models.transformers_detector.targets import labels_of
from runner.backends.torch.reader import load_training_data, training_steps
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.transforms import schema as transforms
from runner.resolve import resolve

CLASSES = 6
CLIP = 0.1


def main() -> int:
    """Run the benchmark; 0 if it meets its requirement."""
    options = parse()
    config = make_config(options)
    prepare(config)
    print(
        f"{options.config.name}: {options.batch} images of {options.size} px a step, {options.threads} threads; torch {torch.__version__}, "
        f"transformers {transformers.__version__}; load average {os.getloadavg()[0]:.1f} before the start"
    )
    with ExitStack() as stack:
        ours, _ = our_steps(config, False, stack)
        theirs = stack.enter_context(peer(their_steps, options))
        timed(ours, 3)
        theirs(3)
        pairs = [timed_pair(ours, theirs, options.steps, first_ours=number % 2 == 0) for number in range(options.pairs)]
    return report(pairs, options.batch * options.steps, REQUIRED[None], "plain loop")


def parse() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="a config of a TransformersDetector")
    parser.add_argument("--size", type=int, default=128, help="side of the square images in pixels")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=1, help="steps of each in a pair")
    return parser.parse_args()


def make_config(options: argparse.Namespace) -> TorchConfig:
    """Put the detector of the config on the benchmark's data, without what only one of the two loops does."""
    detector = resolve(options.config, ["use_gpu=false"], to_run=False).config.architecture
    files = schema.COCODataSet(dataset_dir=str(make_data(options.size)), image_dir="images", anno_path="train.json")
    resize = transforms.Resize(target_size=options.size, keep_ratio=False)
    sample = (transforms.Decode(), resize, transforms.NormalizeImage(), transforms.Permute())
    config = TorchConfig(
        architecture=replace(detector, backbone_lr_mult=1.0, norm_decay=True),
        num_classes=CLASSES,
        train_dataset=files,
        eval_dataset=files,
        train_reader=schema.TrainReader(
            sample_transforms=sample, batch_transforms=(), batch_size=options.batch, shuffle=False, num_classes=CLASSES
        ),
        eval_reader=schema.EvalReader(sample_transforms=sample, num_classes=CLASSES),
        learning_rate=schema.LearningRate(base_lr=1e-4, schedulers=(schema.CosineDecay(use_warmup=False),)),
        optimizer_builder=schema.OptimizerBuilder(optimizer=schema.AdamW(), regularizer=None, clip_grad_by_norm=CLIP),
    )
    return replace(config, epoch=10**6, worker_num=0, use_gpu=False, cpu_threads=options.threads)


def their_steps(options: argparse.Namespace) -> Callable[[], None]:
    """Return a function that makes the plain loop's next step."""
    config = make_config(options)
    torch.manual_seed(0)
    detector = build_model(config).train()
    assert isinstance(detector, TransformersNetwork)
    model = detector.network
    del model._loss_function  # the library's own, not what ours puts around it
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0.01)
    data = load_training_data(config)
    kept = []
    with training_steps(config, data, 0) as steps:
        for _ in range(data.steps_per_epoch):
            batch = next(steps)[0].to_batch(torch.device("cpu"))
            inputs = detector._inputs(batch)
            kept.append((inputs.images, inputs.mask, labels_of(batch, inputs.extents)))
    batches = endless(kept)

    def run() -> None:
        images, mask, labels = next(batches)
        loss = model(pixel_values=images, pixel_mask=mask, labels=labels).loss
        if not math.isfinite(loss.item()):
            raise SystemExit("the plain loop's loss is not finite")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()

    return run


if __name__ == "__main__":
    raise SystemExit(main())
