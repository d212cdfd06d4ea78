import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from miso_archive.contract.findings import MOST_FINDINGS
from miso_archive.contract.verdict import Verdict
from miso_archive.feeds.reserve import DIRECTIONS, DOCUMENTED_FIELDS, LIVE_FIELDS, RESERVE, RESERVE_TYPES
from miso_archive.intervals.labels import EST, INTERVAL
from tests.bodies import DOCUMENTED_ROW, LIVE_ROW, REF_ID, without

pytestmark = pytest.mark.slow("tries many bodies")

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # A text of its own, or one that means something in the contract.
    | st.text()
    | st.sampled_from([*LIVE_ROW.values(), REF_ID, "None", "0", "1", ""]),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)
rows_of_anything = (
    st.dictionaries(st.sampled_from([*LIVE_FIELDS, *DOCUMENTED_FIELDS, "Zone"]), json_values) | json_values
)
payloads = json_values | st.fixed_dictionaries(
    {},
    optional={"RefId": st.just(REF_ID) | json_values, "Constraint": st.lists(rows_of_anything), "error": json_values},
)

names = st.text(min_size=1).filter(lambda name: name.strip() and name.strip().lower() not in {"none", "none - none"})
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
numerics = numbers | numbers.map(str)
intervals = st.integers(0, 199 * 365 * 288).map(lambda count: datetime(2000, 1, 1, tzinfo=EST) + count * INTERVAL)


def ref_ids(end: datetime) -> st.SearchStrategy[str]:
    """Spell an interval's end in either way."""
    day = f"{end.day:02}-{MONTHS[end.month - 1]}-{end.year}"
    return st.sampled_from([f"{day} - Interval {end:%H:%M} EST", f"{day}, {end:%H:%M} EST"])


def live_rows(end: datetime) -> st.SearchStrategy[dict[str, Any]]:
    """Make a valid row of the live feed's shape."""
    period = end.replace(tzinfo=None).isoformat()
    return st.fixed_dictionaries(
        {"Name": names, "Period": st.just(period), "Price": numerics, "Description": st.text() | st.none()}
    )


def documented_rows(end: datetime) -> st.SearchStrategy[dict[str, Any]]:
    """Make a valid row of the documented shape."""
    break_points = dict.fromkeys(("BP1", "PC1", "BP2", "PC2"), numerics | st.none())
    return st.fixed_dictionaries(
        {
            "Name": names,
            "Period": st.just(end.astimezone(UTC).isoformat().replace("+00:00", "Z")),
            "Price": numerics,
            "ReserveType": st.sampled_from(sorted(RESERVE_TYPES)),
            "Direction": st.sampled_from(sorted(DIRECTIONS)),
            "Quantity": numerics,
            "OVERRIDE": st.sampled_from([True, False, 0, 1, "0", "1"]),
            **break_points,
        },
        optional={"Description": st.text()},
    )


@st.composite
def snapshots(draw: st.DrawFn) -> tuple[datetime, dict[str, Any]]:
    """Make a valid payload of live rows, documented rows or both, and its interval's end."""
    end = draw(intervals)
    shapes = draw(st.sampled_from([[live_rows], [documented_rows], [live_rows, documented_rows]]))
    rows = draw(st.lists(st.one_of(*(shape(end) for shape in shapes)), max_size=5))
    return end, {"RefId": draw(ref_ids(end)), "Constraint": rows}


def dumped(payload: object) -> bytes:
    """Spell a payload as JSON."""
    return json.dumps(payload).encode()


def check(verdict: Verdict) -> None:
    """Hold what is true of every verdict."""
    assert (verdict.snapshot is None) == bool(verdict.reasons)
    assert len(verdict.reasons) <= MOST_FINDINGS + 1
    assert len(verdict.warnings) <= MOST_FINDINGS + 1
    for finding in (*verdict.reasons, *verdict.warnings):
        assert finding.where.isascii()
        assert finding.message.isascii()
        assert (finding.where + finding.message).isprintable()
    if verdict.snapshot is not None:
        assert verdict.interval_end == verdict.snapshot.interval_end


@given(st.binary())
def test_any_bytes_get_a_verdict(body: bytes) -> None:
    """Whatever the network delivers is accepted or refused with reasons, and nothing is raised."""
    check(RESERVE.examine(body))


@given(payloads)
def test_any_json_gets_a_verdict(payload: object) -> None:
    """Any JSON value, near to the contract or far from it, is accepted or refused with printable reasons."""
    check(RESERVE.examine(dumped(payload)))


