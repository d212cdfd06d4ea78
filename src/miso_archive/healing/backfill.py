"""Gaps healed from MISO's reports: each is fetched once, checked, and archived as it was sent.

The archive is the only record of progress: a market day whose report stands readable is not asked for again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final

import polars as pl

from miso_archive.collecting.fetch import UndecodedError, fetch_if_published, without_secrets
from miso_archive.collecting.pace import Clock, SystemClock
from miso_archive.contract.findings import Finding
from miso_archive.failures import ARCHIVE_RETRIES, FEED_RETRIES, CollectionError
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.report import NEXT_DAY_REPORT, Report
from miso_archive.feeds.reserve import RESERVE
from miso_archive.healing.backfilled import BackfilledDay, BackfillResult
from miso_archive.healing.compared import contradiction
from miso_archive.healing.newest_first import Progress, newest_first
from miso_archive.intervals.days import Day, Days
from miso_archive.intervals.market_days import open_day
from miso_archive.reading.coverage import coverage
from miso_archive.reports.apart import Apart, Checked
from miso_archive.reports.archived import Reports, store_refused_report, store_report
from miso_archive.settings.options import BackfillSettings
from miso_archive.store.address import standing, store_of
from miso_archive.store.response import Response
from miso_archive.store.store import Store

logger = logging.getLogger(__name__)

# A day's report is a next-day report.
_OUT_SINCE: Final = timedelta(days=7)


class Reporter:
    """Where MISO's reports are: asked politely, so many seconds between two requests, those tried again included."""

    def __init__(self, settings: BackfillSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._asked: datetime | None = None

    def fetch(self, file_name: str) -> Response | None:
        """Get a report; None when it is not published.

        Raises:
            CollectionError: No whole answer, also after retries, or another status.
        """
        url = f"{self._settings.reports_url.rstrip('/')}/{file_name}"
        step = partial(self._ask, url)
        return FEED_RETRIES.call(step, clock=lambda: self._clock.now().timestamp(), wait=self._clock.sleep)

    def _ask(self, url: str) -> Response | None:
        if self._asked is not None:
            passed = (self._clock.now() - self._asked).total_seconds()
            if passed < self._settings.pause:
                self._clock.sleep(self._settings.pause - passed)
        self._asked = self._clock.now()
        return fetch_if_published(url, self._settings.timeout)


def backfill(  # noqa: PLR0913 - all but the settings by keyword, with a default
    settings: BackfillSettings,
    feed: Feed = RESERVE,
    *,
    start: Day | None = None,
    end: Day | None = None,
    source: str = NEXT_DAY_REPORT,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> BackfillResult:
    """Fetch and archive the reports of closed market days with missing intervals, newest first.

    A day that fails does not stop the others. Safe to repeat, and to run beside a collector or another backfill.

    Args:
        settings: Where the archive and the reports are, and how long to wait.
        feed: A feed of which MISO publishes reports.
        start: The first market day (EST), also before anything was collected; the archive's first when not given.
        end: The market day after the last; the present day when not given.
        source: Of which report; of the day-ahead one every closed day that the archive lacks is fetched.
        clock: The time, and how to wait; the machine's when not given.
        progress: Called with how many market days are done, how many are to be, and how many rows were fetched.

    Raises:
        ArchiveError: There is no such archive, or it cannot be read.
        TypeError: The feed has no such report.
        ValueError: The days are no days, or end before they start.
    """
    report = feed.report_of(source)
    if report is None:
        raise TypeError(f"{feed.name} has no {source}")
    clock, asked = clock or SystemClock(), Days.of(start, end)
    store = standing(store_of(settings), may_be_new=asked.start is not None)
    days = days_to_backfill(store, feed, report, start=start, end=end, now=clock.now())
    archived = {found.market_day for found in Reports(store, feed, report).read(asked)}
    with Apart() as apart:
        of_feed = ReportDays(store, feed, report, Reporter(settings, clock).fetch, apart)
        done = newest_first(
            days,
            lambda day: BackfilledDay(day, "already") if day in archived else of_feed.fetch_day(day),
            progress,
        )
    _doubt_the_address(done, settings, clock)
    return BackfillResult(tuple(done))


def _doubt_the_address(done: list[BackfilledDay], settings: BackfillSettings, clock: Clock) -> None:
    """Say so where not a single report is found, also of days whose reports should be out long since."""
    oldest = min((day.market_day for day in done), default=None)
    if oldest is None or any(day.outcome != "not_published" for day in done):
        return
    if oldest < open_day(clock.now()) - _OUT_SINCE:
        address = without_secrets(settings.reports_url)
        logger.warning("%s has none of the reports asked for, back to %s: check --reports-url", address, oldest)


def days_to_backfill(  # noqa: PLR0913 - where, of what, and when
    store: Store, feed: Feed, report: Report, *, start: Day | None, end: Day | None, now: datetime
) -> list[date]:
    """Return the closed market days to heal, newest first: those with missing intervals, or every one day ahead."""
    asked = Days.of(start, end)
    last = open_day(now) if asked.end is None else min(asked.end, open_day(now))
    if asked.start is not None and asked.start >= last:
        return []
    days = coverage(store, start=asked.start, end=last, now=now, feed=feed)
    counted = days.filter(pl.col("market_day") < last)
    wanted = counted.filter(pl.col("missing") > 0) if report is feed.next_day_report else counted
    return wanted["market_day"].sort(descending=True).to_list()


@dataclass(frozen=True, slots=True)
class ReportDays:
    """The market days of a report in an archive: how another is fetched, checked apart, and archived."""

    store: Store
    feed: Feed
    report: Report
    fetch: Callable[[str], Response | None]
    apart: Apart

    def fetch_day(self, day: date) -> BackfilledDay:
        """Fetch, check and archive the report of one market day; what fails is in the result."""
        try:
            response = self.fetch(self.report.file_name(day))
            if response is None:
                logger.info("the report of %s is not published", day)
                return BackfilledDay(day, "not_published")
            checked = self._checked(day, response)
            if isinstance(checked, Checked):
                return self._stored(day, response, checked)
            key = ARCHIVE_RETRIES.call(
                partial(store_refused_report, self.store, self.feed, self.report, response, checked)
            )
        except CollectionError as error:
            logger.error("%s: %s", day, error)  # noqa: TRY400 - the message says it all; a traceback would not help
            return BackfilledDay(
                day, "failed", object_key=self._kept(error), code=error.code.value, message=error.message
            )
        message = "; ".join(f"{reason.where} {reason.message}" for reason in checked)
        logger.error("the report of %s is refused, kept as %s: %s", day, key, message)
        return BackfilledDay(day, "refused", object_key=key, code=checked[0].code.value, message=message)

    def _checked(self, day: date, response: Response) -> Checked | tuple[Finding, ...]:
        checked = self.apart.check(self.feed, self.report, response.body, day)
        if not isinstance(checked, Checked):
            return checked
        against = contradiction(self.store, self.feed, self.report, checked.rows, day)
        return checked if against is None else (against,)

    def _stored(self, day: date, response: Response, checked: Checked) -> BackfilledDay:
        stored = ARCHIVE_RETRIES.call(partial(store_report, self.store, self.feed, self.report, day, response))
        logger.info("the report of %s stands as %s", day, stored.key)
        said = _of_cut_names(self.report, checked.rows)
        return BackfilledDay(day, "fetched", len(checked.rows), len(checked.covered), stored.key, message=said)

    def _kept(self, error: CollectionError) -> str | None:
        """Keep a report whose content encoding cannot be undone, and return its key; None where there is nothing."""
        if not isinstance(error, UndecodedError) or error.response is None:
            return None
        keep = partial(store_refused_report, self.store, self.feed, self.report, error.response, error.reasons)
        try:
            return ARCHIVE_RETRIES.call(keep)
        except CollectionError as failed:
            logger.warning("what came of it is lost: %s", failed)
            return None


def _of_cut_names(report: Report, rows: pl.DataFrame) -> str | None:
    """Say of how many names no more is left than the live feed shows."""
    names = rows["constraint_name"].unique()
    cut = (names.str.len_chars() == report.cut_at).sum() if report.cut_at is not None else 0
    if not cut:
        return None
    return f"{cut} of its {len(names)} names have {report.cut_at} characters or more: they join the live ones by these"
