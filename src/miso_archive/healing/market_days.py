"""Market days of a daily feed, fetched where they are not archived whole: for themselves, or for a live feed's gaps."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final, TypeVar

import polars as pl

from miso_archive.collecting.keyed import Keyed, Turn, key_of, pages_in
from miso_archive.collecting.market_day import AskedDay, collect_day
from miso_archive.collecting.pace import Clock, SystemClock
from miso_archive.collecting.result import RunResult
from miso_archive.collecting.steps import Candidate
from miso_archive.contract.findings import FailureCode, Finding
from miso_archive.contract.verdict import Snapshot, Verdict
from miso_archive.failures import ARCHIVE_RETRIES, DAILY_RETRIES
from miso_archive.feeds.columns import SNAPSHOTS_TABLE, schema_of
from miso_archive.feeds.feed import Feed
from miso_archive.healing.backfilled import BackfilledDay, BackfillResult, Outcome
from miso_archive.healing.newest_first import Progress, newest_first
from miso_archive.intervals.days import Day, Days
from miso_archive.intervals.market_days import ONE_DAY
from miso_archive.reading.coverage import coverage
from miso_archive.reading.one_pass import Reading
from miso_archive.reading.told import covered_intervals, told_of
from miso_archive.settings.options import BackfillSettings, UsageError
from miso_archive.store.address import standing, store_of
from miso_archive.store.put_once import Stored, store_refused, store_snapshot
from miso_archive.store.response import Response
from miso_archive.store.store import Store

T = TypeVar("T")

logger = logging.getLogger(__name__)

_OF_ALL_DAYS: Final = {FailureCode.API_KEY_REFUSED.value, FailureCode.API_QUOTA.value}
"""What any other day would be answered too."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of a run that fills an archive with the past: nothing is announced, and no Redis is asked."""

    store_: Store
    feed: Feed
    keyed: Keyed
    clock: Clock
    announces: bool = False
    archive_is_away: bool = False
    has_spooled: bool = False

    def fetch(self, candidate: Candidate) -> Response | None:
        """Ask for a page."""
        return self.keyed.fetch(candidate, self.clock)

    def pages_of(self, day: date) -> dict[str, list[Snapshot]]:
        """Return by node the first pages that stand of a market day, without a hole."""
        return pages_in(self.store_, self.feed, day)

    def is_registered(self, response: Response) -> bool:  # noqa: ARG002 - as the protocol
        """Nothing is: the archive itself tells what stands."""
        return False

    def store(self, snapshot: Snapshot, response: Response) -> Stored:
        """Put the page into the archive unless it stands there."""
        return store_snapshot(self.store_, self.feed, snapshot, response)

    def quarantine(self, response: Response, reasons: tuple[Finding, ...]) -> str:
        """Keep a refused body with its reasons."""
        return store_refused(self.store_, self.feed, response, reasons)

    def announce(self, snapshot: Snapshot, response: Response, stored: Stored) -> None:
        """Old data are not announced."""

    def register(self, snapshot: Snapshot, response: Response, stored: Stored) -> None:
        """Nor registered."""

    def catch_up(self) -> None:
        """Nor is anything left to be announced."""

    def store_spooled(self) -> list[tuple[Verdict, Stored]]:
        """Nothing waits."""
        return []


class MarketDays:
    """The market days of a daily feed in an archive: which are whole, and how another is fetched."""

    def __init__(self, settings: BackfillSettings, store: Store, feed: Feed, clock: Clock) -> None:
        """Make ready to ask; the key is looked for at once.

        Raises:
            CollectionError: A Secret block is named, and cannot be loaded.
            UsageError: No key is named.
        """
        self._settings = settings
        self._store = store
        self._feed = feed
        self._clock = clock
        self._steps = Steps(store, feed, Keyed(key_of(settings), Turn(clock)), clock)

    def whole(self, days: list[date]) -> set[date]:
        """Return which of some days stand whole, of each of the feed's own nodes.

        Raises:
            ArchiveError: The archive fails.
        """
        if not days:
            return set()
        among = Days(min(days), max(days) + ONE_DAY, pl.col("market_day").is_in(days))
        frames = Reading(self._store, SNAPSHOTS_TABLE, feed=self._feed).frames(among)
        pages = pl.concat([schema_of(self._feed, SNAPSHOTS_TABLE).to_frame().lazy(), *frames]).filter("is_latest")
        nodes = self._feed.daily.nodes if self._feed.daily else ()
        if nodes:
            own = pages.filter(pl.col("node").is_in(nodes)).group_by("market_day").agg(pl.col("node").n_unique())
            return set(own.filter(pl.col("node") == len(nodes)).collect()["market_day"])
        return set(pages.select(pl.col("market_day").unique()).collect()["market_day"])

    def fetch(self, day: date) -> BackfilledDay:
        """Fetch and archive what is not there of a market day; what fails is in the result."""
        asked = AskedDay(day)
        result = collect_day(self._settings, asked, self._feed, self._steps, self._patiently, self._clock.now())
        return _became(day, result, self._rows(day))

    def _rows(self, day: date) -> int:
        counted = coverage(self._store, start=day, end=day + ONE_DAY, now=self._clock.now(), feed=self._feed)
        return int(counted["collected"].sum())

    def _patiently(self, step: Callable[..., T], /, *arguments: Any, **named: Any) -> T:  # noqa: ANN401 - the step's own
        """Take a step, again where that helps."""
        if step == self._steps.fetch:
            return DAILY_RETRIES.call(lambda: step(*arguments, **named), wait=self._clock.sleep)
        if step in {self._steps.store, self._steps.quarantine}:
            return ARCHIVE_RETRIES.call(lambda: step(*arguments, **named))
        return step(*arguments, **named)


