"""When each snapshot was fetched, from the provenance that is kept beside it."""

import polars as pl

from miso_archive.feeds import feed_given
from miso_archive.feeds.columns import INTERVAL_START, MARKET_DAY, SNAPSHOTS, TIME
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.days import Day, Days
from miso_archive.store.address import ArchiveAddress, open_to_read
from miso_archive.store.listing import list_snapshots, market_days

FETCH_TIMES = pl.Schema(
    {name: SNAPSHOTS[name] for name in ("market_day", "interval_start", "interval_end", "revision", "object_key")}
    | {"fetched_at": TIME, "lag_minutes": pl.Float64()}
)


def fetch_times(
    archive: ArchiveAddress, *, start: Day | None = None, end: Day | None = None, feed: str | Feed = "reserve"
) -> pl.DataFrame:
    """Tell when each snapshot was fetched: one row an object, in time order. One small request or file each.

    Args:
        archive: A folder, ``s3://bucket`` or ``s3://bucket/folder``, or an S3Bucket block.
        start: The first market day (EST); the archive's first when not given.
        end: The market day after the last; after the archive's last when not given.
        feed: The feed's name.

    Returns:
        A frame of ``market_day``, ``interval_start``, ``interval_end``, ``revision``, ``object_key``, ``fetched_at``
        (EST, to the second) and ``lag_minutes``, from the interval's end to the fetch: no less than MISO's
        publication lag, and more by as long as the collector did not look. Null where no provenance is kept.

    Raises:
        ArchiveError: There is no such archive, or it fails.
        ValueError: The days are no days, or end before they start; or the archive is of a kind that is not known.
    """
    days = Days.of(start, end)
    found = feed_given(feed)
    store = open_to_read(archive)
    listing = list_snapshots(store, found, days.among(market_days(store, found)))
    fetched_at = pl.Series("fetched_at", store.fetched_at(listing.snapshots["object_key"].to_list()), pl.String)
    return listing.snapshots.with_columns(
        fetched_at.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", strict=False, time_zone="UTC").cast(TIME),
        MARKET_DAY,
        INTERVAL_START,
    ).select(pl.col(name) if name != "lag_minutes" else _lag().alias(name) for name in FETCH_TIMES)


def _lag() -> pl.Expr:
    return (pl.col("fetched_at") - pl.col("interval_end")).dt.total_seconds() / 60
