"""A bound config as ppdet's own global one."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.backends.paddle import schedule
from runner.backends.paddle.ppdet import load_ppdet
from runner.backends.paddle.schema import PaddleConfig
from runner.config.dump import canonical, to_yaml
from runner.config.schema import Tagged
from runner.weights.locate import weights_file
from runner.weights.names import parse_name

_OURS = frozenset(
    "weights dataset eval_iou_thresholds max_iters backend backend_python cpu_threads seed snapshot_iter keep_checkpoints eval_at_snapshot "
    "early_stop sample_images initial_distance trackers use_vdl vdl_log_dir gradient_accumulation processes pretrain_weights save_dir "
    "epoch TestDataset".split()
)
"""Keys that are not for ppdet: this program handles them."""


def ppdet_config(config: PaddleConfig, *, to_train: bool = True) -> Any:
    """Make ppdet's global config for `config`, its lengths in iterations kept exact. Once per process: ppdet has one, and merges into it.

    The length of training is left open (`epoch` is 1): who trains sets it when the data is loaded.

    Args:
        to_train: modules that load weights by themselves (``SwinTransformer.pretrained``) get the stored files; otherwise null, as
            all weights come from a checkpoint.

    Raises:
        InputError: such weights are not on this machine.
    """
    load_ppdet()
    from ppdet.core.workspace import load_config  # noqa: PLC0415

    tree = {key: value for key, value in canonical(config).items() if key not in _OURS and value is not None}
    tree = _with_files(tree, to_train=to_train)
    tree |= {"epoch": 1, "save_dir": ".", "use_vdl": False, "TestDataset": {"name": "ImageFolder"}}
    schedulers = schedule.split(config)
    if schedulers is not None:
        section: Mapping[str, Any] = tree["LearningRate"]
        tree["LearningRate"] = {**section, "schedulers": list(schedulers.members)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yml"
        path.write_text(to_yaml(tree), encoding="utf-8")
        cfg = load_config(str(path))
    if schedulers is not None:
        members = cfg["LearningRate"]["schedulers"]
        spanning = schedulers.to_the_end if config.max_iters else frozenset[int]()  # with `epoch` it is ppdet's default, 1000 epochs
        for index in spanning:
            members[index].max_epochs = config.max_iters
        counted = schedulers.in_iterations | spanning
        members[:] = [_InIterations(member) if index in counted else member for index, member in enumerate(members)]
    return cfg


def _with_files(value: Any, *, to_train: bool, key: str = "") -> Any:
    """Replace pinned addresses of weights by the files in the store."""
    if isinstance(value, Tagged):
        return Tagged(value.name, _with_files(value.keys, to_train=to_train, key=key))
    if isinstance(value, Mapping):
        return {name: _with_files(item, to_train=to_train, key=f"{key}.{name}".lstrip(".")) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_files(item, to_train=to_train, key=key) for item in value]
    if isinstance(value, str) and parse_name(value).kind == "url" and parse_name(value).sha256:
        return str(weights_file(value, key)) if to_train else None
    return value


class _InIterations:
    """A scheduler of ppdet whose lengths are iterations: an epoch of one step."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.use_warmup = scheduler.use_warmup

    def __call__(self, base_lr: Any = None, boundary: Any = None, value: Any = None, step_per_epoch: Any = None) -> Any:
        del step_per_epoch
        return self.scheduler(base_lr, boundary, value, 1)

    def __deepcopy__(self, memo: Any) -> _InIterations:
        return _InIterations(copy.deepcopy(self.scheduler, memo))
