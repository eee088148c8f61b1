"""The Python API in a real Jupyter kernel: progress as lines, an interrupt that saves and ends, no process left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.store.run_dir import RunDir

jupyter_client = pytest.importorskip("jupyter_client", reason="no Jupyter here")
pytest.importorskip("ipykernel", reason="no Jupyter kernel here")

CONFIG = {"backend": "fake", "max_iters": 4, "parameters": {"lr": 0.02}, "metrics": {"bbox/AP": "0.3 + parameters.lr + 0.01 * noise"}}
LIMIT_S = 120.0


@dataclass
class Cell:
    """Output of a cell, and its error."""

    out: str = ""
    err: str = ""
    error: str = ""
    shown: int = 0


@dataclass
class Notebook:
    """A kernel that runs in a folder."""

    folder: Path
    manager: Any
    client: Any

    def run(self, code: str, while_running: Callable[[], None] | None = None) -> Cell:
        """Run a cell to its end."""
        message = self.client.execute(code)
        if while_running is not None:
            while_running()
        cell, deadline = Cell(), time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            heard = self.client.get_iopub_msg(timeout=LIMIT_S)
            if heard["parent_header"].get("msg_id") != message:
                continue
            content = heard["content"]
            match heard["msg_type"]:
                case "stream":
                    setattr(cell, content["name"][3:], getattr(cell, content["name"][3:]) + content["text"])
                case "error":
                    cell.error = f"{content['ename']}: {content['evalue']}"
                case "display_data" | "update_display_data":
                    cell.shown += 1
                case "status" if content["execution_state"] == "idle":
                    return cell
        raise AssertionError(f"the cell did not end: {cell}")

    def wait_for_step(self, name: str) -> RunDir:
        """Wait until a run is past its first step."""
        deadline = time.monotonic() + LIMIT_S
        while (run := RunDir(self.folder / name)).status().step < 1:
            assert time.monotonic() < deadline, "the run does not train"
            time.sleep(0.05)
        return run


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    (tmp_path / "fake.yml").write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "slow.yml").write_text(yaml.safe_dump({**CONFIG, "max_iters": 5000, "step_s": 0.02}))
    (tmp_path / "rates.yml").write_text("{config: fake.yml, vary: {parameters.lr: [0.2]}, seeds: [0, 1], resources: {concurrency: 2}}")
    (tmp_path / "slow_rates.yml").write_text("{config: slow.yml, vary: {parameters.lr: [0.2]}, seeds: [0], resources: {concurrency: 2}}")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3", cwd=str(tmp_path), startup_timeout=LIMIT_S)
    try:
        yield Notebook(tmp_path, manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_notebook_runs_compares_and_interrupts(notebook: Notebook) -> None:
    ran = notebook.run("import runner\nresult = runner.open_sweep('rates.yml').run()\nprint(result.done)")
    assert ran.error == "" and ran.out.endswith("\n4\n"), ran
    assert "rates: 4 runs" in ran.out and "0001-lr=0.2-s1: done, bbox/AP 0." in ran.out, "progress is lines on the cell's output"
    assert "\x1b" not in ran.out and ran.shown == 0
    compared = notebook.run("comparison = runner.compare('runs/rates')\nprint(len(comparison.trials), comparison.trials[1].effects.keys())")
    assert compared.error == "" and compared.out.startswith("2 ") and "bbox/AP" in compared.out

    def interrupt(name: str) -> Callable[[], None]:
        def act() -> None:
            notebook.wait_for_step(name)
            notebook.manager.interrupt_kernel()

        return act

    trained = notebook.run("runner.train('slow.yml', run_dir='a run')", interrupt("a run"))
    assert trained.error.startswith("Interrupted: a run: interrupted") and RunDir(notebook.folder / "a run").status().state == "interrupted"
    name = "runs/slow_rates/runs/0001-lr=0.2-s0"
    swept = notebook.run("sweep = runner.open_sweep('slow_rates.yml')\nsweep.run()", interrupt(name))
    assert "run() continues" in swept.error, swept
    assert RunDir(notebook.folder / name).status().state == "interrupted"
    left = notebook.run("import psutil\nprint([p.name() for p in psutil.Process().children(recursive=True)])\nprint(sweep.status().counts)")
    assert left.out == "[]\n{'interrupted': 2}\n", left
