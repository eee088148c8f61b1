"""`-o KEY=VALUE`: keys at any depth, values in YAML, order, and what is refused."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from runner.cli.main import build_parser
from runner.config.load import parse
from runner.config.node import Node, Source
from runner.config.overrides import apply_mapping, apply_overrides, parse_override
from runner.core.errors import InputError

TREE = """
a: 1
b: {c: 1, d: {e: [1, 2, {f: 3}]}}
s: [!P {g: 0.1, m: [8, 11]}, !W {n: 5}]
o: {type: AdamW, decay: 0.1, lr: 1}
epoch: 12
"""


def tree() -> Node:
    return parse(TREE, lambda line: Source("f.yml", line))


def applied(*overrides: str) -> Any:
    return apply_overrides(tree(), overrides).plain()


def refusal(*overrides: str) -> list[str]:
    with pytest.raises(InputError) as error:
        apply_overrides(tree(), overrides)
    return [str(problem) for problem in error.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=2", 2),
        ("a=1e-4", 1e-4),
        ("a=[1, b]", [1, "b"]),
        ("a={b: 1}", {"b": 1}),
        ("a=null", None),
        ("a=", None),
        ('a="3"', "3"),
        ("a='x y'", "x y"),
        ("a=true", True),
        ("a=b=c=d", "b=c=d"),
        ("a==", "="),
        ("a=[x=1, y=2]", ["x=1", "y=2"]),
        ("a={k: v=1}", {"k": "v=1"}),
        ("a=http://h/p?q=1", "http://h/p?q=1"),
        ("a=!T {x: 1}", {"name": "T", "x": 1}),
        (" a =1", 1),
        ("a=ü 板", "ü 板"),
        ("a=~/x y/z", "~/x y/z"),
        ("a=2026-11-21", "2026-11-21"),
    ],
)
def test_values_are_yaml(text: str, value: Any) -> None:
    key, node = parse_override(text)
    assert key == "a" and node.plain() == value and type(node.plain()) is type(value)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("b.d.e.2.f=9", "b.d.e.2.f", 9),
        ("b.d.e.0=9", "b.d.e.0", 9),
        ("s.0.g=0.5", "s.0.g", 0.5),
        ("s.0.m=[3]", "s.0.m", (3,)),
        ("s.1.new=1", "s.1.new", 1),
        ("b={x: 1}", "b.x", 1),
        ("new.deep.key=1", "new.deep.key", 1),
    ],
)
def test_dotted_keys_reach_everywhere(text: str, key: str, value: Any) -> None:
    node = apply_overrides(tree(), [text]).get(key)
    assert node is not None and (tuple(node.plain()) if isinstance(value, tuple) else node.plain()) == value


def test_tags_survive_and_a_mapping_merges() -> None:
    assert applied("s.0.g=0.5")["s"][0] == {"name": "P", "g": 0.5, "m": [8, 11]}
    assert applied("b={c: 2}")["b"] == {"c": 2, "d": {"e": [1, 2, {"f": 3}]}}
    assert applied("s.1={n: 7}")["s"][1] == {"n": 7}  # an element of a list is replaced


def test_later_wins_and_all_count() -> None:
    assert applied("a=2", "b.c=5", "a=3", "b.d.e=[]") | {"s": 0, "o": 0} == {
        "a": 3,
        "b": {"c": 5, "d": {"e": []}},
        "s": 0,
        "o": 0,
        "epoch": 12,
    }


def test_one_o_takes_many_pairs_and_several_accumulate() -> None:
    args = build_parser().parse_args(["train", "-c", "x.yml", "-o", "a=1", "b=2", "--eval", "--opt", "c=3", "-o", "a=4"])
    assert args.opt == ["a=1", "b=2", "c=3", "a=4"]
    assert build_parser().parse_args(["train"]).opt == []  # and the next call starts anew


def test_what_says_the_same_is_put_aside() -> None:
    assert "epoch" not in applied("max_iters=30")
    assert applied("max_iters=null")["epoch"] == 12
    assert applied("max_iters=30", "max_iters=null", "epoch=3").get("max_iters") is None


LEARNING = """
LearningRate:
  schedulers:
    - !PiecewiseDecay {gamma: 0.1, milestones: [8]}
    - !LinearWarmup {steps: 500}
