"""An architecture of another distribution: found by its entry point, chosen by name in a config, trained, and held to the contract."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = Path(__file__).resolve().parent / "spot"
INSTALLED = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(PLUGIN)))}

SPOT: dict[str, Any] = {
    "architecture": "Spot",
    "Spot": {"backbone": "ResNet", "head": "SpotHead"},
    "SpotHead": {"keep_top_k": 5},
    "ResNet": {"depth": 18, "freeze_at": -1, "freeze_norm": False, "num_stages": 2, "return_idx": [1]},
}


def readers(*targets: dict[str, Any]) -> dict[str, Any]:
    """The train reader of the small config with other batch transforms."""
    samples = [{"Decode": {}}, {"Resize": {"target_size": 48, "keep_ratio": False}}, {"NormalizeImage": {}}, {"Permute": {}}]
    return {"TrainReader": {"sample_transforms": samples, "batch_transforms": [{"PadBatch": {}}, *targets], "batch_size": 2}}


@pytest.fixture
def spot(write_config: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a config of the architecture, with changes of top-level keys."""

    def write(**changes: Any) -> Path:
        path = write_config(**{**SPOT, **readers({"SpotTarget": {"size_weight": 0.5}}), **changes})
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        others = ("FCOS", "FPN", "FCOSHead") if tree["architecture"] != "FCOS" else ()
        path.write_text(yaml.safe_dump({key: value for key, value in tree.items() if key not in others}, sort_keys=False))
        return path

    return write


def test_it_passes_the_contract_suite() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT]
    done = subprocess.run(
        [*command, PLUGIN / "spot_contract.py"], env={**os.environ, **INSTALLED}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout and "failed" not in done.stdout and "2 × the architecture refuses the key" in done.stdout


def test_it_is_trained_and_predicts_by_name(spot: Callable[..., Path], cli: Callable[..., Any], coco: Path, tmp_path: Path) -> None:
    cli("train", "-c", spot(), "--run-dir", "a run", env=INSTALLED).fine()
    run = tmp_path / "a run"
    assert len(json.loads((run / "predictions.json").read_text())) == 4 * 5
    tags = {tag for line in (run / "metrics.jsonl").read_text().splitlines() for tag in json.loads(line).get("values", {})}
    assert {"train/loss", "train/loss_cls", "train/loss_size", "bbox/AP"} <= tags
    config = (run / "config.yml").read_text()
    assert "architecture: Spot" in config and "SpotTarget: {size_weight: 0.5}" in config
    cli("predict", run, *sorted((coco / "images").iterdir())[:2], env=INSTALLED).fine()
    refused = cli("export", run, env=INSTALLED).refused()
    assert "Spot cannot be exported: its network does not say how (Detector.exportable)" in refused
    shown = cli("config", "show", "-c", run / "config.yml", env=INSTALLED).fine()
    assert "keep_top_k: 5" in shown


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "Spott"}, "did you mean 'Spot'?"),
        ({"architecture": "Splotch"}, "its schema Spot must be a declared class of the form 'section' that is named Splotch"),
        ({"SpotHead": {"keep_top": 5}}, "did you mean 'keep_top_k'?"),
        ({"ResNet": {**SPOT["ResNet"], "return_idx": [0]}}, "Spot needs [8]"),
        ({"initial_distance": 1.0}, "initial_distance"),
        (
            readers({"Gt2FCOSTarget": {"object_sizes_boundary": [], "center_sampling_radius": 1.5, "downsample_ratios": [8]}}),
            "Gt2FCOSTarget is for another architecture than Spot",
        ),
        ({"architecture": "FCOS"}, "SpotTarget is for another architecture than FCOS"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], words: str, spot: Callable[..., Path], cli: Callable[..., Any]) -> None:
    assert words in cli("config", "check", "-c", spot(**changes), env=INSTALLED).refused()


def test_the_version_of_its_distribution_is_part_of_the_run_key(
    spot: Callable[..., Path], write_config: Callable[..., Path], tmp_path: Path
) -> None:
    """The run key of a built-in model does not change with the distributions that are installed."""
    newer = shutil.copytree(PLUGIN, tmp_path / "newer")
    (newer / "spot-0.1.dist-info").rename(newer / "spot-0.2.dist-info")
    metadata = newer / "spot-0.2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("0.1", "0.2"))
    code = "import sys, json; from runner.resolve import resolve; from runner.sweep.plan import facts, run_key; "
    code += "found = resolve(sys.argv[1]); print(json.dumps([run_key(found), facts(found)['packages'].get('spot')]))"

    def key_of(config: Path, *folders: Path) -> Any:
        path = os.pathsep.join(map(str, (ROOT, *folders)))
        command = [sys.executable, "-P", "-c", code, config]
        return json.loads(subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, check=True).stdout)

    config = spot()
    before, after = key_of(config, PLUGIN), key_of(config, newer)
    assert (before[1], after[1]) == ("0.1", "0.2") and before[0] != after[0]
    ours = write_config()
    assert key_of(ours) == key_of(ours, PLUGIN) == key_of(ours, newer) and key_of(ours)[1] is None


def test_without_the_distribution_its_name_is_unknown(spot: Callable[..., Path], cli: Callable[..., Any]) -> None:
    message = cli("config", "check", "-c", spot()).refused()
    assert "'Spot'" in message and "FCOS" in message
