"""Closed market days to monthly Parquet, which keeps reading instant after a year. Raw objects stay for ever."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import polars as pl

from miso_archive.contract.findings import FailureCode
from miso_archive.feeds import feed_given
from miso_archive.feeds.columns import FETCH_TIMES_TABLE, SNAPSHOTS_TABLE, schema_of, tables_of
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.days import Day, Days, given_day, given_now
from miso_archive.intervals.market_days import ONE_DAY, days_between, month_end, open_day
from miso_archive.reading.fetch_times import FETCH_TIMES, fetch_times_of_raw, known_of
from miso_archive.reading.listed import Listing, list_snapshots
from miso_archive.reading.one_pass import Progress, Reading
from miso_archive.reading.shared import days_beside
from miso_archive.store.address import ArchiveAddress, open_to_read
from miso_archive.store.fetched import Fetched
from miso_archive.store.layout import curated_key
from miso_archive.store.listing import market_days
from miso_archive.store.months import VERSION, Compacted, months_of
from miso_archive.store.store import ArchiveError, Store


def results_of(feed: Feed) -> pl.Schema:
    """Return the columns of a frame of a feed's CompactedMonths, as their ``as_dict`` gives them."""
    counts = {table.name: pl.Int64() for table in feed.contract.tables}
    ends = {"unreadable": pl.Int64(), "written": pl.Boolean()}
    return pl.Schema({"month": pl.String(), "through": pl.Date(), "snapshots": pl.Int64(), **counts, **ends})


RESULTS: Final = results_of(RESERVE)
"""Those of reserve."""


@dataclass(frozen=True, slots=True)
class CompactedMonth:
    """What became of one month: the market days covered, its rows by table, whether its files were written anew."""

    month: date
    through: date
    snapshots: int
    rows: dict[str, int]
    unreadable: int
    written: bool

    @property
    def constraints(self) -> int:
        """How many binding constraints, of a feed that has such."""
        return self.rows["constraints"]

    def as_dict(self) -> dict[str, object]:
        """Return the parts as a row of ``results_of``; the month as ``YYYY-MM``."""
        said: dict[str, object] = {"month": f"{self.month:%Y-%m}", "through": self.through}
        said |= {"snapshots": self.snapshots, **self.rows}
        return said | {"unreadable": self.unreadable, "written": self.written}


def months_to_compact(
    archive: ArchiveAddress,
    *,
    start: Day | None = None,
    end: Day | None = None,
    now: datetime | None = None,
    feed: str | Feed = "reserve",
) -> list[date]:
    """Return the months, as their first days, that hold closed market days of a period.

    Args:
        archive: A folder, ``s3://bucket`` or ``s3://bucket/folder``, or an S3Bucket block.
        start: The first market day (EST); the archive's first when not given.
        end: The market day after the last; after the archive's last when not given.
        now: The time by which days are closed: an aware time, the present when not given.
        feed: The feed's name.

    Raises:
        ArchiveError: There is no such archive, or it fails.
        ValueError: The days are no days, or end before they start; ``now`` is no time or has no zone; or the archive is
            of a kind that is not known.
    """
    known = Days.of(start, end).among(market_days(open_to_read(archive), feed_given(feed)))
    last = _last_closed(now)
    return months_of(day for day in known if day <= last)


def compact_month(
    archive: ArchiveAddress,
    month: date,
    *,
    now: datetime | None = None,
    progress: Progress | None = None,
    feed: str | Feed = "reserve",
) -> CompactedMonth | None:
    """Compact a month's closed market days from their raw objects, if what stands compacted is not the same.

    Safe to repeat, beside a collector and beside another compaction: each file is replaced whole, and each says for
    itself which days it covers, so that a reader answers right whatever stands at the moment.

    Returns:
        What became of the month; None when it has no closed day with a snapshot, nor is there one beside it, closed
        too, that may have rows of the month.

    Raises:
        ArchiveError: The archive fails; or raw objects are gone, or damaged, that the month was compacted from.
        ValueError: The month is no day; ``now`` is no time or has no zone; or the archive is of a kind that is not
            known.
    """
    first = given_day(month, "month")
    if first is None:
        raise ValueError("month= is a day of the month to compact, not None")
    store = open_to_read(archive)
    return _Month(store, feed_given(feed), first.replace(day=1), _last_closed(now)).compact(progress)


def _last_closed(now: datetime | None) -> date:
    return open_day(given_now(now)) - ONE_DAY


