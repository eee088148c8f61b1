"""First weights: what fits is loaded, what does not is said, and what could run code is refused."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from support.weights import lock
from torchvision import models

from runner.backends.pdparams import PADDLE_STATE
from runner.backends.torch import schema
from runner.backends.torch.models.base import build_model
from runner.backends.torch.models.fcos.network import FCOSDetector
from runner.backends.torch.models.fcos.weights import paddle_names
from runner.backends.torch.models.layers import schema as layers
from runner.backends.torch.models.pretrained import load_pretrained
from runner.core.errors import InputError
from runner.weights.locate import locked

MakeConfig = Callable[..., schema.TorchConfig]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "wei ghts 'é'"
    path.mkdir()
    return path


@pytest.fixture
def model(make_config: MakeConfig) -> FCOSDetector:
    return build_model(make_config())


def silent(_: str) -> None:
    """Says nothing."""


def refused(model: FCOSDetector, source: Path | str) -> str:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError) as caught:
        load_pretrained(model, str(source), silent)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [problem.key for problem in caught.value.problems] == ["pretrain_weights"]
    return str(caught.value)


def test_null_loads_nothing(model: FCOSDetector) -> None:
    said: list[str] = []
    report = load_pretrained(model, None, said.append)
    assert not said and not report.loaded and not report.missing


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s, "step": 3}, lambda s: {"state_dict": s}])
def test_a_state_dict_of_this_model(
    wrap: Callable[[dict[str, Any]], Any], model: FCOSDetector, make_config: MakeConfig, folder: Path
) -> None:
    other = build_model(make_config())
    torch.save(wrap(other.state_dict()), folder / "a.pth")
    said: list[str] = []
    report = load_pretrained(model, str(folder / "a.pth"), said.append)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
    assert not report.missing and not report.misfit and not report.unused
    total = len(model.state_dict())
    assert said == [f"pretrain_weights {folder / 'a.pth'}: {total} of {total} tensors loaded"]


def test_several_gpus_prefix(model: FCOSDetector, make_config: MakeConfig, folder: Path) -> None:
    other = build_model(make_config())
    torch.save({f"module.{name}": value for name, value in other.state_dict().items()}, folder / "a.pth")
    assert not load_pretrained(model, str(folder / "a.pth"), silent).missing


def test_another_number_of_classes_is_said(model: FCOSDetector, make_config: MakeConfig, folder: Path) -> None:
    other = build_model(make_config(head={"num_classes": 7}, num_classes=7))
    torch.save(other.state_dict(), folder / "a.pth")
    before = model.fcos_head.fcos_head_cls.weight.clone()
    said: list[str] = []
    report = load_pretrained(model, str(folder / "a.pth"), said.append)
    assert [name for name, _, _ in report.misfit] == ["fcos_head.fcos_head_cls.weight", "fcos_head.fcos_head_cls.bias"]
    assert torch.equal(model.fcos_head.fcos_head_cls.weight, before)
    assert torch.equal(model.fcos_head.fcos_head_reg.weight, other.fcos_head.fcos_head_reg.weight)
    assert (
        "pretrain_weights: fcos_head.fcos_head_cls.weight starts anew: its shape is [7, 32, 3, 3] in the file and"
        " [3, 32, 3, 3] in the model"
    ) in said


def test_a_torchvision_classifier_goes_into_the_backbone(model: FCOSDetector, folder: Path) -> None:
    theirs = models.resnet18()
    torch.save(theirs.state_dict(), folder / "r18.pth")
    said: list[str] = []
    report = load_pretrained(model, str(folder / "r18.pth"), said.append)
    assert torch.equal(model.get_parameter("backbone.layer4.1.conv2.weight"), theirs.layer4[1].conv2.weight)
    assert report.unused == ("fc.weight", "fc.bias")
    assert not any(name.startswith("backbone.") for name in report.missing)
    assert said[1].startswith("pretrain_weights: not in the file, start anew: neck.fpn (16 tensors), fcos_head.fcos_feat (16 tensors), ")
    assert said[2] == "pretrain_weights: in the file but not in the model, left out: fc.weight, fc.bias"


def test_a_pickle_that_torch_never_wrote(model: FCOSDetector, folder: Path) -> None:
    (folder / "evil.pkl").write_bytes(pickle.dumps(Evil(folder / "touched")))
    assert "not a file of torch weights" in refused(model, folder / "evil.pkl")
    assert not (folder / "touched").exists()


def test_a_torchvision_mobilenet(make_config: MakeConfig, folder: Path) -> None:
    model = build_model(make_config(backbone=layers.MobileNetV3()))
    theirs = models.mobilenet_v3_large()
    torch.save(theirs.state_dict(), folder / "m.pth")
    report = load_pretrained(model, str(folder / "m.pth"), silent)
    assert not any(name.startswith("backbone.") for name in report.missing) and not report.misfit


def test_a_torchvision_detector_gives_backbone_and_pyramid(model: FCOSDetector, folder: Path) -> None:
    names = {"backbone.": "backbone.body.", "neck.fpn.": "backbone.fpn."}
    state = {}
    for name, value in model.state_dict().items():
        for mine, theirs in names.items():
            if name.startswith(mine):
                state[theirs + name.removeprefix(mine)] = value + 1
    torch.save(state, folder / "d.pth")
    report = load_pretrained(model, str(folder / "d.pth"), silent)
    assert {name.split(".")[0] for name in report.missing} == {"fcos_head"} and not report.unused


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    "save",
    [
        torch.save,
        lambda value, path: torch.save(value, path, _use_new_zipfile_serialization=False),
        lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2)),
    ],
)
def test_a_pickle_with_code_is_refused_and_not_run(save: Callable[[Any, Path], Any], model: FCOSDetector, folder: Path) -> None:
    save({"model": model.state_dict(), "extra": Evil(folder / "touched")}, folder / "evil.pth")
    message = refused(model, folder / "evil.pth")
    assert not (folder / "touched").exists()
    assert "would run code" in message and "evil.pth" in message


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("legacy", [True, False])
def test_a_cut_off_file(share: float, legacy: bool, model: FCOSDetector, folder: Path) -> None:
    torch.save(models.resnet18().state_dict(), folder / "whole.pth", _use_new_zipfile_serialization=not legacy)
    whole = (folder / "whole.pth").read_bytes()
    (folder / "cut.pth").write_bytes(whole[: int(len(whole) * share)])
    message = refused(model, folder / "cut.pth")
    assert "cut off" in message and "cut.pth" in message


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"not weights at all", "not a file of torch weights"), (b"PK\x03\x04" + b"\0" * 40, "cut off")],
)
def test_another_kind_of_file(content: bytes, word: str, model: FCOSDetector, folder: Path) -> None:
    (folder / "a.pt").write_bytes(content)
    assert word in refused(model, folder / "a.pt")


def test_nothing_fits(model: FCOSDetector, folder: Path) -> None:
    torch.save({"encoder.weight": torch.zeros(3), "encoder.bias": torch.zeros(1)}, folder / "a.pth")
    message = refused(model, folder / "a.pth")
    assert "nothing in" in message and "encoder.weight" in message and "backbone.conv1.weight" in message
    torch.save([1, 2], folder / "b.pth")
    assert "holds no weights" in refused(model, folder / "b.pth")


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("https://example.org/r50.pdparams", "not in weights.lock"),
        ("https://example.org/r50.tar", "0.x's weights"),
        ("r50.pdparams", "file r50.pdparams does not exist"),
        ("r50.pdopt", "optimiser"),
        ("r50.safetensors", "file r50.safetensors does not exist"),
        ("missing.pth", "file missing.pth does not exist"),
        (".", "is not a file"),
    ],
)
def test_sources_that_are_no_file_of_weights(source: str, word: str, model: FCOSDetector) -> None:
    message = refused(model, source)
    assert word in message
    assert word == "not in weights.lock" or "ResNet50_Weights.IMAGENET1K_V1" in message


def saved(state: Any) -> bytes:
    """A state dict as torch writes it."""
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def test_a_weights_name_is_the_locked_file(model: FCOSDetector, store: Path) -> None:
    name, theirs = "ResNet18_Weights.IMAGENET1K_V1", models.resnet18().state_dict()
    assert "not in weights.lock, and a run downloads nothing: runner weights fetch ResNet18_Weights" in refused(model, name)
    path = lock(name, saved(theirs), ".pth")
    said: list[str] = []
    report = load_pretrained(model, locked(name), said.append)
    assert torch.equal(model.get_parameter("backbone.conv1.weight"), theirs["conv1.weight"])
    assert not any(name.startswith("backbone.") for name in report.missing)
    assert said[0].startswith(f"pretrain_weights {name}: ") and "sha256" not in said[0]
    path.chmod(0o644)
    path.write_bytes(saved(models.resnet34().state_dict()))
    assert "is damaged: runner weights fetch" in refused(model, name)


def test_weights_of_another_network_by_name(model: FCOSDetector, store: Path) -> None:
    lock("ResNet34_Weights.IMAGENET1K_V1", saved(models.resnet34().state_dict()), ".pth")
    # An 18 is the beginning of a 34 in every stage, so this fits.
    load_pretrained(model, "ResNet34_Weights.IMAGENET1K_V1", silent)
    lock("ResNet50_Weights.IMAGENET1K_V1", saved({"conv1.weight": torch.zeros(64, 3, 7, 7)}), ".pth")
    assert "another network" in refused(model, "ResNet50_Weights.IMAGENET1K_V1")


def test_a_file_of_safetensors(model: FCOSDetector, make_config: MakeConfig, store: Path, folder: Path) -> None:
    other = build_model(make_config())
    content = safetensors.torch.save({name: value.contiguous() for name, value in other.state_dict().items()})
    (folder / "a.safetensors").write_bytes(content)
    report = load_pretrained(model, str(folder / "a.safetensors"), silent)
    assert not report.missing and not report.misfit and not report.unused
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
    lock("a/b", content, ".safetensors")
    assert not load_pretrained(build_model(make_config()), "a/b", silent).missing
    for share in (0.0, 0.001, 0.5, 0.999):
        (folder / "cut.safetensors").write_bytes(content[: int(len(content) * share)])
        assert "is cut off" in refused(model, folder / "cut.safetensors")
    (folder / "fake.safetensors").write_bytes(pickle.dumps(Evil(folder / "touched")))
    assert "not a file of safetensors" in refused(model, folder / "fake.safetensors") and not (folder / "touched").exists()


def test_an_address_of_paddles_is_the_locked_file(model: FCOSDetector, make_config: MakeConfig, store: Path) -> None:
    own = build_model(make_config()).state_dict()
    arrays = {there: own[key].numpy() for key, there in paddle_names(own, model.config.fcos_head.fpn_stride).items()}
    lock("ppdet://models/fcos.pdparams", pickle.dumps(arrays, protocol=4), ".pdparams")
    load_pretrained(model, locked("ppdet://models/fcos.pdparams"), silent)
    assert torch.equal(model.get_parameter("backbone.conv1.weight"), own["backbone.conv1.weight"])


@pytest.mark.parametrize("classes", [("a", "b", "c"), ("c", "a", "b"), ("c", "new", "a"), ("x", "y", "z")])
def test_class_outputs_are_matched_by_name(classes: tuple[str, ...], model: FCOSDetector, make_config: MakeConfig, folder: Path) -> None:
    """A checkpoint of ours names its classes; one that the data does not share keeps the model's own first weights."""
    theirs, there = build_model(make_config()), ("a", "b", "c")
    before = {name: getattr(model.fcos_head.fcos_head_cls, name).clone() for name in ("weight", "bias")}
    with torch.no_grad():
        theirs.fcos_head.fcos_head_cls.bias.copy_(torch.arange(3.0))
    torch.save({"model": theirs.state_dict(), "classes": list(there)}, folder / "last.pt")
    said: list[str] = []
    report = load_pretrained(model, str(folder / "last.pt"), said.append, classes)
    assert not report.missing and not report.misfit
    for name, own in before.items():
        found, source = getattr(model.fcos_head.fcos_head_cls, name), getattr(theirs.fcos_head.fcos_head_cls, name)
        for row, label in enumerate(classes):
            assert torch.equal(found[row], source[there.index(label)] if label in there else own[row])
    assert torch.equal(model.fcos_head.fcos_head_reg.weight, theirs.fcos_head.fcos_head_reg.weight)
    by_name = [line for line in said if "by name" in line]
    assert len(by_name) == (classes != there)
    if "new" in classes:
        assert by_name == [
            "pretrain_weights: classes matched by name: 2 of 3 are in the file; initialised at random: new; only in the file, not used: b"
        ]


