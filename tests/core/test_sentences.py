"""Sentences: what was written from a template is recognised, and nothing else."""

from __future__ import annotations

from string import Formatter

import pytest

from runner.core.sentences import SENTENCES, recognize, sentence


@pytest.mark.parametrize("id", SENTENCES)
def test_a_sentence_is_recognised_with_its_arguments(id: str) -> None:
    names = [name for _, name, _, _ in Formatter().parse(SENTENCES[id]) if name]
    arguments = {name: f"[{name} * {number}], {{x}} (a)" for number, name in enumerate(names)}
    assert recognize(sentence(id, **arguments)) == (id, arguments)


@pytest.mark.parametrize("text", ["", "a is confounded with b", "x is varied and y stays at z", "{size} {rate}"])
def test_any_other_text_is_not(text: str) -> None:
    assert recognize(text) is None
