"""Training on small real data: exactness across resumes, and every way a run can end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from runner.backends.base import ImageRef
from runner.backends.torch import loop, reader, schema
from runner.backends.torch.backend import TorchBackend
from runner.backends.torch.checkpoint import read_newest, read_state, write_state
from runner.backends.torch.models.base import build_model
from runner.backends.torch.models.fcos import schema as fcos
from runner.backends.torch.models.layers.schema import Timm
from runner.backends.torch.models.torchvision_detector.schema import TorchvisionDetector
from runner.backends.torch.schema import TorchConfig
from runner.backends.torch.transforms import schema as transforms
from runner.core.errors import InputError, Interrupted, TrainingFailed
from runner.data.images import read_image
from runner.store.checkpoints import CheckpointFolder
from runner.training.common_config import EarlyStop

Config = Callable[..., TorchConfig]
NewRun = Callable[..., Any]
FAST = {"train/images_per_s", "resource/memory_gib"}
"""Tags that no two runs have in common."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def train(config: TorchConfig, run: Any) -> Any:
    TorchBackend().train(config, run)
    return run


def weights(run: Any) -> dict[str, Tensor]:
    state = read_state(run.run_dir.checkpoints / "last.pt")
    flat = {f"model.{name}": value for name, value in state["model"].items()}
    for group, values in state["optimizer"]["state"]["state"].items():
        flat.update({f"optimizer.{group}.{name}": torch.as_tensor(value) for name, value in values.items() if value is not None})
    if state["ema"] is not None:
        flat.update({f"ema.{name}": value for name, value in state["ema"]["average"].items()})
    return flat


def assert_same_bits(left: Any, right: Any) -> None:
    one, other = weights(left), weights(right)
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert left.evaluations[-1] == right.evaluations[-1]


def lasting(*runs: Any) -> list[tuple[int, dict[str, float]]]:
    """The records of attempts at one run that count, without what is superseded and without measured times."""
    kept: list[tuple[int, dict[str, float]]] = []
    for run in runs:
        kept = [record for record in kept if record[0] <= run.marks[0][0]]
        kept += [(step, {tag: value for tag, value in values.items() if tag not in FAST}) for step, _, values in run.records]
    return kept


@pytest.mark.parametrize("workers", [0, 2])
def test_two_epochs_are_one_and_one_resumed(config: Config, new_run: NewRun, workers: int) -> None:
    here = config(epoch=2, worker_num=workers, use_ema=True)
    straight = train(here, new_run("straight"))
    first = new_run("parts", stop_at=5)
    with pytest.raises(Interrupted, match="asked to"):
        train(here, first)
    second = train(here, new_run("parts", attempt=2, resume_from=first.run_dir.checkpoints))
    assert second.marks == [(5, 1.0)]
    assert_same_bits(straight, second)
    assert lasting(first, second) == lasting(straight)


def test_epoch_1_then_a_longer_training(config: Config, new_run: NewRun) -> None:
    straight = train(config(epoch=2), new_run("straight"))
    short = train(config(epoch=1), new_run("parts"))
    longer = train(config(epoch=2), new_run("longer", resume_from=short.run_dir.checkpoints / "last.pt"))
    assert longer.marks == [(5, 1.0)]
    assert_same_bits(straight, longer)


def test_the_same_config_twice_and_another_seed(config: Config, new_run: NewRun) -> None:
    one, other = train(config(), new_run("one")), train(config(), new_run("other"))
    assert_same_bits(one, other)
    third = train(config(seed=1), new_run("third"))
    assert not torch.equal(weights(one)["model.backbone.conv1.weight"], weights(third)["model.backbone.conv1.weight"])


