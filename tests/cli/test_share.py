"""`runner share`: the file that it writes, what it says, and what it refuses."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
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
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
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
    with pytest.raises(SystemExit) as ended:
        main(["share", str(sweep), "--view", "#curvs?s=0.9"])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert "--view: the page has no tab 'curvs'; did you mean 'curves'? Known: answer, trials, curves, detection, search, run" in err


def test_an_earlier_report_is_overwritten_by_force_only(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("report.html").touch()  # as mktemp does
    assert main(["share", str(sweep), "--force"]) == 0
    written = Path("report.html").read_bytes()
    assert main(["share", str(sweep)]) == 2
    assert capsys.readouterr().err == "runner: report.html: exists already: give another -o FILE, or --force to overwrite it\n"
    assert Path("report.html").read_bytes() == written
    assert main(["share", str(sweep), "--force"]) == 0


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("notes.html", "exists already and is no earlier report"),
        ("plan.json", "belongs to the sweep 汉字 #1 50% 'x', which it would damage"),
        ("runs/0000-baseline-s0/metrics.jsonl", "belongs to the run 0000-baseline-s0"),
        ("runs/0000-baseline-s0/run.json", "belongs to the run 0000-baseline-s0"),
        ("runs/0000-baseline-s0/checkpoints/1.ckpt", "belongs to the run 0000-baseline-s0"),
    ],
)
@pytest.mark.parametrize("linked", [False, True])
def test_force_overwrites_nothing_but_an_earlier_report(
    sweep: Path, capsys: pytest.CaptureFixture[str], file: str, message: str, linked: bool
) -> None:
    (sweep / "plan.json").write_text("{}")
    path = sweep / file
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_text("mine")
    before = path.read_bytes()
    if linked:
        Path("link").symlink_to(path)
    for command in ("share", "compare") if file != "notes.html" else ("share",):
        assert main([command, str(sweep), "-o", "link" if linked else str(path), "--force"]) == 2
        assert message in capsys.readouterr().err
        assert path.read_bytes() == before


@pytest.mark.parametrize("command", ["share", "compare"])
@pytest.mark.parametrize("name", ["", "-"])
def test_what_is_no_name_of_a_file_is_refused(sweep: Path, capsys: pytest.CaptureFixture[str], command: str, name: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, str(sweep), "-o", name])
    assert ended.value.code == 2
    assert f"expected the name of a file, got {name!r}" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


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


# --------------------------------------------------------------------------------------------------------------- to a service
SERVICE = "http://service.example/logs"
STAND_IN = """
import json, os, pathlib, sys
def main():
    pathlib.Path({record!r}).write_text(json.dumps([sys.argv[1:], sorted(os.listdir("."))]))
    print({printed!r})
    sys.exit({status})
main()
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put a program in the place of VisualDL's, whose settings name a service of their own; return the file in which it notes its call."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home/.visualdl/conf").mkdir(parents=True)
    (tmp_path / "home/.visualdl/conf/config.json").write_text(json.dumps({"server_url": SERVICE}))
    record = tmp_path / "called.json"

    def place(printed: str, status: int = 0) -> Path:
        package = tmp_path / "stand-in/visualdl/server"
        package.mkdir(parents=True)
        for folder in (package.parent, package):
            (folder / "__init__.py").touch()
        (package / "app.py").write_text(STAND_IN.format(record=str(record), printed=printed, status=status))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand-in"))
        return record

    return place


SEEN = "View your visualization results at: `http://service.example/seen?id=1`."


def test_nothing_is_sent_without_a_yes(sweep: Path, stand_in: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    called = stand_in(SEEN)
    assert main(["share", str(sweep), "--service", "visualdl"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith(f"to {SERVICE}, where everyone who has the address")
    assert "  0000-baseline-s0/vdlrecords." in out and "  0001-lr=1-s0/vdlrecords." in out and "2 files, 0." in out
    assert "takes 100 MB at once, and one upload in five minutes" in out
    assert "nothing was sent: there is no terminal to ask at; --yes sends these files" in err
    assert not called.exists()


@pytest.mark.parametrize(("answer", "code"), [("\n", 1), ("no\n", 1), ("", 1), ("Y\n", 0), ("yes\n", 0)])
def test_at_a_terminal_it_asks(
    sweep: Path, stand_in: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    called = stand_in(SEEN)
    keyboard = io.StringIO(answer)
    monkeypatch.setattr(keyboard, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", keyboard)
    assert main(["share", str(sweep), "--service", "visualdl"]) == code
    out = capsys.readouterr().out
    assert "send them? [y/N] " in out and ("nothing was sent" in out) == bool(code)
    assert called.exists() == (not code)


def test_with_yes_the_viewers_program_sends_just_these_logs(
    sweep: Path, stand_in: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    called = stand_in(SEEN)
    before = sorted(sweep.rglob("*"))
    assert main(["share", str(sweep), "--service", "visualdl", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "sent; to be seen at http://service.example/seen?id=1"
    names = ["0000-baseline-s0", "0001-lr=1-s0"]
    assert json.loads(called.read_text()) == [["service", "upload", "--logdir", *names], names]
    assert sorted(sweep.rglob("*")) == before


@pytest.mark.parametrize(("printed", "status"), [("refused", 0), (SEEN.replace("http://service.example/seen?id=1", "None"), 0), (SEEN, 3)])
def test_a_program_that_fails_is_an_error_with_its_output(
    sweep: Path, stand_in: Callable[..., Path], capsys: pytest.CaptureFixture[str], printed: str, status: int
) -> None:
    stand_in(printed, status)
    assert main(["share", str(sweep), "--service", "visualdl", "--yes"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"runner: the logs were not sent to {SERVICE}:") and printed in err


def test_what_the_service_does_not_take_is_refused_before(
    sweep: Path, stand_in: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    called = stand_in(SEEN)
    monkeypatch.setattr("runner.trackers.visualdl.VisualDLViewer.most_sent_bytes", 100)
    assert main(["share", str(sweep), "--service", "visualdl", "--yes"]) == 2
    assert "takes 0 MB at once: choose fewer runs" in capsys.readouterr().err
    assert not called.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--service", "tensorboard"], "tensorboard has no service to send logs to; those that have one: visualdl"),
        (["--service", "visualdll"], "unknown service 'visualdll'; did you mean 'visualdl'?"),
        (["--service", "foo"], "unknown service 'foo'; allowed: visualdl"),
        (["--service", "visualdl", "-o", "x.html"], "--output, --force, --view and --no-images are for a file"),
        (["--yes"], "--yes is for --service"),
    ],
)
def test_what_does_not_fit_is_refused(sweep: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert main(["share", str(sweep), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(Path().iterdir()) == []
