"""What was observed of a period: the ground every figure of the analysis stands on. Pure.

Quiet, binding and missing are three different things. An interval is **observed** when a snapshot of it is at hand;
an observed interval in which a constraint does not bind is one at 0 $/MW; an interval without a snapshot is unknown
and counts neither way. Only the latest revision of an interval counts (``is_latest``).
"""

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, TypeAlias, get_args

import polars as pl

from miso_archive.feeds.columns import TIME
from miso_archive.intervals.days import given_day
from miso_archive.intervals.market_days import INTERVALS_A_DAY, ONE_DAY

Frame: TypeAlias = pl.LazyFrame | pl.DataFrame
"""A frame of the reader, whole or filtered: ``CONSTRAINTS`` or ``SNAPSHOTS`` of ``columns``."""

MarketDay: TypeAlias = date | str
"""A market day (EST): a date, or its ISO spelling ``2026-07-27``."""

Grouping: TypeAlias = Literal["constraint_name", "element", "zone", "term", "flow_direction", "reserve_type"]
"""By what constraints are taken together; ``term`` counts a constraint under each of its terms."""

PRICE: Final = pl.col("shadow_price")
"""$/MW, the sign as published."""

_TIME_COLUMNS: Final = {"market_day": pl.Date(), "interval_start": TIME, "interval_end": TIME}


@dataclass(frozen=True, slots=True)
class Observation:
    """What was observed of the market days from ``start`` to before ``end`` (EST).

    ``intervals`` has a row an observed interval (market_day, interval_start, interval_end), in order of time;
    ``constraints`` the rows that bind in them, latest revisions only.
    """

    start: date
    end: date
    intervals: pl.DataFrame
    constraints: pl.DataFrame

    @property
    def observed(self) -> int:
        """How many intervals were observed, quiet ones included."""
        return self.intervals.height

    @property
    def expected(self) -> int:
        """How many intervals the period has, observed or not."""
        return INTERVALS_A_DAY * (self.end - self.start).days

    @property
    def columns(self) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
        """The three columns by which each result says how much of the period it has seen."""
        return (
            pl.lit(self.observed, pl.Int64).alias("observed_intervals"),
            pl.lit(self.expected, pl.Int64).alias("expected_intervals"),
            pl.lit(self.observed / self.expected, pl.Float64).alias("observed_share"),
        )


def observe(
    constraints: Frame,
    snapshots: Frame,
    *,
    start: MarketDay | None,
    end: MarketDay | None,
    columns: tuple[str, ...] = (),
) -> Observation:
    """Take what was observed from ``start`` to before ``end``, with these columns of the constraints besides times.

    A row of ``constraints`` whose interval has no snapshot does not count: shares never pass 1.

    Args:
        constraints: A row a binding constraint and interval; shadow prices in $/MW.
        snapshots: A row a snapshot, quiet ones included.
        start: The first market day (EST); the first of ``snapshots`` when None.
        end: The market day after the last; the one after the last of ``snapshots`` when None.
        columns: The columns of ``constraints`` that are needed.

    Raises:
        ValueError: A frame lacks a column or has a time that is not in EST, the period is empty or not of market
            days, or nothing says what the period is.
    """
    constraint_rows = latest(constraints, "constraints", (*_TIME_COLUMNS, "shadow_price", *columns))
    snapshot_rows = latest(snapshots, "snapshots", tuple(_TIME_COLUMNS)).unique("interval_end")
    first, stop = given_day(start, "start"), given_day(end, "end")
    intervals = snapshot_rows.filter(_within(first, stop)).sort("interval_end").collect()
    first, stop = _period(first, stop, intervals["market_day"])
    rows = constraint_rows.filter(_within(first, stop)).collect().join(intervals, on="interval_end", how="semi")
    return Observation(first, stop, intervals, rows)


def refuse_no_frame(value: object, argument: str) -> None:
    """Raise ValueError where what was given as an argument of this name is no polars frame."""
    if not isinstance(value, (pl.DataFrame, pl.LazyFrame)):
        kind = type(value)
        raise ValueError(f"{argument}= is a polars frame, not {kind.__name__} of {kind.__module__.partition('.')[0]}")  # noqa: TRY004 - documented


def latest(frame: Frame, name: str, columns: tuple[str, ...]) -> pl.LazyFrame:
    """Return these columns of the latest revisions of a frame, called ``name`` in messages.

    Raises:
        ValueError: It is no frame, a column is absent, or a time column is not in EST.
    """
    refuse_no_frame(frame, name)
    schema = frame.collect_schema()
    missing = [column for column in (*columns, "is_latest") if column not in schema]
    if missing:
        raise ValueError(f"{name} lacks {', '.join(missing)}: filter the reader's rows, but leave it all its columns")
    for column, dtype in _TIME_COLUMNS.items():
        if column in columns and schema[column] != dtype:
            raise ValueError(f"{name} has {column} as {schema[column]}: give it in EST, as {dtype}")
    return frame.lazy().filter("is_latest").select(columns)


def source_column(by: str) -> str:
    """Return the column of the constraints that holds this grouping.

    Raises:
        ValueError: There is no such grouping.
    """
    if by not in get_args(Grouping):
        raise ValueError(f"by={by!r} is not known: give one of {', '.join(get_args(Grouping))}")
    return "terms" if by == "term" else by


def grouped(rows: pl.DataFrame, by: Grouping) -> pl.DataFrame:
    """Return the rows with a column named like the grouping.

    By term, a row stands once under each of its different terms; one without terms stands under null.
    """
    if by != "term":
        return rows
    return rows.with_columns(pl.col("terms").list.unique().alias("term")).explode("term", empty_as_null=True)


def extreme(price: pl.Expr = PRICE) -> pl.Expr:
    """Return the price of the largest magnitude, with its sign; of two alike the negative one."""
    return pl.when(price.max() > -price.min()).then(price.max()).otherwise(price.min())


def binding_intervals() -> pl.Expr:
    """Count the intervals in which anything of a group binds, however many constraints do."""
    return pl.col("interval_end").n_unique().cast(pl.Int64).alias("binding_intervals")


def _within(start: date | None, end: date | None) -> pl.Expr:
    day = pl.col("market_day")
    after_start = pl.lit(value=True) if start is None else day >= start
    return after_start if end is None else after_start & (day < end)


def _period(start: date | None, end: date | None, observed_days: pl.Series) -> tuple[date, date]:
    first, last = observed_days.min(), observed_days.max()
    if start is None and isinstance(first, date):
        start = first
    if end is None and isinstance(last, date):
        end = last + ONE_DAY
    if start is None or end is None:
        raise ValueError("no snapshots say what the period is: give start and end")
    if start >= end:
        raise ValueError(f"start {start} is not before end {end}: end is the market day after the last one")
    return start, end