def test_stopped_early_and_resumed_before_it(config: Config, new_run: NewRun) -> None:
    stop = EarlyStop(metric="bbox/AP@0.33", patience=2)  # which is never there
    here = config(epoch=4, snapshot_iter=3, eval_at_snapshot=True, early_stop=stop, worker_num=1)
    straight = train(here, new_run("straight"))
    assert [(step, final) for step, final, _ in straight.evaluations] == [(3, False), (6, True)]
    assert straight.said[-1].startswith("stopped early after step 6 of 20: bbox/AP@0.33 did not improve in 2 evaluations")
    assert CheckpointFolder(straight.run_dir.checkpoints).entries()[-1].finished
    first = new_run("parts", stop_at=4)
    with pytest.raises(Interrupted):
        train(here, first)
    second = train(here, new_run("parts", attempt=2, resume_from=first.run_dir.checkpoints))
    assert second.marks == [(4, 0.8)] and [step for step, _, _ in second.evaluations] == [6]
    assert_same_bits(straight, second)


@pytest.mark.parametrize("stop_at", [3, 7])
def test_stopped_inside_an_epoch_and_gone_on(config: Config, new_run: NewRun, stop_at: int) -> None:
    here = config(epoch=2, log_iter=100)
    straight = train(here, new_run("straight"))
    first = new_run("parts", stop_at=stop_at)
    with pytest.raises(Interrupted):
        train(here, first)
    second = train(here, new_run("parts", attempt=2, resume_from=first.run_dir.checkpoints / "last.pt"))
    assert second.marks[0][0] == stop_at
    assert_same_bits(straight, second)


def test_records(config: Config, new_run: NewRun) -> None:
    run = train(
        config(epoch=2, log_iter=2, eval_at_snapshot=True, optimizer_builder=schema.OptimizerBuilder(clip_grad_by_norm=1.0)), new_run()
    )
    assert [step for step, _, _ in run.records] == [2, 4, 5, 6, 8, 10]
    assert [(step, final) for step, final, _ in run.evaluations] == [(5, False), (10, True)]
    assert run.marks == [(0, 0.0)]
    assert [round(epoch, 6) for _, epoch, _ in run.records] == [0.4, 0.8, 1.0, 1.2, 1.6, 2.0]
    expected = {"train/loss", "train/loss_cls", "train/loss_box", "train/loss_centerness", "train/lr", "train/grad_norm", *FAST}
    assert all(set(values) == expected for _, _, values in run.records)
    assert run.steps == sorted(run.steps) and run.steps[-1] == 10
    assert {item["category_id"] for _, _, items in run.evaluations for item in items} <= {0, 1}
    assert {item["image_id"] for item in run.evaluations[-1][2]} <= {100 + number for number in range(8)}


