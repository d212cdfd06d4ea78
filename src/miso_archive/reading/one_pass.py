"""One pass over market days of an archive: compacted months from Parquet, the other days from raw objects."""

import zlib
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import groupby, islice
from typing import Final

import polars as pl

from miso_archive.contract.rows import Table
from miso_archive.feeds.columns import SNAPSHOTS_TABLE, schema_of
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.days import Days
from miso_archive.intervals.market_days import ONE_DAY, days_between, market_day, month_end
from miso_archive.reading.decode import Decoded, Decoder
from miso_archive.reading.listed import list_snapshots
from miso_archive.reading.pages import PageDecoder
from miso_archive.reading.shared import Shared, days_beside
from miso_archive.store.fetched import Fetched
from miso_archive.store.gzipped import unzipped, unzipped_together
from miso_archive.store.layout import curated_key
from miso_archive.store.listing import market_days
from miso_archive.store.months import Compacted, compacted_months
from miso_archive.store.store import Store, UnreadableObjectError
from miso_archive.store.unreadable import Unreadable

Progress = Callable[[int, int], None]
"""Called with how many market days have been read from raw objects, and how many are to be."""

Seen = Callable[[bytes], None]
"""Called with each body that was read and unzipped."""

_DAYS_LISTED_TOGETHER: Final = 73
# Beyond this it is asked first which days there are: each costs a listing.
_MOST_DAYS_UNSEEN: Final = 400
_UNZIPPED_TOGETHER: Final = 64
_MOST_BODIES: Final = 24576
_MOST_BYTES_TOGETHER: Final = 7 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class _Month:
    file: bytes
    compacted: Compacted
    days: list[date]


