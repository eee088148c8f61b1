"""First weights: what fits is loaded, what does not is said, and what could run code is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import models

from runner.backends.pdparams import PADDLE_STATE
from runner.backends.torch import schema
from runner.backends.torch.models.base import build_model
from runner.backends.torch.models.fcos.network import FCOSDetector
from runner.backends.torch.models.fcos.weights import paddle_names
from runner.backends.torch.models.layers import schema as layers
from runner.backends.torch.models.pretrained import load_pretrained
from runner.core.errors import InputError

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
        ("https://example.org/r50.pdparams", "is a URL"),
        ("r50.pdparams", "file r50.pdparams does not exist"),
        ("r50.pdopt", "optimiser"),
        ("r50.safetensors", "safetensors"),
        ("missing.pth", "file missing.pth does not exist"),
        (".", "is not a file"),
    ],
)
def test_sources_that_are_no_file_of_weights(source: str, word: str, model: FCOSDetector) -> None:
    message = refused(model, source)
    assert word in message
    assert word == "safetensors" or "ResNet50_Weights.IMAGENET1K_V1" in message


def test_a_weights_name_is_taken_from_torchs_folder(model: FCOSDetector, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    (folder / "checkpoints").mkdir()
    theirs = models.resnet18().state_dict()
    torch.save(theirs, folder / "checkpoints" / "resnet18-f37072fd.pth")
    report = load_pretrained(model, "ResNet18_Weights.IMAGENET1K_V1", silent)
    assert torch.equal(model.get_parameter("backbone.conv1.weight"), theirs["conv1.weight"])
    assert not any(name.startswith("backbone.") for name in report.missing)


def test_a_weights_name_is_downloaded_and_that_is_said(model: FCOSDetector, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(url: str, path: str, hash_prefix: str | None, progress: bool) -> None:
        assert url.endswith("resnet18-f37072fd.pth") and hash_prefix == "f37072fd" and not progress
        torch.save(models.resnet18().state_dict(), path)

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    said: list[str] = []
    load_pretrained(model, "ResNet18_Weights.IMAGENET1K_V1", said.append)
    assert "downloading" in said[0] and str(folder) in said[0]


def test_without_network_the_message_says_where_to_put_the_file(model: FCOSDetector, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    message = refused(model, "ResNet18_Weights.IMAGENET1K_V1")
    assert "no route" in message and str(folder / "checkpoints" / "resnet18-f37072fd.pth") in message


def test_weights_of_another_network_by_name(model: FCOSDetector, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    (folder / "checkpoints").mkdir()
    torch.save(models.resnet34().state_dict(), folder / "checkpoints" / "resnet34-b627a593.pth")
    # An 18 is the beginning of a 34 in every stage, so this fits.
    load_pretrained(model, "ResNet34_Weights.IMAGENET1K_V1", silent)
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, folder / "checkpoints" / "resnet34-b627a593.pth")
    assert "another network" in refused(model, "ResNet34_Weights.IMAGENET1K_V1")


def test_an_unknown_weights_name(model: FCOSDetector) -> None:
    assert "ResNet50_Weights.IMAGENET1K_V1" in refused(model, "ResNet5_Weights.IMAGENET1K_V1")


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
