"""Bodies of every feed are read together as the contract reads each by itself."""

from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miso_archive.contract.rows import Table, fields_of
from miso_archive.feeds import FEEDS
from miso_archive.feeds.columns import OBJECTS, SNAPSHOTS_TABLE, schema_of, table_given, tables_of
from miso_archive.feeds.feed import Feed
from miso_archive.intervals.market_days import day_begins, market_day
from miso_archive.reading.decode import Decoded, Decoder
from miso_archive.reading.shared import Shared
from tests.feeds.recorded import payload_of, rows_in, spelled

each_feed = pytest.mark.parametrize("feed", FEEDS.values(), ids=list(FEEDS))
AROUND = 20
VALUES = (
    *("", "None", "none", " ", "0", "1", "82,913", "1,23", "$36.32", "$-1.20", "-$1.20", "($1.20)", ".71", "-.3"),
    *("1e5", "NaN", "inf", "-", "16:45", "24:00", "9:5", "10-02-2026", "2026-10-02 4:45:00 PM", "12:00:00 AM"),
    *("10/02/2026 4:45:00 PM EST", "2026-10-02T16:45:00", "2026-10-02T16:40:00", "2026-10-02 4:40:00 PM", "17", "25"),
    *("-1,321", "$1,321.50", "1,234,567.", "$1,2", "10/02/2026  4:45:00 PM", "10/02/2026 AM", "13/02/2026 4:45:00 PM"),
    *("02-Oct-2026 - Interval 16:45 EST", "Current Demand (MW)", "Coal", "true", "\u0661", "1\n", "\x1c"),
)
values: st.SearchStrategy[Any] = (
    st.sampled_from(VALUES) | st.none() | st.booleans() | st.integers(-3, 9) | st.floats(-2, 2) | st.just([])
)


def held(feed: Feed, bodies: list[bytes]) -> Decoded:
    """Hold what is decoded, all of the recorded body's interval, against what the contract says of each body."""
    label = feed.examine(spelled(payload_of(feed))).interval_end
    objects = pl.DataFrame(
        {
            "object_key": [f"{number:04}" for number in range(len(bodies))],
            "interval_end": [label] * len(bodies),
            "revision": range(len(bodies)),
        },
        schema_overrides=OBJECTS,
    )
    decoded = Decoder(feed).decode(objects, bodies)
    expected: dict[str, list[tuple[Any, ...]]] = {table: [] for table in tables_of(feed)}
    skipped = []
    for number, body in enumerate(bodies):
        snapshot = feed.examine(body).snapshot
        if snapshot is None or snapshot.interval_end != label:
            skipped.append(f"{number:04}")
            continue
        expected[SNAPSHOTS_TABLE].append((number, *(len(rows) for rows in snapshot.tables.values())))
        for table in feed.contract.tables:
            kept = [name for name, field in fields_of(table.row).items() if field.kept]
            for row in snapshot.tables[table.name]:
                end = getattr(row, table.label) if table.label else label
                if table.hour:
                    hour = timedelta(hours=getattr(snapshot.figures, table.hour))
                    end = day_begins(market_day(snapshot.interval_end)) + hour
                expected[table.name].append((number, end, *(shown(getattr(row, name)) for name in kept)))
    assert [one.object_key for one in decoded.skipped] == skipped
    counts = [table.name for table in feed.contract.tables]
    frame = decoded.frames[SNAPSHOTS_TABLE]
    assert frame.select("revision", *counts).rows() == expected[SNAPSHOTS_TABLE]
    for table in feed.contract.tables:
        frame = decoded.frames[table.name]
        kept = [name for name, field in fields_of(table.row).items() if field.kept]
        found = frame.select("revision", "interval_end", *kept).rows()
        rows = [(number, end, *map(shown, others)) for number, end, *others in found]
        assert rows == expected[table.name]
    for name in tables_of(feed):
        assert decoded.frames[name].schema == schema_of(feed, name)
    return decoded


def shown(value: object) -> str:
    """Spell a value down to the sign of a zero; a time by its offset."""
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def bodies(feed: Feed) -> st.SearchStrategy[bytes]:
    """Make a body in the neighbourhood of the recorded one: values, fields and rows are other, or gone, or more."""

    @st.composite
    def draw_one(draw: st.DrawFn) -> bytes:
        payload = deepcopy(payload_of(feed))
        for _ in range(draw(st.integers(1, 3))):
            table: Table = draw(st.sampled_from(feed.contract.tables))
            rows: list[Any] = rows_in(payload, table)
            number = draw(st.integers(0, len(rows) - 1)) if rows else 0
            change = draw(st.sampled_from(["value", "drop", "new", "row", "fewer", "twice", "case"]))
            row = rows[number] if rows else {}
            key = draw(st.sampled_from(sorted(row))) if isinstance(row, dict) and row else "New"
            if change == "value" and isinstance(row, dict):
                row[key] = draw(values)
            elif change == "drop" and isinstance(row, dict):
                row.pop(key, None)
            elif change == "case" and isinstance(row, dict) and key in row:
                row[key.lower()] = row.pop(key)
            elif change == "new" and isinstance(row, dict):
                row["New"] = draw(values)
            elif change == "row" and rows:
                rows[number] = draw(values)
            elif change == "fewer" and rows:
                del rows[number:]
            elif rows:
                rows.append(rows[number])
        return spelled(payload)

    return draw_one()


