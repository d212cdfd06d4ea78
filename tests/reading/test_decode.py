import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miso_archive.contract.body import MOST_BYTES
from miso_archive.feeds.columns import CONSTRAINTS, OBJECTS, SNAPSHOTS
from miso_archive.feeds.feed import Feed
from miso_archive.feeds.reserve import RESERVE
from miso_archive.intervals.labels import EST, INTERVAL
from miso_archive.intervals.market_days import market_day
from miso_archive.reading.decode import Decoded, Decoder
from miso_archive.simulate.market import snapshot_body
from tests.contract.test_properties import documented_rows, json_values, live_rows, ref_ids

FIRST_END = datetime(2026, 7, 27, 0, 0, tzinfo=EST)
# Enough to be parsed together, with room for the odd ones to spoil more than one half.
ENDS = [FIRST_END + number * INTERVAL for number in range(40)]
USUAL = [snapshot_body(end, seed=43) for end in ENDS]
ODD_AT = 23
DECODER = Decoder(RESERVE)
FROM_CONTRACT = (
    *("description", "shadow_price", "reserve_type", "direction", "quantity", "override"),
    *("bp1", "pc1", "bp2", "pc2"),
)

PRICES = (
    *("-0.16", "1e5", "1E-05", "+1", ".5", "5.", "-0", "00012", "9007199254740993", "5e-324", "0.1", "1e400"),
    *("1e-400", " -1.5", "1\t", "1\n", "\x0b1", "\xa01", "1_0", "0x10", "1,000", "1d5", "1f", "\u0661", "-"),
    *("", "None", "none", "0.00", "inf", "-inf", "nan", "Infinity", "True", "1 2"),
    *("179769313486231580793728971405303415079934132710037826936e252",),
)
NAMES = (
    *("None", "NONE", "None - None", " none", "\x1fNone", "None\x1c", "\u2003None", "None ", "\x1c", "\x1f\x1e"),
    *("\x85", " ", "", "\xa0", "\u200b", "Zürich (A_B) - STR Zone_1", "\ud800"),
    *("RDT_SO_MW (South_North) - STR Zone_1",),
)
# What may follow the last field of a body, or stand in place of its closing brace.
TAILS = (
    *("", "}", "} ", "}\n", "}x", "}\x00", "}\x00{}", "},", "}}", ",}", "}{}", '},"z":{}', '}],"z":[{}'),
    *("}\x0c", "]", ',"x":1}', ',"x":NaN}', ',"x":1e999}', ',"x":01}', ',"x":"\\udc00"}'),
    *(',"\\udc00":1}', ',"x":"\\x"}', ',"x":"\t"}', ',"x":{"RefId":[1,null]}}', ',"x":1,"x":2}'),
    *(',"RefId":"x"}', ',"Constraint":[]}', ',"Constraint":null}', ',"error":"no data"}'),
    *(',"x":' + "[" * 2000 + "]" * 2000 + "}", ',"x":' + "1" * 5000 + "}"),
)


def odd_rows(end: datetime) -> st.SearchStrategy[Any]:
    """Make a row in the neighbourhood of the live feed's."""
    period = end.replace(tzinfo=None).isoformat()
    periods = st.sampled_from([period, f"{period} ", f"{period}Z", f"{period}-05:00", period[:-3], "", "2026-07-27"])
    return st.fixed_dictionaries(
        {
            "Name": st.sampled_from(NAMES),
            "Period": st.just(period) | periods,
            "Price": st.sampled_from(PRICES) | json_values,
        },
        optional={
            "Description": st.sampled_from(["None", "", "STR Zone_1", "é", None, "\udfff"]),
            "ReserveType": st.just("SPIN"),
            "Zone": json_values,
        },
    )


@st.composite
def odd_bodies(draw: st.DrawFn, end: datetime) -> bytes:
    """Make a body that the contract takes or refuses: far from the usual, or nearly the usual."""
    rows = draw(st.lists(live_rows(end) | odd_rows(end) | documented_rows(end) | json_values, max_size=3))
    label = draw(ref_ids(end) | st.sampled_from(["", " 27-jul-2026 - interval 01:55 EST", "27-Jul-2026, 01:55 EST "]))
    text = json.dumps(
        {"RefId": label, "Constraint": rows},
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 2])),
        separators=draw(st.sampled_from([(",", ":"), (" ,\t", " : ")])),
    )
    body = (text[:-1] + draw(st.sampled_from(TAILS))).encode(errors="surrogatepass")
    body = body.replace(b"\n", b"\r\n") if draw(st.booleans()) else body
    return draw(st.sampled_from([body, b"\xef\xbb\xbf" + body, b" " + body, b"\x00" + body]))


