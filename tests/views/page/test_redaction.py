from pathlib import Path

import pytest

from runner.views.page.redaction import Redaction, command_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("killed; log: /data/our runs/a/worker.log", "killed; log: …/worker.log"),
        ('File "/usr/lib/python3.11/site-packages/x.py", line 3', 'File "…/x.py", line 3'),
        ("cd '/data/our runs' && runner compare a", "cd '…/our runs' && runner compare a"),
        ("root=/mnt/disk/x, file:///home/ann/y", "root=…/x, file://…/y"),
        ("/home/ann and /Users/ann/ and C:\\Users\\ann", "… and … and …"),
        ("C:\\data\\x.txt \\\\server\\share\\y", "…/x.txt …/y"),
        (
            "bbox/AP/short, 1/2, https://example.org/a/b, and/or, ../../etc",
            "bbox/AP/short, 1/2, https://example.org/a/b, and/or, ../../etc",
        ),
        ("on gpu-box-7: not gpu-box-77", "on …: not gpu-box-77"),
    ],
)
def test_a_text_keeps_its_words_and_loses_places(text: str, expected: str) -> None:
    assert Redaction([Path("/data/our runs")], ["gpu-box-7", ""]).text(text) == expected


def test_values_are_redacted_at_every_depth_and_numbers_stay() -> None:
    value = {"a": ["/data/x/y", 1, None, {"/data/x/z": True}], "b": 0.5}
    assert Redaction().value(value) == {"a": ["…/y", 1, None, {"…/z": True}], "b": 0.5}


def test_a_command_names_a_path_from_here_from_home_or_from_the_folder_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")
    assert command_path(tmp_path / "runs" / "a b", tmp_path / "runs") == "'runs/a b'"
    assert command_path(Path("/home/ann/runs/x y"), Path("/home/ann/runs")) == "~/'runs/x y'"
    assert command_path(Path("/mnt/disk/sweep/runs/one"), Path("/mnt/disk/sweep")) == "…/sweep/runs/one"
    assert command_path(Path("/mnt/our disk/sweep"), Path("/mnt/our disk/sweep"), private=True) == "'/mnt/our disk/sweep'"
    assert command_path(tmp_path / "runs" / "a", tmp_path / "runs", private=True) == "runs/a"
