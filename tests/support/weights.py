"""A real HTTP server with files of weights, and a store and a lock that are a test's own."""

from __future__ import annotations

import json
import pickle
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Answer = Callable[[BaseHTTPRequestHandler], None]
COMMIT = "9a" * 20


class Site:
    """Server on this machine: it answers each path as the test has set, and counts the requests.

    Args:
        url: without a slash at its end.
        asked: paths in the order in which they were requested.
    """

    def __init__(self) -> None:
        site, self.asked = self, list[str]()
        self._answers: dict[str, Answer] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                answer = site._answers.get(self.path.partition("?")[0])
                if answer is None:
                    self.send_error(404)
                    return
                try:
                    answer(self)
                except OSError:
                    pass  # the client has gone

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def on(self, path: str, answer: Answer) -> str:
        """Answer a path by a function; return its address."""
        self._answers[path] = answer
        return self.url + path

    def file(self, path: str, content: bytes, *, length: int | None = None, pause_s: float = 0.0, piece: int = 0) -> str:
        """Serve a file.

        Args:
            length: what Content-Length says in place of its size; negative: it is left out.
            pause_s: before each piece of `piece` bytes.
        """

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            if length is None or length >= 0:
                request.send_header("Content-Length", str(len(content) if length is None else length))
            request.end_headers()
            for start in range(0, len(content), piece or len(content)):
                time.sleep(pause_s)
                request.wfile.write(content[start : start + (piece or len(content))])
                request.wfile.flush()

        return self.on(path, answer)

    def redirect(self, path: str, target: str, code: int = 302) -> str:
        """Redirect a path to an address."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(code)
            request.send_header("Location", target)
            request.send_header("Content-Length", "0")
            request.end_headers()

        return self.on(path, answer)

    def refuse(self, path: str, code: int) -> str:
        """Answer a path with an error."""
        return self.on(path, lambda request: request.send_error(code))

    def model(self, name: str, content: bytes, **changes: Any) -> None:
        """Serve a model of the hub as its API documents: metadata of the revision main, and the file at its commit."""
        lfs = {"sha256": sha256(content).hexdigest(), "size": len(content), "pointerSize": 133}
        siblings = [{"rfilename": "config.json", "size": 5, "blobId": "00"}, {"rfilename": "model.safetensors", "blobId": "11", "lfs": lfs}]
        metadata = {"id": name, "sha": COMMIT, "gated": False, "cardData": {"license": "apache-2.0"}, "siblings": siblings, **changes}
        self.file(f"/api/models/{name}/revision/main", json.dumps(metadata).encode())
        self.file(f"/{name}/resolve/{COMMIT}/model.safetensors", content)


def pdparams(arrays: Mapping[str, Any] | None = None) -> bytes:
    """A file of PaddlePaddle's."""
    return pickle.dumps(dict(arrays or {"w": np.arange(12, dtype=np.float32)}), protocol=4)


def safetensors(arrays: Mapping[str, Any] | None = None) -> bytes:
    """A file of safetensors, written by its specification."""
    table, data = {}, b""
    for name, array in (arrays or {"w": np.arange(12, dtype=np.float32)}).items():
        content = np.ascontiguousarray(array, np.float32).tobytes()
        table[name] = {"dtype": "F32", "shape": list(np.shape(array)), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    header = json.dumps(table).encode()
    return struct.pack("<Q", len(header)) + header + data


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server of this test's own."""
    monkeypatch.setenv("no_proxy", "*")
    served = Site()
    yield served
    served.close()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store; the current folder is tmp_path, and so weights.lock is there. The caches of torch and the hub are below it too."""
    folder = tmp_path / "weights 'ü'"
    monkeypatch.setenv("RUNNER_WEIGHTS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variable in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return folder


def lock(name: str, content: bytes, suffix: str, url: str = "https://example.org/file") -> Path:
    """Put a file into the store and its name into weights.lock, as a fetch does; return the stored file."""
    from runner.weights.lockfile import LockEntry, change_lock, lock_path
    from runner.weights.store import put, store_held

    digest = sha256(content).hexdigest()
    with store_held(print) as unfinished:
        (unfinished / "part").write_bytes(content)
        path = put(unfinished / "part", digest, suffix)
    change_lock(lock_path(), lambda entries: [*entries, LockEntry(name, url + suffix, digest, len(content), date="2026-11-29")])
    return path
