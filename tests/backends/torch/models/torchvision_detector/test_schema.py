"""Declared keys and torchvision's arguments stand in one section: overridden, written out, compared and hashed like any other key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.backends.torch.schema import TorchConfig
from runner.config.bind import bind, require
from runner.config.dump import affecting_keys, canonical, result_affecting, to_plain, to_yaml
from runner.config.load import parse
from runner.config.node import Source, flatten
from runner.core.errors import InputError
from runner.resolve import resolve

ROOT = Path(__file__).parents[5]
SMALL = ROOT / "configs" / "torchvision" / "fasterrcnn_small.yml"
KEY = "TorchvisionDetector.box_detections_per_img"


@pytest.fixture
def resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Resolves the small config with overrides."""
    monkeypatch.setenv("RUNNER_DATA", str(tmp_path))
    return lambda *overrides: resolve(SMALL, ["use_gpu=false", *overrides], to_run=False)


def test_an_argument_is_overridden_and_written_out_beside_the_declared_keys(resolved: Any) -> None:
    config = resolved(f"{KEY}=50", "TorchvisionDetector.box_nms_thresh=0.4").config
    assert config.architecture.arguments["box_detections_per_img"] == 50
    section = canonical(config)["TorchvisionDetector"]
    assert section["model"] == "FasterRCNN" and section["box_detections_per_img"] == 50 and "arguments" not in section
    text = to_yaml(canonical(config))
    again = require(bind(parse(text, lambda line: Source("config.yml", line)), TorchConfig))
    assert again == config


def test_an_argument_identifies_a_run(resolved: Any) -> None:
    plain, other = (result_affecting(resolved(*given).config) for given in ((), (f"{KEY}=50",)))
    assert set(dict(flatten(other))) - set(dict(flatten(plain))) == {KEY}
    config = resolved(f"{KEY}=50").config
    assert any(KEY.startswith(key) for key in affecting_keys(config, to_plain(canonical(config))))


def test_an_unknown_argument_is_named_with_its_place(resolved: Any) -> None:
    with pytest.raises(InputError) as raised:
        resolved("TorchvisionDetector.box_detection_per_img=50")
    words = str(raised.value)
    assert "-o TorchvisionDetector.box_detection_per_img=50" in words and "did you mean 'box_detections_per_img'" in words


def test_the_model_alone_is_checked_by_the_schema() -> None:
    text = "architecture: TorchvisionDetector\nTorchvisionDetector: {model: fasterrcnn_resnet50_fpn_v3}"
    found = [str(one) for one in bind(parse(text, lambda line: Source("c.yml", line)), TorchConfig).problems]
    assert any("did you mean 'fasterrcnn_resnet50_fpn_v2'" in one for one in found)