@st.composite
def damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """Lose, change or repeat some bytes of a usual body."""
    at, lost = draw(st.integers(0, len(body))), draw(st.integers(0, 2))
    junk = draw(st.sampled_from([b"", b"\n", b"\r", b"\x00", b"\xff", b"\\", b'"', b"}", b"{}", b" ", b"\t"]))
    return draw(st.sampled_from([body[:at] + junk + body[at + lost :], body[:at], body + body[at:], body[at:] + body]))


def objects_of(ends: list[datetime]) -> pl.DataFrame:
    """Number the revisions of each interval, as the listing does."""
    revisions = [ends[:number].count(end) for number, end in enumerate(ends)]
    keys = [f"{number:04}" for number in range(len(ends))]
    return pl.DataFrame({"object_key": keys, "interval_end": ends, "revision": revisions}, schema=OBJECTS)


def values_of(row: dict[str, Any]) -> Iterator[str]:
    """Spell what the contract reads of a row, down to the sign of a zero."""
    return (repr(row[name]) for name in FROM_CONTRACT)


def check(ends: list[datetime], bodies: list[bytes]) -> Decoded:
    """Hold what is decoded against what the contract says of each body by itself."""
    constraints: list[tuple[Any, ...]] = []
    snapshots: list[tuple[Any, ...]] = []
    skipped = []
    objects = objects_of(ends)
    for key, end, revision, body in zip(objects["object_key"], ends, objects["revision"], bodies, strict=True):
        snapshot = RESERVE.examine(body).snapshot
        if snapshot is None or snapshot.interval_end != end:
            skipped.append((key, market_day(end)))
            continue
        rows = [asdict(row) for row in snapshot.rows]
        snapshots.append((key, end, revision, snapshot.ref_id, len(rows), not rows))
        constraints += [(key, end, snapshot.ref_id, row["constraint_name"], *values_of(row)) for row in rows]
    decoded = DECODER.decode(objects, bodies)
    assert decoded.frames["constraints"].schema == CONSTRAINTS
    assert decoded.frames["snapshots"].schema == SNAPSHOTS
    assert [
        (row["object_key"], row["interval_end"], row["ref_id"], row["constraint_name"], *values_of(row))
        for row in decoded.frames["constraints"].to_dicts()
    ] == constraints
    assert [
        (row["object_key"], row["interval_end"], row["revision"], row["ref_id"], row["constraints"], row["quiet"])
        for row in decoded.frames["snapshots"].to_dicts()
    ] == snapshots
    assert [(one.object_key, one.market_day) for one in decoded.skipped] == skipped
    latest = {end: revision for _, end, revision, *_ in snapshots}
    for frame in (decoded.frames["constraints"], decoded.frames["snapshots"]):
        columns = frame.select("interval_end", "revision", "is_latest").rows()
        assert [is_latest for *_, is_latest in columns] == [latest[end] == revision for end, revision, _ in columns]
    return decoded


@pytest.mark.slow("tries many bodies")
@given(st.data())
def test_bodies_are_read_as_the_contract_reads_them(data: st.DataObject) -> None:
    """Odd bodies among usual ones are read or skipped, row by row and bit by bit, as the contract has it."""
    ends, bodies = list(ENDS), list(USUAL)
    numbers = data.draw(st.sets(st.integers(0, len(ENDS) - 1), max_size=5).map(lambda found: sorted(found)[::-1]))
    for number in numbers:
        body = data.draw(odd_bodies(ENDS[number]) | damaged(USUAL[number]))
        if data.draw(st.booleans()):
            bodies[number] = body
        else:  # the same interval once more
            ends.insert(number + 1, ENDS[number])
            bodies.insert(number + 1, body)
    check(ends, bodies)


@pytest.mark.slow("tries many bodies")
@given(
    st.lists(st.integers(0, len(ENDS) - 1).flatmap(lambda number: st.tuples(st.just(number), odd_bodies(ENDS[number]))))
)
def test_a_few_odd_bodies_are_read_as_the_contract_reads_them(odd: list[tuple[int, bytes]]) -> None:
    """Without a usual body beside them, odd bodies are read or skipped as the contract has it, none at all included."""
    odd = sorted(odd)
    check([ENDS[number] for number, _ in odd], [body for _, body in odd])


def live_row(**fields: object) -> dict[str, object]:
    """Make a row of the live feed's shape in the odd body's interval."""
    name = "RDT_SO_MW (South_North) - STR Zone_1"
    period = ENDS[ODD_AT].replace(tzinfo=None).isoformat()
    return {"Name": name, "Period": period, "Price": "-0.16", "Description": "STR Zone_1"} | fields


