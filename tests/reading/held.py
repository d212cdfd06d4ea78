"""What many bodies are read as, held against what the contract says of each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from miso_archive.contract.rows import fields_of
from miso_archive.feeds.columns import OBJECTS, SNAPSHOTS_TABLE, figure_columns, schema_of, tables_of
from miso_archive.intervals.market_days import ONE_DAY, day_begins, market_day
from miso_archive.reading.decode import Decoded, Decoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from miso_archive.contract.rows import Table
    from miso_archive.contract.verdict import Snapshot
    from miso_archive.feeds.feed import Feed


HALF_A_DAY = timedelta(hours=12)


def decoded(feed: Feed, bodies: Sequence[bytes], label: datetime | None) -> Decoded:
    """Decode bodies that are archived under one label, each of a later revision."""
    columns = {
        "object_key": [f"{number:04}" for number in range(len(bodies))],
        "interval_end": [label] * len(bodies),
        "revision": range(len(bodies)),
    }
    return Decoder(feed).decode(pl.DataFrame(columns, schema_overrides=OBJECTS), bodies)


def held(feed: Feed, bodies: Sequence[bytes], label: datetime | None) -> Decoded:
    """Decode them, and hold rows, figures and what is left out against the contract."""
    found = decoded(feed, bodies, label)
    figures = [column.name for column in figure_columns(feed.contract)]
    expected: dict[str, list[tuple[Any, ...]]] = {table: [] for table in tables_of(feed)}
    skipped = []
    judged = {body: feed.examine(body).snapshot for body in set(bodies)}
    for number, body in enumerate(bodies):
        snapshot = judged[body]
        if snapshot is None or snapshot.interval_end != label:
            skipped.append(f"{number:04}")
            continue
        counts = (len(rows) for rows in snapshot.tables.values())
        expected[SNAPSHOTS_TABLE].append((number, *counts, *(shown(getattr(snapshot.figures, one)) for one in figures)))
        for table in feed.contract.tables:
            for row in snapshot.tables[table.name]:
                values = (shown(getattr(row, name)) for name in _kept(table))
                end = _end(table, snapshot, row)
                if _is_near(table, end, snapshot.interval_end):
                    expected[table.name].append((number, end, *values))
    assert [one.object_key for one in found.skipped] == skipped
    counted = [table.name for table in feed.contract.tables]
    snapshots = found.frames[SNAPSHOTS_TABLE].select("revision", *counted, *figures)
    size = len(counted) + 1
    assert [(*row[:size], *map(shown, row[size:])) for row in snapshots.rows()] == expected[SNAPSHOTS_TABLE]
    for table in feed.contract.tables:
        frame = found.frames[table.name].select("revision", "interval_end", *_kept(table))
        assert [(number, end, *map(shown, row)) for number, end, *row in frame.rows()] == expected[table.name]
    for name in tables_of(feed):
        assert found.frames[name].schema == schema_of(feed, name)
    return found


def shown(value: object) -> str:
    """Spell a value down to the sign of a zero; a time by its offset."""
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def _kept(table: Table) -> list[str]:
    return [name for name, field in fields_of(table.row).items() if field.kept]


def _is_near(table: Table, end: datetime, label: datetime) -> bool:
    """Tell whether a row is read: an hour half a day from the label, or an interval market days from it, is not."""
    if table.hour:
        return abs(end - label) < HALF_A_DAY
    return abs(market_day(end) - market_day(label)) <= ONE_DAY


def _end(table: Table, snapshot: Snapshot, row: Any) -> datetime:  # noqa: ANN401 - a row of any feed
    """Return the end of a row's interval: its own, that of its hour, or its body's."""
    if table.label:
        own: datetime = getattr(row, table.label)
        return own
    if not table.hour:
        return snapshot.interval_end
    return day_begins(market_day(snapshot.interval_end)) + timedelta(hours=getattr(snapshot.figures, table.hour))
