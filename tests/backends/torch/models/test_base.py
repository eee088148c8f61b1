"""Architectures by name: what is registered, what cannot be used, and what a config may be bound to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runner.backends.torch.backend import TorchBackend
from runner.backends.torch.models import base
from runner.backends.torch.models.fcos import FCOSModel
from runner.backends.torch.models.fcos.schema import FCOS, Gt2FCOSTarget
from runner.backends.torch.schema import TorchConfig
from runner.core.errors import InputError


def test_fcos_is_registered() -> None:
    assert type(base.load_model("FCOS")) is FCOSModel
    assert FCOS in base.architecture_classes() and Gt2FCOSTarget in base.batch_transform_classes()
    assert base.why_unusable("FCOS") == "" == base.why_unusable("YOLO")


def test_an_unknown_one_gets_a_hint() -> None:
    with pytest.raises(InputError, match="'FCOS'"):
        base.load_model("FCOSS")


def test_warm_processes_import_the_network_of_their_config(make_config: Callable[..., TorchConfig]) -> None:
    """And no other: the libraries of some take seconds."""
    assert list(TorchBackend().model_modules(make_config())) == ["runner.backends.torch.models.fcos.network"]
