"""Bodies of every feed, put into an archive as the collector does."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from miso_archive.feeds import FEEDS
from miso_archive.simulate.bodies import body_of
from miso_archive.store.put_once import store_snapshot
from miso_archive.store.response import Response
from tests.feeds.recorded import payload_of, spelled

if TYPE_CHECKING:
    from miso_archive.feeds.feed import Feed
    from miso_archive.store.store import Store

SEED = 307


def put(archive: Store, feed: Feed, body: bytes, *, minutes: int = 2) -> str:
    """Put a body under its own label, fetched so many minutes after it; return its key."""
    snapshot = feed.examine(body).snapshot
    assert snapshot is not None
    fetched_at = snapshot.interval_end + timedelta(minutes=minutes)
    response = Response(body, fetched_at, "http://127.0.0.1/", "application/json")
    return store_snapshot(archive, feed, snapshot, response).key


def put_recorded(archive: Store) -> None:
    """Put the recorded body of each feed."""
    for feed in FEEDS.values():
        put(archive, feed, spelled(payload_of(feed)))


def put_simulated(archive: Store, feed: Feed, *ends: datetime, revisions: int = 1) -> None:
    """Put what the simulated host shows at these times, and its revisions, which differ by a blank at least."""
    for end in ends:
        for revision in range(revisions):
            body = body_of(feed, end, seed=SEED, revision=revision) + b" " * revision
            put(archive, feed, body, minutes=2 + revision)