@pytest.mark.parametrize("use_ema", [False, True])
def test_stopped_in_an_evaluation(config: Config, new_run: NewRun, use_ema: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    here = config(epoch=2, eval_at_snapshot=True, use_ema=use_ema)
    straight = train(here, new_run("straight"))
    first = new_run("parts")
    real = loop.predict

    def stopping(*args: Any, **kwargs: Any) -> Any:
        first.stop_at = 0
        return real(*args, **kwargs)

    monkeypatch.setattr(loop, "predict", stopping)
    with pytest.raises(Interrupted):
        train(here, first)
    monkeypatch.undo()
    assert first.evaluations == []
    second = train(here, new_run("parts", attempt=2, resume_from=first.run_dir.checkpoints))
    assert second.marks[0][0] == 4
    assert [step for step, _, _ in second.evaluations] == [5, 10]
    assert_same_bits(straight, second)
    assert lasting(first, second) == lasting(straight)


def test_killed_in_the_final_evaluation_only_evaluates(config: Config, new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = train(config(), new_run("straight"))
    first = new_run("parts", die_evaluating=True)
    with pytest.raises(AssertionError, match="killed"):
        train(config(), first)
    monkeypatch.setattr(loop.TrainStep, "__call__", lambda *_: pytest.fail("there is nothing left to train"))
    second = train(config(), new_run("parts", attempt=2, resume_from=first.run_dir.checkpoints))
    assert second.marks[0][0] == 4
    assert lasting(first, second) == lasting(straight)
    assert second.evaluations == straight.evaluations


def test_a_damaged_last_checkpoint_falls_back(config: Config, new_run: NewRun) -> None:
    here = config(epoch=3, snapshot_iter=3)
    straight = train(here, new_run("straight"))
    first = new_run("parts", stop_at=8)
    with pytest.raises(Interrupted):
        train(here, first)
    newest = first.run_dir.checkpoints / "step-00000008.pt"
    newest.write_bytes(newest.read_bytes()[:-1000])
    second = train(here, new_run("parts", attempt=2, resume_from=first.run_dir.checkpoints))
    assert any("step-00000008.pt cannot be used" in line for line in second.said)
    assert any("step-00000006.pt" in line and "resuming from" in line for line in second.said)
    assert second.marks[0][0] == 6
    assert_same_bits(straight, second)


def test_no_whole_checkpoint_is_an_error(config: Config, new_run: NewRun) -> None:
    first = train(config(), new_run())
    for file in first.run_dir.checkpoints.glob("*.pt"):
        file.write_bytes(b"PK" + bytes(100))
    with pytest.raises(InputError, match="no checkpoint of .* is intact"):
        train(config(), new_run(resume_from=first.run_dir.checkpoints))


def test_a_run_ended_before_its_first_checkpoint_starts_anew(config: Config, new_run: NewRun) -> None:
    run = new_run(attempt=2)
    run.resume_from = run.run_dir.checkpoints
    train(config(), run)
    assert run.marks == [(0, 0.0)]
    assert any("starting anew" in line for line in run.said)


def test_a_checkpoint_of_another_model(config: Config, new_run: NewRun) -> None:
    here = config()
    other = train(here, new_run("other"))
    wider = replace(here.architecture.neck, out_channel=64)
    head = replace(here.architecture.fcos_head, fcos_feat=fcos.FCOSFeat(feat_in=64, feat_out=64, num_convs=1))
    changed = config(architecture=replace(here.architecture, neck=wider, fcos_head=head))
    with pytest.raises(InputError, match="another model") as caught:
        train(changed, new_run(resume_from=other.run_dir.checkpoints / "last.pt"))
    assert "architecture.neck.out_channel: 32 in the checkpoint, 64 here" in str(caught.value)
    assert "(32, 128, 1, 1) in the checkpoint, (64, 128, 1, 1) here" in str(caught.value)
    with pytest.raises(InputError, match="another model"):
        TorchBackend().predictor(changed, other.run_dir.path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"use_ema": True}, "moving average"),
        ({"seed": 4}, "seed 0 there and 4 here"),
        ({"optimizer_builder": schema.OptimizerBuilder(optimizer=schema.Adam())}, "Adam"),
        ({"epoch": None, "max_iters": 3}, "is at step 5, this config ends at 3"),
    ],
)
def test_a_checkpoint_that_cannot_be_continued_exactly(config: Config, new_run: NewRun, changes: dict[str, Any], words: str) -> None:
    other = train(config(), new_run("other"))
    with pytest.raises(InputError, match=words):
        train(config(**changes), new_run(resume_from=other.run_dir.checkpoints / "last.pt"))


@pytest.mark.parametrize("text", [b"", b"not a checkpoint", b"PK\x03\x04" + bytes(60)])
def test_a_file_that_is_no_checkpoint(config: Config, new_run: NewRun, tmp_path: Path, text: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(text)
    with pytest.raises(InputError, match="x.pt"):
        train(config(), new_run(resume_from=tmp_path / "x.pt"))


def test_a_loss_that_is_not_finite(config: Config, new_run: NewRun) -> None:
    schedulers = (schema.PiecewiseDecay(gamma=(1e12,), milestone_iters=(6,), use_warmup=False),)
    run = new_run()
    with pytest.raises(TrainingFailed, match=r"loss of step \d+ is not finite") as caught:
        train(config(epoch=4, learning_rate=schema.LearningRate(base_lr=0.01, schedulers=schedulers)), run)
    assert "bild " in str(caught.value)
    assert "step-00000005.pt (step 5)" in str(caught.value)
    assert all(torch.isfinite(value).all() for value in weights(run).values())


def test_weights_that_are_not_finite_are_not_saved(config: Config, new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    real = loop.TrainStep.__call__

    def poisoned(self: Any, *args: Any) -> Any:
        result = real(self, *args)
        next(self.model.parameters()).data.fill_(float("nan"))
        return result

    monkeypatch.setattr(loop.TrainStep, "__call__", poisoned)
    run = new_run()
    with pytest.raises(TrainingFailed, match="after step 1 weights are not finite"):
        train(config(snapshot_iter=1), run)
    assert list(run.run_dir.checkpoints.glob("*.pt")) == []


def test_on_a_gpu_the_bad_step_is_found_at_the_next_record() -> None:
    check = loop.FiniteCheck(torch.device("cpu"))
    check._at_once = False
    for step, loss in enumerate((1.0, float("inf"), float("nan"), 2.0)):
        assert check.add(step, torch.tensor(loss), (f"{step}.png",)) is None
    assert check.result() == (1, ("1.png",))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory."),
    ],
)
def test_out_of_memory(config: Config, new_run: NewRun, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*_: Any) -> None:
        raise error

    monkeypatch.setattr(loop.TrainStep, "__call__", full)
    with pytest.raises(TrainingFailed, match=r"out of memory in step 1 with batch_size 4: this process holds .* GiB"):
        train(config(), new_run())


