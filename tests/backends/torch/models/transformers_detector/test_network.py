"""The network is the library's: its values arrive, nothing is opened, and every parameter is treated as the config says."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.transformers_models import BASIC, SMALL, small_config

from runner.backends.torch import schema
from runner.backends.torch.models.transformers_detector.network import TransformersNetwork
from runner.backends.torch.models.transformers_detector.schema import TransformersDetector
from runner.backends.torch.transforms import schema as transforms
from runner.core.errors import InputError
from runner.core.importing import child_environment
from runner.testing.models import batch, built, config_for

Config = Callable[..., schema.TorchConfig]


def network(model: str, **changes: Any) -> TransformersNetwork:
    found = built(small_config(model, **changes))
    assert isinstance(found, TransformersNetwork)
    return found


@pytest.mark.parametrize("model", SMALL)
def test_values_arrive_in_the_librarys_config(model: str) -> None:
    config = network(model, config={"num_queries": 9, "dropout": 0.25}).network.config
    assert (config.num_queries, config.dropout, config.num_labels) == (9, 0.25, 3)
    backbone = config.backbone_config
    if model in ("lw_detr", "rf_detr"):
        assert (backbone.hidden_size, backbone.out_indices) == (32, [1, 2])
    else:
        assert backbone.hidden_sizes == [8, 16, 24, 32]
        assert backbone.out_indices == ([4] if model in ("detr", "conditional_detr", "dab_detr") else [2, 3, 4])


def test_building_and_training_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError(f"opened {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    network("rt_detr_v2").train()(batch())["loss"].backward()


@pytest.mark.slow
def test_importing_the_network_starts_no_thread_and_is_offline() -> None:
    code = (
        "import json, os; import runner.backends.torch.models.transformers_detector.network\n"
        "from huggingface_hub import constants\n"
        "print(json.dumps([len(os.listdir('/proc/self/task')), constants.HF_HUB_OFFLINE]))"
    )
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run([sys.executable, "-P", "-c", code], env=child_environment(one), check=True, capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [1, True]


def test_parameters_are_treated_as_the_config_says() -> None:
    config = {"freeze_backbone_batch_norms": False}
    settings = network("rt_detr_v2", config=config).parameter_settings()
    backbone = "network.model.backbone.model.embedder.embedder.0"
    assert (settings[f"{backbone}.convolution.weight"].lr_mult, settings[f"{backbone}.convolution.weight"].decay) == (0.1, True)
    norm = settings[f"{backbone}.normalization.weight"]
    assert (norm.lr_mult, norm.decay, norm.decoupled_decay) == (0.1, False, False)
    head = settings["network.model.enc_score_head.bias"]
    assert (head.lr_mult, head.decay, head.decoupled_decay) == (1.0, True, True)
    detector = TransformersDetector(model="rt_detr_v2", config=SMALL["rt_detr_v2"], backbone_lr_mult=1.0, norm_decay=True, bias_decay=False)  # type: ignore[arg-type]
    settings = built(config_for(detector)).parameter_settings()
    assert all(setting.lr_mult == 1.0 for setting in settings.values())
    assert settings[f"{backbone}.normalization.weight"].decay and not settings["network.model.enc_score_head.bias"].decay


def test_images_with_too_few_locations_are_refused() -> None:
    with pytest.raises(InputError, match="num_queries: is 70, but images of 32 x 64 have 42 locations"):
        network("rt_detr_v2", config={"num_queries": 70}).predict(batch(([],), ([],), (32, 64)))


def test_boxes_of_an_unpadded_image_are_relative_to_the_padded_one() -> None:
    detector = network("rt_detr_v2")
    inputs = detector._inputs(batch(([[0.0, 0.0, 32.0, 33.0]],), ([0],), (33, 40)))
    assert inputs.images.shape[-2:] == (64, 64) and inputs.extents.tolist() == [[64.0, 64.0]] and inputs.mask is None
    masked = network("detr")._inputs(batch(([[0.0, 0.0, 32.0, 33.0]],), ([0],), (33, 40)))
    assert masked.images.shape[-2:] == (33, 40) and masked.extents.tolist() == [[40.0, 33.0]]
    assert masked.mask is not None and bool(masked.mask.all())


@pytest.mark.parametrize("model", ["rt_detr_v2", pytest.param("deimv2", marks=pytest.mark.exhaustive), "detr"])
def test_a_run_that_is_resumed_gives_the_same_bits(model: str, config: Config, new_run: Callable[..., Any]) -> None:
    """With noise and dropout, an average of the weights, accumulated batches and another memory layout."""
    from runner.backends.torch.backend import TorchBackend
    from runner.backends.torch.checkpoint import read_state
    from runner.core.errors import Interrupted

    torch.set_num_threads(1)
    here = config(
        architecture=TransformersDetector(model=model, config={**SMALL[model], "dropout": 0.1}),  # type: ignore[arg-type]
        epoch=2,
        use_ema=True,
        gradient_accumulation=2,
        channels_last=True,
        optimizer_builder=schema.OptimizerBuilder(optimizer=schema.AdamW(), regularizer=None, clip_grad_by_norm=0.1),
    )
    reader = here.train_reader
    object.__setattr__(reader, "batch_transforms", (transforms.PadBatch(pad_to_stride=32),))
    straight, first = new_run("straight"), new_run("parts", stop_at=1)
    TorchBackend().train(here, straight)
    with pytest.raises(Interrupted):
        TorchBackend().train(here, first)
    second = new_run("parts", attempt=2, resume_from=first.run_dir.checkpoints)
    TorchBackend().train(here, second)
    one, other = (read_state(run.run_dir.checkpoints / "last.pt") for run in (straight, second))
    for part in (lambda state: state["model"], lambda state: state["ema"]["average"]):
        assert [name for name, value in part(one).items() if not torch.equal(value, part(other)[name])] == []
    assert straight.evaluations[-1] == second.evaluations[-1] and straight.evaluations[-1][2]


@pytest.mark.parametrize("model", ["rt_detr_v2", "d_fine", "detr", "conditional_detr"])
def test_weights_that_the_library_wrote_fit(model: str, tmp_path: Path) -> None:
    """The library writes the names that published files have, and what is shared once."""
    from runner.backends.torch.models.pretrained import load_pretrained

    source, target = network(model), network(model)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.add_(0.5)
    source.network.save_pretrained(tmp_path / "saved")
    report = load_pretrained(target, str(tmp_path / "saved" / "model.safetensors"), lambda line: None)
    assert not report.missing and not report.unused and not report.misfit
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in target.state_dict().items())


def test_a_backbone_of_another_kind() -> None:
    detector = network("rt_detr_v2", config={"backbone_config": {"model_type": "resnet", **BASIC}})
    assert type(detector.network.model.backbone.model).__name__ == "ResNetBackbone" and detector.train()(batch())["loss"].isfinite()
