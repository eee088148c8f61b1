"""Comparison of our loader with ppdet's on PaddleDetection's configs.

    python -m tools.loader_comparison CHECKOUT [--json FILE] [--jobs N] [--python PADDLE_PYTHON]

CHECKOUT is a clone of PaddleDetection. Every YAML file below its ``configs``, but for those in ``_base_`` folders, is loaded with
`runner.config.load` and, in a process of its own, with ppdet (`ppdet_config` says how that becomes plain data). A line tells of each
config that is not simply equal, the last ones how many there are. The exit status is 0 if every config that ppdet loads is read the same
here, or differs on purpose; 1 if there is another; 2 if the question cannot be asked.

What differs on purpose (see `runner.config.load`): a value may (`REASONS`; the config counts as equal but for that), and a config may be
refused here on purpose (`REFUSALS`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner.config.load import ALTERNATIVES, EXPONENT_FLOAT, NO_CODE, TWICE, load_config
from runner.config.node import Node
from runner.core.errors import InputError, RunnerError
from runner.core.importing import child_environment
from runner.environments.interpreters import interpreter

REASONS = {
    "number": "1e-4 and 1.5e3 are numbers here, texts there",
    "date": "a date is a text here",
    "alternative": "a later layer says it in the other unit (epochs, iterations)",
}
"""What differs on purpose, in the words of the output."""

REFUSALS = (TWICE, NO_CODE)
"""What we refuse on purpose, as the error has it."""

VERDICTS = ("equal", "equal but for", "different", "refused here on purpose", "refused here", "refused there", "refused by both")
_ABSENT = {"!absent": None}


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not the same in both trees.

    Args:
        key: dotted; ``!Tag`` is a part of its own.
        ours, theirs: the values; ``{"!absent": None}`` where there is none.
        reason: a key of `REASONS`; empty if it is not meant to be so.
    """

    key: str
    ours: Any
    theirs: Any
    reason: str

    def __str__(self) -> str:
        if self.reason:
            return f"{self.key} ({REASONS[self.reason]})"
        return f"{self.key}: {_short(self.ours)} here, {_short(self.theirs)} there"


@dataclass(frozen=True, slots=True)
class Finding:
    """Finding about one config.

    Args:
        config: its path below the checkout.
        verdict: one of `VERDICTS`.
        differences: all of them.
        error: what we say to it if we refuse it.
        their_error: what ppdet says to it if ppdet does.
    """

    config: str
    verdict: str
    differences: tuple[Difference, ...] = ()
    error: str = ""
    their_error: str = ""

    def __str__(self) -> str:
        words = [str(difference) for difference in self.differences[:3]]
        if len(self.differences) > 3:
            words.append(f"{len(self.differences) - 3} more")
        if self.error:
            words.append(f"here: {self.error}")
        if self.their_error:
            words.append(f"there: {_short(self.their_error, 300)}")
        return f"{self.verdict}: {self.config}: " + "; ".join(words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.loader_comparison", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkout", type=Path, help="a clone of PaddleDetection")
    parser.add_argument("--json", type=Path, help="write everything found to this file")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="configs that ppdet loads at a time")
    parser.add_argument("--python", help="the interpreter of an environment with ppdet (default: as `runner train` finds it)")
    args = parser.parse_args(arguments)
    try:
        findings = compare_loaders(args.checkout, interpreter("paddle", args.python).python, max(args.jobs, 1))
        if args.json:
            args.json.write_text(json.dumps([asdict(finding) for finding in findings], indent=1), encoding="utf-8")
    except (RunnerError, OSError) as error:
        print(error, file=sys.stderr)
        return InputError.exit_code
    print("\n".join([*(str(finding) for finding in findings if finding.verdict != "equal"), *summary(findings)]))
    return int(any(finding.verdict in ("different", "refused here") for finding in findings))


def summary(findings: Sequence[Finding]) -> list[str]:
    """Count the configs by finding, and by reason."""
    counts = Counter(finding.verdict for finding in findings)
    reasons = Counter(
        reason
        for finding in findings
        for reason in {difference.reason for difference in finding.differences if finding.verdict == "equal but for"}
    )
    lines = [f"{len(findings)} configs"]
    for verdict in VERDICTS:
        lines.append(f"{counts[verdict]:5} {verdict}")
        if verdict == "equal but for":
            lines += [f"{number:11} {REASONS[reason]}" for reason, number in sorted(reasons.items())]
    return lines


