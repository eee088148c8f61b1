"""Weights in configs: the long form, digests from weights.lock, and what a config file names."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from support.weights import lock, pdparams

from runner.config.load import load_config
from runner.weights.in_config import names_in_config, with_digests

DIGEST = sha256(pdparams()).hexdigest()
SWIN = "https://example.org/swin.pdparams"


def read(text: str):  # type: ignore[no-untyped-def]
    Path("c.yml").write_text(text, encoding="utf-8")
    return load_config("c.yml")


def test_the_long_form(store: Path) -> None:
    tree, problems = with_digests(read(f"pretrain_weights: {{file: 'a b.pth', sha256: '{DIGEST.upper()}'}}\n"), lock=True)
    assert not problems and tree.plain() == {"pretrain_weights": f"a b.pth#sha256={DIGEST}"}


@pytest.mark.parametrize(
    ("text", "key", "word"),
    [
        ("{file: a.pth}", "sha256", "64 hex digits"),
        ("{sha256: abc}", "file", "expected a path"),
        ("{file: a.pth, sha256: abc}", "sha256", "abc is no SHA-256"),
        ("{file: a.pth, sha256: 12}", "sha256", "in quotes"),
        ("{file: a.pth, sha265: abc}", "sha265", "did you mean 'sha256'"),
    ],
)
def test_what_is_wrong_in_it(store: Path, text: str, key: str, word: str) -> None:
    tree, (problem,) = with_digests(read(f"pretrain_weights: {text}\n"), lock=True)
    assert tree.get("pretrain_weights") is None
    assert problem.key == f"pretrain_weights.{key}" and word in problem.message and problem.where == "c.yml:1"


def test_names_get_the_digests_of_the_lock(store: Path) -> None:
    text = f"pretrain_weights: a/b\nSwinTransformer: {{pretrained: '{SWIN}'}}\nweights: {SWIN}\n"
    tree, (problem,) = with_digests(read(text), lock=True)
    assert tree.plain()["pretrain_weights"] == "a/b", "the backend says what is missing there"
    assert (
        problem.key == "SwinTransformer.pretrained"
        and problem.message.endswith(f"runner weights fetch {SWIN}")
        and problem.where == "c.yml:2"
    )
    lock("a/b", pdparams(), ".safetensors")
    lock(SWIN, pdparams(), ".pdparams")
    tree, problems = with_digests(read(text), lock=True)
    assert not problems and tree.plain() == {
        "pretrain_weights": f"a/b#sha256={DIGEST}",
        "SwinTransformer": {"pretrained": f"{SWIN}#sha256={DIGEST}"},
        "weights": SWIN,
    }
    assert with_digests(read(text), lock=False) == (read(text), [])


def test_what_files_name(store: Path) -> None:
    read(f"architecture: X\npretrain_weights: a/b\nSwinTransformer: {{pretrained: '{SWIN}'}}\nweights: https://example.org/v.pdparams\n")
    assert names_in_config(Path("c.yml")) == ["a/b", SWIN]
    Path("s.yml").write_text("config: c.yml\nvary: {pretrain_weights: [null, w.pth, c/d]}\nseeds: [0]\n")
    assert names_in_config(Path("s.yml")) == ["a/b", SWIN, "c/d"]
    read(f"pretrain_weights: {{file: {SWIN}, sha256: '{DIGEST}'}}\n")
    assert names_in_config(Path("c.yml")) == [f"{SWIN}#sha256={DIGEST}"]
    read("pretrain_weights: w.pth\n")
    assert names_in_config(Path("c.yml")) == []
