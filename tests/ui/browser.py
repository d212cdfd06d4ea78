"""Debian's Chromium, which install-services.sh installs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from playwright.sync_api import expect, sync_playwright

from tests.services.process import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

_PATIENCE: Final = 180_000.0


@contextmanager
def chromium() -> Iterator[Page]:
    """A page, 1280 by 1000, whose elements have three minutes to appear: the machine may be busy."""
    options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), headless=True, args=options)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(_PATIENCE)
        expect.set_options(timeout=_PATIENCE)
        yield page
        browser.close()