def live_text(*rows: object) -> str:
    """Spell a body of the live feed in the odd body's interval."""
    return json.dumps({"RefId": f"27-Jul-2026 - Interval {ENDS[ODD_AT]:%H:%M} EST", "Constraint": list(rows)})


ODD_TEXTS = {
    **{f"price {price[:20]!r}": live_text(live_row(Price=price)) for price in PRICES},
    **{f"name {name!r}": live_text(live_row(Name=name)) for name in NAMES},
    **{f"placeholder {name!r}": live_text(live_row(Name=name, Price="0")) for name in NAMES},
    **{f"tail {tail[:20]!r}": live_text(live_row())[:-1] + tail for tail in TAILS},
    "placeholder beside constraints": live_text(live_row(), live_row(Name="None", Price="None")),
    "row of null": live_text(live_row(), None),
    "row of another type": live_text(live_row(), []),
    "number as a price": live_text(live_row(Price=-0.16)),
    "null as a price": live_text(live_row(Price=None)),
    "null as a description": live_text(live_row(Description=None)),
    "number as a name": live_text(live_row(Name=5)),
    "another interval in a row": live_text(live_row(Period="2026-07-27T09:00:00")),
    "line break within text": live_text(live_row()).replace("STR Zone_1", "STR\nZone_1"),
    "carriage return within text": live_text(live_row()).replace("STR Zone_1", "STR\rZone_1"),
    "tab within text": live_text(live_row()).replace("STR Zone_1", "STR\tZone_1"),
    "escaped line break": live_text(live_row(Description="STR\nZone_1")),
    "escaped known field": live_text(live_row()).replace('"Name"', '"N\\u0061me"'),
    "escaped documented field": live_text(live_row()).replace('"Name"', '"Reserve\\u0054ype":"SPIN","Name"'),
    "a field twice": live_text(live_row()).replace('"Price"', '"Price":"5","Price"'),
    "a list": f"[{live_text(live_row())}]",
    "null": "null",
    "nothing": "",
    "larger than is read": live_text(live_row()).replace("{", "{" + " " * MOST_BYTES, 1),
    "twice": live_text(live_row()) * 2,
    "an error": '{"error":"no data"}',
    "a page": "<html></html>",
}


@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=list(ODD_TEXTS))
def test_an_odd_body_is_read_as_the_contract_reads_it(text: str) -> None:
    """Each known oddity is taken or refused as the contract has it, by itself, repeated, and among usual ones."""
    body = text.encode(errors="surrogatepass")
    check([ENDS[ODD_AT]], [body])
    if len(body) < MOST_BYTES:
        check([ENDS[ODD_AT]] * 20, [body] * 20)
    check(ENDS, [*USUAL[:ODD_AT], body, *USUAL[ODD_AT + 1 :]])


@pytest.mark.parametrize(
    "body",
    [
        *(body.encode("latin-1") for body in (live_text(live_row()).replace("STR Zone_1", "é"),)),
        live_text(live_row()).encode("utf-16"),
        live_text(live_row())[:-1].encode() + b',"x":"\xed\xa0\x80"}',
        b"\xef\xbb\xbf" + live_text(live_row()).encode(),
        b"\xef\xbb\xbf\xef\xbb\xbf" + live_text(live_row()).encode(),
    ],
)
def test_another_encoding_is_read_as_the_contract_reads_it(body: bytes) -> None:
    """Bytes that are no UTF-8 are refused and a byte order mark is passed over, wherever the body stands."""
    for number in (0, ODD_AT, len(ENDS) - 1):
        ends = [*ENDS[:number], ENDS[ODD_AT], *ENDS[number + 1 :]]
        check(ends, [*USUAL[:number], body, *USUAL[number + 1 :]])


@pytest.mark.parametrize(
    "together",
    [
        lambda first, second: [b"", first + second],
        lambda first, second: [first + second, b""],
        lambda first, _: [first[:20], first[20:]],
        lambda first, second: [first[:-1], b"}" + second],
        lambda first, second: [first[:-2], b"]}" + second],
        lambda first, second: [first[:-1] + b',"x":', second + b"}" + second],
        lambda first, second: [b"\n", first + b"\n" + second],
        lambda first, second: [first + b"\n" + second, b"\r\n"],
        lambda first, _: [first + b'{"RefId":', b'"x"}'],
    ],
)
def test_no_body_lends_to_its_neighbour(together: Any) -> None:  # noqa: ANN401 - makes two bodies of two
    """Bodies that are whole only with the one beside them are refused, though their sum is what was expected."""
    odd = together(USUAL[ODD_AT], USUAL[ODD_AT + 1])
    for ends in (ENDS, [*ENDS[:ODD_AT], ENDS[ODD_AT], ENDS[ODD_AT], *ENDS[ODD_AT + 2 :]]):
        decoded = check(ends, [*USUAL[:ODD_AT], *odd, *USUAL[ODD_AT + 2 :]])
        assert len(decoded.frames["snapshots"]) == len(ENDS) - 2