def test_fewer_classes_are_taken_from_a_file_with_more(make_config: MakeConfig, folder: Path) -> None:
    more, model = build_model(make_config(head={"num_classes": 5}, num_classes=5)), build_model(make_config())
    torch.save({"model": more.state_dict(), "classes": list("abcde")}, folder / "last.pt")
    report = load_pretrained(model, str(folder / "last.pt"), silent, ("e", "c", "a"))
    assert not report.misfit
    assert torch.equal(model.fcos_head.fcos_head_cls.weight, more.fcos_head.fcos_head_cls.weight[[4, 2, 0]])


def test_weights_without_names_are_taken_as_they_are(model: FCOSDetector, make_config: MakeConfig, folder: Path) -> None:
    other = build_model(make_config())
    torch.save({"model": other.state_dict()}, folder / "old.pt")
    said: list[str] = []
    load_pretrained(model, str(folder / "old.pt"), said.append, ("a", "b", "c"))
    assert torch.equal(model.fcos_head.fcos_head_cls.weight, other.fcos_head.fcos_head_cls.weight)
    assert len(said) == 1


def test_a_paddle_checkpoint_of_ours_is_matched_by_name_too(model: FCOSDetector, make_config: MakeConfig, folder: Path) -> None:
    other = build_model(make_config())
    own = other.state_dict()
    arrays = {there: own[key].numpy() for key, there in paddle_names(own, other.config.fcos_head.fpn_stride).items()}
    state = {"format": "runner-paddle-1", "classes": ["a", "b", "c"]}
    (folder / "last.pdparams").write_bytes(pickle.dumps({**arrays, PADDLE_STATE: state}, protocol=4))
    said: list[str] = []
    load_pretrained(model, str(folder / "last.pdparams"), said.append, ("c", "a", "b"))
    assert torch.equal(model.fcos_head.fcos_head_cls.weight, other.fcos_head.fcos_head_cls.weight[[2, 0, 1]])
    assert "pretrain_weights: classes matched by name: the file lists them in another order than the data" in said
