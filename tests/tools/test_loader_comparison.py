"""What a config file means to our loader and to ppdet's: the same, or not the same on purpose."""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.config.load import load_config
from runner.core.errors import InputError
from runner.environments.interpreters import Environment
from tools.loader_comparison import REASONS, Finding, configs_of, differences, main, plain, summary

EQUAL, BUT_FOR, DIFFERENT = "equal", "equal but for", "different"
MEANT, THERE, BOTH = "refused here on purpose", "refused there", "refused by both"


@dataclass(frozen=True)
class Case:
    """A config and its bases.

    Args:
        top: the text of the config; its bases stand in ``_base_``.
        ours: what we read (`plain`), or words of our refusal.
        bases: name to text.
        verdict: beside ppdet.
    """

    top: str
    ours: Mapping[str, Any] | str
    verdict: str = EQUAL
    bases: Mapping[str, str] | None = None


def over(base: str, top: str, ours: Mapping[str, Any] | str, verdict: str = EQUAL) -> Case:
    """A config over one base."""
    return Case(f"_BASE_: [_base_/b.yml]\n{top}", ours, verdict, {"b.yml": base})


ABC = {"a.yml": "x: 1\ny: 1\nz: 1\n", "b.yml": "y: 2\nz: 2\n"}
SETS = "metric: COCO\nTrainDataset: !COCODataSet {dataset_dir: d, anno_path: a.json}\n"