class Reading:
    """One pass over an archive. What could not be read gathers in ``skipped``."""

    def __init__(
        self,
        store: Store,
        table: str,
        *,
        feed: Feed,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.store = store
        self._table = table
        self.feed = feed
        self._strict = strict
        self._progress = progress or (lambda _done, _total: None)
        self.skipped: list[Unreadable] = []

    def frames(self, days: Days) -> Iterator[pl.LazyFrame]:
        """Yield the frames of the days in time order, one or more a stretch of days read alike.

        Raises:
            ArchiveError: The archive fails.
            UnreadableObjectError: An object cannot be read, and the reading is strict.
        """
        for asked, compacted in self.stretches(days):
            if compacted is not None:
                yield compacted
            else:
                for tables in self.tables(asked, [self._table]):
                    yield tables[self._table].lazy()

    def stretches(self, days: Days) -> Iterator[tuple[list[date], pl.LazyFrame | None]]:
        """Yield the days in stretches read alike, in time order, with what is compacted of each; None where none is."""
        months = self._months(days)
        month_of = {day: month for month in months for day in month.days}
        wanted = days.all()
        if wanted is None or len(wanted) > _MOST_DAYS_UNSEEN:
            known = market_days(self.store, self.feed)
            wanted = sorted({*known, *days_beside(self._tables([self._table]), known), *month_of})
        wanted = days.among(wanted)
        for is_compacted, stretch in groupby(wanted, key=lambda day: day in month_of):
            asked = list(stretch)
            found = list(dict.fromkeys(month_of[day] for day in asked)) if is_compacted else []
            yield asked, self._from_compacted(found, asked) if is_compacted else None

    def tables(
        self, days: Sequence[date], names: Collection[str], *, fetched: Fetched | None = None
    ) -> Iterator[dict[str, pl.DataFrame]]:
        """Yield tables of some market days as their raw objects have them, batch after batch.

        Rows that name an interval of their own are of its market day, whatever day their body is of.
        """
        tables = self._tables(names)
        shared = {table.name: Shared(self.feed, table) for table in tables if table.label or table.hour}
        beside = days_beside(tables, days)

        def of_days(frames: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
            asked = pl.col("market_day").is_in(days)
            return {name: frame.filter(asked) for name, frame in frames.items()} if beside else frames

        for decoded in self.raw(days, names, beside=beside, fetched=fetched):
            yield of_days(
                {name: shared[name].settle(decoded) if name in shared else decoded.frames[name] for name in names}
            )
        if shared:
            nothing = {name: schema_of(self.feed, name).to_frame() for name in names}
            yield of_days(nothing | {name: table.rest() for name, table in shared.items()})

    def labels(self, days: Sequence[date]) -> pl.DataFrame:
        """Return the ends of the intervals of some market days that have a readable snapshot, as ``interval_end``."""
        among = Days(min(days), max(days) + ONE_DAY, pl.col("market_day").is_in(list(days)))
        frames = Reading(self.store, "snapshots", feed=self.feed).frames(among)
        return (
            pl.concat([schema_of(self.feed, SNAPSHOTS_TABLE).to_frame().lazy(), *frames])
            .select("interval_end")
            .collect()
        )

    def raw(
        self,
        days: Sequence[date],
        names: Collection[str],
        *,
        seen: Seen | None = None,
        beside: Sequence[date] = (),
        fetched: Fetched | None = None,
    ) -> Iterator[Decoded]:
        """Yield what the raw objects of some market days hold, batch after batch; a body that can be read is seen.

        Those of other days are read ``beside`` them: what cannot be read there is not told.
        """
        told, days = set(days), sorted({*days, *beside})
        # Files are read and unzipped here while the batches before are decoded there.
        with ThreadPoolExecutor(1) as thread:
            decoder: Decoder | PageDecoder | None = None
            pending = deque[Future[Decoded]]()
            for start in range(0, len(days), _DAYS_LISTED_TOGETHER):
                together = days[start : start + _DAYS_LISTED_TOGETHER]
                listing = list_snapshots(self.store, self.feed, together, fetched=fetched)
                self._skip(listing.foreign, told)
                for objects, bodies in self._batches(listing.snapshots, seen, told):
                    decoder = decoder or _decoder(self.feed, names)
                    # Where the thread has enough to do the decoding is done here, too.
                    is_behind = sum(not decoded.done() for decoded in pending) > 1
                    take = _at_once if is_behind else thread.submit
                    pending.append(take(decoder.decode, objects, bodies))
                    while pending and pending[0].done():
                        yield self._checked(pending.popleft().result(), told)
                self._progress(min(start + _DAYS_LISTED_TOGETHER, len(days)), len(days))
            while pending:
                yield self._checked(pending.popleft().result(), told)

    def _tables(self, names: Collection[str]) -> list[Table]:
        return [table for table in self.feed.contract.tables if table.name in names]

    def _months(self, days: Days) -> list[_Month]:
        """Return the compacted months that may hold some of the days."""
        found = compacted_months(self.store, self.feed, self._table)
        months = [month for month in found if days.among(days_between(month, month_end(month)))]
        keys = [curated_key(self.feed, self._table, month) for month in months]
        # A file that is damaged, or of another version, is as good as none: the raw objects are kept for ever.
        return [
            _Month(file, compacted, compacted.days)
            for file in self.store.read(keys)
            if isinstance(file, bytes) and (compacted := Compacted.of(self.feed, file)) is not None
        ]

    def _from_compacted(self, months: list[_Month], asked: list[date]) -> pl.LazyFrame:
        self._skip([found for month in months for found in month.compacted.skipped], set(asked))
        frame = pl.scan_parquet([month.file for month in months])
        whole = len(asked) == sum(len(month.days) for month in months)
        return frame if whole else frame.filter(pl.col("market_day").is_in(asked))

    def _batches(
        self, snapshots: pl.DataFrame, seen: Seen | None, told: Collection[date]
    ) -> Iterator[tuple[pl.DataFrame, list[bytes]]]:
        """Read and unzip the objects; the bodies of one interval come in one batch."""
        intervals = snapshots["interval_end"].to_physical().to_list()
        rows: list[int] = []
        bodies: list[bytes] = []
        size = 0
        for end, those, unzipped_ones in self._unzipped(snapshots, intervals, told):
            if seen is not None:
                for body in unzipped_ones:
                    seen(body)
            rows += those
            bodies += unzipped_ones
            size += sum(map(len, unzipped_ones))
            is_last = end == len(intervals)
            is_full = len(bodies) >= _MOST_BODIES or size >= _MOST_BYTES_TOGETHER
            # Before the next is unzipped: a batch may be one that is large.
            if bodies and (is_last or (is_full and intervals[end] != intervals[end - 1])):
                yield snapshots[rows], bodies
                rows, bodies, size = [], [], 0

    def _unzipped(
        self, snapshots: pl.DataFrame, intervals: Sequence[int], told: Collection[date]
    ) -> Iterator[tuple[int, Sequence[int], list[bytes]]]:
        """Yield bodies by their rows, and the row after them: small ones several at a time, others alone."""
        keys = snapshots["object_key"].to_list()
        read = self.store.read(keys)
        for rows in _several(intervals):
            data = list(islice(read, len(rows)))
            together = unzipped_together(data)
            if together is not None:
                yield rows.stop, rows, together
                continue
            for row, one in zip(rows, data, strict=True):
                try:
                    body = unzipped(one)
                except (zlib.error, OSError) as error:
                    day = market_day(snapshots["interval_end"][row])
                    self._skip([Unreadable(keys[row], day, f"it cannot be read: {error}")], told)
                    yield row + 1, [], []
                else:
                    yield row + 1, [row], [body]

    def _checked(self, decoded: Decoded, told: Collection[date]) -> Decoded:
        self._skip(decoded.skipped, told)
        return decoded

    def _skip(self, skipped: list[Unreadable], told: Collection[date]) -> None:
        skipped = [found for found in skipped if found.market_day in told]
        if skipped and self._strict:
            raise UnreadableObjectError(f"{self.store.location}/{skipped[0].object_key}: {skipped[0].reason}")
        self.skipped += skipped


def _several(intervals: Sequence[int]) -> Iterator[range]:
    """Yield the numbers of objects, as many at a time as are unzipped together, and all of an interval."""
    begin = 0
    while begin < len(intervals):
        end = min(begin + _UNZIPPED_TOGETHER, len(intervals))
        while end < len(intervals) and intervals[end] == intervals[end - 1]:
            end += 1
        yield range(begin, end)
        begin = end


def _decoder(feed: Feed, names: Collection[str]) -> Decoder | PageDecoder:
    return Decoder(feed, names) if feed.daily is None else PageDecoder(feed, names)


def _at_once(
    decode: Callable[[pl.DataFrame, list[bytes]], Decoded], objects: pl.DataFrame, bodies: list[bytes]
) -> Future[Decoded]:
    """Decode bodies in this thread, as a pool's ``submit`` does in another."""
    decoded: Future[Decoded] = Future()
    decoded.set_result(decode(objects, bodies))
    return decoded
