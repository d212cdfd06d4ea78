"""Periods of market days: the one that is asked for, and the one before it. Pure."""

from datetime import date
from typing import NamedTuple

import polars as pl

from miso_archive.analysis.observation import Frame, MarketDay, latest
from miso_archive.intervals.days import given_day
from miso_archive.intervals.market_days import ONE_DAY


class Periods(NamedTuple):
    """A period and the one of the same length before it, each from its first market day to the one after its last."""

    before: tuple[date, date]
    after: tuple[date, date]


def period_and_before(start: MarketDay, end: MarketDay) -> Periods:
    """Return a period, and the one of as many market days just before it.

    Args:
        start: The first market day (EST).
        end: The market day after the last.

    Raises:
        ValueError: They are no market days, or the period has none.
    """
    first, last = given_day(start, "start"), given_day(end, "end")
    if first is None or last is None or first >= last:
        raise ValueError(f"a period has a first market day and one after its last: {start} to {end}")
    return Periods((first - (last - first), first), (first, last))


def halves(snapshots: Frame) -> Periods | None:
    """Return the later half of the market days that snapshots are of, and the earlier; None where it is a day or none.

    Of an odd number of days the first is left out.

    Args:
        snapshots: A row a snapshot, quiet ones included.

    Raises:
        ValueError: The frame lacks a column.
    """
    days = latest(snapshots, "snapshots", ("market_day",)).select(
        first=pl.col("market_day").min(), last=pl.col("market_day").max()
    )
    first, last = days.collect().row(0)
    if first is None or first == last:
        return None
    length = ((last - first).days + 1) // 2 * ONE_DAY
    return period_and_before(last + ONE_DAY - length, last + ONE_DAY)
