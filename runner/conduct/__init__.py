"""The loop that joins a search and a launcher: it starts runs, watches them, and writes down what they could not say themselves."""

from runner.conduct.loop import Outcome, conduct
from runner.conduct.policy import Policy
from runner.conduct.runs import conclude, prepare_run_dir, task_of

__all__ = ["Outcome", "Policy", "conclude", "conduct", "prepare_run_dir", "task_of"]
