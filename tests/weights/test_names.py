"""What a value of `pretrain_weights` is."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.weights.names import parse_name, short_pin, without_pin

DIGEST = "0a" * 32


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ResNet50_Weights.IMAGENET1K_V1", "torchvision"),
        ("FasterRCNN_ResNet50_FPN_V2_Weights.COCO_V1", "torchvision"),
        ("PekingU/rtdetr_r18vd", "hub"),
        ("PekingU/rtdetr_r18vd@v1.0", "hub"),
        ("timm/resnet50d.a1_in1k", "hub"),
        ("https://example.org/a.pdparams", "url"),
        ("ppdet://models/pretrained/ResNet50_cos_pretrained.pdparams", "url"),
        ("file:///etc/passwd", "url"),
        ("w.pth", "file"),
        ("folder/w.safetensors", "file"),
        ("folder/no suffix", "file"),
        ("there/model", "file"),
        ("there/paddle", "file"),
        ("a/b/c", "file"),
        ("/a/b", "file"),
        ("~/w.pth", "file"),
        ("", "file"),
    ],
)
def test_kinds(text: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "model").touch()
    (tmp_path / "there" / "paddle.pdparams").touch()
    name = parse_name(text)
    assert (name.kind, name.text, name.sha256) == (kind, text, "")
    pinned = parse_name(name.pinned(DIGEST)) if text else name
    assert (pinned.kind, pinned.text) == (kind, text)
    assert without_pin(f"{text}#sha256={DIGEST.upper()}") == text or not text


def test_a_path_without_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "model.pdparams").touch()
    assert parse_name(str(tmp_path / "model")).path == tmp_path / "model.pdparams"
    (tmp_path / "model").touch()
    assert parse_name(str(tmp_path / "model")).path == tmp_path / "model"


def test_the_command_can_be_pasted() -> None:
    assert parse_name("a/b").command == "runner weights fetch a/b"
    assert parse_name(f"https://e.org/a b.pth#sha256={DIGEST}").command == f"runner weights fetch 'https://e.org/a b.pth#sha256={DIGEST}'"


def test_a_table_has_eight_digits() -> None:
    assert short_pin(f"a/b#sha256={DIGEST}") == "a/b#sha256=0a0a0a0a…" and short_pin("a/b") == "a/b"
    assert parse_name("a/b#sha256=12").sha256 == ""
