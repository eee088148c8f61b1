from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runner.core.errors import InputError
from runner.core.shipped import shipped
from runner.data.choice import dataset_choice
from runner.data.prepare import prepare
from runner.data.spec import apply_options, data_root, find_spec, load_spec, spec_names

SHIPPED = ["coco", "deeppcb", "pcb", "pcb_by_board", "synthetic_pcb", "voc", "yolo"]


def test_all_shipped_specs_load() -> None:
    files = sorted(shipped("datasets").glob("*.yml"))
    assert [file.stem for file in files] == SHIPPED
    for file in files:
        spec = load_spec(file)
        assert spec.name == file.stem and spec.title and spec.where
        assert len(spec.hash()) == 64


def test_what_the_article_needs() -> None:
    spec = find_spec("pcb")
    assert spec.classes == ("missing_hole", "mouse_bite", "open_circuit", "short", "spur", "spurious_copper")
    assert (spec.images, spec.boxes, spec.split.val) == (693, 2953, 100)
    assert "Peking University" in spec.where
    assert find_spec("pcb_by_board").split.by == "group"
    deep = find_spec("deeppcb")
    assert deep.classes == ("open", "short", "mousebite", "spur", "copper", "pin-hole")
    assert deep.eval_iou_thresholds == (0.33,)
    made = find_spec("synthetic_pcb").generate
    assert made is not None and (made.size, made.train, made.val, made.seed) == (128, 600, 150, 0)
    assert made.content is not None


