"""MISO's reports in an archive: put under their market day, listed, read as frames. Nothing here compacts them."""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from typing import NamedTuple

import polars as pl

from miso_archive.contract.findings import Finding
from miso_archive.feeds.columns import SNAPSHOTS_TABLE, schema_of
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.report import Report
from miso_archive.intervals.days import Days
from miso_archive.reports.apart import Apart
from miso_archive.reports.cells import RefusedReportError
from miso_archive.reports.read import covered
from miso_archive.store.gzipped import unzipped
from miso_archive.store.layout import Keys, is_report_revision, report_key, reports_folder
from miso_archive.store.listing import days_in
from miso_archive.store.put_once import Stored, provenance_of, put_once, store_refused
from miso_archive.store.response import Response
from miso_archive.store.store import Keeper, Store, UnreadableObjectError
from miso_archive.store.unreadable import Unreadable
from miso_archive.text import shown


class ArchivedReport(NamedTuple):
    """What the readable reports of one market day hold, in time order; ``is_latest`` marks the rows of the last.

    ``constraints`` and ``snapshots`` have the columns of the feed's: of the latter a row an interval that the report
    speaks for, quiet where it has no constraint.
    """

    market_day: date
    constraints: pl.DataFrame
    snapshots: pl.DataFrame

    @property
    def covered(self) -> pl.DataFrame:
        """The ends of the intervals that the latest report speaks for, as ``interval_end``."""
        return self.snapshots.filter("is_latest").select("interval_end")


def store_report(store: Keeper, feed: Feed, report: Report, market_day: date, response: Response) -> Stored:
    """Put a report, byte for byte, under its market day; beside it, when other bytes stand there. Safe to repeat."""
    of_report = partial(report_key, feed, report.name, market_day, report.file_name(market_day))
    return put_once(store, Keys(of_report(), of_report(response.sha256)), response, provenance_of(response))


def store_refused_report(
    store: Keeper, feed: Feed, report: Report, response: Response, reasons: tuple[Finding, ...]
) -> str:
    """Keep a refused report with its reasons, apart from the refused bodies of the feed; return its key."""
    return store_refused(store, replace(feed, dataset=f"{feed.dataset}/{report.name}"), response, reasons)


class Reports:
    """One pass over an archive's reports of a kind. What could not be read gathers in ``skipped``."""

    def __init__(self, store: Store, feed: Feed, report: Report, *, strict: bool = False) -> None:
        self._store = store
        self._feed = feed
        self._report = report
        self._folder = reports_folder(feed, report.name)
        self._strict = strict
        self.skipped: list[Unreadable] = []

    def read(self, days: Days) -> Iterator[ArchivedReport]:
        """Yield the market days with a readable report, in time order.

        Raises:
            ArchiveError: The archive fails.
            UnreadableObjectError: A report cannot be read, and the reading is strict.
        """
        found = days.among(days_in(self._store, self._folder))
        listed = self._store.names([f"{self._folder}/{day}" for day in found])
        with Apart() as apart:
            for day, names in zip(found, listed, strict=True):
                keys = self._in_order(day, names)
                frames = [
                    (number, key, rows)
                    for number, (key, data) in enumerate(zip(keys, self._store.read(keys), strict=True))
                    if (rows := self._rows(apart, key, day, data)) is not None
                ]
                if frames:
                    yield self._archived(day, frames)

    def _in_order(self, day: date, names: list[str]) -> list[str]:
        """Return the keys of a day's reports: the one without a suffix was put first, others by when each came."""
        file_name = self._report.file_name(day)
        first, folder = f"{file_name}.gz", f"{self._folder}/{day}"
        later = [f"{folder}/{name}" for name in names if is_report_revision(name, file_name)]
        for name in names:
            if name != first and not is_report_revision(name, file_name):
                self._skip(f"{folder}/{shown(name, 100)[1:-1]}", day, "its name is not that of a report there")
        came = self._store.fetched_at(later) if len(later) > 1 else [""] * len(later)
        ordered = [key for _, key in sorted(zip(came, later, strict=True))]
        return [f"{folder}/{first}", *ordered] if first in names else ordered

    def _rows(self, apart: Apart, key: str, day: date, data: bytes | OSError) -> pl.DataFrame | None:
        try:
            return apart.read(self._feed, self._report, unzipped(data), day, key)
        except (zlib.error, OSError) as error:
            self._skip(key, day, f"it cannot be read: {error}")
        except RefusedReportError as error:
            self._skip(key, day, str(error))
        return None

    def _archived(self, day: date, frames: list[tuple[int, str, pl.DataFrame]]) -> ArchivedReport:
        constraints, snapshots = [], []
        latest = frames[-1][0]
        for number, key, rows in frames:
            origin = {
                "revision": pl.lit(number, pl.Int32),
                "is_latest": pl.lit(number == latest),
                "object_key": pl.lit(key),
            }
            constraints.append(rows.with_columns(**origin))
            of_snapshots = schema_of(self._feed, SNAPSHOTS_TABLE)
            snapshots.append(self._snapshots(rows, day).with_columns(**origin).select(list(of_snapshots)))
        return ArchivedReport(
            day,
            pl.concat(constraints).sort("interval_end", maintain_order=True),
            pl.concat(snapshots).sort("interval_end", maintain_order=True),
        )

    def _snapshots(self, rows: pl.DataFrame, day: date) -> pl.DataFrame:
        counts = rows.group_by("interval_end").agg(constraints=pl.len().cast(pl.Int32))
        ends = covered(self._report, rows, day).to_frame()
        return ends.join(counts, on="interval_end", how="left", maintain_order="left").with_columns(
            pl.col("constraints").fill_null(0),
            market_day=pl.lit(day),
            interval_start=pl.col("interval_end") - self._report.length,
            ref_id=pl.lit(None, pl.String),
            quiet=pl.col("constraints").is_null(),
            source=pl.lit(self._report.source),
        )

    def _skip(self, key: str, day: date, reason: str) -> None:
        if self._strict:
            raise UnreadableObjectError(f"{self._store.location}/{key}: {reason}")
        self.skipped.append(Unreadable(key, day, reason))
