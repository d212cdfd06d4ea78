"""A page of a notebook, in a browser: without a network, and with scripts off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from miso_archive.cli.app import main
from miso_archive.feeds import FEEDS
from miso_archive.simulate.archive import write_archive
from tests.services.process import program

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Request

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A market day of a simulated archive, as a page."""
    folder = tmp_path_factory.mktemp("page")
    write_archive(folder / "data", days=1, seed=11, feeds=tuple(FEEDS.values()))
    assert main(["report", "--local", str(folder / "data"), "--output", str(folder / "page.html")]) == 0
    return folder / "page.html"


@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])
def test_every_chart_is_drawn_without_a_network(written: Path, has_scripts: bool) -> None:  # noqa: FBT001 - a parameter
    """By Vega, which the page brings along; or, with scripts off, as a picture. No address is asked for."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.url.startswith("http"):
            asked.append(request.url)

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=options)
        context = browser.new_context(offline=True, java_script_enabled=has_scripts)
        page = context.new_page()
        page.on("request", note)
        page.goto(written.as_uri())
        frames = page.locator("iframe")
        expect(frames).to_have_count(6)
        for number in range(6):
            drawn = (
                page.frame_locator("iframe").nth(number).locator(".vega-embed .marks" if has_scripts else "#picture")
            )
            expect(drawn).to_have_count(1, timeout=180_000)
            box = drawn.bounding_box()
            assert box is not None
            assert box["width"] > 600
            assert box["height"] > 150
        if has_scripts:
            heat = page.frame_locator("iframe").nth(3)
            heat.locator(".vega-embed .marks").hover(position={"x": 300, "y": 90})
            expect(heat.locator("#vg-tooltip-element")).to_contain_text("$/MW")
        browser.close()
    assert asked == []
