"""Architectures by name: what is registered, what cannot be used, and what a config may be bound to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from runner.backends.torch.models import base
from runner.backends.torch.models.fcos import FCOSModel
from runner.backends.torch.models.fcos.schema import FCOS, Gt2FCOSTarget
from runner.core.errors import InputError


def test_fcos_is_registered() -> None:
    assert type(base.load_model("FCOS")) is FCOSModel
    assert FCOS in base.architecture_classes() and Gt2FCOSTarget in base.batch_transform_classes()
    assert base.why_unusable("FCOS") == "" == base.why_unusable("YOLO")


def test_an_unknown_one_gets_a_hint() -> None:
    with pytest.raises(InputError, match="'FCOS'"):
        base.load_model("FCOSS")


def test_warm_processes_import_the_networks() -> None:
    code = "import runner.backends.torch.preload, sys; sys.exit('runner.backends.torch.models.fcos.network' not in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
