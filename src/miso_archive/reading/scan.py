"""The archive as lazy polars frames: what is compacted from Parquet, the rest from the raw objects."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from miso_archive.feeds import feed_given
from miso_archive.feeds.columns import (
    KEYED_API,
    LIVE,
    ROLLING_DAYS,
    SNAPSHOTS_TABLE,
    frame_given,
    schema_of,
    table_given,
)
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.report import DAY_AHEAD_REPORT, NEXT_DAY_REPORT, Report
from miso_archive.intervals.days import Day, Days
from miso_archive.reading.one_pass import Progress, Reading
from miso_archive.reading.told import Told, shown_by, snapshots_of, source_of, table_of, told_of
from miso_archive.reports.archived import ArchivedReport, Reports
from miso_archive.store.address import ArchiveAddress, open_to_read
from miso_archive.store.unreadable import Unreadable
from miso_archive.text import shown

_MOST_NAMED = 20


class SkippedObjectsWarning(UserWarning):
    """Objects among the snapshots cannot be read: the message counts and names them. ``strict`` raises instead."""


# Each time, not once: a notebook's cell that is run again must not be silently incomplete.
warnings.simplefilter("always", SkippedObjectsWarning, append=True)


class WrongSourcesError(ValueError):
    """The sources to scan are not known, or do not go together."""


def scan_constraints(  # noqa: PLR0913 - all but the archive by keyword, with a default
    archive: ArchiveAddress,
    *,
    start: Day | None = None,
    end: Day | None = None,
    latest_only: bool = True,
    strict: bool = False,
    sources: Sequence[str] = (LIVE,),
    progress: Progress | None = None,
    feed: str | Feed = "reserve",
) -> pl.LazyFrame:
    """Scan an archive's binding constraints: one row a binding constraint and interval, in time order.

    Nothing is read before the frame is collected. ``start`` and ``end``, and filters on ``market_day``, spare the
    reading of all other days. Quiet intervals have no row here: see ``scan_snapshots`` and ``coverage``.

    Args:
        archive: A folder, ``s3://bucket`` or ``s3://bucket/folder``, or an S3Bucket block.
        start: The first market day (EST), a date or ``YYYY-MM-DD``; the archive's first when not given.
        end: The market day after the last; after the archive's last when not given.
        latest_only: Leave out bodies that a later one of the same interval supersedes; ``is_latest`` tells.
        strict: Raise on an object that cannot be read, instead of leaving it out with a SkippedObjectsWarning.
        sources: ``live`` alone unless given. With ``next_day_report`` beside it, rows of MISO's next-day reports fill
            the intervals that have no live snapshot, and no other: a report is never mixed into what was collected.
            ``next_day_report`` alone gives all rows of those reports. ``day_ahead_report`` alone, of reserve, gives
            those of the day-ahead ones, hours of another market. ``source`` tells of each row where it is from. Names
            of transmission constraints are cut to 48 characters in either, as the live feed cuts them.
        progress: Called with how many market days have been read from raw objects, and how many are to be.
        feed: The feed's name: one of binding constraints.

    Returns:
        A LazyFrame with the columns of ``columns_of(feed, "constraints")``. Shadow prices have the sign as published,
        those of reserve are in $/MW, the others' in $/MWh; times are in EST (UTC-5 all year).

    Raises:
        ArchiveError: There is no such folder, it is no archive, or no S3 client can be made; or, when collected, the
            archive fails.
        ValueError: The days are no days, or end before they start; the archive is of a kind that is not known; or, as
            WrongSourcesError, the sources are not known or do not go together.
        UnreadableObjectError: When collected, with ``strict``: an object cannot be read.
    """
    asked = _Asked("constraints", Days.of(start, end), _known(sources), latest_only=latest_only, strict=strict)
    return _scan(archive, feed_given(feed), asked, progress)


def scan_snapshots(  # noqa: PLR0913 - likewise
    archive: ArchiveAddress,
    *,
    start: Day | None = None,
    end: Day | None = None,
    latest_only: bool = True,
    strict: bool = False,
    sources: Sequence[str] = (LIVE,),
    progress: Progress | None = None,
    feed: str | Feed = "reserve",
) -> pl.LazyFrame:
    """Scan an archive's snapshots: one row a snapshot, quiet ones included, in time order.

    An interval without a row was not collected, or cannot be read: not the same as quiet. ``revision`` counts the
    bodies of an interval from 0; with ``latest_only=False`` each has its row.

    With reports among the ``sources`` an interval that a report speaks for has a row too, by the same rule. That it is
    quiet where the report has no constraint is inferred: a day without binding constraints has no rows in its report.

    Arguments and errors are those of ``scan_constraints``.

    Returns:
        A LazyFrame with the columns of ``columns_of(feed, "snapshots")``.
    """
    asked = _Asked("snapshots", Days.of(start, end), _known(sources), latest_only=latest_only, strict=strict)
    return _scan(archive, feed_given(feed), asked, progress)


def scan(  # noqa: PLR0913 - likewise
    archive: ArchiveAddress,
    feed: str | Feed,
    table: str | None = None,
    *,
    start: Day | None = None,
    end: Day | None = None,
    latest_only: bool = True,
    strict: bool = False,
    sources: Sequence[str] = (LIVE,),
    progress: Progress | None = None,
) -> pl.LazyFrame:
    """Scan a table of a feed: one row a row of a body, in time order.

    Arguments and errors are those of ``scan_constraints``, and:

    Args:
        archive: A folder, ``s3://bucket`` or ``s3://bucket/folder``, or an S3Bucket block.
        feed: The feed's name.
        table: The table's name, or ``snapshots``; the feed's first when not given.
        start: The first market day (EST), a date or ``YYYY-MM-DD``; the archive's first when not given.
        end: The market day after the last; after the archive's last when not given.
        latest_only: Leave out bodies that a later one of the same interval supersedes; ``is_latest`` tells.
        strict: Raise on an object that cannot be read, instead of leaving it out with a SkippedObjectsWarning.
        sources: ``live`` alone unless given. With ``keyed_api`` beside it, prices of ``rt_exante_lmp`` and those that
            ``asm_mcp`` has day ahead are filled from the daily feeds, where these are archived: intervals, or hours,
            that the live feed did not show. ``keyed_api`` alone gives all that they have. ``rolling_days`` does the
            same for ``fuel_mix``, from the host's links of today and yesterday.
        progress: Called with how many market days have been read from raw objects, and how many are to be.

    Returns:
        A LazyFrame with the columns of ``columns_of(feed, table)``; times in EST (UTC-5 all year).

    Raises:
        ArchiveError: There is no such archive, or, when collected, it fails.
        ValueError: There is no such feed or table; or as for ``scan_constraints``.
        UnreadableObjectError: When collected, with ``strict``: an object cannot be read.
    """
    found = feed_given(feed)
    asked = _Asked(
        frame_given(found, table), Days.of(start, end), _known(sources), latest_only=latest_only, strict=strict
    )
    return _scan(archive, found, asked, progress)


def warn_of_skipped(skipped: list[Unreadable], location: str) -> None:
    """Warn of the objects that were left out, all in one warning."""
    if skipped:
        named = "; ".join(f"{found.object_key} ({found.reason})" for found in skipped[:_MOST_NAMED])
        more = f"; and {len(skipped) - _MOST_NAMED} more" if len(skipped) > _MOST_NAMED else ""
        message = f"{len(skipped)} of the objects in {location} cannot be read and are left out: {named}{more}"
        warnings.warn(message, SkippedObjectsWarning, stacklevel=2)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a scan is to give."""

    table: str
    days: Days
    sources: frozenset[str]
    latest_only: bool
    strict: bool