def backfill_market_days(  # noqa: PLR0913 - all but settings and feed by keyword, with a default
    settings: BackfillSettings,
    feed: Feed,
    *,
    start: Day | None = None,
    end: Day | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> BackfillResult:
    """Fetch and archive the market days that a feed lacks, newest first: a daily one's own, or those of its history.

    A day that fails does not stop the others, but for a key that is refused and a quota that is used up. Safe to
    repeat: what stands whole is not asked for, and a day that is unfinished is taken up.

    Args:
        settings: Where the archive and the keyed API are, and the key.
        feed: A daily feed, or a live one that has a history.
        start: The first market day (EST), also before anything was collected; the archive's first when not given.
        end: The market day after the last; after the newest that can be there when not given.
        clock: The time, and how to wait; the machine's when not given.
        progress: Called with how many market days are done, how many are to be, and how many rows were fetched.

    Raises:
        ArchiveError: There is no such archive, or it cannot be read.
        CollectionError: A Secret block is named, and cannot be loaded.
        UsageError: No key is named.
        ValueError: The days are no days, or end before they start.
    """
    clock = clock or SystemClock()
    asked = Days.of(start, end)
    store = standing(store_of(settings), may_be_new=asked.start is not None)
    source = feed if feed.history is None else feed.history.feed
    if source.daily is None:
        raise TypeError(f"{feed.name} has no daily feed")
    newest = source.daily.newest(clock.now())
    last = newest if asked.end is None else min(newest, asked.end - ONE_DAY)
    of_source = MarketDays(settings, store, source, clock)
    days = _lacking(store, feed, asked.start, last, clock.now())
    whole = of_source.whole(days)

    def heal(day: date) -> BackfilledDay:
        return BackfilledDay(day, "already") if day in whole else _healing(store, feed, of_source.fetch(day))

    return BackfillResult(tuple(newest_first(days, heal, progress, lambda day: day.code in _OF_ALL_DAYS)))


def require_key(settings: BackfillSettings, feed: Feed) -> None:
    """Say so where a feed is backfilled with a key, and none is named.

    Raises:
        UsageError: None is.
    """
    if not settings.has_key:
        raise UsageError(f"{feed.name} is backfilled with a key: MISO_API_KEY, or a Secret block (--api-key-block)")


def _lacking(store: Store, feed: Feed, start: date | None, last: date, now: datetime) -> list[date]:
    """Return the market days up to a last one that lack intervals, or rows, newest first."""
    if start is not None and start > last:
        return []
    counted = coverage(store, start=start, end=last + ONE_DAY, now=now, feed=feed)
    healed = pl.lit(0) if feed.daily is not None else pl.col("healed")
    return counted.filter(pl.col("missing") > healed)["market_day"].sort(descending=True).to_list()


def _healing(store: Store, feed: Feed, day: BackfilledDay) -> BackfilledDay:
    """Say of a day that was fetched for a live feed how many of its intervals it speaks for."""
    if feed.history is None or day.outcome != "fetched":
        return day
    told = told_of(store, feed, Days(day.market_day, day.market_day + ONE_DAY))
    return replace(day, covered=len(covered_intervals(feed, told)))


def _became(day: date, result: RunResult, rows: int) -> BackfilledDay:
    first = result.objects[0] if result.objects else None
    if result.errors:
        error = result.errors[0]
        outcome: Outcome = "refused" if error.where is not None else "failed"
        return BackfilledDay(day, outcome, rows, object_key=first, code=error.code, message=error.message)
    if not result.objects and result.not_published:
        return BackfilledDay(day, "not_published")
    return BackfilledDay(day, "fetched" if result.objects else "already", rows, object_key=first)
