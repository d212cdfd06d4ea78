"""What the names of an archive tell of its collection, without reading a body."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from miso_archive.feeds.reserve import RESERVE
from miso_archive.health.glance import glance
from miso_archive.health.status import status
from miso_archive.intervals.labels import EST
from miso_archive.settings.options import Settings
from miso_archive.simulate import snapshot_body
from miso_archive.store.folder import Folder
from tests.counted_archive import odd_minute
from tests.health.collected import MINUTE, NOW, ends, keep

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path


def test_a_glance_reads_nothing(tmp_path: Path, reads: Counter[str]) -> None:
    """What the names tell is what the status tells, and no object is read for it."""
    for end in (*ends("07:00", "07:02", "08:05", "08:10"), datetime(2099, 1, 1, tzinfo=EST)):
        keep(tmp_path, snapshot_body(end, seed=1) if end.minute % 5 == 0 else odd_minute(end))
    keep(tmp_path, snapshot_body(ends("08:10")[0], seed=1, revision=1))
    for number, days in enumerate((0, 0, 3)):
        keep(tmp_path, b'{"error":"%d"}' % number, NOW - timedelta(days=days))
    reads.clear()
    seen = glance(Folder(tmp_path), RESERVE, stale_after=3 * MINUTE, now=NOW)
    assert not reads
    found = status(Settings(local=tmp_path), RESERVE, stale_after=3 * MINUTE, now=NOW)
    today = found.today
    assert today is not None
    assert (seen.last_interval_end, seen.stale) == (found.last_interval_end, found.stale) == (ends("08:10")[0], True)
    assert (seen.market_day, seen.expected, seen.collected) == (today.market_day, today.expected, today.collected)
    assert (seen.collected, seen.refused_today, found.refused_today) == (3, 2, 2)


def test_a_glance_at_nothing(tmp_path: Path) -> None:
    """An archive that is not begun is stale, with nothing collected of what is expected."""
    seen = glance(Folder(tmp_path), RESERVE, stale_after=MINUTE, now=NOW)
    assert (seen.last_interval_end, seen.stale, seen.collected, seen.expected) == (None, True, 0, 98)
