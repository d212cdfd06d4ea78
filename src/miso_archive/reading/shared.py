"""Rows of which several bodies speak: those of an hour, and those that name their own interval. Pure."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

import polars as pl

from miso_archive.contract.rows import Table
from miso_archive.feeds.columns import SNAPSHOTS_TABLE, schema_of
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.market_days import ONE_DAY
from miso_archive.reading.decode import Decoded

_BODY: Final = pl.col("object_key")


def days_beside(tables: Iterable[Table], days: Iterable[date]) -> list[date]:
    """Return the other market days whose bodies may have rows of these: the day before each, and the one after."""
    if all(table.label is None for table in tables):
        return []
    asked = set(days)
    return sorted({near for day in asked for near in (day - ONE_DAY, day + ONE_DAY)} - asked)


class Shared:
    """Holds the rows of one table back until no body to come can speak of them, and tells which are the latest."""

    def __init__(self, feed: Feed, table: Table) -> None:
        self._table = table
        # How many days before its own a body may have rows of.
        self._reach = timedelta(0) if table.label is None else ONE_DAY
        self._held = schema_of(feed, table.name).to_frame()
        self._is_mixed = table.hour is not None

    def settle(self, decoded: Decoded) -> pl.DataFrame:
        """Take in the next bodies, and return the rows that are done with, in time order."""
        rows = pl.concat([self._held, decoded.frames[self._table.name]])
        self._is_mixed |= self._table.name in decoded.strays
        if self._is_mixed:
            rows = self._with_latest(rows.sort("interval_end", maintain_order=True))
        last = decoded.frames[SNAPSHOTS_TABLE]["market_day"].max()
        is_done = pl.col("market_day") < last - self._reach if isinstance(last, date) else pl.lit(value=False)
        self._held = rows.filter(~is_done)
        return rows.filter(is_done)

    def rest(self) -> pl.DataFrame:
        """Return the rows that were held back, when no bodies are to come."""
        return self._held

    def _with_latest(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Leave the rows the latest that the last body has which no revision supersedes: of the same name, if named."""
        same = [name for name in ("interval_end", self._table.named_by) if name is not None]
        return rows.with_columns(pl.col("is_latest") & _BODY.eq(_BODY.filter("is_latest").last().over(same)))
