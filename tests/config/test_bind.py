"""Binding a tree to declared classes: all problems at once, each with its place; and what the messages say."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest

from runner.backends.torch import schema
from runner.backends.torch.models.layers import schema as layers
from runner.backends.torch.schema import TorchConfig
from runner.config.bind import Bound, bind, describe, field_infos, require, section_classes
from runner.config.dump import canonical
from runner.config.load import load_config, parse
from runner.config.node import Source
from runner.config.overrides import apply_overrides
from runner.config.schema import Doc, Form, FromPlugins, Key, OpenNames, Range, Shared
from runner.core.errors import InputError

BindTiny = Callable[..., Bound[TorchConfig]]


@pytest.fixture
def bind_tiny(write_config: Callable[..., Path]) -> BindTiny:
    """The small config with overrides, bound."""
    tree = load_config(write_config())
    return lambda *overrides: bind(apply_overrides(tree, overrides), TorchConfig)


# --------------------------------------------------------------------------------------------- a schema of our own
@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    form: ClassVar[Form] = "section"
    size: Annotated[int, Doc("a size"), Range(1, 8)] = 1
    classes: Annotated[int, Doc("classes"), Range(1), Shared()] = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Large:
    form: ClassVar[Form] = "section"
    depth: Annotated[int, Doc("a depth")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    form: ClassVar[Form] = "key"
    by: Annotated[float, Doc("how far"), Range(0, open_low=True)] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    form: ClassVar[Form] = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    form: ClassVar[Form] = "plain"
    factor: Annotated[float, Doc("how much")] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    form: ClassVar[Form] = "section"
    not_used: ClassVar[dict[str, str]] = {"garden": "there is none"}
    part: Small | Large
    plan: Annotated[tuple[Step | Jump, ...], Key("Plan")] = ()
    classes: Annotated[int, Doc("classes"), Range(1)] = 3
    mode: Annotated[Literal["fast", "slow"] | None, Doc("how")] = None
    off: Annotated[Literal[False], Doc("is not supported")] = False
    pair: Annotated[int | tuple[int, int], Doc("one or two"), Range(0)] = 0
    sizes: Annotated[tuple[int, ...] | tuple[tuple[int, int], ...], Doc("sizes"), Range(0)] = ()
    names: Annotated[dict[str, Any], Doc("anything")] = field(default_factory=dict)
    formulas: Annotated[dict[str, Annotated[str, Doc("a formula")]], Doc("by name")] = field(default_factory=dict)
    either: Annotated[dict[str, bool | int | float | str], Doc("anything short")] = field(default_factory=dict)
    nested: Annotated[dict[str, dict[str, tuple[int, ...]]], Doc("deep")] = field(default_factory=dict)
    rule: Annotated[Rule | None, Doc("a rule")] = None
    varied: Annotated[dict[str, Rule | tuple[Any, ...]], Doc("values")] = field(default_factory=dict)


def house(text: str) -> Bound[House]:
    return bind(parse(text, lambda line: Source("f.yml", line)), House)


def problems(text: str) -> list[str]:
    return [str(problem) for problem in house(text).problems]


SMALL = Small(size=2, classes=3)


@pytest.mark.parametrize(
    "text",
    [
        "part: Small\nSmall: {size: 2}",
        "part: {name: Small, size: 2}",
        "part: {type: Small, size: 2}",
        "part: !Small {size: 2}",
        "part: !Small\n  size: 2",
        "part: Small\nSmall: {size: 2.0}",
    ],
)
def test_a_module_may_be_written_in_many_ways(text: str) -> None:
    assert house(text).value == House(part=SMALL)


@pytest.mark.parametrize(
    "text",
    [
        "part: Small",
        "part: !Small",
        "part: !Small {}",
        "part: !Small []",
        "part: {name: Small}",
        "part: Small\nSmall: {}",
        "part: Small\nSmall:",
    ],
)
def test_a_module_without_keys_has_its_defaults(text: str) -> None:
    assert house(text).value == House(part=Small())


@pytest.mark.parametrize(
    "text", ["- Step: {by: 2}\n- Jump: {}", "- !Step {by: 2}\n- !Jump", "- {name: Step, by: 2}\n- Jump", "- Step: {by: 2}\n- Jump:"]
)
def test_a_list_of_modules(text: str) -> None:
    bound = house("part: !Small {}\nPlan:\n" + text)
    assert bound.value is not None and bound.value.plan == (Step(by=2.0), Jump())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("part: !Small [2]", "f.yml:1: part: expected the keys of Small, got !Small"),
        ("part: !Small\nPlan: [Step: 2]", "f.yml:2: Plan.0.Step: expected the keys of Step, got 2"),
        ("part: !Small\nPlan: [Jump: [1]]", "f.yml:2: Plan.0.Jump: expected the keys of Jump, got [1], a list"),
        ("part: Small\nSmall: 3", "f.yml:2: Small: expected the keys of Small, got 3"),
    ],
)
def test_a_modules_value_that_is_no_mapping_is_never_dropped(text: str, expected: str) -> None:
    assert problems(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "f.yml:1: part: missing; expected Small or Large"),
        ("part: Smal", "f.yml:1: part: unknown name 'Smal'; did you mean 'Small'?; allowed: Large, Small"),
        ("part: {name: Nothing}", "f.yml:1: part: unknown name 'Nothing'; allowed: Large, Small"),
        ("part: 3", "f.yml:1: part: expected Small or Large, got 3"),
        ("part: {size: 2}", "f.yml:1: part: expected Small or Large, got {'size': 2}, a mapping"),
        ("part: [1]", "f.yml:1: part: expected Small or Large, got [1], a list"),
        ("part: null", "f.yml:1: part: expected Small or Large, got null"),
        ("part: Large\nLarge: {}", "f.yml:2: Large.depth: missing; expected an integer"),
        ("part: Small\nSmall: {sise: 2}", "f.yml:2: Small.sise: unknown key of Small; did you mean 'size'?"),
        ("part: Small\nSmall:\n  size: 9", "f.yml:3: Small.size: expected an integer (from 1 to 8), got 9"),
        ("part: Small\nSmall: {size: true}", "f.yml:2: Small.size: expected an integer (from 1 to 8), got true"),
        ("part: Small\nSmall: {size: 1.5}", "f.yml:2: Small.size: expected an integer (from 1 to 8), got 1.5"),
        ("part: Small\nSmall: {size: '2'}", "f.yml:2: Small.size: expected an integer (from 1 to 8), got '2', a string"),
        ("part: Small\nSmall: {size: null}", "f.yml:2: Small.size: expected an integer (from 1 to 8), got null"),
        ("part: Small\nSmall: {size: .nan}", "f.yml:2: Small.size: expected an integer (from 1 to 8), got nan"),
        ("part: Small\nSmall: {size: !T 	}", "f.yml:2: Small.size: expected an integer (from 1 to 8), got !T"),
        (
            "part: !Small\nmood: 1\nmode: fats",
            "f.yml:3: mode: expected one of 'fast', 'slow' or null, got 'fats', a string; did you mean 'fast'?",
        ),
        ("part: !Small\noff: true", "f.yml:2: off: expected false, got true (is not supported)"),
        ("part: !Small\noff: 0", "f.yml:2: off: expected false, got 0 (is not supported)"),
        (
            "part: !Small\npair: [1, 2, 3]",
            "f.yml:2: pair: expected an integer (at least 0) or a list of 2 (each an integer (at least 0)), got [1, 2, 3], a list",
        ),
        (
            "part: !Small\npair: [1, -2]",
            "f.yml:2: pair.1: expected an integer (at least 0), got -2",
        ),
        ("part: !Small\nsizes: [1, x]", "f.yml:2: sizes.1: expected an integer (at least 0), got 'x', a string"),
        ("part: !Small\nsizes: [[1, 2], [1, x]]", "f.yml:2: sizes.1.1: expected an integer (at least 0), got 'x', a string"),
        (
            "part: !Small\nsizes: [null]",
            "f.yml:2: sizes.0: expected an integer (at least 0) or a list of 2 (each an integer (at least 0)), got null",
        ),
        (
            "part: !Small\nsizes: [1, [1, 2]]",
            "f.yml:2: sizes: expected a list (each an integer (at least 0)) or a list (each a list of 2 (each an integer (at least 0))), "
            "got [1, [1, 2]], a list",
        ),
        (
            "part: !Small\nformulas:\n  a: '1'\n  b: 0.5",
            'f.yml:4: formulas.b: expected a string (a formula), got 0.5; for a string, use quotes: "0.5"',
        ),
        ("part: !Small\nformulas: [1]", "f.yml:2: formulas: expected a mapping, got [1], a list"),
        ("part: !Small\nnested: {a: {b: [1, x]}}", "f.yml:2: nested.a.b.1: expected an integer, got 'x', a string"),
        ("part: !Small\nnested: {a: {b: }}", "f.yml:2: nested.a.b: expected a list (each an integer), got null"),
        ("part: !Small\nnested: {a: 1}", "f.yml:2: nested.a: expected a mapping, got 1"),
        ("part: !Small\nrule: 5", "f.yml:2: rule: expected the keys of Rule (factor) or null, got 5"),
        ("part: !Small\nrule: {factor: }", "f.yml:2: rule.factor: expected a number, got null"),
        ("part: !Small\nvaried: {a: }", "f.yml:2: varied.a: expected the keys of Rule (factor) or a list of values, got null"),
        ("part: !Small\nnames: [1]", "f.yml:2: names: expected a mapping, got [1], a list"),
        ("part: !Small\nPlan: {Step: {}}", "f.yml:2: Plan: expected a list (each Step or Jump), got {'Step': {}}, a mapping"),
        ("part: !Small\nPlan: [3]", "f.yml:2: Plan.0: expected Step or Jump, got 3"),
        ("part: !Small\nPlan: [Setp: {}]", "f.yml:2: Plan.0: unknown name 'Setp'; did you mean 'Step'?; allowed: Jump, Step"),
        ("part: !Small\nPlan: [Step: {by: 0}]", "f.yml:2: Plan.0.Step.by: expected a number (more than 0), got 0"),
        ("part: !Small\nPlan: [Step: {by: .inf}]", "f.yml:2: Plan.0.Step.by: expected a number (more than 0), got inf"),
        (
            "part: !Small\nPlan: [Step: {by: 1" + "0" * 400 + "}]",
            "f.yml:2: Plan.0.Step.by: expected a number (more than 0), got 1" + "0" * 56 + "…",
        ),
    ],
)
def test_messages(text: str, expected: str) -> None:
    found = problems(text)
    assert expected in found, "\n".join(found)
    assert len(found) == (2 if "mood" in text else 1)


def test_all_problems_at_once_in_order() -> None:
    found = problems("part: Small\nSmall: {size: 0, sise: 1}\nPlan: [Step: {by: -1}, Jmp: {}]\nclasses: many\nPart: 1")
    assert {message.split(": ")[1] for message in found} == {"Part", "Small.sise", "Small.size", "Plan.0.Step.by", "Plan.1", "classes"}
    assert len(found) == 6
    assert problems("part: Small\nformulas: {a: 1, b: '2', c: [3]}\nsizes: [x, -1, 2]") == [
        "f.yml:3: sizes.0: expected an integer (at least 0), got 'x', a string",
        "f.yml:3: sizes.1: expected an integer (at least 0), got -1",
        'f.yml:2: formulas.a: expected a string (a formula), got 1; for a string, use quotes: "1"',
        "f.yml:2: formulas.c: expected a string (a formula), got [3], a list",
    ]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("formulas.a=", "formulas.a: expected a string (a formula), got null"),
        ("formulas={a: 2}", 'formulas.a: expected a string (a formula), got 2; for a string, use quotes: "2"'),
        ("sizes.1=x", "sizes.1: expected an integer (at least 0), got 'x', a string"),
        ("Plan.0.Step.by=", "Plan.0.Step.by: expected a number (more than 0), got null"),
        ("nested.a.b=[1, x]", "nested.a.b.1: expected an integer, got 'x', a string"),
    ],
)
def test_the_place_is_the_override_that_gave_the_value(override: str, expected: str) -> None:
    tree = parse("part: Small\nPlan: [Step: {}]\nsizes: [1, 2]\nformulas: {a: '1'}", lambda line: Source("f.yml", line))
    assert [str(problem) for problem in bind(apply_overrides(tree, [override]), House).problems] == [f"-o {override}: {expected}"]


def test_a_shared_key_comes_from_the_top_unless_it_is_set() -> None:
    assert house("part: Small\nclasses: 5").value == House(part=Small(classes=5), classes=5)
    assert house("part: Small\nSmall: {classes: 5}\nclasses: 5").problems == []
    assert problems("part: Small\nSmall: {classes: 4}\nclasses: 5") == [
        "f.yml:2: Small.classes: is 4, but the top-level classes is 5 (f.yml:3); delete it here"
    ]
    assert problems("part: Small\nclasses: -5") == [
        "f.yml:2: classes: expected an integer (at least 1), got -5"
    ]  # once, though two modules share it


def test_sections_nothing_refers_to_are_noted_and_still_checked() -> None:
    bound = house("part: Small\nLarge: {depth: 3}\ngarden: {}")
    assert bound.problems == []
    assert bound.notes == [
        "f.yml:2: Large has no effect: nothing in this config refers to it",
        "f.yml:3: garden has no effect: there is none",
    ]
    assert problems("part: Small\nLarge: {dept: 3}")[0].startswith("f.yml:2: Large.dept: unknown key of Large; did you mean 'depth'?")


def test_keys_of_a_former_module_are_noted() -> None:
    tree = parse("part: {type: Large, depth: 3}", lambda line: Source("f.yml", line))
    bound = bind(apply_overrides(tree, ["part.type=Small", "part.size=2"]), House)
    assert bound.value == House(part=SMALL)
    assert bound.notes == ["f.yml:1: part.depth has no effect: it was given for another module"]


def test_declarations_can_be_read() -> None:
    infos = {info.key: info for info in field_infos(House)}
    assert list(infos)[:7] == ["part", "Plan", "classes", "mode", "off", "pair", "sizes"]
    assert infos["part"].required and infos["part"].default is None
    assert infos["names"].default == {} and infos["classes"].doc == "classes"
    assert set(section_classes(House)) == {"Small", "Large"}
    assert (
        describe(int | tuple[int, ...] | None, Range(0, 1)) == "an integer (from 0 to 1) or a list (each an integer (from 0 to 1)) or null"
    )


QUOTES = "for a string, use quotes: "


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("NO", "expected a string (a formula), got false; " + QUOTES + "-o 'formulas.a=\"NO\"'"),
        ("1e3", "expected a string (a formula), got 1000.0; " + QUOTES + "-o 'formulas.a=\"1e3\"'"),
        ("010", "expected a string (a formula), got 8; " + QUOTES + "-o 'formulas.a=\"010\"'"),
        ("1:30", "expected a string (a formula), got 90; " + QUOTES + "-o 'formulas.a=\"1:30\"'"),
        ("&x", "expected a string (a formula), got null; " + QUOTES + "-o 'formulas.a=\"&x\"'"),
        ("#x", "expected a string (a formula), got null; " + QUOTES + "-o 'formulas.a=\"#x\"'"),
        ("[x]", "expected a string (a formula), got ['x'], a list; " + QUOTES + "-o 'formulas.a=\"[x]\"'"),
        ("a: b", "expected a string (a formula), got {'a': 'b'}, a mapping; " + QUOTES + "-o 'formulas.a=\"a: b\"'"),
        ("!x", "expected a string (a formula), got !x; " + QUOTES + "-o 'formulas.a=\"!x\"'"),
    ],
)
def test_what_yaml_takes_for_something_else_gets_the_quotes(value: str, message: str) -> None:
    bound = bind(apply_overrides(parse("part: Small", lambda line: Source("f.yml", line)), [f"formulas.a={value}"]), House)
    assert [problem.message for problem in bound.problems] == [message]
    typed = shlex.split(message.rpartition(QUOTES)[2])[1]
    assert require(bind(apply_overrides(parse("part: Small", lambda line: Source("f.yml", line)), [typed]), House)).formulas == {"a": value}


@pytest.mark.parametrize(
    ("override", "note"),
    [
        ("either.a=NO", "either.a: NO is false in YAML; for the string write -o 'either.a=\"NO\"'"),
        ("either.a=1:30", "either.a: 1:30 is 90 in YAML; for the string write -o 'either.a=\"1:30\"'"),
        ("either.a=a b # c", "either.a: a b # c is 'a b', a string in YAML; for the string write -o 'either.a=\"a b # c\"'"),
        ("classes=010", "classes: 010 is 8 in YAML"),
        ("either.a=0x1F", "either.a: 0x1F is 31 in YAML; for the string write -o 'either.a=\"0x1F\"'"),
        *(
            (f"either.a={plain}", "")
            for plain in ("1e3", "1.5", "true", "False", "08", "2024-01-02", "007x", '"NO"', "-3", "x#y", "'x # y'")
        ),
        *((plain, "") for plain in ("either={a: false}", "mode=null", "mode=~", "classes=10")),
    ],
)
def test_what_yaml_reads_as_few_people_mean_it_is_noted(override: str, note: str) -> None:
    bound = bind(apply_overrides(parse("part: Small", lambda line: Source("f.yml", line)), [override]), House)
    assert bound.problems == [] and bound.notes == ([f"-o {override}: {note}"] if note else [])


# ----------------------------------------------------------------------------------------------------- the real one
@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["TrainReader.batch_size=-2"], "-o TrainReader.batch_size=-2: TrainReader.batch_size: expected an integer (at least 1), got -2"),
        (["TrainReader.batch_size=two"], "got 'two', a string"),
        (["TrainReader.batchsize=2"], "TrainReader.batchsize: unknown key of TrainReader; did you mean 'batch_size'?"),
        (["num_clases=3"], "num_clases: unknown key; did you mean 'num_classes'?"),
        (["architecture=YOLOv9"], "architecture: unknown name 'YOLOv9'; allowed: FCOS"),
        (["architecture=YOLOv3"], "architecture: unknown name 'YOLOv3'; the backend paddle has it (-o backend=paddle); allowed: FCOS"),
        (
            ["OptimizerBuilder.optimizer.type=Adagrad"],
            "OptimizerBuilder.optimizer: unknown name 'Adagrad'; the backend paddle has it (-o backend=paddle); allowed: Adam, AdamW",
        ),
        (
            ["TrainReader.sample_transforms.1={LetterBoxResize: {}}"],
            "unknown name 'LetterBoxResize'; the backend paddle has it (-o backend=paddle); allowed: AugmentHSV, AutoAugment",
        ),
        (["YOLOv3Head={}"], "YOLOv3Head: unknown key; the backend paddle has it (-o backend=paddle)"),
        (["processes=2"], "processes: unknown key; a run trains in one process, and on one GPU (only the backend paddle has `processes`)"),
        (["patience=3"], "patience: unknown key; the key is early_stop"),
        (["FCOSHead.fcos_loss.class_weight=[1]"], "class_weight: unknown key of FCOSLoss; classes cannot be weighted"),
        (["quux=3"], "quux: unknown key; `runner config show -c FILE` prints every key"),
        (["lr=3"], "lr: unknown key; the key is LearningRate.base_lr"),
        (
            ["trackers=[wandb]"],
            "expected one of 'tensorboard', 'visualdl', got 'wandb', a string; packages add others by the entry point group",
        ),
        (
            ["TrainReader.sample_transforms.1={RandomFlop: {}}"],
            "TrainReader.sample_transforms.1: unknown name 'RandomFlop'; did you mean 'RandomFlip'",
        ),
        (["FCOS.backbone=ResNext"], "FCOS.backbone: unknown name 'ResNext'; did you mean 'ResNet'?"),
        (["ResNet.depth=20"], "ResNet.depth: expected one of 18, 34, 50, 101, got 20"),
        (["FCOSHead.fcos_feat.use_dcn=true"], "expected false, got true (deformable convolution is not supported)"),
        (["LearningRate.base_lr=.nan"], "LearningRate.base_lr: expected a number (more than 0), got nan"),
        (["LearningRate.schedulers.0.gamma=-1"], "LearningRate.schedulers.0.gamma: expected"),
        (["seed=1" + "0" * 400], "seed: expected an integer (from 0 to"),
        (["use_gpu=1"], "use_gpu: expected true or false, got 1"),
        (["trackers=[tensorbord]"], "trackers"),
        (["TrainReader.sample_transforms.1={RandomFlip: 0.3}"], "expected the keys of RandomFlip, got 0.3"),
        (["num_classes=0"], "num_classes: expected an integer (at least 1), got 0"),
    ],
)
def test_what_a_user_gets_wrong(bind_tiny: BindTiny, overrides: list[str], expected: str) -> None:
    bound = bind_tiny(*overrides)
    assert bound.value is None and len(bound.problems) == 1, bound.problems
    assert expected in str(bound.problems[0])
    with pytest.raises(InputError):
        require(bound)


def test_numbers_come_out_in_the_declared_type(bind_tiny: BindTiny) -> None:
    config = require(bind_tiny("LearningRate.base_lr=1", "TrainReader.batch_size=4.0"))
    assert (config.learning_rate.base_lr, type(config.learning_rate.base_lr)) == (1.0, float)
    assert (config.train_reader.batch_size, type(config.train_reader.batch_size)) == (4, int)


def test_another_optimiser_by_its_type_alone(bind_tiny: BindTiny) -> None:
    bound = bind_tiny("OptimizerBuilder.optimizer.type=AdamW")
    assert require(bound).optimizer_builder.optimizer == schema.AdamW()
    assert len(bound.notes) == 1 and "OptimizerBuilder.optimizer.momentum has no effect" in bound.notes[0]


def test_a_type_that_chooses_no_module_drops_nothing(bind_tiny: BindTiny) -> None:
    bound = bind_tiny("OptimizerBuilder.regularizer.factor=0.5", "OptimizerBuilder.regularizer.type=L1")
    assert require(bound).optimizer_builder.regularizer == schema.Regularizer(type="L1", factor=0.5)
    assert require(bind_tiny("OptimizerBuilder.regularizer.type=L1")).optimizer_builder.regularizer == schema.Regularizer(
        type="L1", factor=0.0001
    )


def test_another_backbone_leaves_the_other_section_as_a_note(bind_tiny: BindTiny) -> None:
    bound = bind_tiny("FCOS.backbone=MobileNetV3")
    assert isinstance(require(bound).architecture.backbone, layers.MobileNetV3)
    assert [note.partition(": ")[2] for note in bound.notes] == ["ResNet has no effect: nothing in this config refers to it"]


def test_a_reference_left_out_means_the_only_section_that_fits(bind_tiny: BindTiny) -> None:
    config = require(bind_tiny("FCOS={}")).architecture
    assert config.neck.out_channel == 16


def test_bounds_are_told_in_full() -> None:
    assert str(Range(0, 2**31 - 1)) == "from 0 to 2147483647"
    assert [str(Range(1)), str(Range(high=1e-9)), str(Range(0, 0.5, open_low=True))] == [
        "at least 1",
        "at most 1e-09",
        "more than 0 and at most 0.5",
    ]


# ------------------------------------------------------------------------------------------------ classes of plug-ins
@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    form: ClassVar[Form] = "section"
    one: Annotated[Any, Doc("a size or a depth"), FromPlugins(lambda: [Small, Large], lambda name: "is broken" if name == "Bad" else "")]
    many: tuple[Annotated[Any, FromPlugins(lambda: [Step, Jump])], ...] = ()


def bind_open(text: str) -> Bound[Open]:
    return bind(parse(text, lambda line: Source("a.yml", line)), Open)


def test_classes_of_plugins_stand_where_the_schema_has_a_place_for_them() -> None:
    assert set(section_classes(Open)) == {"Small", "Large"}
    found = require(bind_open("{one: Large, Large: {depth: 2}, many: [{Step: {by: 2}}, {Jump: {}}]}"))
    assert found == Open(one=Large(depth=2), many=(Step(by=2.0), Jump()))
    assert [describe(info.type, None) for info in field_infos(Open)] == ["Small or Large", "a list (each Step or Jump)"]


def test_a_plugin_that_cannot_be_used_says_why() -> None:
    (problem,) = bind_open("{one: Bad}").problems
    assert problem.key == "one" and problem.message == "is broken" and problem.where == "a.yml:1"
    (problem,) = bind_open("{one: Smal}").problems
    assert "'Small'" in problem.message


# ----------------------------------------------------------------------------------------------------- names that are open
@dataclass(frozen=True, kw_only=True)
class Toy:
    form: ClassVar[Form] = "key"
    names: ClassVar[OpenNames] = OpenNames("v2.", lambda name: toy(name))


def toy(name: str) -> type[Any]:
    if name == "v2.Car":
        return make_dataclass(name, [("wheels", int, field(default=4))], bases=(Toy,), frozen=True, kw_only=True)
    raise InputError(f"no toy is called {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Toys:
    form: ClassVar[Form] = "section"
    many: tuple[Step | Toy, ...] = ()


def test_classes_with_open_names_are_declared_when_they_are_asked_for() -> None:
    tree = parse("many: [{v2.Car: {wheels: 3}}, {Step: {by: 2}}]", lambda line: Source("a.yml", line))
    found = require(bind(tree, Toys)).many
    assert [type(one).__name__ for one in found] == ["v2.Car", "Step"] and found[0].wheels == 3  # type: ignore[union-attr]
    assert canonical(Toys(many=found[:1])) == {"many": [{"v2.Car": {"wheels": 3}}]}
    changed = apply_overrides(tree, ["many.0.v2.Car.wheels=5"])
    assert require(bind(changed, Toys)).many[0].wheels == 5 and changed.get("many.0.v2.Car.wheels") is not None  # type: ignore[union-attr]
    for text, message in (
        ("v2.Cart: {}", "no toy is called v2.Cart"),
        ("v2.Car: {wheel: 1}", "unknown key of v2.Car; did you mean 'wheels'?"),
    ):
        (problem,) = bind(parse(f"many: [{text}]", lambda line: Source("a.yml", line)), Toys).problems
        assert message in problem.message
