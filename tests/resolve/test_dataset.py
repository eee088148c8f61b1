"""A data set by name, and the sections it stands for."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.resolving import WriteConfig, no_data, refusal

from runner.resolve import resolve


def test_a_data_set_by_name_stands_for_its_sections(write_config: WriteConfig, small: str) -> None:
    resolved = resolve(no_data(write_config()), [f"dataset={small}"])
    config = resolved.config
    assert (config.num_classes, config.architecture.fcos_head.num_classes) == (2, 2)
    assert Path(config.train_dataset.dataset_dir) == Path("data/small").absolute()
    assert config.eval_dataset.allow_empty and not config.train_dataset.allow_empty
    assert config.test_dataset is not None and config.dataset == small


def test_the_canonical_file_names_both_ways_and_they_agree(write_config: WriteConfig, small: str, tmp_path: Path) -> None:
    first = resolve(no_data(write_config()), [f"dataset={small}"])
    (tmp_path / "canonical.yml").write_text(first.yaml)
    again = resolve(tmp_path / "canonical.yml")
    assert again.config == first.config and again.notes == ()


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("TrainDataset={name: COCODataSet, dataset_dir: elsewhere}", "TrainDataset"),
        ("EvalDataset={name: COCODataSet, anno_path: other.json}", "EvalDataset"),
        ("TestDataset={name: COCODataSet, dataset_dir: x}", "TestDataset"),
        ("num_classes=5", "num_classes"),
    ],
)
def test_naming_both_ways_must_agree(write_config: WriteConfig, small: str, override: str, key: str) -> None:
    found = refusal(no_data(write_config()), [f"dataset={small}", override])
    (message,) = [one for one in found if f": {key}: " in one]
    assert f"contradicts dataset: {small}" in message and "remove it, as dataset gives other values too" in message


def test_null_is_advised_where_the_config_has_all_that_it_needs(write_config: WriteConfig, small: str) -> None:
    found = refusal(write_config(dataset=small))
    assert len(found) == 2 and all("(`-o dataset=null` keeps this one)" in message for message in found), found


@pytest.mark.parametrize("override", ["dataset=3", "dataset=[a]", "dataset={a: 1}", "num_classes=foo", "TestDataset=3"])
def test_what_is_refused_is_refused_once(write_config: WriteConfig, small: str, override: str) -> None:
    assert len(refusal(no_data(write_config()), [f"dataset={small}", override])) == 1


@pytest.mark.parametrize(
    "override",
    [
        "TrainDataset={name: COCODataSet, sample_num: 5}",
        "TrainDataset.sample_num=5",
        "TrainDataset=!COCODataSet {sample_num: 5}",
        "num_classes=2",
        "num_classes=auto",
        "TestDataset=null",
        "eval_iou_thresholds=[0.4]",
    ],
)
def test_what_agrees_or_says_more_is_fine(write_config: WriteConfig, small: str, override: str) -> None:
    config = resolve(no_data(write_config()), [f"dataset={small}", override]).config
    assert config.num_classes == 2 and Path(config.train_dataset.dataset_dir) == Path("data/small").absolute()
    if "sample_num" in override:
        assert config.train_dataset.sample_num == 5
    if "iou" in override:
        assert config.eval_iou_thresholds == (0.4,)


def test_dataset_null_keeps_the_sections(write_config: WriteConfig) -> None:
    assert resolve(write_config(), ["dataset=synthetic_pcb", "dataset=null"]).config.dataset is None


def test_a_data_set_that_does_not_exist(write_config: WriteConfig) -> None:
    assert "unknown data set 'synthetic_pbc'; did you mean 'synthetic_pcb'" in " ".join(
        refusal(no_data(write_config()), ["dataset=synthetic_pbc"])
    )
    assert "expected the name of a data set (see `runner data list`), got [a]" in " ".join(
        refusal(no_data(write_config()), ["dataset=[a]"])
    )


def test_a_data_set_that_is_not_prepared_says_how(write_config: WriteConfig) -> None:
    found = refusal(no_data(write_config()), ["dataset=pcb"])
    assert len(found) == 1, found  # and not also that each of its files is missing
    assert "runner data prepare pcb --source" in found[0] and found[0].startswith("-o dataset=pcb: dataset: ")


def test_the_generated_set_is_made_only_when_asked(write_config: WriteConfig) -> None:
    path = no_data(write_config())
    made: list[str] = []
    resolved = resolve(path, ["dataset=synthetic_pcb"])
    assert "dataset: made at first use: synthetic_pcb" in resolved.notes and resolved.config.num_classes == 6
    resolve(path, ["dataset=synthetic_pcb"], make_dataset=made.append)
    assert made == ["synthetic_pcb"] and not Path("data").exists()


def test_num_classes_auto_counts_the_annotations(write_config: WriteConfig) -> None:
    assert resolve(write_config(num_classes="auto")).config.num_classes == 2


def test_num_classes_that_do_not_fit(write_config: WriteConfig) -> None:
    found = refusal(write_config(num_classes=3))
    assert any("has 2: short, open circuit" in message and "num_classes" in message for message in found), found


def test_mistakes_in_a_data_spec_are_named_by_its_own_file_and_keys(
    write_config: WriteConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "mine.yml").write_text("format: cocoo\nsplit:\n  val: 0\ncut: {}\n")
    assert refusal(no_data(write_config()), ["dataset=mine"]) == [
        "datasets/mine.yml:1: format: unknown format 'cocoo'; did you mean 'coco'?",
        "datasets/mine.yml:3: split.val: expected a number above 0, got 0",
        "datasets/mine.yml:4: cut: is now called `split`: rename the key",
    ]
    (message,) = refusal(no_data(write_config()), ["dataset=minee"])
    assert message.startswith("-o dataset=minee: dataset: unknown data set 'minee'; did you mean 'mine'?")
