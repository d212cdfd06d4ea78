"""Archived pages of market days to typed frames, and what of them counts. Pure."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import polars as pl

from miso_archive.contract.pages import OfADay, is_whole, page_of, standing
from miso_archive.contract.rows import PageLabel
from miso_archive.contract.verdict import Snapshot
from miso_archive.feeds.columns import (
    DAY_START,
    KEYED_API,
    MARKET_DAY,
    OBJECTS,
    SNAPSHOTS_TABLE,
    TIME,
    schema_of,
    value_columns,
)
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.market_days import market_day
from miso_archive.reading.decode import Decoded
from miso_archive.store.layout import page_named
from miso_archive.store.unreadable import Unreadable

_MIDNIGHT: Final = 24
_HOUR_ENDING: Final = (
    pl.when(pl.col("interval_end").dt.hour() == 0)
    .then(_MIDNIGHT)
    .otherwise(pl.col("interval_end").dt.hour())
    .alias("hour_ending")
)


class _Read(NamedTuple):
    """A page that could be read: where it stands among the objects, and what it says."""

    number: int
    snapshot: Snapshot


class PageDecoder:
    """Decodes the pages of one daily feed by its contract."""

    def __init__(self, feed: Feed, names: Collection[str]) -> None:
        self._feed = feed
        self._names = names
        [self._table] = feed.contract.tables
        label, row = feed.contract.label, self._table.row
        if not isinstance(label, PageLabel) or not issubclass(row, OfADay):
            raise TypeError(f"{feed.name} is no daily feed")
        self._named_by, self._length = label.named_by, row.length

    def decode(self, objects: pl.DataFrame, bodies: Sequence[bytes]) -> Decoded:
        """Decode pages, one a row of ``objects`` (columns as in OBJECTS): all of a market day in one call.

        Of each node and page they are in the order of the fetches.
        """
        skipped: list[Unreadable] = []
        read: list[_Read] = []
        keys, ends = objects["object_key"].to_list(), objects["interval_end"].to_list()
        for number, (key, end, body) in enumerate(zip(keys, ends, bodies, strict=True)):
            found = self._snapshot(key, end, body)
            if isinstance(found, str):
                skipped.append(Unreadable(key, market_day(end), found))
            else:
                read.append(_Read(number, found))
        counting = _counting(read)
        is_counted = pl.Series("is_latest", [number in counting for number in range(len(objects))], pl.Boolean)
        origin = objects[list(OBJECTS)].with_columns(is_counted, source=pl.lit(KEYED_API))
        frames = {SNAPSHOTS_TABLE: self._snapshots(read, origin)}
        if self._table.name in self._names:
            frames[self._table.name] = self._rows(read, origin)
        return Decoded(frames, skipped, frozenset())

    def _snapshot(self, key: str, end: datetime, body: bytes) -> Snapshot | str:
        """Return what the contract makes of a page, or why it is not the page that its key names."""
        verdict = self._feed.examine(body)
        snapshot = verdict.snapshot
        if snapshot is None:
            reason = verdict.reasons[0]
            return f"{reason.code.value}: {reason.where} {reason.message}"
        named = page_named(self._feed, market_day(end), key.rpartition("/")[2])
        page = page_of(snapshot)
        if named is None or snapshot.interval_end != end or (page.node, page.number) != (named.node, named.number):
            return f"it is {snapshot.ref_id}: another page than its key names"
        return snapshot

    def _snapshots(self, read: list[_Read], origin: pl.DataFrame) -> pl.DataFrame:
        feed = self._feed
        of_feed = schema_of(feed, SNAPSHOTS_TABLE)
        said = [
            {
                "ref_id": one.snapshot.ref_id,
                "node": page_of(one.snapshot).node,
                self._table.name: len(one.snapshot.rows),
            }
            | {name: getattr(one.snapshot.figures, name) for name in of_feed if hasattr(one.snapshot.figures, name)}
            for one in read
        ]
        schema = {name: dtype for name, dtype in of_feed.items() if name not in origin.columns}
        pages = pl.DataFrame(said, {name: schema[name] for name in schema if not said or name in said[0]})
        whole = origin[[one.number for one in read]].hstack(pages).with_columns(MARKET_DAY, DAY_START)
        return whole.select(pl.col(name).cast(dtype) for name, dtype in of_feed.items())

    def _rows(self, read: list[_Read], origin: pl.DataFrame) -> pl.DataFrame:
        of_table = schema_of(self._feed, self._table.name)
        values = value_columns(self._table)
        said: dict[str, list[Any]] = {column.name: [] for column in values}
        ends: list[datetime | None] = []
        at: list[int] = []
        for one in read:
            rows = one.snapshot.rows
            at += [one.number] * len(rows)
            ends += [row.interval_end for row in rows]
            for name, column in said.items():
                column += [getattr(row, name) for row in rows]
        columns = [pl.Series(column.name, said[column.name], column.dtype) for column in values]
        own = pl.DataFrame([pl.Series("interval_end", ends, TIME), *columns])
        whole = own.hstack(origin.drop("interval_end")[at])
        number = pl.col("number")
        last = number == number.filter("is_latest").last().over("interval_end", *self._named_by)
        return (
            whole.with_row_index("number")
            .with_columns(
                MARKET_DAY,
                _HOUR_ENDING,
                pl.col("is_latest") & last.fill_null(value=False),
                interval_start=pl.col("interval_end") - self._length,
            )
            .sort("interval_end", maintain_order=True)
            .select(pl.col(name).cast(dtype) for name, dtype in of_table.items())
        )


def _counting(read: list[_Read]) -> set[int]:
    """Return which pages count: those of nodes of which all pages of a market day stand, each as fetched last."""
    by_day: dict[datetime, list[_Read]] = {}
    for one in read:
        by_day.setdefault(one.snapshot.interval_end, []).append(one)
    found: set[int] = set()
    for of_day in by_day.values():
        number_of = {id(one.snapshot): one.number for one in of_day}
        for pages in standing([one.snapshot for one in of_day]).values():
            if is_whole(pages):
                found.update(number_of[id(page)] for page in pages)
    return found
