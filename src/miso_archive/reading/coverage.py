"""What was collected and what was not: a gap is never passed off as a quiet market."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import polars as pl

from miso_archive.feeds import feed_given
from miso_archive.feeds.columns import INTERVAL_START, SNAPSHOTS_TABLE, TIME, coverage_of, schema_of
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.days import Day, Days, given_now
from miso_archive.intervals.labels import INTERVAL
from miso_archive.intervals.market_days import ONE_DAY, day_begins, intervals_ended
from miso_archive.reading.one_pass import Progress, Reading, Seen
from miso_archive.reading.told import covered_intervals, told_days, told_of
from miso_archive.reports.archived import Reports
from miso_archive.store.address import ArchiveAddress, open_to_read
from miso_archive.store.layout import quarantine_folder
from miso_archive.store.listing import count_refused, days_in
from miso_archive.store.store import Store

MISSING: Final = pl.Schema(
    {"market_day": pl.Date(), "interval_start": TIME, "interval_end": TIME, "healed": pl.Boolean()}
)


def coverage(  # noqa: PLR0913 - all but the archive by keyword, with a default
    archive: ArchiveAddress,
    *,
    start: Day | None = None,
    end: Day | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
    feed: str | Feed = "reserve",
) -> pl.DataFrame:
    """Count what an archive holds of each market day: one row a day, days without anything included.

    Args:
        archive: A folder, ``s3://bucket`` or ``s3://bucket/folder``, or an S3Bucket block.
        start: The first market day (EST); the archive's first when not given.
        end: The market day after the last; after the archive's last when not given.
        now: Until when intervals are expected: an aware time, the present when not given. What an archive holds
            beyond it is expected too.
        progress: Called with how many market days have been read from raw objects, and how many are to be.
        feed: The feed's name.

    Returns:
        A frame with the columns of ``feeds.columns.coverage_of(feed)``. A market day has 288 intervals, also on the
        days on which US clocks change; of a daily feed rows are counted, not intervals.

    Raises:
        ArchiveError: There is no such archive, or it fails.
        ValueError: The days are no days, or end before they start; ``now`` is no time or has no zone; or the archive is
            of a kind that is not known.
    """
    return _whole(archive, Days.of(start, end), now, progress, feed_given(feed)).frame()


def missing_intervals(  # noqa: PLR0913 - likewise
    archive: ArchiveAddress,
    *,
    start: Day | None = None,
    end: Day | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
    feed: str | Feed = "reserve",
) -> pl.DataFrame:
    """List the intervals without a readable snapshot: one row each, in time order.

    Arguments and errors are those of ``coverage``.

    Returns:
        A frame of ``market_day``, ``interval_start``, ``interval_end`` (EST, UTC-5 all year) and ``healed``: whether
        another source of MISO's covers the interval, archived and readable. What that says is not what the live
        feed said: a healed interval stays missing. Of a daily feed each row is a market day that is not there whole.
    """
    return _whole(archive, Days.of(start, end), now, progress, feed_given(feed)).missing()


def coverage_of_day(store: Store, feed: Feed, day: date, *, now: datetime, seen: Seen) -> pl.DataFrame:
    """Count a market day as ``coverage`` does, from its raw objects: each is read once, and its body seen.

    Raises:
        ArchiveError: The archive fails.
    """
    reading = Reading(store, SNAPSHOTS_TABLE, feed=feed)
    snapshots = [decoded.frames[SNAPSHOTS_TABLE] for decoded in reading.raw([day], [SNAPSHOTS_TABLE], seen=seen)]
    return _counted(reading, Days(day, day + ONE_DAY), now, snapshots).frame()


def _whole(
    archive: ArchiveAddress, days: Days, now: datetime | None, progress: Progress | None, feed: Feed
) -> "_Coverage | _DailyCoverage":
    now = given_now(now)
    reading = Reading(open_to_read(archive), SNAPSHOTS_TABLE, feed=feed, progress=progress)
    return _counted(reading, days, now, pl.collect_all(list(reading.frames(days))))


def _counted(
    reading: Reading, days: Days, now: datetime, snapshots: Sequence[pl.DataFrame]
) -> "_Coverage | _DailyCoverage":
    count = _Coverage if reading.feed.daily is None else _DailyCoverage
    return count(reading, days, now, snapshots)


def _days_frame(
    days: list[date], expected: Callable[[date], int], refused: Mapping[date, int], unreadable: Mapping[date, int]
) -> pl.DataFrame:
    """Return a row a day: what is expected of it, and how many bodies of it were refused or cannot be read."""
    return pl.DataFrame(
        {
            "market_day": days,
            "expected": [expected(day) for day in days],
            "refused": [refused[day] for day in days],
            "unreadable": [unreadable[day] for day in days],
        },
        schema_overrides={"market_day": pl.Date},
    )


class _Coverage:
    """Counts of what was read of some days, by what else the archive knows of them."""

    def __init__(self, reading: Reading, days: Days, now: datetime, snapshots: Sequence[pl.DataFrame]) -> None:
        self._feed = reading.feed
        self._snapshots = pl.concat([schema_of(reading.feed, SNAPSHOTS_TABLE).to_frame(), *snapshots])
        self._unreadable = Counter(found.market_day for found in reading.skipped)
        self._refused = _count_refused(reading.store, reading.feed, days)
        report = reading.feed.next_day_report
        reports = () if report is None else Reports(reading.store, reading.feed, report).read(days)
        self._covered = {found.market_day: found.covered for found in reports}
        self._store = reading.store
        self._told_days = set(days.among(told_days(reading.store, reading.feed)))
        known = {*self._snapshots["market_day"], *self._unreadable, *self._refused, *self._covered}
        # Where nothing of the feed was collected nothing of it is missed.
        self._days = _between(days, known | self._told_days if known else known)
        ends = self._snapshots["interval_end"].max()
        self._horizon = max(now, ends) if isinstance(ends, datetime) else now

    def frame(self) -> pl.DataFrame:
        on_grid = _on_grid()
        latest = pl.col("is_latest") & on_grid
        quiet_or_not = {"quiet": (latest & pl.col("quiet")).sum(), "binding": (latest & ~pl.col("quiet")).sum()}
        counted = self._snapshots.group_by("market_day").agg(
            collected=latest.sum(),
            **(quiet_or_not if self._feed.contract.quiet else {}),
            revised=pl.col("interval_end").filter((pl.col("interval_end").len().over("interval_end")) > 1).n_unique(),
            off_grid=(~on_grid).sum(),
        )
        days = _days_frame(self._days, self._expected, self._refused, self._unreadable)
        of_others = self._missing([day for day in self._days if day in self._covered or day in self._told_days])
        healed = of_others.group_by("market_day").agg(pl.col("healed").sum())
        return (
            days.join(counted, on="market_day", how="left", maintain_order="left")
            .join(healed, on="market_day", how="left", maintain_order="left")
            .with_columns(pl.exclude("market_day").fill_null(0))
            .with_columns(missing=pl.col("expected").cast(pl.Int64) - pl.col("collected"))
            .select(pl.col(name).cast(dtype) for name, dtype in coverage_of(self._feed).items())
        )

    def missing(self) -> pl.DataFrame:
        return self._missing(self._days)

    def _missing(self, days: list[date]) -> pl.DataFrame:
        seen = self._snapshots.select("interval_end")
        ends = [
            (day, day_begins(day) + INTERVAL * number) for day in days for number in range(1, self._expected(day) + 1)
        ]
        expected = pl.DataFrame(ends, {"market_day": pl.Date, "interval_end": TIME}, orient="row")
        absent = expected.join(seen, on="interval_end", how="anti", maintain_order="left")
        told = self._told(sorted(self._told_days & {*absent["market_day"]}))
        covered = pl.concat([pl.DataFrame(schema={"interval_end": TIME}), *self._covered.values(), told])[
            "interval_end"
        ]
        return absent.with_columns(INTERVAL_START, healed=pl.col("interval_end").is_in(covered.implode())).select(
            list(MISSING)
        )

    def _told(self, days: list[date]) -> pl.DataFrame:
        """Return the ends of the intervals of which another source tells: of days alone that lack any."""
        if not days:
            return pl.DataFrame(schema={"interval_end": TIME})
        among = Days(days[0], days[-1] + ONE_DAY, pl.col("market_day").is_in(days))
        return covered_intervals(self._feed, told_of(self._store, self._feed, among)).to_frame()

    def _expected(self, day: date) -> int:
        return intervals_ended(day, self._horizon)


class _DailyCoverage:
    """The same of a daily feed, whose days are counted in rows."""

    def __init__(self, reading: Reading, days: Days, now: datetime, snapshots: Sequence[pl.DataFrame]) -> None:
        self._feed = reading.feed
        self._pages = pl.concat([schema_of(reading.feed, SNAPSHOTS_TABLE).to_frame(), *snapshots])
        self._unreadable = Counter(found.market_day for found in reading.skipped)
        self._refused = _count_refused(reading.store, reading.feed, days)
        self._days = _between(days, {*self._pages["market_day"], *self._unreadable, *self._refused})
        self._now = now

    def frame(self) -> pl.DataFrame:
        [table] = self._feed.contract.tables
        page = pl.struct("node", "page") if self._feed.daily and self._feed.daily.nodes else pl.col("page")
        counted = self._pages.group_by("market_day").agg(
            collected=pl.col(table.name).filter("is_latest").sum(),
            pages=page.n_unique(),
            revised=page.filter(pl.col("revision") == 1).n_unique(),
        )
        days = _days_frame(self._days, self._expected, self._refused, self._unreadable)
        return (
            days.join(counted, on="market_day", how="left", maintain_order="left")
            .with_columns(pl.exclude("market_day").fill_null(0))
            .with_columns(missing=(pl.col("expected").cast(pl.Int64) - pl.col("collected")).clip(0))
            .select(pl.col(name).cast(dtype) for name, dtype in coverage_of(self._feed).items())
        )

    def missing(self) -> pl.DataFrame:
        days = self.frame().filter(pl.col("missing") > 0)["market_day"].to_list()
        ends = [(day, day_begins(day), day_begins(day) + ONE_DAY, False) for day in days]
        return pl.DataFrame(ends, MISSING, orient="row")

    def _expected(self, day: date) -> int:
        daily = self._feed.daily
        if daily is None or not daily.can_be_there(day, self._now):
            return 0
        nodes = self._pages["node"].n_unique() or len(daily.nodes) if daily.nodes else 1
        return daily.rows * nodes


def _between(days: Days, known: Collection[date]) -> list[date]:
    """Return every day asked for, or from the first to the last of which the archive knows anything."""
    asked = days.all()
    if asked is not None:
        return asked
    first, last = days.start or min(known, default=None), max(known, default=None)
    if first is None or (last is None and days.end is None):
        return []
    after = days.end or max(first, (last or first) + ONE_DAY)
    return Days(first, max(first, after)).all() or []


def _on_grid() -> pl.Expr:
    return pl.col("interval_end").to_physical() % (INTERVAL // timedelta(microseconds=1)) == 0


def _count_refused(store: Store, feed: Feed, days: Days) -> Counter[date]:
    asked = days.among(days_in(store, quarantine_folder(feed)))
    return Counter(dict(zip(asked, count_refused(store, feed, asked), strict=True)))