class _Month:
    """One month's files: what stands, and what its raw objects say."""

    def __init__(self, store: Store, feed: Feed, month: date, last_closed: date) -> None:
        self._store = store
        self._feed = feed
        self._month = month
        self._keys = {table: curated_key(feed, table, month) for table in (*tables_of(feed), FETCH_TIMES_TABLE)}
        self._files = dict(zip(self._keys, store.read(list(self._keys.values())), strict=True))
        self._standing = {table: Compacted.of(feed, file) for table, file in self._files.items()}
        # A clock that went back must not take days out again.
        covered = [standing.through for standing in self._standing.values() if standing is not None]
        self._days = days_between(month, min(month_end(month), max([last_closed, *covered])))
        # Of a day that is still open each new body would have the month written anew: it counts once it is closed.
        self._beside = [day for day in days_beside(feed.contract.tables, self._days) if day <= last_closed]

    def compact(self, progress: Progress | None) -> CompactedMonth | None:
        if not self._days:
            return None
        self._refuse_what_cannot_be_read()
        listing = list_snapshots(self._store, self._feed, self._days, ordered=False)
        beside = list_snapshots(self._store, self._feed, self._beside, ordered=False)
        has_bodies = any(not found.snapshots.is_empty() for found in (listing, beside))
        if not has_bodies and not any(self._standing.values()):
            return None
        digest = _digest(listing, beside)
        [standing, *others, times] = self._standing.values()
        if (
            standing is not None
            and all(other == standing for other in others)
            and standing.version == VERSION
            # What could not be read may have been mended since: it is looked at again.
            and not standing.skipped
            and (standing.objects, standing.through) == (digest, self._days[-1])
        ):
            if times != standing:  # as in a month compacted before there were any: no body is read for them
                self._replace(FETCH_TIMES_TABLE, standing, self._fetch_times(self._fetched()))
            return self._result(standing, written=times != standing)
        return self._write(digest, progress)

    def _write(self, digest: str, progress: Progress | None) -> CompactedMonth:
        fetched = self._fetched()
        reading = Reading(self._store, SNAPSHOTS_TABLE, feed=self._feed, progress=progress)
        tables = tables_of(self._feed)
        read = list(reading.tables(self._days, tables, fetched=fetched))
        frames = {
            table: pl.concat([schema_of(self._feed, table).to_frame(), *(batch[table] for batch in read)])
            for table in tables
        }
        self._refuse_to_shrink(frames)
        frames[FETCH_TIMES_TABLE] = self._fetch_times(fetched)
        compacted = Compacted(
            version=VERSION,
            first=self._days[0],
            through=self._days[-1],
            objects=digest,
            snapshots=len(frames[SNAPSHOTS_TABLE]),
            rows={table.name: len(frames[table.name]) for table in self._feed.contract.tables},
            skipped=tuple(sorted(reading.skipped)),
        )
        stale = [table for table, standing in self._standing.items() if standing != compacted]
        for table in stale:
            self._replace(table, compacted, frames[table])
        return self._result(compacted, written=bool(stale))

    def _replace(self, table: str, compacted: Compacted, rows: pl.DataFrame) -> None:
        self._store.replace(self._keys[table], compacted.as_parquet(self._feed, table, rows))

    def _refuse_what_cannot_be_read(self) -> None:
        """Refuse to put anything in place of a file that may be whole, as one in an archive storage class is."""
        for table, file in self._files.items():
            if isinstance(file, OSError) and not isinstance(file, FileNotFoundError):
                message = (
                    f"{self._keys[table]} in {self._store.location} cannot be read ({file.strerror or file}): it is"
                    " left as it is. Make it readable, or delete it to compact anew."
                )
                raise ArchiveError(FailureCode.ARCHIVE_UNREADABLE, message)

    def _fetched(self) -> Fetched:
        """Return who tells when bodies were fetched: what stands compacted is not asked again."""
        file, standing = self._files[FETCH_TIMES_TABLE], self._standing[FETCH_TIMES_TABLE]
        known = pl.read_parquet(file) if isinstance(file, bytes) and standing is not None else FETCH_TIMES.to_frame()
        return Fetched(self._store, known_of(known))

    def _fetch_times(self, fetched: Fetched) -> pl.DataFrame:
        return fetch_times_of_raw(self._store, self._feed, self._days, fetched)

    def _refuse_to_shrink(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """Refuse to put less in place of more: what raw objects no longer give, the compacted month still does."""
        # A table may have rows of bodies beside the month's, whose snapshots are another month's.
        readable = {key for frame in frames.values() for key in frame["object_key"]}
        for table in reversed(list(frames)):  # snapshots know of the quiet ones too
            file = self._files[table]
            if self._standing[table] is None or isinstance(file, OSError):  # damaged, or absent
                continue
            gone = sorted(set(pl.read_parquet(file, columns=["object_key"])["object_key"]) - readable)
            if gone:
                message = (
                    f"{self._keys[table]} in {self._store.location} holds {len(gone)} snapshots whose raw objects are"
                    f" gone or damaged, the first {gone[0]}: it is left as it is. Bring them back, or delete it to"
                    " compact anew."
                )
                raise ArchiveError(FailureCode.ARCHIVE_UNREADABLE, message)

    def _result(self, compacted: Compacted, *, written: bool) -> CompactedMonth:
        return CompactedMonth(
            month=self._month,
            through=compacted.through,
            snapshots=compacted.snapshots,
            rows=compacted.rows,
            unreadable=len(compacted.skipped),
            written=written,
        )


def _digest(listing: Listing, beside: Listing) -> str:
    """Digest the names of what a month is made from, as far as days are closed; what is foreign beside is not told."""
    foreign = (found.object_key for found in listing.foreign)
    keys = [*listing.snapshots["object_key"], *foreign, *beside.snapshots["object_key"]]
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()