@each_feed
def test_the_recorded_body_needs_no_contract(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body as the host sent it is read by the fast way alone, and gives what the contract gives."""
    usual = [spelled(payload_of(feed))] * AROUND
    decoded = held(feed, usual)
    monkeypatch.setattr(Decoder, "_by_contract", lambda *_: pytest.fail("a usual body goes the slow way"))
    again = held(feed, usual)
    assert all(frame.equals(again.frames[name]) for name, frame in decoded.frames.items())


@pytest.mark.slow("tries many bodies")
@each_feed
@given(data=st.data())
def test_odd_bodies_are_read_as_the_contract_reads_them(feed: Feed, data: st.DataObject) -> None:
    """Whatever a body says, alone, repeated or among usual ones, it is read or skipped as the contract has it."""
    odd = data.draw(st.lists(bodies(feed), min_size=1, max_size=3))
    usual = [spelled(payload_of(feed))] * AROUND
    held(feed, odd)
    held(feed, odd[:1] * AROUND)
    held(feed, [*usual, *odd, *usual])


@pytest.mark.parametrize("value", VALUES)
@each_feed
def test_each_odd_value_is_read_as_the_contract_reads_it(feed: Feed, value: str) -> None:
    """In every field of every table, of one row and of all, a value means together what it means alone."""
    usual = [spelled(payload_of(feed))] * AROUND
    for table in feed.contract.tables:
        for key in rows_in(payload_of(feed), table)[0]:
            one, every = payload_of(feed), payload_of(feed)
            rows_in(one, table)[0][key] = value
            for row in rows_in(every, table):
                row[key] = value
            held(feed, [*usual, spelled(one), spelled(every)])


class TestHours:
    """Day-ahead prices, which a body says of an hour."""

    LABELS = ("00:00", "08:05", "08:10", "09:00", "09:05")
    HOURS = ("24", "9", "9", "9", "10")

    @staticmethod
    def _decoded(labels: tuple[str, ...], hours: tuple[str, ...]) -> pl.DataFrame:
        feed = FEEDS["asm_mcp"]
        bodies = []
        for label, hour in zip(labels, hours, strict=True):
            payload = payload_of(feed)
            payload["MCPData"] |= {"RefId": f"02-Oct-2026 - Interval {label} EST", "MktDay": ""}
            payload["MCPData"]["DayAheadMCP"]["HourEnding"] = hour
            payload["MCPData"]["RealTimeMCP"]["HourAndMin"] = label
            bodies.append(spelled(payload))
        ends = [feed.examine(body).interval_end for body in bodies]
        columns = {"object_key": list(map(str, range(len(ends)))), "interval_end": ends, "revision": [0] * len(ends)}
        objects = pl.DataFrame(columns, schema_overrides=OBJECTS)
        shared = Shared(feed, table_given(feed, "day_ahead"))
        # One body after the other, as if each came in a batch of its own.
        done = [shared.settle(Decoder(feed).decode(objects[[at]], [body])) for at, body in enumerate(bodies)]
        return pl.concat([*done, shared.rest()])

    def test_each_body_s_rows_are_of_its_hour(self) -> None:
        """Rows are labelled by the hour of the label's market day that the body names, not by the label."""
        rows = self._decoded(self.LABELS, self.HOURS).filter(pl.col("zone") == "1")
        spans = rows.select(
            pl.col("market_day").cast(pl.String),
            pl.col("interval_start").dt.to_string("%d %H:%M"),
            pl.col("interval_end").dt.to_string("%d %H:%M"),
            "hour_ending",
        ).rows()
        nine = ("2026-10-02", "02 08:00", "02 09:00", 9)
        before, after = ("2026-10-01", "01 23:00", "02 00:00", 24), ("2026-10-02", "02 09:00", "02 10:00", 10)
        assert spans == [before, *[nine] * 3, after]

    def test_the_last_body_of_an_hour_is_its_latest(self) -> None:
        """Once an hour, not twelve times: of the bodies that speak of an hour the last one counts."""
        rows = self._decoded(self.LABELS, self.HOURS).filter(pl.col("zone") == "1")
        assert rows["is_latest"].to_list() == [True, False, False, True, True]