def compare_loaders(checkout: Path, python: Path, jobs: int = 1) -> list[Finding]:
    """Compare every config of `checkout`, in the order of their paths.

    Args:
        python: an interpreter whose environment has ppdet.
        jobs: processes at a time.

    Raises:
        InputError: there are no configs.
        RunnerError: ppdet cannot be asked.
    """
    files = configs_of(checkout)
    return [_compare(file, checkout, answer) for file, answer in zip(files, _ask_ppdet(files, python, jobs), strict=True)]


def configs_of(checkout: Path) -> list[Path]:
    """Return the YAML files below ``configs`` that are not parts of others."""
    folder = checkout / "configs"
    found = sorted(
        file for file in folder.rglob("*.y*ml") if file.suffix in (".yml", ".yaml") and "_base_" not in file.relative_to(folder).parts
    )
    if not found:
        raise InputError(f"{checkout} is no clone of PaddleDetection: there are no .yml files below {folder}")
    return found


def _ask_ppdet(files: Sequence[Path], python: Path, jobs: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [str(python), "-P", str(Path(__file__).with_name("ppdet_config.py")), str(answer), str(jobs)]
        asked = json.dumps([str(file.absolute()) for file in files])
        done = subprocess.run(command, input=asked, env=child_environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RunnerError(f"ppdet could not be asked; the output of {' '.join(command)}:\n{done.stderr.strip() or done.stdout.strip()}")
        found: list[dict[str, Any]] = json.loads(answer.read_text(encoding="utf-8"))
        return found


def _compare(file: Path, checkout: Path, answer: Mapping[str, Any]) -> Finding:
    name = str(file.relative_to(checkout))
    theirs = answer.get("error", "").replace(f"{checkout.absolute()}{os.sep}", "")
    try:
        ours = plain(load_config(file))
    except InputError as error:
        text = str(error).replace(f"{checkout}{os.sep}", "")
        meant = any(words in text for words in REFUSALS)
        verdict = "refused by both" if theirs else "refused here on purpose" if meant else "refused here"
        return Finding(name, verdict, (), text, theirs)
    if theirs:
        return Finding(name, "refused there", (), "", theirs)
    found = tuple(differences(ours, answer["tree"]))
    return Finding(name, "equal" if not found else "equal but for" if all(one.reason for one in found) else "different", found)


def plain(node: Node) -> Any:
    """Our tree in the form that `ppdet_config` gives ppdet's."""
    value: Any = node.value
    if node.mapping is not None:
        value = {key: plain(item) for key, item in node.mapping.items()}
    elif node.items is not None:
        value = [plain(item) for item in node.items]
    return value if node.tag is None else {f"!{node.tag}": value if value is not None else {}}


def differences(ours: Any, theirs: Any) -> Iterator[Difference]:
    """Yield the differences of two complete trees. The order of keys does not count, nor does an empty section."""
    for key in sorted({*ours, *theirs}):
        yield from _differences(ours.get(key, _ABSENT), theirs.get(key, {} if ours.get(key) == {} else _ABSENT), key, theirs)


def _differences(ours: Any, theirs: Any, key: str, beside: Mapping[str, Any]) -> Iterator[Difference]:
    """`beside` is the mapping of theirs in which the value stands."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and _ABSENT not in (ours, theirs):
        for name in sorted({*ours, *theirs}):
            yield from _differences(ours.get(name, _ABSENT), theirs.get(name, _ABSENT), f"{key}.{name}", theirs)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(one, other, f"{key}.{index}", {})
    elif not _same(ours, theirs):
        yield Difference(key, ours, theirs, _reason(ours, theirs, key.rpartition(".")[2], beside))


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, bool) != isinstance(theirs, bool):  # 1 == True
        return False
    return bool(ours == theirs) or (ours != ours and theirs != theirs)  # noqa: PLR0124 - not a number is not equal to itself


def _reason(ours: Any, theirs: Any, name: str, beside: Mapping[str, Any]) -> str:
    if isinstance(theirs, str) and isinstance(ours, float) and EXPONENT_FLOAT[1].match(theirs) and float(theirs.replace("_", "")) == ours:
        return "number"
    if isinstance(ours, str) and isinstance(theirs, dict) and set(theirs) <= {"!date", "!datetime"}:
        return "date"
    others = [iters if name == epochs else epochs for epochs, iters in ALTERNATIVES.items() if name in (epochs, iters)]
    if ours is _ABSENT and any(other in beside for other in others):
        return "alternative"
    return ""


def _short(value: Any, length: int = 60) -> str:
    if value is _ABSENT:
        return "nothing"
    text = value if isinstance(value, str) and length > 60 else repr(value)
    return text if len(text) <= length else text[: length - 1] + "…"


if __name__ == "__main__":
    sys.exit(main())
