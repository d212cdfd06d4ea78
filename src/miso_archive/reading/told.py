"""What another source than the live feed tells of its intervals, and which of them it tells whole."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import polars as pl

from miso_archive.feeds.columns import INTERVAL_START, KEYED_API, ROLLING_DAYS, SNAPSHOTS_TABLE, schema_of, table_given
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.days import Days
from miso_archive.intervals.labels import INTERVAL
from miso_archive.reading import history, rolling
from miso_archive.reading.one_pass import Reading
from miso_archive.store.listing import market_days
from miso_archive.store.store import Store
from miso_archive.store.unreadable import Unreadable

_IN_AN_HOUR = 12


class Told(NamedTuple):
    """Rows of a live feed's ``table`` that it did not show itself, in time order.

    ``covered`` are the ends of the intervals, or hours, that are told whole; ``skipped`` is what could not be read.
    """

    table: str
    rows: pl.DataFrame
    covered: pl.Series
    skipped: list[Unreadable]


def source_of(feed: Feed) -> str | None:
    """Return the source, beside reports, that tells of a live feed; None where there is none."""
    if feed.history is not None:
        return KEYED_API
    return None if feed.rolling is None else ROLLING_DAYS


def table_of(feed: Feed) -> str | None:
    """Return the table that it tells of."""
    told = feed.history or feed.rolling
    return None if told is None else told.table


def told_days(store: Store, feed: Feed) -> list[date]:
    """Return the market days of which it may tell, by the archive's folders.

    Raises:
        ArchiveError: The archive fails.
    """
    if feed.history is not None:
        return market_days(store, feed.history.feed)
    return [] if feed.rolling is None else rolling.rolling_days(store, feed, feed.rolling)


def told_of(store: Store, feed: Feed, days: Days, *, strict: bool = False) -> Told:
    """Return what it tells of these market days.

    Raises:
        ArchiveError: The archive fails.
        TypeError: There is no such source.
        UnreadableObjectError: An object cannot be read, and the reading is strict.
    """
    if feed.history is not None:
        rows, skipped = history.rows_of_history(store, feed, feed.history, days, strict=strict)
        return Told(feed.history.table, rows, history.whole_intervals(rows), skipped)
    if feed.rolling is not None:
        rows, skipped = rolling.rows_of_rolling(store, feed, feed.rolling, days, strict=strict)
        covered = rolling.whole_intervals(store, feed, feed.rolling, rows)
        return Told(feed.rolling.table, rows, covered, skipped)
    raise TypeError(f"nothing but the live feed tells of {feed.name}")


def covered_intervals(feed: Feed, told: Told) -> pl.Series:
    """Return the ends of the five-minute intervals that are told of; an hour is those that it has."""
    if table_given(feed, told.table).hour is None:
        return told.covered
    numbers = pl.DataFrame({"number": range(_IN_AN_HOUR)})
    within = told.covered.to_frame().join(numbers, how="cross")
    return within.select(pl.col("interval_end") - pl.col("number") * INTERVAL)["interval_end"].sort()


def snapshots_of(feed: Feed, told: Told) -> pl.DataFrame:
    """Return a row an interval that is told of whole, in the columns of the live feed's snapshots."""
    rows = told.rows.join(told.covered.to_frame(), on="interval_end", how="semi", maintain_order="left")
    counted = rows.group_by("interval_end", maintain_order=True).agg(
        pl.len().alias(told.table), pl.first("market_day", "revision", "is_latest", "source", "object_key")
    )
    counted = counted.with_columns(INTERVAL_START)
    return counted.select(
        pl.col(name).cast(dtype) if name in counted.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in schema_of(feed, SNAPSHOTS_TABLE).items()
    )


def shown_by(store: Store, feed: Feed, table: str, days: Sequence[date]) -> pl.DataFrame:
    """Return the ends of the intervals, or hours, of some market days that the live feed showed."""
    if not days:
        return schema_of(feed, table).to_frame().select("interval_end")
    among = Days(min(days), None, pl.col("market_day").is_in(list(days)))
    frames = Reading(store, table, feed=feed).frames(among)
    whole = pl.concat([schema_of(feed, table).to_frame().lazy(), *frames])
    return whole.select("interval_end").unique().collect()
