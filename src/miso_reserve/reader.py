"""The archive as lazy polars frames: what is compacted from Parquet, the rest from the raw objects."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from miso_reserve.archive_address import ArchiveAddress, open_objects
from miso_reserve.bodies import Skipped
from miso_reserve.curated import SCHEMAS, Table
from miso_reserve.days import Day, Days
from miso_reserve.reading import Progress, Reading

_MOST_NAMED = 20


class SkippedObjectsWarning(UserWarning):
    """Objects among the snapshots cannot be read: the message counts and names them. ``strict`` raises instead."""


# Each time, not once: a notebook's cell that is run again must not be silently incomplete.
warnings.simplefilter("always", SkippedObjectsWarning, append=True)


def scan_constraints(  # noqa: PLR0913 - all but the archive by keyword, with a default
    archive: ArchiveAddress,
    *,
    start: Day | None = None,
    end: Day | None = None,
    latest_only: bool = True,
    strict: bool = False,
    progress: Progress | None = None,
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
        progress: Called with how many market days have been read from raw objects, and how many are to be.

    Returns:
        A LazyFrame with the columns of ``miso_reserve.columns.CONSTRAINTS``. Shadow prices are in $/MW with the sign
        as published, times in EST (UTC-5 all year).

    Raises:
        ArchiveError: There is no such folder, no S3 client can be made; or, when collected, the archive fails.
        ValueError: The days are no days, or end before they start.
        UnreadableObjectError: When collected, with ``strict``: an object cannot be read.
    """
    return _scan("constraints", archive, Days.of(start, end), progress, latest_only=latest_only, strict=strict)


def scan_snapshots(  # noqa: PLR0913 - likewise
    archive: ArchiveAddress,
    *,
    start: Day | None = None,
    end: Day | None = None,
    latest_only: bool = True,
    strict: bool = False,
    progress: Progress | None = None,
) -> pl.LazyFrame:
    """Scan an archive's snapshots: one row a snapshot, quiet ones included, in time order.

    An interval without a row was not collected, or cannot be read: not the same as quiet. ``revision`` counts the
    bodies of an interval from 0; with ``latest_only=False`` each has its row.

    Arguments and errors are those of ``scan_constraints``.

    Returns:
        A LazyFrame with the columns of ``miso_reserve.columns.SNAPSHOTS``.
    """
    return _scan("snapshots", archive, Days.of(start, end), progress, latest_only=latest_only, strict=strict)


def warn_of_skipped(skipped: list[Skipped], location: str) -> None:
    """Warn of the objects that were left out, all in one warning."""
    if skipped:
        named = "; ".join(f"{found.object_key} ({found.reason})" for found in skipped[:_MOST_NAMED])
        more = f"; and {len(skipped) - _MOST_NAMED} more" if len(skipped) > _MOST_NAMED else ""
        message = f"{len(skipped)} of the objects in {location} cannot be read and are left out: {named}{more}"
        warnings.warn(message, SkippedObjectsWarning, stacklevel=2)


def _scan(  # noqa: PLR0913 - what the two above were given
    table: Table, archive: ArchiveAddress, days: Days, progress: Progress | None, *, latest_only: bool, strict: bool
) -> pl.LazyFrame:
    objects = open_objects(archive)

    def read(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        reading = Reading(objects, table, strict=strict, progress=progress)
        columns = with_columns or list(SCHEMAS[table])
        matching = pl.lit(value=True) if predicate is None else predicate
        left = n_rows
        # Where both are given polars means the first rows, and then those of them that match.
        for frame in reading.frames(days.where(predicate) if n_rows is None else days):
            kept = frame.filter("is_latest") if latest_only else frame
            if left is None:
                yield kept.filter(matching).select(columns).collect()
                continue
            first = kept.head(left).collect()
            left -= len(first)
            yield first.filter(matching).select(columns)
            if left == 0:
                break
        yield SCHEMAS[table].to_frame().select(columns)
        warn_of_skipped(reading.skipped, objects.location)

    source: Callable[..., Any] = read
    return register_io_source(source, schema=SCHEMAS[table])