def _known(sources: Sequence[str]) -> frozenset[str]:
    known = (LIVE, NEXT_DAY_REPORT, DAY_AHEAD_REPORT, KEYED_API, ROLLING_DAYS)
    named = [sources] if isinstance(sources, str) else sources
    if not isinstance(named, (Sequence, frozenset, set)) or not named or not all(source in known for source in named):
        raise WrongSourcesError(f"sources are some of {', '.join(known)}, not {shown(str(sources))}")
    asked = frozenset(named)
    if DAY_AHEAD_REPORT in asked and len(asked) > 1:
        raise WrongSourcesError(f"{DAY_AHEAD_REPORT} is another market, by the hour: scan it alone")
    return asked


def _scan(archive: ArchiveAddress, feed: Feed, asked: _Asked, progress: Progress | None) -> pl.LazyFrame:
    _refuse_sources(feed, asked)
    store = open_to_read(archive)
    table, days = asked.table, asked.days
    schema = schema_of(feed, table)

    def read(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        reading = Reading(store, table, feed=feed, strict=asked.strict, progress=progress)
        beside: list[Unreadable] = []
        columns = with_columns or list(schema)
        left = n_rows
        # Where both are given polars means the first rows, and then those of them that match.
        for frame in _frames(reading, beside, asked, days.where(predicate) if n_rows is None else days):
            kept = frame.filter("is_latest") if asked.latest_only else frame
            if left is None:
                yield (kept if predicate is None else kept.filter(predicate)).select(columns).collect()
                continue
            first = kept.head(left).collect()
            left -= len(first)
            yield (first if predicate is None else first.filter(predicate)).select(columns)
            if left == 0:
                break
        yield schema.to_frame().select(columns)
        warn_of_skipped(reading.skipped + beside, store.location)

    source: Callable[..., Any] = read
    return register_io_source(source, schema=schema)


def _refuse_sources(feed: Feed, asked: _Asked) -> None:
    """Refuse sources that say nothing of a feed, or of one of its tables."""
    of_reports = [report.source for report in feed.reports]
    other, table = source_of(feed), table_of(feed)
    known = [LIVE, *of_reports, *([] if other is None else [other])]
    for wrong in sorted(asked.sources.difference(known)):
        only = f"{LIVE} is its only source" if known == [LIVE] else f"its sources are {', '.join(known)}"
        raise WrongSourcesError(f"{wrong} says nothing of {feed.name}: {only}")
    if other in asked.sources and table is not None and asked.table not in _told_tables(feed, table):
        raise WrongSourcesError(f"{other} says nothing of {asked.table}: of {table} alone")


def _told_tables(feed: Feed, table: str) -> set[str]:
    """Return which frames another source has rows of: a five-minute body is not told by an hour of it."""
    return {table} if table_given(feed, table).hour else {table, SNAPSHOTS_TABLE}


def _frames(reading: Reading, beside: list[Unreadable], asked: _Asked, days: Days) -> Iterator[pl.LazyFrame]:
    """Yield what the sources have of these days, in time order; what could not be read of others than the live feed."""
    if asked.sources == {LIVE}:
        yield from reading.frames(days)
    elif report := _report_among(reading.feed, asked):
        reports = Reports(reading.store, reading.feed, report, strict=asked.strict)
        found = reports.read(days)
        if LIVE not in asked.sources:
            yield from (getattr(one, asked.table).lazy() for one in found)
        else:
            yield from _filled(reading.frames(days), _fill(reading, list(found), asked.table))
        beside += reports.skipped
    else:
        told = told_of(reading.store, reading.feed, days, strict=asked.strict)
        beside += told.skipped
        yield from _told(reading, told, asked, days)


def _report_among(feed: Feed, asked: _Asked) -> Report | None:
    """Return the report that is among the sources; None where none is."""
    return next((report for report in feed.reports if report.source in asked.sources), None)


def _told(reading: Reading, told: Told, asked: _Asked, days: Days) -> Iterator[pl.LazyFrame]:
    """Yield what another source tells, alone or where the live feed showed nothing."""
    rows = told.rows if asked.table == told.table else snapshots_of(reading.feed, told)
    if LIVE not in asked.sources:
        yield rows.lazy()
        return
    is_hourly = table_given(reading.feed, told.table).hour is not None
    of_table = told.table if is_hourly else SNAPSHOTS_TABLE
    known = shown_by(reading.store, reading.feed, of_table, rows["market_day"].unique().to_list())
    missing = told.covered.to_frame().join(known, on="interval_end", how="anti")
    yield from _filled(reading.frames(days), rows.join(missing, on="interval_end", how="semi", maintain_order="left"))


def _fill(reading: Reading, found: list[ArchivedReport], table: str) -> pl.DataFrame:
    """Return the reports' rows of the intervals without a live snapshot."""
    if not found:
        return schema_of(reading.feed, table).to_frame()
    covered = pl.concat([report.covered for report in found])
    missing = covered.join(reading.labels([report.market_day for report in found]), on="interval_end", how="anti")
    rows: pl.DataFrame = pl.concat(
        [schema_of(reading.feed, table).to_frame(), *(getattr(report, table) for report in found)]
    )
    return rows.join(missing, on="interval_end", how="semi", maintain_order="left")


def _filled(frames: Iterator[pl.LazyFrame], fill: pl.DataFrame) -> Iterator[pl.LazyFrame]:
    """Put rows of other intervals where they belong in time; both come in order."""
    for frame in frames:
        last = frame.select(pl.col("interval_end").max()).collect().item() if len(fill) else None
        if last is None:
            yield frame
            continue
        until_last = pl.col("interval_end") < last
        yield pl.concat([frame, fill.filter(until_last).lazy()]).sort("interval_end", maintain_order=True)
        fill = fill.filter(~until_last)
    yield fill.lazy()
