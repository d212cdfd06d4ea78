"""One Prefect for all tests here, and a browser: one worker of pytest takes them all, by their group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ui.browser import chromium
from tests.ui.system import prefect_system

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.ui.system import PrefectSystem


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectSystem]:
    """A server with its UI and the shipped deployments, without a worker."""
    with prefect_system(tmp_path_factory.mktemp("prefect-system")) as running:
        yield running


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page of a browser."""
    with chromium() as opened:
        yield opened