def test_an_added_field_changes_nothing() -> None:
    """When the feed adds a field to every row, or to the body, the frames stay as they were."""
    rows = [json.loads(body) for body in USUAL]
    in_rows = [{**body, "Constraint": [{**row, "New": [1, {}]} for row in body["Constraint"]]} for body in rows]
    for drifted in (in_rows, [{"New": None, **body} for body in rows]):
        decoded = check(ENDS, [json.dumps(body).encode() for body in drifted])
        assert decoded.frames["constraints"].equals(check(ENDS, USUAL).frames["constraints"])


def test_usual_bodies_need_no_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies of the live feed, spaced, with line breaks or with an added field, are read without the slow way."""
    monkeypatch.setattr(Feed, "examine", lambda _feed, _body: pytest.fail("a usual body goes the slow way"))
    payloads = [json.loads(body) for body in USUAL]
    names = {payload["Constraint"][0]["Name"] if payload["Constraint"] else "" for payload in payloads}
    assert {"", "None", "None - None"} < names
    spellings = {
        "compact": [json.dumps(payload, separators=(",", ":")) for payload in payloads],
        "pretty": [json.dumps(payload, indent=2) + "\n" for payload in payloads],
        "Windows": [json.dumps(payload, indent=1).replace("\n", "\r\n") for payload in payloads],
        "drifted": [json.dumps(payload | {"New": 1}) for payload in payloads],
    }
    for texts in spellings.values():
        decoded = DECODER.decode(objects_of(ENDS), [text.encode() for text in texts])
        assert (len(decoded.frames["snapshots"]), decoded.skipped) == (len(ENDS), [])


def test_a_skipped_body_says_why() -> None:
    """What is skipped is named with its market day and the contract's first reason, or the interval it names."""
    bodies = [*USUAL[:38], b'{"error":"no data"}', USUAL[0]]
    refused, misplaced = DECODER.decode(objects_of(ENDS), bodies).skipped
    assert refused.object_key == "0038"
    assert refused.market_day == (FIRST_END + timedelta(minutes=38 * 5)).date()
    assert refused.reason.startswith("error_payload: error ")
    assert misplaced.reason == "its RefId '27-Jul-2026 - Interval 00:00 EST' names another interval than its key"


def test_the_label_of_midnight_ends_the_day_before() -> None:
    """The label 00:00 belongs to the market day before, and an interval starts five minutes before its label."""
    frame = DECODER.decode(objects_of(ENDS), USUAL).frames["snapshots"].sort("interval_end")
    assert frame["market_day"].to_list() == [(FIRST_END - timedelta(days=1)).date(), *[FIRST_END.date()] * 39]
    assert frame["interval_start"].to_list() == [end - timedelta(minutes=5) for end in ENDS]
    assert frame["source"].unique().to_list() == ["live"]


def test_names_are_parsed_into_columns() -> None:
    """Each row carries the parts of its own name, and nulls where the shape is not known."""
    names = [
        "RDT_SO_MW (South_North) - STR+Lost_Gen Zone_3",
        "something else entirely",
        "RDT_SO_MW (South_North) - STR",
    ]
    body = live_text(*(live_row(Name=name) for name in names)).encode()
    frame = DECODER.decode(objects_of([ENDS[ODD_AT]]), [body]).frames["constraints"]
    assert frame.select("constraint_name", "element", "flow_direction", "terms", "zone").rows() == [
        (names[0], "RDT_SO_MW", "South_North", ["STR", "Lost_Gen"], 3),
        (names[1], None, None, None, None),
        (names[2], "RDT_SO_MW", "South_North", ["STR"], None),
    ]


def test_the_latest_is_the_last_that_can_be_read() -> None:
    """A body that a readable one supersedes is not the latest; one that only damaged ones follow is."""
    end = ENDS[ODD_AT]
    bodies = [snapshot_body(end, seed=43, revision=number) for number in range(3)]
    frame = DECODER.decode(objects_of([end] * 3), [*bodies[:2], bodies[2][:50]]).frames["snapshots"]
    assert frame.select("revision", "is_latest").rows() == [(0, False), (1, True)]
