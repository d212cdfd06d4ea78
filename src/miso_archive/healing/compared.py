"""A report compared with the live rows of its day, which tell which end of the five minutes its times name."""

from datetime import date
from typing import Final

import polars as pl

from miso_archive.contract.findings import Finding, RefusalCode
from miso_archive.feeds.columns import schema_of, table_given
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.report import Report
from miso_archive.intervals.days import Days
from miso_archive.intervals.market_days import ONE_DAY
from miso_archive.reading.one_pass import Reading
from miso_archive.store.store import Store

_ENOUGH: Final = 3
"""How many rows are to agree before it is said of a report that it tells its times otherwise."""

_SAME: Final = ["interval_end", "constraint_name", "shadow_price"]


def contradiction(store: Store, feed: Feed, report: Report, rows: pl.DataFrame, market_day: date) -> Finding | None:
    """Return why a report of real time is not to be used: its rows are live ones, five minutes off.

    Raises:
        ArchiveError: The archive fails.
    """
    if report is not feed.next_day_report or rows.is_empty():
        return None
    live = _live(store, feed, market_day)
    as_ends = len(_told(rows).join(live, on=_SAME, how="semi"))
    later = rows.with_columns(pl.col("interval_end") + report.length)
    as_starts = len(_told(later).join(live, on=_SAME, how="semi"))
    if as_starts < _ENOUGH or as_starts <= as_ends:
        return None
    message = (
        f"{as_starts} of its rows are live ones if its times are the starts of intervals, {as_ends} if they are the"
        " ends, for which they are taken"
    )
    return Finding(RefusalCode.REPORT_TIMES, "file", message)


def _live(store: Store, feed: Feed, market_day: date) -> pl.DataFrame:
    table = table_given(feed, None).name
    frames = Reading(store, table, feed=feed).frames(Days(market_day, market_day + ONE_DAY))
    rows = pl.concat([schema_of(feed, table).to_frame().lazy(), *frames])
    return _told(rows.filter("is_latest").collect())


def _told(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what is to be the same in both: prices have two decimals, which some sheets hold inexactly."""
    return rows.select("interval_end", "constraint_name", pl.col("shadow_price").round(2))
