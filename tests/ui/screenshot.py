"""Takes the picture that docs/prefect.md shows of a run in Prefect's UI: ``python -m tests.ui.screenshot``."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import expect

from miso_archive.simulate import SimulatedFeed
from tests.ui.browser import chromium
from tests.ui.system import prefect_system

PICTURE: Final = Path(__file__).with_name("run.png")


def main() -> None:
    """Collect two simulated intervals that bind through a worker, and take the picture of the second run's page."""
    with TemporaryDirectory(prefix="screenshot-") as scratch, SimulatedFeed(seed=307) as feed:
        folder = Path(scratch)
        with prefect_system(folder) as system, system.worker(folder / "worker.log"):
            for intervals in (2, 1):
                feed.advance(intervals)
                run = system.schedule(local=str(folder / "archive"), api_url=feed.url)
                system.ended(run)
            with chromium() as page:
                page.goto(f"{system.url}/runs/flow-run/{run}")
                page.get_by_text("Artifacts", exact=True).last.click()
                expect(page.get_by_text("latest-snapshot-prod").last).to_be_visible()
                page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
