"""The archives that are compacted."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from miso_archive.store.folder import Folder
from tests.reading.compaction.archives import JULY, at, binds, fill, store


@pytest.fixture(scope="package")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 2026-06-29 to 2026-08-03, three snapshots a day, one of them revised; not to be changed."""
    folder = tmp_path_factory.mktemp("filled")
    archive = Folder(folder)
    fill(archive, date(2026, 6, 29), 36)
    store(archive, at("07-10 08:10"), binds(at("07-10 08:10"), 3), 9)
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    """A copy of that archive."""
    return Path(shutil.copytree(filled, tmp_path / "archive"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """An archive of 2026-07-01 to 2026-07-03, three snapshots a day."""
    folder = tmp_path / "small"
    fill(Folder(folder), JULY, 3)
    return folder
