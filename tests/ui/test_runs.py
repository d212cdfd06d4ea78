"""Runs in Prefect's UI, as a person finds them and steers them by."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from miso_archive.simulate import SimulatedFeed
from tests.ui.system import PATIENCE
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
    """A run that collected, one that fetched and found no room in its archive, and one with wrong parameters."""

    feed: SimulatedFeed
    collected: UUID
    failed: UUID
    wrong: UUID
    full: Path


@pytest.fixture(scope="module")
def runs(system: PrefectSystem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """All runs, ended, with their worker still up."""
    folder = tmp_path_factory.mktemp("runs")
    full = folder / "full"
    full.mkdir()
    # Where the folder of snapshots belongs lies a file: nothing can be archived there.
    (full / "sourcing").touch()
    with SimulatedFeed(seed=307) as feed, system.worker(folder / "worker.log"):
        feed.advance(2)
        collected = system.schedule(local=str(folder / "archive"), api_url=feed.url)
        failed = system.schedule(local=str(full), api_url=feed.url)
        wrong = system.schedule(local=str(folder / "archive"), poll_gap=5)
        system.ended(collected, failed, wrong)
        yield Runs(feed, collected, failed, wrong, full)


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
    expect(page.get_by_text("Of those collected 0 are quiet, and in 1 something binds.")).to_be_visible()
    page.screenshot(path=tmp_path / "coverage.png", full_page=True)
    open_run(page, system, runs.collected, "Artifacts")
    page.get_by_text("binding-constraints-prod").last.click()
    for part in ("North_South", "STR+Lost_Gen"):
        expect(page.get_by_text(part, exact=True).first).to_be_visible()
    page.screenshot(path=tmp_path / "constraints.png", full_page=True)


def test_the_newest_snapshot_is_shown_by_the_command_on_its_page(
    page: Page, system: PrefectSystem, runs: Runs, tmp_path: Path
) -> None:
    """The command that stands on the artifact's page, pasted into a shell, prints the body that was collected."""
    open_run(page, system, runs.collected, "Artifacts")
    page.get_by_text("latest-snapshot-prod").last.click()
    command = page.locator("pre code").first.inner_text()
    page.screenshot(path=tmp_path / "snapshot.png", full_page=True)
    shown = subprocess.run(["sh", "-c", command], check=True, capture_output=True, timeout=PATIENCE).stdout
    assert shown == runs.feed.requests[0].body


def test_a_failed_run_says_why(page: Page, system: PrefectSystem, runs: Runs, tmp_path: Path) -> None:
    """A failed run is Failed, and its message begins with the reason code."""
    open_run(page, system, runs.failed, "Details")
    expect(page.get_by_text("Failed", exact=True).first).to_be_visible()
    expect(page.get_by_text("archive_refused: the folder ")).to_be_visible()
    page.screenshot(path=tmp_path / "failed.png", full_page=True)


def test_a_failed_run_logs_its_reason_in_one_line(
    page: Page, system: PrefectSystem, runs: Runs, tmp_path: Path
) -> None:
    """The log of a run that failed as foreseen has its reason, code first, and no traceback; parameters are named."""
    for run, reason in ((runs.failed, "archive_refused: "), (runs.wrong, "wrong_parameters: poll_gap: ")):
        logged = [log.message for log in system.logs(run)]
        assert not [message for message in logged if "Traceback" in message or "unexpected exception" in message]
        assert any(reason in message.splitlines()[0] for message in logged)
        assert (system.run(run).state.message or "").startswith(reason)  # type: ignore[union-attr]
    open_run(page, system, runs.wrong, "Logs")
    expect(page.get_by_text("wrong_parameters: poll_gap: MISO asks").last).to_be_visible()
    page.screenshot(path=tmp_path / "wrong.png", full_page=True)


def test_a_failed_run_is_retried_from_its_page(page: Page, system: PrefectSystem, runs: Runs, tmp_path: Path) -> None:
    """With room in the archive the button Retry completes the run, with the body it has: the feed is not asked."""
    (runs.full / "sourcing").unlink()
    runs.feed.advance()
    open_run(page, system, runs.failed, "Logs")
    page.get_by_role("button", name="Retry", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Retry", exact=True).click()
    assert until(lambda: system.run(runs.failed).state_name == "Completed", timeout=PATIENCE, pause=0.5)
    expect(page.get_by_text("collect prod 2001-01-02 07:15 EST: stored, 1 binding").first).to_be_visible()
    page.screenshot(path=tmp_path / "retried.png", full_page=True)
    assert system.run(runs.failed).run_count == 2
    assert runs.feed.hits == 2
    assert len(list(runs.full.glob("sourcing/*/*/*.json.gz"))) == 1
