"""`fetch`: a name becomes a stored file and an entry in weights.lock, or one message and nothing at all."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from hashlib import sha256
from pathlib import Path

import pytest
from conftest import command, environment
from support.weights import COMMIT, Site, pdparams, safetensors

from runner.core.errors import InputError
from runner.weights import published
from runner.weights.fetch import Fetched, fetch
from runner.weights.lockfile import read_lock
from runner.weights.store import find_stored


def fetched(text: str, said: list[str] | None = None, offline_from: Path | None = None) -> Fetched:
    return fetch(text, (said if said is not None else []).append, lambda done, total: None, offline_from)


def refused(text: str, store: Path, offline_from: Path | None = None) -> str:
    before = sorted(store.rglob("*")) if store.exists() else []
    locked = Path("weights.lock").read_bytes() if Path("weights.lock").exists() else b""
    with pytest.raises(InputError) as caught:
        fetched(text, offline_from=offline_from)
    left = [path for path in store.rglob("*") if path.is_file() and path.name != ".lock" and path not in before]
    assert not left and locked == (Path("weights.lock").read_bytes() if Path("weights.lock").exists() else b"")
    assert len(caught.value.problems) == 1
    return str(caught.value)


def test_an_address_is_stored_and_locked(site: Site, store: Path) -> None:
    content = pdparams()
    url, digest, said = site.file("/models/R50.pdparams", content), sha256(content).hexdigest(), list[str]()
    got = fetched(url, said)
    assert got.origin == "network" and got.path == store / "sha256" / f"{digest}.pdparams" and got.path.read_bytes() == content
    assert not os.access(got.path, os.W_OK) or os.geteuid() == 0
    (entry,) = read_lock(Path("weights.lock"))
    assert (entry.name, entry.url, entry.sha256, entry.size_bytes, entry.licence) == (url, url, digest, len(content), "unknown")
    assert entry.date == time.strftime("%Y-%m-%d", time.gmtime())
    assert said[:3] == [url, f"  from     {url}", f"  size     0.0 MiB ({len(content)} bytes)"]
    assert "licence  unknown" in said[3] and "not known beforehand" in said[4]
    assert fetched(url).origin == "store" and len(site.asked) == 1


def test_source_size_and_licence_are_said_before_the_content_comes(site: Site, store: Path) -> None:
    def answer(request) -> None:  # type: ignore[no-untyped-def]
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.flush()
        waiting = time.monotonic() + 5
        while len(said) < 5 and time.monotonic() < waiting:
            time.sleep(0.01)
        seen.append(len(said))

    said, seen = list[str](), list[int]()
    with pytest.raises(InputError, match="ended after 0 of 1,000"):
        fetched(site.on("/a.pth", answer), said)
    assert seen == [5]


def test_another_checkout_gets_the_same_bytes_or_none(site: Site, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = site.file("/a.pdparams", pdparams())
    first = fetched(url)
    monkeypatch.setenv("RUNNER_WEIGHTS", str(tmp_path / "of a colleague"))
    assert fetched(url).entry == first.entry
    site.file("/a.pdparams", pdparams({"w": [1.0]}))
    monkeypatch.setenv("RUNNER_WEIGHTS", str(tmp_path / "of another"))
    assert "expected" in refused(url, tmp_path / "of another")


def test_a_damaged_stored_file_is_fetched_again(site: Site, store: Path) -> None:
    content = pdparams()
    url = site.file("/a.pdparams", content)
    path = fetched(url).path
    path.chmod(0o644)
    path.write_bytes(b"x" + content[1:])
    got = fetched(url)
    assert got.origin == "network" and got.path.read_bytes() == content


def test_an_address_of_paddle_in_both_spellings_is_one(store: Path, monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    monkeypatch.setattr("runner.weights.names.PADDLE_STORE", f"{site.url}/")
    site.file("/models/a.pdparams", pdparams())
    assert fetched("ppdet://models/a.pdparams").entry.url == f"{site.url}/models/a.pdparams"
    assert fetched(f"{site.url}/models/a.pdparams").origin == "store"
    assert [entry.name for entry in read_lock(Path("weights.lock"))] == ["ppdet://models/a.pdparams"]


@pytest.mark.parametrize(
    ("path", "content", "word"),
    [
        ("/a.pdparams", b"<!doctype html><p>Sign in", "a web page, not weights"),
        ("/a.pdparams", pdparams()[:-1], "cut off"),
        ("/a.safetensors", safetensors()[:-1], "cut off"),
        ("/a.pth", b"PK\x03\x04" + bytes(60), "cut off"),
        ("/a.pth", b"no weights", "no .pth file"),
        ("/a.tar", b"x", "an archive of PaddleDetection 0.x"),
        ("/a.zip", b"x", "no file of weights"),
    ],
)
def test_what_is_no_file_of_weights_is_not_kept(site: Site, store: Path, path: str, content: bytes, word: str) -> None:
    assert word in refused(site.file(path, content), store)


def test_a_content_length_that_is_too_small_is_noticed(site: Site, store: Path) -> None:
    content = safetensors()
    assert "cut off" in refused(site.file("/a.safetensors", content, length=len(content) - 5), store)


# ------------------------------------------------------------------------------------------------------------------ hub
def test_a_model_of_the_hub(site: Site, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, said = safetensors(), list[str]()
    site.model("PekingU/rtdetr_r18vd", content)
    monkeypatch.setenv("HF_ENDPOINT", f"{site.url}/")
    got = fetched("PekingU/rtdetr_r18vd", said)
    assert site.asked == [
        "/api/models/PekingU/rtdetr_r18vd/revision/main?blobs=true",
        f"/PekingU/rtdetr_r18vd/resolve/{COMMIT}/model.safetensors",
    ]
    assert got.entry.commit == COMMIT and got.entry.licence == "apache-2.0" and got.path.suffix == ".safetensors"
    assert f"  sha256   must be {sha256(content).hexdigest()} (the hub)" in said
    got.path.unlink()
    assert fetched("PekingU/rtdetr_r18vd").entry == got.entry
    assert len(site.asked) == 3, "the locked commit is asked for, not the branch"


def test_the_hub_redirects_to_another_host_and_that_is_said(site: Site, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, said = safetensors(), list[str]()
    site.model("timm/resnet50d.a1_in1k", content, cardData={}, tags=["license:cc-by-nc-4.0"])
    site.file("/blob", content)
    elsewhere = site.url.replace("127.0.0.1", "localhost")
    site.redirect(f"/timm/resnet50d.a1_in1k/resolve/{COMMIT}/model.safetensors", f"{elsewhere}/blob")
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    fetched("timm/resnet50d.a1_in1k", said)
    assert any(line.endswith(f"redirects to {elsewhere.partition('//')[2]}") for line in said)
    assert "  licence  cc-by-nc-4.0; not for commercial use" in said


def test_a_revision_is_asked_for(site: Site, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.model("a/b", safetensors())
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    assert "does not exist (404" in refused("a/b@v2", store)
    assert site.asked == ["/api/models/a/b/revision/v2?blobs=true"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"siblings": [{"rfilename": "pytorch_model.bin"}]}, "only safetensors are read"),
        ({"siblings": [{"rfilename": "model.safetensors.index.json"}]}, "in several files"),
        ({"siblings": [{"rfilename": "model.safetensors", "size": 3}]}, "not what its API documents"),
        ({"sha": "main"}, "not what its API documents"),
        ({"siblings": None}, "not what its API documents"),
    ],
)
def test_a_model_without_weights_that_can_be_read(
    site: Site, store: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], word: str
) -> None:
    site.model("a/b", safetensors(), **changes)
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    assert word in refused("a/b", store)


def test_a_model_that_is_gated_or_not_there(site: Site, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    site.refuse("/api/models/a/b/revision/main", 401)
    assert "--offline-from FOLDER" in refused("a/b", store)
    site.model("a/c", safetensors())
    site.file(f"/a/c/resolve/{COMMIT}/model.safetensors", safetensors({"w": [2.0] * 12}))
    assert "not the expected file" in refused("a/c", store)


# ---------------------------------------------------------------------------------------------------------- torchvision
def test_a_torchvision_name_has_the_digest_of_its_file_name(site: Site, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "ResNet50_Weights.IMAGENET1K_V1"
    assert published.torchvision_url(name) == "https://download.pytorch.org/models/resnet50-0676ba61.pth"
    assert published.known_digest(published.torchvision_url(name)) == "0676ba61"
    monkeypatch.setattr("runner.weights.fetch.torchvision_url", lambda name: site.file("/models/resnet50-0676ba61.pth", pdparams()))
    monkeypatch.setattr("runner.weights.fetch.known_digest", lambda url: "0676ba61")
    assert "expected 0676ba61" in refused(name, store)


def test_the_shipped_names_are_those_of_the_installed_torchvision() -> None:
    models = pytest.importorskip("torchvision.models")
    assert len(published._TORCHVISION) == 11
    for name, url in published._TORCHVISION.items():
        assert models.get_weight(name).url == url
    assert published.torchvision_url("ResNet50_Weights.IMAGENET1K_V2").endswith("/resnet50-11ad3fa6.pth")
    with pytest.raises(InputError, match="torchvision has no weights 'ResNet5_Weights.V1'; did you mean 'ResNet"):
        published.torchvision_url("ResNet5_Weights.V1")


# --------------------------------------------------------------------------------------------------------- what is typed
@pytest.mark.parametrize("text", ["weights.pth", "resnet50", "", "a/b/c"])
def test_a_file_is_not_fetched(store: Path, text: str) -> None:
    assert "is not published weights: expected a name" in refused(text, store)


def test_a_pin_is_kept(site: Site, store: Path) -> None:
    content = pdparams()
    url = site.file("/a.pdparams", content)
    assert "expected 0000" in refused(f"{url}#sha256={'0' * 64}", store)
    got = fetched(f"{url}#sha256={sha256(content).hexdigest()}")
    assert got.entry.name == url
    assert f"runner weights remove {url}" in refused(f"{url}#sha256={'0' * 64}", store)


# ------------------------------------------------------------------------------------------------- several and interrupted
def test_two_processes_at_once_download_once(site: Site, store: Path, tmp_path: Path) -> None:
    url = site.file("/a.pdparams", pdparams({"w": [0.0] * 3000}), pause_s=0.1, piece=2000)
    both = [
        subprocess.Popen(
            command("weights", "fetch", url), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert site.asked == ["/a.pdparams"]
    assert sum("already there" in out for out, _ in outputs) == 1
    assert len(read_lock(tmp_path / "weights.lock")) == 1


def test_ctrl_c_leaves_nothing(site: Site, store: Path, tmp_path: Path) -> None:
    url = site.file("/a.pdparams", pdparams({"w": [0.0] * 30000}), pause_s=0.1, piece=2000)
    process = subprocess.Popen(
        command("weights", "fetch", url), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    part = store / "unfinished" / "part"
    until = time.monotonic() + 30
    while not (part.is_file() and part.stat().st_size) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in error
    assert not [path for path in store.rglob("*") if path.is_file() and path.name != ".lock"] and not (tmp_path / "weights.lock").exists()


def test_what_a_killed_process_left_is_removed(site: Site, store: Path) -> None:
    (store / "unfinished").mkdir(parents=True)
    (store / "unfinished" / "part").write_bytes(b"half")
    assert fetched(site.file("/a.pdparams", pdparams())).path.is_file()
    assert not list((store / "unfinished").iterdir())


# -------------------------------------------------------------------------------------------------------------- offline
def test_a_file_that_was_carried_by_hand(store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stick ü" / "deep"
    folder.mkdir(parents=True)
    (folder / "R50.pdparams").write_bytes(pdparams())
    (folder / "other.pdparams").write_bytes(pdparams({"v": [1.0]}))
    said: list[str] = []
    got = fetched("https://example.org/x/R50.pdparams", said, offline_from=tmp_path / "stick ü")
    assert got.origin == "files" and got.entry.url == "https://example.org/x/R50.pdparams" and (folder / "R50.pdparams").exists()
    assert f"  from     {folder / 'R50.pdparams'}" in said
    assert "has no file for https://example.org/x/R18.pdparams; expected R18.pdparams" in refused(
        "https://example.org/x/R18.pdparams", store, tmp_path / "stick ü"
    )
    assert "is not a folder" in refused("https://example.org/x/R18.pdparams", store, tmp_path / "gone")


def test_a_locked_file_is_found_under_any_name(site: Site, store: Path, tmp_path: Path) -> None:
    url = site.file("/a.pdparams", pdparams())
    path = fetched(url).path
    (tmp_path / "stick").mkdir()
    path.rename(tmp_path / "stick" / "renamed.pdparams")
    (tmp_path / "stick" / "a.pdparams").write_bytes(pdparams({"w": [1.0]}))
    assert fetched(url, offline_from=tmp_path / "stick").origin == "files" and len(site.asked) == 1


def test_the_wrong_file_of_the_right_name_is_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "resnet50-0676ba61.pth").write_bytes(pdparams())
    message = refused("ResNet50_Weights.IMAGENET1K_V1", store, tmp_path)
    assert "is not ResNet50_Weights.IMAGENET1K_V1" in message and "expected 0676ba61; copy it again" in message


def test_two_files_of_the_right_name_are_not_chosen_from(store: Path, tmp_path: Path) -> None:
    for name, value in (("one", 1.0), ("two", 2.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.pdparams").write_bytes(pdparams({"w": [value]}))
    assert "has several files" in refused("https://example.org/a.pdparams", store, tmp_path)


def test_the_caches_of_other_programs_are_adopted(store: Path, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's by the digest in the file's name, the hub's with its commit; Paddle's, of which no digest is known, if it is asked for."""
    content = safetensors()
    torch = tmp_path / "cache" / "torch" / "hub" / "checkpoints"
    torch.mkdir(parents=True)
    whole = pdparams()
    name = f"net-{sha256(whole).hexdigest()[:8]}.pth"
    (torch / name).write_bytes(whole)
    url = f"https://download.pytorch.org/models/{name}"
    assert fetched(url).origin == "files"
    snapshot = tmp_path / "cache" / "huggingface" / "hub" / "models--a--b" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(content)
    got = fetched("a/b", offline_from=tmp_path / "cache" / "huggingface" / "hub")
    assert got.origin == "files" and got.entry.commit == COMMIT and COMMIT in got.entry.url
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    paddle = tmp_path / "home" / ".cache" / "paddle" / "weights"
    paddle.mkdir(parents=True)
    (paddle / "R50.pdparams").write_bytes(pdparams({"w": [3.0]}))
    address = site.file("/R50.pdparams", pdparams({"w": [4.0]}))
    assert fetched(address, offline_from=paddle).origin == "files" and not site.asked


def test_a_pinned_file_that_another_project_stored_is_not_fetched(site: Site, store: Path, tmp_path: Path) -> None:
    url = site.file("/a.pdparams", pdparams())
    got = fetched(url)
    (tmp_path / "weights.lock").unlink()
    again = fetched(f"{url}#sha256={got.entry.sha256}")
    assert again.origin == "store" and again.entry == got.entry and len(site.asked) == 1
    assert find_stored(got.entry.sha256) == got.path
