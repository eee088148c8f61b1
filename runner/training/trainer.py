"""The trainer: everything between two steps, whatever the framework: record, evaluate, save, stop, end.

Order at a snapshot: evaluate → record → checkpoint. A record is in metrics.jsonl once, whenever the process is killed: a run continues
from a checkpoint, and what was recorded after its step is superseded. The last checkpoint of a training is written before the final
evaluation, with the records of its step still to come; a run that continues from it records and evaluates that step anew.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from runner.core.errors import InputError, Interrupted
from runner.data.classes import differing, listed, read_names
from runner.store.checkpoints import CheckpointFolder, Entry, read_newest
from runner.training.common_config import CommonConfig
from runner.training.context import RunContext
from runner.training.early_stop import EarlyStopping
from runner.training.meter import Meter


class _StopEvaluation(Exception):
    """Ends an evaluation between two batches."""


class _StoppedEarly(Exception):
    """Ends the training after a snapshot, as `early_stop` has it."""


class Trainer(ABC):
    """One attempt at one run; `run` is called once. A backend's trainer adds the steps, the state, and how images are predicted;
    it sets `total` and `per_epoch` when it is made.

    Raises (from either):
        InputError, NotFinite, OutOfMemory, Interrupted: see `runner.backends.base.Backend.train`.
    """

    total: int
    """Steps of the whole training."""
    per_epoch: int
    """Steps of an epoch."""
    classes: tuple[str, ...] = ()
    """Names of the classes in the order of the model's outputs; empty where there are no images. Kept with the weights."""

    def __init__(self, config: CommonConfig, run: RunContext, suffix: str) -> None:
        self.config: Any = config
        self.run_context = run
        self.folder = CheckpointFolder(run.run_dir.checkpoints, config.keep_checkpoints, suffix, goal=run.primary_metric.goal)
        if run.rank == 0:
            self.folder.prepare()
        self.meter = self._new_meter()
        self.early_stopping = EarlyStopping(config.early_stop, run.primary_metric)
        self.step = 0
        self.saved: Entry | None = None
        """The checkpoint of the present step, None while the step has none."""
        self.evaluation_due = False
        """The present step's checkpoint was written before its evaluation."""

    @property
    def epoch(self) -> float:
        """Number of epochs done, with the fraction of the present one."""
        return self.step / self.per_epoch

    def run(self) -> None:
        """Train from the current state to the end, and evaluate."""
        with self._failures_named():
            self._begin()
            recorded = self.step - 1 if self.evaluation_due else self.step  # else the present step's records would come twice
            self.run_context.resumed(recorded, recorded / self.per_epoch)
            with suppress(_StoppedEarly):
                self._refuse_further_steps()
                if self.evaluation_due and self.step < self.total:
                    self._snapshot()
                if self.step < self.total:
                    self._train()
            self._end()

    # -------------------------------------------------------------------------------------------- a backend's own part
    @abstractmethod
    def _begin(self) -> None:
        """Make the state: resume from a checkpoint (`_restore`), or load pretrained weights."""

    @abstractmethod
    def _train(self) -> None:
        """Make the steps that are left: `_stepped` after each, and `_between_steps` before the next. The last one's records and checkpoint
        are `_end`'s."""

    @abstractmethod
    def _values(self) -> Mapping[str, float]:
        """Return the means since the last record, by record tag."""

    @abstractmethod
    def _score(self, *, final: bool) -> Mapping[str, float]:
        """Predict the evaluation images, `_evaluating` after each batch, and have this scored; return the metrics."""

    @abstractmethod
    def _state_writer(self, state: Mapping[str, Any]) -> Callable[[Any], None]:
        """Return the writer of a checkpoint: `state`, and the framework's whole state."""

    @abstractmethod
    def _read_state(self, file: Path) -> Mapping[str, Any]:
        """Read what `_state_writer` wrote. Raises InputError."""

    @abstractmethod
    def _load_state(self, state: Mapping[str, Any], source: Path) -> None:
        """Load the framework's part of it. Raises InputError where it does not fit."""

    @abstractmethod
    def _data_identity(self) -> Mapping[str, int]:
        """Return the values that must be equal for a step number to mean the same data."""

    @abstractmethod
    def _new_meter(self, state: Any = None) -> Meter:
        """Make a meter: empty, or as in a checkpoint."""

    def _refuse_non_finite(self) -> None:  # noqa: B027 - not every training has to
        """Raise NotFinite where a loss since the last record was not."""

    def _refuse_non_finite_weights(self) -> None:  # noqa: B027 - not every training has to
        """Raise NotFinite where a weight is not: such a checkpoint would replace a good one."""

    def _share_meter(self) -> None:  # noqa: B027 - not every training has to
        """Replace each process's meter by the means over all processes."""

    def _failures_named(self) -> AbstractContextManager[None]:
        """Replace a framework's errors by readable ones inside the context."""
        return nullcontext()

    # ---------------------------------------------------------------------------------------------------- between steps
    def _stepped(self) -> None:
        self.step, self.saved = self.step + 1, None
        self._progress("training")

    def _between_steps(self) -> None:
        if self._snapshot_is_due():
            self._snapshot()
        elif self.step % self.config.log_iter == 0:
            self._record()
        self._stop_if_asked()

    def _snapshot_is_due(self) -> bool:
        if self.config.snapshot_iter is not None:
            return bool(self.step % self.config.snapshot_iter == 0)
        return bool(self.step % (self.config.snapshot_epoch * self.per_epoch) == 0)

    def _snapshot(self) -> None:
        self.evaluation_due = self.config.eval_at_snapshot
        # an evaluation that may turn out to be the last one leaves what the last one leaves; a later one replaces it
        metric = self._evaluate(final=self.early_stopping.may_end_next) if self.evaluation_due else None
        self.evaluation_due = False
        self._record()
        self._save(metric)
        self._refuse_further_steps()

    def _refuse_further_steps(self) -> None:
        """End the training here if `early_stop` says so. The checkpoint of this step and its evaluation are then the last."""
        if self.early_stopping.has_ended and self.step < self.total:
            reason = self.early_stopping.reason(self.step, self.total)
            self.run_context.stopped_early(reason, self.total)
            self.total = self.step
            self._progress("training")
            raise _StoppedEarly

    def _end(self) -> None:
        """Save the last checkpoint, evaluate, and mark that both are done."""
        if self.early_stopping.has_ended and self.saved is not None and not self.evaluation_due:
            if self.run_context.rank == 0:
                self.folder.finish(self.saved, self.saved.metric)
            return
        self.evaluation_due = True
        entry = self._last_checkpoint()
        self._stop_if_asked()
        metric = self._evaluate(final=True)
        self._record()
        if entry is not None and self.run_context.rank == 0:
            self.folder.finish(entry, metric)

    def _last_checkpoint(self) -> Entry | None:
        return self.saved or self._save()

    def _record(self) -> None:
        """Record the means since the last record, if any step was made."""
        if self.meter.steps == 0:
            return
        self._share_meter()
        self._refuse_non_finite()
        values = {**self._values(), **self.early_stopping.values()}
        self.run_context.record(self.step, self.epoch, values)
        self._progress("training", values)
        self.meter = self._new_meter()
        self.meter.start()

    def _evaluate(self, *, final: bool) -> float | None:
        """Have the weights scored by the first process."""
        self.meter.pause()
        outcome: tuple[bool, float | None, float | None] | None = None
        if self.run_context.rank == 0:
            try:
                metrics = self._score(final=final)
                outcome = False, metrics.get(self.run_context.primary_metric.name), metrics.get(self.early_stopping.metric)
            except _StopEvaluation:
                outcome = True, None, None
        first: tuple[bool, float | None, float | None] = self.run_context.all_gather(outcome)[0]
        was_stopped, metric, watched = first
        if was_stopped:
            self._stop_if_asked()
        self.early_stopping.add(self.step, watched)
        self.meter.start()
        return metric

    def _evaluating(self, done: int, images: int) -> None:
        self._progress("evaluating", {"evaluation/done": done / images})
        if self.run_context.stop_requested() is not None:
            raise _StopEvaluation

    def _stop_if_asked(self) -> None:
        reasons = self.run_context.all_gather(self.run_context.stop_requested())
        reason = next((reason for reason in reasons if reason is not None), None)
        if reason is None:
            return
        if self.saved is None:
            if not self.evaluation_due:
                self._record()
            self._save()
        self.run_context.say(f"{reason}; saved at step {self.step}")
        raise Interrupted(reason)

    def _progress(self, phase: str, values: Mapping[str, float] | None = None) -> None:
        self.run_context.progress(self.step, self.total, self.epoch, phase, values)

    # ----------------------------------------------------------------------------------------------------- checkpoints
    def _save(self, metric: float | None = None) -> Entry:
        """Write the whole state."""
        self._share_meter()
        if self.run_context.rank > 0:
            self.saved = Entry("", self.step, self.epoch, "")
            return self.saved
        self.meter.pause()
        self._progress("saving")
        self._refuse_non_finite()
        self._refuse_non_finite_weights()
        state = {
            "step": self.step,
            "epoch": self.epoch,
            "place": dict(self._data_identity()),
            "classes": list(self.classes),
            "window": self.meter.state_dict(),  # the key of every checkpoint so far
            "evaluation_due": self.evaluation_due,
            "early_stop": self.early_stopping.state_dict(),
        }
        self.saved = self.folder.save(self._state_writer(state), self.step, self.epoch, metric=metric)
        self.meter.start()
        return self.saved

    def _resume_from(self) -> Path | None:
        """Return the checkpoint to resume from; None where this run itself was ended before its first, and starts anew."""
        path, own = self.run_context.resume_from, self.folder.path
        if path is None or self.folder.last() is not None:
            return path
        if path.resolve() in (own.parent.resolve(), own.resolve(), own.resolve() / f"last{self.folder.suffix}"):
            self.run_context.say("this run has no checkpoint yet: starting anew")
            return None
        return path

    def _restore(self, path: Path) -> None:
        """Resume from the newest whole checkpoint that `path` means."""
        folder, entry, state = read_newest(path, self._read_state, self.run_context.say, suffix=self.folder.suffix)
        source, step = folder.path / entry.file, int(state["step"])
        different = {
            key: (state["place"].get(key), value) for key, value in self._data_identity().items() if state["place"].get(key) != value
        }
        if different:
            words = ", ".join(f"{key} {there} there and {here} here" for key, (there, here) in different.items())
            raise InputError(
                f"{source} was made with other data or batches ({words}), so it cannot be continued exactly: "
                f"start from its weights, pretrain_weights={source}"
            )
        classes = read_names(state.get("classes"))
        if classes and classes != self.classes:
            order = f"in the order {listed(classes)} there and {listed(self.classes)} here"
            text = differing(classes, self.classes) if set(classes) != set(self.classes) else order
            raise InputError(
                f"{source} was made with other classes ({text}), so it cannot be continued exactly: put back the annotations it was "
                f"trained on, or start from its weights, pretrain_weights={source}"
            )
        if step > self.total:
            raise InputError(f"{source} is at step {step}, this config ends at {self.total}: give a larger epoch or max_iters")
        self._load_state(state, source)
        self.step = step
        self.early_stopping.load_state_dict(state.get("early_stop"))
        was_the_end = entry.finished and step < self.total  # of a shorter training; its records stay valid
        self.evaluation_due = bool(state["evaluation_due"]) and not was_the_end
        self.meter = self._new_meter(state["window"] if self.evaluation_due else None)
        is_own = folder.path.resolve() == self.folder.path.resolve()
        self.saved = entry if is_own and (self.evaluation_due or self.early_stopping.has_ended) else None
        self.run_context.say(f"resuming from {source} at step {step} of {self.total}")

    def _what_is_left(self) -> str:
        """Say what a run whose loss is not finite can resume from."""
        last = self.folder.last()
        left = f"The last good checkpoint is {self.folder.path / last.file} (step {last.step})" if last else "There is no checkpoint yet"
        return f"{left}. A lower base_lr, a longer warm-up or clip_grad_by_norm may help"

    def _last_in_words(self) -> str:
        last = self.folder.last()
        return f"The last checkpoint is {self.folder.path / last.file} (step {last.step}). " if last else ""
