"""Warnings that are kept as text, such as those in a sweep's plan: each is written from a template, and recognised by it later."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from string import Formatter
from typing import Final

_DIFFER: Final = "training and evaluation differ in {what}: {train} in training, {eval} in evaluation"
_UNLIKE: Final = f"{_DIFFER}: the model is evaluated on images unlike those it was trained on"
_ONLY_TRIAL: Final = f"{_DIFFER} (trial {{trial}}), not in the baseline: an effect may be due to the evaluation alone"

SENTENCES: Final[Mapping[str, str]] = {
    # keys of a sweep that change together
    "confounded-rate": (
        "{size} is varied and {rate} stays at {value}: a difference may come from the batch size or from a rate that no longer suits it; "
        "to let the rate follow: {fix}"
    ),
    "confounded-images": (
        "{size} is varied and {length} stays at {value}: a batch of {batch} instead of {before} sees {factor} times the images, so a "
        "difference may come from either; to hold the images: {fix}"
    ),
    "confounded-images-unknown": (
        "{size} is varied and {length} stays at {value}: another batch sees more or fewer images, so a difference may come from either; "
        "to hold the images: {fix}"
    ),
    "confounded-steps": (
        "{size} is varied and {length} stays at {value}: a batch of {batch} instead of {before} makes {factor} times the steps, so a "
        "difference may come from either"
    ),
    "confounded-steps-unknown": (
        "{size} is varied and {length} stays at {value}: another batch makes more or fewer steps, so a difference may come from either"
    ),
    "confounded-milestones": (
        "{length} is varied and the learning rate decays at {places} all the same: a longer training is one with more time at the lowest "
        "rate; to let it follow, {fix}"
    ),
    "confounded-cosine": (
        "{length} is varied and the cosine of the learning rate ends at {end} all the same: a trial of another length ends in the middle "
        "of it or continues after it; to let it follow: {fix}"
    ),
    "confounded-derived": (
        "{key} is derived as {expression}, which gives {value} at the baseline ({at}), whose value is {before}: every trial that derives "
        "it has this difference too"
    ),
    # image geometry
    "geometry": _UNLIKE,
    "geometry-fix": f"{_UNLIKE}; to evaluate as in training, set {{key}}",
    "geometry-trial-derive": f"{_ONLY_TRIAL}; to let the other reader follow: {{fix}}",
    "geometry-trial-set": f"{_ONLY_TRIAL}; set {{key}} in the same trial (design: list or zip)",
    # schedule of the learning rate
    "cosine-late": (
        "{place}: the cosine takes {span} but training ends after {length}, when the learning rate has fallen only {share} % of the way; "
        "to make both end together: {fix}"
    ),
    "cosine-early": (
        "{place}: the cosine ends after {span} but training continues to {length}: from there the learning rate {then}; "
        "to make both end together: {fix}"
    ),
    "milestones-late": (
        "{place}: the learning rate does not fall at {places}, because training ends before, after {length}; set {key}, or train longer"
    ),
    "warm-up-late": "{place}: the warm-up takes {span} but training ends after {length}: the rate never reaches base_lr; reduce {key}",
    # a search space
    "space-refused": "{key} contains values that are refused: {problem}",
}
"""Template of each sentence, by id."""


def sentence(id: str, **arguments: object) -> str:
    """Write the sentence of that id."""
    return SENTENCES[id].format(**arguments)


def recognize(text: str) -> tuple[str, dict[str, str]] | None:
    """Return (id, arguments) of a sentence that `sentence` has written; None for any other."""
    return next(((id, match.groupdict()) for id, pattern in _patterns().items() if (match := pattern.fullmatch(text))), None)


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    found = {}
    for id, template in SENTENCES.items():
        parts = (re.escape(text) + (f"(?P<{name}>.+?)" if name else "") for text, name, _, _ in Formatter().parse(template))
        found[id] = re.compile("".join(parts), re.DOTALL)
    return found