CASES = {
    # ------------------------------------------------------------------------------------------------------- layers
    "the later base wins": Case("_BASE_: [_base_/a.yml, _base_/b.yml]\nz: 3\n", {"x": 1, "y": 2, "z": 3}, bases=ABC),
    "and not the other": Case("_BASE_: [_base_/b.yml, _base_/a.yml]\n", {"x": 1, "y": 1, "z": 1}, bases=ABC),
    "where _BASE_ stands": Case("z: 3\n_BASE_:\n  - '_base_/a.yml'\n  - ./_base_/../_base_/b.yml\n", {"x": 1, "y": 2, "z": 3}, bases=ABC),
    "bases of bases": Case(
        "_BASE_: [_base_/deep/c.yml]\nz: 4\n", {"x": 1, "y": 3, "z": 4}, bases={**ABC, "deep/c.yml": "_BASE_: ['../a.yml']\ny: 3\nz: 3\n"}
    ),
    "a base twice": Case(
        "_BASE_: [_base_/c.yml, _base_/d.yml]\n",
        {"x": 1, "y": 1, "z": 4},
        bases={**ABC, "c.yml": "_BASE_: [a.yml]\ny: 3\n", "d.yml": "_BASE_: [a.yml]\nz: 4\n"},
    ),
    "no base in the list": Case("_BASE_: []\nx: 1\n", {"x": 1}),
    "a base as a text": Case("_BASE_: _base_/a.yml\n", {"x": 1, "y": 1, "z": 1}, THERE, ABC),
    "a base of null": Case("_BASE_:\nx: 1\n", "expected a path", BOTH),
    "a base that is missing": Case("_BASE_: [_base_/no.yml]\n", "does not exist", BOTH),
    "a base that leads back": over("_BASE_: ['../top.yml']\n", "x: 1\n", "includes itself", BOTH),
    "an empty file": Case("# nothing\n", "empty file", BOTH),
    "two documents": Case("x: 1\n---\ny: 1\n", "single document", BOTH),
    "mappings merge": over("a: {x: 1, y: {z: 1, w: 2}}", "a: {y: {z: 3}}", {"a": {"x": 1, "y": {"z": 3, "w": 2}}}),
    "sections merge": over(
        "FCOS: {backbone: ResNet, fcos_head: H}", "FCOS: {backbone: VGG}", {"FCOS": {"backbone": "VGG", "fcos_head": "H"}}
    ),
    "an empty section": Case("FCOS: {}\nFPN:\nx: {}\n", {"FCOS": {}, "FPN": None, "x": {}}),
    "lists replace": over("a: [1, {b: 1}]", "a: [{c: 1}]", {"a": [{"c": 1}]}),
    "null replaces": over("a: {x: 1}\nFCOS: {backbone: R}", "a: null\nFCOS: ~", {"a": None, "FCOS": None}),
    "a mapping over null": over("a:\nb: 3\nc: [1]", "a: {x: 1}\nb: {x: 1}\nc: {x: 1}", dict.fromkeys("abc", {"x": 1})),
    "an empty mapping over one": over("a: {x: 1}", "a: {}", {"a": {"x": 1}}),
    "a tag over a tag": over(
        SETS, "TrainDataset: !VOCDataSet {anno_path: t}", {"metric": "COCO", "TrainDataset": {"!VOCDataSet": {"anno_path": "t"}}}
    ),
    "a mapping over a tag": over(SETS, "TrainDataset: {anno_path: t}", {"metric": "COCO", "TrainDataset": {"anno_path": "t"}}),
    "a tag over a mapping": over(
        "TrainDataset: {name: V, repeat: 2}", "TrainDataset: !VOCDataSet {}", {"TrainDataset": {"!VOCDataSet": {}}}
    ),
    "iterations over epochs": over("epoch: 12\nx: 1", "max_iters: 300", {"x": 1, "max_iters": 300}, BUT_FOR),
    # What follows needs two layers that do not exist yet; runner/config/load.py tells why it is so.
    "another module": over("m: {name: A, args: {a: 1}}", "m: {name: B, args: {b: 2}}", {"m": {"name": "B", "args": {"b": 2}}}, DIFFERENT),
    "an alias is a copy": over("a: &a {x: 1}\nb: *a", "a: {x: 2}", {"a": {"x": 2}, "b": {"x": 1}}, DIFFERENT),
    "a base is one thing": Case(
        "_BASE_: [_base_/b.yml, _base_/d.yml]\n",
        {"a": {"x": 1, "y": 2}},
        DIFFERENT,
        {"b.yml": "a: {x: 1}", "c.yml": "a: null", "d.yml": "_BASE_: [c.yml]\na: {y: 2}"},
    ),
    # --------------------------------------------------------------------------------------------------------- tags
    "tags": Case(
        "s:\n  - !PiecewiseDecay\n    gamma: 0.1\n    milestones: [8]\n  - !LinearWarmup {steps: 5}\n  - !CosineDecay {}\n",
        {"s": [{"!PiecewiseDecay": {"gamma": 0.1, "milestones": [8]}}, {"!LinearWarmup": {"steps": 5}}, {"!CosineDecay": {}}]},
    ),
    "a tag with a list": Case("s: !PiecewiseDecay [[0.1], [8, 11]]\n", {"s": {"!PiecewiseDecay": [[0.1], [8, 11]]}}),
    "a tag in a tag": Case(
        "s: !Callable {full_type: a.b, args: [!CosineDecay {}]}", {"s": {"!Callable": {"full_type": "a.b", "args": [{"!CosineDecay": {}}]}}}
    ),
    "a bare tag": Case("s: !CosineDecay\n", {"s": {"!CosineDecay": {}}}, THERE),
    "an unknown tag": Case("s: !NoSuchTag {x: 1}\n", {"s": {"!NoSuchTag": {"x": 1}}}, THERE),
    "a tag with an unknown key": Case("s: !CosineDecay {no_such_key: 1}\n", {"s": {"!CosineDecay": {"no_such_key": 1}}}, THERE),
    "a tag with a word": Case("s: !CosineDecay 3\n", "takes a mapping", BOTH),
    "a tag for code": Case("s: !!python/tuple [1, 2]\n", "never code", MEANT),
    "a set": Case("s: !!set {a, b}\n", "is not allowed", MEANT),
    "types by tag": Case("a: !!str 3\nb: !!int '3'\nc: !!float 1\nd: !!seq [1]\n", {"a": "3", "b": 3, "c": 1, "d": [1]}),
    # ------------------------------------------------------------------------------------------------------ anchors
    "anchors": Case(
        "h: &h 640\nw: &w 480\ns: &s [*h, *w]\nr: {size: *s, top: *h}",
        {"h": 640, "w": 480, "s": [640, 480], "r": {"size": [640, 480], "top": 640}},
    ),
    "an alias in a tag": Case(
        "m: &m [8]\ns: !PiecewiseDecay {gamma: 1, milestones: *m}", {"m": [8], "s": {"!PiecewiseDecay": {"gamma": 1, "milestones": [8]}}}
    ),
    "an anchor used again": Case("a: &x 1\nb: *x\nc: &x 2\nd: *x", "duplicate anchor", BOTH),
    "merge keys": Case(
        "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], c: 3}\nw: {a: 9, <<: *x}\nv: {<<: {a: 1}}",
        {"x": {"a": 1, "b": 1}, "y": {"b": 2, "c": 2}, "z": {"a": 1, "b": 1, "c": 3}, "w": {"a": 9, "b": 1}, "v": {"a": 1}},
    ),
    "a merge key twice": Case("x: &x {a: 1}\nz: {<<: *x, <<: {a: 2}}", "given twice", MEANT),
    # ------------------------------------------------------------------------------------------------------ scalars
    "booleans": Case("a: [yes, No, on, OFF, true, False, y, n]", {"a": [True, False, True, False, True, False, "y", "n"]}),
    "integers": Case("a: [010, 0x1F, 0b11, 1_000, 1:30, -3, +4, 08, '010']", {"a": [8, 31, 3, 1000, 90, -3, 4, "08", "010"]}),
    "floats": Case("a: [1., .5, 1.5e-3, -2.E+4, 1:30.5, .inf, -.Inf]", {"a": [1, 0.5, 0.0015, -2e4, 90.5, math.inf, -math.inf]}),
    "no number": Case("a: .nan", {"a": math.nan}),
    "exponents": Case("a: [1e-4, 1E3]\nb: {c: 1.5e3, d: 1_0e2}", {"a": [1e-4, 1000], "b": {"c": 1500, "d": 1000}}, BUT_FOR),
    "nulls": Case("a:\nb: ~\nc: null\nd: ''\ne: [~, ]", {"a": None, "b": None, "c": None, "d": "", "e": [None]}),
    "dates": Case("a: 2026-11-21\nb: [2026-11-21 10:00:00]", {"a": "2026-11-21", "b": ["2026-11-21 10:00:00"]}, BUT_FOR),
    "texts": Case(
        "a: |\n  x\n   y\nb: >-\n  x\n  y\nc: \"\\u677f\\n\"\nd: 'it''s'\ne: a b #c\nf: a#b\ng: x:y\n",
        {"a": "x\n y\n", "b": "x y", "c": "板\n", "d": "it's", "e": "a b", "f": "a#b", "g": "x:y"},
    ),
    "flow": Case("a: {url: https://h/p#f, b: [x, y z,], c: {d}}", {"a": {"url": "https://h/p#f", "b": ["x", "y z"], "c": {"d": None}}}),
    "a question mark in flow": Case("a: {url: https://h/p?q=1}", {"a": {"url": "https://h/p?q=1"}}, THERE),
    "not only ASCII": Case("ü 板: ü 板\n", {"ü 板": "ü 板"}),
    "Windows": Case("\ufeffa: 1\r\nb:\r\n  - 2\r\n", {"a": 1, "b": [2]}),
    "an equals sign": Case("a: =\n", {"a": "="}, THERE),
    # --------------------------------------------------------------------------------------------------------- keys
    "numbers as keys": Case("a: {0: x, 1.5: y, '2': z}", {"a": {"0": "x", "1.5": "y", "2": "z"}}),
    "other words as keys": Case("a: {yes: x, null: y, 010: z}", {"a": {"yes": "x", "null": "y", "010": "z"}}, DIFFERENT),
    "a key twice": Case("x: 1\na: {b: 1, b: 2}\n", "given twice", MEANT),
    "a list as a key": Case("? [a]\n: 1\n", "a key must be a scalar", BOTH),
    "a tab": Case("a:\n\tb: 1\n", "a tab", BOTH),
    "nothing but a list": Case("- a\n", "expected a mapping", BOTH),
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases in the shape of a clone of PaddleDetection."""
    root = tmp_path_factory.mktemp("a clone's ü")
    for name, case in CASES.items():
        for path, text in {"top.yml": case.top, **{f"_base_/{base}": text for base, text in (case.bases or {}).items()}}.items():
            file = root / "configs" / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
    return root


@pytest.mark.parametrize("name", CASES)
def test_what_we_read(checkout: Path, name: str) -> None:
    case, file = CASES[name], checkout / "configs" / name / "top.yml"
    if isinstance(case.ours, str):
        with pytest.raises(InputError, match=case.ours):
            load_config(file)
    else:
        assert not list(differences(plain(load_config(file)), case.ours))


@pytest.fixture(scope="module")
def asked(checkout: Path, paddle_python: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[str], list[dict[str, Any]]]:
    """What the command says to the cases, asked once: its exit status, its lines, its JSON."""
    found = tmp_path_factory.mktemp("found") / "found.json"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = main([str(checkout), "--python", str(paddle_python), "--jobs", "2", "--json", str(found)])
    return status, out.getvalue().splitlines(), json.loads(found.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", CASES)
def test_what_ppdet_reads(asked: tuple[int, list[str], list[dict[str, Any]]], name: str) -> None:
    (finding,) = [one for one in asked[2] if Path(one["config"]).parent.name == name]
    assert finding["verdict"] == CASES[name].verdict, finding


def test_what_the_command_prints(asked: tuple[int, list[str], list[dict[str, Any]]]) -> None:
    status, lines, found = asked
    assert status == 1 and len(found) == len(CASES)
    assert lines[-9 - len(REASONS) + 1] == f"{len(CASES)} configs" and lines[-1].split() == [str(len(with_verdict(BOTH))), *BOTH.split()]
    path = "configs/a key twice/top.yml"
    assert any(line.startswith(f"{MEANT}: {path}: here: {path}:2: b: given twice in one mapping") for line in lines)
    assert any(line.startswith(f"{BUT_FOR}: configs/exponents/top.yml: a.0 (1e-4 and 1.5e3 are numbers here") for line in lines)
    assert not any("configs/lists replace/" in line for line in lines)


def with_verdict(verdict: str) -> list[str]:
    return [name for name, case in CASES.items() if case.verdict == verdict]


# ------------------------------------------------------------------------------------------------------- without Paddle
def test_only_whole_configs_are_asked_about(checkout: Path) -> None:
    assert [file.name for file in configs_of(checkout)] == ["top.yml"] * len(CASES)


def test_no_checkout(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_ENVIRONMENTS", str(tmp_path))
    with pytest.raises(InputError, match="is no clone of PaddleDetection"):
        configs_of(tmp_path)
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    ("verdicts", "status"), [([EQUAL, BUT_FOR, MEANT, THERE, BOTH], 0), ([EQUAL, DIFFERENT], 1), (["refused here", EQUAL], 1)]
)
def test_exit_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verdicts: list[str], status: int) -> None:
    monkeypatch.setattr("tools.loader_comparison.compare_loaders", lambda *_: [Finding("x", verdict) for verdict in verdicts])
    monkeypatch.setattr("tools.loader_comparison.interpreter", lambda *_: Environment(Path(sys.executable), "given"))
    assert main([str(tmp_path)]) == status


@pytest.mark.parametrize(
    ("ours", "theirs", "found"),
    [
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, []),
        ({"a": True}, {"a": 1}, ["a: True here, 1 there"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a: [1] here, [1, 2] there"]),
        ({"a": {"b": [{"c": 1}]}}, {"a": {"b": [{"c": 2}]}}, ["a.b.0.c: 1 here, 2 there"]),
        ({"a": {"!T": {"x": 1}}}, {"a": {"!U": {"x": 1}}}, ["a.!T: {'x': 1} here, nothing there", "a.!U: nothing here, {'x': 1} there"]),
        ({"a": {}}, {}, []),
        ({}, {"a": {}}, ["a: nothing here, {} there"]),
        ({"a": {"b": {}}}, {"a": {}}, ["a.b: {} here, nothing there"]),
        ({"a": 1}, {"a": "1"}, ["a: 1 here, '1' there"]),
        ({"a": 0.2}, {"a": "1e-4"}, ["a: 0.2 here, '1e-4' there"]),
        ({"a": None}, {}, ["a: None here, nothing there"]),
    ],
)
def test_differences(ours: Any, theirs: Any, found: list[str]) -> None:
    assert [str(one) for one in differences(ours, theirs)] == found


def test_reasons_are_counted_once_a_config() -> None:
    found = tuple(differences({"a": 1e-4, "b": 1e-3}, {"a": "1e-4", "b": "1e-3"}))
    lines = summary([Finding("x", BUT_FOR, found), Finding("y", EQUAL)])
    assert lines[:4] == ["2 configs", "    1 equal", "    1 equal but for", "          1 1e-4 and 1.5e3 are numbers here, texts there"]