def test_a_read_only_run_directory_is_found_before_training(config: Config, new_run: NewRun) -> None:
    run = new_run()
    run.run_dir.checkpoints.write_text("a file is in the way")
    with pytest.raises(InputError, match="checkpoints"):
        train(config(), run)


def test_accumulated_batches_make_the_gradient_of_their_mean(config: Config) -> None:
    frozen = config(gradient_accumulation=2)
    frozen = replace(frozen, architecture=replace(frozen.architecture, backbone=replace(frozen.architecture.backbone, freeze_norm=True)))
    frozen = replace(
        frozen,
        train_reader=replace(frozen.train_reader, batch_size=2),
        optimizer_builder=schema.OptimizerBuilder(optimizer=schema.Momentum(momentum=0.0), regularizer=None),
    )
    head = replace(frozen.architecture.fcos_head, fcos_feat=replace(frozen.architecture.fcos_head.fcos_feat, norm_type="gn"))
    frozen = replace(frozen, architecture=replace(frozen.architecture, fcos_head=head))
    data = reader.load_training_data(frozen)
    with reader.training_steps(frozen, data, 0) as steps:
        batches = next(steps)
    torch.manual_seed(0)
    step = loop.TrainStep(build_model(frozen), frozen, torch.device("cpu"))
    before = {name: value.detach().clone() for name, value in step.model.named_parameters()}
    expected = {name: torch.zeros_like(value) for name, value in before.items()}
    for packed in batches:
        step.model.zero_grad()
        step.model(packed.to_batch(torch.device("cpu")))["loss"].backward()
        for name, value in step.model.named_parameters():
            expected[name] += 0 if value.grad is None else value.grad / 2
    step.model.zero_grad()
    result = step(batches, 0.01)
    assert set(result.losses) == {"loss", "loss_cls", "loss_box", "loss_centerness"}
    for name, value in step.model.named_parameters():
        torch.testing.assert_close(value.detach(), before[name] - 0.01 * expected[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"amp": True},
        {"channels_last": True},
        {"gradient_checkpointing": True, "amp": True},
        {"optimizer_builder": schema.OptimizerBuilder(optimizer=schema.AdamW())},
        {"gradient_accumulation": 2},
    ],
)
def test_variants_train_and_resume(config: Config, new_run: NewRun, changes: dict[str, Any]) -> None:
    trained_and_resumed(config(epoch=2, **changes), new_run)


@pytest.mark.parametrize("model", ["FasterRCNN", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("RetinaNet", "FCOS"))])
def test_a_model_that_draws_random_numbers_resumes_too(model: Any, config: Config, new_run: NewRun) -> None:
    """torchvision's samplers draw from torch's generator; with everything on that a run may have."""
    backbone = Timm(name="resnet10t", out_indices=(2, 3))
    arguments = {"box_batch_size_per_image": 16} if model == "FasterRCNN" else {}
    plain = config(use_ema=True, amp=True, channels_last=True, gradient_accumulation=2, epoch=2)
    here = replace(
        plain,
        architecture=TorchvisionDetector(model=model, backbone=backbone, out_channels=32, arguments=arguments),
        train_reader=replace(plain.train_reader, batch_transforms=(transforms.PadBatch(pad_to_stride=32),)),
    )
    assert not TorchBackend().check(here)
    trained_and_resumed(here, new_run)


