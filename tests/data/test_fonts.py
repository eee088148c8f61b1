"""Text in pictures, of any script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from runner.data import fonts


@pytest.fixture(autouse=True)
def _forgets() -> Iterator[None]:
    fonts._machine_fonts.cache_clear()
    yield
    fonts._machine_fonts.cache_clear()


def test_a_font_of_the_machine_is_used_for_what_pillows_own_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="its fonts are those of this test")
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    (tmp_path / "dejavusans.ttf").write_bytes(b"no font")
    monkeypatch.setattr(fonts, "_font_files", lambda: [tmp_path / "dejavusans.ttf", *folder.iterdir()])
    assert fonts.font(20, "spur") is fonts.font(20)
    used = fonts.font(20, "≥ 0.5")
    assert used is not fonts.font(20) and used is fonts.font(20, "≥")
    assert fonts.font(20, "≥ 孔") is fonts.font(20)  # no font has both: boxes are drawn, and nothing fails


def test_without_fonts_on_the_machine_pillows_own_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_font_files", lambda: [])
    assert fonts.font(12, "孔") is fonts.font(12)


def test_a_long_text_is_shortened() -> None:
    pen = ImageDraw.Draw(Image.new("RGB", (9, 9)))
    used = fonts.font(12)
    assert fonts.fit(pen, "short", used, 100) == "short"
    shortened = fonts.fit(pen, "a rather long text", used, 60)
    assert shortened.startswith("a ra") and shortened.endswith("...") and pen.textlength(shortened, font=used) <= 60
