"""Rank of an attempt: its connection to the rank supervisor (`runner.worker.supervisor`), and the context of its backend if it is not the
first."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner.core.errors import RunnerError
from runner.core.files import open_regular
from runner.store.run_dir import PrimaryMetric, RunDir
from runner.worker.ending import Ending

VARIABLE = "RUNNER_RANKS"
"""Environment variable by which the supervisor makes a process a rank: a `RankGroup` as JSON."""

log = logging.getLogger("runner.worker")


@dataclass(frozen=True, slots=True)
class RankGroup:
    """Message of the supervisor to its ranks.

    Args:
        socket: path of the supervisor's socket.
        count: how many ranks there are.
        number_in: the environment variable that holds a rank's number.
        attempt: number of the attempt.
        resume: whether there is a folder of checkpoints to resume from.
        control_offset: where in control.jsonl this attempt's requests begin, in bytes.
    """

    socket: str
    count: int
    number_in: str
    attempt: int
    resume: bool
    control_offset: int

    def text(self) -> str:
        """For the environment."""
        return json.dumps(asdict(self))


class RankLost(RunnerError):
    """Another process of the attempt has ended; the message says which, and why."""


class Member:
    """This process as a rank: its connection to the rank supervisor.

    Raises:
        RankLost: the supervisor is gone.
    """

    def __init__(self, group: RankGroup, rank: int) -> None:
        self.group, self.rank, self.ranks = group, rank, group.count
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(group.socket)
        except OSError as error:
            raise RankLost("the rank supervisor is gone") from error
        self._answers = self._socket.makefile("rb")
        self._send({"rank": rank, "pid": os.getpid()})

    @classmethod
    def from_environment(cls) -> Member | None:
        """Return this process as a rank, or None. Its child processes are not ranks."""
        text = os.environ.pop(VARIABLE, None)
        if text is None:
            return None
        group = RankGroup(**json.loads(text))
        return cls(group, int(os.environ[group.number_in]))

    def write_to(self, file: Path) -> None:
        """Redirect stdout and stderr to the end of `file`, where all ranks write."""
        with open_regular(file, "ab") as log_file:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
                os.dup2(log_file.fileno(), stream.fileno())

    def all_gather(self, value: Any) -> list[Any]:
        """See `RunContext.all_gather`.

        Raises:
            RankLost: one of them will not come.
        """
        self._send({"all_gather": value})
        line = self._answers.readline()
        answer: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {"lost": "the rank supervisor is gone"}
        if "lost" in answer:
            raise RankLost(answer["lost"])
        values: list[Any] = answer["values"]
        return values

    def end(self, ending: Ending) -> None:
        """Report the end: the last message of a rank."""
        try:
            self._send({"end": asdict(ending)})
        except RankLost as error:
            log.error("%s", error)

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise RankLost("the rank supervisor is gone") from error


class OtherRank:
    """Context of a backend in every rank but the first (`runner.training.context.RunContext`): it writes nothing."""

    def __init__(self, run_dir: RunDir, member: Member, primary_metric: PrimaryMetric) -> None:
        self.run_dir = run_dir
        self.primary_metric = primary_metric
        self.attempt = member.group.attempt
        self.resume_from = run_dir.checkpoints if member.group.resume else None
        self.rank, self.ranks = member.rank, member.ranks
        self.all_gather = member.all_gather

    def resumed(self, step: int, epoch: float) -> None:
        """Do nothing: the first rank records it."""

    def record(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Do nothing: the first rank records it."""

    def progress(self, step: int, steps: int, epoch: float, phase: str, values: Mapping[str, float] | None = None) -> None:
        """Do nothing: the first rank reports it."""

    def evaluate(self, predictions: Sequence[Mapping[str, Any]], step: int, epoch: float, *, final: bool) -> dict[str, float]:
        """Raise an error: only the first rank evaluates."""
        raise NotImplementedError("only the first rank evaluates")

    def score(self, metrics: Mapping[str, float], step: int, epoch: float, *, final: bool) -> None:
        """Do nothing: the first rank scores."""

    def stop_requested(self) -> str | None:
        """Return None: the first rank is asked."""
        return None

    def stopped_early(self, reason: str, planned: int) -> None:
        """Do nothing: the first rank says the same."""
        log.debug("%s", reason)

    def say(self, message: str) -> None:
        """Do nothing: the first rank says the same."""
        log.debug("%s", message)

    def announce(self, message: str) -> None:
        """Do nothing: the first rank says the same."""
        log.debug("%s", message)
