"""Evaluates a run's checkpoint and predicts with it, for each of several runs, in an environment that has Paddle.

    python checkpoint_uses.py ANSWER IMAGE RUN…

Paddle is loaded once; each use is a process of its own forked from there, as ppdet has one config a process. ANSWER becomes JSON: by run's
name {"eval": the numbers, "predict": the boxes in IMAGE}, or the error in their place.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.backends.paddle import training  # noqa: F401 - so that it is loaded once
from runner.worker.evaluate import evaluate_run
from runner.worker.predict import predict_images
from runner.worker.prediction_files import PredictionFiles, Settings
from runner.worker.trained_model import load_trained


def forked(work: Callable[[], Any], answer: Path) -> Any:
    """What `work` returns in a child, or its traceback."""
    pid = os.fork()
    if pid == 0:
        try:
            answer.write_text(json.dumps(work()), encoding="utf-8")
        except BaseException:  # noqa: BLE001 - the parent is told, whatever it is
            answer.write_text(json.dumps(traceback.format_exc()), encoding="utf-8")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    return json.loads(answer.read_text(encoding="utf-8"))


def shown(run: Path, image: Path, output: Path) -> list[Any]:
    """The boxes of one image, the picture written beside."""
    files = PredictionFiles(output / run.name, Settings("x", 0.0), [image])
    found = predict_images(load_trained(run, "last"), [image], files, progress=lambda *_: None)
    assert (output / run.name / f"{image.stem}.png").is_file()
    return [(box.name, box.score, box.bbox) for box in found.shown[0][1]]


def main(answer: Path, image: Path, runs: list[Path]) -> None:
    """See above."""
    scratch = answer.with_suffix(".part")
    uses = {
        run.name: {
            "eval": forked(lambda: evaluate_run(run, checkpoint="last", progress=lambda *_: None), scratch),  # noqa: B023 - called at once
            "predict": forked(lambda: shown(run, image, answer.parent), scratch),  # noqa: B023
        }
        for run in runs
    }
    answer.write_text(json.dumps(uses), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(run) for run in sys.argv[3:]])
