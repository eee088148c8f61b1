"""One side of `benchmarks.paddle_step`, in a process of its own in that side's environment.

    python paddle_side.py peer CONFIG FIRST LAST     ppdet's own entry point, as its tools/train.py drives it
    python paddle_side.py ours RUN_DIR FIRST LAST    our worker, whatever the run's backend
    python paddle_side.py peer-evaluation CONFIG FIRST LAST
    python paddle_side.py ours-evaluation RUN_DIR FIRST LAST

Prints, as JSON, the seconds and the processor time between the end of step (or evaluated batch) FIRST and the end of LAST, counted from 1,
and ends the process there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Stopwatch:
    """Called at the end of each step."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last
        self._steps = 0
        self._started = (0.0, 0.0)

    def __call__(self) -> None:
        """Handle the end of a step."""
        self._steps += 1
        now = (time.perf_counter(), time.process_time())
        if self._steps == self._first:
            self._started = now
        if self._steps == self._last:
            seconds, processor = (there - here for here, there in zip(self._started, now, strict=True))
            print(json.dumps({"seconds": seconds, "processor": processor}), flush=True)
            os._exit(0)


def peer(config: str, stopwatch: Stopwatch, mode: str) -> None:
    """Train or evaluate by ppdet alone, with its own reader and callbacks (and a stopwatch as one more)."""
    import zlib  # noqa: F401, PLC0415 - else importing ppdet after paddle 3.3.1 crashes

    import paddle  # noqa: PLC0415
    from ppdet.core.workspace import load_config  # noqa: PLC0415
    from ppdet.engine import Trainer, init_parallel_env  # noqa: PLC0415
    from ppdet.engine.callbacks import Callback  # noqa: PLC0415

    class Watch(Callback):  # type: ignore[misc]
        def on_step_end(self, status: Any) -> None:
            stopwatch()

    cfg = load_config(config)
    cfg.use_npu = cfg.use_xpu = cfg.use_mlu = False
    paddle.set_device("cpu")
    init_parallel_env()
    trainer = Trainer(cfg, mode=mode)
    trainer.register_callbacks([Watch(trainer)])
    if mode == "train":
        trainer.train(False)
    else:
        trainer.evaluate()


def ours(run_dir: str, stopwatch: Stopwatch) -> None:
    """Have the worker train."""
    from runner.worker import attempt  # noqa: PLC0415
    from runner.worker.main import main  # noqa: PLC0415

    progress, last = attempt.Attempt.progress, [0]

    def watched(self: Any, step: int, steps: int, epoch: float, phase: str, values: Any = None) -> None:
        progress(self, step, steps, epoch, phase, values)
        if step > last[0]:
            last[0] = step
            stopwatch()

    attempt.Attempt.progress = watched  # type: ignore[method-assign]
    sys.exit(main([run_dir]))


def ours_evaluation(run_dir: str, stopwatch: Stopwatch) -> None:
    """Evaluate as the backend does: random weights, its reader, its results."""
    from runner.backends.paddle import device  # noqa: PLC0415
    from runner.backends.paddle.backend import _use_threads  # noqa: PLC0415
    from runner.worker.main import load_run  # noqa: PLC0415

    _, config = load_run(_run_dir(run_dir))
    _use_threads(config.cpu_threads)
    device.prepare(config)
    from ppdet.engine import Trainer  # noqa: PLC0415
    from ppdet.engine.callbacks import ComposeCallback  # noqa: PLC0415

    from runner.backends.paddle.predict import evaluate_images  # noqa: PLC0415
    from runner.backends.paddle.run_config import ppdet_config  # noqa: PLC0415
    from runner.backends.paddle.training import _evaluation_images  # noqa: PLC0415

    trainer = Trainer(ppdet_config(config), mode="test")
    trainer._callbacks, trainer._compose_callback = [], ComposeCallback([])
    evaluate_images(trainer, "EvalReader", _evaluation_images(config)[0], config, lambda _done, _images: stopwatch())


def _run_dir(path: str) -> Any:
    from runner.store.run_dir import RunDir  # noqa: PLC0415

    return RunDir(Path(path))


def main() -> None:
    """Run the side that the command line names."""
    side, what, first, last = sys.argv[1:]
    stopwatch = Stopwatch(int(first), int(last))
    sides: dict[str, Callable[[], None]] = {
        "peer": lambda: peer(what, stopwatch, "train"),
        "peer-evaluation": lambda: peer(what, stopwatch, "eval"),
        "ours": lambda: ours(what, stopwatch),
        "ours-evaluation": lambda: ours_evaluation(what, stopwatch),
    }
    sides[side]()
    sys.exit(f"there were fewer than {last} steps")


if __name__ == "__main__":
    main()
