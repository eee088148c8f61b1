"""The README's pictures, from a finished sweep: ``python -m tools.make_pictures runs/batchsize``.

    docs/images/comparison.svg    what `runner compare` prints, on a terminal of 110 columns
    docs/images/samples.png       the sample images of the baseline's last evaluation, true and predicted boxes
    docs/images/page-TAB.webp     the tabs of the page in Chromium, and page-TAB-dark.webp in dark colours

The figures in them are those of the runs; run this again after a new `make demo`, in the folder that holds `runs`, since the page shows
commands that lead from there to the runs.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import rich._export_format
from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console

from runner.results.collect import RunResult
from runner.results.comparison import Comparison
from runner.store.run_dir import RunDir
from runner.sweep.session_results import compare_runs, read_report
from runner.views.page.data import SnapshotData
from runner.views.page.server import PageServer
from runner.views.table import render_comparison

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTH = 110
SAMPLE_SIDE_PX = 256
MAY_BE_SHOWN = "synthetic_pcb"
"""Other data sets' images are not ours to publish."""
WIDTH_PX = 1200
PAGE_SCALE = 1.5
TABS = {"answer": ("#answer", 800), "trials": ("#trials", 800), "curves": ("#curves?s=0.9", 800), "detection": ("#detection", 1500)}
"""Tab to the address of the view that is shown, and to the most pixels of it from the top."""
SETTLED_MS = 2_000
"""Until a page that is complete on the screen has drawn its charts and decoded its images."""


def comparison_svg(comparison: Comparison, command: str) -> str:
    """Return the comparison as `runner compare` prints it, as SVG. Fonts are the reader's own: nothing is fetched."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(f"[bold]$ {command}[/]", highlight=False)
    console.print(render_comparison(comparison))
    template = re.sub(r"@font-face\s*\{\{.*?\}\}\s*", "", rich._export_format.CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title="runner", code_format=template, unique_id="runner")


def samples(run: RunResult) -> Image.Image | None:
    """Return the sample images of the run's last evaluation, side by side; None if it has none or they may not be shown."""
    if run.config.get("dataset") != MAY_BE_SHOWN:
        return None
    pictures = [medium for medium in RunDir(run.path).media() if medium.kind == "image" and medium.tag.startswith("samples/")]
    newest = [run.path / medium.file for medium in pictures if medium.step == pictures[-1].step]
    if not newest:
        return None
    strip = Image.new("RGB", (SAMPLE_SIDE_PX * len(newest) + 8 * (len(newest) - 1), SAMPLE_SIDE_PX), "white")
    for number, file in enumerate(newest):
        with Image.open(file) as picture:
            strip.paste(picture.convert("RGB").resize((SAMPLE_SIDE_PX, SAMPLE_SIDE_PX)), (number * (SAMPLE_SIDE_PX + 8), 0))
    return strip


def page_pictures(sweep: Path) -> Iterator[tuple[str, Image.Image]]:
    """Yield the name and the picture of each tab, in light and in dark colours."""
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    executable = os.environ.get("RUNNER_CHROMIUM") or shutil.which("chromium")
    with PageServer(SnapshotData([sweep], read_report)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=as_root)
        schemes: tuple[tuple[Literal["light", "dark"], str], ...] = (("light", ""), ("dark", "-dark"))
        for colours, suffix in schemes:
            context = browser.new_context(device_scale_factor=PAGE_SCALE, color_scheme=colours, locale="en-US")
            for tab, (fragment, height) in TABS.items():
                page = context.new_page()
                page.set_viewport_size({"width": WIDTH_PX, "height": height})
                page.goto(server.address + fragment, wait_until="networkidle")
                page.wait_for_timeout(SETTLED_MS)
                content = page.get_by_role("main").bounding_box()
                bottom = min(content["y"] + content["height"], height) if content else height
                picture = page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH_PX, "height": bottom})
                yield f"page-{tab}{suffix}.webp", Image.open(io.BytesIO(picture)).convert("RGB")
                page.close()
        browser.close()


def main() -> int:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description="Write the README's pictures from a finished sweep.")
    parser.add_argument("sweep", type=Path, help="a sweep's directory, for example runs/batchsize")
    parser.add_argument("--output", type=Path, default=IMAGES, help="default: docs/images")
    args = parser.parse_args()
    comparison = compare_runs([args.sweep])
    args.output.mkdir(parents=True, exist_ok=True)
    written = [args.output / "comparison.svg"]
    written[0].write_text(comparison_svg(comparison, f"runner compare runs/{args.sweep.name}"), encoding="utf-8")
    done = comparison.baseline.counted
    strip = samples(done[0]) if done else None
    if strip is not None:
        written.append(args.output / "samples.png")
        strip.quantize(128).save(written[-1], optimize=True)  # a third of the bytes, to the eye the same
    if done and done[0].config.get("dataset") == MAY_BE_SHOWN:
        for name, picture in page_pictures(args.sweep):
            written.append(args.output / name)
            picture.save(written[-1], lossless="detection" not in name, quality=85, method=6)
    print(*written, sep="\n")
    if comparison.uncounted:
        print(f"{len(comparison.uncounted)} runs are not in it: they are not done", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
