"""Texts of the page: numbers as `runner compare` prints them, templates, and both languages whole."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from support.browser import Pages
from support.finished import make_run

from runner.core.sentences import SENTENCES
from runner.results.format import show_duration, show_range, show_signed, show_summary
from runner.results.notes import note
from runner.results.texts import TEXTS
from runner.stats.intervals import summarize
from runner.views.page.app import STATIC

LANGUAGES = {name: json.loads((STATIC / "strings" / f"{name}.json").read_text(encoding="utf-8")) for name in ("en", "zh")}


@pytest.fixture
def evaluate(pages: Pages, tmp_path: Path) -> Callable[..., Any]:
    """Evaluates JavaScript on a page."""
    make_run(tmp_path / "sweep")
    return pages.show(tmp_path / "sweep").evaluate


def test_numbers_are_those_of_the_terminal(evaluate: Callable[..., Any]) -> None:
    draw = random.Random(0)
    numbers = [0.0, -0.0, 0.0625, -0.0625, 0.1875, 0.4375, 2.5, 1e-9, -4e-4, 5e-4, 12345.6785, *(draw.uniform(-2, 2) for _ in range(200))]
    seconds = [0.0, 0.5, 1.5, 59.5, 69.2, 3599.6, 7384.0, 172_800.0, 200_000.4, -3.0]
    shown = evaluate(
        """async ([numbers, seconds]) => {
          const { showSigned, showRange, showSummary, showDuration } = await import("/format.js");
          return [numbers.map((n) => showSigned(n)), numbers.map((n) => showRange(n, -n)), seconds.map(showDuration),
                  numbers.map((n) => showSummary({ n: 3, mean: n, std: Math.abs(n) / 7 })), showSummary({ n: 1, mean: 0.5, std: null }),
                  showSummary({ n: 0, mean: null, std: null })];
        }""",
        [numbers, seconds],
    )
    dash = "\N{MINUS SIGN}"
    assert shown[0] == [show_signed(number) for number in numbers]
    assert shown[1] == [show_range(number, -number) for number in numbers]
    assert shown[2] == [show_duration(second) for second in seconds]
    summaries = [f"{number:.3f} ± {abs(number) / 7:.3f}".replace("-", dash) for number in numbers]
    assert shown[3][2:] == summaries[2:]  # 0 and -0.0 are both 0.000 here
    assert shown[4:] == [show_summary(summarize([0.5])), show_summary(summarize([]))]


def test_templates(evaluate: Callable[..., Any]) -> None:
    cases = [
        ("{n, plural, one {# run} other {# runs}}", {"n": 1}, "en", "1 run"),
        ("{n, plural, one {# run} other {# runs}}", {"n": 5000}, "en", "5,000 runs"),
        ("{n, plural, one {# run} other {# runs}}", {"n": 0}, "en", "0 runs"),
        ("{n, count} of {all, count}", {"n": 12, "all": 5000}, "en", "12 of 5,000"),
        ("{n, plural, =0 {no run} other {{n} runs}}", {"n": 0}, "en", "no run"),
        ("{x, select, better {▲} none {–} other {?}}", {"x": "better"}, "en", "▲"),
        ("{x, select, better {▲} none {–} other {?}}", {}, "en", "–"),
        ("{low, signed} {high, fixed} {s, duration}", {"low": -0.01, "high": 0.5, "s": 70}, "en", "−0.010 0.500 1:10"),
        ("{d, each, {key}: {value, fixed}}", {"d": {"3": 0.1, "5": 0.2}}, "en", "3: 0.100, 5: 0.200"),
        ("{list, trial}", {"list": ["trial 2 (a=1)", "the baseline"]}, "zh", "试验组 2（a=1）、基线"),
        ("比{reference, trial}更好", {"reference": "the baseline (lr 0.002)"}, "zh", "比基线（lr 0.002）更好"),
        ("{text}", {"text": "{n} <b>"}, "en", "{n} <b>"),
    ]
    script = 'async (cases) => { const { format } = await import("/text.js"); return cases.map(([t, v, l]) => format(t, v, l)); }'
    assert evaluate(script, [case[:3] for case in cases]) == [case[3] for case in cases]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_only_marks_of_the_sentence_itself_are_code(evaluate: Callable[..., Any], language: str) -> None:
    """Those of an argument are text, also where the sentence has given it a capital."""
    notes = [
        note("answer-train", trial="trial 1 (a=`x`)"),
        note(
            "answer-better", key="", reference="the baseline", metric="AP", best="trial 1 (a=`x`)", better=1, delta=0.1, low=None, high=None
        ),
        note("answer-fresh-elsewhere", seeds=3),
        note("given", text="`derive: {a: b}` helps"),
        note("given", text="a=` changes"),
    ]
    script = """async ([notes, strings, language]) => {
      const { Texts } = await import("/text.js");
      const texts = new Texts({ strings: async () => strings });
      await texts.use(language);
      const shown = notes.map((note) => texts.sentence(note));
      const text = (part) => part.textContent ?? part;
      return shown.map((parts) => [parts.map(text).join(""), parts.filter((part) => part.tagName === "CODE").map(text)]);
    }"""
    shown = evaluate(script, [[each.data() for each in notes], LANGUAGES[language], language])
    assert [code for _, code in shown] == [[], [], ["runner sweep"], ["derive: {a: b}"], []]
    for text, _ in shown[:2]:
        assert "（a=`x`）" in text if language == "zh" else "rial 1 (a=`x`)" in text
    assert shown[-1][0] == "a=` changes"


def test_both_languages_have_the_same_texts() -> None:
    notes = {key for key in LANGUAGES["zh"] if key.startswith("note.")}  # English notes come from the report
    assert set(LANGUAGES["zh"]) - notes == set(LANGUAGES["en"])
    assert {key.removeprefix("note.") for key in notes} <= set(TEXTS)
    assert all(text.strip() for texts in LANGUAGES.values() for text in texts.values())


def test_every_text_that_the_page_asks_for_exists() -> None:
    asked = {
        found
        for path in STATIC.rglob("*.js")
        if "vendor" not in path.parts
        for found in re.findall(r'\btext\("([a-z][\w.-]*)"', path.read_text(encoding="utf-8"))
    }
    assert len(asked) > 40
    assert asked <= set(LANGUAGES["en"])


def test_every_template_can_be_filled_in(evaluate: Callable[..., Any]) -> None:
    script = """async (texts) => {
      const { format } = await import("/text.js");
      const failed = [];
      for (const [language, strings] of Object.entries(texts)) {
        for (const [id, template] of Object.entries(strings)) try { format(template, {}, language); } catch (error) { failed.push(`${language} ${id}: ${error}`); }
      }
      return failed;
    }"""  # noqa: E501 - JavaScript
    assert evaluate(script, LANGUAGES) == []


def test_every_warning_has_a_text_in_chinese_with_the_same_arguments() -> None:
    for id, template in SENTENCES.items():
        names = {name for _, name, _, _ in Formatter().parse(template) if name}
        assert set(re.findall(r"\{(\w+)[,}]", LANGUAGES["zh"][f"note.{id}"])) >= names
    assert {f"note.other-data-{which}" for which in ("eval", "train")} <= set(LANGUAGES["zh"])
