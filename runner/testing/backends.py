"""The contract of `runner.backends.base.Backend` as tests. Subclass `BackendContract`:

class TestMine(BackendContract):
    backend = "mine"
    framework = ("torch",)

    @classmethod
    def write_config(cls, folder):
        …  # a config file in `folder`, see `BackendContract.write_config`
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from runner.backends.base import BACKENDS, Backend
from runner.backends.exported import SUFFIXES, open_exported
from runner.core.conformance import protocol_faults
from runner.core.errors import InputError
from runner.core.importing import child_environment
from runner.resolve import Resolved, resolve
from runner.resolve.autos import probe_backend
from runner.store.checkpoints import CheckpointFolder
from runner.store.records import Record
from runner.store.run_dir import RunDir
from runner.sweep.plan import plan_single, run_key
from runner.sweep.runs import prepare_run_dir

INTERRUPTED = 130
_ROOT = str(Path(__file__).resolve().parents[2])


def python(*arguments: str) -> subprocess.Popen[bytes]:
    """Start this interpreter, with this package and this process's import path."""
    paths = [_ROOT, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = child_environment({"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"})
    return subprocess.Popen([sys.executable, "-P", *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def output_of(process: subprocess.Popen[bytes], timeout_s: float = 300) -> tuple[int, str]:
    """Wait for the end of a process; return its exit code and output."""
    out, _ = process.communicate(timeout=timeout_s)
    return process.returncode, out.decode(errors="replace")


def of_training(record: Record) -> dict[str, float]:
    """Return the values that do not depend on the machine."""
    return {tag: value for tag, value in record.values.items() if not tag.startswith("resource/") and "_per_s" not in tag}


class BackendContract:
    """Contract suite of backends."""

    backend: ClassVar[str]
    """Its registered name."""
    framework: ClassVar[tuple[str, ...]] = ()
    """Modules that may be loaded where it trains, and not where its configs are checked."""

    @classmethod
    def write_config(cls, folder: Path) -> Path:
        """Write a config that trains 6 steps or more in some seconds, with `log_iter: 1`, `snapshot_iter: 2`, `eval_at_snapshot: true` and
        a fixed seed; a step should take long enough (50 ms) that a run can be interrupted."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def resolved(cls, tmp_path_factory: pytest.TempPathFactory) -> Resolved:
        """Resolve the config."""
        return resolve(cls.write_config(tmp_path_factory.mktemp("config 'ü'")))

    @pytest.fixture(scope="class")
    @classmethod
    def finished(cls, resolved: Resolved, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
        """Make a run that nothing disturbs."""
        run = RunDir(tmp_path_factory.mktemp("runs") / "undisturbed")
        prepare_run_dir(plan_single(resolved, run))
        code, out = output_of(python("-m", "runner.worker", str(run.path)))
        assert code == 0, out
        return run

    def test_the_facts_are_declared(self) -> None:
        plugin = BACKENDS.get(self.backend)
        assert list(protocol_faults(plugin, Backend)) == []
        assert plugin.name == self.backend
        assert plugin.checkpoint_suffix.startswith(".")

    def test_a_config_is_checked_without_the_framework(self, resolved: Resolved, tmp_path: Path) -> None:
        file = tmp_path / "config.yml"
        file.write_text(resolved.yaml, encoding="utf-8")
        code = (
            "import sys; from runner.backends.base import BACKENDS; from runner.config.bind import bind, require; "
            "from runner.config.load import load_config; backend = BACKENDS.get(sys.argv[1])(); "
            "print(list(backend.check(require(bind(load_config(sys.argv[2]), backend.config_class))))); "
            "print('loaded', sorted(set(sys.argv[3:]) & set(sys.modules)))"
        )
        assert output_of(python("-c", code, self.backend, str(file), *self.framework))[1].splitlines() == ["[]", "loaded []"]

    def test_a_resolved_config_is_the_same_run(self, resolved: Resolved, tmp_path: Path) -> None:
        (tmp_path / "again.yml").write_text(resolved.yaml, encoding="utf-8")
        again = resolve(tmp_path / "again.yml")
        assert again.plain == resolved.plain and run_key(again) == run_key(resolved)
        assert run_key(resolve(tmp_path / "again.yml", ["seed=12345"])) != run_key(resolved)

    def test_an_unknown_key_is_refused(self, resolved: Resolved, tmp_path: Path) -> None:
        (tmp_path / "odd.yml").write_text(resolved.yaml, encoding="utf-8")
        with pytest.raises(InputError, match="max_itres"):
            resolve(tmp_path / "odd.yml", ["max_itres=5"])

    def test_it_says_what_it_finds(self) -> None:
        probe = probe_backend(self.backend, Path(sys.executable))
        assert probe.gpus or probe.gpu_problem
        assert all(probe.versions.get(package, "x") for package in BACKENDS.get(self.backend).packages)

    def test_preloading_starts_no_thread(self) -> None:
        code = "import importlib, os, sys; importlib.import_module(sys.argv[1]); print('threads', len(os.listdir('/proc/self/task')))"
        if not Path("/proc/self/task").is_dir():
            pytest.skip("this system does not list the threads of a process")
        status, out = output_of(python("-c", code, BACKENDS.get(self.backend).preload))
        assert status == 0 and out.splitlines()[-1] == "threads 1", out

    def test_a_run_leaves_what_readers_need(self, resolved: Resolved, finished: RunDir) -> None:
        status, records = finished.status(), finished.records()
        assert (status.state, status.reason, status.phase) == ("done", None, "ended")
        assert status.step == status.steps >= 6
        trained = [record for record in records if "train/loss" in record.values]
        assert [record.step for record in trained] == list(range(1, status.steps + 1))
        assert all(math.isfinite(record.values["train/loss"]) for record in trained)
        evaluations = [record for record in records if record.is_evaluation]
        assert [record.step for record in evaluations] == list(range(2, status.steps + 1, 2)) and evaluations[-1].values
        metrics = resolved.backend.metrics(resolved.config)
        assert all(metrics.has(tag) for record in evaluations for tag in record.values)
        assert metrics.primary.name in evaluations[-1].values and finished.primary_metric() == metrics.primary
        results = finished.results()
        assert results is not None and results["step"] == status.steps
        assert {tag: evaluations[-1].values[tag] for tag in results["metrics"]} == pytest.approx(results["metrics"], nan_ok=True)

    def test_the_last_checkpoint_is_named_as_declared(self, finished: RunDir) -> None:
        suffix = BACKENDS.get(self.backend).checkpoint_suffix
        assert (finished.checkpoints / f"last{suffix}").is_file()
        last = CheckpointFolder(finished.checkpoints, suffix=suffix).entries()[-1]
        assert last.finished and last.step == finished.status().steps

    def test_it_exports_or_says_why_not(self, resolved: Resolved, finished: RunDir, tmp_path: Path) -> None:
        plugin = BACKENDS.get(self.backend)
        weights = finished.checkpoints / f"last{plugin.checkpoint_suffix}"
        facts = {"classes": plugin().class_names(weights), "score_threshold": 0.5, "about": {}}
        if not plugin.export_formats:
            with pytest.raises(InputError, match="export"):
                plugin().export(resolved.config, weights, "onnx", tmp_path / "model.onnx", facts)
        for to in plugin.export_formats[-1:]:
            file = tmp_path / f"model{SUFFIXES[to]}"
            plugin().export(resolved.config, weights, to, file, facts)
            assert open_exported(file).facts.classes == facts["classes"]

    def test_an_interrupted_run_is_continued_exactly(self, resolved: Resolved, finished: RunDir, tmp_path: Path) -> None:
        run = RunDir(tmp_path / "interrupted")
        prepare_run_dir(plan_single(resolved, run))
        process = python("-m", "runner.worker", str(run.path))
        while process.poll() is None and run.status().step < 3:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        code, out = output_of(process)
        if code == 0:
            pytest.skip("it was done before it could be interrupted: let a step of the config take longer")
        assert code == INTERRUPTED and run.status().state == "interrupted", out
        assert run.status().step < finished.status().steps
        code, out = output_of(python("-m", "runner.worker", str(run.path)))
        assert code == 0 and run.status().attempt == 2, out
        assert self.numbers(run) == self.numbers(finished)

    def numbers(self, run: RunDir) -> Mapping[tuple[int, bool], Mapping[str, float]]:
        """Return what a run has measured, by step, training and evaluations apart."""
        found: dict[tuple[int, bool], dict[str, float]] = {}
        for record in run.records():
            if values := of_training(record):
                found.setdefault((record.step, record.is_evaluation), {}).update(values)
        return found
