"""Bodies of every feed are read together as the contract reads each by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miso_archive.contract.kinds import AMOUNT, MARKET_DAY, NAME, TEXT, optional
from miso_archive.contract.rows import Contract, Row, Table, published
from miso_archive.feeds import FEEDS
from miso_archive.feeds.columns import OBJECTS, table_given
from miso_archive.intervals.market_days import is_market_day_of
from miso_archive.reading.decode import Decoder
from miso_archive.reading.shared import Shared
from tests.feeds.made_up import REGIONAL_DEMAND
from tests.feeds.near import VALUES, bodies, within
from tests.feeds.recorded import payload_of, rows_in, spelled
from tests.reading.held import held

if TYPE_CHECKING:
    from collections.abc import Callable

    from miso_archive.feeds.feed import Feed
    from miso_archive.reading.decode import Decoded

each_feed = pytest.mark.parametrize("feed", FEEDS.values(), ids=list(FEEDS))
AROUND = 20


def hold(feed: Feed, made: list[bytes]) -> Decoded:
    """Hold bodies of the recorded body's interval against the contract."""
    return held(feed, made, feed.examine(spelled(payload_of(feed))).interval_end)


@each_feed
def test_the_recorded_body_needs_no_contract(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body as the host sent it is read by the fast way alone, and gives what the contract gives."""
    usual = [spelled(payload_of(feed))] * AROUND
    decoded = hold(feed, usual)
    monkeypatch.setattr(Decoder, "_by_contract", lambda *_: pytest.fail("a usual body goes the slow way"))
    again = hold(feed, usual)
    assert all(frame.equals(again.frames[name]) for name, frame in decoded.frames.items())


@pytest.mark.slow("tries many bodies")
@each_feed
@settings(max_examples=12)
@given(data=st.data())
def test_odd_bodies_are_read_as_the_contract_reads_them(feed: Feed, data: st.DataObject) -> None:
    """Whatever a body says, alone, repeated or among usual ones, it is read or skipped as the contract has it."""
    odd = data.draw(st.lists(bodies(feed), min_size=1, max_size=3))
    usual = [spelled(payload_of(feed))] * AROUND
    hold(feed, odd)
    hold(feed, odd[:1] * AROUND)
    hold(feed, [*usual, *odd, *usual])


@pytest.mark.slow("tries many bodies")
@pytest.mark.parametrize("value", VALUES)
@each_feed
def test_each_odd_value_is_read_as_the_contract_reads_it(feed: Feed, value: str) -> None:
    """In every field of every table, of one row and of all, a value means together what it means alone."""
    made = [spelled(payload_of(feed))] * AROUND
    for table in feed.contract.tables:
        for key in rows_in(payload_of(feed), table)[0]:
            one, every = payload_of(feed), payload_of(feed)
            rows_in(one, table)[0][key] = value
            for row in rows_in(every, table):
                row[key] = value
            made += [spelled(one), spelled(every)]
    # Every value is text: none of these bodies keeps the others from being parsed with it.
    hold(feed, made)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share(Row):
    """A row with a kind of value of its feed's own, a day that says the label's again and is kept, and our own name."""

    region: str = published("Name", NAME)
    share: float = published(
        "Share",
        replace(AMOUNT, name="percent", read=lambda value: float(str(AMOUNT.read(value))) / 100),
    )
    day: date = published("Day", MARKET_DAY, agrees=is_market_day_of)
    text: str = published("body", TEXT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark(Row):
    """What a body says beside its rows: a day that is kept, and what may be absent."""

    day: date | None = published("Day", optional(MARKET_DAY), agrees=is_market_day_of, required=False)
    remark: str | None = published("Remark", optional(TEXT), required=False)


SHARES = replace(
    REGIONAL_DEMAND,
    contract=Contract(label="RefId", tables=(Table(name="shares", at="Region", row=Share),), figures=Remark),
)


@pytest.mark.parametrize("any_case", [False, True])
@pytest.mark.parametrize(
    "other",
    [{}, {"Share": "1,050"}, {"Day": "2-10-2026"}, {"New": 1}],
    ids=["as usual", "another number", "another day", "a new field"],
)
@pytest.mark.parametrize("remark", [{"Remark": "x"}, {"remark": "x"}, {"remark": "x", "New": 1}], ids=str)
def test_what_no_feed_has_yet_is_read_as_the_contract_reads_it(
    remark: dict[str, object], other: dict[str, object], *, any_case: bool
) -> None:
    """A kind of a feed's own, a day that is kept, a name in another case: together they mean what they mean alone."""
    feed = replace(SHARES, contract=replace(SHARES.contract, any_case=any_case))
    row = {"Name": "North", "Share": "50", "Day": "10-02-2026", "body": "x"}
    body = spelled(
        {"RefId": "03-Oct-2026 - Interval 00:00 EST", "Day": "10-02-2026", "Region": [row, row | other]} | remark
    )
    shares = held(feed, [body] * AROUND, feed.examine(body).interval_end).frames["shares"]
    assert shares.select("share", "day").row(0) == (0.5, date(2026, 10, 2))


CHANGES: dict[str, tuple[type[dict[str, Any] | list[Any]], Callable[[Any, Any], object]]] = {
    "a field gone": (dict, lambda row, key: row.pop(key)),
    "a field null": (dict, lambda row, key: row.update({key: None})),
    "a field in lower case": (dict, lambda row, key: row.update({key.lower(): row.pop(key)})),
    "rows gone": (list, lambda rows, number: rows.__delitem__(slice(number, None))),
    "a row null": (list, lambda rows, number: rows.insert(number, None)),
    "a row twice": (list, lambda rows, number: rows.append(rows[number])),
}


@pytest.mark.parametrize("change", CHANGES)
@each_feed
def test_each_change_is_read_as_the_contract_reads_it(feed: Feed, change: str) -> None:
    """Whatever is gone, null, twice or spelled otherwise in one place of a body, it is read as it is alone."""
    kind, made = CHANGES[change]
    found = [spelled(payload_of(feed))] * AROUND
    for place, part in enumerate(within(payload_of(feed))):
        for at in (part if isinstance(part, dict) else range(len(part))) if isinstance(part, kind) else ():
            payload = payload_of(feed)
            made(list(within(payload))[place], at)
            found.append(spelled(payload))
    assert len(found) > AROUND
    hold(feed, found)


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
