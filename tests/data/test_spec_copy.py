"""Specs under another name: the file says what the spec said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.config.load import load_config
from runner.core.errors import InputError
from runner.data.spec import apply_options, find_spec, load_spec, spec_names
from runner.data.spec_copy import spec_called, write_spec


@pytest.mark.parametrize("name", spec_names())
def test_a_written_spec_reads_as_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"train": 20} if find_spec(name).generated else {"val": 7, "boxes_empty": "drop"}
    spec = spec_called(apply_options(find_spec(name), options), "mine")
    write_spec(spec)
    assert load_spec(Path("datasets/mine.yml")) == replace(spec, file=Path("datasets/mine.yml"))
    assert find_spec("mine").hash() == apply_options(find_spec(name), options).hash()


def test_all_keys_of_a_split_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own.yml"
    rule = "{by: group, group: '^([0-9]+)_', lists: {train: [a, b], val: [c]}, val: 0.3, seed: 4}"
    own.write_text(f'format: voc\nclasses: ["NO", "007", 板]\nsplit: {rule}\n')
    spec = spec_called(load_spec(own), "mine")
    write_spec(spec)
    assert load_spec(Path("datasets/mine.yml")) == spec


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets").write_text("a file")
    with pytest.raises(InputError, match="datasets/mine.yml: the data set is prepared, but its spec cannot be written"):
        write_spec(spec_called(find_spec("voc"), "mine"))


@pytest.mark.parametrize("name", ["null", "0", "1e3", "1_000", "true", "NO", "x.yml", "y.yaml"])
def test_a_name_that_a_config_would_read_as_something_else_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a data set"):
        spec_called(find_spec("yolo"), name)


@pytest.mark.parametrize("name", ["n" * 201, "a" + "板" * 67])
def test_a_name_that_leaves_no_room_for_others_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="too long for the name of a data set; expected at most 200 bytes in UTF-8"):
        spec_called(find_spec("yolo"), name)
    with pytest.raises(InputError, match="unknown data set"):
        find_spec(name)
    Path("own.yml").write_text(f"name: {name}\nformat: yolo\n")
    with pytest.raises(InputError, match="own.yml:1: name: too long"):
        find_spec("own.yml")
    write_spec(spec_called(find_spec("yolo"), "n" * 200))
    assert find_spec("n" * 200).formats == ("yolo",)


@pytest.mark.parametrize("name", ["2020-01-01", "nan", "1.2.3", "n", "0x"])
def test_a_name_that_a_config_reads_as_text_is_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_spec(spec_called(find_spec("yolo"), name))
    (tmp_path / "config.yml").write_text(f"dataset: {name}\n")
    node = load_config("config.yml").get("dataset")
    assert node is not None and node.value == name == find_spec(name).name
