"""When each snapshot was fetched, from the provenance that is kept beside it, or from compacted months."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl

from miso_archive.feeds import feed_given
from miso_archive.feeds.columns import DAY_START, FETCH_TIMES_TABLE, INTERVAL_START, MARKET_DAY, TIME, schema_of
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.days import Day, Days
from miso_archive.reading.listed import list_snapshots
from miso_archive.reading.one_pass import Reading
from miso_archive.store.address import ArchiveAddress, open_to_read
from miso_archive.store.fetched import Fetched
from miso_archive.store.store import Store

FETCH_TIMES: Final = schema_of(RESERVE, FETCH_TIMES_TABLE)
"""The same of every feed."""

_PROVENANCE: Final = "%Y-%m-%dT%H:%M:%SZ"
_LAG: Final = ((pl.col("fetched_at") - pl.col("interval_end")).dt.total_seconds() / 60).alias("lag_minutes")


def fetch_times(
    archive: ArchiveAddress, *, start: Day | None = None, end: Day | None = None, feed: str | Feed = "reserve"
) -> pl.DataFrame:
    """Tell when each snapshot was fetched: one row an object, in time order.

    Compacted months tell of their days; of others each object costs a small request or file.

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
    days, found = Days.of(start, end), feed_given(feed)
    store = open_to_read(archive)
    frames = [
        fetch_times_of_raw(store, found, asked, Fetched(store)) if compacted is None else compacted.collect()
        for asked, compacted in Reading(store, FETCH_TIMES_TABLE, feed=found).stretches(days)
    ]
    return pl.concat([FETCH_TIMES.to_frame(), *frames])


def known_of(times: pl.DataFrame) -> dict[str, str]:
    """Return of a frame of fetch times what each object's provenance said, as far as it was read."""
    fetched_at = pl.col("fetched_at").dt.convert_time_zone("UTC").dt.to_string(_PROVENANCE)
    return dict(times.drop_nulls("fetched_at").select("object_key", fetched_at).iter_rows())


def fetch_times_of_raw(store: Store, feed: Feed, days: Sequence[date], fetched: Fetched) -> pl.DataFrame:
    """Tell of each raw object of some market days when it was fetched."""
    rows = list_snapshots(store, feed, days, fetched=fetched).snapshots
    told = pl.Series("fetched_at", fetched.at(rows["object_key"].to_list()), pl.String)
    fetched_at = told.str.to_datetime(_PROVENANCE, strict=False, time_zone="UTC").cast(TIME)
    return (
        rows.with_columns(fetched_at, MARKET_DAY, INTERVAL_START if feed.daily is None else DAY_START)
        .with_columns(_LAG)
        .select(pl.col(name).cast(dtype) for name, dtype in FETCH_TIMES.items())
    )
