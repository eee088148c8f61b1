"""What PaddleDetection computes from a config, as arrays in a file: the reference that `test_twin_outputs` holds the torch backend against.

Run by the interpreter of the Paddle environment: ``ppdet_side.py CASES.json``, a list of {config, folder, weights}. For each case it
makes the model, gives it the weights (an .npz by PaddleDetection's names; null: drawn here), saves them by `paddle.save` as
``folder/weights.pdparams``, loads that file as PaddleDetection does for `pretrain_weights`, and writes ``folder/eval.npz`` (what the first
evaluation batch is and gives) and ``folder/train.npz`` (losses; gradients and weights over steps on the first training batch).

The steps are in double precision: in single precision a ResNet-50 of random weights magnifies rounding until the last digits of a gradient
say nothing (measured on the article's case: 4e-3 between PaddleDetection in single and in double precision).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from runner.backends.paddle.ppdet import load_ppdet

STEPS = 2


def main(cases: list[dict[str, Any]]) -> None:
    """Every case in order; all in one process, since loading the frameworks takes longer than the rest."""
    load_ppdet()
    for case in cases:
        _one(case["config"], Path(case["folder"]), case["weights"])


def _one(config: str, folder: Path, weights: str | None) -> None:
    import paddle
    from ppdet.core.workspace import create, global_config, load_config
    from ppdet.utils.checkpoint import load_pretrain_weight

    global_config["OptimizerBuilder"]["optimizer"] = {}  # else the keys of the case before stay in it
    cfg = load_config(config)
    model = create(cfg.architecture)
    given = dict(np.load(weights)) if weights else _drawn(model)
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == {name: value.shape for name, value in given.items()}
    file = str(folder / "weights.pdparams")
    paddle.save({name: paddle.to_tensor(value) for name, value in given.items()}, file)
    load_pretrain_weight(model, file)
    assert all(np.array_equal(value.numpy(), given[name]) for name, value in model.state_dict().items())
    np.savez(folder / "eval.npz", **_evaluated(model, next(create("EvalReader")(create("EvalDataset")(), 0))))
    loader = create("TrainReader")(create("TrainDataset")(), 0)
    data = next(loader)
    seen = {name: value.numpy() for name, value in data.items() if hasattr(value, "numpy")}
    model.train()
    seen |= {f"single:{name}": value.numpy() for name, value in model(data).items()}
    model.set_state_dict({name: paddle.to_tensor(value) for name, value in given.items()})
    np.savez(folder / "train.npz", **seen, **_stepped(model, data, len(loader)))


def _drawn(model: Any) -> dict[str, np.ndarray]:
    """Weights that use the whole range: nothing stands at its start value, and detections come out."""
    rng = np.random.default_rng(5)
    return {name: _draw(rng, name, tuple(value.shape)).astype(np.float32) for name, value in sorted(model.state_dict().items())}


def _draw(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith(("norm.weight", "_variance", "scale_reg")):
        return rng.uniform(0.5, 1.5, shape)
    if name.endswith("fcos_head_cls.bias"):
        return rng.normal(-3.0, 0.5, shape)
    if name.endswith("fcos_head_reg.bias"):
        return rng.normal(2.0, 0.3, shape)
    if len(shape) == 1:
        return rng.normal(0.0, 0.1, shape)
    spread = np.sqrt(1.0 / np.prod(shape[1:]))
    return rng.normal(0.0, 1.0, shape) * spread


def _evaluated(model: Any, data: dict[str, Any]) -> dict[str, np.ndarray]:
    model.eval()
    seen: dict[str, np.ndarray] = {"images": data["image"].numpy(), "scales": data["scale_factor"].numpy()}
    hooks = [model.fcos_head.register_forward_post_hook(lambda _, __, outs: _keep_head(seen, outs))]
    for level, layer in enumerate(model.fcos_head.scales_regs):
        hooks.append(layer.register_forward_post_hook(lambda _, __, out, level=level: seen.update({f"raw_boxes{level}": out.numpy()})))
    found = model(data)
    for hook in hooks:
        hook.remove()
    return {**seen, "found": found["bbox"].numpy(), "counts": found["bbox_num"].numpy()}


def _keep_head(seen: dict[str, np.ndarray], outs: list[Any]) -> None:
    for name, levels in zip(("locations", "logits", "boxes", "centerness"), outs, strict=True):
        seen.update({f"{name}{level}": value.numpy() for level, value in enumerate(levels)})


def _stepped(model: Any, data: dict[str, Any], steps_per_epoch: int) -> dict[str, np.ndarray]:
    """Steps as ppdet.engine.Trainer makes them, in double precision."""
    import paddle
    from ppdet.core.workspace import create

    model.to(dtype="float64")
    data = {name: value.astype("float64") if getattr(value, "dtype", None) == paddle.float32 else value for name, value in data.items()}
    one_hot = paddle.nn.functional.one_hot
    seen: dict[str, np.ndarray] = {}
    rate = create("LearningRate")(steps_per_epoch)
    optimizer = create("OptimizerBuilder")(rate, model)
    paddle.nn.functional.one_hot = lambda *arguments, **named: one_hot(*arguments, **named).astype("float64")  # knows single precision only
    for step in range(STEPS):
        seen[f"rate:{step}"] = np.array(optimizer.get_lr())
        losses = model(data)
        losses["loss"].backward()
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                seen[f"gradient:{step}:{name}"] = parameter.grad.numpy()
        optimizer.step()
        rate.step()
        optimizer.clear_grad()
        seen |= {f"{name}:{step}": value.numpy() for name, value in losses.items()}
        seen |= {f"state:{step}:{name}": value.numpy() for name, value in model.state_dict().items()}
    paddle.nn.functional.one_hot = one_hot
    return seen


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
