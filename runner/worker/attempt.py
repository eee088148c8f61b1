"""Attempt in the worker: gives a backend records, progress, evaluation and stop requests (`runner.training.context.RunContext`)."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.core.files import atomic_write_json
from runner.core.lock import Lock
from runner.store.records import Record, encode_number
from runner.store.run_dir import PrimaryMetric, RunDir
from runner.trackers.hparams import hyper_parameters
from runner.training.learning import flat_terms, in_words
from runner.worker.ending import Ending
from runner.worker.outputs import Outputs
from runner.worker.ranks import Member
from runner.worker.status_writer import StatusWriter
from runner.worker.stop import StopRequests

if TYPE_CHECKING:
    from runner.worker.scoring import Scorer

log = logging.getLogger("runner.worker")


class Attempt:
    """Process that works on one run (of several ranks the first). Owns status.json, metrics.jsonl, predictions.json, eval.json,
    media.jsonl, media/ and the trackers' folders."""

    def __init__(
        self,
        run_dir: RunDir,
        config: Any,
        *,
        primary_metric: PrimaryMetric,
        attempt: int,
        resume_from: Path | None,
        scorer: Scorer | None,
        stop: StopRequests,
        member: Member | None = None,
        lock: Lock | None = None,
    ) -> None:
        self.run_dir = run_dir
        self.rank, self.ranks = 0, member.ranks if member else 1
        self._member = member
        self.attempt = attempt
        self.primary_metric = primary_metric
        self.resume_from = resume_from
        self._config = config
        self._scorer = scorer
        self._stop = stop
        self._outputs = Outputs(run_dir)
        self._status = StatusWriter(run_dir, attempt, lock)
        self._next_judged = 0

    # -------------------------------------------------------------------------------------------- for the backend
    def resumed(self, step: int, epoch: float) -> None:
        """Mark the step that this attempt continues from; open the trackers, which are rebuilt from the valid records."""
        self._outputs.resume(Record(self.attempt, step, epoch, time.time(), resumed=True), self._config)
        self._status.change(step=step, epoch=epoch)

    def record(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """See `RunContext.record`."""
        self._write_record(Record(self.attempt, step, epoch, time.time(), dict(values)))

    def _record_evaluation(self, step: int, epoch: float, metrics: Mapping[str, float]) -> None:
        self._write_record(Record(self.attempt, step, epoch, time.time(), dict(metrics), kind="evaluation"))

    def _write_record(self, record: Record) -> None:
        self._outputs.write(record)
        self._judge(record.step)

    def _judge(self, step: int) -> None:
        """Warn if a loss term has hardly changed; checked at each tenth of the second half of the training."""
        steps = self._status.now.steps
        if step < max(self._next_judged, (steps + 1) // 2):
            return
        self._next_judged = min(steps, step + steps // 10)
        warning = in_words(flat_terms(self.run_dir.metrics, steps))
        if warning and not self._status.now.warning:
            log.warning("%s", warning)
        self._status.change(warning=warning)

    def progress(self, step: int, steps: int, epoch: float, phase: str, values: Mapping[str, float] | None = None) -> None:
        """See `RunContext.progress`."""
        known = dict(self._status.now.values)
        known.update({tag: encode_number(value) for tag, value in (values or {}).items()})
        due = self._status.is_due(phase)
        self._status.change(step=step, steps=steps, epoch=epoch, phase=phase, values=known)
        if due:
            self._status.write()

    def evaluate(self, predictions: Sequence[Mapping[str, Any]], step: int, epoch: float, *, final: bool) -> dict[str, float]:
        """See `RunContext.evaluate`."""
        if self._scorer is None:
            raise NotImplementedError("without images a backend scores, and does not evaluate")
        results = self._scorer.results(predictions)
        evaluation = self._scorer.evaluate(results, detail=final)
        self._record_evaluation(step, epoch, evaluation.metrics)
        if final:
            atomic_write_json(self.run_dir.predictions, results, durable="content")
            data = self._scorer.data
            classes = {"classes": list(data.class_names), "category_ids": [category.id for category in data.categories]}
            self._keep(step, epoch, {**classes, **evaluation.to_json()})
        for number, png in enumerate(self._scorer.draw(results)):
            self._outputs.image(f"samples/{number}", png, step, epoch)
        return dict(evaluation.metrics)

    def score(self, metrics: Mapping[str, float], step: int, epoch: float, *, final: bool) -> None:
        """See `RunContext.score`."""
        self._record_evaluation(step, epoch, metrics)
        if final:
            self._keep(step, epoch, {"classes": [], "metrics": {tag: encode_number(value) for tag, value in metrics.items()}})

    def _keep(self, step: int, epoch: float, evaluation: Mapping[str, Any]) -> None:
        atomic_write_json(
            self.run_dir.evaluation, {"step": step, "epoch": epoch, **evaluation}, durable="content"
        )  # then comes status.json

    def stop_requested(self) -> str | None:
        """See `RunContext.stop_requested`."""
        return self._stop.reason()

    def all_gather(self, value: Any) -> list[Any]:
        """See `RunContext.all_gather`."""
        return self._member.all_gather(value) if self._member is not None else [value]

    def stopped_early(self, reason: str, planned: int) -> None:
        """See `RunContext.stopped_early`."""
        self.say(reason)
        self._status.change(early_stop=reason, planned_steps=planned)

    def say(self, message: str) -> None:
        """Write a line to worker.log."""
        log.info("%s", message)

    def announce(self, message: str) -> None:
        """See `RunContext.announce`."""
        self.say(message)
        before = self._status.now.note
        self._status.change(note=f"{before}; {message}" if before else message)
        self._status.write()

    # --------------------------------------------------------------------------------------------- for the worker
    def end(self, ending: Ending) -> None:
        """Write the attempt's end; close the trackers with the run's hyperparameters and final metrics."""
        done = ending.state == "done"
        self._outputs.close((hyper_parameters(self.run_dir), self._final_metrics()) if done else None)
        self._status.change(state=ending.state, reason=ending.reason, cause=ending.cause, phase="ended")
        self._status.write(durable=True)

    def _final_metrics(self) -> dict[str, float]:
        metrics = (self.run_dir.results() or {}).get("metrics", {})
        return {tag: value for tag, value in metrics.items() if tag.count("/") == 1 and isinstance(value, int | float)}
