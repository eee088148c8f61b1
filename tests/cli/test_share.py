"""`runner share`: the file that it writes, what it says, and what it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest
from support.finished import make_run

from runner.cli.main import main
from runner.cli.options import check_output
from runner.core.errors import InputError


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished sweep; the working directory is another folder."""
    sweep = tmp_path / "runs here" / "汉字 #1 50% 'x'"
    for trial in (0, 1):
        make_run(sweep, trial, 0, label=f"lr={trial}" if trial else "baseline")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return sweep


def index(file: Path) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="frozen">(.*?)</script>', file.read_text(encoding="utf-8"))
    assert found is not None
    value: dict[str, object] = json.loads(found[1])
    return value


def test_it_writes_report_html_here_and_says_its_size_and_what_it_left_out(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", str(sweep)]) == 0
    out, err = capsys.readouterr()
    size_mb = Path("report.html").stat().st_size / 1e6
    assert out.splitlines()[0] == f"report.html: 2 runs, {size_mb:.1f} MB; opens in a browser, without a server or a network"
    assert out.splitlines()[1].startswith("left out: absolute paths, names of machines and users, ")
    assert err == ""
    assert index(Path("report.html"))["view"] == ""


def test_one_run_is_enough(sweep: Path) -> None:
    assert main(["share", str(sweep / "runs" / "0000-baseline-s0"), "-o", "one.html"]) == 0
    assert Path("one.html").is_file()


@pytest.mark.parametrize("view", ["#curves?s=0.9", "http://127.0.0.1:8040/#curves?s=0.9"])
def test_the_view_is_an_address_from_its_hash_on(sweep: Path, view: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", str(sweep), "--view", view]) == 0
    assert index(Path("report.html"))["view"] == "#curves?s=0.9"
    with pytest.raises(SystemExit) as ended:
        main(["share", str(sweep), "--view", "curves"])
    assert ended.value.code == 2
    assert "--view: expected the page's address from # on" in capsys.readouterr().err


def test_an_existing_file_is_overwritten_by_force_only(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("report.html").write_text("mine")
    assert main(["share", str(sweep)]) == 2
    assert capsys.readouterr().err == "runner: report.html: exists already: give another -o FILE, or --force to overwrite it\n"
    assert Path("report.html").read_text() == "mine"
    assert main(["share", str(sweep), "--force"]) == 0
    assert Path("report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_place_that_cannot_be_written_is_an_error_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the folder does not exist"):
        check_output(tmp_path / "nowhere" / "x.html", force=False)
    with pytest.raises(InputError, match="is not a regular file"):
        check_output(tmp_path, force=True)


def test_without_a_run_the_error_is_that_of_the_dashboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    said = []
    for command in ("share", "dashboard"):
        assert main([command, str(tmp_path)]) == 2
        said.append(capsys.readouterr().err)
    assert said[0] == said[1] == f"runner: no run in {tmp_path}: a run directory has a run.json\n"
    assert main(["share", str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such directory" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_large_file_causes_a_warning(sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("runner.cli.share._LARGE_MB", 0.1)
    assert main(["share", str(sweep)]) == 0
    assert capsys.readouterr().err.startswith("WARNING: larger than 0.1 MB")


def test_it_needs_msgspec_and_says_so(sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    find = util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "msgspec" else find(name, *rest))
    assert main(["share", str(sweep)]) == 2
    assert "the page needs msgspec, not installed in this environment" in capsys.readouterr().err


def test_it_needs_no_server(sweep: Path) -> None:
    """Neither starlette nor uvicorn is loaded, also indirectly."""
    program = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('starlette', 'uvicorn', 'anyio'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "from runner.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, "share", str(sweep)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
