"""Numbers of a log as columns, with the limits that keep a hostile or huge log harmless."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MOST_VALUES: Final = 5_000_000
MOST_TAGS: Final = 10_000
MOST_TAG_CHARACTERS: Final = 500
_MOST_SETTINGS: Final = 1_000
_MOST_SETTING_CHARACTERS: Final = 2_000
_MOST_STEP: Final = 2**53
_LATEST_S: Final = 1e11

Setting = str | float | int | bool


class TooMuch(Exception):
    """A log with more values than are read."""


@dataclass(slots=True)
class LogValues:
    """Content of one log: values in the order of the file, and notes of its program about the run.

    Args:
        tags: name to number.
        tag, step, time, value: of each value; `tag` is a number of `tags`, `time` in seconds since 1970.
        settings: hyper-parameters and texts by name.
        lost: what could not be read or kept, as (thing, which one), to their number: ``("record", "larger than 64 MiB")``.
    """

    tags: dict[str, int] = field(default_factory=dict)
    tag: array[int] = field(default_factory=lambda: array("i"))
    step: array[int] = field(default_factory=lambda: array("q"))
    time: array[float] = field(default_factory=lambda: array("d"))
    value: array[float] = field(default_factory=lambda: array("d"))
    settings: dict[str, Setting] = field(default_factory=dict)
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, tag: str, step: int, time: float, value: float) -> None:
        """Add a value. One that no run directory can hold is counted in `lost`. Raises TooMuch."""
        if not 0 <= step <= _MOST_STEP:
            self.lost["value", "with a step below 0 or above 2**53"] += 1
        elif not 0 <= time <= _LATEST_S:
            self.lost["value", "with an impossible time"] += 1
        elif len(tag) > MOST_TAG_CHARACTERS:
            self.lost["value", f"whose tag has more than {MOST_TAG_CHARACTERS} characters"] += 1
        elif (number := self.tags.setdefault(tag, len(self.tags))) >= MOST_TAGS:
            del self.tags[tag]
            self.lost["value", f"of a tag beyond the first {MOST_TAGS:,}"] += 1
        elif len(self.tag) >= MOST_VALUES:
            raise TooMuch(f"more than {MOST_VALUES:,} values")
        else:
            self.tag.append(number)
            self.step.append(step)
            self.time.append(time)
            self.value.append(value)

    def note(self, settings: Mapping[str, Setting]) -> None:
        """Add hyper-parameters or texts; long ones are cut."""
        for name, value in settings.items():
            if len(self.settings) >= _MOST_SETTINGS:
                self.lost["setting", f"beyond the first {_MOST_SETTINGS:,}"] += 1
                return
            self.settings[name[:MOST_TAG_CHARACTERS]] = value[:_MOST_SETTING_CHARACTERS] if isinstance(value, str) else value
