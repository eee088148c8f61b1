"""Two checkpoints on the same images: a paired bootstrap over the images says whether they differ, and no more than that.

The images are drawn with replacement, the same ones for both, and the metric is computed anew for each draw (percentile interval, Efron
1979); matching is done once, by hotcoco. It is the noise of *these images*. What another seed would have given is not in it, so it is no
verdict on a change of the config.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.core.errors import InputError
from runner.core.rundir import RunDir
from runner.evaluation.result import STAT_TAGS
from runner.results.collect import RunResult
from runner.results.intervals import CONFIDENCE, Difference

_MOST_DRAWS: Final = 1000
_LEAST_DRAWS: Final = 300
_IMAGES_DRAWN: Final = 300_000  # in all: some seconds
_LEAST_IMAGES: Final = 20


@dataclass(frozen=True, slots=True)
class ImageComparison:
    """What the images say about two checkpoints.

    Args:
        seed: of both runs.
        images: how many there are; draws: how often they were drawn.
        difference: of the metric, the run's minus the baseline run's; without an interval where it could not be had.
        why_not: the reason for that; empty if there is an interval.
    """

    seed: int
    images: int = 0
    draws: int = 0
    difference: Difference | None = None
    why_not: str = ""

    def text(self, metric: str) -> str:
        """In words."""
        found = self.difference
        if found is None:
            return f"no bootstrap over images: {self.why_not}"
        what = "cannot be told apart" if found.is_open else "differ"
        interval = f"{metric} {found.delta:+.3f}, 95 % of {self.draws} draws within [{found.low:+.3f}, {found.high:+.3f}]"
        return f"the checkpoints of seed {self.seed} {what} on these {self.images} images ({interval})".replace("-0.", "−0.")


def compare_on_images(run: RunResult, baseline: RunResult, metric: str) -> ImageComparison:
    """The predictions of two runs against the annotations of their evaluation data, which are the same for both."""
    missing = [str(file) for file in (RunDir(run.path).predictions, RunDir(baseline.path).predictions) if not file.is_file()]
    if metric not in STAT_TAGS:
        return ImageComparison(run.seed, why_not=f"there is one for {', '.join(STAT_TAGS[:3])} and the other nine, not for {metric}")
    if missing:
        return ImageComparison(run.seed, why_not=f"there is no {missing[0]}")
    config = baseline.config
    annotations = Path(str(config.get("EvalDataset.dataset_dir") or ""), str(config.get("EvalDataset.anno_path") or ""))
    try:
        return _compare(RunDir(run.path), RunDir(baseline.path), annotations, metric, run.seed)
    except InputError as error:
        return ImageComparison(run.seed, why_not=str(error).splitlines()[0])


def _compare(run: RunDir, baseline: RunDir, annotations: Path, metric: str, seed: int) -> ImageComparison:
    import hotcoco  # noqa: PLC0415 - a comparison over seeds needs none

    from runner.evaluation.load import load_predictions, load_truth  # noqa: PLC0415

    truth = load_truth(annotations)
    images = len(truth.get_img_ids())
    evaluated = {int((folder.results() or {}).get("images", images)) for folder in (run, baseline)}
    if evaluated != {images}:
        return ImageComparison(seed, why_not=f"{annotations} has {images} images, the runs were evaluated on {min(evaluated)}")
    if images < _LEAST_IMAGES:
        return ImageComparison(seed, why_not=f"{images} images are too few: {_LEAST_IMAGES} are the least")
    evaluators = [hotcoco.COCOeval(truth, load_predictions(folder.predictions, truth), "bbox") for folder in (baseline, run)]
    for evaluator in evaluators:
        evaluator.evaluate()
    draws = max(_LEAST_DRAWS, min(_MOST_DRAWS, _IMAGES_DRAWN // images))
    found = hotcoco.compare(evaluators[0], evaluators[1], n_bootstrap=draws, seed=0, confidence=CONFIDENCE)
    name = metric.partition("/")[2]
    interval = found["ci"][name]
    return ImageComparison(seed, images, draws, Difference(found["deltas"][name], interval["lower"], interval["upper"]))
