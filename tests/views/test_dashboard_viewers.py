"""The real viewers, started on several runs and asked over HTTP for what metrics.jsonl says."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.run_dirs import START_TIME, make_run_dir, sample

from runner.core.errors import InputError, RunnerError
from runner.store.records import Record, RecordWriter
from runner.store.run_dir import RunDir
from runner.trackers.base import TrackerSet, final_metrics
from runner.trackers.hparams import hyper_parameters
from runner.trackers.logfile import find_log
from runner.trackers.viewer import View
from runner.trackers.visualdl import VisualDLTracker, VisualDLViewer
from runner.views.viewers import processes as viewers
from runner.views.viewers.processes import RunningViewer, start_viewer

NAMES = ["0000-baseline-s1", "0001-lr=0.02, 'é' \"缺陷\" %41 #x&y+z-s1", "-dash; <b>", "untracked", "torn"]
both = pytest.mark.parametrize("kind", ["tensorboard", "visualdl"])


def get(url: str, **query: str) -> Any:
    """The answer of a viewer as JSON, or as bytes where it is none."""
    full = f"{url}?{urllib.parse.urlencode(query)}" if query else url
    request = urllib.request.Request(full, headers={"Accept-Language": "en", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        body: bytes = response.read()
    return json.loads(body) if response.headers.get_content_type() == "application/json" else body


def scalars(viewer: RunningViewer, name: str, tag: str) -> list[tuple[int, float]]:
    """(step, value) of one tag of one run, as the viewer tells its page."""
    if viewer.kind == "tensorboard":
        points = get(f"{viewer.url}data/plugin/scalars/scalars", run=name, tag=tag)
    else:
        points = get(f"{viewer.url}api/scalar/list", run=_vdl(name), tag=tag)["data"]
    return [(step, value) for _, step, value in points]


def images(viewer: RunningViewer, name: str, tag: str) -> list[tuple[int, bytes]]:
    """(step, PNG) of one tag of one run."""
    if viewer.kind == "tensorboard":
        found = get(f"{viewer.url}data/plugin/images/images", run=name, tag=tag, sample="0")
        single = f"{viewer.url}data/plugin/images/individualImage?"
        return [(item["step"], get(single + item["query"])) for item in found]
    found = get(f"{viewer.url}api/image/list", run=_vdl(name), tag=tag)["data"]
    single = f"{viewer.url}api/image/image"
    return [(item["step"], get(single, run=_vdl(name), tag=tag, index=str(i))) for i, item in enumerate(found)]


def hparams(viewer: RunningViewer) -> dict[str, tuple[dict[str, Any], dict[str, float]]]:
    """Run name to (hyper-parameters, metrics), as in the viewer's table."""
    if viewer.kind == "visualdl":
        rows = get(f"{viewer.url}api/hparams/list")["data"]
        return {row["name"].removeprefix("./"): (row["hparams"], row["metrics"]) for row in rows}
    statuses = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    body = json.dumps({"experimentName": "", "allowedStatuses": statuses, "colParams": [], "startIndex": 0, "sliceSize": 99})
    url = f"{viewer.url}data/plugin/hparams/session_groups"
    request = urllib.request.Request(url, data=body.encode(), headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        groups = json.load(response)["sessionGroups"]
    return {
        group["sessions"][0]["name"]: (group["hparams"], {m["name"]["tag"]: m["value"] for m in group["metricValues"]}) for group in groups
    }


def wait_for(condition: Callable[[], bool], timeout_s: float = 25.0) -> None:
    """Until the viewer has read what is there."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the viewer does not show it"
        time.sleep(0.3)


def _vdl(name: str) -> str:
    return f"./{name}" if name.startswith("-") else name


@pytest.fixture
def runs(tmp_path: Path) -> list[RunDir]:
    made = []
    for number, name in enumerate(NAMES):
        overrides = {"TrainReader.batch_size": 2 * number} if number else {}
        run = make_run_dir(tmp_path / "my 'sweep'" / "runs" / name, seed=number, overrides=overrides)
        run.config.write_text(f"TrainReader: !Reader {{batch_size: {2 * number or 1}}}\n")
        if name != "untracked":
            with TrackerSet(["tensorboard", "visualdl"], run) as trackers:
                trackers.hparams(hyper_parameters(run), final_metrics(run.records()))
        made.append(run)
    for kind, stem in (("visualdl", "vdlrecords"), ("tensorboard", "events")):
        log = find_log(made[-1].tracker(kind), stem)
        assert log is not None
        with open(log, "ab") as file:
            file.write(b"\x50\0\0\0\0\0\0\0half")
    return made


@pytest.mark.slow
@both
def test_the_real_viewer_shows_what_the_records_say(runs: list[RunDir], kind: str) -> None:
    with start_viewer(kind, runs) as viewer:
        names = [name.replace('"', "”") for name in NAMES]
        assert viewer.names == tuple(names)
        assert viewer.url.startswith("http://127.0.0.1:")
        wait_for(lambda: set(hparams(viewer)) == set(names))
        table = hparams(viewer)
        for run, name in zip(runs, viewer.names, strict=True):
            records = run.records()
            tags = {tag for record in records for tag in record.values}
            for tag in sorted(tags):
                wanted = [(record.step, record.values[tag]) for record in records if tag in record.values]
                found = scalars(viewer, name, tag)
                assert [step for step, _ in found] == [step for step, _ in wanted], (name, tag)
                assert [value for _, value in found] == pytest.approx([value for _, value in wanted], rel=1e-6)
            pictures = images(viewer, name, "samples/1")
            assert [step for step, _ in pictures] == [50, 100, 150, 200]
            assert all(png == sample(run, step, 1).read_bytes() for step, png in pictures)
            params, metrics = table[name]
            dot = "·" if kind == "visualdl" else "."
            assert params[f"TrainReader{dot}batch_size"] == (2 * runs.index(run) or 1)
            assert params["seed"] == runs.index(run)
            for tag, value in final_metrics(records).items():
                assert metrics[tag] == pytest.approx(value, rel=1e-6)
        assert loopback_only(viewer)
        folder = viewer.logdir
    assert not folder.parent.exists()


@pytest.mark.slow
@both
def test_a_run_in_training_is_seen_live_and_after_a_resume(tmp_path: Path, kind: str) -> None:
    run = make_run_dir(tmp_path / "live", resumed_at=None, steps=140)
    TrackerSet([kind], run).close()
    with start_viewer(kind, [run]) as viewer:
        wait_for(lambda: len(scalars(viewer, "live", "train/loss")) == 14)
        writer = RecordWriter(run.metrics)
        with TrackerSet([kind], run) as trackers:  # an attempt that goes on where the last one ended in good order
            for step in (150, 160):
                record = Record(1, step, step / 100, START_TIME + 600 + step, {"train/loss": 0.5})
                writer.write(record)
                trackers.write(record)
            wait_for(lambda: [step for step, _ in scalars(viewer, "live", "train/loss")] == list(range(10, 161, 10)))
        writer.write(Record(2, 100, 1.0, START_TIME + 900, resumed=True))
        TrackerSet([kind], run).close()
        writer.close()
        if kind == "tensorboard":  # VisualDL cannot take back what it has read; see VisualDLTracker
            record = Record(2, 110, 1.1, START_TIME + 1000, {"train/loss": 0.25})
            with TrackerSet([kind], run) as trackers:
                trackers.write(record)
                wait_for(lambda: [s for s, _ in scalars(viewer, "live", "train/loss")] == list(range(10, 111, 10)))
        assert scalars(viewer, "live", "train/lr")
    with start_viewer(kind, [run]) as viewer:
        wanted = [*range(10, 101, 10), *([110] if kind == "tensorboard" else [])]
        wait_for(lambda: [step for step, _ in scalars(viewer, "live", "train/lr")][:10] == wanted[:10])
        assert [step for step, _ in scalars(viewer, "live", "train/loss")] == wanted


def loopback_only(viewer: RunningViewer) -> bool:
    """Whether every socket the viewer's processes listen on is a loopback one."""
    family = [psutil.Process(viewer.process.pid), *psutil.Process(viewer.process.pid).children(recursive=True)]
    sockets = [c.laddr.ip for p in family for c in p.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN]
    return bool(sockets) and set(sockets) <= {"127.0.0.1", "::1"}


HEADERS = {
    "rebinding": {"Host": "evil.example"},
    "rebinding, with the port": {"Host": "evil.example:{port}"},
    "a name that begins like ours": {"Host": "localhost.evil.example:{port}"},
    "another end": {"Host": "127.0.0.1.evil.example"},
    "a page elsewhere": {"Host": "127.0.0.1:{port}", "Origin": "http://evil.example"},
    "a page without an origin": {"Host": "127.0.0.1:{port}", "Origin": "null"},
    "no host": {},
}
PATHS = {
    "tensorboard": ["/", "/data/runs", "/data/environment", "/data/plugin/scalars/tags", "/index.js"],
    "visualdl": ["/", "/app/", "/app/index", "/app/api/runs", "/app/api/logs", "/app/api/component_tabs", "/alive"],
}


def ask(port: int, path: str, headers: dict[str, str], method: str = "GET") -> tuple[int, bytes]:
    """Status and body of a request with these headers and no others."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value.format(port=port))
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


@pytest.mark.slow
@both
def test_a_web_page_elsewhere_gets_no_answer(tmp_path: Path, kind: str) -> None:
    run = make_run_dir(tmp_path / "secret-name", steps=20, resumed_at=None)
    with start_viewer(kind, [run]) as viewer:
        port = urllib.parse.urlsplit(viewer.url).port
        assert port is not None
        for path in PATHS[kind]:
            for what, headers in HEADERS.items():
                for method in ("GET", "POST", "OPTIONS"):
                    status, body = ask(port, path, headers, method)
                    assert status == 403 and b"secret-name" not in body, (what, path, method)
            for host in ("127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}", "localhost:9999", "localhost"):
                status, _ = ask(port, path, {"Host": host, "Origin": f"http://{host}"})
                assert status < 400, (host, path, status)
        page = get(viewer.url)
        scripts = re.findall(rb'(?:src|href)="?([^" >]+\.(?:js|css))\b', page)[:8]
        assert scripts
        for script in scripts:
            assert get(urllib.parse.urljoin(viewer.url, script.decode())), script


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["visualdl", pytest.param("tensorboard", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["ctrl-c", "term", "kill"])
def test_no_process_and_no_folder_is_left(tmp_path: Path, kind: str, how: signal.Signals) -> None:
    run = make_run_dir(tmp_path / "r", steps=20, resumed_at=None)
    code = f"""
from pathlib import Path
from runner.store.run_dir import RunDir
from runner.views.viewers.processes import start_viewer
viewer = start_viewer({kind!r}, [RunDir(Path({str(run.path)!r}))])
wait = viewer.process.wait
def says_that_it_waits():
    viewer.process.wait = wait
    print(viewer.process.pid, viewer.logdir.parent, flush=True)
    return wait()
viewer.process.wait = says_that_it_waits
viewer.wait()
print("over", flush=True)
"""
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().split(maxsplit=1)
    guard = psutil.Process(int(pid))
    family = [guard, *guard.children(recursive=True)]
    assert len(family) >= 2
    owner.send_signal(how)
    output, _ = owner.communicate(timeout=20)
    assert output == ("over\n" if how == signal.SIGINT else "")
    gone, alive = psutil.wait_procs(family, timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    wait_for(lambda: not Path(folder.strip()).exists(), 5)


def test_a_viewer_that_dies_is_an_error_with_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run_dir(tmp_path / "r", steps=20, resumed_at=None)
    dying = [sys.executable, "-c", "import sys; sys.exit('flask is too new')"]
    monkeypatch.setattr(viewers, "_command", lambda *arguments: dying)
    with pytest.raises(RunnerError, match="ended with status 1 before it answered:\nflask is too new"):
        start_viewer("visualdl", [run])


def test_a_viewer_that_stays_silent_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run_dir(tmp_path / "r", steps=20, resumed_at=None)
    pid_file = tmp_path / "pid"
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    monkeypatch.setattr(viewers, "_command", lambda *arguments: [sys.executable, "-c", code])
    with pytest.raises(RunnerError, match="does not answer"):
        start_viewer("visualdl", [run], timeout_s=1.0)
    assert not psutil.pid_exists(int(pid_file.read_text()))


def test_a_port_taken_by_someone_else_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run_dir(tmp_path / "r", steps=20, resumed_at=None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free = viewers._free_port
        ports = iter([taken.getsockname()[1], free("127.0.0.1")])
        monkeypatch.setattr(viewers, "_free_port", lambda host: next(ports))
        with start_viewer("tensorboard", [run]) as viewer:
            assert not viewer.url.endswith(f":{taken.getsockname()[1]}/")


def test_wrong_input_is_named_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        start_viewer("tensorbord", [RunDir(tmp_path / "no run")], host="0.0.0.0")
    text = str(caught.value)
    for part in ("unknown viewer 'tensorbord'; did you mean 'tensorboard'", "no run: is not a run directory", "ssh -L"):
        assert part in text


@pytest.mark.parametrize(
    ("kind", "expected"), [("visualdl", "en or zh"), ("tensorboard", "none: the page of tensorboard has one language")]
)
def test_a_language_that_a_page_lacks(tmp_path: Path, kind: str, expected: str) -> None:
    with pytest.raises(InputError, match=f"language 'fr': expected {expected}"):
        start_viewer(kind, [make_run_dir(tmp_path / "r", steps=20, resumed_at=None)], language="fr")


def test_a_port_in_use_and_no_run_are_input_errors() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match=r"(?s)no run to show.*is in use"):
            start_viewer("visualdl", [], port=taken.getsockname()[1])


def test_a_viewer_that_is_not_installed_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run_dir(tmp_path / "r", steps=20, resumed_at=None)
    monkeypatch.setattr(VisualDLTracker, "packages", ("visualdl", "no-such-package"))
    with pytest.raises(InputError, match=r"^no-such-package is not installed .*: pip install '\.\[visualdl\]' in a checkout of runner"):
        start_viewer("visualdl", [run])


def test_telemetry_is_off_and_the_language_is_given() -> None:
    command = VisualDLViewer().command(View(Path("/x"), ("-a", "b"), "127.0.0.1", 8040, "zh"))
    assert "--disable-telemetry" in command
    assert command[command.index("--language") + 1] == "zh"
    assert command[command.index("--logdir") + 1 :][:2] == ["./-a", "b"]
