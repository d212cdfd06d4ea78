"""What a daily feed tells of a live one's gaps: its rows in the live table's columns, and which intervals it covers."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import polars as pl

from miso_archive.feeds.columns import INTERVAL_START, SNAPSHOTS_TABLE, schema_of, table_given
from miso_archive.feeds.feed import Feed, History
from miso_archive.intervals.days import Days
from miso_archive.intervals.labels import INTERVAL
from miso_archive.reading.one_pass import Reading
from miso_archive.store.store import Store
from miso_archive.store.unreadable import Unreadable


class Told(NamedTuple):
    """Rows of a live feed's table that it did not show itself, in time order, and what could not be read of them."""

    rows: pl.DataFrame
    skipped: list[Unreadable]

    @property
    def covered(self) -> pl.Series:
        """The ends of the intervals, or hours, that are told whole: with as many rows as any of their market day."""
        counted = self.rows.group_by("market_day", "interval_end").len()
        whole = counted.filter(pl.col("len") == pl.col("len").max().over("market_day"))
        return whole["interval_end"].sort()


def told_of(store: Store, feed: Feed, history: History, days: Days, *, strict: bool = False) -> Told:
    """Return what the daily feed has of these market days, as rows of the live feed's table.

    Raises:
        ArchiveError: The archive fails.
        UnreadableObjectError: An object cannot be read, and the reading is strict.
    """
    [table] = history.feed.contract.tables
    reading = Reading(store, table.name, feed=history.feed, strict=strict)
    frames = [schema_of(history.feed, table.name).to_frame().lazy(), *reading.frames(days)]
    rows = pl.concat(frames).filter("is_latest").collect()
    for name, beginning in history.without.items():
        rows = rows.with_columns(pl.col(name).str.strip_prefix(beginning))
    rows = _spread(rows, history)
    return Told(
        rows.select(
            pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype).alias(name)
            for name, dtype in schema_of(feed, history.table).items()
        ),
        reading.skipped,
    )


def covered_intervals(feed: Feed, history: History, told: Told) -> pl.Series:
    """Return the ends of the five-minute intervals that are told of; an hour is those that it has."""
    ends = told.covered
    if table_given(feed, history.table).hour is None:
        return ends
    numbers = pl.DataFrame({"number": range(12)})
    within = ends.to_frame().join(numbers, how="cross")
    return within.select(pl.col("interval_end") - pl.col("number") * INTERVAL)["interval_end"].sort()


def snapshots_of(feed: Feed, history: History, told: Told) -> pl.DataFrame:
    """Return a row an interval that is told of whole, in the columns of the live feed's snapshots."""
    ends = told.covered.to_frame()
    rows = told.rows.join(ends, on="interval_end", how="semi", maintain_order="left")
    counted = rows.group_by("interval_end", maintain_order=True).agg(
        pl.len().alias(history.table), pl.first("market_day", "revision", "is_latest", "source", "object_key")
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


def _spread(rows: pl.DataFrame, history: History) -> pl.DataFrame:
    """Put columns that stand one below the other beside each other."""
    spread = history.spread
    if spread is None:
        return rows
    same = [name for name in rows.columns if name not in {spread.names, spread.value, "object_key", "revision"}]
    values = [
        pl.col(spread.value).filter(pl.col(spread.names) == name).last().alias(column)
        for name, column in spread.columns.items()
    ]
    return rows.group_by(same, maintain_order=True).agg(*values, pl.last("object_key"), pl.max("revision"))
