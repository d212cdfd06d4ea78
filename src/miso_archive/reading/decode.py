"""Archived bodies to typed frames, many at once. Pure.

The contract is the one authority on what a body means. Bodies in the feed's usual shape are parsed together, and every
row is held against what the contract takes without ado; a body with anything else in it goes through the contract.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import polars as pl

from miso_archive.contract.rows import Table
from miso_archive.contract.verdict import Snapshot
from miso_archive.feeds.columns import (
    INTERVAL_START,
    LIVE,
    MARKET_DAY,
    OBJECTS,
    SNAPSHOTS_TABLE,
    TYPES,
    schema_of,
    tables_of,
)
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.labels import EST_NAME
from miso_archive.intervals.market_days import ONE_DAY, market_day
from miso_archive.reading.texts import of_all
from miso_archive.reading.together import Together
from miso_archive.reading.usual import OWN_LABEL, Usual, bodies_schema, kept_fields, rows_schema
from miso_archive.store.unreadable import Unreadable
from miso_archive.text import shown

_BODYS_DAY: Final = "market_day_of_body"


class Decoded(NamedTuple):
    """What bodies hold: the frames of a feed in the order of the objects, and what could not be read.

    Of the tables ``strays`` names some rows are of another interval than their body's.
    """

    frames: Mapping[str, pl.DataFrame]
    skipped: list[Unreadable]
    strays: frozenset[str]


class Decoder:
    """Decodes the bodies of one feed: all is held against the contract, and some tables are given."""

    def __init__(self, feed: Feed, names: Collection[str] | None = None) -> None:
        """Give the tables of these names, all when none are given; the snapshots are always given."""
        self._feed = feed
        self._names = tables_of(feed) if names is None else names
        self._contract = feed.contract
        self._together = Together(feed.contract)
        self._usual = Usual(feed.contract)
        self._read = bodies_schema(feed.contract)
        self._figures = [name for name in self._read if name not in {"body", "ref_id"}]
        self._columns = {name: list(schema_of(feed, name)) for name in tables_of(feed)}
        self._rows = {table.name: rows_schema(table) for table in feed.contract.tables}

    def decode(self, objects: pl.DataFrame, bodies: Sequence[bytes]) -> Decoded:
        """Decode bodies, one a row of ``objects`` (columns as in OBJECTS), sorted by interval and revision.

        All bodies of an interval belong into one call: the last that can be read is its latest. Of rows that are of an
        hour, or of an interval of their own, other bodies may speak too: see ``Shared``.
        """
        ends = objects["interval_end"]
        parts = [
            self._usual.read(pl.Series(numbers, dtype=pl.UInt32), parsed, ends)
            for numbers, parsed in self._together.parse(bodies)
        ]
        read = _one_after_another(self._read, [part.bodies for part in parts])
        rows = {
            name: _one_after_another(schema, [part.rows[name] for part in parts]) for name, schema in self._rows.items()
        }
        skipped: list[Unreadable] = []
        if len(read) < len(bodies):
            is_odd = of_all(True, len(bodies), pl.Boolean()).scatter(read["body"], False)  # noqa: FBT003 - values
            odd = is_odd.arg_true().to_list()
            odd_read, odd_rows, skipped = self._by_contract(odd, objects, bodies)
            read = pl.concat([read, odd_read]).sort("body")
            rows = {
                name: pl.concat([frame, odd_rows[name]]).sort("body", maintain_order=True)
                for name, frame in rows.items()
            }
        frames, strays = self._frames(read, rows, objects)
        return Decoded(frames, skipped, strays)

    def _by_contract(
        self, numbers: list[int], objects: pl.DataFrame, bodies: Sequence[bytes]
    ) -> tuple[pl.DataFrame, dict[str, pl.DataFrame], list[Unreadable]]:
        keys, labels = objects["object_key"], objects["interval_end"]
        read: list[tuple[Any, ...]] = []
        rows: dict[str, list[tuple[Any, ...]]] = {table.name: [] for table in self._contract.tables}
        skipped: list[Unreadable] = []
        for number in numbers:
            snapshot = self._snapshot(bodies[number], labels[number])
            if isinstance(snapshot, str):
                skipped.append(Unreadable(keys[number], market_day(labels[number]), snapshot))
                continue
            read.append((number, snapshot.ref_id, *(getattr(snapshot.figures, name) for name in self._figures)))
            for table in self._contract.tables:
                names = kept_fields(table)
                rows[table.name] += [
                    (number, *(getattr(row, name) for name in names), getattr(row, table.label or "", None))
                    for row in snapshot.tables[table.name]
                ]
        frames = {name: pl.DataFrame(rows[name], schema, orient="row") for name, schema in self._rows.items()}
        return pl.DataFrame(read, self._read, orient="row"), frames, skipped

    def _snapshot(self, body: bytes, label: datetime) -> Snapshot | str:
        """Return what the contract makes of a body, or why it is not the snapshot its key names."""
        verdict = self._feed.examine(body)
        if verdict.snapshot is None:
            reason = verdict.reasons[0]
            return f"{reason.code.value}: {reason.where} {reason.message}"
        if verdict.snapshot.interval_end != label:
            return f"its RefId {shown(verdict.snapshot.ref_id)} names another interval than its key"
        return verdict.snapshot

    def _frames(
        self, read: pl.DataFrame, rows: Mapping[str, pl.DataFrame], objects: pl.DataFrame
    ) -> tuple[dict[str, pl.DataFrame], frozenset[str]]:
        """Return the frames of what was read, each in its own columns, and those with rows of other intervals."""
        found = objects[list(OBJECTS)]
        snapshots = read.hstack(found if len(read) == len(objects) else found[read["body"]]).with_columns(
            MARKET_DAY,
            INTERVAL_START,
            is_latest=pl.col("revision") == pl.col("revision").max().over("interval_end"),
            source=pl.lit(LIVE),
        )
        # Where each body stands among those that were read.
        place = of_all(0, len(objects), pl.UInt32())
        place = place.scatter(read["body"], pl.arange(0, len(read), eager=True, dtype=pl.UInt32))
        left_out = {"body", *self._figures}
        frames: dict[str, pl.DataFrame] = {}
        counts: dict[str, pl.Series] = {}
        strays: set[str] = set()
        for table in self._contract.tables:
            frame = rows[table.name]
            at = place[frame["body"]]
            counts[table.name] = _counted(at, len(read))
            if table.name not in self._names:
                continue
            of_bodies = snapshots if table.hour is None else _by_the_hour(snapshots, table.hour)
            shared = of_bodies[[name for name in of_bodies.columns if name not in left_out or name == table.hour]]
            whole = frame.hstack(shared[at])
            if table.label is not None and (whole[OWN_LABEL] != whole["interval_end"]).any():
                strays.add(table.name)
                whole = _under_their_own(whole)
            if table.hour is not None:
                whole = whole.drop_nulls("interval_end")
            frames[table.name] = _with_made(table, whole)[self._columns[table.name]]
        snapshots = snapshots.with_columns(**counts, quiet=counts[self._contract.tables[0].name] == 0)
        frames[SNAPSHOTS_TABLE] = snapshots[self._columns[SNAPSHOTS_TABLE]]
        return frames, frozenset(strays)


def _one_after_another(schema: pl.Schema, frames: list[pl.DataFrame]) -> pl.DataFrame:
    return frames[0] if len(frames) == 1 else pl.concat([schema.to_frame(), *frames])


def _counted(places: pl.Series, bodies: int) -> pl.Series:
    """Count the rows of each body."""
    counts = of_all(0, bodies, pl.Int32())
    if places.is_empty():
        return counts
    found = places.value_counts()
    return counts.scatter(found.to_series(0), found["count"].cast(pl.Int32))


def _under_their_own(rows: pl.DataFrame) -> pl.DataFrame:
    """Put rows under the interval that each names; one of more than a market day away is left out."""
    own = rows.with_columns(pl.col("market_day").alias(_BODYS_DAY), interval_end=pl.coalesce(OWN_LABEL, "interval_end"))
    return own.with_columns(MARKET_DAY, INTERVAL_START).filter(
        (pl.col("market_day") - pl.col(_BODYS_DAY)).abs() <= ONE_DAY
    )


def _by_the_hour(snapshots: pl.DataFrame, hour: str) -> pl.DataFrame:
    """Return bodies with the hour of the market day that they speak of as their interval.

    One half a day off is none of that day: hour 1 at midnight is the next day's, whose bodies speak of it themselves.
    """
    day_begins = pl.col("market_day").cast(pl.Datetime("us")).dt.replace_time_zone(EST_NAME)
    end = day_begins + pl.duration(hours=hour)
    return snapshots.with_columns(
        interval_start=end - pl.duration(hours=1),
        interval_end=pl.when((end - pl.col("interval_end")).abs() < pl.duration(hours=12)).then(end),
    )


def _with_made(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Add the columns that are parsed or computed from others."""
    for parsed in table.parsed:
        # Few names, which recur for years.
        known = [(text, *map(_listed, parsed.parse(text))) for text in frame[parsed.of].unique()]
        schema = {parsed.of: pl.String(), **{column.name: TYPES[column.holds] for column in parsed.columns}}
        parts = pl.DataFrame(known, schema, orient="row")
        frame = frame.join(parts, on=parsed.of, how="left", maintain_order="left")
    for computed in table.computed:
        made = computed.compute(*(pl.col(name) for name in computed.of))
        frame = frame.with_columns(made.round(6).alias(computed.column.name))
    return frame


def _listed(part: object) -> object:
    return list(part) if isinstance(part, tuple) else part