@given(snapshots(), st.binary(max_size=3), st.integers(0), st.integers(0, 3))
def test_a_damaged_body_gets_a_verdict(
    snapshot: tuple[datetime, dict[str, Any]], junk: bytes, at: int, lost: int
) -> None:
    """A valid body in which some bytes are lost or changed is accepted or refused, and nothing is raised."""
    body = dumped(snapshot[1])
    at %= len(body)
    check(RESERVE.examine(body[:at] + junk + body[at + lost :]))


@given(snapshots())
def test_a_valid_snapshot_gives_back_what_it_holds(snapshot: tuple[datetime, dict[str, Any]]) -> None:
    """Every valid body of live, documented or mixed rows is accepted, with its names, prices and interval's end."""
    end, payload = snapshot
    verdict = RESERVE.examine(dumped(payload))
    assert (verdict.reasons, verdict.warnings) == ((), ())
    assert verdict.snapshot is not None
    assert (verdict.snapshot.ref_id, verdict.snapshot.interval_end) == (payload["RefId"], end)
    assert verdict.snapshot.quiet is (payload["Constraint"] == [])
    assert [(row.constraint_name, row.shadow_price, row.period, row.description) for row in verdict.snapshot.rows] == [
        (row["Name"], float(row["Price"]), end, row.get("Description")) for row in payload["Constraint"]
    ]
    assert [(row.reserve_type, row.direction) for row in verdict.snapshot.rows] == [
        (row.get("ReserveType"), row.get("Direction")) for row in payload["Constraint"]
    ]


@given(snapshots(), st.data())
def test_any_field_left_out_is_named(snapshot: tuple[datetime, dict[str, Any]], data: st.DataObject) -> None:
    """Leaving any required field out of any row refuses the body, with missing_field at that row and field."""
    end, payload = snapshot
    rows: list[dict[str, Any]] = payload["Constraint"] + [data.draw(live_rows(end) | documented_rows(end))]
    number = data.draw(st.integers(0, len(rows) - 1))
    required = DOCUMENTED_FIELDS if "BP1" in rows[number] else LIVE_FIELDS
    field = data.draw(st.sampled_from(required))
    rows[number] = without(rows[number], field)
    verdict = RESERVE.examine(dumped({**payload, "Constraint": rows}))
    assert verdict.snapshot is None
    assert [(reason.code, reason.where) for reason in verdict.reasons] == [
        ("missing_field", f"Constraint[{number}].{field}")
    ]
    assert verdict.interval_end == end


@given(snapshots(), st.dictionaries(st.text(), json_values, min_size=1, max_size=3))
def test_new_fields_change_nothing(snapshot: tuple[datetime, dict[str, Any]], drift: dict[str, Any]) -> None:
    """Fields that nobody knows yet are reported, and what is read is the same as without them."""
    end, payload = snapshot
    drift = {f"New {name}": value for name, value in drift.items()}
    drifted = {**payload, **drift, "Constraint": [{**row, **drift} for row in payload["Constraint"]]}
    verdict = RESERVE.examine(dumped(drifted))
    check(verdict)
    assert verdict.snapshot == RESERVE.examine(dumped(payload)).snapshot
    assert {warning.code.value for warning in verdict.warnings} == {"unknown_field"}
    assert verdict.interval_end == end


@given(snapshots(), st.integers(1, 10_000))
def test_another_interval_in_a_row_is_warned_of(snapshot: tuple[datetime, dict[str, Any]], minutes: int) -> None:
    """Whatever RefId says, rows of another time are accepted and reported once."""
    end, payload = snapshot
    assume(end.year < 2199)
    other = (end + timedelta(minutes=minutes)).replace(tzinfo=None).isoformat()
    verdict = RESERVE.examine(dumped({**payload, "Constraint": [{**LIVE_ROW, "Period": other}] * 2}))
    assert verdict.snapshot is not None
    assert [(warning.code, warning.where) for warning in verdict.warnings] == [
        ("period_differs", "Constraint[0].Period")
    ]


def test_the_rows_used_here_are_whole() -> None:
    """The sample rows hold exactly the fields of the two shapes, so that the properties speak of all of them."""
    assert (set(LIVE_ROW), set(DOCUMENTED_ROW)) == (set(LIVE_FIELDS), set(DOCUMENTED_FIELDS))