snapshot_epoch: 1
parameters: {gamma: 1, values: 2}
"""


@pytest.mark.parametrize(
    "pair",
    [
        ("epoch=3", "max_iters=50"),
        ("snapshot_epoch=3", "snapshot_iter=50"),
        ("LearningRate.schedulers.0.milestones=[3]", "LearningRate.schedulers.0.milestone_iters=[50]"),
        ("LearningRate.schedulers.0={max_epochs: 3}", "LearningRate.schedulers.0.max_iters=50"),
        ("LearningRate.schedulers.0.gamma=0.5", "LearningRate.schedulers.0.values=[1, 2]"),
        ("LearningRate.schedulers.1.steps=5", "LearningRate.schedulers.1.epochs=1"),
    ],
)
def test_two_that_exclude_each_other_are_refused(pair: tuple[str, str]) -> None:
    tree = parse(LEARNING, lambda line: Source("f.yml", line))
    for order in (pair, pair[::-1], (pair[0], "x=1", pair[1])):
        with pytest.raises(InputError) as caught:
            apply_overrides(tree, order)
        (message,) = map(str, caught.value.problems)
        assert "exclude each other; remove one" in message and all(f"-o {text}" in message for text in pair)
    layered = apply_overrides(apply_overrides(tree, pair[:1]), pair[1:])  # layers may: the later one counts
    assert layered.get(pair[1].partition("=")[0]) is not None
    values = {key: value.plain() for key, value in map(parse_override, pair)}
    with pytest.raises(InputError, match="exclude each other"):
        apply_mapping(tree, values, Source("sweep.yml"))


@pytest.mark.parametrize(
    "given",
    [
        ("epoch=3", "epoch=null", "max_iters=5"),
        ("epoch=null", "max_iters=5"),
        ("parameters.gamma=3", "parameters.values=4"),
        ("b.c=5", "b={c: 6}"),
        ("b={c: 6}", "b.c=5"),
        ("s.0.g=1", "s=[!P {g: 2}]"),
        ("m={a.b: 1}", "m.c=2"),
        ("a=2", "a=3"),
    ],
)
def test_what_is_given_again_is_no_conflict(given: tuple[str, ...]) -> None:
    apply_overrides(parse(TREE + "parameters: {gamma: 1, values: 2}\n", lambda line: Source("f.yml", line)), given)


def test_what_a_later_override_takes_away_is_refused() -> None:
    (message,) = refusal("s.0.m.1=9", "s=[!Q {g: 1}]")
    assert message == (
        "-o s.0.m.1=9: s.0.m.1: no effect beside s (-o s=[!Q {g: 1}]), given with it: the two exclude each other; remove one"
    )


DATA = "num_classes: 80\nTrainDataset: {name: COCODataSet, dataset_dir: d, sample_num: 5}\n"


@pytest.mark.parametrize(
    ("overrides", "left"),
    [
        (["dataset=pcb"], {"dataset": "pcb", "TrainDataset": {"sample_num": 5}}),
        (["dataset=pcb", "TrainDataset.dataset_dir=x"], {"dataset": "pcb", "TrainDataset": {"sample_num": 5, "dataset_dir": "x"}}),
        (
            ["TrainDataset.dataset_dir=x", "num_classes=3", "dataset=pcb"],
            {"dataset": "pcb", "num_classes": 3, "TrainDataset": {"sample_num": 5, "dataset_dir": "x"}},
        ),
        (
            ["dataset=pcb", "dataset=null"],
            {"dataset": None, "num_classes": 80, "TrainDataset": {"name": "COCODataSet", "dataset_dir": "d", "sample_num": 5}},
        ),
    ],
)
def test_a_data_set_by_name_puts_the_files_aside_and_nothing_given_beside_it(overrides: list[str], left: dict[str, Any]) -> None:
    tree = parse(DATA, lambda line: Source("f.yml", line))
    assert apply_overrides(tree, overrides).plain() == left
    pairs = {key: value.plain() for key, value in map(parse_override, overrides)}
    assert apply_mapping(tree, pairs, Source("sweep")).plain() == left


def test_another_type_puts_the_files_keys_of_the_former_one_aside_and_keeps_those_given_beside_it() -> None:
    for order in (["o.type=Momentum", "o.momentum=0.8"], ["o.momentum=0.8", "o.type=Momentum"]):
        node = apply_overrides(tree(), order).get("o")
        assert node is not None and node.mapping is not None
        assert {key: item.former for key, item in node.mapping.items()} == {"type": False, "decay": True, "lr": True, "momentum": False}
    kept = apply_overrides(tree(), ["o.type=AdamW"]).get("o")
    assert kept is not None and kept.mapping is not None and not any(item.former for item in kept.mapping.values())


def test_a_key_given_again_for_the_new_type_counts() -> None:
    node = apply_overrides(tree(), ["o.type=Momentum", "o.lr=2"]).get("o.lr")
    assert node is not None and not node.former and node.plain() == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a", "expected KEY=VALUE"),
        ("=3", "empty part"),
        ("a..b=3", "empty part"),
        (".a=3", "empty part"),
        ("a.=3", "empty part"),
        ("a=[1", "invalid YAML"),
        ("a={b", "invalid YAML"),
        ("a='x", "invalid YAML"),
        ("a=!!python/name:os.system x", "never code"),
        ("a=" + "[" * 5000, "nested"),
        ("a=\udcff", "not UTF-8"),
        ("a.b=1", "a is 1 and has no keys"),
        ("o.type.x=1", "did you mean AdamW.x?"),
        ("s.2.g=1", "s has no element '2': it is a list with elements 0 to 1"),
        ("s.-1.g=1", "s has no element '-1'"),
        ("s.g=1", "s has no element 'g'"),
        ("s.².g=1", "s has no element '²'"),
        ("s.0.m.5=1", "s.0.m has no element '5': it is a list with elements 0 to 1"),
    ],
)
def test_refused(text: str, words: str) -> None:
    (message,) = refusal(text)
    assert message.startswith("-o ") and words in message


@pytest.mark.parametrize("value", ["*.jpg", "@x", "%", "`x`", "[a", "{a", "a: b: c", "'x", "!!python/name:x y", "&", "- x: ["])
def test_a_value_that_is_no_yaml_is_shown_in_quotes(value: str) -> None:
    (message,) = refusal(f"b.c={value}")
    hint = message.rpartition("; for a string, use quotes: -o ")[2]
    (typed,) = shlex.split(hint)
    assert parse_override(typed)[1].value == value


def test_a_sweeps_set_is_shown_in_quotes_too() -> None:
    with pytest.raises(InputError) as caught:
        parse_override("config=*.yml", "--set")
    assert str(caught.value).endswith("use quotes: --set 'config=\"*.yml\"'")


def test_all_problems_at_once() -> None:
    assert len(refusal("nonsense", "a=2", "s.9=1", "b=[")) == 3


def test_plain_values_of_a_sweep() -> None:
    changed = apply_mapping(tree(), {"s.0.g": 0.5, "epoch": 3, "b.d.e": [1]}, Source("sweep"))
    assert changed.get("s.0.g") == Node(0.5, Source("sweep"))
    assert changed.plain()["b"]["d"]["e"] == [1]
