"""What was refused of one feed is judged anew by its own contract, and stands where its own bodies do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from miso_archive.contract.findings import Finding, RefusalCode
from miso_archive.feeds import FEEDS
from miso_archive.healing.replay import replay
from miso_archive.store.folder import Folder
from miso_archive.store.layout import snapshot_key
from miso_archive.store.put_once import store_refused
from miso_archive.store.response import Response
from tests.feeds.recorded import text_of

if TYPE_CHECKING:
    from pathlib import Path

    from miso_archive.feeds.feed import Feed

FETCHED_AT = datetime(2026, 10, 2, 21, 51, tzinfo=UTC)
# What an older contract may have had against a body that today's takes.
REFUSED = (Finding(RefusalCode.MISSING_FIELD, "New", "is absent"),)


@pytest.mark.parametrize("feed", FEEDS.values(), ids=list(FEEDS))
def test_a_body_that_passes_now_is_archived_with_its_own_feed_s(feed: Feed, tmp_path: Path) -> None:
    """Of two refused bodies the one that the feed's contract takes is archived, once, and no other feed's replay is."""
    archive = Folder(tmp_path)
    for body in (text_of(feed).encode(), b'{"error":"no data"}'):
        store_refused(archive, feed, Response(body, FETCHED_AT, feed.url, "application/json"), REFUSED)

    for other in FEEDS.values():
        if other is not feed:
            assert replay(archive, other).quarantined == 0
    first, again = replay(archive, feed), replay(archive, feed)

    interval_end = feed.examine(text_of(feed).encode()).interval_end
    assert interval_end is not None
    assert first.objects == [snapshot_key(feed, interval_end)]
    assert (first.quarantined, first.archived, first.still_refused, first.unreadable) == (2, 1, 1, 0)
    assert (again.archived, again.already, again.objects) == (0, 1, [])
    assert first.reasons == {"error_payload": 1}
