"""The config loader: layers, tags, line numbers, and everything it refuses."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from runner.config.load import load_config, parse
from runner.config.node import Node, Source
from runner.core.errors import InputError


def read(text: str) -> Node:
    return parse(text, lambda line: Source("f.yml", line))


def refusal(text: str) -> str:
    with pytest.raises(InputError) as error:
        read(text)
    assert len(error.value.problems) == 1
    return str(error.value)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# ------------------------------------------------------------------------------------------------------------- layers
def test_base_as_a_list_the_later_one_wins(tmp_path: Path) -> None:
    write(tmp_path / "a.yml", "x: 1\ny: 1\nz: 1\n")
    write(tmp_path / "b.yml", "y: 2\nz: 2\n")
    top = write(tmp_path / "top.yml", "_BASE_: [a.yml, b.yml]\nz: 3\n")
    assert load_config(top).plain() == {"x": 1, "y": 2, "z": 3}


@pytest.mark.parametrize("entry", ["a.yml", "./a.yml", "../bases 'ü'/a.yml", "{folder}/a.yml"])
def test_base_as_a_bare_string_relative_to_the_file_or_absolute(tmp_path: Path, entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bases 'ü'"
    write(folder / "a.yml", "x: 1\n")
    quoted = entry.format(folder=folder).replace("'", "''")
    top = write(folder / "top.yml", f"_BASE_: '{quoted}'\n")
    monkeypatch.chdir("/")
    assert load_config(top).plain() == {"x": 1}


def test_base_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "mine" / "a.yml", "x: 1\n")
    assert load_config(write(tmp_path / "top.yml", "_BASE_: ~/mine/a.yml\n")).plain() == {"x": 1}


def test_a_base_that_ships_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    top = write(tmp_path / "deep" / "top.yml", "_BASE_: configs/fcos_tiny.yml\nx: 1\n")
    assert load_config(top).plain() == {**load_config(Path("configs/fcos_tiny.yml")).plain(), "x": 1}
    write(tmp_path / "configs" / "fcos_tiny.yml", "y: 1\n")  # only what lies beside the file that names it goes before
    assert "y" not in load_config(top).plain()
    write(tmp_path / "deep" / "configs" / "fcos_tiny.yml", "z: 1\n")
    assert load_config(top).plain() == {"x": 1, "z": 1}


def test_bases_have_bases_relative_to_themselves(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "c.yml", "x: 1\ny: 1\n")
    write(tmp_path / "deep" / "b.yml", "_BASE_: c.yml\ny: 2\n")
    assert load_config(write(tmp_path / "top.yml", "_BASE_: [deep/b.yml]\n")).plain() == {"x": 1, "y": 2}


def test_two_files_may_share_a_base_without_reading_it_again_and_again(tmp_path: Path) -> None:
    write(tmp_path / "0.yml", "x: 1\n")
    for level in range(1, 40):  # 2**40 files if each were read wherever it is named
        write(tmp_path / f"{level}.yml", f"_BASE_: [{level - 1}.yml, {level - 1}.yml]\nk{level}: {level}\n")
    started = time.monotonic()
    assert len(load_config(tmp_path / "39.yml").plain()) == 40
    assert time.monotonic() - started < 5


def test_a_cycle_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.yml", "_BASE_: b.yml\n")
    write(tmp_path / "b.yml", "_BASE_: [c.yml]\n")
    write(tmp_path / "c.yml", "_BASE_: a.yml\n")
    with pytest.raises(InputError) as error:
        load_config(tmp_path / "a.yml")
    names = [part.rpartition("/")[2] for part in str(error.value).partition("itself: ")[2].split(" → ")]
    assert names == ["a.yml", "b.yml", "c.yml", "a.yml"]


def test_a_missing_base_is_named_with_its_line(tmp_path: Path) -> None:
    write(tmp_path / "base.yml", "x: 1\n")
    top = write(tmp_path / "top.yml", "y: 1\n_BASE_:\n  - base.yml\n  - bsae.yml\n")
    with pytest.raises(InputError, match=r"top\.yml:4: _BASE_: .*bsae\.yml.*base\.yml"):
        load_config(top)


@pytest.mark.parametrize("entry", ["3", "{a: 1}", "[[a.yml]]", "", "['']", "!Tag {}"])
def test_a_base_that_is_no_path(tmp_path: Path, entry: str) -> None:
    with pytest.raises(InputError, match="expected a path or a list of paths"):
        load_config(write(tmp_path / "top.yml", f"_BASE_: {entry}\n"))


def test_a_base_whose_name_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_config(write(tmp_path / "top.yml", f"_BASE_: {'x' * 300}.yml\n"))


def test_a_link_that_leads_to_itself(tmp_path: Path) -> None:
    link = tmp_path / "loop.yml"
    link.symlink_to(link)
    with pytest.raises(InputError, match=r"loop\.yml: cannot be read: Too many levels of symbolic links"):
        load_config(link)
    (tmp_path / "a.yml").write_text("_BASE_: loop.yml\n")
    with pytest.raises(InputError, match=r"a\.yml:1: _BASE_: .*loop\.yml is a symbolic link that leads to no file"):
        load_config(tmp_path / "a.yml")


def test_a_directory_as_base(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="does not exist"):
        load_config(write(tmp_path / "top.yml", "_BASE_: folder\n"))


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ("a: {x: 1, y: {z: 1, w: 2}}", "a: {y: {z: 3}}", {"a": {"x": 1, "y": {"z": 3, "w": 2}}}),
        ("a: [1, 2, 3]", "a: [4]", {"a": [4]}),
        ("a: {x: 1}", "a: null", {"a": None}),
        ("a: {x: 1}", "a: 3", {"a": 3}),
        ("a: 3", "a: {x: 1}", {"a": {"x": 1}}),
        ("a: !T {x: 1, y: 2}", "a: !T {x: 3}", {"a": {"name": "T", "x": 3}}),
        ("a: {x: 1}", "a: !T {y: 2}", {"a": {"name": "T", "y": 2}}),
        ("a: !T {x: 1}", "a: {y: 2}", {"a": {"y": 2}}),
        ("a: null", "a: {y: 2}", {"a": {"y": 2}}),
        ("a: {x: 1}", "a: {}", {"a": {"x": 1}}),
    ],
)
def test_mappings_merge_and_everything_else_is_replaced(tmp_path: Path, base: str, over: str, merged: Any) -> None:
    write(tmp_path / "base.yml", base)
    assert load_config(write(tmp_path / "top.yml", f"_BASE_: base.yml\n{over}\n")).plain() == merged


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ("epoch: 12", "max_iters: 300", {"max_iters": 300}),
        ("max_iters: 300", "epoch: 12", {"epoch": 12}),
        ("snapshot_epoch: 1", "snapshot_iter: 50", {"snapshot_iter": 50}),
        ("snapshot_iter: 50", "snapshot_epoch: 2", {"snapshot_epoch": 2}),
        ("epoch: 12", "max_iters: null", {"epoch": 12, "max_iters": None}),
        ("epoch: 12", "{epoch: 3, max_iters: 9}", {"epoch": 3, "max_iters": 9}),  # one layer that says both: checking refuses it
        ("a: {epoch: 3}", "max_iters: 9", {"a": {"epoch": 3}, "max_iters": 9}),
    ],
)
def test_what_says_the_same_in_other_words_is_put_aside(tmp_path: Path, base: str, over: str, merged: Any) -> None:
    write(tmp_path / "base.yml", base)
    over = over.strip("{}").replace(", ", "\n")
    assert load_config(write(tmp_path / "top.yml", f"_BASE_: base.yml\n{over}\n")).plain() == merged


def test_a_later_type_marks_the_keys_of_the_former_one(tmp_path: Path) -> None:
    write(tmp_path / "base.yml", "o: {type: AdamW, weight_decay: 0.1}\n")
    tree = load_config(write(tmp_path / "top.yml", "_BASE_: base.yml\no: {type: Momentum, momentum: 0.8}\n"))
    former = {key: node.former for key, node in (tree.get("o") or tree).value.items()}  # type: ignore[union-attr]
    assert former == {"type": False, "weight_decay": True, "momentum": False}


# -------------------------------------------------------------------------------------------------------------- values
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: !Tag {x: 1}", {"a": {"name": "Tag", "x": 1}}),
        ("a: !Tag\n  x: 1", {"a": {"name": "Tag", "x": 1}}),
        ("a: !Tag [1, 2]", {"a": {"name": "Tag", "args": [1, 2]}}),
        ("a: !Tag []", {"a": {"name": "Tag", "args": []}}),
        ("a: !Tag", {"a": {"name": "Tag"}}),
        ("- !One {}\n- !Two", [{"name": "One"}, {"name": "Two"}]),
    ],
)
def test_tags_in_their_three_forms(text: str, value: Any) -> None:
    assert read(text).plain() == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E+3", 1000.0),
        ("-2e5", -2e5),
        ("1_0e2", 1000.0),
        ("1.5e-3", 0.0015),
        (".5", 0.5),
        ("1.", 1.0),
        ("12", 12),
        ("-3", -3),
        ("'1e-4'", "1e-4"),
        ('"12"', "12"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("1.5e3", 1500.0),
        ("+.5E2", 50.0),
        ("2.e-1", 0.2),
        (".e3", ".e3"),
        ("1e", "1e"),
        ("e5", "e5"),
        ("2026-11-21", "2026-11-21"),
        ("=", "="),
        ("a=b", "a=b"),
        ("[1, 1e-1]", [1, 0.1]),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    found = read(text).plain()
    assert found == value and type(found) is type(value)


def test_merge_keys() -> None:
    tree = read("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], c: 3}\nw: {a: 9, <<: *x}")
    assert tree.plain()["z"] == {"a": 1, "b": 1, "c": 3}  # the earlier one wins, what the mapping says itself wins over both
    assert tree.plain()["w"] == {"a": 9, "b": 1}


def test_anchors_and_aliases() -> None:
    assert read("a: &a [1, {b: 2}]\nc: *a").plain()["c"] == [1, {"b": 2}]


def anchors(node: Node, key: str = "") -> dict[str, str]:
    """Dotted key to anchor of every value that has one."""
    children = node.mapping or {str(index): item for index, item in enumerate(node.items or ())}
    found = {key: node.anchor} if node.anchor is not None else {}
    return found | {name: anchor for part, item in children.items() for name, anchor in anchors(item, f"{key}.{part}".lstrip(".")).items()}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("h: &h 640\nw: *h\ns: &s [*h, &i 3]\nr: {size: *s, x: *i}", {"h": "h", "s": "s", "s.1": "i"}),
        ("a: &a\n  b: 1\nc: *a", {"a": "a"}),
        ("a:\n  &a\n  b: &b 1\nc: *b", {"a": "a", "a.b": "b"}),
        ("a: &m\n  &k b: 1\nc: *k", {"a": "m"}),  # the anchor of a key is no value's
        ("&k a: 1\nb: *k", {}),
        ("a: !T &a {b: 1}\nc: &c !T [1]\nd: *a\ne: &e\nf: &f ''", {"a": "a", "c": "c", "e": "e", "f": "f"}),
        ("a: &a {b: &b 1}\nc: {<<: *a}\nd: {<<: &d {e: &e 2}}", {"a": "a", "a.b": "b", "d.e": "e"}),
        ("- &a 1\n- *a\n- - &b\n    c: 1\n", {"0": "a", "2.0": "b"}),
        ("&t\na: 1", {"": "t"}),
        ("# ü 板\nü: &a 板\nb: &b x", {"ü": "a", "b": "b"}),
    ],
)
def test_a_value_remembers_the_anchor_it_was_written_with(text: str, found: dict[str, str]) -> None:
    assert anchors(read(text)) == found


def test_anchors_through_layers(tmp_path: Path) -> None:
    write(tmp_path / "base.yml", "h: &h 640\nw: &w 640\nm: {s: *h, t: &t {x: 1}, u: &u {x: 1}}\n")
    tree = load_config(write(tmp_path / "top.yml", "_BASE_: base.yml\nw: 320\nm: {u: {x: 2}, v: &v 1}\n"))
    assert anchors(tree) == {"h": "h", "m.t": "t", "m.v": "v"}
    assert (tree.get("w") or tree).source.line == 2 and (tree.get("m.t") or tree).source.line == 3


COCO = """
metric: VOC
map_type: 11point
num_classes: 20
epoch: 12
TrainDataset: !VOCDataSet {dataset_dir: d, anno_path: t.txt, label_list: l.txt, data_fields: [image, gt_bbox], sample_num: 5}
EvalDataset: {name: COCODataSet, dataset_dir: d, image_dir: i, anno_path: e.json, allow_empty: true}
TestDataset: {name: ImageFolder, anno_path: e.json}
"""
LEFT = {
    "epoch": 12,
    "TrainDataset": {"data_fields": ["image", "gt_bbox"], "sample_num": 5},
    "EvalDataset": {"allow_empty": True},
    "TestDataset": {},
}


@pytest.mark.parametrize(
    ("over", "merged"),
    [
        ("dataset: pcb", {**LEFT, "dataset": "pcb"}),
        ("dataset: pcb\nnum_classes: 3", {**LEFT, "dataset": "pcb", "num_classes": 3}),
        (
            "TrainDataset: {dataset_dir: x}\ndataset: pcb",
            {**LEFT, "dataset": "pcb", "TrainDataset": {**LEFT["TrainDataset"], "dataset_dir": "x"}},
        ),
        ("dataset: null", {**read(COCO).plain(), "dataset": None}),
        ("m: {dataset: pcb}", {**read(COCO).plain(), "m": {"dataset": "pcb"}}),
    ],
)
def test_a_data_set_by_name_puts_the_data_of_earlier_layers_aside(tmp_path: Path, over: str, merged: dict[str, Any]) -> None:
    write(tmp_path / "base.yml", COCO)
    assert load_config(write(tmp_path / "top.yml", f"_BASE_: base.yml\n{over}\n")).plain() == merged


def test_every_value_remembers_file_and_line(tmp_path: Path) -> None:
    base = write(tmp_path / "base.yml", "# a comment\na:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n")
    top = write(tmp_path / "top.yml", f"_BASE_: {base.name}\n\ne: !T\n  f: [1,\n    2]\na: {{g: 3}}\n")
    tree = load_config(top)
    lines = {
        key: (node.source.file, node.source.line)
        for key in ("a.b", "a.c", "a.c.0", "a.c.1.d", "e", "e.f", "e.f.1", "a.g")
        if (node := tree.get(key))
    }
    assert lines == {
        "a.b": (str(base), 3),
        "a.c": (str(base), 4),
        "a.c.0": (str(base), 5),
        "a.c.1.d": (str(base), 6),
        "e": (str(top), 3),
        "e.f": (str(top), 4),
        "e.f.1": (str(top), 5),
        "a.g": (str(top), 6),
    }


def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "w.yml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb:\r\n  - 2\r\n")
    tree = load_config(path)
    assert tree.plain() == {"a": 1, "b": [2]}
    assert tree.get("b.0") is not None and tree.get("b.0").source.line == 3  # type: ignore[union-attr]


def test_shipped_files_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config("configs/fcos_tiny.yml").get("architecture") is not None
    with pytest.raises(InputError, match=r"file configs/fcos_tniy\.yml does not exist"):
        load_config("configs/fcos_tniy.yml")


@pytest.mark.parametrize("name", ["nowhere/x.yml", "../x.yml", "x.yml", "tests/x.yml", "/no/such.yml"])
def test_other_missing_files_are_just_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        load_config(name)


# ------------------------------------------------------------------------------------------------------------- refused
@pytest.mark.parametrize(
    "text",
    [
        'a: !!python/object/apply:os.system ["touch {pwned}"]',
        "!!python/object/new:os.system ['touch {pwned}']",
        "a: !!python/name:os.system",
        "a: !!python/name:os.system x",
        "a: !!python/module:os",
        "a: !<tag:yaml.org,2002:python/name:os.system> x",
        "%TAG ! tag:yaml.org,2002:python/\n---\na: !name:os.system x",
        "!!python/name:os.system a: 1",
        "a: !!python/object/apply:subprocess.check_call {args: [[touch, '{pwned}']]}",
    ],
)
def test_python_tags_are_refused_and_run_nothing(tmp_path: Path, text: str) -> None:
    pwned = tmp_path / "pwned"
    assert "contains data, never code" in refusal(text.replace("{pwned}", str(pwned)))
    assert not pwned.exists()


@pytest.mark.parametrize("tag", ["binary", "set", "omap", "timestamp", "unheard"])
def test_other_standard_tags_are_refused(tag: str) -> None:
    assert f"!!{tag} is not allowed" in refusal(f"a: !!{tag} {{}}")


def test_a_billion_laughs() -> None:
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 30)]
    started = time.monotonic()
    assert "more than 100000 values" in refusal("\n".join(lines))
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: &a {<<: *a}",
        "&a {b: *a}",
        "[" * 1000,
        "{a: " * 1000,
        "[" * 200_000 + "]" * 200_000,
        "".join(f"{' ' * level}a:\n" for level in range(500)),
    ],
    ids=["list in itself", "merged into itself", "mapping in itself", "open lists", "open mappings", "closed lists", "block"],
)
def test_deep_nesting(text: str) -> None:
    started = time.monotonic()
    assert "100 levels" in refusal(text)  # libyaml would run over its stack and end the process
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a:\n\tb: 1\n", 2, "a tab in the indentation"),
        ("a: 1\nb:\n  c: 1\n\td: 2\n", 4, "a tab in the indentation"),
        ("a:\n  - b\n\t- c\n", 3, "a tab in the indentation"),
        ("a:\n  b: 1\n c: 2\n", 3, "check the indentation"),
        ("a: 1\n  b: 2\n", 2, "check the indentation"),
        ("- a\nb: 1\n", 2, "check the indentation"),
        ("a: [1, 2\nb: 3\n", 2, "expected ',' or ']'"),
        ("a: 'x\n", 2, "(which began on line 1) found unexpected end of stream"),
        ("x: 1\na: b: c\n", 2, "mapping values"),
        ("a: *b\n", 1, "undefined alias"),
        ("a: 1\n---\nb: 2\n", 2, "single document"),
        ("a: 1\nb:\n  c: 1\na: 2\n", 4, "given twice"),
        ("b:\n  c: 1\n  d: 1\n  c: 2\n", 4, "given twice"),
        ("a: !Tag 3\n", 1, "takes a mapping, a list or nothing"),
        ("? [a]\n: 1\n", 1, "a key must be a scalar"),
        ("!T a: 1\n", 1, "a key must be a scalar"),
        ("x: 1\n<<: 3\n", 2, "expected a mapping"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n  <<: *x\n", 4, "given twice"),
        ("x: 1\na: !!int abc\n", 2, "'abc' is not a valid !!int"),
        ("a: !!bool maybe\n", 1, "'maybe' is not a valid !!bool"),
        ("x: 1\na: 0x_\n", 2, "is not a valid !!int"),
        (f"a: {'1' * 5000}\n", 1, "is not a valid !!int"),
        (f"a: 0x{'f' * 5000}\n", 1, "is not a valid !!int"),
        (f"a: {':'.join(['59'] * 3000)}\n", 1, "is not a valid !!int"),
        ("x: 1\na: \x01\n", 2, "control characters"),
        ("x: 1\na: \0\n", 2, "control characters"),
        ("x: 1\na: \udcff\n", 2, "not UTF-8"),
    ],
)
def test_bad_yaml_names_the_line_and_what_is_wrong(text: str, line: int, words: str) -> None:
    message = refusal(text)
    assert message.startswith(f"f.yml:{line}: ") and words in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty file"),
        (b"# only a comment\n", "empty file"),
        (b"---\n", "empty file"),
        (b"- a\n", "expected a mapping"),
        (b"word", "expected a mapping"),
        (b"!FCOS {a: 1}", "expected a mapping"),
        (b"a: \xff\xfe\n", "not UTF-8 text (byte 3)"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not UTF-8"),
        (b"\xff\xfea\0:\0", "not UTF-8"),
    ],
)
def test_files_that_are_no_config(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "c.yml"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        load_config(path)
    assert str(path) in str(error.value) and words in str(error.value)


def test_a_folder_and_a_pipe_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path)
    with pytest.raises(InputError):
        load_config(tmp_path / ("x" * 300 + ".yml"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yml", "a: 1\n")
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        load_config(path)
