"""What is stored and not announced yet: a mark in the archive for each, put before the snapshot is.

The feed moves on, and Redis may forget; so it is the archive that remembers what a run which died, or found Kafka away,
has left to be announced. Marks are made only by runs that announce.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from miso_archive.collecting.announcement import Announcement
from miso_archive.contract.pages import is_node
from miso_archive.contract.verdict import Page, Snapshot
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.labels import EST, as_utc
from miso_archive.store.layout import snapshot_key, snapshot_keys, unannounced_folder
from miso_archive.store.put_once import standing_sha256
from miso_archive.store.response import Response
from miso_archive.store.store import Store
from miso_archive.text import shown
from miso_archive.version import __version__

logger = logging.getLogger(__name__)

_ABANDONED_AFTER: Final = timedelta(days=1)
"""A mark without its snapshot is a run's that died before it stored; a living one stores within minutes.

A day, since the age is that between the clocks of two machines."""


class Outbox:
    """The marks of one environment and dataset: ``unannounced/{dataset}/{environment}/{sha256}.json``."""

    def __init__(self, archive: Store, feed: Feed, environment: str) -> None:
        self._archive = archive
        self._feed = feed
        self._environment = environment
        self._folder = unannounced_folder(feed, environment)

    def announcement(self, snapshot: Snapshot, response: Response, key: str) -> Announcement:
        """Return the message that announces a snapshot."""
        return Announcement(
            dataset=self._feed.dataset,
            environment=self._environment,
            location=self._archive.location,
            key=key,
            sha256=response.sha256,
            ref_id=snapshot.ref_id,
            interval_end=snapshot.interval_end.isoformat(),
            page=None if snapshot.page is None else snapshot.page.number,
            node=None if snapshot.page is None else snapshot.page.node or None,
            rows={table: len(rows) for table, rows in snapshot.tables.items()},
            constraint_count=len(snapshot.rows) if self._feed.contract.quiet else None,
            fetched_at=as_utc(response.fetched_at),
            collector_version=__version__,
        )

    def mark(self, snapshot: Snapshot, response: Response) -> None:
        """Remember that a snapshot is to be announced, under the key it gets unless other bytes stand there."""
        key = snapshot_key(self._feed, snapshot.interval_end, page=snapshot.page)
        announcement = self.announcement(snapshot, response, key)
        self._archive.put_if_absent(self._mark(response.sha256), announcement.as_json(), {})

    def unmark(self, sha256: str) -> None:
        """Forget a mark; there need not be one."""
        self._archive.remove(self._mark(sha256))

    def marks(self) -> list[str]:
        """Return the keys of all marks."""
        [names] = self._archive.names([self._folder])
        return [f"{self._folder}/{name}" for name in names]

    def unannounced(self, now: datetime | None = None) -> Iterator[Announcement]:
        """Yield what is stored and marked, and take away the marks of what was never stored."""
        for key in self.marks():
            [data] = self._archive.read([key])
            if isinstance(data, FileNotFoundError):  # another run has announced it since
                continue
            marked = None if isinstance(data, OSError) else self._read(key, data)
            if marked is None:
                place = f"{self._archive.location}/{shown(key, 500)[1:-1]}"
                why = f" ({shown(data.strerror or str(data), 200)[1:-1]})" if isinstance(data, OSError) else ""
                logger.warning("%s is no mark that can be read%s: look at it, then remove it", place, why)
                continue
            stored = self._stored(marked)
            if stored is not None:
                yield stored
            elif (now or datetime.now(UTC)) - datetime.fromisoformat(marked.fetched_at) > _ABANDONED_AFTER:
                self._archive.remove(key)

    def _read(self, key: str, data: bytes) -> Announcement | None:
        """Return what a mark says; None where it is damaged, or not one that stands under this key."""
        try:
            marked = Announcement.model_validate_json(data)
            times = [datetime.fromisoformat(time) for time in (marked.interval_end, marked.fetched_at)]
            # A time so early or late that it has no other zone is none.
            aware = all(time.tzinfo is not None and time.astimezone(EST) for time in times)
        except (ValueError, OverflowError):
            return None
        ours = (self._feed.dataset, self._environment, self._mark(marked.sha256), self._feed.daily is not None)
        said = (marked.dataset, marked.environment, key, marked.page is not None)
        is_named = marked.node is None or is_node(marked.node)  # it becomes part of a key
        return marked if aware and is_named and said == ours else None

    def _stored(self, marked: Announcement) -> Announcement | None:
        """Return the announcement with the key under which the snapshot stands."""
        page = None if marked.page is None else Page(number=marked.page, node=marked.node or "", is_last=False)
        end = datetime.fromisoformat(marked.interval_end)
        for key in snapshot_keys(self._feed, end, marked.sha256, page=page):
            if standing_sha256(self._archive, key) == marked.sha256:
                return marked.model_copy(update={"key": key, "location": self._archive.location})
        return None

    def _mark(self, sha256: str) -> str:
        return f"{self._folder}/{sha256}.json"
