"""What a daily feed tells of a live one: its rows in the live table's columns."""

import polars as pl

from miso_archive.feeds.columns import schema_of
from miso_archive.feeds.feed import Feed, History
from miso_archive.intervals.days import Days
from miso_archive.reading.one_pass import Reading
from miso_archive.store.store import Store
from miso_archive.store.unreadable import Unreadable


def rows_of_history(
    store: Store, feed: Feed, history: History, days: Days, *, strict: bool = False
) -> tuple[pl.DataFrame, list[Unreadable]]:
    """Return what the daily feed has of these market days, as rows of the live feed's table, and what was left out.

    Raises:
        ArchiveError: The archive fails.
        UnreadableObjectError: An object cannot be read, and the reading is strict.
    """
    [table] = history.feed.contract.tables
    reading = Reading(store, table.name, feed=history.feed, strict=strict)
    frames = [schema_of(history.feed, table.name).to_frame().lazy(), *reading.frames(days)]
    counting = [pl.col("is_latest"), *(pl.col(name).is_in(names) for name, names in history.only.items())]
    rows = pl.concat(frames).filter(*counting).collect()
    for name, beginning in history.without.items():
        rows = rows.with_columns(pl.col(name).str.strip_prefix(beginning))
    rows = _spread(rows, history)
    ours = rows.select(
        pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in schema_of(feed, history.table).items()
    )
    return ours, reading.skipped


def whole_intervals(rows: pl.DataFrame) -> pl.Series:
    """Return the ends of the intervals, or hours, with as many rows as any of their market day."""
    counted = rows.group_by("market_day", "interval_end").len()
    whole = counted.filter(pl.col("len") == pl.col("len").max().over("market_day"))
    return whole["interval_end"].sort()


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
