"""What the names of an archive's objects tell of the collection: no body is read, so it may be asked often."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from miso_archive.feeds.feed import Feed
from miso_archive.intervals.labels import EST, is_on_grid
from miso_archive.intervals.market_days import intervals_ended, market_day
from miso_archive.store.listing import count_refused, find_snapshots, market_days
from miso_archive.store.store import Store

_CLOCKS_APART: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Glance:
    """What the names of an archive's objects tell of its present market day, in EST."""

    last_interval_end: datetime | None
    stale: bool
    market_day: date
    expected: int
    collected: int
    refused_today: int


def glance(store: Store, feed: Feed, *, stale_after: timedelta, now: datetime) -> Glance:
    """Look at the names in an archive, as often as one likes: no body is read, and a damaged one counts as collected.

    Raises:
        ArchiveError: The archive fails.
    """
    now = now.astimezone(EST)
    last = newest_interval_end(store, feed, now)
    day = market_day(now)
    ends = find_snapshots(store, feed, [day], ordered=False)[0].ends
    return Glance(
        last_interval_end=last,
        stale=last is None or now - last > stale_after,
        market_day=day,
        expected=intervals_ended(day, max([now, *ends])),
        collected=len({end for end in ends if is_on_grid(end)}),
        refused_today=count_refused(store, feed, [now.date()])[0],
    )


def newest_interval_end(store: Store, feed: Feed, now: datetime) -> datetime | None:
    """Return the newest label, in EST; one far in the future is a mistake of somebody's clock and does not hide a gap.

    Of a daily feed it is the end of its newest market day.

    Raises:
        ArchiveError: The archive fails.
    """
    newest = now.date() if feed.daily is None else feed.daily.newest(now + _CLOCKS_APART)
    days = [day for day in market_days(store, feed) if day <= newest]
    ends = find_snapshots(store, feed, days[-2:], ordered=False)[0].ends
    return max((end for end in ends if feed.daily is not None or end <= now + _CLOCKS_APART), default=None)