def trained_and_resumed(here: TorchConfig, new_run: NewRun) -> None:
    """The bits are the same whether a training is stopped and resumed or not."""
    straight = train(here, new_run("straight"))
    first = new_run("parts", stop_at=2)
    with pytest.raises(Interrupted):
        train(here, first)
    assert_same_bits(straight, train(here, new_run("parts", attempt=2, resume_from=first.run_dir.checkpoints)))


def test_predictions_are_those_of_the_evaluation(config: Config, new_run: NewRun, data: Path) -> None:
    here = config(use_ema=True, epoch=2)
    run = train(here, new_run())
    images = reader.evaluation_images(here)
    seen: list[tuple[int, int]] = []
    for source in (run.run_dir.path, run.run_dir.checkpoints / "last.pt"):
        predictor = TorchBackend().predictor(here, source)
        assert predictor.predict(images, lambda done, total: seen.append((done, total))) == run.evaluations[-1][2]
    assert seen[:3] == [(3, 8), (6, 8), (8, 8)]
    without_size = [ImageRef(image.id, image.path) for image in images]
    assert TorchBackend().predictor(here, run.run_dir.path).predict(without_size) == run.evaluations[-1][2]
    read = [ImageRef(image.id, Path("frame"), pixels=read_image(image.path)) for image in images]
    assert TorchBackend().predictor(here, run.run_dir.path, batch_size=3).predict(read) == run.evaluations[-1][2]
    with pytest.raises(InputError, match="no TestReader"):
        TorchBackend().predictor(here, run.run_dir.path, reader="TestReader")


def test_a_flipped_bit_is_found_when_predicting_too(config: Config, new_run: NewRun) -> None:
    run = train(config(), new_run())
    flip_a_bit(run.run_dir.checkpoints / "step-00000005.pt")  # in place: last.pt and best.pt are the same file
    for name in ("last.pt", "best.pt", "step-00000005.pt"):
        with pytest.raises(InputError, match=f"{name} is damaged"):
            TorchBackend().predictor(config(), run.run_dir.checkpoints / name)


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_the_file_that_is_read_is_checked_where_a_copied_run_has_it_twice(config: Config, new_run: NewRun, tmp_path: Path) -> None:
    run = train(config(), new_run())
    folder = shutil.copytree(run.run_dir.checkpoints, tmp_path / "kopie é")  # as cp -r: last.pt is no link any more
    newest, last, best = folder / "step-00000005.pt", folder / "last.pt", folder / "best.pt"
    assert not last.samefile(newest)
    flip_a_bit(last)
    with pytest.raises(InputError, match=r"last\.pt is damaged.*step-00000005\.pt is intact"):
        TorchBackend().predictor(config(), last)
    for whole in (best, newest, folder):
        assert TorchBackend().predictor(config(), whole).predict([]) == []
    flip_a_bit(newest)  # that of the folder is damaged now, best.pt is not: what is named is what counts
    assert TorchBackend().predictor(config(), best).predict([]) == []
    with pytest.raises(InputError, match=r"last\.pt is damaged") as caught:
        TorchBackend().predictor(config(), last)
    assert "is intact" not in str(caught.value)
    last.unlink()
    with pytest.raises(InputError, match=r"checkpoint .*last\.pt does not exist"):
        TorchBackend().predictor(config(), last)


def test_going_on_from_a_damaged_copy_says_which_file_is_read(config: Config, new_run: NewRun, tmp_path: Path) -> None:
    run = train(config(), new_run())
    folder = shutil.copytree(run.run_dir.checkpoints, tmp_path / "copy")
    said: list[str] = []
    assert read_newest(folder / "last.pt", said.append)[1].step == 5
    assert said == []
    flip_a_bit(folder / "last.pt")
    _, entry, state = read_newest(folder / "last.pt", said.append)
    assert entry.step == state["step"] == 5
    assert len(said) == 2 and "last.pt cannot be used" in said[0] and "step-00000005.pt (step 5)" in said[1]


