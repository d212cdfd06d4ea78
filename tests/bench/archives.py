"""A simulated archive of the sister feeds, for the bench: every interval of every feed, without provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from miso_archive.feeds import FEEDS
from miso_archive.intervals.labels import INTERVAL
from miso_archive.intervals.market_days import INTERVALS_A_DAY, day_begins
from miso_archive.simulate.archive import FIRST_DAY
from miso_archive.simulate.bodies import body_of
from miso_archive.store.gzipped import zipped
from miso_archive.store.layout import snapshot_key

if TYPE_CHECKING:
    from pathlib import Path


def write_feeds(folder: Path, days: int) -> None:
    """Write market days of all feeds but the first, which ``write_archive`` writes."""
    begins = day_begins(FIRST_DAY)
    for feed in (feed for feed in FEEDS.values() if not feed.is_first):
        for number in range(1, days * INTERVALS_A_DAY + 1):
            label = begins + number * INTERVAL
            path = folder / snapshot_key(feed, label)
            if number == 1 or label.date() != (label - INTERVAL).date():
                path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(zipped(body_of(feed, label - feed.lead, seed=1)))