def test_own_specs_come_first_and_paths_work(nasty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(nasty)
    (nasty / "datasets").mkdir()
    shutil.copy(shipped("datasets") / "voc.yml", nasty / "datasets" / "mine.yml")
    text = (nasty / "datasets" / "mine.yml").read_text().replace("name: voc", "name: mine")
    (nasty / "datasets" / "mine.yml").write_text(text)
    assert find_spec("mine").name == "mine"
    assert find_spec(nasty / "datasets" / "mine.yml").name == "mine"
    assert "mine" in spec_names() and "pcb" in spec_names()


@pytest.mark.parametrize("name", ["depppcb", "../pcb", "/etc/passwd", "", "a\nb", "pcb.yml"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(InputError) as caught:
        find_spec(name)
    if name == "depppcb":
        assert "'deeppcb'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nformat: voc\nclases: [a]\n", ["bad.yml:3", "clases", "'classes'"]),
        ("name: x\nformat: voc\ncut: {by: random}\n", ["bad.yml:3", "cut: is now called `split`"]),
        ("name: x\nformat: vok\n", ["bad.yml:2", "'voc'"]),
        ("name: x\n", ["format", "missing"]),
        ("name: x\nformat: voc\nsplit:\n  by: chance\n  vall: 3\n", ["bad.yml:4", "bad.yml:5", "split.vall", "'val'"]),
        ("name: x\nformat: voc\nsplit: {by: group}\n", ["split.group", "one group"]),
        ("name: x\nformat: voc\nsplit: {by: random, val: 0}\n", ["above 0"]),
        ("name: x\nformat: voc\nsplit: {group: '('}\n", ["regular expression"]),
        ("name: a/b\nformat: voc\n", ["folder name"]),
        ("name: x\nformat: voc\nname: y\n", ["bad.yml:3", "given twice", "line 1"]),
        ("name: x\n\tformat: voc\n", ["bad.yml:2", "invalid YAML"]),
        ("name: !!python/object/apply:os.system [ls]\nformat: voc\n", ["bad.yml:1", "tag"]),
        ("name: &a x\ntitle: *a\nformat: voc\n", ["aliases"]),
        ("name: x\nformat: synthetic_pcb\ngenerate: {size: 7}\n", ["64 to 2048"]),
        ("name: x\nformat: voc\neval_iou_thresholds: [2]\n", ["between 0 and 1"]),
        ("name: x\nformat: voc\nexpect: {images: many}\n", ["expect.images", "an integer"]),
        ("", ["mapping"]),
        ("- a\n", ["mapping"]),
        ("name: x\nformat: voc\nclasses: [on, off]\n", ["quote"]),
    ],
)
def test_wrong_specs_name_file_and_line(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "bad.yml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_spec(path)
    for word in words:
        assert word in str(caught.value)


def test_options() -> None:
    spec = find_spec("synthetic_pcb")
    other = apply_options(spec, {"size": "256", "train": 10})
    assert other.generate is not None and other.generate.size == 256 and other.generate.content is None
    assert other.hash() != spec.hash()
    assert apply_options(spec, {"size": "128"}) == spec
    assert apply_options(find_spec("coco"), {"val": "0.1"}).split.val == 0.1
    for options, word in (
        ({"siz": 1}, "'size'"),
        ({"size": "big"}, "an integer"),
        ({"size": 1}, "64 to"),
        ({"train": 0}, "at least 1"),
        ({"val": True}, "an integer"),
        ({"size": "[1"}, "YAML"),
    ):
        with pytest.raises(InputError, match=word):
            apply_options(spec, options)


def test_the_hash_ignores_words_and_minds_facts(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("name: a\nformat: voc\ntitle: one\n")
    first = load_spec(path).hash()
    path.write_text("name: a\nformat: voc\ntitle: two\n# more\n")
    assert load_spec(path).hash() == first
    path.write_text("name: a\nformat: voc\nsplit: {by: random, seed: 1}\n")
    assert load_spec(path).hash() != first


def test_data_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNNER_DATA", raising=False)
    assert data_root() == Path("data")
    monkeypatch.setenv("RUNNER_DATA", "/some where")
    assert data_root() == Path("/some where")


def test_choice_before_and_after(root: Path) -> None:
    before = dataset_choice("synthetic_pcb", root)
    assert not before.prepared and before.made_on_first_use and before.num_classes == 6
    assert "runner data prepare synthetic_pcb" in before.message
    assert before.train.annotations == root / "synthetic_pcb" / "annotations" / "train.json"
    assert dataset_choice("coco", root).num_classes is None
    assert "--source" in dataset_choice("pcb", root).message

    prepare("synthetic_pcb", None, root, options={"train": 3, "val": 2})
    after = dataset_choice("synthetic_pcb", root)
    assert after.prepared and not after.message and after.content
    assert after.train.annotations.is_file() and after.eval.images.is_dir()


def test_choice_tells_a_set_of_another_spec(tmp_path: Path, root: Path) -> None:
    spec = tmp_path / "mine.yml"
    spec.write_text("name: mine\nformat: synthetic_pcb\ngenerate: {train: 2, val: 1}\n")
    prepare(spec, None, root)
    assert dataset_choice(spec, root).prepared
    spec.write_text("name: mine\nformat: synthetic_pcb\ngenerate: {train: 2, val: 1, seed: 5}\n")
    choice = dataset_choice(spec, root)
    assert not choice.prepared and "by another version of its spec or of runner; run: " in choice.message and "--force" in choice.message
    assert choice.content == ""


def test_lists_of_the_source_in_a_spec(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    text = "format: voc\nsplit: {by: source, lists: {train: [trainval, extra], val: [test]}}\n"
    path.write_text(text)
    spec = load_spec(path)
    assert spec.split.lists == {"train": ("trainval", "extra"), "val": ("test",)}
    path.write_text("format: voc\nsplit: {by: source}\n")
    assert load_spec(path).hash() != spec.hash()
    for change, word in (
        (("train: [trainval, extra], ", ""), "split.lists.train: missing"),
        (("val: [test]", "vall: [test]"), "split.lists.vall: unknown key"),
        (("[test]", "[007]"), "quote names that YAML reads as something else"),
        (("[test]", "test"), "expected a list"),
        (("by: source", "by: random, respect_source: false"), "contradicts respect_source: false"),
    ):
        path.write_text(text.replace(*change))
        with pytest.raises(InputError, match=word):
            load_spec(path)
    path.write_text("format: voc\nclasses: [NO, 007]\n")
    with pytest.raises(InputError, match="quote names"):
        load_spec(path)


def test_sets_without_lists_keep_their_hash_where_their_format_reads_as_before() -> None:
    # pinned: another hash asks every user to prepare the set again
    assert find_spec("deeppcb").hash() == "d7f1b4c0a3c8504a74af17274c1926b3acd6a26bff57da9fbebc52fea5bf3c21"
