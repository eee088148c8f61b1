"""A sweep that trains, on the page in a browser: its records appear, and a worker that was killed is shown as such."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.browser import Pages

from runner.sweep.fake_sweep import FakeSweep

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.usefixtures("cache_folder")

BASELINE = "0000-baseline-s0"
WAIT_MS = 60_000


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[FakeSweep]:
    """Runs of a minute, one after the other; a failed one is not tried again."""
    stage = FakeSweep(tmp_path)
    config = {"max_iters": 600, "step_s": 0.1, "log_iter": 1, "snapshot_iter": 5}
    stage.write(config=config, resources={"concurrency": 1, "retries": 0}, seeds=[0], vary={"parameters.lr": [0.005]})
    yield stage
    stage.close()


def row(page: Page, name: str) -> Locator:
    return page.locator("[role=treegrid] tr[data-id]").filter(has_text=name)


def test_records_appear_and_a_killed_worker_is_shown(pages: Pages, stage: FakeSweep) -> None:
    from playwright.sync_api import expect

    driver = stage.start()
    worker = stage.worker(step=10)
    page = pages.show(data=pages.live(stage.sweep.path), fragment="#trials?cols=metric:bbox/AP,state")
    baseline = row(page, "baseline").first
    expect(baseline).to_contain_text("*")  # the newest value of a run that is not done
    before = baseline.inner_text()
    expect(baseline).not_to_have_text(before, timeout=WAIT_MS)
    page.evaluate("location.hash = '#curves?tag=bbox/AP&zoom=5,40'")
    card = page.locator(".curve-card").first
    expect(card).to_have_attribute("data-points", "1", timeout=WAIT_MS)
    revision = page.locator(".curve-card canvas").first.evaluate("(canvas) => canvas.toDataURL()")
    stage.worker(step=60)
    page.wait_for_timeout(1000)
    assert "zoom=5%2C40" in page.url or "zoom=5,40" in page.url
    assert page.locator(".curve-card canvas").first.evaluate("(canvas) => canvas.toDataURL()") != revision  # more of it is drawn
    page.evaluate("location.hash = '#trials'")
    worker.kill()
    expect(page.get_by_text("SIGKILL").first).to_be_visible(timeout=WAIT_MS)
    expect(page.locator("header")).to_contain_text("1 failed")
    expect(row(page, "baseline").first).to_contain_text("failed")
    assert stage.run(BASELINE).status().state == "failed" and driver.poll() is None


def test_a_worker_that_was_killed_with_its_driver_is_interrupted(pages: Pages, stage: FakeSweep) -> None:
    from playwright.sync_api import expect

    driver = stage.start()
    worker = stage.worker(step=1)
    page = pages.show(data=pages.live(stage.sweep.path), fragment="#trials")
    expect(row(page, "baseline").first).to_contain_text("running")
    driver.kill()
    worker.kill()
    expect(page.locator("header")).to_contain_text("1 interrupted", timeout=WAIT_MS)
    expect(page.get_by_text("the process that worked on it is gone").first).to_be_visible()