@pytest.mark.parametrize("part", [0.0, 0.5, 0.999])
def test_a_cut_off_checkpoint_is_told_in_our_words_alone(config: Config, tmp_path: Path, part: float) -> None:
    file = tmp_path / "x.pt"
    with open(file, "wb") as target:
        write_state({"model": {"weight": torch.zeros(100_000)}})(target)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * part)])
    with pytest.raises(InputError) as caught:
        TorchBackend().predictor(config(), file)
    assert str(caught.value) == f"checkpoint {file} is damaged, incomplete, or not a checkpoint of this program"


SCRIPT = """
import signal, sys, importlib.util
from dataclasses import replace
from pathlib import Path
spec = importlib.util.spec_from_file_location("support", sys.argv[1]); support = importlib.util.module_from_spec(spec)
sys.modules["support"] = support; spec.loader.exec_module(support)
from runner.backends.torch.backend import TorchBackend
from runner.core.errors import Interrupted
run = support.Remembering(support.RunDir(Path(sys.argv[3])))
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append("SIGTERM"))
run.stop_requested = lambda: asked[0] if asked else None
real = run.progress
def progress(step, *rest, **more):
    real(step, *rest, **more)
    print(step, flush=True)
run.progress = progress
try:
    TorchBackend().train(support.small_config(Path(sys.argv[2]), epoch=40, worker_num=2), run)
except Interrupted as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
"""


@pytest.mark.slow
def test_sigterm_to_the_process_group_saves_and_a_resume_is_exact(config: Config, new_run: NewRun, data: Path, tmp_path: Path) -> None:
    run = new_run("parts")
    support = Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", SCRIPT, str(support), str(data), str(run.run_dir.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "7":
                os.killpg(process.pid, signal.SIGTERM)  # as a terminal's Ctrl-C: the data workers get it too
        assert process.wait(timeout=60) == 130
    stopped = read_state(run.run_dir.checkpoints / "last.pt")["step"]
    assert 7 <= stopped < 40
    straight = train(config(epoch=4), new_run("straight"))
    assert_same_bits(straight, train(config(epoch=4), new_run("parts", attempt=2, resume_from=run.run_dir.checkpoints)))


def relist(folder: Path, names: list[str]) -> None:
    """Give the categories of train.json other names, in the order of their numbers."""
    document = json.loads((folder / "train.json").read_text(encoding="utf-8"))
    for category, name in zip(document["categories"], names, strict=True):
        category["name"] = name
    (folder / "train.json").write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(
    ("names", "words"),
    [(["spur", "short"], "in the order short, spur there and spur, short here"), (["short", "hole"], "only in the file: spur")],
)
def test_a_run_does_not_go_on_with_other_classes(
    config: Config, new_run: NewRun, data: Path, tmp_path: Path, names: Any, words: str
) -> None:
    moved = Path(shutil.copytree(data, tmp_path / "data"))
    changes = {name: replace(getattr(config(), name), dataset_dir=str(moved)) for name in ("train_dataset", "eval_dataset")}
    first = new_run(stop_at=2)
    with pytest.raises(Interrupted):
        train(config(**changes), first)
    last = first.run_dir.checkpoints / "last.pt"
    assert TorchBackend().class_names(last) == ("short", "spur")
    relist(moved, names)
    with pytest.raises(InputError, match=f"other classes .*{words}.*pretrain_weights="):
        train(config(**changes), new_run(attempt=2, resume_from=first.run_dir.checkpoints))


def test_a_checkpoint_of_an_older_version_has_no_names_and_goes_on(config: Config, new_run: NewRun) -> None:
    straight = train(config(), new_run("straight"))
    first = new_run(stop_at=2)
    with pytest.raises(Interrupted):
        train(config(), first)
    folder = first.run_dir.checkpoints
    state = read_state(folder / "last.pt")
    del state["classes"]
    for file in [*folder.glob("*.pt"), folder / "index.json"]:
        file.unlink()
    with open(folder / "step-00000002.pt", "wb") as file:
        write_state(state)(file)
    assert TorchBackend().class_names(folder / "step-00000002.pt") == ()
    assert_same_bits(straight, train(config(), new_run(attempt=2, resume_from=folder)))
