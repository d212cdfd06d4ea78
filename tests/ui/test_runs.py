"""Runs in Prefect's UI, as a person finds them and steers them by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from miso_reserve.simulate import SimulatedFeed
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from playwright.sync_api import Page

    from tests.ui.system import PrefectSystem

# A whole Prefect, a worker and a browser: half a minute at best, and Chromium has to be installed.
pytestmark = pytest.mark.services


@dataclass(frozen=True)
class Runs:
    """A run that collected, and one that fetched and found no room in its archive."""

    feed: SimulatedFeed
    collected: UUID
    failed: UUID
    full: Path


@pytest.fixture(scope="module")
def runs(system: PrefectSystem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Both runs, ended, with their worker still up."""
    folder = tmp_path_factory.mktemp("runs")
    full = folder / "full"
    full.mkdir()
    # Where the folder of snapshots belongs lies a file: nothing can be archived there.
    (full / "sourcing").touch()
    with SimulatedFeed(seed=307) as feed, system.worker(folder / "worker.log"):
        feed.advance(2)
        collected = system.schedule(local=str(folder / "archive"), api_url=feed.url)
        failed = system.schedule(local=str(full), api_url=feed.url)
        system.ended(collected, failed)
        yield Runs(feed, collected, failed, full)


def open_run(page: Page, system: PrefectSystem, run: UUID, tab: str) -> None:
    """Open a run's page at a tab."""
    page.goto(f"{system.url}/runs/flow-run/{run}")
    page.get_by_text(tab, exact=True).last.click()


def test_a_run_is_found_by_interval_and_outcome(page: Page, system: PrefectSystem, runs: Runs, tmp_path: Path) -> None:
    """The list of runs names each by environment, interval and outcome."""
    page.goto(f"{system.url}/runs")
    assert runs.feed.hits == 2
    for outcome in ("stored, 1 binding", "archive_refused"):
        expect(page.get_by_text(f"collect prod 2001-01-02 07:15 EST: {outcome}")).to_be_visible()
    page.screenshot(path=tmp_path / "runs.png", full_page=True)


def test_a_run_shows_what_it_collected(page: Page, system: PrefectSystem, runs: Runs, tmp_path: Path) -> None:
    """A collected run is Completed, and its page leads to the constraints, the link and the day's coverage."""
    open_run(page, system, runs.collected, "Artifacts")
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    for key in ("binding-constraints-prod", "latest-snapshot-prod"):
        expect(page.get_by_text(key).last).to_be_visible()
    page.screenshot(path=tmp_path / "collected.png", full_page=True)
    page.get_by_text("coverage-prod").last.click()
    expect(page.get_by_text("1 of 87 intervals collected until 07:15, 86 missing.")).to_be_visible()
    page.screenshot(path=tmp_path / "coverage.png", full_page=True)


def test_a_failed_run_says_why(page: Page, system: PrefectSystem, runs: Runs, tmp_path: Path) -> None:
    """A failed run is Failed, and its message begins with the reason code."""
    open_run(page, system, runs.failed, "Details")
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    expect(page.get_by_text("archive_refused: the folder ")).to_be_visible()
    page.screenshot(path=tmp_path / "failed.png", full_page=True)


def test_a_failed_run_is_retried_from_its_page(page: Page, system: PrefectSystem, runs: Runs, tmp_path: Path) -> None:
    """With room in the archive the button Retry completes the run, with the body it has: the feed is not asked."""
    (runs.full / "sourcing").unlink()
    runs.feed.advance()
    open_run(page, system, runs.failed, "Logs")
    page.get_by_role("button", name="Retry", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Retry", exact=True).click()
    assert until(lambda: system.run(runs.failed).state_name == "Completed", timeout=120, pause=0.5)
    expect(page.get_by_text("collect prod 2001-01-02 07:15 EST: stored, 1 binding").first).to_be_visible()
    page.screenshot(path=tmp_path / "retried.png", full_page=True)
    assert system.run(runs.failed).run_count == 2
    assert runs.feed.hits == 2
    assert len(list(runs.full.glob("sourcing/*/*/*.json.gz"))) == 1
